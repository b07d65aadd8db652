"""What operators say of firmware, and what they are told of it."""

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason
from core.messages import ReportFirmware, TokenLogin
from core.model import DeviceState, EventKind, Firmware, Role, Secret
from core.operate import firmware as rules
from core.operate.messages import ChangeDevice, ProposedToken, ShowProfile
from core.operate.updating import FirmwareLine, Holder, ListFirmware, SetFirmware
from tests.core.associating import CONTEXT, Counter, counter

IMAGE = Firmware(version="1.3.0", url="https://images.example/1.3.0.bin", size=81_920, sha256="0f" * 32)


def said(holder: Holder, ref: str, image: Firmware | None = IMAGE) -> SetFirmware:
    return SetFirmware(holder=holder, ref=ref, firmware=image)


async def reported(desk: Counter, name: str, version: str = "", profile: str = "meters") -> None:
    await desk.device(name, profile, credential=ProposedToken(Secret(name)))
    if version:
        await desk.note(ReportFirmware(TokenLogin(Secret(name)), version), CONTEXT)


async def test_firmware_is_said_of_devices_configurations_and_profiles_and_cleared() -> None:
    desk = await counter()
    device = await desk.device()
    config = await desk.config(client=device.id)
    for holder, ref, identity, kind in (
        (Holder.DEVICE, "meter-1", device.id, EventKind.DEVICE_CHANGED),
        (Holder.CONFIG, "meter-1", config.config.id, EventKind.CONFIG_CHANGED),
        (Holder.CONFIG, device.id, config.config.id, EventKind.CONFIG_CHANGED),
        (Holder.PROFILE, "meters", device.profile, EventKind.PROFILE_CHANGED),
    ):
        result = await desk(said(holder, ref))
        assert (result.holder, result.id, result.firmware) == (holder, identity, IMAGE)
        assert (await desk.last_event(kind)).detail.endswith("firmware 1.3.0")
        written = len(desk.repository.commits)
        await desk(said(holder, ref))
        assert len(desk.repository.commits) == written
        assert (await desk(said(holder, ref, None))).firmware is None
        assert (await desk.last_event(kind)).detail.endswith("no firmware")
    assert (await desk.known()).firmware is None


@pytest.mark.parametrize(
    ("holder", "check"),
    [(Holder.DEVICE, "device.unknown"), (Holder.CONFIG, "device.unknown"), (Holder.PROFILE, "profile.unknown")],
)
async def test_what_is_not_there_is_refused(holder: Holder, check: str) -> None:
    desk = await counter()
    assert (await desk.refused(said(holder, "nothing"))).check == check


async def test_a_device_without_a_configuration_has_none_to_say_it() -> None:
    desk = await counter()
    await desk.device()
    refusal = await desk.refused(said(Holder.CONFIG, "meter-1"))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "config.unknown")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"version": ""}, "firmware.length"),
        ({"version": "v" * 256}, "firmware.length"),
        ({"version": "1\x00"}, "firmware.characters"),
        ({"size": -1}, "firmware.size"),
        ({"size": 2**53 + 1}, "firmware.size"),
        ({"sha256": "0f" * 31}, "firmware.sha256"),
        ({"sha256": "0F" * 32}, "firmware.sha256"),
        ({"sha256": "0g" * 32}, "firmware.sha256"),
        ({"sha256": "0f" * 32 + "\n"}, "firmware.sha256"),
        ({"url": "images.example/1"}, "firmware.url"),
    ],
)
async def test_what_is_wrong_with_an_image_is_told(changes: dict[str, object], check: str) -> None:
    desk = await counter()
    refusal = await desk.refused(said(Holder.PROFILE, "meters", msgspec.structs.replace(IMAGE, **changes)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://images.example:8443/a/b?c=d&e=%20#f",
        "HTTPS://images.example/",
        "coap://[2001:db8::1]:5683/fw",
        "coaps+tcp://h/x",
        "mqtts://broker.example:8883/firmware/meters",
        "tftp://192.0.2.7/image.bin",
        "https://h/" + "x" * 2_038,
    ],
)
def test_an_address_is_absolute(url: str) -> None:
    assert rules.is_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https:",
        "https://",
        "https:///x",
        "//h/x",
        "file:///etc/passwd",
        "javascript://h/%0aalert(1)",
        "https://user:password@h/x",
        "https://user@h/x",
        "https://h:0/x",
        "https://h:65536/x",
        "https://h:999999/x",
        "https://h:/x",
        "https://[::1/x",
        "https://h/a b",
        "https://h/\n",
        "https://h/\\x",
        "https://h/ü",
        "https://hü/",
        "https://h/<x>",
        " https://h/",
        "https://h/" + "x" * 2_039,
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    assert not rules.is_address(url)


async def test_who_runs_what_is_counted() -> None:
    desk = await counter()
    meters = (await desk(ShowProfile("meters"))).id
    lamps = (await desk.profile("lamps")).id
    for name, version, profile in (
        ("m-1", "1.2.0", "meters"),
        ("m-2", "1.2.0", "meters"),
        ("m-3", "1.3.0", "meters"),
        ("m-4", "", "meters"),
        ("l-1", "7", "lamps"),
        ("l-2", "7", "lamps"),
    ):
        await reported(desk, name, version, profile)
    await desk(ChangeDevice(ref="l-2", state=DeviceState.DISCARDED))
    overview = await desk(ListFirmware())
    of_meters = (
        FirmwareLine(meters, "meters", "", 1),
        FirmwareLine(meters, "meters", "1.2.0", 2),
        FirmwareLine(meters, "meters", "1.3.0", 1),
    )
    assert overview.complete
    assert overview.lines == (*of_meters, FirmwareLine(lamps, "lamps", "7", 1))
    assert (await desk(ListFirmware(profile="meters"))).lines == of_meters
    assert (await desk.refused(ListFirmware(profile="nothing"))).check == "profile.unknown"


async def test_a_list_that_is_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LINES", 2)
    desk = await counter()
    for number in range(3):
        await reported(desk, f"m-{number}", str(number))
    overview = await desk(ListFirmware())
    assert (len(overview.lines), overview.complete) == (2, False)


async def test_an_auditor_sees_and_changes_nothing() -> None:
    desk = await counter()
    bearer = await desk.token(Role.AUDITOR)
    assert (await desk(ListFirmware(), bearer)).lines == ()
    assert (await desk.refused(said(Holder.PROFILE, "meters"), bearer)).check == "role"


async def test_what_others_change_at_the_same_time_is_decided_again() -> None:
    desk = await counter()
    await desk.device()
    desk.repository.failures = [Conflict(Guard.VERSION)] * 5
    assert (await desk(said(Holder.DEVICE, "meter-1"))).firmware == IMAGE
