"""Stand-ins for the core's own ports: a clock that moves when told, randomness that repeats, key derivation that is quick."""

import hashlib
import random

START = 1_795_228_438_123  # 2026-11-21T02:33:58.123Z


class FrozenClock:
    """A clock that stands still until `advance` moves it."""

    def __init__(self, now: int = START) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let some time pass."""
        self._now += round(seconds * 1000)
        self._monotonic += seconds


class SeededEntropy:
    """Randomness that is the same in every run of a test."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def draw(self, size: int) -> bytes:
        """Return `size` bytes."""
        return self._random.randbytes(size)


class PlainKeys:
    """Key derivation without the slowness; `stretched` counts how often it was asked for."""

    def __init__(self) -> None:
        self.stretched = 0

    async def stretch(self, secret: bytes, salt: bytes) -> bytes:
        """Return 32 bytes that depend on the secret and the salt."""
        self.stretched += 1
        return hashlib.sha256(salt + secret).digest()
