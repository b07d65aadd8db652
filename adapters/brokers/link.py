"""Keeps a connection to the user's broker, and says in the log when it is lost, refused or back."""

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

import aiomqtt
import msgspec
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.typing import FilteringBoundLogger

from adapters.brokers.address import BrokerAddress
from adapters.exchange import Meter
from core.errors import Refusal
from core.model import Secret

KEEP_ALIVE_SECONDS: Final = 30
TIMEOUT_SECONDS: Final = 10.0
QUEUED: Final = 1_000
QUEUED_BYTES: Final = 16_777_216
PACKET_BYTES: Final = 16_777_216
ENOUGH_DOUBLINGS: Final = 16

# Reason codes of a CONNACK that stay what they are until somebody changes something (OASIS MQTT 5.0, section 3.2.2.2); aiomqtt
# gives the codes of version 3.1.1 as these.
_UNSUPPORTED_VERSION: Final = 0x84
_REFUSED: Final = {
    0x85: "the broker refuses the client id",
    0x86: "the broker knows no such user name and password",
    0x87: "the broker does not let this user in",
    0x8A: "the broker has banned this client",
    0x8C: "the broker has no such way to log in",
}

Work = Callable[[aiomqtt.Client], Awaitable[None]]


class Refused(Exception):
    """A broker is there and does not let the work be done; its text says what to change. It is tried again, slowly."""


class Patience(msgspec.Struct, frozen=True):
    """How long to wait before the next attempt, in seconds: from `least` to `most`, growing; `refused` after a no."""

    least: float = 0.5
    most: float = 5.0
    refused: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.most <= self.refused:
            raise ValueError("0 < least <= most <= refused is not kept")


