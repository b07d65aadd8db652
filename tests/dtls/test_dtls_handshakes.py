"""DTLS handshakes: what is lost, late, twice or out of order, and keys that are wrong, unknown or not to be had."""

import asyncio
import itertools

import pytest

from adapters.coap.dtls.handshake import CLIENT_KEY_EXCHANGE
from core.errors import Reason, Refusal
from tests.dtls.dtls_peers import ECDSA_SUITES, KEY, WRONG_KEY, DtlsDevice, pair, secured
from tests.protocols.coap_peers import until

TOO_MANY = Refusal(Reason.TOO_MANY, "too many wrong keys", check="test", retry_after=1.0)


async def test_lost_flight_is_sent_again() -> None:
    async with secured() as served:
        device = served.device()
        device.step()
        await device.hear()  # the cookie
        device.lose = 1
        await device.connect()
        assert device.lose == 0
        assert await device.who() == b"dev-42"


async def test_last_flight_is_sent_again() -> None:
    async with secured() as served:
        device = served.device()
        device.step()
        while not served.exchange.logins:
            await device.hear()
            device.step()
            await asyncio.sleep(0.01)
        device.lose = 1  # the change of ciphers and the end of the handshake, in one datagram
        await device.connect()
        assert device.lose == 0
        assert await device.who() == b"dev-42"


