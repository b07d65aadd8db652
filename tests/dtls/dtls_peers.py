"""What the DTLS tests share: an exchange that knows some keys, a device whose every datagram a test can see, real clients."""

import asyncio
import contextlib
import datetime
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from adapters.coap.config import CoapConfig
from adapters.coap.dtls.library import PRIVATE
from adapters.coap.server import CoapServer
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Success
from adapters.tls.material import ServerMaterial
from core.errors import Reason, Refusal
from core.messages import CertificateLogin, Identity, Preshared, ProvenLogin
from core.model import CredentialId, DeviceId, Secret, TenantId
from tests.protocols.coap_observing import WatchedExchange
from tests.protocols.coap_peers import CON, DEADLINE_SECONDS, GET, CountingMeter, Datagram, message

TURN_SECONDS = 0.02
VARIANTS = ("openssl", "gnutls")
KEY, WRONG_KEY = "1411184a7867ab1d", "ffffffffffffffff"
DEVICE = Identity(TenantId("plant"), DeviceId("d-42"), "dev-42", CredentialId("c-42"))
CERTIFIED = Identity(TenantId("plant"), DeviceId("d-43"), "dev-43", CredentialId("c-43"))
ServerKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PSK_SUITES = b"PSK-AES128-CCM8:@SECLEVEL=0"
ECDSA_SUITES = b"ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0"


def needs_client(variant: str) -> pytest.MarkDecorator:
    """Return the mark of a test that runs libcoap's client over this library."""
    missing = shutil.which(f"coap-client-{variant}") is None
    return pytest.mark.skipif(missing, reason=f"coap-client-{variant} is not installed")


BOTH_CLIENTS = [pytest.param(variant, marks=needs_client(variant)) for variant in VARIANTS]


class KnownExchange(WatchedExchange):
    """Knows the keys of a device and of a claim key, and whoever shows a certificate; `/who` answers with a name."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = {
            "dev-42": Preshared(Secret(KEY), identity=DEVICE),
            "claim": Preshared(Secret(KEY), claim="claim"),
            "void": Preshared(Secret("")),
            "long": Preshared(Secret("x" * 2_000), identity=DEVICE),
        }
        self.questions: list[str] = []
        self.logins: list[tuple[Any, Peer]] = []
        self.mistrusted: list[Peer] = []
        self.attending: dict[object, Callable[[], None]] = {}
        self.knows = asyncio.Event()
        self.knows.set()
        self.admits = asyncio.Event()
        self.admits.set()
        self.refusal: Exception | None = None

    async def handle(self, inbound: Inbound) -> Outbound:
        if inbound.path != "/who":
            return await super().handle(inbound)
        self.seen.append(inbound)
        name = inbound.identity.device_name if inbound.identity else inbound.peer.claim or "nobody"
        return Outbound(outcome=Success.OK, body=name.encode(), content_type="text/plain")

    async def preshared(self, identity: str, peer: Peer) -> Preshared:
        self.questions.append(identity)
        await self.knows.wait()
        if self.refusal is not None:
            raise self.refusal
        return self.keys.get(identity, Preshared(Secret("nobody has this key")))

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        self.logins.append((login, peer))
        await self.admits.wait()
        if self.refusal is not None:
            raise self.refusal
        assert carrier is Carrier.COAP
        if isinstance(login, ProvenLogin):
            return login.proven
        assert isinstance(login, CertificateLogin)
        return CERTIFIED

    def mistrust(self, peer: Peer, identity: Identity | None = None) -> None:
        self.mistrusted.append(peer)

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        handle = object()
        self.attending[handle] = ended
        return lambda: self.attending.pop(handle, None) and None

    def revoke(self) -> None:
        """Tell every connection that what it proved is true no longer."""
        for ended in tuple(self.attending.values()):
            ended()


REFUSED = Refusal(Reason.UNAUTHENTICATED, "this device is not let in", check="test")


class Pair(NamedTuple):
    """A certificate with its key, as DER and as a file in PEM."""

    certificate: x509.Certificate
    key: ServerKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def material(self, *authorities: bytes) -> ServerMaterial:
        return ServerMaterial((self.der,), self.key, authorities)

    def written(self, folder: Path, name: str) -> tuple[str, str]:
        """Write two files; returns their paths."""
        pem = serialization.Encoding.PEM
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(self.certificate.public_bytes(pem))
        paths[1].write_bytes(self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(paths[0]), str(paths[1])


def pair(name: str, key: ServerKey | None = None, issuer: Pair | None = None, *, authority: bool = False) -> Pair:
    """Make a certificate, signed by itself unless there is an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return Pair(certificate, key)


