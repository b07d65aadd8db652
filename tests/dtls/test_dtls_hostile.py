"""What strangers may send to a DTLS port: no state for whoever did not prove its address, no harm to a session."""

import asyncio
import random
import socket

from adapters.coap.config import CoapConfig
from adapters.coap.dtls.endpoint import DtlsEndpoint
from adapters.coap.dtls.handshake import client_hello
from adapters.coap.dtls.selftest import Wire
from adapters.coap.dtls.sessions import Sessions
from adapters.coap.remote import Remote
from tests.dtls.dtls_peers import DtlsDevice, KnownExchange, Secured, secured
from tests.protocols.coap_peers import CON, GET, CountingMeter, message, until

SEED = 20_260_721


class Unbound:
    """An endpoint on no socket."""

    def __init__(self, **bounds: int) -> None:
        self.meter, self.exchange, self.wire = CountingMeter(), KnownExchange(), Wire()
        config = CoapConfig(**bounds)  # type: ignore[arg-type]  # one table, many types
        self.sessions = Sessions(lambda _: False, self.meter, config)
        self.endpoint = DtlsEndpoint(
            self.exchange, lambda *_: None, lambda _: None, self.sessions, lambda: None, self.meter, config
        )

    def receive(self, datagram: bytes, host: str = "192.0.2.1", port: int = 1) -> None:
        self.endpoint.receive(Remote(self.wire, (host, port)), datagram)


def hello() -> bytes:
    """Return a first ClientHello."""
    device = DtlsDevice(1)
    device.close()
    device.think()
    return device.pending()[0]


async def test_20_000_hellos_from_forged_addresses_leave_nothing() -> None:
    unbound, first = Unbound(), hello()
    for number in range(20_000):
        unbound.receive(first, f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5_000 + number % 50)
    assert len(unbound.sessions) == 0
    assert len(unbound.wire.sent) == 20_000
    assert max(map(len, unbound.wire.sent)) < len(first)  # nobody is worth being flooded through this server
    assert unbound.endpoint._pace._sources == {}
    assert not unbound.endpoint._work


async def test_hellos_over_the_wire_leave_nothing() -> None:
    async with secured() as served:
        first = hello()
        for number in range(1, 201):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((f"127.1.2.{number}", 0))
                sock.sendto(first, ("127.0.0.1", served.port))
        assert await (await served.device().connect()).who() == b"dev-42"
        assert served.sessions == 1


async def test_cookie_of_another_address_or_another_hello_is_worth_nothing() -> None:
    unbound, first = Unbound(), hello()
    unbound.receive(first)
    cookie = unbound.wire.sent[-1][-16:]
    record = with_cookie(first, cookie)
    other = bytearray(record)
    other[40] ^= 1  # another random
    for host, port, sent in (("192.0.2.2", 1, record), ("192.0.2.1", 2, record), ("192.0.2.1", 1, bytes(other))):
        unbound.receive(sent, host, port)
        assert len(unbound.sessions) == 0
    unbound.receive(record)
    assert len(unbound.sessions) == 1
    unbound.sessions.end()


def with_cookie(record: bytes, cookie: bytes, sequence: int = 1) -> bytes:
    """Return a ClientHello as its sender repeats it."""
    found = client_hello(record)
    assert found is not None
    at = 25 + len(found.parameters)
    body = record[25:at] + bytes([len(cookie)]) + cookie + record[at + 1 :]
    length = len(body).to_bytes(3, "big")
    fragment = b"\x01" + length + sequence.to_bytes(2, "big") + bytes(3) + length + body
    return record[:10] + b"\x01" + len(fragment).to_bytes(2, "big") + fragment


async def test_mutated_hellos_leave_nothing() -> None:
    unbound, first, chance = Unbound(), hello(), random.Random(SEED)
    for _ in range(10_000):
        unbound.receive(mutated(first, chance))
    assert len(unbound.sessions) == 0


