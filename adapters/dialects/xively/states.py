"""The lifecycle's words: `provisioningState`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.model import DeviceState

WORDS: Final[Mapping[DeviceState, str]] = MappingProxyType(
    {
        DeviceState.DEFINED: "defined",
        DeviceState.PROVISIONED: "activated",
        DeviceState.CONNECTED: "activated",
        DeviceState.ASSOCIATED: "associated",
        DeviceState.DISCARDED: "reserved",
    }
)


def states_of(word: str) -> tuple[DeviceState, ...]:
    """Return the states that a word stands for; none for a word that is not known."""
    return tuple(state for state, known in WORDS.items() if known == word)
