"""Two whole gateways over one PostgreSQL: what is done at one counts at the other."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiocoap
import aiohttp
import aiomqtt
import pytest
from OpenSSL import SSL
from structlog.testing import capture_logs

from adapters.app import Running
from core.crypto.challenges import ExchangeKeys, Parties
from core.model import Secret
from tests.dtls.dtls_peers import DtlsDevice
from tests.e2e.test_configuration_push import KEY, coap_client, coap_url, configured, mqtt_client, next_message
from tests.e2e.test_sessions_end import client, ended
from tests.oscore.devices import OSCORE, Protecting
from tests.oscore.test_oscore_gateway import REPORT, enter
from tests.postgres_server import PostgresServer
from tests.protocols.coap_peers import CON, GET, message
from tests.replicas.gateways import DEADLINE, Replica, comes_true, replica, replicas, until

ID = "pump-17"
CLAIM, SECRET = "meters-key-0000000000", "meters-secret-0000000"
PROFILE = {"name": "meters", "provision_key": CLAIM, "provision_secret": SECRET, "strategy": "create_new"}
Pair = list[Replica]


@pytest.fixture
async def pair(database: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two gateways that know of each other."""
    async with replicas(database, tmp_path, COAPS="127.0.0.1:0") as made:
        yield made


async def shut(replica: Replica, device: str) -> None:
    assert (await replica.operator.ask("DELETE", f"/v1/devices/{device}/credentials")).status == 204


async def test_whoever_is_shut_out_at_one_is_disconnected_at_the_other(pair: Pair) -> None:
    one, other = pair
    await one.operator.post("/v1/profiles", {"name": "gauges"})
    credential = {"type": "client_secret", "secret": SECRET}
    dtls = await one.operator.post("/v1/devices", {"name": "g-2", "profile": "gauges", "credential": credential})
    made = [await one.operator.post("/v1/devices", {"name": f"gauge-{n}", "profile": "gauges"}) for n in range(2)]
    tokens = [device["credentials"][0]["token"] for device in made]
    secured = await DtlsDevice(other.running.listening.coaps[0].port, dtls["id"].encode(), SECRET).connect()
    assert (await secured.ask(message(CON, GET, 1, path="nowhere"))).dotted == "4.04"
    async with client(other.running, tokens[1], None) as bystander, asyncio.timeout(DEADLINE):
        try:
            async with client(other.running, tokens[0], None) as device:
                await shut(one, made[0]["id"])
                await ended(device)
        except aiomqtt.MqttError:
            pass  # the client says so again when it leaves
        await shut(one, dtls["id"])
        with pytest.raises(SSL.ZeroReturnError):
            await secured.receive()
        await bystander.publish("v1/devices/me/telemetry", b"{}", qos=1)
    secured.close()


async def test_a_configuration_that_is_changed_at_one_is_pushed_by_the_other(pair: Pair) -> None:
    one, other = pair
    identity = await configured(one.operator)
    topic = "clients/bootstrap/aa:bb"
    async with coap_client() as context, mqtt_client(other.running) as device, asyncio.timeout(DEADLINE):
        await device.subscribe(f"{topic}/response", qos=1)
        await device.publish(f"{topic}/request", json.dumps({"authorization": KEY}), qos=1)
        assert (await next_message(device))[1]["content"] == "first"
        uri = coap_url(other.running, f"{topic}/version")
        request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
        assert json.loads((await request.response).payload)["version"] == 1
        notifications = aiter(request.observation)
        await one.operator.patch(f"/v1/configs/{identity}", {"content": "second"})
        assert (await next_message(device))[1]["content"] == "second"
        assert json.loads((await anext(notifications)).payload)["version"] == 2
        request.observation.cancel()


