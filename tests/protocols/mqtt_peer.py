"""What the MQTT tests stand on: an exchange that answers by rule, a meter, a running server and a raw client."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from adapters.exchange import Carrier, Closing, Guest, Inbound, Outbound, Outcome, Peer, Success
from adapters.mqtt.config import MqttConfig
from adapters.mqtt.front.config import Upstream
from adapters.mqtt.server import MqttServer
from core.errors import Reason, Refusal
from core.messages import Identity, MqttLogin
from core.model import CredentialId, DeviceId, TenantId
from core.topic_spaces import NOTHING, Grants
from core.topics import covers
from tests.protocols.keyless import Keyless

HOST = "127.0.0.1"
GUEST_LOGIN = "newcomer"
REQUEST = "/join/request"
RESPONSE = "/join/response"
PATIENCE_SECONDS = 10.0
EVERY_LOOP = ("asyncio", "uvloop")


class Rules(Keyless):
    """An exchange: answers on the guest's topic, acknowledges a device, and refuses by name."""

    def __init__(self, linger_seconds: float | None = 60.0) -> None:
        self.guest_rule = Guest(name="join", login=GUEST_LOGIN, subscriptions=(RESPONSE,), linger_seconds=linger_seconds)
        self.handled: list[Inbound] = []
        self.finished: list[Inbound] = []
        self.logins: list[MqttLogin] = []
        self.release = threading.Event()
        self.answer_body: bytes | None = None

    async def handle(self, inbound: Inbound) -> Outbound:
        self.handled.append(inbound)
        if inbound.body == b"wait":
            while not self.release.is_set():  # noqa: ASYNC110 - set from another thread
                await asyncio.sleep(0.005)
        if inbound.body == b"break":
            raise RuntimeError("an exchange that breaks its promise")
        self.finished.append(inbound)
        return self._answer(inbound)

    def _answer(self, inbound: Inbound) -> Outbound:
        body = inbound.body if self.answer_body is None else self.answer_body
        match inbound.path:
            case "/join/request":
                return Outbound(outcome=Success.OK, body=b"for " + body, topic=RESPONSE, form="plain")
            case "own/question":
                return Outbound(
                    outcome=Success.OK, body=b"for " + body, topic="own/answer/7", content_type="text/plain", form="plain"
                )
            case "own/report":
                return Outbound(outcome=Success.CHANGED)
            case path if path.startswith("refuse/"):
                _, reason, closing = path.split("/")
                return Outbound(outcome=Reason(reason), closing=Closing(closing))
            case _:
                return Outbound(outcome=Reason.NOT_FOUND, closing=Closing.YES if inbound.guest else Closing.NO)

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Outbound:
        raise AssertionError("nothing that MQTT refuses by itself is a whole request")

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        assert carrier is Carrier.MQTT
        assert peer.address == HOST
        self.logins.append(login)
        if login.username == "wait":
            while not self.release.is_set():  # noqa: ASYNC110 - set from another thread
                await asyncio.sleep(0.005)
        if login.username in {reason.value for reason in Reason}:
            raise Refusal(Reason(login.username), "not today", check="test")
        if login.username not in ("dev1", "wait") and login.client_id != "known":
            raise Refusal(Reason.UNAUTHENTICATED, "who is this", check="test")
        return Identity(TenantId("t"), DeviceId("d"), "dev1", CredentialId("c"))

    def guest(self, username: str, client_id: str) -> Guest | None:
        return self.guest_rule if GUEST_LOGIN in (username, client_id) else None

    def keeps(self, inbound: Inbound) -> bool:
        return True

    async def permit(self, identity: Identity) -> Grants:
        return NOTHING

    def understands(self, inbound: Inbound) -> bool:
        return inbound.method != "SUBSCRIBE"

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        return any(covers(pattern, topic_filter) for pattern in ("own/answer/+", "own/news", "many/#"))

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        raise AssertionError("nothing here changes")


class Counts:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.bounds: list[str] = []
        self.levels: dict[str, float] = {}

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None:
        raise AssertionError("requests are counted by the exchange")

    def bound(self, name: str) -> None:
        self.bounds.append(name)

    def level(self, name: str, value: float) -> None:
        self.levels[name] = value


