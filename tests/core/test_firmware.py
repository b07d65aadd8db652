"""Which firmware a device is told to run, and what it says that it runs."""

import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import ANY_ETAG, AskFirmware, FirmwareAnswer, FirmwareReported, Identity, ReportFirmware, TokenLogin
from core.model import CredentialId, DeviceState, EventKind, Firmware, Secret
from core.operate.messages import DeleteDevice, ProposedToken
from core.operate.updating import Holder, SetFirmware
from tests.core.associating import CONTEXT, Counter, counter

LOGIN = TokenLogin(Secret("meter-1"))


def image(version: str = "1.3.0") -> Firmware:
    return Firmware(version=version, url=f"https://images.example/{version}.bin", size=81_920, sha256="0f" * 32)


async def stocked() -> Counter:
    desk = await counter()
    await desk.device(credential=ProposedToken(Secret("meter-1")))
    return desk


async def say(desk: Counter, holder: Holder, version: str | None) -> None:
    ref = "meters" if holder is Holder.PROFILE else "meter-1"
    await desk(SetFirmware(holder=holder, ref=ref, firmware=image(version) if version else None))


async def ask(desk: Counter, running: str = "", *held: str) -> FirmwareAnswer:
    desk.clock.advance(0.001)
    return await desk.tell(AskFirmware(who=LOGIN, running=running, held=held), CONTEXT)


async def report(desk: Counter, version: str) -> FirmwareReported:
    desk.clock.advance(0.001)
    return await desk.note(ReportFirmware(LOGIN, version), CONTEXT)


async def test_what_is_said_of_a_device_counts_before_its_configuration_and_that_before_its_profile() -> None:
    desk = await stocked()
    assert (await ask(desk)).firmware is None
    await say(desk, Holder.PROFILE, "1")
    assert (await ask(desk)).firmware == image("1")
    await desk.config(client=(await desk.known()).id)
    assert (await ask(desk)).firmware == image("1")
    await say(desk, Holder.CONFIG, "2")
    assert (await ask(desk)).firmware == image("2")
    await say(desk, Holder.DEVICE, "3")
    assert (await ask(desk)).firmware == image("3")
    await say(desk, Holder.DEVICE, None)
    await say(desk, Holder.CONFIG, None)
    await say(desk, Holder.PROFILE, None)
    assert (await ask(desk)).firmware is None


async def test_an_answer_names_what_decides_about_it() -> None:
    desk = await stocked()
    answer = await ask(desk)
    device = await desk.known()
    assert answer.parts == (device.id, device.profile)


async def test_who_runs_it_already_is_told_nothing() -> None:
    desk = await stocked()
    await say(desk, Holder.PROFILE, "1.3.0")
    assert (await ask(desk, "1.2.0")).firmware == image()
    answer = await ask(desk, "1.3.0")
    assert (answer.firmware, answer.unchanged) == (None, False)


async def test_the_entity_tag_changes_with_what_is_told() -> None:
    desk = await stocked()
    nothing = await ask(desk)
    await say(desk, Holder.PROFILE, "1")
    one = await ask(desk)
    await say(desk, Holder.DEVICE, "2")
    two = await ask(desk)
    assert len({nothing.etag, one.etag, two.etag}) == 3
    assert all(len(bytes.fromhex(each.etag)) == 8 for each in (nothing, one, two))
    assert (await ask(desk, "2")).etag == nothing.etag
    assert (await ask(desk, "", one.etag)).unchanged is False
    assert (await ask(desk, "", one.etag, two.etag)).unchanged is True
    assert (await ask(desk, "", ANY_ETAG)).unchanged is True


async def test_asking_is_the_first_sign_of_life() -> None:
    desk = await stocked()
    await ask(desk)
    assert (await desk.known()).state is DeviceState.CONNECTED


async def test_a_report_is_written_where_it_says_something_new() -> None:
    desk = await stocked()
    told = await report(desk, " 1.2.0\n")
    assert told.version == "1.2.0"
    device = await desk.known()
    assert device.runs == "1.2.0"
    event = await desk.last_event(EventKind.FIRMWARE_REPORTED)
    assert (event.device, event.detail) == (device.id, "1.2.0")
    await report(desk, "1.2.0")
    assert (await desk.known()).version == device.version
    assert len(await desk.events(EventKind.FIRMWARE_REPORTED)) == 1
    await report(desk, "v" * 255)
    assert (await desk.known()).runs == "v" * 255


@pytest.mark.parametrize("version", ["", "  ", "v" * 256, "1\x002", "1\n2", "\u202e1", "1\x7f"])
async def test_what_is_no_version_is_refused(version: str) -> None:
    desk = await stocked()
    with pytest.raises(Refusal) as refusal:
        await report(desk, version)
    assert (refusal.value.reason, refusal.value.check) == (Reason.MALFORMED, "firmware.version")


async def test_a_report_that_is_overtaken_is_written_again() -> None:
    desk = await stocked()
    await ask(desk)
    desk.repository.failures = [Conflict(Guard.VERSION)] * 2
    await report(desk, "1")
    assert (await desk.known()).runs == "1"
    desk.repository.failures = [Conflict(Guard.VERSION)] * 3
    with pytest.raises(Refusal) as busy:
        await report(desk, "2")
    assert (busy.value.reason, busy.value.check) == (Reason.UNAVAILABLE, "registry.conflict")


async def test_who_is_no_device_is_refused() -> None:
    desk = await stocked()
    device = await desk.known()
    stranger = TokenLogin(Secret("nobody's"))
    by_key = Identity(device.tenant, device.id, device.name, None)
    user = Identity(device.tenant, device.id, device.name, CredentialId("c"), user=True)
    for who, reason in ((stranger, Reason.UNAUTHENTICATED), (by_key, Reason.FORBIDDEN), (user, Reason.FORBIDDEN)):
        for ask_or_report in (AskFirmware(who=who), ReportFirmware(who, "1")):
            use_case = desk.tell if isinstance(ask_or_report, AskFirmware) else desk.note
            with pytest.raises(Refusal) as refusal:
                await use_case(ask_or_report, CONTEXT)  # type: ignore[arg-type]  # each is asked what it answers
            assert refusal.value.reason is reason


async def test_a_device_that_is_gone_is_told_nothing() -> None:
    desk = await stocked()
    identity = await desk.authenticate(LOGIN, CONTEXT)
    await desk(DeleteDevice("meter-1"))
    with pytest.raises(Refusal) as gone:
        await desk.tell(AskFirmware(who=identity), CONTEXT)
    assert (gone.value.reason, gone.value.check) == (Reason.UNAUTHENTICATED, "identity.gone")
    with pytest.raises(Refusal):
        await desk.note(ReportFirmware(identity, "1"), CONTEXT)
