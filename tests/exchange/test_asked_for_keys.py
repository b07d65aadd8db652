"""A handshake asks the exchange for the key of whoever it is with, before anything is proved."""

import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import Oscore, OscoreQuestion
from core.model import Secret
from tests.core.registry import KEY, SECRET, Registry
from tests.exchange.answering_bench import DEADLINE, PEER, Bench, Logs

PROTECTED = Oscore("0a1b", "01", Secret("00112233445566778899aabbccddeeff"))


async def test_a_claim_key_has_its_secret_as_its_key() -> None:
    bench = Bench()
    await bench.registry.profile()
    found = await bench.answering.preshared(KEY, PEER)
    assert (found.key, found.claim, found.identity) == (Secret(SECRET), KEY, None)


async def test_an_identity_that_is_not_known_has_a_key_that_nobody_knows() -> None:
    bench = Bench()
    first, second = [await bench.answering.preshared("nobody", PEER) for _ in range(2)]
    assert first.key != second.key
    assert (first.claim, first.identity) == ("", None)


async def test_a_security_context_is_its_devices() -> None:
    bench = Bench()
    device = await bench.registry.device(await bench.registry.profile(), "m1", PROTECTED)
    found = await bench.answering.security_context(OscoreQuestion(bytes.fromhex("0a1b")), PEER)
    assert found is not None
    assert (found.context, found.identity.device) == (PROTECTED, device.id)
    assert await bench.answering.security_context(OscoreQuestion(b"\x0a"), PEER) is None


async def test_a_source_with_too_many_wrong_keys_is_turned_away(logs: Logs) -> None:
    bench = Bench(registry=Registry(failures=Rate(0.001, 1)))
    for _ in range(2):
        bench.answering.mistrust(PEER)
    for asked in (bench.answering.preshared(KEY, PEER), bench.answering.security_context(OscoreQuestion(b""), PEER)):
        with pytest.raises(Refusal) as refused:
            await asked
        assert refused.value.reason is Reason.TOO_MANY
    assert [(line["event"], line["check"], line["protocol"]) for line in logs] == [("login refused", "limit.login", "coap")] * 2


async def test_while_draining_nobody_is_told_a_key() -> None:
    bench = Bench()
    await bench.answering.drain(DEADLINE)
    with pytest.raises(Refusal) as refused:
        await bench.answering.preshared(KEY, PEER)
    assert refused.value.reason is Reason.UNAVAILABLE