class Hosted:
    """A server on a loop and a thread of its own, so that clients may block."""

    def __init__(self, loop: str, config: MqttConfig, rules: Rules, upstream: Upstream | None = None) -> None:
        self.rules = rules
        self.meter = Counts()
        self.unexpected: list[dict[str, Any]] = []
        self._loop = _new_loop(loop)
        self._loop.set_exception_handler(lambda _, context: self.unexpected.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.server = self.run(_make(rules, self.meter, config, upstream))
        self.port = self.run(self.server.start(HOST, 0))[1]

    def run(self, work: Any) -> Any:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function on the server's loop."""

        async def work() -> Any:
            return function()

        return self.run(work())

    def stop(self) -> None:
        """Close what is open and end the loop."""
        self.rules.release.set()
        self.run(self.server.close(1.0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def client(self, receive_buffer: int = 0) -> "RawClient":
        """Connect without saying anything."""
        return RawClient(self.port, receive_buffer)


class Gateway(Hosted):
    """One that answers by itself alone."""

    def guest(self, version: int = 4, **fields: Any) -> "RawClient":
        """Connect as a guest."""
        return self.client().connect(version, username=GUEST_LOGIN, **fields)

    def device(self, version: int = 4, **fields: Any) -> "RawClient":
        """Connect as a device with its credentials."""
        return self.client().connect(version, username="dev1", **fields)


def _new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "asyncio":
        return asyncio.SelectorEventLoop()
    import uvloop

    return uvloop.new_event_loop()


async def _make(rules: Rules, meter: Counts, config: MqttConfig, upstream: Upstream | None) -> MqttServer:
    return MqttServer(rules, meter, config, upstream)


@contextlib.contextmanager
def gateway(
    loop: str = "asyncio", *, rules: Rules | None = None, linger_seconds: float | None = 60.0, **bounds: Any
) -> Iterator[Gateway]:
    """Run a server with some bounds, and perhaps rules, of its own."""
    running = Gateway(loop, MqttConfig(**bounds), rules or Rules(linger_seconds))
    try:
        yield running
    finally:
        running.stop()


def text(value: str | bytes) -> bytes:
    """Write a string field."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, *parts: bytes) -> bytes:
    """Write a packet."""
    body = b"".join(parts)
    length, out = len(body), bytearray((first,))
    while True:
        length, digit = divmod(length, 128)
        out.append(digit | (128 if length else 0))
        if not length:
            return bytes(out) + body


def connect_packet(
    version: int = 4,
    *,
    client_id: str = "",
    username: str | None = None,
    password: bytes | None = None,
    clean: bool = True,
    keep_alive: int = 60,
    will: bytes = b"",
    will_flags: int = 0,
    properties: bytes = b"",
) -> bytes:
    """Write CONNECT; `will` is the will's fields as they are on the wire."""
    flags = (2 if clean else 0) | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    return packet(
        0x10,
        text("MQIsdp" if version == 3 else "MQTT"),
        bytes((version, flags | will_flags)),
        keep_alive.to_bytes(2, "big"),
        bytes((len(properties),)) + properties if version == 5 else b"",
        text(client_id),
        will,
        b"" if username is None else text(username),
        b"" if password is None else text(password),
    )


def publish_packet(
    topic: str, payload: bytes, *, version: int = 4, qos: int = 0, packet_id: int = 1, properties: bytes = b"", flags: int = 0
) -> bytes:
    """Write PUBLISH."""
    return packet(
        0x30 | qos << 1 | flags,
        text(topic),
        packet_id.to_bytes(2, "big") if qos else b"",
        bytes((len(properties),)) + properties if version == 5 else b"",
        payload,
    )


def subscribe_packet(*filters: tuple[str, int], version: int = 4, packet_id: int = 1) -> bytes:
    """Write SUBSCRIBE."""
    wanted = b"".join(text(topic_filter) + bytes((qos,)) for topic_filter, qos in filters)
    return packet(0x82, packet_id.to_bytes(2, "big"), b"\0" if version == 5 else b"", wanted)


class RawClient:
    """A client that writes what it is told and reads packet by packet."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.connect((HOST, port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def connect(self, version: int = 4, **fields: Any) -> Self:
        """Connect and take the acceptance."""
        self.send(connect_packet(version, **fields))
        first, body = self.read()
        assert (first, body[:2]) == (0x20, b"\0\0")
        return self

    def send(self, data: bytes) -> Self:
        """Write bytes."""
        self.socket.sendall(data)
        return self

    def send_as_far_as_possible(self, data: bytes) -> None:
        """Write bytes to a server that may have hung up, or may not read."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def read(self) -> tuple[int, bytes]:
        """Read one packet."""
        first = self.take(1)[0]
        length = shift = 0
        while True:
            digit = self.take(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return first, self.take(length)

    def take(self, size: int) -> bytes:
        """Read so many bytes; fails when the server closes before."""
        found = b""
        while len(found) < size:
            piece = self.socket.recv(size - len(found))
            if not piece:
                raise EOFError(found[:100])
            found += piece
        return found

    def rest(self) -> bytes:
        """Read until the server closes; fails when it does not."""
        found = b""
        try:
            while piece := self.socket.recv(65_536):
                found += piece
        except ConnectionError:
            pass
        return found

    def ping(self) -> Self:
        """Prove that the connection stands and that everything sent before was handled."""
        self.send(b"\xc0\x00")
        assert self.read() == (0xD0, b"")
        return self

    def hang_up(self) -> None:
        """Say that nothing more will come, and go on reading."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Be gone."""
        self.socket.close()
