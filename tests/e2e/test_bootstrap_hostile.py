"""Strangers who ask for configurations that are not theirs, by the thousand and in every wrong form."""

import asyncio
import collections
import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.listeners import Listening
from tests.e2e.bootstrap_fleet import Listener, Observer
from tests.e2e.bootstrap_writers import KEY
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Served
from tests.protocols.mqtt_peer import connect_packet, publish_packet, subscribe_packet, text

FLOOD = 1_500  # requests over each protocol
AT_ONCE = 16
ELSEWHERE = "127.0.0.9"
FAILURES = 100  # may be made at once
FLOOD_EVENTS = 100  # a share of what may be recorded: 20 at once and two a second
WRONG_FORMS: dict[str, Any] = {
    "nothing": None,
    "a number": 7,
    "an object": {"key": KEY},
    "a list": [KEY],
    "a bool": True,
    "60 KB": "k" * 60_000,
    "another device's": "the key of another device",
    "half a surrogate pair": "\ud800",
}
REFUSED_FILTERS = (
    "#",
    "+/bootstrap/+/response",
    "clients/bootstrap/#",
    "clients/bootstrap/device/request",
    "clients/+/+/response",
)


class Stranger:
    """An MQTT connection that says what it likes."""

    def __init__(self, listener: Listener, writer: asyncio.StreamWriter) -> None:
        self._listener = listener
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, where: Listening, **fields: Any):
        """Connect as a guest, or as the fields say."""
        reader, writer = await asyncio.open_connection(where.mqtt[0].host, where.mqtt[0].port)
        stranger = cls(Listener(reader, writer), writer)
        writer.write(connect_packet(4, **(fields or {"username": "bootstrap"})))
        assert (await stranger.packet())[1] == b"\0\0"
        yield stranger
        writer.close()
        await writer.wait_closed()

    async def packet(self) -> tuple[int, bytes]:
        """Return the next packet."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._listener.packet()

    async def subscribe(self, topic_filter: str) -> int:
        """Return what is granted."""
        self._writer.write(subscribe_packet((topic_filter, 0)))
        return (await self.packet())[1][2]

    async def ask(self, path: str, body: bytes) -> dict[str, Any]:
        """Ask at QoS 1, and return the answer behind its acknowledgement."""
        self._writer.write(publish_packet(f"{path}/request", body, qos=1))
        assert await self.packet() == (0x40, b"\0\1")
        _, answer = await self.packet()
        prefix = text(f"{path}/response")
        assert answer.startswith(prefix)
        found: dict[str, Any] = json.loads(answer[answer.index(b"{") :])
        return found


async def over_http(where: Listening, name: str, address: str = "127.0.0.1") -> int:
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    headers = {"Authorization": f"Client {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers, connector=connector) as session,
        session.get(f"http://{where.http[0]}/clients/bootstrap/{name}") as response,
    ):
        await response.read()
        return response.status


async def flood_http(where: Listening) -> collections.Counter[str]:
    seen, names = collections.Counter[str](), iter(range(FLOOD))

    async def some(session: aiohttp.ClientSession) -> None:
        for number in names:
            async with session.get(f"http://{where.http[0]}/clients/bootstrap/http-{number}") as response:
                await response.read()
                seen[str(response.status)] += 1

    async with aiohttp.ClientSession(headers={"Authorization": "Client guess"}) as session:
        await asyncio.gather(*(some(session) for _ in range(AT_ONCE)))
    return seen


async def flood_mqtt(where: Listening) -> collections.Counter[str]:
    seen, names = collections.Counter[str](), iter(range(FLOOD))

    async def some() -> None:
        async with Stranger.at(where) as stranger:
            for number in names:
                answer = await stranger.ask(f"clients/bootstrap/mqtt-{number}", b'{"authorization":"guess"}')
                seen[answer["message"]] += 1

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return seen


async def flood_coap(where: Listening) -> collections.Counter[str]:
    seen, names = collections.Counter[str](), iter(range(FLOOD))

    async def some() -> None:
        for number in names:
            async with Observer.at(where.coap[0], f"clients/bootstrap/coap-{number}") as device:
                seen.update(device.codes)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return seen


async def test_a_flood_of_unknown_devices_is_turned_away_and_hides_nobody(tmp_path: Path) -> None:
    settings = {"LIMIT_FAILURES": f"1:{FAILURES}", "LIMIT_EVENTS": None}
    async with Served(tmp_path / "gateway", **settings) as served:
        where = served.listening
        async with Operator(where.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/configs", {"external_id": "device", "external_key": KEY})
            floods = asyncio.gather(flood_http(where), flood_mqtt(where), flood_coap(where))
            lost, expected = 0, set[str]()
            while not floods.done():
                expected.add(f"lost-{lost}")
                assert await over_http(where, f"lost-{lost}", f"127.0.1.{1 + lost % 100}") == 404
                assert await over_http(where, "device", ELSEWHERE) == 200
                lost += 1
                await asyncio.sleep(0.05)
            by_http, by_mqtt, by_coap = await floods
            assert by_http.keys() | by_coap.keys() == {"404", "429", "4.04", "4.29"}
            assert by_http["404"] + by_coap["4.04"] < 2 * FAILURES
            assert by_mqtt["too many attempts, try again later"] > FLOOD / 2
            listed = await operator.get("/v1/configs:unknown?limit=1000")
            assert expected <= set(listed["items"])
            refused = collections.Counter(event["check"] for event in await operator.all("/v1/events?kind=bootstrap.refused"))
            assert refused["limit.bootstrap"] < FLOOD_EVENTS
    assert "Traceback" not in served.log()


async def test_a_stranger_gets_nothing_however_it_asks(tmp_path: Path) -> None:
    async with Served(tmp_path / "gateway") as served:
        where = served.listening
        async with Operator(where.http[0], ADMIN_TOKEN) as operator:
            for name, key in (("device", KEY), ("other", "the key of another device")):
                body = {"external_id": name, "external_key": key, "content": f"for {name}"}
                await operator.post("/v1/configs", body)
            async with Stranger.at(where) as stranger:
                for topic_filter in REFUSED_FILTERS:
                    assert await stranger.subscribe(topic_filter) == 0x80
                assert await stranger.subscribe("clients/bootstrap/+/response") == 0
                async with Listener.at(where.mqtt[0], "clients/bootstrap/device"):
                    pass  # what others are answered is not for it
                for value in WRONG_FORMS.values():
                    answer = await stranger.ask("clients/bootstrap/device", json.dumps({"authorization": value}).encode())
                    assert answer.keys() <= {"error", "message"}
                right = await stranger.ask("clients/bootstrap/device", json.dumps({"authorization": KEY}).encode())
                assert right["content"] == "for device"
    assert "Traceback" not in served.log()


@pytest.mark.parametrize("body", [b"", b'{"authorization":"external key"}'])
async def test_a_device_asks_for_itself_alone(tmp_path: Path, body: bytes) -> None:
    async with Served(tmp_path / "gateway") as served:
        where = served.listening
        async with Operator(where.http[0], ADMIN_TOKEN) as operator:
            ids = {}
            for name, key in (("device", KEY), ("other", "the key of another device")):
                made = await operator.post("/v1/configs", {"external_id": name, "external_key": key})
                ids[name] = made["id"]
            async with Stranger.at(where, username="device", password=KEY.encode()) as device:
                for name in ("other", "device"):
                    assert await device.subscribe(f"clients/bootstrap/{name}/response") == 0
                assert (await device.ask("clients/bootstrap/other", body)).keys() <= {"error", "message"}
                for name in ("other", "device"):  # a push for the other would come first
                    await operator.patch(f"/v1/configs/{ids[name]}", {"content": f"for {name}"})
                assert b"for device" in (await device.packet())[1]
