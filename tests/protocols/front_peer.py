"""What the tests of the front stand on: an exchange with rights that change, a scripted broker, a server between them."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from adapters.exchange import Carrier, Guest, Inbound, Outbound, Peer, Success
from adapters.mqtt.config import MqttConfig
from adapters.mqtt.front.config import ClientIds, Upstream
from core.errors import Reason, Refusal
from core.messages import Identity
from core.model import CredentialId, DeviceId, Secret, TenantId
from core.topic_spaces import Action, Grant, Grants
from core.topics import covers
from tests.protocols.mqtt_peer import (
    EVERY_LOOP,
    HOST,
    PATIENCE_SECONDS,
    Hosted,
    RawClient,
    Rules,
    connect_packet,
    packet,
    text,
)

__all__ = ["EVERY_LOOP", "HOST"]

DEVICE, USER, OUTSIDER = "dev1", "user1", "outsider"
DEVICE_ID = "d-1"
PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
BOTH = PUBLISH | SUBSCRIBE
GRANTS = (
    Grant("me/up", f"at/{DEVICE_ID}/up", PUBLISH),
    Grant("me/down", f"at/{DEVICE_ID}/down", SUBSCRIBE),
    Grant("room/7", "room/7", BOTH),
)
UP, DOWN, ROOM = "me/up", "me/down", "room/7"
UP_THERE, DOWN_THERE = f"at/{DEVICE_ID}/up", f"at/{DEVICE_ID}/down"
CONNACK = {3: b"\x20\x02\x00\x00", 4: b"\x20\x02\x00\x00", 5: b"\x20\x03\x00\x00\x00"}
PINGREQ, PINGRESP, DISCONNECT = b"\xc0\x00", b"\xd0\x00", b"\xe0\x00"
QUIET_SECONDS = 0.05


class Watched:
    """Callbacks that are registered, by number."""

    def __init__(self) -> None:
        self.there: dict[int, tuple[str, Callable[[], None]]] = {}
        self._last = 0

    def add(self, key: str, called: Callable[[], None]) -> Callable[[], None]:
        self._last += 1
        number = self._last
        self.there[number] = (key, called)
        return lambda: self._remove(number)

    def _remove(self, number: int) -> None:
        self.there.pop(number, None)

    def tell(self) -> None:
        for _, called in tuple(self.there.values()):
            called()


class FrontRules(Rules):
    """An exchange of devices that go on to a broker.

    What begins with `own/` or `refuse/` is answered here, and subscribing to `own/state` is a request by itself. `rights` are
    everybody's, and `refusal` is what asking for them is answered with, while it is set; `waits` holds that answer up until
    `release` is set, as requests to what is in `slow` are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rights = Grants(GRANTS, (DEVICE_ID,))
        self.refusal: Exception | None = None
        self.waits = False
        self.state = b"1"
        self.slow: set[str] = set()
        self.slow_asked = False
        self.asked = 0
        self.watchers = Watched()
        self.attended = Watched()

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        if login.username == "wait":
            while not self.release.is_set():  # noqa: ASYNC110 - set from another thread
                await asyncio.sleep(0.005)
        if login.username not in (DEVICE, USER, OUTSIDER, "wait"):
            raise Refusal(Reason.UNAUTHENTICATED, "who is this", check="test")
        credential = None if login.username == OUTSIDER else CredentialId("c")
        return Identity(TenantId("t"), DeviceId(DEVICE_ID), login.username, credential, user=login.username == USER)

    def guest(self, username: str, client_id: str) -> Guest | None:
        return None

    def keeps(self, inbound: Inbound) -> bool:
        return inbound.path.startswith(("own/", "refuse/"))

    async def permit(self, identity: Identity) -> Grants:
        self.asked += 1
        rights, refusal = self.rights, self.refusal
        while self.waits and not self.release.is_set():  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.005)
        if refusal is not None:
            raise refusal
        return rights

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        return covers("own/#", topic_filter)

    def understands(self, inbound: Inbound) -> bool:
        return inbound.method != "SUBSCRIBE" or inbound.path == "own/state"

    async def handle(self, inbound: Inbound) -> Outbound:
        while inbound.path in self.slow and not self.release.is_set():
            self.slow_asked = True
            await asyncio.sleep(0.005)
        return await super().handle(inbound)

    def _answer(self, inbound: Inbound) -> Outbound:
        if inbound.path == "own/state":
            return Outbound(outcome=Success.OK, body=self.state, topic="own/state", watch="state", etag=self.state.hex())
        return super()._answer(inbound)

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        return self.attended.add(identity.device, ended)

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        return self.watchers.add(key, changed)


class ScriptedBroker:
    """A broker that does what a test tells it, step by step, and nothing by itself."""

    def __init__(self, receive_buffer: int = 0) -> None:
        self._listener = socket.socket()
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((HOST, 0))
        self._listener.listen(256)
        self._listener.settimeout(PATIENCE_SECONDS)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> "BrokerSide":
        """Take the next connection."""
        return BrokerSide(self._listener.accept()[0])

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()


