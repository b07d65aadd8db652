"""What is bounded, hit from outside: limits on devices, attempts, requests under way, logins, events, log lines."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiocoap
import aiohttp

from adapters.app import Running
from adapters.listeners import Listening
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS
from tests.protocols.scenario_clients import Aiocoap, Aiohttp, Client, Login, Reply
from tests.protocols.scenario_mqtt_clients import Paho
from tests.protocols.world import METERS

EVERYBODY: tuple[Client, ...] = (
    Aiohttp(),
    Aiocoap(),
    Paho("mqttv311", username="provision"),
    Paho("mqttv5", username="provision"),
)
PROFILE = {"name": "meters", "provision_key": METERS.key, "provision_secret": METERS.secret}


def request(name: str, **fields: Any) -> bytes:
    return json.dumps(METERS.claim(deviceName=name, **fields)).encode()


def operator_of(running: Running) -> Operator:
    return Operator(running.listening.http[0], ADMIN_TOKEN)


async def provision(where: Listening, client: Client, name: str, **fields: Any) -> str:
    status: str = json.loads((await client.provision(where, request(name, **fields))).body)["status"]
    return status


async def test_row_35_the_tenants_device_limit(tmp_path: Path) -> None:
    async with opened(tmp_path, DEVICE_LIMIT="2") as running, operator_of(running) as operator:
        await operator.post("/v1/profiles", PROFILE)
        statuses = [await provision(running.listening, client, f"new-{place}") for place, client in enumerate(EVERYBODY)]
        assert statuses == ["SUCCESS", "SUCCESS", "FAILURE", "FAILURE"]
        assert (await operator.newest_event())["check"] == "tenant.device_limit"
        answer = await operator.ask("POST", "/v1/devices", {"name": "new-9", "profile": "meters"})
        assert answer.status in (403, 409)
        assert len(await operator.all("/v1/devices")) == 2
    async with opened(tmp_path, DEVICE_LIMIT="3") as running:
        assert await provision(running.listening, EVERYBODY[2], "new-2") == "SUCCESS"
        assert await provision(running.listening, EVERYBODY[3], "new-3") == "FAILURE"
    async with opened(tmp_path) as running:
        assert await provision(running.listening, EVERYBODY[3], "new-3") == "SUCCESS"


async def test_too_many_requests_under_way(tmp_path: Path) -> None:
    async with opened(tmp_path, REQUESTS_PENDING="0") as running, operator_of(running) as operator:
        replies = [(await client.provision(running.listening, request("new-1"))).said for client in EVERYBODY]
        assert replies == ["503 application/json", "5.03", "closed", "closed 131"]
        logins = [
            await client.report(running.listening, Login(token="t", username="t"), "telemetry", b"{}") for client in EVERYBODY
        ]
        assert [reply.said for reply in logins] == ["503 application/json", "5.03", "refused 3", "refused 136"]
        figures = await operator.figures()
        assert figures['firstlight_bounds_total{bound="requests.pending"}'] == 8
        assert (await operator.ask("GET", "/readyz")).status == 200


async def test_who_is_turned_away_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path, REQUESTS_PENDING="0", REQUESTS_RETRY_SECONDS="7-7") as running:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{running.listening.http[0]}/api/v1/provision", data=request("new-1")) as response,
        ):
            assert (response.status, response.headers["Retry-After"]) == (503, "7")
            assert (await response.json())["errorCode"] == 2
        context = await aiocoap.Context.create_client_context(transports=["simple6"])
        uri = f"coap://{running.listening.coap[0]}/api/v1/provision"
        answer = await context.request(aiocoap.Message(code=aiocoap.POST, uri=uri, payload=request("new-1"))).response
        await context.shutdown()
        assert (answer.code.dotted, answer.opt.max_age) == ("5.03", 7)


async def test_attempts_of_one_source(tmp_path: Path) -> None:
    async with opened(tmp_path, LIMIT_SOURCE="0.001:4") as running, operator_of(running) as operator:
        await operator.post("/v1/profiles", PROFILE)
        assert [await provision(running.listening, client, f"n-{place}") for place, client in enumerate(EVERYBODY)] == [
            "SUCCESS"
        ] * 4
        replies = [await client.provision(running.listening, request("n-9")) for client in EVERYBODY]
        assert [reply.said for reply in replies] == ["429 application/json", "4.29", "closed", "closed 151"]
        assert json.loads(replies[0].body)["errorCode"] == 33
        assert (await operator.newest_event())["check"] == "limit.source"
        assert await operator.device("n-9") is None


async def test_attempts_under_one_key_however_wrong(tmp_path: Path) -> None:
    async with opened(tmp_path, LIMIT_CLAIM_KEY="0.001:2") as running, operator_of(running) as operator:
        await operator.post("/v1/profiles", PROFILE)
        for _ in range(2):
            assert await provision(running.listening, EVERYBODY[0], "n", provisionDeviceSecret="guess") == "NOT_FOUND"
        assert (await EVERYBODY[1].provision(running.listening, request("n"))).said == "4.29"
        other = {"provisionDeviceKey": "another-key"}
        assert await provision(running.listening, EVERYBODY[0], "n", **other) == "NOT_FOUND"


async def test_wrong_logins_of_one_source(tmp_path: Path) -> None:
    async with opened(tmp_path, LIMIT_FAILURES="0.001:3") as running, operator_of(running) as operator:
        await operator.post("/v1/profiles", PROFILE)
        answer = await EVERYBODY[0].provision(running.listening, request("new-1"))
        token = json.loads(answer.body)["credentialsValue"]
        right, wrong = Login(token=token, username=token), Login(token="wrong", username="wrong")
        for _ in range(5):  # those that are right cost nothing
            assert (await EVERYBODY[0].report(running.listening, right, "telemetry", b"{}")).said == "200"
        refused = [await client.report(running.listening, wrong, "telemetry", b"{}") for client in EVERYBODY]
        assert [reply.said for reply in refused] == ["401", "4.01", "refused 5", "refused 159"]
        assert (await operator.newest_event())["check"] == "limit.login"


async def test_a_password_that_too_many_wait_for(tmp_path: Path) -> None:
    """Stretching passwords is slow on purpose: beyond those that may wait, a device is told to come back."""
    async with opened(tmp_path) as running, operator_of(running) as operator:
        await operator.post("/v1/profiles", PROFILE)
        basic = {"credentialsType": "MQTT_BASIC", "password": "p"}
        bodies = [request(f"n-{place}", username=f"u-{place}", **basic) for place in range(100)]
        replies: list[Reply] = await asyncio.wait_for(
            asyncio.gather(*(EVERYBODY[0].provision(running.listening, body) for body in bodies)), PATIENCE_SECONDS
        )
        granted = sum(b'"SUCCESS"' in reply.body for reply in replies)
        assert granted + sum(reply.said == "503 application/json" for reply in replies) == len(replies)
        assert 0 < granted < len(replies)
        assert len(await operator.all("/v1/devices")) == granted


async def test_only_the_newest_events_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as running, operator_of(running) as operator:
        await operator.post("/v1/profiles", PROFILE)
        for place in range(20):
            await provision(running.listening, EVERYBODY[0], f"new-{place}")
        events = await operator.all("/v1/events")
        assert len(events) == 21
    async with opened(tmp_path, EVENTS_KEEP="5") as running, operator_of(running) as operator:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(left := await operator.all("/v1/events")) > 5:  # noqa: ASYNC110 - pruning announces nothing
                await asyncio.sleep(0.02)
        assert left == events[-5:]
        assert len(await operator.all("/v1/devices")) == 20


async def test_refusals_are_recorded_up_to_a_rate(tmp_path: Path) -> None:
    async with opened(tmp_path, LIMIT_EVENTS="0.001:3") as running, operator_of(running) as operator:
        for _ in range(10):
            assert await provision(running.listening, EVERYBODY[0], "n") == "NOT_FOUND"
        assert len(await operator.all("/v1/events")) == 3