async def test_datagrams_wait_while_the_key_is_fetched_but_only_a_few() -> None:
    async with secured(dtls_queue_datagrams=8) as served:
        served.exchange.knows.clear()
        device = served.device()
        device.step()
        await device.hear()
        device.step()
        while not served.exchange.questions:
            await device.hear()
            device.step()
            await asyncio.sleep(0)
        for _ in range(20):
            device.socket.send(b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x01\x00")
        await until(lambda: served.meter.bounds["coap.dtls_queue"] >= 10)
        served.exchange.knows.set()
        await device.connect()
        assert served.exchange.questions == ["dev-42"]


async def test_key_that_may_not_be_had_now_is_asked_for_again() -> None:
    async with secured() as served:
        served.exchange.refusal = TOO_MANY
        device = served.device()
        connecting = asyncio.create_task(device.connect())
        await until(lambda: served.meter.bounds["coap.dtls_key_refused"])
        served.exchange.refusal = None
        await connecting
        assert await device.who() == b"dev-42"
        assert set(served.exchange.questions) == {"dev-42"}


@pytest.mark.parametrize(
    ("identity", "key"),
    [(b"dev-42", WRONG_KEY), (b"nobody", KEY), (b"\xff\xfe", KEY), (b"void", ""), (b"long", "x" * 16)],
)
async def test_whoever_has_not_the_key_hears_nothing_and_is_counted(identity: bytes, key: str) -> None:
    async with secured() as served:
        device = served.device(identity, key or KEY)
        device.step()
        while not served.exchange.mistrusted:
            await device.hear()
            device.step()
            await asyncio.sleep(0)
        assert served.sessions == 0
        assert served.exchange.logins == []
        assert served.meter.bounds["coap.dtls_wrong_key"] == 1


async def test_identity_with_a_nul_is_not_taken_for_a_shorter_one() -> None:
    async with secured() as served:
        device = served.device()
        device.step()
        while not (flight := _flight(device)) or flight[0][13] != CLIENT_KEY_EXCHANGE:
            for record in flight:
                device.socket.send(record)
            await device.hear()
        body = b"\x00\x0bdev-42\0more"
        length = len(body).to_bytes(3, "big")
        fragment = bytes([CLIENT_KEY_EXCHANGE]) + length + flight[0][17:19] + bytes(3) + length + body
        device.socket.send(flight[0][:11] + len(fragment).to_bytes(2, "big") + fragment)
        await until(lambda: served.exchange.questions == ["dev-42\0more"])
        await until(lambda: served.sessions == 0)
        assert served.exchange.logins == []


async def test_handshake_that_is_not_finished_in_time_is_forgotten() -> None:
    async with secured(dtls_handshake_seconds=0.2) as served:
        device = served.device()
        device.step()
        await device.hear()
        device.step()
        await until(lambda: served.sessions == 1)
        await until(lambda: served.sessions == 0)
        assert served.meter.bounds["coap.dtls_handshake_seconds"] == 1
        assert served.exchange.mistrusted == []


@pytest.mark.parametrize(("kept", "wrong"), [((0,), False), ((0, 1), False), ((0, 2), True)])
async def test_handshake_that_took_a_key_counts_as_a_wrong_one_if_it_was_used(kept: tuple[int, ...], wrong: bool) -> None:
    async with secured(dtls_handshake_seconds=0.3) as served:
        device = served.device(b"dev-42", WRONG_KEY)
        device.step()
        while len(flight := _flight(device)) < 3:  # the key exchange, the change of ciphers, the end
            for record in flight:
                device.socket.send(record)
            await device.hear()
        for place in kept:
            device.socket.send(flight[place])
        await until(lambda: served.exchange.questions)
        await until(lambda: served.sessions == 0)
        assert bool(served.exchange.mistrusted) == wrong
        assert served.meter.bounds["coap.dtls_handshake_seconds"] == (not wrong)


async def test_wrong_key_counts_also_where_its_use_overtook_the_change_of_ciphers() -> None:
    async with secured() as served:
        device = served.device(b"dev-42", WRONG_KEY)
        device.step()
        while len(flight := _flight(device)) < 3:
            for record in flight:
                device.socket.send(record)
            await device.hear()
        for place in (0, 2, 1):
            device.socket.send(flight[place])
        await until(lambda: served.exchange.mistrusted)
        assert served.sessions == 0


async def test_client_that_gives_up_before_the_end_has_no_wrong_key() -> None:
    async with secured() as served:
        device = served.device()
        device.step()
        while len(flight := _flight(device)) < 3:
            for record in flight:
                device.socket.send(record)
            await device.hear()
        for record in (*flight[:2], b"\x15" + flight[2][1:]):  # something encrypted that is no end of a handshake
            device.socket.send(record)
        await until(lambda: served.exchange.questions)
        await asyncio.sleep(0.1)
        assert served.exchange.mistrusted == []
        device.socket.send(flight[2][:10] + b"\x05" + flight[2][11:])
        await until(lambda: served.exchange.mistrusted)


async def test_repeated_first_hello_is_no_reason_to_wait() -> None:
    """The records of a server must not have numbers that the request for a cookie had."""
    async with secured() as served:
        device = served.device()
        device.think()
        first = device.pending()[0]
        device.socket.send(first[:10] + b"\x01" + first[11:])  # as the one that is sent again
        requested = await asyncio.get_running_loop().sock_recv(device.socket, 65_536)
        device.connection.bio_write(requested)
        device.step()
        answered = await asyncio.get_running_loop().sock_recv(device.socket, 65_536)
        assert answered[5:11] > requested[5:11]
        device.connection.bio_write(answered)
        assert await (await device.connect()).who() == b"dev-42"


def _flight(device: DtlsDevice) -> list[bytes]:
    device.think()
    return device.pending()


async def test_foreign_hello_without_a_cookie_leaves_a_session_alone() -> None:
    async with secured() as served:
        device = await served.device().connect()
        stranger = served.device()
        hello = _flight(stranger)[0]
        device.socket.send(hello)
        assert await device.who() == b"dev-42"
        assert served.sessions == 1
        assert len(served.exchange.logins) == 1


async def test_hello_that_is_heard_twice_leaves_a_session_alone() -> None:
    async with secured() as served:
        device = served.device()
        device.step()
        await device.hear()
        hello = _flight(device)[0]
        device.socket.send(hello)
        device.socket.send(hello)  # while hands are shaken
        await device.connect()
        device.socket.send(hello)  # and afterwards
        assert await device.who() == b"dev-42"
        assert len(served.exchange.logins) == 1


async def test_key_exchange_that_only_passes_by_proves_nothing() -> None:
    """Somebody names a device in a message that the handshake does not need, and then comes in without any proof."""
    async with secured(pair("server").material()) as served:
        stranger = served.device(suites=ECDSA_SUITES)
        stranger.step()
        await stranger.hear()
        stranger.step()
        await until(lambda: served.sessions == 1)
        body = b"\0\x06dev-42"
        length = len(body).to_bytes(3, "big")
        fragment = bytes([CLIENT_KEY_EXCHANGE]) + length + b"\0\0" + bytes(3) + length + body
        stranger.socket.send(b"\x16\xfe\xfd\0\0" + b"\0\0\0\0\0\x14" + len(fragment).to_bytes(2, "big") + fragment)
        await until(lambda: served.exchange.questions == ["dev-42"])
        await stranger.connect()
        assert await stranger.who() == b"nobody"
        assert served.exchange.logins == []


async def test_last_flight_may_arrive_in_any_order_and_twice() -> None:
    async with secured() as served:
        orders = itertools.permutations(range(3))
        await asyncio.gather(*(_come_in(served.device(), order) for order in orders))
        assert served.exchange.mistrusted == []
        assert served.sessions == 6


async def _come_in(device: DtlsDevice, order: tuple[int, ...]) -> None:
    device.step()
    while len(flight := _flight(device)) < 3:
        for record in flight:
            device.socket.send(record)
        await device.hear()
    for place in (*order, *order):
        device.socket.send(flight[place])
        await asyncio.sleep(0)
    await device.connect()
    assert await device.who() == b"dev-42"
