"""A whole gateway whose profile has a hook, asked by devices over HTTP and a service over HTTP."""

from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.hooks.hook_service import SECRET, serving


async def orders(request: web.Request) -> web.StreamResponse:
    """Let in what was ordered, and say where it stands."""
    asked = msgspec.json.decode(await request.read())
    if asked["name"] != "meter-1":
        return web.json_response({"allow": False, "reason": "nobody ordered it"})
    return web.json_response({"allow": True, "metadata": {"site": "Ulm"}})


async def test_a_hook_decides_who_comes_in_and_operators_read_why(tmp_path: Path) -> None:
    async with (
        serving(orders) as service,
        opened(tmp_path) as gateway,
        Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator,
        aiohttp.ClientSession() as device,
    ):
        hook = {"url": service.url, "secret": SECRET}
        profile = await operator.post("/v1/profiles", {"name": "meters", "hook": hook})
        claim = {"provisionDeviceKey": profile["provision_key"], "provisionDeviceSecret": profile["provision_secret"]}
        url = f"http://{gateway.listening.http[0]}/api/v1/provision"
        told = {}
        for name in ("meter-1", "meter-2"):
            async with device.post(url, json=claim | {"deviceName": name}) as answer:
                told[name] = await answer.json()
        refused = [event for event in await operator.all("/v1/events") if event["check"] == "hook.refused"]
        known = await operator.device("meter-1")
    assert {name: answer["status"] for name, answer in told.items()} == {"meter-1": "SUCCESS", "meter-2": "FAILURE"}
    assert "ordered" not in str(told)
    assert [(event["device_name"], "nobody ordered it" in event["detail"]) for event in refused] == [("meter-2", True)]
    assert known is not None
    assert known["metadata"] == {"site": "Ulm"}
    assert [(asked["protocol"], asked["decision"]) for asked in service.asked] == [("http", "create")] * 2