class BrokerSide(RawClient):
    """The broker's end of one connection."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.socket.settimeout(PATIENCE_SECONDS)

    def let_in(self, connack: bytes = b"", version: int = 4) -> Self:
        """Read CONNECT and accept it."""
        assert self.read()[0] == 0x10
        return self.send(connack or CONNACK[version])

    def is_quiet(self, seconds: float = QUIET_SECONDS) -> bool:
        """Tell whether nothing comes for a moment."""
        return _is_quiet(self.socket, seconds)


def is_quiet(client: RawClient, seconds: float = QUIET_SECONDS) -> bool:
    """Tell whether a client hears nothing for a moment."""
    return _is_quiet(client.socket, seconds)


def _is_quiet(peer: socket.socket, seconds: float) -> bool:
    peer.settimeout(seconds)
    try:
        peer.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        peer.settimeout(PATIENCE_SECONDS)
    return False


class Front(Hosted):
    """A server with a front on a loop and a thread of its own, and the broker behind it."""

    rules: FrontRules

    def __init__(self, loop: str, config: MqttConfig, broker: ScriptedBroker, upstream: Upstream) -> None:
        self.broker = broker
        super().__init__(loop, config, FrontRules(), upstream)

    def knock(self, version: int = 4, **fields: Any) -> RawClient:
        """Connect and say who it is."""
        return self.client().send(connect_packet(version, **({"username": DEVICE, "client_id": "c"} | fields)))

    @contextlib.contextmanager
    def device(self, version: int = 4, connack: bytes = b"", **fields: Any) -> Iterator[tuple[RawClient, BrokerSide]]:
        """Connect a device and let it in; both ends are closed after that."""
        with self.knock(version, **fields) as client, self.broker.accept() as there:
            there.let_in(connack, version)
            assert client.read()[0] == 0x20
            yield client, there

    def grant(self, *grants: Grant, parts: tuple[str, ...] = (DEVICE_ID,)) -> None:
        """Give everybody these rights from now on, and wait until they count."""
        asked = self.rules.asked
        self.rules.rights = Grants(grants, parts)
        self.call(self.rules.watchers.tell)
        until(lambda: self.rules.asked > asked)
        self.call(lambda: None)

    def cut_off(self) -> None:
        """Cut every connection off."""
        self.call(lambda: [connection.cut_off() for connection in tuple(self.server._shared.open)])

    def counted(self, name: str) -> int:
        """Return how often a bound was counted."""
        return self.meter.bounds.count(f"mqtt.{name}")

    def is_empty(self) -> bool:
        """Tell whether nothing of any connection is left."""
        return bool(self.call(self._is_empty))

    def _is_empty(self) -> bool:
        shared = self.server._shared
        return (
            not shared.open
            and shared.admission.connections == 0
            and not self.rules.watchers.there
            and not self.rules.attended.there
            and self.meter.levels.get("mqtt.upstream", 0) == 0
            and len(asyncio.all_tasks()) == 1
        )


@contextlib.contextmanager
def front(
    loop: str = "asyncio",
    *,
    receive_buffer: int = 0,
    host: str = HOST,
    port: int = 0,
    seconds: float = 5.0,
    packet_bytes: int = 1_048_576,
    username: str = "",
    password: str | None = None,
    client_ids: ClientIds = ClientIds.DEVICE,
    **bounds: Any,
) -> Iterator[Front]:
    """Run a server with a front before a scripted broker, or another one on `port`; nothing of any connection may be left."""
    broker = ScriptedBroker(receive_buffer)
    upstream = Upstream(
        host=host,
        port=port or broker.port,
        username=username,
        password=None if password is None else Secret(password),
        client_ids=client_ids,
        seconds=seconds,
        packet_bytes=packet_bytes,
    )
    running = Front(loop, MqttConfig(**bounds), broker, upstream)
    try:
        yield running
        until(running.is_empty)
        assert running.unexpected == []
    finally:
        running.stop()
        broker.close()


def until(true: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def varint(value: int) -> bytes:
    """Write a variable byte integer."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (128 if value else 0))
        if not value:
            return bytes(out)


def with_properties(block: bytes) -> bytes:
    """Write properties behind their length."""
    return varint(len(block)) + block


def body_of(data: bytes) -> tuple[int, bytes]:
    """Return a packet as `RawClient.read` does."""
    at = 1
    while data[at] & 0x80:
        at += 1
    return data[0], data[at + 1 :]


def will_fields(topic: str, payload: bytes, version: int = 4, properties: bytes = b"") -> bytes:
    """Write the fields of a will in CONNECT."""
    return (with_properties(properties) if version == 5 else b"") + text(topic) + text(payload)


def suback(codes: bytes, version: int = 4, packet_id: int = 1, first: int = 0x90) -> bytes:
    """Write SUBACK, or UNSUBACK."""
    return packet(first, packet_id.to_bytes(2, "big"), b"\0" if version == 5 else b"", codes)


def unavailable(version: int) -> bytes:
    """Return the CONNACK for a broker that is not there."""
    reason = with_properties(b"\x1f" + text("the broker cannot be reached"))
    return packet(0x20, b"\0\x88", reason) if version == 5 else b"\x20\x02\0\x03"
