"""The gateway as a process: how it stops, what it keeps, what it shows of itself."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import stat
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.load import over_coap, over_http, over_mqtt
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, PROGRAM, Served, files_in
from tests.protocols.scenario_clients import Aiocoap, Aiohttp, run
from tests.protocols.world import METERS

PROFILE = {"name": "meters", "provision_key": METERS.key, "provision_secret": METERS.secret}
PROVISION = "/api/v1/provision"


def operator_of(served: Served) -> Operator:
    return Operator(served.listening.http[0], ADMIN_TOKEN)


async def served_with_profile(stack: contextlib.AsyncExitStack, folder: Path, **settings: str) -> tuple[Served, Operator]:
    """Start a gateway with one profile, and its operator."""
    served = await stack.enter_async_context(Served(folder, **settings))
    operator = await stack.enter_async_context(operator_of(served))
    await operator.post("/v1/profiles", PROFILE)
    return served, operator


def slow_request(number: int) -> bytes:
    """Return a request that takes a while: its password is stretched, a few at a time."""
    basic = {"credentialsType": "MQTT_BASIC", "username": f"u-{number}", "password": "p"}
    return json.dumps(METERS.claim(deviceName=f"slow-{number}", **basic)).encode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_running_requests_finish(tmp_path: Path, number: signal.Signals) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served, _ = await served_with_profile(stack, tmp_path)
        ways = (over_http, over_http, over_coap, over_mqtt) * 4
        asks = [await stack.enter_async_context(connect(served.listening)) for connect in ways]
        running = [asyncio.ensure_future(ask(slow_request(place))) for place, ask in enumerate(asks)]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
        served.stop(number)
        answers = [json.loads(await answer) for answer in running]
        assert await served.ended() == 0
    assert {answer["status"] for answer in answers} == {"SUCCESS"}
    assert '"event": "stopped"' in served.log().splitlines()[-1]
    assert "rror" not in served.log()


async def test_a_stop_waits_for_nobody_longer_than_the_deadline(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served, _ = await served_with_profile(stack, tmp_path, DRAIN_SECONDS="0")
        ask = await stack.enter_async_context(over_http(served.listening))
        running = [asyncio.ensure_future(ask(slow_request(place))) for place in range(30)]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
        served.stop()
        assert await served.ended() == 0
        await asyncio.gather(*running, return_exceptions=True)
    assert "stopped before every request was answered" in served.log()


async def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served, operator = await served_with_profile(stack, tmp_path)
        reply = await Aiohttp().provision(served.listening, json.dumps(METERS.claim(deviceName="new-1")).encode())
        token = json.loads(reply.body)["credentialsValue"]
        events = await operator.all("/v1/events")
        served.stop()
        assert await served.ended() == 0
    async with Served(tmp_path) as served, operator_of(served) as operator:
        assert await operator.all("/v1/events") == events
        assert (await Aiohttp().ask(served.listening, "GET", f"/api/v1/{token}/attributes")).said == "200 application/json"
        assert (await operator.device("new-1") or {})["state"] == "connected"


async def test_memory_forgets_and_says_so(tmp_path: Path) -> None:
    for _ in range(2):
        async with contextlib.AsyncExitStack() as stack:
            served, operator = await served_with_profile(stack, tmp_path, DATABASE="memory:")
            assert await operator.all("/v1/devices") == []
            reply = await Aiohttp().provision(served.listening, json.dumps(METERS.claim(deviceName="new-1")).encode())
            assert json.loads(reply.body)["status"] == "SUCCESS"
        assert "memory: forgets every device when the gateway stops" in served.log()
    assert [path for path in files_in(tmp_path) if ".db" in path.name] == []


async def test_secrets_and_registry_are_nobody_elses_to_read(tmp_path: Path) -> None:
    async with Served(tmp_path, ADMIN_TOKEN=None, MASTER_KEY=None) as served:
        assert served.log().count("a secret was made for the first start") == 2
        data = tmp_path / "data"
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    assert modes.keys() >= {"master-key", "admin-token", "firstlight.db", "firstlight.db-wal"}
    assert set(modes.values()) == {0o600}


async def test_health_and_figures_need_no_token(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served, _ = await served_with_profile(stack, tmp_path)
        await Aiohttp().provision(served.listening, json.dumps(METERS.claim()).encode())
        stranger = await stack.enter_async_context(Operator(served.listening.http[0], ""))
        assert (await stranger.ask("GET", "/healthz")).body == b"ok\n"
        assert (await stranger.ask("GET", "/readyz")).body == b"ready\n"
        figures = await stranger.figures()
        sample = 'firstlight_requests_total{dialect="thingsboard",operation="provision",outcome="ok",protocol="http"}'
        assert figures[sample] == 1
        assert (await stranger.ask("GET", "/metrics")).headers["content-type"].startswith("text/plain; version=0.0.4")
        assert (await stranger.ask("GET", "/openapi.json")).status == 200
        assert (await stranger.ask("GET", "/v1/devices")).status == 401


async def test_not_ready_while_the_registry_cannot_be_written(tmp_path: Path) -> None:
    body = json.dumps(METERS.claim(deviceName="new-1")).encode()
    async with contextlib.AsyncExitStack() as stack:
        served, operator = await served_with_profile(stack, tmp_path)
        with contextlib.closing(sqlite3.connect(tmp_path / "data/firstlight.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # what a careless tool does to the file
            ready, over_http_reply, over_coap_reply = await asyncio.gather(
                operator.ask("GET", "/readyz"),
                Aiohttp().provision(served.listening, body),
                Aiocoap().provision(served.listening, body),
            )
            assert (ready.status, ready.body) == (503, b"the registry cannot be used now\n")
            assert over_http_reply.said == "503 application/json"
            assert over_coap_reply.said == "5.03"
            assert (await operator.ask("GET", "/healthz")).status == 200
            other.execute("ROLLBACK")
        assert (await operator.ask("GET", "/readyz")).status == 200
        assert json.loads((await Aiohttp().provision(served.listening, body)).body)["status"] == "SUCCESS"
    assert "Traceback" not in served.log()


async def test_the_id_of_a_refused_request_leads_to_the_check_that_refused(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served, operator = await served_with_profile(stack, tmp_path)
        wrong = {**METERS.claim(deviceName="new-1"), "provisionDeviceSecret": "wrong"}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with session.post(f"http://{served.listening.http[0]}{PROVISION}", json=wrong) as response:
            correlation = response.headers["X-Request-ID"]
            assert (await response.json())["status"] == "NOT_FOUND"
        (event,) = await operator.all(f"/v1/events?correlation={correlation}")
        assert (event["kind"], event["check"], event["device_name"]) == ("provision.refused", "claim.secret", "new-1")
        assert event["protocol"] == "http"
        assert event["source"] == "127.0.0.1"
        (line,) = [line for line in served.log().splitlines() if correlation in line]
        assert json.loads(line)["check"] == "claim.secret"
        environ = ["env", f"FIRSTLIGHT_URL=http://{served.listening.http[0]}", f"FIRSTLIGHT_TOKEN={ADMIN_TOKEN}"]
        shown = (await run(*environ, str(PROGRAM), "explain", correlation)).decode()
    assert "claim.secret" in shown
    assert METERS.secret not in shown
