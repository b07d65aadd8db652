"""A DTLS session from its handshake to its end: loss, waiting for the registry, starting anew, revocation, observers."""

import asyncio
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL, crypto

from adapters.coap.dtls.acceptance import is_strong
from adapters.coap.dtls.handshake import CLIENT_KEY_EXCHANGE
from adapters.coap.dtls.records import HANDSHAKE
from adapters.coap.server import CoapServer
from adapters.tls.material import ServerMaterial
from core.errors import Reason, Refusal
from core.messages import CertificateLogin
from tests.dtls.dtls_peers import ECDSA_SUITES, KEY, REFUSED, WRONG_KEY, DtlsDevice, pair, secured
from tests.protocols.coap_peers import ACK, CON, GET, OBSERVE, message, until

TOO_MANY = Refusal(Reason.TOO_MANY, "too many wrong keys", check="test", retry_after=1.0)


async def test_device_is_who_its_key_says() -> None:
    async with secured() as served:
        device = await served.device().connect()
        assert await device.who() == b"dev-42"
        assert served.exchange.questions == ["dev-42"]
        ((_, peer),) = served.exchange.logins
        assert (peer.address, peer.port) == device.address
        assert peer.secure
        assert served.sessions == 1


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


async def test_requests_wait_while_the_device_is_looked_up() -> None:
    async with secured() as served:
        served.exchange.admits.clear()
        device = await served.device().connect()
        await device.tell(message(CON, GET, 7, path="who"))
        await until(lambda: served.exchange.logins)
        assert served.exchange.seen == []
        served.exchange.admits.set()
        assert (await device.receive()).payload == b"dev-42"


async def test_refused_login_ends_the_session() -> None:
    async with secured() as served:
        served.exchange.admits.clear()
        device = await served.device().connect()
        served.exchange.refusal = REFUSED
        served.exchange.admits.set()
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        assert served.sessions == 0
        assert served.exchange.seen == []


async def test_fault_in_the_login_ends_the_session(caplog: pytest.LogCaptureFixture) -> None:
    async with secured() as served:
        served.exchange.admits.clear()
        device = await served.device().connect()
        served.exchange.refusal = ZeroDivisionError("a fault in the exchange")
        served.exchange.admits.set()
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        assert served.meter.bounds["coap.internal"] == 1
    assert "could not be opened" in caplog.text


async def test_session_that_ends_while_the_device_is_looked_up_stays_ended() -> None:
    async with secured() as served:
        served.exchange.admits.clear()
        await served.device().connect()
        await until(lambda: served.exchange.logins)
        await asyncio.wait_for(_closed(served.server, served.exchange.admits), 10)
        assert served.exchange.attending == {}


async def _closed(server: CoapServer, admits: asyncio.Event) -> None:
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0.5)
    admits.set()
    await closing


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


async def test_handshake_that_took_a_key_and_is_not_finished_counts_as_a_wrong_key() -> None:
    async with secured(dtls_handshake_seconds=0.5) as served:
        device = served.device()
        device.step()
        while not served.exchange.questions:
            await device.hear()
            with_keys = [record for record in _flight(device) if record[0] == HANDSHAKE and record[3:5] == b"\0\0"]
            for record in with_keys:
                device.socket.send(record)
            await asyncio.sleep(0.01)
        await until(lambda: served.exchange.mistrusted)
        assert served.sessions == 0


def _flight(device: DtlsDevice) -> list[bytes]:
    device.think()
    return device.pending()


async def test_device_that_started_anew_comes_in_at_once_and_is_told_nothing_old() -> None:
    async with secured() as served:
        first = await served.device().connect()
        assert await first.who(5) == b"dev-42"
        address = first.address
        first.close()
        second = await served.device(b"claim", bound=address).connect()
        assert await second.who(5) == b"claim"  # the same message id is another message
        assert served.sessions == 1
        assert len(served.exchange.attending) == 0


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


async def test_goodbye_is_answered() -> None:
    async with secured() as served:
        device = await served.device().connect()
        await device.who()
        device.connection.shutdown()
        device.socket.send(device.pending()[0])
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        assert served.sessions == 0
        assert served.exchange.attending == {}


async def test_revoked_device_is_shut_out_at_once() -> None:
    async with secured() as served:
        device = await served.device().connect()
        await device.who()
        served.exchange.revoke()
        assert served.sessions == 0
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        await device.tell(message(CON, GET, 9, path="who"))
        await until(lambda: served.meter.bounds["coap.dtls_unknown"])
        assert len(served.exchange.seen) == 1


