"""How far the events were published, as it is kept at the broker in one retained message."""

import re
from typing import Final

import msgspec

OVERLAP_MILLISECONDS: Final = 10_000
PUBLISHED: Final = 200
"""How many ids a position names: those of a quiet time. After a busier one some events are told again."""

_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME_BITS = 80  # below the 48 bits of time in the 128 of a UUIDv7 (RFC 9562, section 5.7)
_AHEAD_MILLISECONDS = 60_000


class Position(msgspec.Struct, frozen=True):
    """The newest event that was published, and those published of the last seconds before it, oldest first.

    An event's id is made slightly before the event is committed, so one may appear behind others that are newer.
    """

    newest: str
    published: tuple[str, ...] = ()


def write(position: Position) -> bytes:
    """Return a position as the broker keeps it."""
    return msgspec.json.encode(position)


def read(payload: bytes, now: int) -> Position | None:
    """Read what the broker keeps; None where that is no position, or one after `now`, in milliseconds since the Unix epoch."""
    try:
        position = msgspec.json.decode(payload, type=Position)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    ids = (position.newest, *position.published)
    if len(ids) > PUBLISHED + 1 or any(_ID.fullmatch(each) is None for each in ids):
        return None
    return position if max(ids) < earliest_id(now + _AHEAD_MILLISECONDS) else None


def floor_of(newest: str, overlap: int = OVERLAP_MILLISECONDS) -> str:
    """Return the lowest id of the moment one overlap, in milliseconds, before this id."""
    at = int(newest.replace("-", ""), 16) >> _TIME_BITS
    return earliest_id(max(0, at - overlap))


def earliest_id(at: int) -> str:
    """Return the lowest id of a time in milliseconds since the Unix epoch."""
    digits = f"{at:012x}"
    return f"{digits[:8]}-{digits[8:12]}-7000-8000-000000000000"
