"""Where a device can go from where it is in its life."""

import msgspec

from core.errors import Reason, Refusal
from core.model import Device, DeviceState, Profile, Strategy

NEXT: dict[DeviceState, frozenset[DeviceState]] = {
    DeviceState.DEFINED: frozenset({DeviceState.PROVISIONED, DeviceState.CONNECTED, DeviceState.DISCARDED}),
    DeviceState.PROVISIONED: frozenset(
        {DeviceState.CONNECTED, DeviceState.ASSOCIATED, DeviceState.DEFINED, DeviceState.DISCARDED}
    ),
    DeviceState.CONNECTED: frozenset({DeviceState.ASSOCIATED, DeviceState.DEFINED, DeviceState.DISCARDED}),
    DeviceState.ASSOCIATED: frozenset(
        {DeviceState.PROVISIONED, DeviceState.CONNECTED, DeviceState.DEFINED, DeviceState.DISCARDED}
    ),
    DeviceState.DISCARDED: frozenset({DeviceState.DEFINED}),
}
"""`DEFINED` again lets a device provision once more; a discarded one comes back only that way. An associated one goes back to
where it was when it is given up."""

_REACHED = {
    DeviceState.PROVISIONED: "provisioned_at",
    DeviceState.CONNECTED: "connected_at",
    DeviceState.ASSOCIATED: "associated_at",
    DeviceState.DISCARDED: "discarded_at",
}


def advance(device: Device, state: DeviceState, now: int) -> Device:
    """Return the device in its next state and version. Raises `Refusal` CONFLICT where no way leads there."""
    if state not in NEXT[device.state]:
        raise Refusal(
            Reason.CONFLICT, f"a device that is {device.state.value} does not become {state.value}", check="device.lifecycle"
        )
    reached = {_REACHED[state]: now} if state in _REACHED else {}
    return msgspec.structs.replace(device, state=state, updated_at=now, version=device.version + 1, **reached)


def give_up(device: Device, now: int) -> Device:
    """Return an associated device as nobody's, in the state it was in. Raises `Refusal` CONFLICT for any other."""
    if device.state is not DeviceState.ASSOCIATED:
        raise Refusal(Reason.CONFLICT, "the device is nobody's", check="device.not_associated")
    state = DeviceState.PROVISIONED if device.connected_at is None else DeviceState.CONNECTED
    return msgspec.structs.replace(
        device, state=state, owner="", associated_at=None, updated_at=now, version=device.version + 1
    )


def at_first_login(device: Device, profile: Profile, now: int) -> Device | None:
    """Return the device as its first login leaves it; None: it has been here before.

    A defined device of a pre-provisioned profile stays that: it has still to fetch what it was given.
    """
    if device.state is DeviceState.ASSOCIATED and device.connected_at is None:
        return msgspec.structs.replace(renew(device, now), connected_at=now)
    fetches = device.state is DeviceState.DEFINED and profile.strategy is Strategy.PRE_PROVISIONED
    if fetches or device.state not in (DeviceState.DEFINED, DeviceState.PROVISIONED):
        return None
    return advance(device, DeviceState.CONNECTED, now)


def renew(device: Device, now: int) -> Device:
    """Return the device in its next version, its state unchanged."""
    return msgspec.structs.replace(device, updated_at=now, version=device.version + 1)
