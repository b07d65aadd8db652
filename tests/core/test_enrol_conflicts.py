import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import BranchRequest
from core.model import DeviceState, EventKind
from core.ports import Changes
from core.registration import ATTEMPTS
from storage import open_repository
from tests.core.faulty import Conflicting, FaultyRepository, RacedRepository, no_fault
from tests.core.registry import CONTEXT
from tests.core.signing_fleet import SERIAL, Fleet, connection, enrolment
from tests.fakes import SeededEntropy

GUARDS = pytest.mark.parametrize(
    "guard", [Guard.DEVICE_SERIAL, Guard.DEVICE_NAME, Guard.VERSION, Guard.CREDENTIAL_LOOKUP, Guard.DEVICE_LIMIT]
)
AT_ONCE = 8


@GUARDS
@pytest.mark.parametrize("times", [1, 2, ATTEMPTS - 1])
async def test_a_conflict_is_decided_anew(guard: Guard, times: int) -> None:
    repository = FaultyRepository(Conflicting(Conflict(guard), times))
    await Fleet(repository.inner).group()
    devices = Fleet(repository)
    given = await devices.enrol(enrolment(), CONTEXT)
    assert [device.id for device in await devices.devices()] == [given.device.id]
    assert [event.detail for event in await devices.events()] == ["register"]


async def test_after_so_many_conflicts_the_device_is_asked_to_come_again() -> None:
    repository = FaultyRepository(Conflicting(Conflict(Guard.VERSION), ATTEMPTS))
    await Fleet(repository.inner).group()
    devices = Fleet(repository)
    with pytest.raises(Refusal) as refusal:
        await devices.enrol(enrolment(), CONTEXT)
    assert (refusal.value.reason, refusal.value.check) == (Reason.UNAVAILABLE, "registry.conflict")
    assert [event.check for event in await devices.events()] == ["registry.conflict"]
    assert await devices.devices() == ()


@pytest.mark.parametrize("url", ["memory:", "sqlite:{folder}/registry.db"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "defined"])
async def test_first_calls_at_once_make_one_device_with_one_triple(url: str, known: bool, tmp_path: Path) -> None:
    async with open_repository(url.format(folder=tmp_path)) as opened:
        repository = FaultyRepository(no_fault)
        repository.inner = opened
        devices = Fleet(repository)
        group = await devices.group()
        if known:
            await devices.expect(group)
        given = await asyncio.gather(*(devices.enrol(enrolment(), CONTEXT) for _ in range(AT_ONCE)))
        assert len({msgspec.json.encode(one.device.id) for one in given}) == 1
        assert len({(one.triple.device_key, one.triple.secret.reveal()) for one in given}) == 1
        (device,) = await devices.devices()
        assert (device.serial, device.state) == (SERIAL, DeviceState.PROVISIONED)
        assert len((await devices.found()).credentials) == 1
        assert Counter(event.detail for event in await devices.events()) == {
            "allocate" if known else "register": 1,
            "repeat": AT_ONCE - 1,
        }


@pytest.mark.parametrize("url", ["memory:", "sqlite:{folder}/registry.db"])
async def test_a_gateways_first_calls_at_once_make_one_branch(url: str, tmp_path: Path) -> None:
    async with open_repository(url.format(folder=tmp_path)) as opened:
        repository = FaultyRepository(no_fault)
        repository.inner = opened
        devices = Fleet(repository)
        await devices.group(metadata={"gateway": True})
        await devices.enrol(enrolment(), CONTEXT)
        asked = connection(sub=BranchRequest(branch=3))
        given = await asyncio.gather(*(devices.fetch(asked, CONTEXT) for _ in range(AT_ONCE)))
        assert len({one.triple.secret for one in given}) == 1
        assert [device.serial for device in await devices.devices()] == [SERIAL, f"{SERIAL}_3"]


async def test_a_serial_that_a_rival_registered_but_could_not_allocate_is_seen() -> None:
    repository = RacedRepository()
    devices = Fleet(repository)
    group = await devices.group(auto_activation=False)
    rival = Fleet()
    rival.issuer = devices.issuer
    rival.entropy = SeededEntropy(2)
    device = await rival.expect(await rival.group())
    repository.rival = Changes(insert=(msgspec.structs.replace(device, profile=group.id),))
    with pytest.raises(Refusal) as refusal:
        await devices.enrol(enrolment(), CONTEXT)
    assert refusal.value.check == "device.not_allocated"
    assert [each.id for each in await devices.devices()] == [device.id]
    assert EventKind.DEVICE_DEFINED not in {event.kind for event in await devices.events()}