async def test_observer_is_told_and_forgotten_with_its_session() -> None:
    async with secured() as served:
        device = await served.device().connect()
        registered = await device.ask(message(CON, GET, 1, (OBSERVE, b""), token=b"t", path="version"))
        assert registered.payload == b"v1"
        assert served.exchange.seen[0].identity is not None
        served.exchange.turn(2)
        told = await device.receive()
        assert (told.kind, told.payload) == (CON, b"v2")
        served.exchange.revoke()  # the notification waits for its acknowledgement still
        assert served.exchange.watching == {}
        assert served.meter.levels["coap.observers"] == 0


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


async def test_server_that_stops_begins_no_session_and_says_goodbye() -> None:
    async with secured() as served:
        device, late = await served.device().connect(), served.device()
        await device.who()
        served.server.stop_accepting()
        late.step()
        await late.hear()
        late.step()
        await until(lambda: served.meter.bounds["coap.draining"])
        assert (await device.ask(message(CON, GET, 3, path="who"))).dotted == "5.03"
        await served.server.close()
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()


async def test_certificate_chain_arrives_as_it_was_sent() -> None:
    authority = pair("an authority", authority=True)
    shown = pair("dev-43", None, authority)
    async with secured(pair("server").material()) as served:
        device = await served.device(shown=shown, behind=authority, suites=ECDSA_SUITES).connect()
        assert await device.who() == b"dev-43"
        ((login, peer),) = served.exchange.logins
        assert login == CertificateLogin((shown.der, authority.der))
        assert peer.secure
        assert served.exchange.questions == []


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65_537, 1_024), ec.generate_private_key(ec.SECP224R1())], ids=["rsa", "ec"]
)
async def test_short_key_is_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    async with secured(pair("server").material()) as served:
        device = served.device(shown=pair("dev-43", key), suites=ECDSA_SUITES)
        with pytest.raises(SSL.Error):
            await device.connect()
        assert served.exchange.logins == []
        assert served.sessions == 0


async def test_named_authorities_are_the_only_ones() -> None:
    authority = pair("an authority", authority=True)
    async with secured(pair("server").material(authority.der)) as served:
        guest = served.device(shown=pair("dev-43", None, authority), suites=ECDSA_SUITES)
        assert await (await guest.connect()).who() == b"dev-43"
        stranger = served.device(shown=pair("dev-43"), suites=ECDSA_SUITES)
        with pytest.raises(SSL.Error):
            await stranger.connect()
        assert await (await served.device().connect()).who() == b"dev-42"


async def test_new_certificate_is_shown_to_new_sessions(caplog: pytest.LogCaptureFixture) -> None:
    first, second = pair("first"), pair("second")
    async with secured(first.material()) as served:
        early = await served.device(suites=ECDSA_SUITES).connect()
        served.material = second.material()
        late = await served.device(suites=ECDSA_SUITES).connect()
        served.material = ServerMaterial((second.der,), first.key)
        last = await served.device(suites=ECDSA_SUITES).connect()
        shown = [device.connection.get_peer_certificate(as_cryptography=True) for device in (early, late, last)]
        assert shown == [first.certificate, second.certificate, second.certificate]
        assert await early.who() == b"nobody"
    assert "the old one stays" in caplog.text


async def test_server_without_a_certificate_wants_a_preshared_key() -> None:
    async with secured() as served:
        with pytest.raises(SSL.Error):
            await served.device(suites=ECDSA_SUITES).connect()
        assert served.meter.bounds["coap.dtls_broken"] == 1


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


async def test_session_that_cannot_encrypt_ends() -> None:
    async with secured() as served:
        device = await served.device().connect()
        await device.who()
        (session,) = served.server._sessions._open.values()
        session.send(bytes(20_000), session.wire.address)  # more than a record holds
        assert served.sessions == 0
        session.send(b"", session.wire.address)
        session.take(())
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()


async def test_key_of_another_kind_is_taken() -> None:
    shown = pair("dev-43", ed25519.Ed25519PrivateKey.generate())
    async with secured(pair("server").material()) as served:
        device = await served.device(shown=shown, suites=ECDSA_SUITES).connect()
        assert await device.who() == b"dev-43"


def test_certificate_that_cannot_be_read_is_not_taken() -> None:
    assert not is_strong(crypto.X509())
