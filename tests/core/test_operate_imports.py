"""How many devices are defined at once."""

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AccessToken
from core.model import Credential, Device, DeviceState, EventKind, Secret
from core.operate.definition import define, make
from core.operate.messages import (
    BadRow,
    ChangeDevice,
    ImportDevices,
    ImportRow,
    ProposedBasic,
    ProposedToken,
    ReadCredentials,
    ShowDevice,
)
from core.operate.registry import SENTENCES
from core.operate.results import Imported, RowError
from core.ports import Changes
from tests.fakes import FrozenClock, PlainKeys
from tests.operating import Desk


def rows(count: int) -> tuple[ImportRow, ...]:
    return tuple(ImportRow(line=number + 2, name=f"meter-{number}") for number in range(count))


async def test_a_thousand_rows_are_a_handful_of_commits() -> None:
    desk = Desk()
    await desk.profile()
    before = len(desk.repository.commits)
    assert await desk(ImportDevices(rows(1_000), "meters")) == Imported(1_000, 0, ())
    assert len(desk.repository.commits) - before == 10
    assert len(await desk.events(EventKind.DEVICE_DEFINED)) == 1_000
    assert (await desk(ShowDevice("meter-999"))).state is DeviceState.DEFINED


async def test_too_many_rows_are_refused() -> None:
    refusal = await Desk().refused(ImportDevices(rows(1_001), "meters"))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "import.rows")


async def test_an_import_may_be_repeated_and_takes_nothing_away() -> None:
    desk = Desk()
    await desk.profile()
    first = ImportRow(line=1, name="meter-0", credential=ProposedToken(Secret("T0")), metadata={"site": "Ulm"})
    await desk(ImportDevices((first,), "meters"))
    changed = await desk(ChangeDevice(ref="meter-0", state=DeviceState.DISCARDED))
    before = len(desk.repository.commits)
    again = await desk(ImportDevices((first,), "meters"))
    other = await desk(ImportDevices((ImportRow(line=1, name="meter-0", credential=ProposedBasic("c", "u")),), "meters"))
    assert again == other == Imported(0, 1, ())
    assert len(desk.repository.commits) == before
    assert desk.keys.stretched == 0
    assert await desk(ShowDevice("meter-0")) == changed
    assert (await desk(ReadCredentials("meter-0"))).items[0].value == AccessToken(Secret("T0"))


async def test_good_rows_are_kept_and_bad_ones_told_by_line() -> None:
    desk = Desk()
    await desk.profile()
    await desk.profile("gauges")
    await desk.device("gauge-1", "gauges", credential=ProposedToken(Secret("T-gauge")))
    command = ImportDevices(
        (
            ImportRow(line=10, name="gauge-1"),
            ImportRow(line=9, name="", profile="gauges"),
            ImportRow(line=8, name="x" * 300),
            ImportRow(line=7, name="meter-1", credential=ProposedToken(Secret(""))),
            ImportRow(line=6, name="meter-1", credential=ProposedToken(Secret("T1"))),
            ImportRow(line=5, name="meter-1 "),
            ImportRow(line=4, name="meter-2", credential=ProposedToken(Secret("T1"))),
            ImportRow(line=3, name="meter-3", profile="gone"),
            ImportRow(line=2, name="meter-4", credential=ProposedToken(Secret("T-gauge"))),
            ImportRow(line=1, name="meter-5", metadata={"a": "x" * 20_000}),
            BadRow(11, "y" * 300, "name: expected str, got int"),
            ImportRow(line=12, name="gauge-2", profile="gauges", credential=ProposedBasic("c", "u", Secret("p"))),
        ),
        "meters",
    )
    result = await desk(command)
    assert (result.created, result.unchanged) == (2, 0)
    assert result.errors == (
        RowError(1, "meter-5", "metadata: more than 16384 bytes"),
        RowError(2, "meter-4", "the credential is in use already"),
        RowError(3, "meter-3", "there is no profile of this id or name"),
        RowError(4, "meter-2", "the credential is that of line 6"),
        RowError(5, "meter-1 ", "the name is that of line 6"),
        RowError(7, "meter-1", "the token is empty"),
        RowError(8, "x" * 255, "a device name has at most 255 characters"),
        RowError(9, "", "the device name is empty"),
        RowError(10, "gauge-1", "a device of this name belongs to another profile"),
        RowError(11, "y" * 255, "name: expected str, got int"),
    )
    assert (await desk(ReadCredentials("meter-1"))).items[0].value == AccessToken(Secret("T1"))


