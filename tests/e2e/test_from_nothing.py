"""From nothing to a logged-in device, for each vendor, through public interfaces alone."""

import asyncio
import contextlib
import hashlib
import json
import time
from typing import Any

import aiohttp
import aiomqtt
import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator

DEADLINE = 30
VERSIONS = [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5]


def client(url: str, client_id: str, username: str, password: str | None, **options: Any) -> aiomqtt.Client:
    """Return a client of the broker at `tcp://HOST:PORT`."""
    _, host, port = url.split(":")
    return aiomqtt.Client(
        host.removeprefix("//"),
        int(port),
        identifier=client_id or None,
        username=username,
        password=password,
        timeout=DEADLINE,
        **options,
    )


def broker(gateway: Running) -> str:
    return f"tcp://{gateway.listening.mqtt[0].host}:{gateway.listening.mqtt[0].port}"


def web(gateway: Running) -> str:
    return f"http://{gateway.listening.http[0]}"


async def post(url: str, body: Any, token: str = "", **headers: str) -> Any:
    """Post JSON and return the JSON of a successful answer."""
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as response:
        answer = await response.json()
        assert response.status in (200, 201), answer
        return answer


async def get(url: str, headers: dict[str, str]) -> Any:
    """Return the JSON of a successful answer."""
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def state_of(operator: Operator, ref: str) -> str:
    state: str = (await operator.get(f"/v1/devices/{ref}"))["state"]
    return state


@pytest.mark.parametrize("version", VERSIONS)
async def test_thingsboard(gateway: Running, operator: Operator, version: aiomqtt.ProtocolVersion) -> None:
    profile = await operator.post("/v1/profiles", {"name": "meters of nothing"})
    claim = {
        "deviceName": "tb-1",
        "provisionDeviceKey": profile["provision_key"],
        "provisionDeviceSecret": profile["provision_secret"],
    }
    given = await post(f"{web(gateway)}/api/v1/provision", claim)
    assert await state_of(operator, "tb-1") == "provisioned"
    async with (
        asyncio.timeout(DEADLINE),
        client(broker(gateway), "", given["credentialsValue"], None, protocol=version) as device,
    ):
        await device.publish("v1/devices/me/telemetry", b'{"t":1}', qos=1)
    assert await state_of(operator, "tb-1") == "connected"


@pytest.mark.parametrize("version", VERSIONS)
async def test_magistrala(gateway: Running, operator: Operator, version: aiomqtt.ProtocolVersion) -> None:
    config = {"external_id": "09:6:0:sb:sa", "external_key": "key from the factory", "content": "{}"}
    made = await operator.post("/v1/configs", config)
    headers = {"Authorization": "Client key from the factory"}
    given = await get(f"{web(gateway)}/clients/bootstrap/09:6:0:sb:sa", headers)
    assert await state_of(operator, given["client_id"]) == "provisioned"
    login = ("any", given["client_id"], given["client_secret"])
    with pytest.raises(aiomqtt.MqttError):
        async with asyncio.timeout(DEADLINE), client(broker(gateway), *login, protocol=version):
            pass
    await operator.patch(f"/v1/configs/{made['id']}", {"active": True})
    async with asyncio.timeout(DEADLINE), client(broker(gateway), *login, protocol=version):
        assert await state_of(operator, given["client_id"]) == "connected"


def signed(serial: str, group: str, password: str) -> dict[str, Any]:
    """Return the body that the published onboarding scripts send."""
    timestamp = time.time_ns() // 1_000_000
    digest = hashlib.sha256(f"sn{serial}timestamp{timestamp}{password}".encode()).hexdigest()
    return {
        "dpsSignMethod": "sha256",
        "dpsSignTimestamp": timestamp,
        "dpsSign": digest,
        "groupId": group,
        "deviceId": serial,
        "deviceName": {"defaultValue": "Pump 1", "i18nValue": {"en_US": "Pump 1"}},
        "timezone": "+08:00",
    }


def triple_login(triple: dict[str, str], client_id: str) -> tuple[str, str, str]:
    """Return client id, user name and password as the Python SDK makes them."""
    timestamp = f"{time.time() * 1000:.4f}"
    text = f"clientId{client_id}deviceKey{triple['dk']}productKey{triple['pk']}timestamp{timestamp}{triple['ds']}"
    full = f"{client_id}|securemode=2,signmethod=sha256,timestamp={timestamp}|"
    return full, f"{triple['dk']}&{triple['pk']}", hashlib.sha256(text.encode()).hexdigest().upper()


