"""Key pairs for devices that cannot make their own, made in a thread."""

import asyncio

from adapters.authorities.under_way import KEY_PAIRS
from adapters.exchange import Meter
from core.crypto.signing_requests import make_private_key
from core.errors import Reason, Refusal

_AGAIN_SECONDS = 5.0


class ThreadedKeyPairs:
    """Satisfies `core.ports.KeyPairs`: one at a time, `waiting` of them at most, the rest refused.

    The library that makes keys lets go of the interpreter meanwhile, so requests are served as before; one by one, they take
    one processor at most.
    """

    def __init__(self, waiting: int, meter: Meter) -> None:
        self._one = asyncio.Semaphore(1)
        self._waiting = waiting
        self._meter = meter
        self._pending = 0

    async def make(self, algorithm: str) -> bytes:
        """Return a private key as PKCS#8 DER. Raises `Refusal` UNAVAILABLE when too many wait already."""
        if self._pending >= self._waiting:
            self._meter.bound(KEY_PAIRS)
            detail = "too many key pairs are being made, try again"
            raise Refusal(Reason.UNAVAILABLE, detail, check="issuing.keys_pending", retry_after=_AGAIN_SECONDS)
        self._pending += 1
        try:
            async with self._one:
                return await asyncio.to_thread(make_private_key, algorithm)
        finally:
            self._pending -= 1
