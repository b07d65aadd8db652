"""What the states of a device are called: which of ours each of the vendor's words stands for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.model import DeviceState

CURRENT: Final[Mapping[DeviceState, str]] = MappingProxyType(
    {
        DeviceState.DEFINED: "init",
        DeviceState.PROVISIONED: "allocated",
        DeviceState.CONNECTED: "connected",
        DeviceState.ASSOCIATED: "finished",
        DeviceState.DISCARDED: "discarded",
    }
)
"""`currentStatus`."""

STATES: Final[Mapping[str, frozenset[DeviceState]]] = MappingProxyType(
    {word: frozenset({state}) for state, word in CURRENT.items()}
)

_WITH_CREDENTIALS: Final = frozenset({DeviceState.PROVISIONED, DeviceState.CONNECTED, DeviceState.ASSOCIATED})
_SEEN: Final = frozenset({DeviceState.CONNECTED, DeviceState.ASSOCIATED})

ALLOCATED: Final[Mapping[str, frozenset[DeviceState]]] = MappingProxyType(
    {"init": frozenset(DeviceState) - _WITH_CREDENTIALS, "allocated": _WITH_CREDENTIALS}
)
"""`allocateStatus`."""

CONNECTED: Final[Mapping[str, frozenset[DeviceState]]] = MappingProxyType(
    {"init": frozenset(DeviceState) - _SEEN, "connected": _SEEN, "failed": frozenset()}
)
"""`connectStatus`: no device is ever `failed` here."""


def word(words: Mapping[str, frozenset[DeviceState]], state: DeviceState) -> str:
    """Return the word that stands for a state among others."""
    return next(name for name, states in words.items() if state in states)