async def test_mutated_hellos_with_a_right_cookie_do_no_harm() -> None:
    """Whoever has a cookie may still send nonsense behind it: OpenSSL sees it, and a bounded table does."""
    unbound = Unbound(dtls_burst_handshakes=10_000, dtls_handshakes=50)
    first, chance = hello(), random.Random(SEED)
    unbound.receive(first)
    record = with_cookie(first, unbound.wire.sent[-1][-16:])
    behind = 25 + len(client_hello(first).parameters) + 17  # type: ignore[union-attr]  # it is one
    for port in range(1_000):
        unbound.receive(first, port=port)
        record = with_cookie(first, unbound.wire.sent[-1][-16:])
        unbound.receive(record[:behind] + mutated(record[behind:], chance, same_length=True), port=port)
    assert 0 < len(unbound.sessions) <= 50
    unbound.sessions.end()
    assert len(unbound.sessions) == 0


def mutated(datagram: bytes, chance: random.Random, *, same_length: bool = False) -> bytes:
    """Return something like a datagram."""
    raw = bytearray(datagram)
    for _ in range(chance.randint(1, 6)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw if same_length else raw[: chance.randint(1, len(raw))] if chance.random() < 0.3 else raw)


async def test_mutated_records_do_no_harm_to_a_session() -> None:
    async with secured() as served:
        device, chance = await served.device().connect(), random.Random(SEED)
        assert await device.who() == b"dev-42"
        session = next(iter(served.server._sessions._open.values()))
        for _ in range(3_000):
            record = device.encrypted(message(CON, GET, 2, path="who"))
            session_of(served, device, mutated(record, chance))
        for kind in range(256):
            for epoch in (0, 1, 2, 0xFFFF):
                forged = bytes([kind]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + chance.randbytes(6) + b"\0\x02\x02\x28"
                session_of(served, device, forged)
        assert await device.who(3) == b"dev-42"
        assert session.remote is not None
        assert served.sessions == 1
        assert {inbound.path for inbound in served.exchange.seen} == {"/who"}


def session_of(served: Secured, device: DtlsDevice, datagram: bytes) -> None:
    """Let the server receive a datagram from the address of a device."""
    session = next(iter(served.server._sessions._open.values()))
    assert session.wire.address == device.address
    served.server._secured[0].receive(session.wire, datagram)


async def test_record_that_is_heard_twice_counts_once() -> None:
    async with secured() as served:
        device = await served.device().connect()
        record = device.encrypted(message(CON, GET, 2, path="who"))
        device.socket.send(record)
        device.socket.send(record)
        assert (await device.receive()).payload == b"dev-42"
        assert await device.who(3) == b"dev-42"
        assert len(served.exchange.seen) == 2


async def test_forged_records_in_a_handshake_leave_room_for_the_device() -> None:
    async with secured() as served:
        device, chance = served.device(), random.Random(SEED)
        device.step()
        await device.hear()
        device.step()
        await until(lambda: served.sessions == 1)
        wire = next(iter(served.server._sessions._shaking.values())).wire
        for _ in range(100):
            forged = b"\x17\xfe\xfd\x00\x01" + chance.randbytes(6) + b"\0\x20" + chance.randbytes(32)
            served.server._secured[0].receive(wire, forged)
        await device.connect()
        assert await device.who() == b"dev-42"


async def test_500_sessions_stay_within_the_bound() -> None:
    async with secured(
        dtls_sessions=50, dtls_handshakes=20, dtls_burst_handshakes=1_000, global_burst_datagrams=100_000
    ) as served:
        most = 0
        for _ in range(20):
            devices = [served.device() for _ in range(15)]
            await asyncio.gather(*(device.connect() for device in devices))
            most = max(most, served.sessions, len(served.server._sessions))
            for device in devices:
                device.close()
            served.devices.clear()
        assert most == 50
        assert served.meter.bounds["coap.dtls_sessions"] > 200
        assert len(served.exchange.attending) <= 50
        assert await (await served.device().connect()).who() == b"dev-42"


async def test_hello_that_openssl_does_not_take_is_dropped() -> None:
    unbound, old = Unbound(), bytearray(hello())
    old[26] = 0xFF  # DTLS 1.0
    unbound.receive(bytes(old))
    unbound.receive(with_cookie(bytes(old), unbound.wire.sent[-1][-16:]))
    assert len(unbound.sessions) == 0
    assert unbound.meter.bounds["coap.dtls_broken"] == 1
    unbound.receive(hello())
    unbound.receive(with_cookie(first := hello(), b""))  # without a cookie it is asked for one
    unbound.receive(with_cookie(first, unbound.wire.sent[-1][-16:], sequence=9))
    assert len(unbound.sessions) == 0
    assert unbound.meter.bounds["coap.dtls_broken"] == 2
