"""What the OSCORE tests share: a registry, an exchange that knows its contexts, a server, and devices that protect."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiocoap
from aiocoap import oscore
from aiocoap.transports.oscore import TransportOSCORE

from adapters.coap.config import CoapConfig
from adapters.coap.oscore.contexts import SecurityContexts
from adapters.coap.server import CoapServer
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Success
from core.errors import Refusal
from core.messages import Identity, Oscore, OscoreKnown, OscoreQuestion, ProvenLogin
from core.model import CredentialId, OscoreState, Secret
from core.oscore_contexts import OscoreContexts
from core.oscore_states import OscoreStates
from core.ports import Repository
from core.queries import OscoreQuery
from tests.core.registry import Registry
from tests.protocols.coap_observing import WatchedExchange
from tests.protocols.coap_peers import CountingMeter, Datagram
from tests.protocols.coap_peers import Device as Wire

OSCORE = 9
SHARED = Oscore("01", "02", Secret("0102030405060708090a0b0c0d0e0f10"), "9e7ca92223786340", "37cbf3210017a2d3")
OTHER = Oscore("0102", "03", Secret("ff" * 16))


class OscoreExchange(WatchedExchange):
    """Knows the contexts of a registry, and lets everybody in whose context it is, unless a test says otherwise."""

    def __init__(self, contexts: OscoreContexts) -> None:
        super().__init__()
        self._contexts = contexts
        self.asked_for: list[OscoreQuestion] = []
        self.logins: list[Identity] = []
        self.refusal: Refusal | None = None
        self.mistrusted: list[Peer] = []
        self.ended_by: dict[str, Callable[[], None]] = {}

    async def security_context(self, question: OscoreQuestion, peer: Peer) -> OscoreKnown | None:
        self.asked_for.append(question)
        return await self._contexts.find(question)

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        assert isinstance(login, ProvenLogin)
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.logins.append(login.proven)
        return login.proven

    def mistrust(self, peer: Peer, identity: Identity | None = None) -> None:
        self.mistrusted.append(peer)

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        self.ended_by[identity.device_name] = ended
        return lambda: self.ended_by.pop(identity.device_name, None) and None

    def _answer(self, inbound: Inbound) -> Outbound:
        if inbound.path == "/who":
            who = inbound.identity.device_name if inbound.identity else "nobody"
            return Outbound(outcome=Success.OK, body=f"{who} {inbound.peer.secure}".encode(), content_type="text/plain")
        return super()._answer(inbound)


class DeviceKeys(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):  # type: ignore[misc]  # no types there
    """The other side of a context, all of it aiocoap's."""

    alg_aead = oscore.AES_CCM_16_64_128()
    hashfun = oscore.hashfunctions["sha256"]
    echo_recovery = None

    def __init__(self, shared: Oscore) -> None:
        self.sender_id, self.recipient_id = bytes.fromhex(shared.device_id), bytes.fromhex(shared.server_id)
        self.id_context = bytes.fromhex(shared.id_context) or None
        self.derive_keys(bytes.fromhex(shared.salt), bytes.fromhex(shared.secret.reveal()))
        self.sender_sequence_number = 0
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()

    def post_seqnoincrease(self) -> None: ...


class Protecting(Wire):
    """A device on a raw socket whose requests are protected."""

    def __init__(self, port: int, shared: Oscore = SHARED) -> None:
        super().__init__(port)
        self.keys = DeviceKeys(shared)
        self.mid = 0x200
        self.asked: Any = None

    def request(self, path: str, code: Any = aiocoap.GET, token: bytes = b"t", **options: Any) -> bytes:
        """Write a protected request."""
        outer, self.asked = self.keys.protect(aiocoap.Message(code=code, uri_path=path.strip("/").split("/"), **options))
        return self.written(outer, token)

    def written(self, outer: aiocoap.Message, token: bytes = b"t", mtype: Any = aiocoap.CON) -> bytes:
        """Write a message; each has an id of its own."""
        self.mid += 1
        outer.mid, outer.token, outer.mtype = self.mid, token, mtype
        raw: bytes = outer.encode()
        return raw

    def opened(self, raw: bytes) -> aiocoap.Message:
        """Return what is inside a response to the last request."""
        inner, _ = self.keys.unprotect(aiocoap.Message.decode(raw), self.asked)
        return inner

    async def fetch(self, path: str, **options: Any) -> aiocoap.Message:
        """Ask, and return what is inside of the response."""
        return self.opened((await self.ask(self.request(path, **options))).raw)

    async def introduced(self) -> aiocoap.Message:
        """Ask as after a crash of the server: answer its challenge."""
        challenge = await self.fetch("/who")
        assert challenge.code == aiocoap.UNAUTHORIZED
        return await self.fetch("/who", echo=challenge.opt.echo)