@pytest.mark.parametrize("version", VERSIONS)
async def test_enos(gateway: Running, operator: Operator, version: aiomqtt.ProtocolVersion) -> None:
    group = await operator.post("/v1/profiles", {"name": "new pumps", "strategy": "signed"})
    body = signed("SN-0001", group["provision_key"], group["provision_secret"])
    triple = await post(f"{web(gateway)}/dev/bootstrap", body)
    assert list(triple) == ["murl", "hurl", "pk", "dk", "ds"]
    assert await post(f"{web(gateway)}/dev/bootstrap", body) == triple
    assert await state_of(operator, "SN-0001") == "provisioned"
    async with asyncio.timeout(DEADLINE), client(triple["murl"], *triple_login(triple, "pump"), protocol=version) as device:
        await device.publish("v1/devices/me/telemetry", b"{}", qos=1)
    assert await state_of(operator, "SN-0001") == "connected"


async def test_enos_over_http(gateway: Running, operator: Operator) -> None:
    group = await operator.post("/v1/profiles", {"name": "new pumps", "strategy": "signed"})
    triple = await post(f"{web(gateway)}/dev/bootstrap", signed("SN-2", group["provision_key"], group["provision_secret"]))
    text = f"deviceKey{triple['dk']}lifetime300000productKey{triple['pk']}signMethodsha256{triple['ds']}"
    opening = {"signMethod": "sha256", "sign": hashlib.sha256(text.encode()).hexdigest(), "lifetime": 300000}
    opened = await post(f"{triple['hurl']}/auth/{triple['pk']}/{triple['dk']}", opening)
    assert opened["code"] == 200
    headers = {"Authorization": f"Bearer {opened['data']['sessionId']}"}
    assert await get(f"{triple['hurl']}/v1/devices/me/firmware", headers) == {"update": None}
    assert await state_of(operator, "SN-2") == "connected"


async def test_enos_after_a_reset_the_old_password_is_refused(gateway: Running, operator: Operator) -> None:
    group = await operator.post("/v1/profiles", {"name": "new pumps", "strategy": "signed"})
    key = group["provision_key"]
    first = await post(f"{web(gateway)}/dev/bootstrap", signed("SN-3", key, group["provision_secret"]))
    reset = {"groupId": key, "sns": ["SN-3"]}
    path = "/dps-service/v2.5/pvs/device?action=resetAllocationStatus&orgId=default"
    assert (await operator.post(path, reset))["code"] == 0
    second = await post(f"{web(gateway)}/dev/bootstrap", signed("SN-3", key, group["provision_secret"]))
    assert second["ds"] != first["ds"]
    with pytest.raises(aiomqtt.MqttError):
        async with client(first["murl"], *triple_login(first, "pump")):
            pass
    async with client(second["murl"], *triple_login(second, "pump")):
        pass


class Account:
    """A manufacturer with an account, logged in as its scripts do."""

    def __init__(self, gateway: Running, token: str) -> None:
        self._api = f"{web(gateway)}/api/v1"
        self._token = token

    async def post(self, path: str, **body: Any) -> Any:
        return await post(f"{self._api}/{path}", {"accountId": "default", **body}, self._token)

    async def device(self, serial: str) -> dict[str, Any]:
        """Make a template with one device."""
        template = (await self.post("devices/templates", name=f"template of {serial}"))["deviceTemplate"]
        device: dict[str, Any] = (await self.post("devices", deviceTemplateId=template["id"], serialNumber=serial))["device"]
        return device

    async def secret(self, device: str) -> str:
        """Give a device a secret."""
        made = await self.post("access/mqtt-credentials", entityId=device, entityType="device")
        secret: str = made["mqttCredential"]["secret"]
        return secret


async def account(gateway: Running, operator: Operator) -> Account:
    """Make a user with the admin token, and log in as that."""
    user = {"accountId": "default", "emailAddress": "Joe@Example.com", "password": "a long password", "role": "operator"}
    assert "accountUser" in await operator.post("/api/v1/account-users", user)
    login = {"accountId": "default", "emailAddress": "joe@example.com", "password": "a long password"}
    return Account(gateway, (await post(f"{web(gateway)}/api/v1/auth/login-user", login))["jwt"])


