"""How many DTLS sessions there may be, how long they last, and what a client may send before it is known."""

import asyncio

import pytest
from OpenSSL import SSL

from tests.dtls.dtls_peers import ECDSA_SUITES, pair, secured
from tests.protocols.coap_peers import ACK, CON, GET, OBSERVE, message, until


async def test_idle_session_ends_unless_it_observes() -> None:
    async with secured(dtls_idle_seconds=0.3) as served:
        watching, idle = await served.device().connect(), await served.device().connect()
        await watching.ask(message(CON, GET, 1, (OBSERVE, b""), token=b"t", path="version"))
        with pytest.raises(SSL.ZeroReturnError):
            await idle.receive()
        await asyncio.sleep(0.5)
        assert served.sessions == 1
        served.exchange.turn(2)
        told = await watching.receive()
        assert told.payload == b"v2"
        await watching.tell(message(ACK, 0, told.mid))
    assert served.meter.bounds["coap.dtls_idle_seconds"] == 1


async def test_proof_of_a_claim_key_is_good_for_a_while() -> None:
    async with secured(dtls_claim_seconds=0.3) as served:
        claiming, device = await served.device(b"claim").connect(), await served.device().connect()
        assert await claiming.who() == b"claim"
        with pytest.raises(SSL.ZeroReturnError):
            await claiming.receive()
        assert await device.who() == b"dev-42"


async def test_full_table_ends_the_session_that_was_idle_longest() -> None:
    async with secured(dtls_sessions=3) as served:
        devices = [await served.device().connect() for _ in range(3)]
        for mid, device in enumerate(devices):
            await device.who(mid)
        await devices[0].who(10)
        await (await served.device().connect()).who()
        with pytest.raises(SSL.ZeroReturnError):
            await devices[1].receive()
        assert await devices[0].who(11) == b"dev-42"
        assert served.sessions == 3
    assert served.meter.bounds["coap.dtls_sessions"] == 1


async def test_source_has_a_share_of_the_table() -> None:
    async with secured(dtls_sessions_per_source=2) as served:
        other = await served.device(bound=("127.0.0.9", 0)).connect()
        devices = [await served.device().connect() for _ in range(3)]
        assert served.sessions == 3
        with pytest.raises(SSL.ZeroReturnError):
            await devices[0].receive()
        assert await other.who() == b"dev-42"
    assert served.meter.bounds["coap.dtls_sessions_per_source"] == 1


async def test_unfinished_handshakes_make_way_for_each_other_and_not_sessions() -> None:
    async with secured(dtls_sessions=6, dtls_handshakes=2) as served:
        guest = await served.device().connect()
        for count in range(1, 6):
            device = served.device()
            device.step()
            await device.hear()
            device.step()
            await until(lambda: served.sessions == 1 + min(count, 2))  # noqa: B023 - waited for at once
        await until(lambda: served.meter.bounds["coap.dtls_handshakes"] == 3)
        assert await guest.who() == b"dev-42"


async def test_source_that_begins_too_often_has_to_wait() -> None:
    async with secured(dtls_burst_handshakes=2, dtls_handshakes_per_second=0.001, max_sources=1) as served:
        for _ in range(2):
            await served.device().connect()
        late = served.device()
        late.step()
        await late.hear()
        late.step()
        await until(lambda: served.meter.bounds["coap.dtls_handshakes_per_second"])
        assert served.sessions == 2
        await served.device(bound=("127.0.0.9", 0)).connect()


async def test_client_may_not_say_too_much_before_it_is_known() -> None:
    async with secured(pair("server").material(), dtls_handshake_bytes=400) as served:
        talkative = served.device(shown=pair("dev-43"), suites=ECDSA_SUITES)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await talkative.connect()
        assert served.meter.bounds["coap.dtls_handshake_bytes"] == 1
        assert served.sessions == 0


async def test_what_waits_is_bounded_in_bytes() -> None:
    async with secured(dtls_queue_bytes=500) as served:
        served.exchange.admits.clear()
        device = await served.device().connect()
        await until(lambda: served.exchange.logins)
        for mid in range(4):
            await device.tell(message(CON, GET, mid, path="who", payload=bytes(200)))
        await until(lambda: served.meter.bounds["coap.dtls_queue"] == 2)
        served.exchange.admits.set()
        await until(lambda: len(served.exchange.seen) == 2)
