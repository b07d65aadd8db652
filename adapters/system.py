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
    """The kernel's cryptographic random source (getrandom(2)), asked for some kilobytes at a time.

    One provision draws five times; a system call for each would cost more than what it is drawn for.
    """

    def __init__(self, pool_bytes: int = 4096) -> None:
        self._pool_bytes = pool_bytes
        self._pool = b""
        self._used = 0

    def draw(self, size: int) -> bytes:
        """Return `size` random bytes, none of them given before."""
        if self._used + size > len(self._pool):
            self._pool = os.urandom(max(self._pool_bytes, size))
            self._used = 0
        drawn = self._pool[self._used : self._used + size]
        self._used += size
        return drawn


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
