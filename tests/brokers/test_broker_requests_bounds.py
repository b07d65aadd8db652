"""What requests through a broker may use up, and what becomes of them when the broker goes away."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from adapters.app import Running
from adapters.brokers.requests import RequestBounds
from adapters.exchange import Inbound, Outbound, Success
from tests.brokers.broker_devices import PROVISION, RULES, Served, device, document, properties, serving
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.waiting import beside, until, until_so
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.protocols import world
from tests.protocols.world import METERS

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
DENIES_SUBSCRIPTIONS = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
PLUGIN = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)


@pytest.fixture
async def broker(tmp_path: Path):
    """A broker with the rules that are shipped."""
    folder = tmp_path / "broker"
    folder.mkdir()
    async with mosquitto(folder, RULES) as running:
        yield running


class Held:
    """An exchange that answers when it is told to."""

    def __init__(self, exchange) -> None:
        self.understands = exchange.understands
        self.asked: list[Inbound] = []
        self.go = asyncio.Event()

    async def handle(self, inbound: Inbound) -> Outbound:
        """Wait, then answer with the request."""
        self.asked.append(inbound)
        await self.go.wait()
        if inbound.body == b"broken":
            raise RuntimeError("an exchange that breaks its promise")
        return Outbound(outcome=Success.OK, body=inbound.body, topic="elsewhere")


async def test_two_gateways_share_the_work(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as one, serving(gateway, broker) as two, device(broker, "fleet") as fleet:
        for start in range(0, 100, 50):  # no more at once than one client may have waiting
            for number in range(start, start + 50):
                correlation = properties(CorrelationData=str(number).encode())
                await fleet.send(PROVISION, METERS.claim(deviceName=f"shared-{number}"), correlation)
            await fleet.hears(start + 50)
        told = Counter(getattr(answer.properties, "CorrelationData", b"") for answer in fleet.heard)
        assert told == Counter(str(number).encode() for number in range(100))
        assert {document(answer)["status"] for answer in fleet.heard} == {"SUCCESS"}
        assert one.link.is_up
        assert two.link.is_up
        served = [broker.log().count(f"Sending PUBLISH to {each.link.client_id} ") for each in (one, two)]
        assert sum(served) == 100
        assert min(served) > 0


async def test_a_broker_that_comes_back_is_served_again(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as served:
        async with device(broker, "c-1") as client:
            assert (await client.provision(METERS.claim(deviceName="before")))["status"] == "SUCCESS"
        await broker.restart()
        await served.subscribed(broker, 2)
        async with device(broker, "c-1") as client:
            assert (await client.provision(METERS.claim(deviceName="after")))["status"] == "SUCCESS"


async def test_an_answer_for_a_broker_that_is_gone_is_told(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker, before=Held) as served:
        exchange = served.exchange
        async with device(broker, "c-1") as client:
            await client.send(PROVISION, b"one")
            await until(lambda: exchange.asked)
            await broker.stop()
            exchange.go.set()
            await until(lambda: served.log.said("lost") or served.log.said("is down"))
        await broker.start()
        await served.subscribed(broker, 2)
        async with device(broker, "c-1") as client:
            assert (await client.ask(PROVISION, b"two")).payload == b"two"


async def test_a_flood_is_dropped_and_counted(gateway: Running, broker: Mosquitto) -> None:
    bounds = RequestBounds(workers=2, waiting=6, waiting_of_client=4)
    async with (
        serving(gateway, broker, bounds=bounds, before=Held) as served,
        device(broker, "flood") as flood,
        device(broker, "c-1") as one,
        device(broker, "c-2") as two,
    ):
        exchange = served.exchange
        for number in range(10):
            await flood.send(PROVISION, str(number).encode())
        await until(lambda: len(exchange.asked) + len(served.meter.bounds) >= 2 + 4)
        for client in (one, two):
            for number in range(2):
                await client.send(PROVISION, str(number).encode())
        await until(lambda: len(served.meter.bounds) == 4 + 2)
        assert Counter(served.meter.bounds) == {"broker.requests_of_client": 4, "broker.requests": 2}
        exchange.go.set()
        await until(lambda: len(flood.heard) == 6 and len(one.heard) == 2)
        assert two.heard == []
        assert (await two.ask(PROVISION, b"again")).payload == b"again"


async def test_an_answer_that_cannot_be_sent_does_not_end_the_others(gateway: Running, broker: Mosquitto) -> None:
    one = RequestBounds(workers=1)
    async with serving(gateway, broker, bounds=one, before=Held) as served, device(broker, "c-1") as client:
        served.exchange.go.set()
        await client.send(PROVISION, b"broken")
        assert (await client.ask(PROVISION, b"whole")).payload == b"whole"
        assert served.log.levels("could not be sent") == ["exception"]


async def test_what_is_too_large_is_dropped_and_counted(gateway: Running, broker: Mosquitto) -> None:
    bounds = RequestBounds(packet_bytes=2_000, topic_bytes=100, user_properties=2)
    async with serving(gateway, broker, bounds=bounds) as served, device(broker, "c-1") as client:
        await client.send(PROVISION, b"x" * 2_000)
        await client.send("things/bootstrap/" + "x" * 100, b"")
        many = properties(UserProperty=[("a", "1"), ("A", "2"), ("authorization", "key")])
        refused = await client.ask("clients/bootstrap/aa", b"{}", many)
        assert b"content" not in refused.payload
        assert served.meter.bounds == ["broker.packet_bytes", "broker.topic_bytes"]


async def refused(operator: Operator) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await operator.get("/v1/events?kind=provision.refused"))["items"]
    return events


async def test_limits_count_each_client(tmp_path: Path, broker: Mosquitto) -> None:
    async with (
        opened(tmp_path / "data", LIMIT_SOURCE="0.001:2") as gateway,
        Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator,
    ):
        await world.stock(gateway, operator)
        async with serving(gateway, broker), device(broker, "2001:db8::1") as one, device(broker, "2001:db8::2") as two:
            for number in range(2):
                answer = await one.provision(METERS.claim(deviceName=f"one-{number}"))
                assert answer["status"] == "SUCCESS"
            await one.send(PROVISION, METERS.claim(deviceName="one-too-many"))
            assert (await two.provision(METERS.claim(deviceName="two")))["status"] == "SUCCESS"
            await until_so(lambda: refused(operator))
            (event,) = await refused(operator)
            assert (event["source"], event["check"]) == ("client/2001:db8::1", "limit.source")
        assert await operator.device("one-too-many") is None


@pytest.mark.parametrize("version", [V5, V311], ids=["v5", "v311"])
async def test_a_broker_that_refuses_the_subscription_is_told_of(
    gateway: Running, broker: Mosquitto, version: aiomqtt.ProtocolVersion
) -> None:
    rules = {"defaultACLAccess": DENIES_SUBSCRIPTIONS, "clients": [], "groups": [], "roles": []}
    file = broker.folder / "dynamic-security.json"
    file.write_text(json.dumps(rules))
    broker.config = f"allow_anonymous true\nplugin {PLUGIN}\nplugin_opt_config_file {file}"
    await broker.restart()
    served = Served(gateway, broker, username="")
    served.link.protocol = version
    async with beside(served.requests.run()):
        await until(lambda: served.log.said("have to let this user subscribe to $share/firstlight-"))


async def test_the_role_that_is_recommended_under_dynamic_security_is_enough(gateway: Running, broker: Mosquitto) -> None:
    rights = [
        ("publishClientSend", "firstlight/#"),
        ("publishClientReceive", "firstlight/#"),
        ("subscribePattern", "firstlight/#"),
        ("subscribePattern", "$share/#"),
    ]
    acls = [{"acltype": kind, "topic": topic, "allow": True} for kind, topic in rights]
    rules = {
        "defaultACLAccess": DENIES_SUBSCRIPTIONS | {"publishClientSend": False, "publishClientReceive": False},
        "clients": [],
        "groups": [{"groupname": "all", "roles": [{"rolename": "gateway"}], "clients": []}],
        "anonymousGroup": "all",
        "roles": [{"rolename": "gateway", "acls": acls}],
    }
    file = broker.folder / "dynamic-security.json"
    file.write_text(json.dumps(rules))
    broker.config = f"allow_anonymous true\nplugin {PLUGIN}\nplugin_opt_config_file {file}"
    await broker.restart()
    served = Served(gateway, broker, username="")
    async with beside(served.requests.run()), device(broker, "c-1") as client:
        await until(lambda: broker.log().count("Sending SUBACK to firstlight-requests") >= len(served.topics.filters))
        assert (await client.provision(METERS.claim(deviceName="kept")))["status"] == "SUCCESS"
        assert not served.log.said("have to let")


async def test_a_link_that_speaks_the_older_version_serves(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker, version=V311), device(broker, "c-1") as client:
        correlation = properties(CorrelationData=b"c")
        answer = await client.ask(PROVISION, METERS.claim(deviceName="older"), correlation)
        assert document(answer)["status"] == "SUCCESS"
        assert not hasattr(answer.properties, "CorrelationData")