async def post(where: Replica, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Ask as a device does, over HTTP."""
    url = f"http://{where.running.listening.http[0]}{path}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as response:
        return response.status, await response.json()


async def proven(where: Replica) -> dict[str, str]:
    """Ask for a challenge at one gateway and return what proves the key with it, for any."""
    nonce = os.urandom(32)
    fields = {"external_id": ID, "nonce": base64.b64encode(nonce).decode()}
    status, offered = await post(where, "/v1/bootstrap/challenge", fields)
    assert status == 200
    challenge, server_nonce = (base64.b64decode(offered[name]) for name in ("challenge", "nonce"))
    proof = ExchangeKeys(Secret(KEY), Parties(ID, nonce, server_nonce)).prove(challenge)
    return fields | {"challenge": offered["challenge"], "proof": base64.b64encode(proof).decode()}


async def test_a_challenge_of_one_is_answered_at_the_other_and_spent_for_both(pair: Pair) -> None:
    one, other = pair
    await one.operator.post("/v1/configs", {"external_id": ID, "external_key": KEY, "content": "x"})
    proof = await proven(one)
    at_once = await asyncio.gather(*(post(each, "/v1/bootstrap", proof) for each in (one, other) * 3))
    assert sorted(status for status, _ in at_once) == [200, 403, 403, 403, 403, 403]
    for each in pair:
        assert (await post(each, "/v1/bootstrap", proof))[0] == 403


async def test_one_key_at_both_at_once_makes_one_device_and_one_answer(pair: Pair) -> None:
    await pair[0].operator.post("/v1/profiles", PROFILE | {"reprovision": "rotate"})
    claim = {"deviceName": "meter-1", "provisionDeviceKey": CLAIM, "provisionDeviceSecret": SECRET}
    key = {"Idempotency-Key": '"k-1"'}
    answers = await asyncio.gather(*(post(each, "/api/v1/provision", claim, **key) for each in pair * 4))
    answers += [await post(each, "/api/v1/provision", claim, **key) for each in pair]
    assert {answer["status"] for _, answer in answers} == {"SUCCESS"}
    assert len({answer["credentialsValue"] for _, answer in answers}) == 1
    (device,) = await pair[1].operator.all("/v1/devices")
    events = await pair[0].operator.all(f"/v1/events?device={device['id']}")
    assert [event["kind"] for event in events].count("provision.succeeded") == 1
    for each in pair:
        other = await post(each, "/api/v1/provision", claim | {"deviceName": "meter-2"}, **key)
        assert other[1]["status"] != "SUCCESS"
    assert len(await pair[1].operator.all("/v1/devices")) == 1


async def logs_in(where: Running, token: str) -> bool:
    try:
        async with client(where, token, None):
            return True
    except aiomqtt.MqttError:
        return False


async def test_wrong_secrets_at_one_count_at_the_other(database: str, tmp_path: Path) -> None:
    limits = {"LIMIT_FAILURES": "0.001:8", "LIMIT_SOURCE": "0.001:6", "LIMIT_CLAIM_KEY": "0.001:1000"}
    async with replicas(database, tmp_path, **limits) as (one, other):
        await one.operator.post("/v1/profiles", PROFILE)
        for number in range(8):
            assert not await logs_in(one.running, f"a wrong token {number:04}")
        numbers = itertools.count()

        async def is_locked() -> bool:
            # A new device each time: one that got in from there may always come again.
            made = await one.operator.post("/v1/devices", {"name": f"d-{next(numbers)}", "profile": "meters"})
            return not await logs_in(other.running, made["credentials"][0]["token"])

        await comes_true(is_locked)
        claim = {"deviceName": "meter-1", "provisionDeviceKey": CLAIM, "provisionDeviceSecret": SECRET}
        for number in range(6):
            await post(one, "/api/v1/provision", claim | {"deviceName": f"meter-{number}"})
        await until(lambda: waits_for(other, "provision.sources"))
        await post(other, "/api/v1/provision", claim | {"deviceName": "meter-9"})
        names = {device["name"] for device in await one.operator.all("/v1/devices")}
        assert "meter-5" in names
        assert "meter-9" not in names


def waits_for(where: Replica, word: str) -> float:
    """Return how long a gateway has the devices of this machine wait, as far as it has heard."""
    company = where.running.company
    assert company is not None
    buckets = company.tallies._sets[word]._buckets
    assert buckets is not None
    return buckets.wait("127.0.0.1", where.running.issuer.clock.monotonic())


async def test_who_is_connected_to_one_is_shown_as_connected_by_the_other(pair: Pair) -> None:
    one, other = pair
    await one.operator.post("/v1/profiles", {"name": "gauges"})
    made = await one.operator.post("/v1/devices", {"name": "gauge", "profile": "gauges"})

    async def shown() -> list[bool]:
        path = f"/api/v1/devices/{made['id']}?accountId=default"
        return [bool((await each.operator.get(path))["device"]["connected"]) for each in pair]

    assert await shown() == [False, False]
    async with client(other.running, made["credentials"][0]["token"], None):
        assert await shown() == [True, True]
        found = await one.operator.get("/api/v1/devices?accountId=default")
        assert [each["connected"] for each in found["devices"]["results"]] == [True]

    async def is_gone() -> bool:
        return not any(await shown())

    await comes_true(is_gone)


async def test_three_that_start_at_once_on_a_new_registry_all_serve(database: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        starting = (replica(database, tmp_path / str(n), DEVICE_LIMIT="2") for n in range(3))
        made = await asyncio.gather(*map(stack.enter_async_context, starting))
        await until(lambda: all(each.seen == 2 for each in made))
        await made[0].operator.post("/v1/profiles", {"name": "gauges"})
        asking = (
            each.operator.ask("POST", "/v1/devices", {"name": f"d-{n}", "profile": "gauges"}) for n, each in enumerate(made)
        )
        assert sorted(answer.status for answer in await asyncio.gather(*asking)) == [201, 201, 409]


async def test_a_replica_that_leaves_is_not_waited_for(database: str, tmp_path: Path) -> None:
    async with replica(database, tmp_path / "one") as one:
        async with replica(database, tmp_path / "other") as other:
            await until(lambda: one.seen == other.seen == 1)
        await until(lambda: one.seen == 0)


async def test_while_nothing_is_notified_it_arrives_all_the_same(pair: Pair, postgres: PostgresServer, database: str) -> None:
    one, other = pair
    await one.operator.post("/v1/profiles", {"name": "gauges"})
    made = await one.operator.post("/v1/devices", {"name": "gauge", "profile": "gauges"})
    name = database.rpartition("/")[2]
    async with asyncio.timeout(DEADLINE):
        try:
            async with client(other.running, made["credentials"][0]["token"], None) as device:
                # Who would be notified, and who would notify, are cut off at the moment of the change.
                gone = "application_name = 'firstlight replica'"
                postgres.sql(
                    name, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {gone} AND datname = '{name}'"
                )
                await shut(one, made["id"])
                await ended(device)
        except aiomqtt.MqttError:
            pass  # the client says so again when it leaves
    await until(lambda: all(each.figure("replicas.up") for each in pair))


class Captured(NamedTuple):
    """A request as somebody heard it, and what its answer is opened with."""

    raw: bytes
    asked: Any


async def replayed(device: Protecting, captured: Captured) -> aiocoap.Message:
    """Send what was heard to a gateway, as a message of its own, and return what is in the answer."""
    device.asked = captured.asked
    answer = await device.ask(captured.raw[:2] + os.urandom(2) + captured.raw[4:])
    return device.opened(answer.raw) if OSCORE in answer.options else aiocoap.Message.decode(answer.raw)


async def report(device: Protecting, version: int, **options: Any) -> Captured:
    """Send a protected report that is taken, and return what everybody on its way has heard."""
    raw = device.request(payload=json.dumps({"version": str(version)}).encode(), **REPORT, **options)
    assert device.opened((await device.ask(raw)).raw).code.is_successful()
    return Captured(raw, device.asked)


async def moved(device: Protecting) -> Captured:
    """Speak through another gateway than before, and return the last request that it took."""
    challenge = await device.fetch(payload=b"{}", **REPORT)
    assert challenge.code == aiocoap.UNAUTHORIZED
    await report(device, 2, echo=challenge.opt.echo)
    return await report(device, 3)


async def test_a_captured_request_is_taken_by_no_gateway_again(pair: Pair) -> None:
    await enter(pair[0].running)
    ports = [each.running.listening.coap[0].port for each in pair]
    first, second = (Protecting(port) for port in ports)
    second.keys = first.keys
    captured = await report(first, 1)
    challenge = await replayed(second, captured)  # it may be new, for all this gateway knows: it has to prove that
    assert (challenge.code, challenge.opt.echo is None) == (aiocoap.UNAUTHORIZED, False)
    for here, there in ((first, second), (second, first)):
        # The window of the gateway spoken to before has never seen this request, and is worth nothing any more.
        captured = await moved(there)
        for device in (here, there):
            assert (await replayed(device, captured)).code == aiocoap.UNAUTHORIZED
    for device in (first, second):
        device.close()


async def test_a_clock_that_differs_is_told_once(database: str, tmp_path: Path) -> None:
    async with replica(database, tmp_path / "one") as one:
        company = one.running.company
        assert company is not None
        with capture_logs() as lines:
            for ahead in (0.1, -30.0, -31.0, 0.0, 30.0):
                company._mind_the_clock(ahead)
    assert [line["seconds"] for line in lines if "clock" in line["event"]] == [-30.0, 30.0]


async def test_figures_tell_operators_of_the_others(pair: Pair) -> None:
    async def counted() -> bool:
        shown = (await pair[0].operator.ask("GET", "/metrics")).body.decode()
        return 'level="replicas.seen"} 2.0' in shown and 'level="replicas.up"} 1.0' in shown

    await comes_true(counted)
