import asyncio
import time

from adapters.system import ScryptKeys, SystemClock, SystemEntropy
from core.errors import Reason, Refusal


def test_the_clock_is_the_machines():
    clock = SystemClock()
    assert abs(clock.now() - time.time() * 1000) < 10_000
    assert clock.monotonic() <= clock.monotonic()


def test_entropy_has_the_asked_size():
    assert len(SystemEntropy().draw(33)) == 33


async def test_scrypt_depends_on_secret_and_salt():
    keys = ScryptKeys()
    first = await keys.stretch(b"secret", b"salt")
    assert len(first) == 32
    assert await keys.stretch(b"secret", b"salt") == first
    assert await keys.stretch(b"secret", b"other") != first


async def test_too_many_derivations_are_refused_and_the_rest_finish():
    keys = ScryptKeys(at_once=1, waiting=1)
    results = await asyncio.gather(*(keys.stretch(b"s", b"t") for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Refusal)]
    assert len(refused) == 3
    assert refused[0].reason is Reason.UNAVAILABLE
    assert await keys.stretch(b"s", b"t") == results[0]
