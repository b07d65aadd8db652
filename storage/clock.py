"""The time at which a store does what it does by itself."""

import time


def now() -> int:
    """Return milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000