class Link:
    """One connection to a broker for one purpose, opened again whenever it is lost.

    MQTT 5 is spoken, or 3.1.1 with a broker that does not know it: `protocol` tells which. `dropped` counts the messages that
    came in faster than the work took them: at most `queued` wait, of `queued_bytes` topic and payload together, and MQTT has
    no way to refuse one. A broker of MQTT 5 is told to send no packet above `packet_bytes`, and discards what is larger (OASIS
    MQTT 5.0, section 3.1.2.11.4). `meter` has the level `broker.NAME.up`, 0 or 1, and the bound `broker.NAME` of what was
    dropped. `tls` is how the broker's certificate is checked, None: TLS is not spoken.
    """

    def __init__(
        self,
        address: BrokerAddress,
        password: Secret | None,
        name: str,
        log: FilteringBoundLogger,
        *,
        meter: Meter | None = None,
        queued: int = QUEUED,
        queued_bytes: int = QUEUED_BYTES,
        packet_bytes: int = PACKET_BYTES,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.protocol = aiomqtt.ProtocolVersion.V5
        self.dropped = 0
        self.is_up = False
        # No two processes have the same: a broker throws out the first of two clients with one id.
        self.client_id = f"firstlight-{name}-{secrets.token_hex(4)}"
        self._address = address
        self._password = password
        self._tls = tls
        self._name = name
        self._log = log.bind(link=name, broker=str(address))
        self._meter = meter
        self._queued = queued
        self._queued_bytes = queued_bytes
        self._packet_bytes = packet_bytes
        self._patience = patience or Patience()
        self._fault = ""
        self._refused = False

    async def keep(self, work: Work) -> None:
        """Connect, run `work`, and begin again whenever the connection is lost; returns when `work` does.

        Work notices the loss where it iterates over `client.messages`, or publishes; work that does neither awaits `lost`
        beside what it does.
        """
        loop = asyncio.get_running_loop()
        failures = 0
        self._count_up(False)
        while True:
            began = loop.time()
            try:
                async with self._connected() as client:
                    return await work(client)
            except Exception as error:
                # Whatever it is: what fails once must not end the link for ever.
                pause = self._after(error, failures)
            _require_not_cancelled()
            failures = 0 if loop.time() - began > self._patience.most else failures + 1
            await asyncio.sleep(random.uniform(0.8, 1.2) * pause)  # noqa: S311 - spreads attempts, keeps no secret

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiomqtt.Client]:
        client = self._client()
        opening = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # A thread is at it: what it opens would be left open.
            with contextlib.suppress(aiomqtt.MqttError):
                await opening
                await client.__aexit__(None, None, None)
            raise
        self._came_up()
        try:
            yield client
        finally:
            self._count_up(False)
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    def _client(self) -> aiomqtt.Client:
        is_five = self.protocol is aiomqtt.ProtocolVersion.V5
        return aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.username or None,
            password=None if self._password is None else self._password.reveal(),
            identifier=self.client_id,
            protocol=self.protocol,
            clean_session=None if is_five else True,
            properties=_connect_properties(self._packet_bytes) if is_five else None,
            timeout=TIMEOUT_SECONDS,
            tls_context=self._tls,
            keepalive=KEEP_ALIVE_SECONDS,
            queue_type=self._queue_type(),
            max_queued_incoming_messages=self._queued,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
            logger=logging.getLogger("firstlight.broker"),
        )

    def _queue_type(self) -> type[asyncio.Queue[aiomqtt.Message]]:
        link = self

        class CountingQueue(asyncio.Queue[aiomqtt.Message]):
            """Drops what does not fit: by then the broker has its acknowledgement."""

            held = 0

            def put_nowait(self, item: aiomqtt.Message) -> None:
                # One that is alone fits, whatever its size.
                if self.full() or (self.held and self.held + size_of(item) > link._queued_bytes):
                    link._dropped(self.maxsize)
                else:
                    self.held += size_of(item)
                    super().put_nowait(item)

            def get_nowait(self) -> aiomqtt.Message:
                item = super().get_nowait()
                self.held -= size_of(item)
                return item

        return CountingQueue

    def _dropped(self, queued: int) -> None:
        self.dropped += 1
        if self._meter is not None:
            self._meter.bound(f"broker.{self._name}")
        if self.dropped.bit_count() == 1:  # the first, and whenever there are twice as many
            self._log.warning("messages from the broker come faster than they are taken", dropped=self.dropped, queued=queued)

    def _count_up(self, is_up: bool) -> None:
        self.is_up = is_up
        if self._meter is not None:
            self._meter.level(f"broker.{self._name}.up", float(is_up))

    def _came_up(self) -> None:
        self._count_up(True)
        if not self._refused:
            self._fault = ""
            self._log.info("the link to the broker is up", client_id=self.client_id)

    def _after(self, error: Exception, failures: int) -> float:
        """Say what happened and return how many seconds to wait."""
        text, is_refused = self._describe(error)
        self._refused = isinstance(error, Refused)
        if not text:
            self._log.exception("work at the broker failed, it begins again", exc_info=error)
        elif text != self._fault:
            self._log.warning("the link to the broker is down", fault=text)
        self._fault = text
        longest = min(self._patience.most, self._patience.least * 2.0 ** min(failures, ENOUGH_DOUBLINGS))
        return self._patience.refused if is_refused else longest

    def _describe(self, error: Exception) -> tuple[str, bool]:
        """Return what an error means, empty where it means nothing but a mistake, and whether it is a no that stays."""
        match error:
            case Refused():
                return str(error), True
            case Refusal():
                return f"the registry did not answer: {error.detail}", False
            case MqttConnectError():
                return self._describe_refusal(error)
            case aiomqtt.MqttError():
                return f"{error}" or "the connection was lost", False
            case _:
                return "", False

    def _describe_refusal(self, error: MqttConnectError) -> tuple[str, bool]:
        code = error.rc if error.rc is None or isinstance(error.rc, int) else error.rc.value
        if code == _UNSUPPORTED_VERSION and self.protocol is aiomqtt.ProtocolVersion.V5:
            self.protocol = aiomqtt.ProtocolVersion.V311
            return "the broker does not speak MQTT 5; 3.1.1 is tried next", False
        if code in _REFUSED:
            return f"{_REFUSED[code]}; check user name, password and client id {self.client_id}", True
        return f"the broker does not let anybody in now: {error}", False


def _connect_properties(packet_bytes: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho annotates no constructor
    properties.MaximumPacketSize = packet_bytes
    return properties


def size_of(message: aiomqtt.Message) -> int:
    """Return the bytes of a message, as far as its sender chose them: topic and payload."""
    payload = message.payload
    return len(message.topic.value.encode()) + (len(payload) if isinstance(payload, bytes) else 0)


def _require_not_cancelled() -> None:
    """Raise `CancelledError` where closing a connection, which waits for an acknowledgement, swallowed it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def lost(client: aiomqtt.Client) -> None:
    """Wait until a connection is lost and raise `MqttError` then; what comes in meanwhile is thrown away."""
    async for _ in client.messages:
        pass


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run these side by side until the first one ends or fails, which is how this ends or fails; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
