"""A factory gets ten thousand credentials in one call: nothing twice and nothing lost, whatever happens half-way."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.operate.batches import CHUNK
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Served, Unmeasured
from tests.e2e.registry_file import found_in_a_whole_registry

SERIALS = [f"SN{number:06}" for number in range(10_000)]
_FAULTS = {
    "devices without a credential": "SELECT name FROM device WHERE id NOT IN (SELECT device FROM credential)",
    "devices with two credentials": "SELECT device FROM credential GROUP BY device HAVING count(*) > 1",
    "credentials without a device": "SELECT id FROM credential WHERE device NOT IN (SELECT id FROM device)",
    "serials of two devices": "SELECT serial FROM device GROUP BY serial HAVING count(*) > 1",
    "devices whose making is not recorded": """SELECT name FROM device WHERE id NOT IN
        (SELECT device FROM event WHERE kind = 'credential.issued')""",
    "devices recorded twice": """SELECT device FROM event WHERE kind = 'credential.issued'
        GROUP BY device HAVING count(*) > 1""",
    "devices counted wrongly": """SELECT id FROM tenant WHERE devices <>
        (SELECT count(*) FROM device WHERE device.tenant = tenant.id)""",
    "states that no device has here": "SELECT name FROM device WHERE state <> 'provisioned'",
    "broken references": "SELECT * FROM pragma_foreign_key_check",
    "damage": "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
}


class Factory:
    """A factory line: what it was told of each serial, which may never change."""

    def __init__(self, token: str) -> None:
        self.serials = SERIALS
        self._headers = {"Authorization": f"Bearer {token}"}
        self.told: dict[str, dict[str, Any]] = {}

    async def records(self, served: Served) -> AsyncGenerator[dict[str, Any], None]:
        """Ask for everything in one call, and yield line by line what is whole of the answer."""
        url = f"http://{served.listening.http[0]}/v1/devices:issue"
        body = {"profile": "meters", "serials": self.serials}
        async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=self._headers) as response:
            assert response.status == 200
            async for line in response.content:
                if line.endswith(b"\n"):
                    record = json.loads(line)
                    self.keep(record)
                    yield record

    def keep(self, record: dict[str, Any]) -> None:
        """Note what was told, which has to be what was told before."""
        if record.get("done"):
            return
        told = {name: record[name] for name in ("device_id", "device_name", "credential")}
        assert self.told.setdefault(record["serial"], told) == told

    async def some(self, served: Served, most: int) -> None:
        """Read so many lines and hang up."""
        seen = 0
        async with aclosing(self.records(served)) as records:
            async for _ in records:
                seen += 1
                if seen == most:
                    return

    async def all(self, served: Served) -> Counter[str]:
        """Read everything to the end, and return what became of the lines."""
        records = [record async for record in self.records(served)]
        assert [record.get("serial") for record in records] == [*self.serials, None]
        fates = Counter(record["status"] for record in records[:-1])
        end = {"done": True, "issued": fates["issued"], "existing": fates["exists"], "refused": fates["refused"]}
        assert records[-1] == end
        return fates


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with Unmeasured(tmp_path / "gateway") as gateway:
        yield gateway


async def factory_of(served: Served) -> Factory:
    async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "meters"})
        token = await operator.post("/v1/tokens", {"name": "line-1", "role": "factory"})
    return Factory(token["token"])


def serials_in(served: Served) -> set[str]:
    """Return the serials of a registry in which nothing is there by half."""
    folder = served.folder
    return found_in_a_whole_registry(folder / "data", folder / "copy", _FAULTS, "SELECT serial FROM device")


async def until_no_stream_is_left(served: Served) -> None:
    async with Operator(served.listening.http[0], "") as operator, asyncio.timeout(PATIENCE_SECONDS):
        while (await operator.figures()).get('firstlight_level{level="http.streams"}'):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def test_ten_thousand_serials_in_one_call_survive_kills(served: Served) -> None:
    factory = await factory_of(served)
    for lines in (1, 1_500, 6_000):
        async with aclosing(factory.records(served)) as records:
            async for record in records:
                if record["line"] == lines:
                    break
            served.kill()
            await served.ended()
            await the_rest(records)
        there = serials_in(served)
        assert factory.told.keys() <= there
        assert len(there) % CHUNK == 0
        await served.start()
    fates = await factory.all(served)
    assert fates["issued"] + fates["exists"] == len(SERIALS)
    assert await factory.all(served) == {"exists": len(SERIALS)}
    assert len({json.dumps(told["credential"]) for told in factory.told.values()}) == len(SERIALS)
    await log_in(served, [factory.told[serial]["credential"]["token"] for serial in SERIALS[::100]])
    async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
        assert (await operator.device(SERIALS[100]) or {})["state"] == "connected"
    refused = [record async for record in unchecked(factory, served) if record.get("status") == "refused"]
    assert [record["serial"] for record in refused] == SERIALS[::100]
    assert all("connected already" in record["reason"] and "credential" not in record for record in refused)


async def the_rest(records: AsyncIterator[dict[str, Any]]) -> None:
    """Read what was under way when the gateway was killed: an answer that broke off does not look whole."""
    last: dict[str, Any] = {}
    try:
        async for record in records:
            last = record
    except aiohttp.ClientError:
        return
    assert last.get("done"), last


async def unchecked(factory: Factory, served: Served) -> AsyncIterator[dict[str, Any]]:
    factory.keep = lambda record: None  # type: ignore[method-assign]  # refusals tell nothing that could be kept
    async for record in factory.records(served):
        yield record


async def log_in(served: Served, tokens: list[str]) -> None:
    async with aiohttp.ClientSession() as session:
        for token in tokens:
            async with session.get(f"http://{served.listening.http[0]}/api/v1/{token}/attributes") as response:
                assert response.status == 200


async def test_a_client_that_hangs_up_stops_its_batch_and_gets_the_same_again(served: Served) -> None:
    factory = await factory_of(served)
    factory.serials = [f"SN{number:06}" for number in range(80_000)]  # some seconds, of which one is enough to hang up
    await factory.some(served, 600)
    await until_no_stream_is_left(served)
    assert 600 <= device_count(served) < len(factory.serials)
    factory.serials = SERIALS
    fates = await factory.all(served)
    assert fates["issued"] + fates["exists"] == len(SERIALS)


def device_count(served: Served) -> int:
    with sqlite3.connect(f"file:{served.folder}/data/firstlight.db?mode=ro", uri=True) as database:
        (count,) = database.execute("SELECT count(*) FROM device").fetchone()
    database.close()
    return int(count)


async def test_a_gateway_that_is_stopped_half_way_ends_well_and_goes_on_after(served: Served) -> None:
    factory = await factory_of(served)
    async with aclosing(factory.records(served)) as records:
        await anext(records)
        served.stop()
        try:
            told = [record async for record in records]
        except aiohttp.ClientError:
            pass  # cut off
        else:
            assert told[-1]["done"]  # the gateway waited for the end
        assert await served.ended() == 0
    assert factory.told.keys() <= serials_in(served)
    await served.start()
    fates = await factory.all(served)
    assert fates["issued"] + fates["exists"] == len(SERIALS)
