"""What the TLS tests stand on: certificates, protocols that listen, clients, and a meter."""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.tls.config import TlsConfig
from adapters.tls.contexts import Contexts
from adapters.tls.founding import found
from adapters.tls.listening import over_tls
from adapters.tls.material import Material

HOST = "127.0.0.1"
PATIENCE_SECONDS = 15.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


class Counts:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.bounds: list[str] = []
        self.levels: dict[str, float] = {}

    def request(self, *_: Any) -> None:
        raise AssertionError("requests are counted by the exchange")

    def bound(self, name: str) -> None:
        self.bounds.append(name)

    def level(self, name: str, value: float) -> None:
        self.levels[name] = value


class Signed(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signed(name: str, issuer: Signed | None = None, *, authority: bool = False) -> Signed:
    """Make a certificate, signed by itself or by an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = now - datetime.timedelta(days=1), now + datetime.timedelta(days=2)
    by, signing = (issuer.certificate.subject, issuer.key) if issuer is not None else (subject, key)
    builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number(), begins, ends)
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    return Signed(builder.sign(signing, SHA256()), key)


class Place(NamedTuple):
    """A folder with a server's files, and whom clients have to trust."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server-key.pem"

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    def renew(self) -> None:
        """Write another authority, key and certificate."""
        founded = found(["localhost", HOST], 30, datetime.datetime.now(datetime.UTC))
        self.certificate.write_bytes(founded.certificate)
        self.key.write_text(founded.key.reveal())
        self.authority.write_bytes(founded.authority)

    def write(self, name: str, *chain: Signed) -> Path:
        """Write a client's chain and key into one file."""
        file = self.folder / f"{name}.pem"
        file.write_bytes(b"".join(each.pem for each in chain) + chain[0].key_pem)
        return file

    def material(self, client_ca: Path | None = None) -> Material:
        """Read the files."""
        return Material(self.certificate, self.key, client_ca)

    def contexts(self, meter: Any, *protocols: bytes, client_ca: Path | None = None, **bounds: Any) -> Contexts:
        """Return what servers listen with."""
        return Contexts(self.material(client_ca), meter, protocols, TlsConfig(**bounds))

    def client(self, chain: Path | None = None) -> ssl.SSLContext:
        """Return a client's context, which trusts the server as it is now."""
        context = ssl.create_default_context(cafile=self.authority)
        if chain is not None:
            context.load_cert_chain(chain)
        return context


def place(folder: Path) -> Place:
    """Found an authority in a folder."""
    made = Place(folder)
    made.renew()
    return made


class Listener(asyncio.Protocol):
    """A protocol that remembers what it was told, and says everything back."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.received = bytearray()
        self.chain: Any = None
        self.paused: list[bool] = []
        self.ended = False
        self.keeps_open = False
        self.echoes = True
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.chain = self.transport.get_extra_info("peer_chain")
        self.received += data
        if self.echoes:
            self.transport.write(data)

    def pause_writing(self) -> None:
        self.paused.append(True)

    def resume_writing(self) -> None:
        self.paused.append(False)

    def eof_received(self) -> bool:
        self.ended = True
        return self.keeps_open

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


class Listening:
    """A listener for TLS, and the protocols of the connections it had."""

    def __init__(self, port: int, connections: list[Listener], meter: Counts) -> None:
        self.port = port
        self.connections = connections
        self.meter = meter

    async def first(self) -> Listener:
        """Return the protocol of the first connection."""
        await until(lambda: self.connections)
        return self.connections[0]


@contextlib.asynccontextmanager
async def listening(contexts: Contexts, *, seconds: float = 10.0) -> AsyncIterator[Listening]:
    """Listen on a free port."""
    connections: list[Listener] = []

    def make() -> Listener:
        connections.append(Listener())
        return connections[-1]

    secured = over_tls(make, contexts=contexts, handshake_seconds=seconds)
    server = await asyncio.get_running_loop().create_server(secured, HOST, 0, backlog=256)
    try:
        yield Listening(server.sockets[0].getsockname()[1], connections, contexts.meter)  # type: ignore[arg-type]  # it is one
    finally:
        server.close()
        for each in connections:
            each.transport.abort()
        await until(lambda: all(each.lost.done() for each in connections))


async def until(true: Any) -> None:
    """Wait for something to become true; fails when it does not."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


async def opened(port: int, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and shake hands."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a client, whatever became of its connection."""
    writer.close()
    with contextlib.suppress(OSError):
        await asyncio.wait_for(writer.wait_closed(), PATIENCE_SECONDS)


async def said(*command: str | Path, sent: bytes = b"", until_said: bytes = b"") -> str:
    """Run a program and return all that it said; what it is sent ends once it said something."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    heard = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            process.stdin.write(sent)
            await process.stdin.drain()
            while until_said and until_said not in heard and (part := await process.stdout.read(65_536)):
                heard += part
            process.stdin.close()
        heard += await process.stdout.read()
        await process.wait()
    return heard.decode(errors="replace")


def run(loop: str, work: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop of this kind, on which nothing may go wrong unheard."""
    unheard: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unheard.append(context))
        runner.run(work)
    assert unheard == []
