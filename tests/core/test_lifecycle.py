import itertools

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.lifecycle import advance, give_up, renew
from core.model import DEFAULT_TENANT, Device, DeviceId, DeviceState, ProfileId

DEFINED, PROVISIONED, CONNECTED, ASSOCIATED, DISCARDED = DeviceState

WAYS = {
    (DEFINED, PROVISIONED),
    (DEFINED, CONNECTED),
    (DEFINED, DISCARDED),
    (PROVISIONED, CONNECTED),
    (PROVISIONED, ASSOCIATED),
    (PROVISIONED, DEFINED),
    (PROVISIONED, DISCARDED),
    (CONNECTED, ASSOCIATED),
    (CONNECTED, DEFINED),
    (CONNECTED, DISCARDED),
    (ASSOCIATED, PROVISIONED),
    (ASSOCIATED, CONNECTED),
    (ASSOCIATED, DEFINED),
    (ASSOCIATED, DISCARDED),
    (DISCARDED, DEFINED),
}
PAIRS = set(itertools.product(DeviceState, repeat=2))


def device(state: DeviceState) -> Device:
    return Device(
        id=DeviceId("d"),
        tenant=DEFAULT_TENANT,
        profile=ProfileId("p"),
        name="meter-0042",
        state=state,
        created_at=1,
        updated_at=2,
        version=3,
    )


@pytest.mark.parametrize(("here", "there"), sorted(WAYS, key=str))
def test_ways_that_exist(here: DeviceState, there: DeviceState) -> None:
    moved = advance(device(here), there, 9)
    assert (moved.state, moved.created_at, moved.updated_at, moved.version) == (there, 1, 9, 4)


@pytest.mark.parametrize("there", [PROVISIONED, CONNECTED, ASSOCIATED, DISCARDED])
def test_it_is_noted_when_a_device_got_there(there: DeviceState) -> None:
    before = device(DISCARDED if there is DEFINED else ASSOCIATED if there in (PROVISIONED, CONNECTED) else CONNECTED)
    after = advance(before, there, 9)
    assert getattr(after, f"{there.value}_at") == 9
    others = {"provisioned_at", "connected_at", "associated_at", "discarded_at"} - {f"{there.value}_at"}
    assert all(getattr(after, name) is None for name in others)


@pytest.mark.parametrize(("connected_at", "state"), [(None, PROVISIONED), (5, CONNECTED)])
def test_a_device_that_is_given_up_is_where_it_was(connected_at: int | None, state: DeviceState) -> None:
    owned = msgspec.structs.replace(device(ASSOCIATED), owner="o", associated_at=7, connected_at=connected_at)
    given_up = give_up(owned, 9)
    assert (given_up.state, given_up.owner, given_up.associated_at, given_up.version) == (state, "", None, 4)


@pytest.mark.parametrize("state", [state for state in DeviceState if state is not ASSOCIATED])
def test_nobody_gives_up_what_is_nobodys(state: DeviceState) -> None:
    with pytest.raises(Refusal) as refused:
        give_up(device(state), 9)
    assert (refused.value.reason, refused.value.check) == (Reason.CONFLICT, "device.not_associated")


@pytest.mark.parametrize(("here", "there"), sorted(PAIRS - WAYS, key=str))
def test_ways_that_do_not(here: DeviceState, there: DeviceState) -> None:
    with pytest.raises(Refusal) as refused:
        advance(device(here), there, 9)
    assert (refused.value.reason, refused.value.check) == (Reason.CONFLICT, "device.lifecycle")


@pytest.mark.parametrize("state", DeviceState)
def test_a_renewed_device_is_where_it_was(state: DeviceState) -> None:
    renewed = renew(device(state), 9)
    assert (renewed.state, renewed.updated_at, renewed.version) == (state, 9, 4)
