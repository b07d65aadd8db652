"""CoAP over TCP and TLS with real clients: libcoap's and aiocoap's; certificates, and OSCORE inside of it all."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiocoap
import pytest

from adapters.coap.oscore.contexts import SecurityContexts
from adapters.tls.contexts import COAP
from core.errors import Reason, Refusal
from core.oscore_contexts import OscoreContexts
from core.oscore_states import OscoreStates
from tests.coap_tcp.streams import ABORT, CSM, HELLO, KNOWN, StreamExchange, streaming
from tests.oscore.devices import SHARED, DeviceKeys, OscoreExchange, aiocoap_client, stocked
from tests.protocols.coap_peers import BIG, DEADLINE_SECONDS, until, written
from tests.tls.tls_parties import Place, place, signed

CLIENT = shutil.which("coap-client-openssl")
needs_client = pytest.mark.skipif(CLIENT is None, reason="libcoap's client over OpenSSL is not installed")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def client() -> AsyncIterator[aiocoap.Context]:
    context = await aiocoap.Context.create_client_context(transports=["tcpclient", "tlsclient"])
    yield context
    await context.shutdown()


async def coap_client(*arguments: str) -> str:
    """Run libcoap's client; its exit status is 0 even on failure, so only the output counts."""
    assert CLIENT is not None
    process = await asyncio.create_subprocess_exec(
        CLIENT, "-B", "10", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return output.decode(errors="replace").strip()


@needs_client
async def test_libcoap_over_tcp(tmp_path: Path) -> None:
    body, got = written(tmp_path, "body", BIG[:60_000]), tmp_path / "got"
    async with streaming() as served:
        url = f"coap+tcp://127.0.0.1:{served.port}"
        assert await coap_client("-m", "get", f"{url}/who") == "nobody False"
        assert await coap_client("-m", "post", "-t", "50", "-e", '{"a":1}', f"{url}/claim") == '{"a":1}'
        await coap_client("-m", "put", "-f", body, "-o", str(tmp_path / "put"), f"{url}/put")
        assert served.exchange.seen[-1].body == BIG[:60_000]
        await coap_client("-m", "get", "-o", str(got), f"{url}/big")
        assert got.read_bytes() == BIG
        assert served.meter.bounds == {}


@needs_client
async def test_libcoap_observes_over_tcp() -> None:
    async with streaming() as served:
        url = f"coap+tcp://127.0.0.1:{served.port}/version"
        running = asyncio.create_task(coap_client("-v", "6", "-s", "1", "-m", "get", url))
        await until(lambda: served.exchange.asked["01"] == 2)
        for version in (2, 3):
            served.exchange.turn(version)
            await until(lambda: served.exchange.asked[f"{version:02x}"])  # noqa: B023 - asked before the next one
        output = await running
        assert served.meter.levels["coap.tcp_observers"] == 0
    assert re.findall(r"c:2\.05 .*:: '(v\d)'", output) == ["v1", "v2", "v3"]


@needs_client
async def test_libcoap_over_tls_with_a_certificate_and_without(files: Place) -> None:
    device, other = signed("meter-1"), signed("meter-2")
    exchange = StreamExchange()
    exchange.certificates[device.der] = KNOWN
    async with streaming(tls=lambda meter: files.contexts(meter, *COAP), exchange=exchange) as served:
        # Its -R trusts the server alone; with -C it would check its own certificate against that as well.
        said = ("-R", str(files.authority), "-m", "get", f"coaps+tcp://localhost:{served.port}/who")
        shown = [await coap_client("-c", str(files.write("one", device)), *said)]
        shown.append(await coap_client("-c", str(files.write("two", other)), *said))
        shown.append(await coap_client(*said))
    assert shown == ["meter-1 True", "nobody True", "nobody True"]
    assert exchange.shown == [(device.der,), (other.der,)]
    assert exchange.left == 1


async def test_aiocoap_over_tcp(client: aiocoap.Context) -> None:
    async with streaming(max_body_bytes=200_000) as served:
        url = f"coap+tcp://127.0.0.1:{served.port}"
        got = await client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/big")).response
        put = await client.request(aiocoap.Message(code=aiocoap.PUT, uri=f"{url}/put", payload=BIG)).response
        request = client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/version", observe=0))
        assert (got.payload, put.payload, (await request.response).payload) == (BIG, BIG, b"v1")
        await until(lambda: served.exchange.asked["01"] == 2)
        served.exchange.turn(2)
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for notification in request.observation:
                assert notification.payload == b"v2"
                break


async def test_aiocoap_sends_blocks_of_any_size(client: aiocoap.Context) -> None:
    async with streaming() as served:
        url = f"coap+tcp://127.0.0.1:{served.port}"
        put = await client.request(aiocoap.Message(code=aiocoap.PUT, uri=f"{url}/put", payload=BIG)).response
        assert put.code == aiocoap.REQUEST_ENTITY_TOO_LARGE


async def test_a_certificate_that_is_good_no_longer(files: Place) -> None:
    device, exchange = signed("meter-1"), StreamExchange()
    exchange.certificates[device.der] = KNOWN
    async with streaming(tls=lambda meter: files.contexts(meter, *COAP), exchange=exchange) as served:
        stream = await served.greeted(files.client(files.write("one", device)))
        assert (await stream.get("who")).payload == b"meter-1 True"
        assert exchange.revoke is not None
        exchange.revoke()
        last = await stream.receive()
        assert (last.code, last.payload) == (ABORT, b"the certificate is good no longer")
        assert await stream.ended()
        await until(lambda: exchange.left)


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (Refusal(Reason.UNAVAILABLE, "busy", check="test"), b"try again later"),
        (Refusal(Reason.TOO_MANY, "too many", check="test"), b"try again later"),
        (ZeroDivisionError("a fault in the exchange"), b"internal error"),
    ],
    ids=["busy", "too many", "a fault"],
)
async def test_certificates_that_cannot_be_looked_at(files: Place, trouble: Exception, text: bytes) -> None:
    exchange = StreamExchange()
    exchange.trouble = trouble
    async with streaming(tls=lambda meter: files.contexts(meter, *COAP), exchange=exchange) as served:
        stream = await served.connect(files.client(files.write("one", signed("meter-1"))))
        await stream.send(HELLO)
        assert [(await stream.receive()).code for _ in range(1)] == [CSM]
        assert (await stream.receive()).payload == text
        assert await stream.ended()