@pytest.mark.parametrize("version", VERSIONS)
async def test_xively(gateway: Running, operator: Operator, version: aiomqtt.ProtocolVersion) -> None:
    maker = await account(gateway, operator)
    made = await maker.device("LINE3-000481")
    assert made["provisioningState"] == "defined"
    secret = await maker.secret(made["id"])
    assert await state_of(operator, made["id"]) == "provisioned"
    topic = f"xi/blue/v1/default/d/{made['id']}"
    for client_id, username in ((made["id"], made["id"]), ("xi_random_77", made["id"]), (made["id"], "")):
        async with asyncio.timeout(DEADLINE), client(broker(gateway), client_id, username, secret, protocol=version) as device:
            await device.subscribe(f"{topic}/#", qos=1)
            await device.publish(f"{topic}/temperature", b"21", qos=1)
            await device.publish(f"{topic}/picture", bytes(128 * 1024), qos=1)  # the most that the vendor promises
    assert await state_of(operator, made["id"]) == "connected"


async def refused(gateway: Running, device: str, secret: str, version: aiomqtt.ProtocolVersion) -> aiomqtt.MqttError:
    """Log in in vain."""
    with pytest.raises(aiomqtt.MqttError) as error:
        async with client(broker(gateway), device, device, secret, protocol=version):
            pass
    return error.value


async def ended(device: aiomqtt.Client) -> None:
    """Wait until the gateway closes the connection."""
    with pytest.raises(aiomqtt.MqttError):
        async with asyncio.timeout(DEADLINE):
            await anext(aiter(device.messages))


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_xively_secret_ends_the_connection_and_the_old_secret(
    gateway: Running, operator: Operator, version: aiomqtt.ProtocolVersion
) -> None:
    maker = await account(gateway, operator)
    made = await maker.device("LINE3-000482")
    first = await maker.secret(made["id"])
    second = ""
    with contextlib.suppress(aiomqtt.MqttError):  # the client says again when it leaves that it was disconnected
        async with client(broker(gateway), made["id"], made["id"], first, protocol=version) as device:
            second = await maker.secret(made["id"])
            await ended(device)
    assert second
    await refused(gateway, made["id"], first, version)
    async with client(broker(gateway), made["id"], made["id"], second, protocol=version):
        pass


async def test_a_xively_device_reads_and_sets_its_fields(gateway: Running, operator: Operator) -> None:
    maker = await account(gateway, operator)
    made = await maker.device("LINE3-000483")
    secret = await maker.secret(made["id"])
    topic = f"xi/blue/v1/default/d/{made['id']}"

    async def told(device: aiomqtt.Client) -> tuple[str, Any]:
        message = await anext(aiter(device.messages))
        assert isinstance(message.payload, bytes)
        return str(message.topic).removeprefix(topic), json.loads(message.payload)

    async with asyncio.timeout(DEADLINE), client(broker(gateway), made["id"], made["id"], secret) as device:
        await device.subscribe([(f"{topic}/_updates/fields", 1), (f"{topic}/_rejected", 1)])
        where, state = await told(device)
        assert where == "/_updates/fields"
        assert state["state"]["name"] is None
        await device.publish(f"{topic}/_set/fields", b'{"state":{"name":"x"}}', qos=1)
        assert await told(device) == ("/_updates/fields", {"state": {"name": "x"}})
        await device.publish(f"{topic}/_set/fields", b'{"state":{"organizationId":"o"}}', qos=1)
        where, answer = await told(device)
        assert (where, "error" in answer) == ("/_rejected", True)


async def test_a_xively_device_publishes_below_its_own_topics_alone(gateway: Running, operator: Operator) -> None:
    maker = await account(gateway, operator)
    made, other = await maker.device("A"), await maker.device("B")
    secret = await maker.secret(made["id"])
    done = False
    with contextlib.suppress(aiomqtt.MqttError):  # the same
        async with client(broker(gateway), made["id"], made["id"], secret) as device:
            granted = await device.subscribe(f"xi/blue/v1/default/d/{other['id']}/#", qos=1)
            assert [int(code.value if hasattr(code, "value") else code) for code in granted] == [0x80]
            await device.publish(f"xi/blue/v1/default/d/{other['id']}/temperature", b"1", qos=0)
            await ended(device)
            done = True
    assert done
