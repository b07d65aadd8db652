"""What devices ask of ThingsBoard's provisioning API and get, row by row of its contract.

Sources: https://thingsboard.io/docs/user-guide/device-provisioning/ and, where the guide is silent, the reference server's
`DeviceProvisionServiceImpl`, `DeviceCredentialsServiceImpl` and `JsonConverter`.
"""

import asyncio
import string
from typing import Any

import pytest

from adapters.dialects.thingsboard import GUIDE_REPLY
from adapters.exchange import Carrier
from core.credentials import credential_id
from core.messages import AccessToken, Certificate, CredentialValue, Lwm2m, MqttBasic
from core.model import CredentialKind, DeviceState, EventKind, Reprovision, Secret, Strategy
from tests.core.faulty import FaultyRepository, no_fault
from tests.core.registry import KEY, OTHER_TENANT, SECRET, Registry
from tests.dialects.thingsboard_server import (
    FAILURE,
    NAME,
    NOT_FOUND,
    PEM,
    TEXT,
    TOKEN,
    Server,
    basic_reply,
    body,
    certificate_reply,
    expecting,
    failed,
    granted,
    serving,
    token_of,
    token_reply,
)

over_all = pytest.mark.parametrize("carrier", Carrier)


async def kinds(server: Server, name: str = NAME) -> list[CredentialKind]:
    return [credential.kind for credential in (await server.registry.known(name)).credentials]


# Who generates what (section "credentials" of the guide; ids by `DeviceCredentialsServiceImpl`)

METER = "efab5e91adb809ea2b7163837cec241723a96548a58ea306dc302573e24a145c"
METER_FIELD = "4e3f42ba0eea15ac15287525879ab6b9fb14c286ac38c521513c3a1108cb828b"
GIVEN: list[tuple[dict[str, str], bytes, str]] = [
    ({"credentialsType": "ACCESS_TOKEN", "token": TOKEN}, token_reply(TOKEN), TOKEN),
    (
        {"credentialsType": "MQTT_BASIC", "clientId": NAME, "username": "field", "password": "pw-0042"},
        basic_reply(NAME, "field", "pw-0042"),
        METER_FIELD,
    ),
    (
        {"credentialsType": "MQTT_BASIC", "clientId": NAME, "username": "field"},
        basic_reply(NAME, "field", ""),
        METER_FIELD,
    ),
    (
        {"credentialsType": "MQTT_BASIC", "username": "field", "password": "pw-0042"},
        basic_reply("", "field", "pw-0042"),
        "field",
    ),
    ({"credentialsType": "MQTT_BASIC", "clientId": NAME}, basic_reply(NAME, "", ""), METER),
    ({"credentialsType": "X509_CERTIFICATE", "hash": NAME}, certificate_reply(NAME), METER),
    (
        {"credentialsType": "X509_CERTIFICATE", "hash": PEM},
        certificate_reply(TEXT),
        credential_id(Certificate(TEXT)),
    ),
]


@over_all
@pytest.mark.parametrize(("fields", "reply", "identity"), GIVEN)
async def test_what_the_device_sends_is_stored_and_said_back(
    carrier: Carrier, fields: dict[str, str], reply: bytes, identity: str
) -> None:
    server = await serving()
    assert await server.ask(carrier, body(**fields)) == granted(carrier, reply)
    (credential,) = (await server.registry.known(NAME)).credentials
    assert credential.lookup == server.registry.issuer.lookup_id(identity)


@over_all
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"credentialsType": "ACCESS_TOKEN"},  # row 14
        {"credentialsType": "MQTT_BASIC"},  # row 12
        {"credentialsType": "X509_CERTIFICATE"},  # row 13
        {"credentialsType": "LWM2M_CREDENTIALS"},
        {"credentialsType": "MQTT_BASIC", "clientId": "", "username": "", "password": "", "token": "", "hash": ""},
    ],
)
async def test_without_a_value_a_token_is_made_whatever_the_type_says(carrier: Carrier, fields: dict[str, str]) -> None:
    server = await serving()
    token = await token_of(server, carrier, body(**fields))
    assert await server.registry.is_taken(AccessToken(Secret(token)))
    assert await kinds(server) == [CredentialKind.ACCESS_TOKEN]


