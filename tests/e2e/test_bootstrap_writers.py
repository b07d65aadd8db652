"""Many write one configuration through two vendors' paths at once: all are told yes, and its devices end with the last."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from tests.e2e.bootstrap_devices import Heard, listening, observing
from tests.e2e.bootstrap_writers import CLIENTS, THINGS, Vendor, places
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import Served, Unmeasured

WRITERS, CHANGES = 50, 20
EXTERNAL_ID = "wanted-by-all"
TWO_VENDORS = "127.0.0.1:0=mainflux:mf-thing,127.0.0.1:0=magistrala:mg-client+operator"


async def write(vendor: Vendor, identity: str, number: int, channels: tuple[str, ...]) -> list[int]:
    """Change a configuration again and again in the three ways there are, and return how that was answered."""
    statuses = []
    for turn in range(CHANGES):
        match (number + turn) % 3:
            case 0:
                statuses.append(await vendor.write(identity, f"writer {number}, turn {turn}"))
            case 1:
                statuses.append(await vendor.connect(identity, channels[turn % 2 :]))
            case 2:
                statuses.append(await vendor.switch(identity, turn % 2))
    return statuses


async def changes_of(operator: Operator, identity: str) -> int:
    """Return how many changes of a configuration are recorded."""
    return len(await operator.all(f"/v1/events?device={identity}&kind=config.changed"))


async def ended_alike(operator: Operator, identity: str, heard: list[Heard], observed: list[Heard]) -> None:
    """Wait until every device has heard of what the configuration is now."""
    now = await operator.get(f"/v1/configs/{identity}")
    assert now["version"] == 1 + await changes_of(operator, identity)
    channels = [channel["id"] for channel in now["channels"]]

    def is_now(document: dict[str, Any]) -> bool:
        told = document["channels" if "channels" in document else "mainflux_channels"]
        return document["content"] == now["content"] and [channel["id"] for channel in told] == channels

    for device in observed:
        await device.until(lambda document: document["version"] == now["version"])
        versions = [document["version"] for document in device.documents]
        assert versions == sorted(set(versions))
    for device in heard:
        await device.until(is_now)


async def test_fifty_writers_through_two_vendors_and_a_thousand_changes(tmp_path: Path) -> None:
    async with Unmeasured(tmp_path / "gateway", HTTP=TWO_VENDORS) as served:
        async with contextlib.AsyncExitStack() as stack:
            await _all_write(served, stack)
        served.stop()
        assert await served.ended() == 0
    assert "Traceback" not in served.log()


async def _all_write(served: Served, stack: contextlib.AsyncExitStack) -> None:
    here, there = places(served, "http")
    coap, mqtt = served.listening.coap[0], served.listening.mqtt[0]
    operator = await stack.enter_async_context(Operator(there, ADMIN_TOKEN))
    vendors = [await stack.enter_async_context(Vendor(*each)) for each in ((here, THINGS), (there, CLIENTS))]
    channels = tuple([(await operator.post("/v1/channels", {"name": name}))["id"] for name in "abc"])
    status, identity = await vendors[1].create(EXTERNAL_ID, "made", channels)
    assert status == 201
    observed = [await stack.enter_async_context(observing(coap, name, EXTERNAL_ID)) for name in ("things", "clients")]
    heard = [await stack.enter_async_context(listening(mqtt, name, EXTERNAL_ID)) for name in ("things", "clients")]
    answers = await asyncio.gather(*(write(vendors[number % 2], identity, number, channels) for number in range(WRITERS)))
    assert {status for statuses in answers for status in statuses} == {200}
    await ended_alike(operator, identity, heard, observed)
    for vendor in vendors:
        status, body = await vendor.fetch(EXTERNAL_ID)
        assert (status, json.loads(body)["content"]) == (200, heard[0].last["content"])
