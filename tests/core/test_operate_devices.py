"""What operators do with single devices."""

import pytest

from core.crypto.vault import SealBroken
from core.errors import Reason
from core.messages import AccessToken, Certificate, CredentialValue, Lwm2m, MqttBasic, MqttLogin
from core.model import Device, DeviceState, EventKind, Secret
from core.operate.messages import (
    ChangeDevice,
    DefineDevice,
    DeleteDevice,
    ExportDevices,
    ListDevices,
    ProposedBasic,
    ProposedCertificate,
    ProposedCredential,
    ProposedToken,
    ReadCredentials,
    ShowDevice,
)
from core.operate.values import CERTIFICATE_CHARACTERS
from tests.operating import Desk

PEM = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"


async def test_a_defined_device_waits_with_a_token_that_can_be_fetched() -> None:
    desk = Desk()
    profile = await desk.profile()
    made = await desk(DefineDevice(name=" meter-1 ", profile="meters", metadata={"site": "Ulm"}))
    device: Device = made.device
    assert (device.name, device.profile, device.state, device.enabled) == (
        "meter-1",
        profile.id,
        DeviceState.DEFINED,
        True,
    )
    assert device.metadata == {"site": "Ulm"}
    (shown,) = made.credentials
    assert isinstance(shown.value, AccessToken)
    assert len(shown.value.token.reveal()) == 20
    assert (await desk(ReadCredentials("meter-1"))).items[0].value == shown.value
    event = await desk.last_event(EventKind.DEVICE_DEFINED)
    assert (event.device, event.device_name, event.profile) == (device.id, "meter-1", profile.id)


@pytest.mark.parametrize(
    ("proposal", "value"),
    [
        (ProposedToken(Secret("T0")), AccessToken(Secret("T0"))),
        (ProposedBasic("c", "u", Secret("p")), MqttBasic("c", "u", Secret("p"))),
        (ProposedBasic("c", "u", Secret("")), MqttBasic("c", "u", Secret(""))),
        (ProposedBasic("c"), MqttBasic("c", "", Secret(""))),
        (ProposedCertificate(PEM), Certificate("TUlJQg==")),
        (ProposedCertificate("  TUlJQg==\n"), Certificate("TUlJQg==")),
        (Lwm2m("urn:dev:1"), Lwm2m("urn:dev:1")),
    ],
)
async def test_each_type_of_credential_is_kept(proposal: ProposedCredential, value: CredentialValue) -> None:
    desk = Desk()
    await desk.profile()
    await desk.device(credential=proposal)
    (shown,) = (await desk(ReadCredentials("meter-1"))).items
    assert shown.value == value
    assert shown.credential.lookup == desk.issuer.lookup(value)


@pytest.mark.parametrize(
    ("proposal", "drawn_name"), [(ProposedBasic(), True), (ProposedBasic("", "u"), False), (ProposedBasic("c", "u"), False)]
)
async def test_missing_parts_of_mqtt_credentials_are_drawn(proposal: ProposedBasic, drawn_name: bool) -> None:
    desk = Desk()
    await desk.profile()
    made = await desk(DefineDevice(name="meter-1", profile="meters", credential=proposal))
    value = made.credentials[0].value
    assert isinstance(value, MqttBasic)
    assert (len(value.username) == 20) is drawn_name
    assert len(value.password.reveal()) == 20
    credential = made.credentials[0].credential
    assert await desk.issuer.matches(credential, MqttLogin(value.client_id, value.username, value.password))


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"name": ""}, "device.name_missing"),
        ({"name": "  "}, "device.name_blank"),
        ({"name": "x" * 256}, "device.name_length"),
        ({"name": "a\x01"}, "device.name_characters"),
        ({"name": "<script>"}, "device.name_characters"),
        ({"metadata": {"a": "x" * 16_385}}, "metadata.size"),
        ({"metadata": {"a": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}}, "metadata.depth"),
        ({"credential": ProposedToken(Secret(""))}, "credential.empty"),
        ({"credential": ProposedToken(Secret("a\tb"))}, "credential.characters"),
        ({"credential": ProposedToken(Secret("x" * 256))}, "credential.length"),
        ({"credential": ProposedBasic("", "", Secret(""))}, None),
        ({"credential": ProposedBasic("c", "", Secret("p"))}, "credential.mqtt_basic"),
        ({"credential": ProposedBasic("c" * 256)}, "credential.length"),
        ({"credential": Lwm2m("")}, "credential.empty"),
        ({"credential": Lwm2m("e" * 256)}, "credential.length"),
        ({"credential": ProposedCertificate("")}, "credential.certificate"),
        ({"credential": ProposedCertificate("not base64!")}, "credential.certificate"),
        ({"credential": ProposedCertificate("naïve")}, "credential.certificate"),
        ({"credential": ProposedCertificate(PEM + PEM)}, "credential.certificate"),
        ({"credential": ProposedCertificate(PEM.replace("CERTIFICATE", "PRIVATE KEY"))}, "credential.certificate"),
        ({"credential": ProposedCertificate("A" * (CERTIFICATE_CHARACTERS + 1))}, "credential.length"),
    ],
)
async def test_what_is_not_right_is_refused(fields: dict[str, object], check: str | None) -> None:
    desk = Desk()
    await desk.profile()
    command = DefineDevice(**{"name": "meter-1", "profile": "meters", **fields})  # type: ignore[arg-type]  # a table
    if check is None:
        assert (await desk(command)).credentials[0].value.username
        return
    refusal = await desk.refused(command)
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