async def test_a_client_that_goes_while_it_is_looked_at(files: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = StreamExchange()
    entered, gate = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        entered.set()
        await gate.wait()

    monkeypatch.setattr(exchange, "login", wait)
    async with streaming(tls=lambda meter: files.contexts(meter, *COAP), exchange=exchange, tcp_csm_seconds=1.0) as served:
        stream = await served.connect(files.client(files.write("one", signed("meter-1"))))
        await stream.send(HELLO)
        await asyncio.wait_for(entered.wait(), DEADLINE_SECONDS)
        stream.writer.transport.abort()
        await until(lambda: not served.connections)
        assert exchange.revoke is None


async def test_a_handshake_has_its_time(files: Place) -> None:
    async with streaming(tls=lambda meter: files.contexts(meter, *COAP), tcp_handshake_seconds=0.05) as served:
        stream = await served.connect()
        assert await stream.ended()
        await until(lambda: not served.connections)


async def test_oscore_over_tcp() -> None:
    registry = await stocked()
    exchange = OscoreExchange(OscoreContexts(registry.repository, registry.issuer))
    states = OscoreStates(registry.repository)
    async with streaming(
        exchange=exchange, contexts=lambda meter, config: SecurityContexts(states, meter, config), max_body_bytes=200_000
    ) as served:
        url = f"coap+tcp://127.0.0.1:{served.port}"
        async with aiocoap_client(url) as client:
            got = await client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/big")).response
            who = await client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/who")).response
            request = client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/version", observe=0))
            assert (await request.response).payload == b"v1"
            await until(lambda: exchange.asked["01"] == 2)
            exchange.turn(2)
            async with asyncio.timeout(DEADLINE_SECONDS):
                async for notification in request.observation:
                    assert notification.payload == b"v2"
                    break
        assert (got.payload, who.payload) == (BIG, b"meter-1 True")
        stream = await served.greeted()
        keys = DeviceKeys(SHARED)
        keys.sender_key = bytes(16)
        outer, _ = keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("who",)))
        wrong = await stream.ask(2, (9, outer.opt.oscore), payload=outer.payload)
        assert (wrong.dotted, wrong.payload) == ("4.00", b"Decryption failed")
        assert len(exchange.mistrusted) == 1  # a connection proves an address
