import itertools

import pytest

from core.errors import Reason, Refusal
from core.lifecycle import advance, renew
from core.model import DEFAULT_TENANT, Device, DeviceId, DeviceState, ProfileId

DEFINED, PROVISIONED, CONNECTED, ASSOCIATED, DISCARDED = DeviceState

WAYS = {
    (DEFINED, PROVISIONED),
    (DEFINED, DISCARDED),
    (PROVISIONED, CONNECTED),
    (PROVISIONED, ASSOCIATED),
    (PROVISIONED, DEFINED),
    (PROVISIONED, DISCARDED),
    (CONNECTED, ASSOCIATED),
    (CONNECTED, DEFINED),
    (CONNECTED, DISCARDED),
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


@pytest.mark.parametrize(("here", "there"), sorted(PAIRS - WAYS, key=str))
def test_ways_that_do_not(here: DeviceState, there: DeviceState) -> None:
    with pytest.raises(Refusal) as refused:
        advance(device(here), there, 9)
    assert (refused.value.reason, refused.value.check) == (Reason.CONFLICT, "device.lifecycle")


@pytest.mark.parametrize("state", DeviceState)
def test_a_renewed_device_is_where_it_was(state: DeviceState) -> None:
    renewed = renew(device(state), 9)
    assert (renewed.state, renewed.updated_at, renewed.version) == (state, 9, 4)
