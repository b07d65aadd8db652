"""The clock, the entropy and the slow key derivation of the machine."""

import asyncio
import hashlib
import os
import time

from core.errors import Reason, Refusal

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1  # 16 MiB and about 40 ms for each derivation


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SystemEntropy:
    """The kernel's cryptographic random source."""

    def draw(self, size: int) -> bytes:
        """Return `size` random bytes."""
        return os.urandom(size)


class ScryptKeys:
    """Scrypt (RFC 7914) in worker threads: a few at once, some more waiting, the rest refused."""

    def __init__(self, at_once: int = 2, waiting: int = 64) -> None:
        self._running = asyncio.Semaphore(at_once)
        self._bound = at_once + waiting
        self._pending = 0

    async def stretch(self, secret: bytes, salt: bytes) -> bytes:
        """Return 32 bytes. Raises `Refusal` UNAVAILABLE when too many wait already."""
        if self._pending >= self._bound:
            raise Refusal(Reason.UNAVAILABLE, "too many passwords to check, try again", check="keys.pending", retry_after=2.0)
        self._pending += 1
        try:
            async with self._running:
                return await asyncio.to_thread(_scrypt, secret, salt)
        finally:
            self._pending -= 1


def _scrypt(secret: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(secret, salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=64 * 1024 * 1024, dklen=32)