@over_all
@pytest.mark.parametrize(
    "fields",
    [
        {"credentialsType": "MQTT_BASIC", "password": "pw"},  # row 17
        {"credentialsType": "MQTT_BASIC", "clientId": "c", "password": "pw"},  # row 18
        {"credentialsType": "MQTT_BASIC", "token": TOKEN},
        {"credentialsType": "MQTT_BASIC", "username": "a\nb"},
        {"credentialsType": "MQTT_BASIC", "username": "u", "password": "a\u0000b"},
        {"credentialsType": "ACCESS_TOKEN", "token": "a\u0007b"},
        {"credentialsType": "ACCESS_TOKEN", "hash": TEXT},
        {"credentialsType": "X509_CERTIFICATE", "token": TOKEN},
        {"credentialsType": "LWM2M_CREDENTIALS", "token": TOKEN},
        {"username": "field"},  # row 16
        {"clientId": NAME},  # row 16
        {"hash": TEXT},  # row 16
    ],
)
async def test_a_credential_that_cannot_be_is_a_failure_and_leaves_nothing(carrier: Carrier, fields: dict[str, str]) -> None:
    server = await serving()
    assert await server.ask(carrier, body(**fields)) == failed(carrier)
    assert await server.registry.devices() == ()


# The order of decisions


@over_all
@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({"name": "   ", "provisionDeviceKey": "unknown"}, FAILURE),  # step 1, row 4
        ({"provisionDeviceKey": ""}, NOT_FOUND),  # step 2
        ({"provisionDeviceSecret": ""}, NOT_FOUND),  # step 2
        ({"provisionDeviceKey": "unknown"}, NOT_FOUND),  # step 3
        ({"provisionDeviceKey": KEY.upper()}, NOT_FOUND),  # keys are compared exactly
        ({"provisionDeviceKey": "nosecret"}, NOT_FOUND),  # step 3
        ({"provisionDeviceKey": "disabled"}, NOT_FOUND),  # step 3
        ({"provisionDeviceSecret": "wrong"}, NOT_FOUND),  # step 5, row 5
        ({"provisionDeviceSecret": SECRET.upper()}, NOT_FOUND),
        ({}, FAILURE),  # step 6
        ({"name": f"  {NAME} "}, FAILURE),  # step 6, row 3
    ],
)
async def test_whatever_comes_first_decides(carrier: Carrier, fields: dict[str, Any], reply: bytes) -> None:
    server = await serving()
    await server.registry.profile(Strategy.DISABLED, key="disabled")
    await server.registry.profile(key="nosecret", secret="")
    await server.ask(Carrier.HTTP, body())
    assert await server.ask(carrier, body(**fields)) == failed(carrier, reply)
    assert [device.name for device in await server.registry.devices()] == [NAME]


# ALLOW_CREATE_NEW_DEVICES


@over_all
@pytest.mark.parametrize("name", [None, ""])
async def test_row_1_no_name(carrier: Carrier, name: str | None) -> None:
    server = await serving()
    await token_of(server, carrier, body(name))
    (device,) = await server.registry.devices()
    assert len(device.name) == 20
    assert set(device.name) <= set(string.ascii_letters + string.digits)


@over_all
async def test_row_3_white_space_around_a_name(carrier: Carrier) -> None:
    server = await serving()
    await token_of(server, carrier, body("  m1 "))
    assert [device.name for device in await server.registry.devices()] == ["m1"]


@over_all
async def test_row_5_a_wrong_secret_for_a_name_that_exists(carrier: Carrier) -> None:
    server = await serving()
    await token_of(server, carrier, body())
    assert await server.ask(carrier, body(provisionDeviceSecret="wrong")) == failed(carrier, NOT_FOUND)
    assert await server.checks() == ["claim.secret"]


@over_all
async def test_row_6_the_same_request_twice(carrier: Carrier) -> None:
    server = await serving()
    await token_of(server, carrier, body())
    assert await server.ask(carrier, body()) == failed(carrier)
    assert await server.checks() == ["device.exists"]
    assert len((await server.registry.known(NAME)).credentials) == 1


@over_all
async def test_row_7_a_name_of_another_profile(carrier: Carrier) -> None:
    server = await serving()
    await server.registry.profile(key="other")
    await token_of(server, carrier, body(provisionDeviceKey="other"))
    assert await server.ask(carrier, body()) == failed(carrier)


@over_all
async def test_row_8_the_same_name_in_another_tenant(carrier: Carrier) -> None:
    server = await serving()
    await server.registry.tenant()
    await server.registry.profile(tenant=OTHER_TENANT, key="other")
    await token_of(server, carrier, body())
    await token_of(server, carrier, body(provisionDeviceKey="other"))
    assert (await server.registry.known(NAME, OTHER_TENANT)).device.tenant == OTHER_TENANT


