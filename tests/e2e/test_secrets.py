"""Secrets stay secret: whatever goes right or wrong, none is found in a file, a log, a figure, an event or a `repr`."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.app import Running, build
from adapters.config import describe, from_environment
from adapters.listeners import Listening
from tests.e2e.gateways import environment
from tests.e2e.operator_api import Operator
from tests.e2e.process import Served, files_in
from tests.e2e.secret_configurations import ENCRYPT_KEY, configure
from tests.protocols.scenario_clients import PROVISION, Aiocoap, Aiohttp, Client, Login, PathClient
from tests.protocols.scenario_mqtt_clients import Paho
from tests.protocols.world import Known

MASTER_KEY = "a7c3e1f09b5d2846" * 4
ADMIN_TOKEN = "marked-admin-token-of-the-gateway"
METERS = Known("meters-key-0000000000", "marked-provision-secret")
SAME = Known("same-key-000000000000", "marked-repeatable-secret")
FACTORY = Known("factory-key-000000000", "marked-factory-secret")
PATHS: tuple[PathClient, ...] = (Aiohttp(), Aiocoap())
MQTT: tuple[Client, ...] = (Paho("mqttv311", username="provision"), Paho("mqttv5", client_id="provision"))
EVERYBODY: tuple[Client, ...] = (*PATHS, *MQTT)
SETTINGS = {"ADMIN_TOKEN": ADMIN_TOKEN, "MASTER_KEY": MASTER_KEY, "BOOTSTRAP_ENCRYPT_KEY": ENCRYPT_KEY}


class Marks:
    """Every secret that was used, in all the ways it could be written down."""

    def __init__(self) -> None:
        self._texts = {MASTER_KEY, ADMIN_TOKEN, ENCRYPT_KEY, METERS.secret, SAME.secret, FACTORY.secret}

    def add(self, text: str) -> str:
        """Remember a secret, and return it to be used."""
        self._texts.add(text)
        return text

    def found_in(self, content: bytes) -> list[str]:
        return [text for text in sorted(self._texts) if any(form in content for form in _forms(text))]


def _forms(text: str) -> Iterator[bytes]:
    raw = text.encode()
    yield raw
    yield raw.hex().encode()
    yield text.encode("utf-16-le")
    yield base64.b64encode(raw).rstrip(b"=")[:-1]
    yield json.dumps(text)[1:-1].encode()
    if text == MASTER_KEY:
        yield bytes.fromhex(text)


@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_secret_is_found_anywhere(tmp_path: Path, form: str) -> None:
    marks = Marks()
    async with Served(tmp_path, LOG_FORMAT=form, LOG_LEVEL="debug", LOG_LINES="10000", **SETTINGS) as served:
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            await operate(operator, marks)
            await provision(served.listening, marks)
            await log_in(served.listening, marks)
            await stumble(served.listening, marks)
            await stray(served.listening, marks)
            await configure(operator, served.listening, marks.add)
            shown = [await operator.ask("GET", path) for path in ("/metrics", "/openapi.json", "/v1/profiles", "/v1/devices")]
            shown += [await operator.ask("GET", f"/v1/events?limit=1000&newest={newest}") for newest in ("true", "false")]
            shown += [
                await operator.ask("GET", path) for path in ("/v1/tokens", "/v1/devices:export", "/v1/configs", "/health")
            ]
            for answer in shown:
                assert answer.status == 200
                assert marks.found_in(answer.body) == []
        look_at_files(tmp_path, marks)  # the write-ahead log is full
        served.stop()
        assert await served.ended() == 0
    look_at_files(tmp_path, marks)  # the write-ahead log is in the file
    assert "Traceback" not in served.log()
    assert served.log().count("refused") > 20


def look_at_files(folder: Path, marks: Marks) -> None:
    found = {path.name: marks.found_in(path.read_bytes()) for path in files_in(folder)}
    assert {name: texts for name, texts in found.items() if texts} == {}
    assert {"firstlight.db", "log"} <= found.keys()
    # What is no secret is in clear, or the search would prove nothing.
    assert any(b"searchable-device" in path.read_bytes() for path in files_in(folder))


async def operate(operator: Operator, marks: Marks) -> None:
    """Let operators handle secrets, rightly and wrongly."""
    for name, known, rule in (
        ("meters", METERS, {}),
        ("same", SAME, {"reprovision": "same"}),
        ("factory", FACTORY, {"strategy": "pre_provisioned"}),
    ):
        body = {"name": name, "provision_key": known.key, "provision_secret": known.secret, **rule}
        await operator.post("/v1/profiles", body)
    drawn = await operator.post("/v1/profiles", {"name": "drawn"})
    marks.add(drawn["provision_secret"])
    rotated = await operator.post("/v1/profiles/drawn/rotate", {})
    marks.add(rotated["provision_secret"])
    marks.add((await operator.post("/v1/tokens", {"name": "line-4", "role": "factory"}))["token"])
    basic = {"type": "mqtt_basic", "username": "u-f", "password": marks.add("marked-factory-password")}
    await operator.post("/v1/devices", {"name": "expected-basic", "profile": "factory", "credential": basic})
    token = {"type": "access_token", "token": marks.add("marked-factory-token")}
    await operator.post("/v1/devices", {"name": "expected-token", "profile": "factory", "credential": token})
    device = await operator.post("/v1/devices", {"name": "expected-drawn", "profile": "factory"})
    marks.add(device["credentials"][0]["token"])
    fetched = await operator.get(f"/v1/devices/{device['id']}/credentials")
    assert fetched["items"][0]["token"] == device["credentials"][0]["token"]
    marks.add((await operator.post(f"/v1/devices/{device['id']}/credentials", {}))["items"][0]["token"])
    row = {"line": 1, "name": "imported", "credential": {"type": "access_token", "token": marks.add("marked-imported-token")}}
    bad = {"line": 2, "name": "", "credential": {"type": "access_token", "token": marks.add("marked-token-of-a-bad-row")}}
    await operator.post("/v1/devices:import", {"profile": "factory", "devices": [row, bad, {**row, "line": 3, "name": "x"}]})
    await blunder(operator, marks)


async def blunder(operator: Operator, marks: Marks) -> None:
    """Let operators make mistakes with secrets in them."""
    for body in (
        {"name": "short", "provision_secret": "marked"},
        {"name": "meters", "provision_secret": marks.add("marked-secret-of-a-taken-name")},
        {"name": 1, "provision_secret": marks.add("marked-secret-beside-a-fault")},
        {"name": "x", "provision_secret": [marks.add("marked-secret-in-a-list")]},
    ):
        assert (await operator.ask("POST", "/v1/profiles", body)).status in (400, 409)
    taken = {"type": "access_token", "token": "marked-factory-token"}
    answer = await operator.ask("POST", "/v1/devices", {"name": "other", "profile": "factory", "credential": taken})
    assert answer.status == 409


async def provision(where: Listening, marks: Marks) -> None:
    """Let devices in, over everything, with drawn, proposed and stored credentials."""
    for place, client in enumerate(EVERYBODY):
        for known, fields in (
            (METERS, {"deviceName": f"searchable-device-{place}"}),
            (METERS, {"token": marks.add(f"marked-own-token-{place}")}),
            (METERS, basic(f"u-{place}", marks.add(f"marked-own-password-{place}"))),
            (SAME, {"deviceName": f"same-{place}"}),
            (SAME, basic(f"v-{place}", marks.add(f"marked-kept-password-{place}"))),
        ):
            answer = json.loads((await client.provision(where, json.dumps(known.claim(**fields)).encode())).body)
            assert answer["status"] == "SUCCESS"
            value = answer["credentialsValue"]
            marks.add(value if isinstance(value, str) else value["password"])
    for name in ("expected-basic", "expected-token", "expected-drawn"):
        await PATHS[0].provision(where, json.dumps(FACTORY.claim(deviceName=name)).encode())


def basic(username: str, password: str) -> dict[str, Any]:
    return {"credentialsType": "MQTT_BASIC", "username": username, "password": password}


async def log_in(where: Listening, marks: Marks) -> None:
    """Let devices log in, with what is right and what is wrong."""
    wrong = marks.add("marked-wrong-token")
    for visitor in PATHS:
        for token in ("marked-own-token-0", wrong):
            await visitor.report(where, Login(token=token), "telemetry", b'{"a":1}')
            await visitor.read_attributes(where, Login(token=token))
    for client in MQTT:
        for login in (
            Login(username="marked-own-token-1"),
            Login(username=wrong),
            Login(client_id=wrong),
            Login(username="u-1", password="marked-own-password-1"),
            Login(username="u-1", password=marks.add("marked-wrong-password")),
            Login(username="nobody", client_id="c", password=marks.add("marked-password-of-nobody")),
            Login(username="provision", password=marks.add("marked-ignored-password")),
        ):
            await client.report(where, login, "telemetry", b"{}")


async def stumble(where: Listening, marks: Marks) -> None:
    """Let devices ask for what they are not given."""
    wrong = {**METERS.claim(), "provisionDeviceSecret": marks.add("marked-wrong-secret")}
    for client in EVERYBODY:
        for body in (
            wrong,
            METERS.claim(deviceName="searchable-device-0", token=marks.add("marked-token-of-a-taken-name")),
            METERS.claim(token="marked-factory-token"),
            METERS.claim(credentialsType="PASSPORT", token=marks.add("marked-token-of-no-type")),
            METERS.claim(deviceName={}, **basic("u", marks.add("marked-password-beside-a-fault"))),
            METERS.claim(credentialsType="MQTT_BASIC", password=marks.add("marked-password-alone")),
            METERS.claim(token=marks.add("marked-token\nof-two-lines")),
            [wrong],
        ):
            assert b'"SUCCESS"' not in (await client.provision(where, json.dumps(body).encode())).body
        await client.provision(where, json.dumps(wrong).encode()[:-1])
        await client.provision(where, json.dumps(wrong).encode() + b"\xff")


async def stray(where: Listening, marks: Marks) -> None:
    """Let strangers put secrets where they do not belong."""
    lost = marks.add("marked-secret-that-is-lost")
    for client in PATHS:
        for method, path in (
            ("PUT", f"/api/v1/{lost}/telemetry"),
            ("GET", f"/api/v1/{lost}"),
            ("POST", f"/{lost}/{lost}?{lost}={lost}"),
            ("POST", f"{PROVISION}?auth={lost}"),
            ("POST", f"/api/v1/{lost}/telemetry"),
        ):
            await client.ask(where, method, path, b"not json: " + lost.encode())
    for bearer in (lost, marks.add("marked-wrong-bearer"), ""):
        async with Operator(where.http[0], bearer) as stranger:
            assert (await stranger.ask("GET", f"/v1/devices?name={lost}")).status == 401


async def test_a_secret_in_the_wrong_field_is_not_kept(gateway: Running, operator: Operator) -> None:
    for field in ("strategy", "reprovision", "options", "provision_secrte"):
        body = {"name": "x", field: ["marked-misplaced-secret"] if field == "options" else "marked-misplaced-secret"}
        assert (await operator.ask("POST", "/v1/profiles", body)).status == 400
    assert "marked-misplaced-secret" not in json.dumps(await operator.all("/v1/events"))


def test_no_secret_is_in_what_describes_the_settings(tmp_path: Path) -> None:
    config = from_environment(environment(tmp_path, **SETTINGS))
    marks = Marks()
    assert marks.found_in(repr(config).encode()) == []
    assert marks.found_in(repr(describe(config)).encode()) == []
    assert marks.found_in(repr(vars(build(config))).encode()) == []


def test_secrets_are_taken_out_of_the_environment(tmp_path: Path) -> None:
    environ = environment(tmp_path, **SETTINGS)
    from_environment(environ)
    assert Marks().found_in(repr(environ).encode()) == []
