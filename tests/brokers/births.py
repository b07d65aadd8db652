"""How each vendor's device comes from nothing to its own login, over MQTT on one port, and which topics are its own then."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from paho.mqtt.enums import MQTTProtocolVersion

from tests.brokers.fronted import Fronted
from tests.brokers.paho_device import Device, ask
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.test_from_nothing import Account, signed, triple_login

EXTERNAL_KEY = "key from the factory"


class Born(NamedTuple):
    """A device as the registry (`id`) and a login have it; of each pair of topics the first is the device's own."""

    id: str
    username: str
    password: str | None
    client_id: str
    says: tuple[str, str]
    hears: tuple[str, str]
    listens: str

    def device(self, world: Fronted, version: MQTTProtocolVersion, **more: Any) -> Device:
        """Return its client."""
        chosen = {"client_id": self.client_id, "filters": (self.listens,), **more}
        return Device(world.port, self.username, self.password, version=version, **chosen)


Birth = Callable[[Fronted, str, MQTTProtocolVersion], Awaitable[Born]]


async def thingsboard_token(world: Fronted, name: str, version: MQTTProtocolVersion) -> Born:
    """ThingsBoard: provisioned as `provision`, and in with an access token."""
    given = await _provisioned(world, version, deviceName=name)
    return _thingsboard(await world.named(name), given["credentialsValue"], None, "")


async def thingsboard_basic(world: Fronted, name: str, version: MQTTProtocolVersion) -> Born:
    """ThingsBoard: the same, with MQTT's user name and password."""
    chosen = {"credentialsType": "MQTT_BASIC", "clientId": f"c-{name}", "username": f"u-{name}", "password": "p"}
    given = (await _provisioned(world, version, deviceName=name, **chosen))["credentialsValue"]
    return _thingsboard(await world.named(name), given["userName"], given["password"], given["clientId"])


async def _provisioned(world: Fronted, version: MQTTProtocolVersion, **fields: str) -> dict[str, Any]:
    made = await world.operator.post("/v1/profiles", {"name": f"meters of {fields['deviceName']}"})
    claim = {"provisionDeviceKey": made["provision_key"], "provisionDeviceSecret": made["provision_secret"], **fields}
    topics = ("/provision/request", "/provision/response")
    given: dict[str, Any] = json.loads(await ask(world.port, "provision", topics, json.dumps(claim).encode(), version))
    assert given["status"] == "SUCCESS"
    return given


def _thingsboard(identity: str, username: str, password: str | None, client_id: str) -> Born:
    up, down = f"v1/devices/{identity}/up", f"v1/devices/{identity}/down"
    return Born(
        identity,
        username,
        password,
        client_id,
        ("v1/devices/me/telemetry", f"{up}/telemetry"),
        ("v1/devices/me/rpc/request/7", f"{down}/rpc/request/7"),
        "v1/devices/me/rpc/request/+",
    )


async def magistrala(world: Fronted, name: str, version: MQTTProtocolVersion) -> Born:
    """Magistrala: bootstrapped as a guest, activated, and in with its client's id and secret."""
    channel = await world.channel("data")
    body = {"external_id": name, "external_key": EXTERNAL_KEY, "channels": [channel]}
    made = await world.operator.post("/v1/configs", body)
    topics = (f"clients/bootstrap/{name}/request", f"clients/bootstrap/{name}/response")
    key = json.dumps({"authorization": EXTERNAL_KEY}).encode()
    given = json.loads(await ask(world.port, "bootstrap", topics, key, version))
    assert (await world.operator.ask("PUT", f"/default/clients/state/{made['id']}", {"state": 1})).status == 200
    said, heard = f"m/default/c/{channel}/temperature", f"channels/{channel}/messages/commands"
    identity, filters = given["client_id"], f"channels/{channel}/messages/#"
    return Born(identity, identity, given["client_secret"], "any", (said, said), (heard, heard), filters)


async def enos(world: Fronted, name: str, version: MQTTProtocolVersion) -> Born:
    """EnOS: bootstrapped as a guest, sent to the same port, and in with a signed login."""
    group = await world.operator.post("/v1/profiles", {"name": f"pumps of {name}", "strategy": "signed"})
    body = json.dumps(signed(name, group["provision_key"], group["provision_secret"])).encode()
    topics = ("dev/bootstrap/request", "dev/bootstrap/response")
    triple = json.loads(await ask(world.port, "bootstrap", topics, body, version))
    assert triple["murl"] == f"tcp://127.0.0.1:{world.port}"
    client_id, username, password = triple_login(triple, "pump")
    own = f"/sys/{triple['pk']}/{triple['dk']}/thing"
    said, heard = f"{own}/measurepoint/post", f"{own}/service/invoke/start"
    return Born(await world.named(name), username, password, client_id, (said, said), (heard, heard), f"{own}/service/#")


async def xively(world: Fronted, name: str, version: MQTTProtocolVersion) -> Born:
    """Xively: made by its manufacturer, and in with an MQTT secret."""
    maker = manufacturer(world)
    identity = (await maker.device(name))["id"]
    own = f"xi/blue/v1/default/d/{identity}"
    said, heard = f"{own}/temperature", f"{own}/control"
    return Born(identity, identity, await maker.secret(identity), identity, (said, said), (heard, heard), heard)


def manufacturer(world: Fronted) -> Account:
    """Return Xively's API for whoever holds the admin token."""
    return Account(world.gateway, ADMIN_TOKEN)
