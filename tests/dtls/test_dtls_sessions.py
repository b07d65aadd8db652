"""A DTLS session from its login to its end: waiting for the registry, starting anew, revocation, observers."""

import asyncio

import pytest
from OpenSSL import SSL

from adapters.coap.server import CoapServer
from tests.dtls.dtls_peers import REFUSED, secured
from tests.protocols.coap_peers import CON, GET, OBSERVE, message, until


async def test_device_is_who_its_key_says() -> None:
    async with secured() as served:
        device = await served.device().connect()
        assert await device.who() == b"dev-42"
        assert served.exchange.questions == ["dev-42"]
        ((_, peer),) = served.exchange.logins
        assert (peer.address, peer.port) == device.address
        assert peer.secure
        assert served.sessions == 1


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
