"""Where a device can go from where it is in its life."""

import msgspec

from core.errors import Reason, Refusal
from core.model import Device, DeviceState

NEXT: dict[DeviceState, frozenset[DeviceState]] = {
    DeviceState.DEFINED: frozenset({DeviceState.PROVISIONED, DeviceState.DISCARDED}),
    DeviceState.PROVISIONED: frozenset(
        {DeviceState.CONNECTED, DeviceState.ASSOCIATED, DeviceState.DEFINED, DeviceState.DISCARDED}
    ),
    DeviceState.CONNECTED: frozenset({DeviceState.ASSOCIATED, DeviceState.DEFINED, DeviceState.DISCARDED}),
    DeviceState.ASSOCIATED: frozenset({DeviceState.CONNECTED, DeviceState.DEFINED, DeviceState.DISCARDED}),
    DeviceState.DISCARDED: frozenset({DeviceState.DEFINED}),
}
"""`DEFINED` again lets a pre-provisioned device provision once more; a discarded one comes back only that way."""


def advance(device: Device, state: DeviceState, now: int) -> Device:
    """Return the device in its next state and version. Raises `Refusal` CONFLICT where no way leads there."""
    if state not in NEXT[device.state]:
        raise Refusal(
            Reason.CONFLICT, f"a device that is {device.state.value} does not become {state.value}", check="device.lifecycle"
        )
    return msgspec.structs.replace(device, state=state, updated_at=now, version=device.version + 1)


def renew(device: Device, now: int) -> Device:
    """Return the device in its next version, its state unchanged."""
    return msgspec.structs.replace(device, updated_at=now, version=device.version + 1)
