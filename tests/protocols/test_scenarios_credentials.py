"""What a device does with the credentials it was issued, over every client: it gets in with them, and with nothing else."""

import json
from typing import Any

import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_cast import EVERYBODY, OVER_MQTT
from tests.protocols.scenario_clients import Client, Login, Reply
from tests.protocols.world import METERS

REPORT = b'{"temperature":21.5}'
GOOD = {
    "http": Reply("200"),
    "coap": Reply("2.01"),
    "mqtt3": Reply("acknowledged"),
    "mqtt5": Reply("acknowledged"),
}
ATTRIBUTES = {
    "http": Reply("200 application/json", b"{}"),
    "coap": Reply("2.05 application/json", b"{}"),
    "mqtt3": Reply("published", b"{}"),
    "mqtt5": Reply("published", b"{}"),
}
UNKNOWN = {"http": Reply("401"), "coap": Reply("4.01"), "mqtt3": Reply("refused 5"), "mqtt5": Reply("refused 134")}
UNKNOWN_CLIENT_ID = {"mqtt3": Reply("refused 2"), "mqtt5": Reply("refused 133")}

everybody = pytest.mark.parametrize("client", EVERYBODY)
over_mqtt = pytest.mark.parametrize("client", OVER_MQTT)


async def provision(gateway: Running, client: Client, **fields: Any) -> Any:
    """Provision a device and return the value of its credentials."""
    reply = await client.provision(gateway.listening, json.dumps(METERS.claim(deviceName="new-1", **fields)).encode())
    answer = json.loads(reply.body)
    assert answer["status"] == "SUCCESS"
    return answer["credentialsValue"]


def with_token(token: str) -> Login:
    return Login(token=token, username=token)


@everybody
async def test_a_device_goes_on_with_its_token(gateway: Running, operator: Operator, client: Client) -> None:
    login = with_token(await provision(gateway, client))
    assert (await operator.device("new-1") or {})["state"] == "provisioned"
    assert await client.report(gateway.listening, login, "telemetry", REPORT) == GOOD[client.speaks]
    assert (await operator.device("new-1") or {})["state"] == "connected"
    event = await operator.newest_event()
    assert (event["kind"], event["device_name"]) == ("device.connected", "new-1")
    assert await client.report(gateway.listening, login, "attributes", REPORT) == GOOD[client.speaks]
    assert await client.read_attributes(gateway.listening, login) == ATTRIBUTES[client.speaks]
    assert (await operator.newest_event())["id"] == event["id"]


@everybody
async def test_a_wrong_token_is_refused(gateway: Running, operator: Operator, client: Client) -> None:
    await provision(gateway, client)
    login = with_token("NotTheTokenOfAnybody")
    assert await client.report(gateway.listening, login, "telemetry", REPORT) == UNKNOWN[client.speaks]
    assert await client.read_attributes(gateway.listening, login) == UNKNOWN[client.speaks]
    event = await operator.newest_event()
    check = "login.user" if client.speaks.startswith("mqtt") else "login.token"
    assert (event["kind"], event["check"]) == ("login.refused", check)


@everybody
async def test_a_disabled_device_is_refused_and_let_in_again(gateway: Running, operator: Operator, client: Client) -> None:
    login = with_token(await provision(gateway, client))
    device = await operator.device("new-1") or {}
    await operator.patch(f"/v1/devices/{device['id']}", {"enabled": False})
    assert await client.report(gateway.listening, login, "telemetry", REPORT) == UNKNOWN[client.speaks]
    assert (await operator.newest_event())["check"] == "device.disabled"
    await operator.patch(f"/v1/devices/{device['id']}", {"enabled": True})
    assert await client.report(gateway.listening, login, "telemetry", REPORT) == GOOD[client.speaks]


@everybody
async def test_a_revoked_token_is_dead(gateway: Running, operator: Operator, client: Client) -> None:
    login = with_token(await provision(gateway, client))
    device = await operator.device("new-1") or {}
    await operator.ask("DELETE", f"/v1/devices/{device['id']}/credentials")
    assert await client.report(gateway.listening, login, "telemetry", REPORT) == UNKNOWN[client.speaks]


@everybody
async def test_an_expected_device_goes_on_with_what_the_operator_gave_it(
    gateway: Running, operator: Operator, client: Client
) -> None:
    login = with_token("stored-token-of-expected")
    assert await client.report(gateway.listening, login, "telemetry", REPORT) == GOOD[client.speaks]
    assert (await operator.device("expected-token") or {})["state"] == "defined"


@over_mqtt
async def test_all_parts_of_mqtt_credentials_must_match(gateway: Running, client: Client) -> None:
    fields = {"credentialsType": "MQTT_BASIC", "clientId": "c-9", "username": "u-9", "password": "p-9"}
    assert await provision(gateway, client, **fields) == {"clientId": "c-9", "userName": "u-9", "password": "p-9"}
    right = Login(client_id="c-9", username="u-9", password="p-9")
    assert await client.report(gateway.listening, right, "telemetry", REPORT) == GOOD[client.speaks]
    assert await client.read_attributes(gateway.listening, right) == ATTRIBUTES[client.speaks]
    for wrong in ({"password": "p-8"}, {"password": ""}, {"username": "u-8"}, {"client_id": "c-8"}):
        assert await client.report(gateway.listening, right._replace(**wrong), "telemetry", REPORT) == UNKNOWN[client.speaks]


@over_mqtt
async def test_a_user_name_alone_lets_any_client_id_in(gateway: Running, client: Client) -> None:
    await provision(gateway, client, credentialsType="MQTT_BASIC", username="u-9")
    for login in (Login(username="u-9"), Login(username="u-9", client_id="any")):
        assert await client.report(gateway.listening, login, "telemetry", REPORT) == GOOD[client.speaks]


@over_mqtt
async def test_a_client_id_alone_is_enough_where_it_is_the_credential(gateway: Running, client: Client) -> None:
    await provision(gateway, client, credentialsType="MQTT_BASIC", clientId="c-9")
    assert await client.report(gateway.listening, Login(client_id="c-9"), "telemetry", REPORT) == GOOD[client.speaks]
    wrong = await client.report(gateway.listening, Login(client_id="c-8"), "telemetry", REPORT)
    assert wrong == UNKNOWN_CLIENT_ID[client.speaks]


@over_mqtt
@pytest.mark.parametrize("username", ["Provision", "provision "])
async def test_row_32_a_user_name_that_is_almost_the_guests(gateway: Running, client: Client, username: str) -> None:
    reply = await client.report(gateway.listening, Login(username=username, client_id="c"), "telemetry", REPORT)
    assert reply == UNKNOWN[client.speaks]
