"""What devices read on a wire that is to be protected and is not: each vendor's refusal; and the same over a protected one."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.brokers.paho_device import V5, VERSIONS, Device
from tests.brokers.waiting import until
from tests.dtls.dtls_peers import preshared
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.process import PROGRAM
from tests.e2e.test_from_nothing import signed
from tests.e2e.trusting import READING, Trusting, trusting
from tests.protocols.scenario_cast import needs
from tests.protocols.scenario_clients import Aiocoap, run
from tests.tls.tls_parties import Place

pytestmark = [needs("coap-client-openssl"), needs("coap-client-gnutls")]

Reply = tuple[int | str, str]
PROVISION = "/api/v1/provision"
EXTERNAL_ID, KEY, SECRET = "09:6:0:sb:sa", "the key from the factory", "a secret of twenty and more"
NOT_DONE = "this is not done without TLS, DTLS or OSCORE"
FAILURE = {"errorMsg": "Failed to provision device!", "status": "FAILURE"}
NO_PERMISSION = {"code": 35603, "msg": "Unauthorized to access the resource", "data": None, "requestId": ""}


class World(NamedTuple):
    """What devices have: a claim, the key and password of a group, a token; the id and secret of a device that bootstraps."""

    claim: dict[str, str]
    group: tuple[str, str]
    token: str
    thing: str


async def world_of(there: Trusting, **rules: Any) -> World:
    """Make profiles with these rules, and their devices."""
    post = there.operator.post
    meters = await post("/v1/profiles", {"name": "meters", **rules})
    pumps = await post("/v1/profiles", {"name": "pumps", "strategy": "signed", "reprovision": "same", **rules})
    device = await post("/v1/devices", {"name": "m-1", "profile": "meters"})
    credential = {"type": "client_secret", "secret": SECRET}
    thing = await post("/v1/devices", {"name": "m-2", "profile": "meters", "credential": credential})
    await post("/v1/configs", {"external_id": EXTERNAL_ID, "external_key": KEY, "content": "x", "device": thing["id"]})
    await there.operator.patch(f"/v1/configs/{thing['id']}", {"active": True})
    claim = {"provisionDeviceKey": meters["provision_key"], "provisionDeviceSecret": meters["provision_secret"]}
    return World(claim, (pumps["provision_key"], pumps["provision_secret"]), device["credentials"][0]["token"], thing["id"])


class Wire:
    """One side of a gateway, the protected one or the other, as devices come to it over HTTP, CoAP and MQTT."""

    def __init__(self, there: Trusting, session: aiohttp.ClientSession, *, secure: bool) -> None:
        self._there = there
        self._session = session
        self._secure = secure

    async def http(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        where = self._there.listening
        base = f"https://localhost:{where.https[0].port}" if self._secure else f"http://{where.http[0]}"
        async with self._session.request(method, base + path, json=body, headers=headers) as response:
            return response.status, await response.text()

    async def coap(self, method: str, path: str, body: Any = None, proof: tuple[str, str] = ("", "")) -> Reply:
        sent = "" if body is None else json.dumps(body)
        if self._secure:
            code, _, text = (await self._there.coaps("gnutls", *preshared(*proof), path=path, body=sent)).partition(" ")
            return code, text
        reply = await Aiocoap().ask(self._there.listening, method, path, sent.encode())
        return reply.said.split()[0], reply.body.decode()

    async def asked_as_guest(self, guest: str, topic: str, body: Any, version: Any = V5) -> Reply:
        """Return the acknowledgement and what is published."""
        async with self.device(guest, version=version, filters=(f"{topic}/response",)) as device:
            reason = await device.say(f"{topic}/request", json.dumps(body).encode())
            await until(lambda: device.heard)
            return reason, device.heard[0][1].decode()

    async def login(self, username: str, password: str | None = None, client_id: str = "") -> int:
        async with self.device(username, password, client_id=client_id) as device:
            return device.connacks[0]

    def device(self, username: str, password: str | None = None, **more: Any) -> Device:
        if self._secure:
            return self._there.paho(None, username, password, **more)
        return Device(self._there.listening.mqtt[0].port, username, password, **{"version": V5, "insists": False, **more})


@contextlib.asynccontextmanager
async def wires(there: Trusting) -> AsyncIterator[tuple[Wire, Wire]]:
    """Return both sides, the unprotected one first."""
    trust = aiohttp.TCPConnector(ssl=there.home.client())
    async with aiohttp.ClientSession() as plain, aiohttp.ClientSession(connector=trust) as protected:
        yield Wire(there, plain, secure=False), Wire(there, protected, secure=True)


async def thingsboard(wire: Wire, world: World) -> list[Any]:
    """Provision over everything, and report and log in with a token."""
    claim, key = world.claim, (world.claim["provisionDeviceKey"], world.claim["provisionDeviceSecret"])
    told = [
        await wire.http("POST", PROVISION, claim | {"deviceName": "by-http"}),
        await wire.coap("POST", PROVISION, claim | {"deviceName": "by-coap"}, key),
        *[await wire.asked_as_guest("provision", "/provision", claim | {"deviceName": f"by-{n}"}, n) for n in VERSIONS],
    ]
    report = f"/api/v1/{world.token}/telemetry"
    return [
        *[(code, _told(reply)) for code, reply in told],
        await wire.http("POST", report, json.loads(READING)),
        await wire.coap("POST", report, json.loads(READING), key),
        await wire.login(world.token),
    ]


def _told(reply: Any) -> Any:
    """Return a provisioning reply, without what only one device has."""
    document = json.loads(reply) if isinstance(reply, str) else reply
    return {name: document[name] for name in document if name != "credentialsValue"}


async def magistrala(wire: Wire, world: World) -> list[Any]:
    """Fetch a configuration in Mainflux's and Magistrala's ways, and log in with id and secret."""
    told = [
        await wire.http("GET", f"/things/bootstrap/{EXTERNAL_ID}", Authorization=f"Thing {KEY}"),
        await wire.http("GET", f"/clients/bootstrap/{EXTERNAL_ID}", Authorization=f"Client {KEY}"),
        await wire.coap("GET", f"/things/bootstrap/{EXTERNAL_ID}?auth={KEY.replace(' ', '%20')}", None, (EXTERNAL_ID, KEY)),
        await wire.asked_as_guest("bootstrap", f"things/bootstrap/{EXTERNAL_ID}", {"authorization": KEY}),
        await wire.asked_as_guest("bootstrap", f"clients/bootstrap/{EXTERNAL_ID}", {"authorization": KEY}),
    ]
    return [
        *[(code, json.loads(document)) for code, document in told],
        await wire.login(world.thing, SECRET),
        await wire.login(EXTERNAL_ID, KEY),
    ]


async def enos(wire: Wire, world: World) -> list[Any]:
    """Fetch a triple."""
    told = [
        await wire.http("POST", "/dev/bootstrap", signed("e-1", *world.group)),
        await wire.asked_as_guest("bootstrap", "dev/bootstrap", signed("e-1", *world.group)),
    ]
    return [(code, json.loads(document) | {"requestId": ""}) for code, document in told]


async def xively(wire: Wire, world: World) -> list[Any]:
    """Log in with a secret."""
    return [await wire.login(world.thing, SECRET, world.thing)]


KEPT_OUT = {
    thingsboard: [
        (200, FAILURE),
        ("4.00", FAILURE),
        (0, FAILURE),
        (0, FAILURE),
        (403, ""),
        ("4.03", ""),
        0x87,
    ],
    magistrala: [
        (403, {"error": NOT_DONE}),
        (403, {"error": "", "message": NOT_DONE}),
        ("4.03", {"error": NOT_DONE}),
        (0x87, {"error": NOT_DONE}),
        (0x87, {"error": "", "message": NOT_DONE}),
        0x87,
        0x87,
    ],
    enos: [(403, NO_PERMISSION), (0x87, NO_PERMISSION)],
    xively: [0x87],
}


@pytest.mark.parametrize(
    ("setting", "rules"),
    [("nothing,operator=everything", {}), ("challenge,operator=everything", {}), (None, {"plain": "nothing"})],
)
async def test_each_vendors_device_is_refused_in_its_words(
    tmp_path: Path, home: Place, setting: str | None, rules: Any
) -> None:
    async with trusting(tmp_path, home, PLAIN=setting) as there, wires(there) as (plain, protected):
        world = await world_of(there, **rules)
        before = {each["name"] for each in await there.operator.all("/v1/devices")}
        for speak, words in KEPT_OUT.items():
            assert await speak(plain, world) == words
        assert {each["name"] for each in await there.operator.all("/v1/devices")} == before
        assert set(await there.refusals()) == {"plain.refused"}
        given = {speak: await speak(protected, world) for speak in KEPT_OUT}
        assert await there.refusals() == []
    assert [each[0] for each in given[thingsboard][:-1]] == [200, "2.01", 0, 0, 200, "2.01"]
    assert [each[0] for each in given[magistrala][:-2]] == [200, 200, "2.05", 0, 0]
    assert all(SECRET in document.values() for _, document in given[magistrala][:-2])
    assert (given[thingsboard][-1], *given[magistrala][-2:], given[xively]) == (0, 0, 0, [0])
    for _, triple in given[enos]:
        assert triple["murl"] == f"ssl://{there.listening.mqtts[0]}"  # where it may come
        assert triple["hurl"] == f"https://{there.listening.https[0]}"


async def test_operators_keep_off_unprotected_wires_as_well(tmp_path: Path, home: Place) -> None:
    bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    template = {"accountId": "default", "name": "jackets"}
    async with trusting(tmp_path, home, PLAIN="nothing") as there, wires(there) as (plain, protected):
        status, refused = await plain.http("GET", "/v1/devices", **bearer)
        assert (status, json.loads(refused)["check"]) == (403, "plain.refused")
        assert (await plain.http("GET", "/healthz"))[0] == 200
        status, refused = await plain.http("POST", "/api/v1/devices/templates", template, **bearer)
        assert (status, json.loads(refused)["error"]["code"]) == (403, "21")
        assert (await protected.http("GET", "/v1/devices", **bearer))[0] == 200
        assert "check plain.refused" in await there.firstlight("profile", "list")
        environ = (f"FIRSTLIGHT_URL=https://localhost:{there.listening.https[0].port}", f"FIRSTLIGHT_TOKEN={ADMIN_TOKEN}")
        command = (str(PROGRAM), "profile", "create", "meters")
        assert b"set SSL_CERT_FILE to" in await run("env", *environ, *command)
        assert b"provision key" in await run("env", *environ, f"SSL_CERT_FILE={home.authority}", *command)
        assert (await protected.http("POST", "/api/v1/devices/templates", template, **bearer))[0] == 200
