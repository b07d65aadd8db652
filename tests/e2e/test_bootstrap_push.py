"""One change that concerns hundreds: everyone is told, the gateway serves others meanwhile, stays small, and stops in order."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.e2e.bootstrap_fleet import Listener, Observer, Waiting, all_more_than
from tests.e2e.bootstrap_writers import CLIENTS, KEY, Vendor
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import Served, Unmeasured
from tests.thorough import often

FLEET = often(100, 300)  # of each kind
GROWTH_KIB = 16 * 1024
CHANGES = 3
SLOW, LARGE_CHANGES, LARGE_GROWTH_KIB = 10, 20, 64 * 1024


def path(number: int) -> str:
    return f"clients/bootstrap/device-{number}"


async def stocked(operator: Operator, count: int) -> str:
    """Make configurations that all have one channel, and return that."""
    channel = str((await operator.post("/v1/channels", {"name": "first"}))["id"])
    bodies = ({"external_id": f"device-{number}", "external_key": KEY, "channels": [channel]} for number in range(count))
    await asyncio.gather(*(operator.post("/v1/configs", body) for body in bodies))
    return channel


async def fleet(served: Served, stack: contextlib.AsyncExitStack, count: int) -> tuple[list[Listener], list[Observer]]:
    """Let so many devices of each kind wait, two for each configuration."""
    mqtt, coap = served.listening.mqtt[0], served.listening.coap[0]
    listeners = [await stack.enter_async_context(Listener.at(mqtt, path(number))) for number in range(count)]
    observers = [await stack.enter_async_context(Observer.at(coap, path(number))) for number in range(count)]
    return listeners, observers


class Bystander:
    """Somebody who wants a configuration over HTTP, again and again."""

    def __init__(self, served: Served) -> None:
        self._url = f"http://{served.listening.http[0]}/{path(0)}"
        self.statuses: Counter[int] = Counter()

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask until the end of the block."""
        asking = asyncio.create_task(self._ask())
        yield
        asking.cancel()
        await asyncio.wait({asking})

    async def _ask(self) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Client {KEY}"}) as session:
            while True:
                async with session.get(self._url) as response:
                    await response.read()
                    self.statuses[response.status] += 1


async def rename(operator: Operator, channel: str, name: str, listeners: list[Listener], observers: list[Observer]) -> None:
    """Change the channel that all configurations have, and wait until every device knows."""
    devices: list[Waiting] = [*listeners, *observers]
    told = [device.told for device in devices]
    tags = [observer.last["etag"] for observer in observers]
    await operator.patch(f"/v1/channels/{channel}", {"name": name})
    await all_more_than(devices, told)
    assert all(name in json.dumps(listener.last) for listener in listeners)
    assert all(observer.last["etag"] != tag for observer, tag in zip(observers, tags, strict=True))


async def test_a_change_for_hundreds_of_devices_reaches_all_of_them(tmp_path: Path) -> None:
    async with Unmeasured(tmp_path / "gateway") as served:
        async with contextlib.AsyncExitStack() as stack:
            operator = await stack.enter_async_context(Operator(served.listening.http[0], ADMIN_TOKEN))
            channel = await stocked(operator, FLEET)
            listeners, observers = await fleet(served, stack, FLEET)
            await rename(operator, channel, "renamed", listeners, observers)
            warm, bystander = served.resident_kib(), Bystander(served)
            async with bystander.asking():
                for number in range(CHANGES):
                    await rename(operator, channel, f"renamed {number}", listeners, observers)
            assert bystander.statuses.keys() == {200}
            assert served.resident_kib() - warm < GROWTH_KIB
            assert {code for observer in observers for code in observer.codes} == {"2.05"}
        served.stop()
        assert await served.ended() == 0
    assert "Traceback" not in served.log()


async def test_a_gateway_that_is_told_to_stop_while_it_tells_hundreds_of_devices(tmp_path: Path) -> None:
    pace = {"COAP_NOTIFICATIONS_PER_SECOND": "20"}  # all of them would take many seconds
    async with Unmeasured(tmp_path / "gateway", **pace) as served, contextlib.AsyncExitStack() as stack:
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            channel = await stocked(operator, FLEET)
            listeners, observers = await fleet(served, stack, FLEET)
            told = listeners[0].told
            await operator.patch(f"/v1/channels/{channel}", {"name": "renamed"})
            await listeners[0].more_than(told)
            served.stop()
            assert await served.ended() == 0
        told_twice = sum(device.told == 2 for device in (*listeners, *observers))
        assert 0 < told_twice < 2 * FLEET
    assert "Traceback" not in served.log()
    assert json.loads(served.log().splitlines()[-1])["event"] == "stopped"


async def test_who_reads_slowly_gets_the_last_of_many_large_documents(tmp_path: Path) -> None:
    """Ten readers times twenty changes times a megabyte is not kept: what they cannot take yet is asked for later."""
    contents = [f"{number:02}" * 500_000 for number in range(LARGE_CHANGES)]
    async with Unmeasured(tmp_path / "gateway") as served:
        async with contextlib.AsyncExitStack() as stack:
            vendor = await stack.enter_async_context(Vendor(served.listening.http[0], CLIENTS))
            channel = await vendor.ask("POST", "/default/channels", {"name": "data"})
            _, identity = await vendor.create("device-0", contents[0], (json.loads(channel[1])["id"],))
            mqtt = served.listening.mqtt[0]
            slow = [await stack.enter_async_context(Listener.at(mqtt, path(0), listens=False)) for _ in range(SLOW)]
            quick = await stack.enter_async_context(Listener.at(mqtt, path(0)))
            before = served.resident_kib()
            for content in contents[1:]:
                assert await vendor.write(identity, content) == 200
            while quick.last["content"] != contents[-1]:
                await quick.more_than(quick.told)
            assert served.resident_kib() - before < LARGE_GROWTH_KIB
            hearing = [asyncio.create_task(device.hear(path(0))) for device in slow]
            for device in slow:
                while not device.told or device.last["content"] != contents[-1]:
                    await device.more_than(device.told)
                assert device.told < LARGE_CHANGES
            for task in hearing:
                task.cancel()
            await asyncio.wait(hearing)
        served.stop()
        assert await served.ended() == 0
    assert "Traceback" not in served.log()