@over_all
async def test_row_15_a_token_without_a_type(carrier: Carrier) -> None:
    server = await serving()
    assert await server.ask(carrier, body(token=TOKEN)) == granted(carrier, token_reply(TOKEN))


@over_all
async def test_row_19_a_user_name_alone(carrier: Carrier) -> None:
    server = await serving()
    answer = await server.ask(carrier, body(credentialsType="MQTT_BASIC", username="field"))
    assert answer == granted(carrier, basic_reply("", "field", ""))


@over_all
async def test_row_20_a_token_that_is_used_already(carrier: Carrier) -> None:
    server = await serving()
    await server.registry.tenant()
    await server.registry.profile(tenant=OTHER_TENANT, key="other")
    await server.ask(carrier, body("first", provisionDeviceKey="other", token=TOKEN))
    assert await server.ask(carrier, body(token=TOKEN)) == failed(carrier)
    assert await server.registry.devices() == ()
    await token_of(server, carrier, body())


@over_all
async def test_row_21_a_user_name_that_is_a_token(carrier: Carrier) -> None:
    server = await serving()
    await server.ask(carrier, body("first", token=TOKEN))
    answer = await server.ask(carrier, body(credentialsType="MQTT_BASIC", username=TOKEN, password="pw"))
    assert answer == failed(carrier)
    assert await server.registry.snapshot(NAME) is None


@over_all
async def test_row_22_the_same_certificate_twice(carrier: Carrier) -> None:
    server = await serving()
    await server.ask(carrier, body("first", credentialsType="X509_CERTIFICATE", hash=TEXT))
    assert await server.ask(carrier, body(credentialsType="X509_CERTIFICATE", hash=PEM)) == failed(carrier)


@over_all
@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\r\n"), TEXT])
async def test_row_23_a_certificate_in_any_form(carrier: Carrier, text: str) -> None:
    server = await serving()
    answer = await server.ask(carrier, body(credentialsType="X509_CERTIFICATE", hash=text))
    assert answer == granted(carrier, certificate_reply(TEXT))
    assert await server.registry.is_taken(Certificate(TEXT))


@over_all
async def test_row_24_a_certificate_that_is_none(carrier: Carrier) -> None:
    server = await serving()
    answer = await server.ask(carrier, body(credentialsType="X509_CERTIFICATE", hash="testHash"))
    assert answer == granted(carrier, certificate_reply("testHash"))


@over_all
@pytest.mark.parametrize(
    ("gateway", "metadata"), [(True, {"gateway": True}), ("true", {"gateway": True}), (False, {}), ("yes", {}), (1, {})]
)
async def test_row_25_a_gateway(carrier: Carrier, gateway: Any, metadata: dict[str, Any]) -> None:
    server = await serving()
    await token_of(server, carrier, body(gateway=gateway))
    assert (await server.registry.known(NAME)).device.metadata == metadata


@over_all
async def test_row_27_fields_nobody_knows(carrier: Carrier) -> None:
    server = await serving()
    await token_of(server, carrier, body(serial=7, nested={"token": TOKEN}, list=[None]))
    assert not await server.registry.is_taken(AccessToken(Secret(TOKEN)))


@over_all
@pytest.mark.parametrize("name", ["x" * 256, "<b>m1</b>", "m\u00001"])
async def test_row_34_a_name_that_cannot_be(carrier: Carrier, name: str) -> None:
    server = await serving()
    assert await server.ask(carrier, body(name)) == failed(carrier)
    assert await server.registry.devices() == ()


@over_all
async def test_a_name_of_255_characters_can_be(carrier: Carrier) -> None:
    await token_of(await serving(), carrier, body("x" * 255))


@over_all
async def test_row_35_the_tenant_is_full(carrier: Carrier) -> None:
    server = await serving()
    await server.registry.limit_devices(1)
    await token_of(server, carrier, body("first"))
    assert await server.ask(carrier, body()) == failed(carrier)


# CHECK_PRE_PROVISIONED_DEVICES

STORED: list[tuple[CredentialValue, bytes]] = [
    (AccessToken(Secret(TOKEN)), token_reply(TOKEN)),
    (MqttBasic(NAME, "field", Secret("pw-0042")), basic_reply(NAME, "field", "pw-0042")),
    (MqttBasic("", "field"), basic_reply("", "field", "")),
    (MqttBasic(NAME), basic_reply(NAME, "", "")),
    (Certificate(TEXT), certificate_reply(TEXT)),
    (Lwm2m("urn:imei:490154203237518"), b'{"credentialsType":"LWM2M_CREDENTIALS","status":"SUCCESS"}'),
]


