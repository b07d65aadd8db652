"""What crosses the operator API about devices that wait for approval, as far as the command line reads or writes it."""

import msgspec


class WaitingDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that waits for approval, or was answered and has not come for it; `profile` is an id."""

    id: str
    name: str
    profile: str
    device: str | None = None
    verdict: str
    source: str = ""
    protocol: str = ""
    dialect: str = ""
    asked_at: str
    expires_at: str


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to a device, by the entry's id or the device's name."""

    ref: str
    verdict: str
    profile: str = ""


class Decisions(msgspec.Struct, frozen=True):
    """Many answers."""

    decisions: tuple[Decision, ...]


class BadDecision(msgspec.Struct, frozen=True):
    """An answer that was not taken, by its place, and why."""

    line: int
    ref: str = ""
    reason: str = ""


class DecisionsTaken(msgspec.Struct, frozen=True):
    """What became of many answers."""

    items: tuple[WaitingDevice, ...] = ()
    errors: tuple[BadDecision, ...] = ()