class DtlsDevice:
    """A DTLS client on a socket of its own: what it sends and hears passes through the hands of the test."""

    def __init__(
        self,
        port: int,
        identity: bytes = b"dev-42",
        key: str = KEY,
        *,
        shown: Pair | None = None,
        behind: Pair | None = None,
        suites: bytes = PSK_SUITES,
        bound: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(bound)
        self.socket.connect(("127.0.0.1", port))
        self.lose = 0
        self._secret = identity, key.encode()
        self._context = context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_cipher_list(suites)
        if shown is not None:
            context.use_certificate(shown.certificate)
            context.use_privatekey(shown.key)
        if behind is not None:
            context.add_extra_chain_cert(behind.certificate)
        declared = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
        self._callback = PRIVATE._ffi.callback(declared, self._present)
        PRIVATE._lib.SSL_CTX_set_psk_client_callback(context._context, self._callback)
        self.connection = SSL.Connection(context, None)
        self.connection.set_connect_state()
        self.connection.set_ciphertext_mtu(1_200)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return host, port

    def _present(self, ssl: Any, hint: Any, identity: Any, limit: int, buffer: Any, most: int) -> int:
        name, key = self._secret
        PRIVATE._ffi.memmove(identity, name + b"\0", len(name) + 1)
        PRIVATE._ffi.memmove(buffer, key, len(key))
        return len(key)

    async def connect(self) -> "DtlsDevice":
        """Come in."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self.step():
                await self.hear()
        return self

    def step(self) -> bool:
        """Go on with the handshake, send what there is to send; tells whether it is over."""
        done = self.think()
        self.flush()
        return done

    def think(self) -> bool:
        """Go on with the handshake and send nothing; tells whether it is over."""
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def flush(self) -> None:
        """Send what there is to send."""
        for datagram in self.pending():
            self.socket.send(datagram)

    def pending(self) -> list[bytes]:
        """Return the records that there are to send, one in each datagram."""
        try:
            stream = self.connection.bio_read(65_536)
        except SSL.WantReadError:
            return []
        records = []
        while stream:
            end = 13 + int.from_bytes(stream[11:13], "big")
            records.append(stream[:end])
            stream = stream[end:]
        return records

    async def hear(self) -> None:
        """Take one datagram where one comes, unless it is to be lost; whoever hears nothing long enough repeats itself."""
        if not await self._is_readable():
            self.connection.DTLSv1_handle_timeout()  # nothing, before it is due
            self.flush()
            return
        datagram = self.socket.recv(65_536)
        if self.lose:
            self.lose -= 1
        else:
            self.connection.bio_write(datagram)

    async def _is_readable(self) -> bool:
        """Wait a moment for a datagram; unlike a receiving that is cancelled, this loses none."""
        loop, there = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.socket, there.set)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await there.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(self.socket)
        return there.is_set()

    def encrypted(self, plain: bytes) -> bytes:
        """Return the record that holds a message."""
        self.connection.send(plain)
        return self.pending()[0]

    async def tell(self, plain: bytes) -> None:
        """Send a message."""
        await asyncio.get_running_loop().sock_sendall(self.socket, self.encrypted(plain))

    async def receive(self) -> Datagram:
        """Return the next message. Raises `SSL.ZeroReturnError` at the end of the session."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                try:
                    return Datagram(self.connection.recv(65_536))
                except SSL.WantReadError:
                    await self.hear()

    async def ask(self, plain: bytes) -> Datagram:
        """Send a request and return what comes back."""
        await self.tell(plain)
        return await self.receive()

    async def who(self, mid: int = 1) -> bytes:
        """Ask the server who this is."""
        return (await self.ask(message(CON, GET, mid, path="who"))).payload

    def close(self) -> None:
        self.socket.close()


class Secured:
    """A running server with everything around it."""

    def __init__(self, server: CoapServer, exchange: KnownExchange, meter: CountingMeter, port: int) -> None:
        self.server, self.exchange, self.meter, self.port = server, exchange, meter, port
        self.url = f"coaps://127.0.0.1:{port}"
        self.material: ServerMaterial | None = None
        self.devices: list[DtlsDevice] = []

    @property
    def sessions(self) -> int:
        """Return how many sessions there are."""
        return int(self.meter.levels.get("coap.dtls_sessions", 0))

    def device(self, *secret: Any, **manner: Any) -> DtlsDevice:
        """Make a device; its socket is closed with the server."""
        self.devices.append(DtlsDevice(self.port, *secret, **manner))
        return self.devices[-1]


@contextlib.asynccontextmanager
async def secured(material: ServerMaterial | None = None, **bounds: Any) -> AsyncIterator[Secured]:
    """Run a server on a free port of 127.0.0.1 with these bounds."""
    exchange, meter = KnownExchange(), CountingMeter()
    server = CoapServer(exchange, meter, CoapConfig(**({"drain_seconds": 0.2} | bounds)))
    served = Secured(server, exchange, meter, 0)
    served.material = material
    _, served.port = await server.start_secure("127.0.0.1", 0, lambda: served.material)
    served.url = f"coaps://127.0.0.1:{served.port}"
    try:
        yield served
    finally:
        exchange.gate.set()
        exchange.knows.set()
        exchange.admits.set()
        await server.close()
        for device in served.devices:
            device.close()


async def coap_client(variant: str, *arguments: str, seconds: int = 20) -> str:
    """Run libcoap's client; its exit status is 0 even on failure, so only the output counts (both streams)."""
    process = await asyncio.create_subprocess_exec(
        f"coap-client-{variant}",
        *("-B", str(seconds), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return output.decode(errors="replace").strip()


def preshared(identity: str = "dev-42", key: str = KEY) -> tuple[str, ...]:
    """Return the arguments of a client that has a pre-shared key."""
    return "-u", identity, "-k", key
