"""How a factory gets credentials for many serials at once."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AccessToken, MqttBasic, TokenLogin, Triple
from core.model import CredentialKind, Device, DeviceState, EventKind, Role, Secret, Strategy
from core.operate.batches import CHUNK, PASSWORD_CHUNK, PASSWORDS, ROWS
from core.operate.issuing import Fate, IssueBatch, IssuedLine, SerialRow, UnreadRow
from core.operate.messages import (
    ChangeDevice,
    CreateProfile,
    DeleteProfile,
    ProposedToken,
    ReadCredentials,
    RevokeCredentials,
    RotateCredentials,
    ShowDevice,
    SignedRules,
)
from core.operate.registry import ATTEMPTS, SENTENCES
from core.ports import Changes
from storage.sqlite import open_sqlite
from tests.operating import ADMIN, DEVICE_CONTEXT, Desk


def rows(*serials: str, first: int = 1) -> tuple[SerialRow, ...]:
    return tuple(SerialRow(line=line, serial=serial) for line, serial in enumerate(serials, first))


def many(count: int) -> tuple[SerialRow, ...]:
    return rows(*(f"SN{number:06}" for number in range(count)))


async def issued(desk: Desk, given: tuple[Any, ...], bearer: Secret = ADMIN, **fields: Any) -> tuple[IssuedLine, ...]:
    batch = await desk(IssueBatch(profile="meters", rows=given, **fields), bearer)
    return tuple([line async for lines in batch.lines for line in lines])


async def one(desk: Desk, serial: str, bearer: Secret = ADMIN, **fields: Any) -> IssuedLine:
    (line,) = await issued(desk, rows(serial), bearer, **fields)
    return line


async def reason(desk: Desk, serial: str, bearer: Secret = ADMIN) -> str:
    line = await one(desk, serial, bearer)
    assert (line.fate, line.value, line.device) == (Fate.REFUSED, None, None)
    assert line.reason
    return line.reason


async def desk_with_profile(**fields: Any) -> Desk:
    desk = Desk()
    await desk.profile(**fields)
    return desk


async def test_every_serial_gets_a_device_with_a_credential_that_lets_it_in() -> None:
    desk = await desk_with_profile()
    row = SerialRow(line=7, serial=" SN1 ", label="Pump of Ulm", metadata={"site": "Ulm"})
    (line,) = await issued(desk, (row,))
    assert (line.line, line.serial, line.fate, line.name, line.reason) == (7, " SN1 ", Fate.ISSUED, "SN1", "")
    device: Device = await desk(ShowDevice("SN1"))
    assert line.device == device.id
    assert (device.serial, device.unique_serial, device.label, device.metadata) == ("SN1", True, "Pump of Ulm", {"site": "Ulm"})
    assert (device.state, device.provisioned_at) == (DeviceState.PROVISIONED, device.created_at)
    assert isinstance(line.value, AccessToken)
    assert (await desk.authenticate(TokenLogin(line.value.token), DEVICE_CONTEXT)).device == device.id
    event = await desk.last_event(EventKind.CREDENTIAL_ISSUED)
    assert (event.device, event.device_name, event.detail, event.actor) == (device.id, "SN1", "access_token", "admin")


async def test_ten_thousand_serials_are_some_dozens_of_commits_and_repeating_them_changes_nothing() -> None:
    desk = await desk_with_profile()
    factory = await desk.token(Role.FACTORY)
    before = len(desk.repository.commits)
    first = await issued(desk, many(10_000), factory)
    assert len(desk.repository.commits) - before == 10_000 / CHUNK
    assert {line.fate for line in first} == {Fate.ISSUED}
    assert len({line.value.token.reveal() for line in first if isinstance(line.value, AccessToken)}) == 10_000
    again = await issued(desk, many(10_000), factory)
    assert [(line.line, line.serial, line.device, line.value) for line in again] == [
        (line.line, line.serial, line.device, line.value) for line in first
    ]
    assert {line.fate for line in again} == {Fate.EXISTS}
    kinds = Counter(event.kind for event in await desk.events(EventKind.CREDENTIAL_READ))
    assert kinds[EventKind.CREDENTIAL_READ] == 10_000


async def test_a_chunk_is_durable_before_it_is_told() -> None:
    desk = await desk_with_profile()
    batch = await desk(IssueBatch(profile="meters", rows=many(CHUNK + 1)))
    async for lines in batch.lines:
        for line in lines[:1]:
            assert (await desk(ReadCredentials(line.name))).items[0].value == line.value
        break
    await batch.lines.aclose()
    assert (await desk.refused(ShowDevice(f"SN{CHUNK:06}"))).check == "device.unknown"


async def test_bad_rows_are_told_why_and_good_ones_are_kept_in_their_order() -> None:
    desk = await desk_with_profile()
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"in": deep}
    given = (
        *rows("SN1", "", " ", "a\x00b", "<b>", "x" * 300, "SN1", " SN1"),
        UnreadRow(9, "SN" * 200, "there are more cells than columns"),
        SerialRow(line=10, serial="SN2", label="y" * 1_025),
        SerialRow(line=11, serial="SN2", metadata=deep),
        SerialRow(line=12, serial="SN2"),
    )
    lines = await issued(desk, given)
    assert [line.line for line in lines] == list(range(1, 13))
    assert [line.fate for line in lines] == [Fate.ISSUED] + [Fate.REFUSED] * 10 + [Fate.ISSUED]
    told = [line.reason for line in lines]
    assert told[1:3] == ["the device name is empty"] * 2
    assert "control characters" in told[3]
    assert told[6:8] == ["the serial is that of line 1"] * 2
    assert told[8] == "there are more cells than columns"
    assert told[9].startswith("label: ")
    assert told[10].startswith("metadata: ")
    assert max(len(line.serial) for line in lines) == 255


async def test_a_row_that_was_bad_takes_no_serial() -> None:
    desk = await desk_with_profile()
    lines = await issued(desk, (SerialRow(line=1, serial="SN1", label="y" * 1_025), SerialRow(line=2, serial="SN1")))
    assert [line.fate for line in lines] == [Fate.REFUSED, Fate.ISSUED]


async def test_the_same_serial_in_another_chunk_is_seen() -> None:
    desk = await desk_with_profile()
    lines = await issued(desk, (*many(CHUNK), SerialRow(line=999, serial="SN000000")))
    assert (lines[-1].fate, lines[-1].reason) == (Fate.REFUSED, "the serial is that of line 1")


async def test_whatever_concerns_the_whole_batch_is_refused_before_it_begins() -> None:
    desk = await desk_with_profile()
    for given, fields, what in (
        ((), {}, (Reason.MALFORMED, "batch.rows")),
        (rows(*["s"] * (ROWS + 1)), {}, (Reason.MALFORMED, "batch.rows")),
        (rows(*["s"] * (PASSWORDS + 1)), {"kind": CredentialKind.MQTT_BASIC}, (Reason.MALFORMED, "batch.rows")),
        (rows("s"), {"kind": CredentialKind.X509_CERTIFICATE}, (Reason.UNPROCESSABLE, "credential.kind")),
        (rows("s"), {"kind": CredentialKind.DEVICE_SECRET}, (Reason.UNPROCESSABLE, "credential.kind")),
    ):
        refusal = await desk.refused(IssueBatch(profile="meters", rows=given, **fields))
        assert (refusal.reason, refusal.check) == what
    refusal = await desk.refused(IssueBatch(profile="gone", rows=rows("s")))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "profile.unknown")
    auditor = await desk.token(Role.AUDITOR)
    assert (await desk.refused(IssueBatch(profile="meters", rows=rows("s")), auditor)).reason is Reason.FORBIDDEN
    assert desk.keys.stretched == 0


async def test_a_profile_with_one_kind_has_that_issued() -> None:
    desk = await desk_with_profile(credential_kind=CredentialKind.MQTT_BASIC)
    line = await one(desk, "SN1")
    assert isinstance(line.value, MqttBasic)
    wrong = IssueBatch(profile="meters", rows=rows("SN2"), kind=CredentialKind.ACCESS_TOKEN)
    assert (await desk.refused(wrong)).check == "credential.kind"


async def test_passwords_are_stretched_a_few_at_a_time() -> None:
    desk = await desk_with_profile()
    batch = await desk(IssueBatch(profile="meters", rows=many(50), kind=CredentialKind.MQTT_BASIC))
    sizes = [len(lines) async for lines in batch.lines]
    assert sizes == [PASSWORD_CHUNK, PASSWORD_CHUNK, 50 - 2 * PASSWORD_CHUNK]
    assert desk.keys.stretched == 50


async def test_a_device_that_was_defined_in_the_profile_is_answered_with_what_it_has() -> None:
    desk = await desk_with_profile()
    device = await desk.device("SN1", credential=ProposedToken(Secret("T1")))
    line = await one(desk, "SN1")
    assert (line.fate, line.device, line.value) == (Fate.EXISTS, device.id, AccessToken(Secret("T1")))
    assert await desk(ShowDevice("SN1")) == device


async def test_the_newest_credential_that_is_good_is_given() -> None:
    desk = await desk_with_profile()
    await one(desk, "SN1")
    await desk(RotateCredentials("SN1", ProposedToken(Secret("T2")), 60))
    assert (await one(desk, "SN1")).value == AccessToken(Secret("T2"))


async def test_a_device_without_a_credential_to_give_is_a_reason() -> None:
    desk = await desk_with_profile()
    for serial in ("revoked", "shown-once", "ended", "disabled", "discarded"):
        await one(desk, serial)
    await desk(RevokeCredentials("revoked"))
    assert "has no credential" in await reason(desk, "revoked")
    shown: Device = await desk(ShowDevice("shown-once"))
    await desk(RevokeCredentials("shown-once"))
    credential = await desk.issuer.issue(AccessToken(Secret("T")), shown.id, keep=False)
    await desk.repository.commit(Changes(insert=(credential,)))
    assert "not kept" in await reason(desk, "shown-once")
    (held,) = (await desk(ReadCredentials("ended"))).items
    over = msgspec.structs.replace(held.credential, expires_at=desk.clock.now(), version=2)
    await desk.repository.commit(Changes(replace=(over,)))
    assert "has ended" in await reason(desk, "ended")
    await desk(ChangeDevice(ref="disabled", enabled=False))
    assert await reason(desk, "disabled") == "the device is disabled"
    await desk(ChangeDevice(ref="discarded", state=DeviceState.DISCARDED))
    assert await reason(desk, "discarded") == "the device is discarded"


async def test_a_factory_gets_no_credential_of_a_device_that_has_connected() -> None:
    desk = await desk_with_profile()
    factory = await desk.token(Role.FACTORY)
    first = await one(desk, "SN1", factory)
    assert isinstance(first.value, AccessToken)
    await desk.authenticate(TokenLogin(first.value.token), DEVICE_CONTEXT)
    assert "connected already" in await reason(desk, "SN1", factory)
    assert (await one(desk, "SN1")).value == first.value


async def test_a_name_or_serial_of_others_is_a_reason() -> None:
    desk = await desk_with_profile()
    await desk.profile("gauges")
    await desk.device("SN1", "gauges")
    assert await reason(desk, "SN1") == "a device of this name belongs to another profile"
    device = await desk.device("SN2")
    other = msgspec.structs.replace(device, serial="SN3", version=2)
    await desk.repository.commit(Changes(replace=(other,)))
    assert await reason(desk, "SN2") == SENTENCES[Guard.DEVICE_NAME]


async def test_devices_that_sign_get_triples_and_a_name_of_their_group_where_theirs_is_taken() -> None:
    desk = Desk()
    rules = SignedRules(product_key="pk1")
    await desk(CreateProfile(name="meters", provision_key="G1", strategy=Strategy.SIGNED, signed=rules))
    await desk.profile("gauges")
    await desk.device("SN1", "gauges")
    lines = await issued(desk, rows("SN1", "SN2", "x" * 200, "<b>"))
    assert [line.name for line in lines] == ["G1_SN1", "SN2", "", ""]
    assert isinstance(lines[0].value, Triple)
    assert lines[0].value.product_key == "pk1"
    again = await issued(desk, rows("SN1", "SN2"))
    assert [(line.fate, line.value) for line in again] == [(Fate.EXISTS, line.value) for line in lines[:2]]
    await desk.device("SN3", "gauges")
    await desk.device("G1_SN3", "gauges")
    assert await reason(desk, "SN3") == "a device of this name belongs to another profile"
    await desk.device("SN4")
    assert (await one(desk, "SN4")).name == "G1_SN4"


async def test_two_rows_that_want_one_name_are_told_apart() -> None:
    desk = Desk()
    await desk(CreateProfile(name="meters", provision_key="G1", strategy=Strategy.SIGNED))
    await desk.profile("gauges")
    await desk.device("SN1", "gauges")
    lines = await issued(desk, rows("SN1", "G1_SN1", "SN2"))
    assert [(line.fate, line.name) for line in lines] == [
        (Fate.ISSUED, "G1_SN1"),
        (Fate.ISSUED, "G1_G1_SN1"),
        (Fate.ISSUED, "SN2"),
    ]


async def test_devices_are_made_as_long_as_there_is_room() -> None:
    desk = await desk_with_profile()
    await desk.limit_devices(130)
    lines = await issued(desk, many(300))
    assert [line.fate for line in lines] == [Fate.ISSUED] * 130 + [Fate.REFUSED] * 170
    assert {line.reason for line in lines[130:]} == {SENTENCES[Guard.DEVICE_LIMIT]}


async def test_a_chunk_that_was_overtaken_is_decided_again() -> None:
    desk = await desk_with_profile()
    for guard in (Guard.DEVICE_NAME, Guard.DEVICE_SERIAL, Guard.CREDENTIAL_LOOKUP, Guard.VERSION):
        desk.repository.failures = [Conflict(guard)] * (ATTEMPTS - 1)
        assert (await one(desk, guard.value)).fate is Fate.ISSUED
    desk.repository.failures = [Conflict(Guard.DEVICE_NAME)] * ATTEMPTS
    assert await reason(desk, "SN1") == SENTENCES[Guard.DEVICE_NAME]


async def test_a_registry_that_fails_is_a_reason_for_a_chunk_and_the_others_go_on() -> None:
    desk = await desk_with_profile()
    full = Refusal(Reason.UNAVAILABLE, "the store is full", check="storage.full", retry_after=5)
    desk.repository.failures = [full]
    lines = await issued(desk, many(2 * CHUNK))
    assert [line.reason for line in lines] == ["the store is full"] * CHUNK + [""] * CHUNK
    assert {line.fate for line in await issued(desk, many(CHUNK))} == {Fate.ISSUED}


async def test_a_profile_that_goes_meanwhile_is_a_reason() -> None:
    desk = await desk_with_profile()
    batch = await desk(IssueBatch(profile="meters", rows=rows("SN1", "SN2")))
    await desk(DeleteProfile("meters"))
    lines = [line async for chunk in batch.lines for line in chunk]
    assert [line.reason for line in lines] == [SENTENCES[Guard.REFERENCE]] * 2


@pytest.mark.parametrize("medium", ["memory", "sqlite"])
async def test_two_factories_with_the_same_serials_get_the_same_credentials(medium: str, tmp_path: Any) -> None:
    if medium == "memory":
        await _together(Desk())
        return
    async with open_sqlite(tmp_path / "registry.db") as repository:
        desk = Desk(repository=repository)  # type: ignore[arg-type]  # no conflicts are asked of it
        await _together(desk)


async def _together(desk: Desk) -> None:
    await desk.profile()
    answers = await asyncio.gather(*(issued(desk, many(600)) for _ in range(3)))
    values = [[(line.serial, line.device, line.value) for line in lines] for lines in answers]
    assert values[0] == values[1] == values[2]
    fates = Counter(line.fate for lines in answers for line in lines)
    assert fates == {Fate.ISSUED: 600, Fate.EXISTS: 1_200}
