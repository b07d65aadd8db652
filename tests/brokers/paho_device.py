"""A client of paho with its own thread and its own reconnect, as devices in the field have it, and what it lived through."""

import asyncio
import ssl
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.brokers.ports import HOST
from tests.brokers.waiting import until

V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
VERSIONS = [V311, V5]
NOT_AUTHORIZED, UNAVAILABLE, BAD_LOGIN = 0x87, 0x88, 0x86
"""Reasons, as paho tells those of 3.1.1 too."""

GRANTED = (0, 1, 2)
_SESSION_SECONDS = 3_600
_RECONNECT_SECONDS = 0.2


class Device:
    """One client. It subscribes to `filters` whenever it is let in. Over `tls` it names itself only where it has a name.

    `connacks`, `goodbyes` (reasons of disconnecting, 0x80 where none was told) and `heard` (topic and payload) are in the order
    in which they happened; `granted` and `acknowledged` are by message id.
    """

    def __init__(
        self,
        port: int,
        username: str,
        password: str | None = None,
        *,
        version: MQTTProtocolVersion = V5,
        client_id: str = "",
        filters: tuple[str, ...] = (),
        clean: bool = True,
        insists: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._port = port
        self._clean = clean
        self._filters = filters
        self._is_in = False
        self.version = version
        self.connacks: list[int] = []
        self.goodbyes: list[int] = []
        self.heard: list[tuple[str, bytes]] = []
        self.granted: dict[int | None, list[int]] = {}
        self.acknowledged: dict[int | None, int] = {}
        kept: dict[str, Any] = {} if version is V5 else {"clean_session": clean}
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=insists, **kept
        )
        self.client.username_pw_set(None if tls and not username else username, password)
        if tls is not None:
            self.client.tls_set_context(tls)
        self.client.reconnect_delay_set(_RECONNECT_SECONDS, _RECONNECT_SECONDS)  # type: ignore[arg-type]  # parts of one, too
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_message = self._told
        self.client.on_subscribe = lambda *args: self.granted.update({args[2]: [code.value for code in args[3]]})
        self.client.on_publish = lambda *args: self.acknowledged.update({args[2]: args[3].value})

    async def __aenter__(self) -> Self:
        self.start()
        await until(lambda: self.connacks)
        if self._filters:
            await until(lambda: self.granted or not self.is_in)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    def start(self) -> None:
        """Begin to connect."""
        kept: dict[str, Any] = {}
        if self.version is V5:
            kept["properties"] = properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if self._clean else _SESSION_SECONDS
            kept["clean_start"] = self._clean
        self.client.connect_async(HOST, self._port, 30, **kept)
        self.client.loop_start()

    async def leave(self) -> None:
        """Say goodbye, and stop."""
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)

    @property
    def is_in(self) -> bool:
        """Tell whether it was let in, and not thrown out since."""
        return self._is_in

    async def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """Subscribe, and return the codes of the answer."""
        _, message = self.client.subscribe([(each, qos) for each in filters])
        await until(lambda: message in self.granted)
        return self.granted[message]

    def send(self, topic: str, payload: bytes, qos: int = 1, **more: Any) -> int:
        """Publish, now or when it is in again; returns the message id."""
        return self.client.publish(topic, payload, qos, **more).mid

    async def say(self, topic: str, payload: bytes, qos: int = 1, **more: Any) -> int:
        """Publish, and return the reason of the acknowledgement; version 3.1.1 has none but 0."""
        message = self.send(topic, payload, qos, **more)
        await until(lambda: message in self.acknowledged)
        return self.acknowledged[message]

    async def may_hear(self, topic_filter: str) -> bool:
        """Tell whether a subscription is granted."""
        return (await self.subscribe(topic_filter))[0] in GRANTED

    async def may_say(self, topic: str, payload: bytes = b"may I?") -> bool:
        """Tell whether a message is taken; version 3.1.1 is never told that it is not."""
        return await self.say(topic, payload) == 0

    async def may_not_say(self, topic: str) -> bool:
        """Tell whether a message is refused, in version 5."""
        return not await self.may_say(topic)

    async def hears(self, topic: str, payload: bytes) -> None:
        """Wait for a message."""
        await until(lambda: (topic, payload) in self.heard)

    async def ended(self) -> int:
        """Wait until it is disconnected for the first time, and return the reason."""
        await until(lambda: self.goodbyes)
        return self.goodbyes[0]

    def _connected(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connacks.append(reason.value)
        self._is_in = reason.value == 0
        if reason.value == 0 and self._filters:
            error, _ = self.client.subscribe([(each, 1) for each in self._filters])
            assert error is MQTTErrorCode.MQTT_ERR_SUCCESS

    def _disconnected(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._is_in = False
        self.goodbyes.append(reason.value)

    def _told(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))


async def login_code(port: int, username: str, password: str | None, client_id: str, version: MQTTProtocolVersion) -> int:
    """Come once, and return the reason in CONNACK."""
    async with Device(port, username, password, version=version, client_id=client_id, insists=False) as device:
        return device.connacks[0]


async def ask(
    port: int, guest: str, topics: tuple[str, str], body: bytes, version: MQTTProtocolVersion, client_id: str = ""
) -> bytes:
    """Come as a guest, publish a request and return its answer; `topics` are those of the two."""
    async with Device(port, guest, version=version, client_id=client_id, filters=topics[1:]) as device:
        device.send(topics[0], body)
        await until(lambda: device.heard)
        assert device.heard[0][0] == topics[1]
        return device.heard[0][1]