async def test_a_row_without_any_profile_is_told() -> None:
    (error,) = (await Desk()(ImportDevices((ImportRow(line=1, name="meter-1"),)))).errors
    assert error.reason == "no profile is named"


async def test_rows_that_were_overtaken_are_settled_one_by_one() -> None:
    desk = Desk()
    profile, other = await desk.profile(), await desk.profile("gauges")
    made: list[Device | Credential] = []
    for row, owner, token in (
        (ImportRow(line=1, name="meter-0"), profile, "T0"),
        (ImportRow(line=1, name="meter-1"), other, "T1"),
        (ImportRow(line=1, name="stranger"), other, "T3"),
    ):
        device, _ = await make(define(row, owner, desk.issuer), owner, desk.issuer)
        made += [device, await desk.issuer.issue(AccessToken(Secret(token)), device.id, keep=True)]
    desk.repository.overtaking = [Changes(insert=tuple(made))]
    given = msgspec.structs.replace(rows(4)[3], credential=ProposedToken(Secret("T3")))
    result = await desk(ImportDevices((*rows(3), given), "meters"))
    assert result == Imported(
        1,
        1,
        (
            RowError(3, "meter-1", "a device of this name belongs to another profile"),
            RowError(5, "meter-3", "the credential is in use already"),
        ),
    )
    assert (await desk(ReadCredentials("meter-0"))).items[0].value == AccessToken(Secret("T0"))
    assert (await desk(ShowDevice("meter-2"))).state is DeviceState.DEFINED


async def test_devices_are_made_as_long_as_there_is_room() -> None:
    desk = Desk()
    await desk.profile()
    await desk.limit_devices(150)
    result = await desk(ImportDevices(rows(250), "meters"))
    assert (result.created, len(result.errors)) == (150, 100)
    assert {error.reason for error in result.errors} == {SENTENCES[Guard.DEVICE_LIMIT]}
    assert [error.line for error in result.errors] == list(range(152, 252))


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_single_row_is_tried_three_times(times: int) -> None:
    desk = Desk()
    await desk.profile()
    desk.repository.failures = [Conflict(Guard.REFERENCE) for _ in range(times)]
    result = await desk(ImportDevices(rows(1), "meters"))
    if times < 3:
        assert result == Imported(1, 0, ())
    else:
        assert result == Imported(0, 0, (RowError(2, "meter-0", SENTENCES[Guard.REFERENCE]),))


async def test_what_was_written_before_a_failure_is_kept() -> None:
    desk = Desk()
    await desk.profile()
    full = Refusal(Reason.UNAVAILABLE, "the store is full", check="storage.full", retry_after=5)
    await desk(ImportDevices(rows(100), "meters"))
    desk.repository.failures = [full]
    assert (await desk.refused(ImportDevices(rows(300), "meters"))).reason is Reason.UNAVAILABLE
    assert await desk(ImportDevices(rows(300), "meters")) == Imported(200, 100, ())


class SlowKeys(PlainKeys):
    """Key derivation that takes its time by the clock of a test."""

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__()
        self.clock = clock

    async def stretch(self, secret: bytes, salt: bytes) -> bytes:
        """Take 40 ms."""
        self.clock.advance(0.04)
        return await super().stretch(secret, salt)


async def test_an_import_of_many_passwords_goes_on_when_it_is_sent_again() -> None:
    clock = FrozenClock()
    desk = Desk(clock=clock, keys=SlowKeys(clock))
    await desk.profile()
    passwords = tuple(msgspec.structs.replace(row, credential=ProposedBasic()) for row in rows(500))
    for done in (200, 400):
        refusal = await desk.refused(ImportDevices(passwords, "meters"))
        assert (refusal.reason, refusal.check, refusal.retry_after) == (Reason.UNAVAILABLE, "import.seconds", 1.0)
        assert len(await desk.events(EventKind.DEVICE_DEFINED)) == done
    assert await desk(ImportDevices(passwords, "meters")) == Imported(100, 400, ())
    assert desk.keys.stretched == 500
