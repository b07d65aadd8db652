"""When a connection is given up, and what for: times on the event loop's clock, which this file never reads."""

import enum
import math

NEVER = math.inf
SILENCE_FACTOR = 1.5
"""How many times its keep-alive a client may be silent (OASIS MQTT 5.0, section 3.1.2.10)."""

# Event loops keep time in steps; a timer may fire this much early.
_RESOLUTION_SECONDS = 0.002


class Expiry(enum.Enum):
    """What took too long."""

    CONNECT = "connect_seconds"
    SILENCE = "keep_alive"
    PACKET = "packet_seconds"
    STALL = "write_stall_seconds"
    LINGER = "linger_seconds"


def after(now: float, seconds: float) -> float:
    """Return the time `seconds` from now; 0 seconds is never."""
    return now + seconds if seconds else NEVER


class Deadlines:
    """The times by which something must have happened on one connection."""

    __slots__ = ("connect", "linger", "packet", "silence", "stall")

    def __init__(self) -> None:
        self.connect = NEVER
        self.silence = NEVER
        self.packet = NEVER
        self.stall = NEVER
        self.linger = NEVER

    def next(self) -> float:
        """Return the earliest; infinity where there is none."""
        return min(self.connect, self.silence, self.packet, self.stall, self.linger)

    def expired(self, now: float) -> Expiry | None:
        """Return what is over, the gravest first."""
        for expiry, deadline in (
            (Expiry.STALL, self.stall),
            (Expiry.CONNECT, self.connect),
            (Expiry.PACKET, self.packet),
            (Expiry.SILENCE, self.silence),
            (Expiry.LINGER, self.linger),
        ):
            if deadline <= now + _RESOLUTION_SECONDS:
                return expiry
        return None