class Protected:
    """A running server that takes protected messages, with everything around it."""

    def __init__(
        self, server: CoapServer, exchange: OscoreExchange, meter: CountingMeter, port: int, contexts: SecurityContexts
    ) -> None:
        self.server, self.exchange, self.meter, self.port, self.contexts = server, exchange, meter, port, contexts
        self.devices: list[Protecting] = []

    def device(self, shared: Oscore = SHARED, like: Protecting | None = None) -> Protecting:
        """Make a device, with the numbers of one that was there before."""
        device = Protecting(self.port, shared)
        if like is not None:
            device.keys, device.mid, device.asked = like.keys, like.mid, like.asked
        self.devices.append(device)
        return device


async def stocked(*shared: Oscore, repository: Repository | None = None) -> Registry:
    """Return a registry with one device for each context, `meter-1` and so on."""
    registry = Registry(repository)
    profile = await registry.profile()
    for number, value in enumerate(shared or (SHARED, OTHER), start=1):
        await registry.device(profile, f"meter-{number}", value)
    return registry


async def state_of(registry: Registry, name: str = "meter-1") -> OscoreState | None:
    """Return how far the context of a device has come."""
    return await registry.repository.read(OscoreQuery(await credential_of(registry, name)))


async def credential_of(registry: Registry, name: str = "meter-1") -> CredentialId:
    """Return the id of a device's credential."""
    return (await registry.known(name)).credentials[0].id


@contextlib.asynccontextmanager
async def protected(
    registry: Registry | None = None, *, crash: bool = False, shared: bool = False, **bounds: Any
) -> AsyncIterator[Protected]:
    """Run a server on a free port over a registry, which others may share.

    Where it is to crash, nothing is left in good order.
    """
    registry = registry or await stocked()
    exchange, meter = OscoreExchange(OscoreContexts(registry.repository, registry.issuer)), CountingMeter()
    config = CoapConfig(**({"drain_seconds": 0.2} | bounds))
    contexts = SecurityContexts(OscoreStates(registry.repository, shared=shared), meter, config)
    server = CoapServer(exchange, meter, config, contexts)
    _, port = await server.start("127.0.0.1", 0)
    served = Protected(server, exchange, meter, port, contexts)
    try:
        yield served
    finally:
        exchange.open.set()
        exchange.gate.set()
        await server.close()
        if not crash:
            await contexts.close()
            assert (len(contexts), exchange.ended_by, contexts._leaving, contexts._beginning) == (0, {}, {}, {})
        for device in served.devices:
            device.close()


@contextlib.asynccontextmanager
async def aiocoap_client(url: str, shared: Oscore = SHARED) -> AsyncIterator[aiocoap.Context]:
    """Run aiocoap's own client, which protects everything that goes to this URL.

    OSCORE has to come before the transport: behind it everything would go out in the clear.
    """
    client = await aiocoap.Context.create_client_context(transports=["udp6", "tcpclient"])
    client.request_interfaces.insert(0, TransportOSCORE(client, client))
    client.client_credentials[f"{url}/*"] = DeviceKeys(shared)
    try:
        yield client
    finally:
        await client.shutdown()


class Tap(asyncio.DatagramProtocol):
    """A wire that is listened in on: passes datagrams on, and keeps them."""

    def __init__(self, port: int) -> None:
        self.seen: list[Datagram] = []
        self._there = ("127.0.0.1", port)
        self._here: Any = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if len(data) > 4:
            self.seen.append(Datagram(data))
        if addr == self._there:
            self._transport.sendto(data, self._here)
        else:
            self._here = addr
            self._transport.sendto(data, self._there)


@contextlib.asynccontextmanager
async def tapped(port: int) -> AsyncIterator[tuple[Tap, str]]:
    """Put a tap before a server; returns it with the URL that leads through it."""
    transport, tap = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Tap(port), local_addr=("127.0.0.1", 0))
    try:
        yield tap, f"coap://127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()