async def test_name_and_credential_are_unique() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device(credential=ProposedToken(Secret("T0")))
    refusal = await desk.refused(DefineDevice(name="meter-1", profile="meters"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device_name")
    assert (await desk.last_event(EventKind.REQUEST_REFUSED)).device_name == "meter-1"
    refusal = await desk.refused(DefineDevice(name="meter-2", profile="meters", credential=ProposedToken(Secret("T0"))))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential_lookup")


async def test_a_device_needs_a_profile_and_room() -> None:
    desk = Desk()
    refusal = await desk.refused(DefineDevice(name="meter-1", profile="meters"))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "profile.unknown")
    await desk.profile()
    await desk.limit_devices(0)
    refusal = await desk.refused(DefineDevice(name="meter-1", profile="meters"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device_limit")


async def test_devices_are_listed_by_name_profile_and_state() -> None:
    desk = Desk()
    await desk.profile()
    other = await desk.profile("gauges")
    for number in range(3):
        await desk.device(f"meter-{number}")
    gauge = await desk.device("gauge-1", "gauges")
    await desk(ChangeDevice(ref="meter-1", state=DeviceState.DISCARDED))
    assert [each.name for each in (await desk(ListDevices(name="meter"))).items] == ["meter-0", "meter-1", "meter-2"]
    assert [each.id for each in (await desk(ListDevices(profile="gauges"))).items] == [gauge.id]
    assert [each.id for each in (await desk(ListDevices(profile=other.id))).items] == [gauge.id]
    assert [each.name for each in (await desk(ListDevices(state=DeviceState.DISCARDED))).items] == ["meter-1"]
    first = await desk(ExportDevices(limit=3))
    assert [each.name for each in (await desk(ExportDevices(limit=3, after=first.next))).items] == ["gauge-1"]
    assert (await desk.refused(ListDevices(profile="gone"))).reason is Reason.NOT_FOUND


async def test_a_device_is_found_by_id_and_name() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    awkward = await desk.device("name:meter-1")
    masked = await desk.device(device.id)
    for ref in (device.id, "meter-1", "name:meter-1"):
        assert await desk(ShowDevice(ref)) == device
    assert await desk(ShowDevice("name:name:meter-1")) == awkward
    assert await desk(ShowDevice(f"name:{device.id}")) == masked
    for ref in ("gone", "name:gone", "meter"):
        assert (await desk.refused(ShowDevice(ref))).check == "device.unknown"


async def test_a_device_is_disabled_and_described() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device(metadata={"site": "Ulm"})
    device = await desk(ChangeDevice(ref="meter-1", enabled=False))
    assert (device.enabled, device.metadata, device.version) == (False, {"site": "Ulm"}, 2)
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "enabled"
    device = await desk(ChangeDevice(ref="meter-1", enabled=True, metadata={"floor": 3}))
    assert (device.enabled, device.metadata, device.version) == (True, {"floor": 3}, 3)
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "enabled, metadata"


async def test_a_change_to_what_is_so_already_writes_nothing() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    assert await desk(ChangeDevice(ref="meter-1")) == device
    assert await desk(ChangeDevice(ref="meter-1", enabled=True, state=DeviceState.DEFINED, metadata={})) == device
    assert not await desk.events(EventKind.DEVICE_CHANGED)


async def test_a_discarded_device_comes_back_as_a_defined_one() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device()
    device = await desk(ChangeDevice(ref="meter-1", state=DeviceState.DISCARDED, metadata={"lost": True}))
    assert (device.state, device.metadata, device.version) == (DeviceState.DISCARDED, {"lost": True}, 2)
    device = await desk(ChangeDevice(ref="meter-1", state=DeviceState.DEFINED))
    assert (device.state, device.version) == (DeviceState.DEFINED, 3)
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "state"


async def test_what_cannot_be_set_is_refused() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device()
    refusal = await desk.refused(ChangeDevice(ref="meter-1", state=DeviceState.CONNECTED))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "device.state")
    refusal = await desk.refused(ChangeDevice(ref="meter-1", metadata={"a": "x" * 20_000}))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "metadata.size")


async def test_a_deleted_device_takes_its_credentials_along() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device(credential=ProposedToken(Secret("T0")))
    await desk(DeleteDevice(device.id))
    assert (await desk.refused(ShowDevice("meter-1"))).reason is Reason.NOT_FOUND
    assert (await desk.refused(DeleteDevice("meter-1"))).reason is Reason.NOT_FOUND
    assert (await desk.last_event(EventKind.DEVICE_DELETED)).device_name == "meter-1"
    await desk.device(credential=ProposedToken(Secret("T0")))


async def test_a_credential_sealed_for_another_row_is_not_given() -> None:
    desk = Desk()
    await desk.profile()
    made = await desk(DefineDevice(name="meter-1", profile="meters"))
    credential = made.credentials[0].credential
    with pytest.raises(SealBroken):
        desk.vault.open(credential.sealed, b"credential:another")