@over_all
@pytest.mark.parametrize(("value", "reply"), STORED)
async def test_an_expected_device_gets_what_is_stored_once(carrier: Carrier, value: CredentialValue, reply: bytes) -> None:
    server = await expecting(value)
    assert await server.ask(carrier, body()) == granted(carrier, reply)
    assert (await server.registry.known(NAME)).device.state is DeviceState.PROVISIONED
    assert await server.ask(carrier, body()) == failed(carrier)  # row 10
    assert [event.kind for event in await server.events()] == [EventKind.PROVISION_SUCCEEDED, EventKind.PROVISION_REFUSED]


@over_all
@pytest.mark.parametrize("name", [None, ""])
async def test_row_2_no_name_for_an_expected_device(carrier: Carrier, name: str | None) -> None:
    server = await expecting(AccessToken(Secret(TOKEN)))
    assert await server.ask(carrier, body(name)) == failed(carrier)


@over_all
async def test_a_device_that_is_not_expected(carrier: Carrier) -> None:
    server = await serving(Strategy.PRE_PROVISIONED)
    assert await server.ask(carrier, body()) == failed(carrier)


@over_all
@pytest.mark.parametrize("state", DeviceState)
async def test_row_9_an_expected_device_of_another_profile(carrier: Carrier, state: DeviceState) -> None:
    server = await serving(Strategy.PRE_PROVISIONED)
    other = await server.registry.profile(Strategy.PRE_PROVISIONED, key="other")
    device = await server.registry.device(other, NAME, AccessToken(Secret(TOKEN)), state=state)
    assert await server.ask(carrier, body()) == failed(carrier)
    assert (await server.registry.known(NAME)).device == device


@over_all
async def test_a_provision_state_of_another_value(carrier: Carrier) -> None:
    server = Server()
    profile = await server.registry.profile(Strategy.PRE_PROVISIONED)
    await server.registry.device(profile, NAME, AccessToken(Secret(TOKEN)), state=DeviceState.DISCARDED)
    assert await server.ask(carrier, body()) == failed(carrier)


@over_all
@pytest.mark.parametrize("fields", [{"token": "another"}, {"credentialsType": "MQTT_BASIC", "password": "x"}])
async def test_row_11_what_an_expected_device_proposes_is_ignored(carrier: Carrier, fields: dict[str, str]) -> None:
    server = await expecting(AccessToken(Secret(TOKEN)))
    assert await server.ask(carrier, body(**fields)) == granted(carrier, token_reply(TOKEN))


@over_all
async def test_row_26_an_expected_device_is_no_gateway_because_it_says_so(carrier: Carrier) -> None:
    server = await expecting(AccessToken(Secret(TOKEN)))
    assert await server.ask(carrier, body(gateway=True)) == granted(carrier, token_reply(TOKEN))
    assert (await server.registry.known(NAME)).device.metadata == {}


@over_all
async def test_repeats_may_be_allowed_as_servers_before_4_2_1_1_did(carrier: Carrier) -> None:
    server = await expecting(AccessToken(Secret(TOKEN)), Reprovision.SAME)
    assert [await server.ask(carrier, body()) for _ in range(3)] == [granted(carrier, token_reply(TOKEN))] * 3


@over_all
async def test_of_two_requests_at_once_exactly_one_succeeds(carrier: Carrier) -> None:
    server = Server(Registry(FaultyRepository(no_fault)))
    profile = await server.registry.profile(Strategy.PRE_PROVISIONED)
    await server.registry.device(profile, NAME, AccessToken(Secret(TOKEN)))
    answers = await asyncio.gather(*(server.ask(carrier, body()) for _ in range(4)))
    assert answers.count(granted(carrier, token_reply(TOKEN))) == 1
    assert answers.count(failed(carrier)) == 3


# The guide's other reply

STANDARD = b'{"credentialsValue":"0wnT0kenOfTheDevice0","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"'


@over_all
async def test_the_guides_keys_come_after_the_standard_ones(carrier: Carrier) -> None:
    server = Server()
    await server.registry.profile(options=(GUIDE_REPLY,))
    reply = STANDARD + b',"provisionDeviceStatus":"SUCCESS","accessToken":"0wnT0kenOfTheDevice0"}'
    assert await server.ask(carrier, body(token=TOKEN)) == granted(carrier, reply)
    reply = certificate_reply(TEXT)[:-1] + b',"provisionDeviceStatus":"SUCCESS"}'
    assert await server.ask(carrier, body("m2", credentialsType="X509_CERTIFICATE", hash=TEXT)) == granted(carrier, reply)
    assert await server.ask(carrier, body()) == failed(carrier)
