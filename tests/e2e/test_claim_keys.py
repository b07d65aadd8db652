"""A claim key that leaks, as a whole gateway meets it: its budget over three protocols, its end, and devices that left."""

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

import aiohttp

from adapters.app import Running
from adapters.listeners import Listening
from tests.e2e.load import over_coap, over_http, over_mqtt
from tests.e2e.operator_api import Operator

EVERY_WAY = (over_http, over_coap, over_mqtt)
BUDGET = 100
SECRET = "a secret that leaks"


async def made(operator: Operator, name: str, **claims: Any) -> str:
    """Make a profile and return its claim key."""
    profile = await operator.post("/v1/profiles", {"name": name, "provision_secret": SECRET, "claims": claims})
    key: str = profile["provision_key"]
    return key


def request(key: str, name: str) -> bytes:
    return json.dumps({"deviceName": name, "provisionDeviceKey": key, "provisionDeviceSecret": SECRET}).encode()


async def asked(where: Listening, key: str, name: str) -> dict[str, Any]:
    async with over_http(where) as ask:
        answer: dict[str, Any] = json.loads(await ask(request(key, name)))
        return answer


async def log_in(where: Listening, token: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{where.http[0]}/api/v1/{token}/attributes") as response,
    ):
        return response.status


async def test_of_two_hundred_at_once_over_three_protocols_as_many_get_in_as_may(gateway: Running, operator: Operator) -> None:
    key = await made(operator, "leaking", budget=BUDGET)
    async with contextlib.AsyncExitStack() as stack:
        ways = [EVERY_WAY[number % len(EVERY_WAY)] for number in range(2 * BUDGET)]
        asks = [await stack.enter_async_context(way(gateway.listening)) for way in ways]
        answers = await asyncio.gather(*(ask(request(key, f"leak-{number}")) for number, ask in enumerate(asks)))
    assert Counter(json.loads(answer)["status"] for answer in answers) == {"SUCCESS": BUDGET, "FAILURE": BUDGET}
    assert (await operator.get("/v1/profiles/leaking"))["claims"]["made"] == BUDGET
    refused = [
        each for each in await operator.all("/v1/events") if (each["device_name"] or "").startswith("leak-") and each["check"]
    ]
    assert Counter(each["check"] for each in refused) == {"claim.budget": BUDGET}
    assert {each["protocol"] for each in refused} <= {"http", "coap", "mqtt"}


async def test_a_key_that_is_burned_ends_and_its_devices_go_on(gateway: Running, operator: Operator) -> None:
    key = await made(operator, "burning")
    before = await asked(gateway.listening, key, "burn-1")
    assert before["status"] == "SUCCESS"
    burned = await operator.post("/v1/profiles/burning/burn", None)
    assert burned["claims"]["burned_at"] is not None
    wrong = await asked(gateway.listening, "no such key", "burn-2")
    assert await asked(gateway.listening, key, "burn-2") == wrong
    assert (await operator.newest_event())["check"] == "claim.burned"
    assert await log_in(gateway.listening, before["credentialsValue"]) == 200
    assert await operator.device("burn-1") is not None


async def test_a_deleted_device_comes_back_once_by_leave(gateway: Running, operator: Operator) -> None:
    key = await made(operator, "leaving")
    assert (await asked(gateway.listening, key, "gone-1"))["status"] == "SUCCESS"
    assert (await operator.ask("DELETE", "/v1/devices/gone-1")).status == 204
    assert (await asked(gateway.listening, key, "gone-1"))["status"] == "FAILURE"
    assert (await operator.newest_event())["check"] == "device.tombstone"
    assert [each["name"] for each in await operator.all("/v1/tombstones")] == ["gone-1"]
    leave = await operator.post("/v1/tombstones/gone-1/leave", {"seconds": 600})
    assert leave["leave_until"] > leave["left_at"]
    assert (await asked(gateway.listening, key, "gone-1"))["status"] == "SUCCESS"
    assert (await operator.ask("DELETE", "/v1/devices/gone-1")).status == 204
    assert (await asked(gateway.listening, key, "gone-1"))["status"] == "FAILURE"
