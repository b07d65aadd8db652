"""What the scenarios are played with over MQTT: paho, aiomqtt and Mosquitto's programs, brought to one form.

A reply is `published`; `closed` with the reason of DISCONNECT where version 5 gave one; `told` with the reason of a PUBACK
after which the connection stands; `acknowledged` for a report; `refused` with the code of CONNACK.
"""

import asyncio
import os
import queue
import re
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from adapters.listeners import Listening
from tests.protocols.scenario_clients import PATIENCE_SECONDS, Login, Reply, run

REQUEST, RESPONSE = "/provision/request", "/provision/response"
TELEMETRY, ATTRIBUTES = "v1/devices/me/telemetry", "v1/devices/me/attributes"
_CLASSIC = {132: 1, 133: 2, 136: 3, 134: 4, 135: 5}
TOPICS = {"telemetry": TELEMETRY, "attributes": ATTRIBUTES}
_VERSIONS = {"mqttv311": MQTTProtocolVersion.MQTTv311, "mqttv5": MQTTProtocolVersion.MQTTv5}


class Paho:
    """paho-mqtt: what ThingsBoard's own Python SDK is built on, driven the way its documentation's script does it."""

    def __init__(self, version: str, *, username: str = "", client_id: str = "") -> None:
        self.speaks = "mqtt5" if version == "mqttv5" else "mqtt3"
        self._version = _VERSIONS[version]
        self._guest = Login(username=username, client_id=client_id)

    async def provision(self, where: Listening, body: bytes) -> Reply:
        return await asyncio.to_thread(self._provision, where, body)

    async def report(self, where: Listening, login: Login, what: str, body: bytes) -> Reply:
        return await asyncio.to_thread(self._report, where, login, TOPICS[what], body)

    async def read_attributes(self, where: Listening, login: Login) -> Reply:
        return await asyncio.to_thread(self._read_attributes, where, login)

    def _provision(self, where: Listening, body: bytes) -> Reply:
        with Talk(where, self._version, self._guest) as talk:
            talk.client.subscribe(RESPONSE, 1)
            talk.client.publish(REQUEST, body, 1)
            return talk.outcome()

    def _report(self, where: Listening, login: Login, topic: str, body: bytes) -> Reply:
        with Talk(where, self._version, login) as talk:
            if talk.refused:
                return Reply(talk.refused)
            talk.client.publish(topic, body, 1)
            return talk.acknowledged()

    def _read_attributes(self, where: Listening, login: Login) -> Reply:
        with Talk(where, self._version, login) as talk:
            if talk.refused:
                return Reply(talk.refused)
            talk.client.subscribe(f"{ATTRIBUTES}/response/+", 1)
            talk.client.publish(f"{ATTRIBUTES}/request/7", b'{"clientKeys":"a"}', 1)
            return talk.outcome()


def _connack(version: MQTTProtocolVersion, reason: int) -> int:
    """Return the code that was on the wire: paho shows those of 3.1.1 (section 3.2.2.3) as the ones of version 5."""
    return reason if version is MQTTProtocolVersion.MQTTv5 else _CLASSIC[reason]


class Talk:
    """One connection of paho's, from CONNACK to the end of the block; what happens comes in through a queue."""

    def __init__(self, where: Listening, version: MQTTProtocolVersion, login: Login) -> None:
        self.client = PahoClient(
            CallbackAPIVersion.VERSION2, client_id=login.client_id, protocol=version, reconnect_on_failure=False
        )
        if login.username:
            self.client.username_pw_set(login.username, login.password or None)
        self.happened: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client.on_connect = lambda *args: self.happened.put(("connected", args[3]))
        self.client.on_disconnect = lambda *args: self.happened.put(("closed", args[3]))
        self.client.on_publish = lambda *args: self.happened.put(("acknowledged", args[3]))
        self.client.on_subscribe = lambda *args: self.happened.put(("subscribed", [reason.value for reason in args[3]]))
        self.client.on_unsubscribe = lambda *args: self.happened.put(("unsubscribed", args[3]))
        self.client.on_message = self._on_message
        self.messages: list[MQTTMessage] = []
        self.refused = ""
        self._version = version
        self._where = where.mqtt[0]

    def __enter__(self) -> "Talk":
        self.client.connect(self._where.host, self._where.port)
        self.client.loop_start()
        _, reason = self.wait("connected", "closed")
        if reason.is_failure:
            self.refused = f"refused {_connack(self._version, reason.value)}"
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def wait(self, *wanted: str) -> tuple[str, Any]:
        """Return the next thing of these that happens."""
        while True:
            what, value = self.happened.get(timeout=PATIENCE_SECONDS)
            if what in wanted:
                return what, value

    def acknowledged(self) -> Reply:
        """Return how a message was acknowledged."""
        what, reason = self.wait("acknowledged", "closed")
        if what == "closed":
            return Reply("closed")
        return Reply(f"told {reason.value}" if reason.is_failure else "acknowledged")

    def outcome(self) -> Reply:
        """Return the answer, or how the connection ended instead."""
        told = 0
        while True:
            what, value = self.wait("answered", "acknowledged", "unsubscribed", "closed")
            if what == "answered":
                return Reply("published", value)
            if what == "closed":
                # paho makes up a reason where the connection just ended.
                return Reply(f"closed {value.value}" if told else "closed")
            if what == "unsubscribed":
                return Reply(f"told {told}")
            if value.is_failure:
                told = value.value
                self.client.unsubscribe("any/topic")  # answered only where the connection stands

    def _on_message(self, _client: PahoClient, _userdata: object, message: MQTTMessage) -> None:
        self.messages.append(message)
        self.happened.put(("answered", message.payload))


class Aiomqtt:
    """aiomqtt, as MQTT 3.1: the oldest version that devices in the field speak."""

    speaks = "mqtt3"

    async def provision(self, where: Listening, body: bytes) -> Reply:
        return await self._ask(where, Login(username="provision", client_id="provision"), RESPONSE, REQUEST, body)

    async def read_attributes(self, where: Listening, login: Login) -> Reply:
        return await self._ask(where, login, f"{ATTRIBUTES}/response/+", f"{ATTRIBUTES}/request/1", b"{}")

    async def report(self, where: Listening, login: Login, what: str, body: bytes) -> Reply:
        try:
            async with self._client(where, login) as client:
                await client.publish(TOPICS[what], body, 1)
                return Reply("acknowledged")
        except aiomqtt.MqttError as error:
            return _failed(error)

    async def _ask(self, where: Listening, login: Login, answers: str, topic: str, body: bytes) -> Reply:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._client(where, login) as client:
                await client.subscribe(answers, 1)
                await client.publish(topic, body, 1)
                return Reply("published", bytes((await anext(client.messages)).payload))
        except aiomqtt.MqttError as error:
            return _failed(error)

    def _client(self, where: Listening, login: Login) -> aiomqtt.Client:
        return aiomqtt.Client(
            where.mqtt[0].host,
            where.mqtt[0].port,
            identifier=login.client_id or "some-client",  # 3.1 knows no empty one
            username=login.username or None,
            password=login.password or None,
            protocol=aiomqtt.ProtocolVersion.V31,
            timeout=PATIENCE_SECONDS,
        )


def _failed(error: aiomqtt.MqttError) -> Reply:
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        assert isinstance(error.rc, ReasonCode)
        return Reply(f"refused {_connack(MQTTProtocolVersion.MQTTv31, error.rc.value)}")
    return Reply("closed")


_LEFT_OPEN = b"RC:153)"  # a PUBACK after which nothing comes, so that there is no point in waiting


class Mosquitto:
    """`mosquitto_rr` and `mosquitto_pub`. Their exit status misleads, so their account of the packets is read."""

    _REFUSED = re.compile(r"received CONNACK \(([1-9]\d*)\)")

    def __init__(self, version: str) -> None:
        self.speaks = "mqtt5" if version == "mqttv5" else "mqtt3"
        self._version = version

    async def provision(self, where: Listening, body: bytes) -> Reply:
        return await self._ask(where, Login(username="provision"), RESPONSE, REQUEST, body)

    async def read_attributes(self, where: Listening, login: Login) -> Reply:
        return await self._ask(where, login, f"{ATTRIBUTES}/response/1", f"{ATTRIBUTES}/request/1", b"{}")

    async def report(self, where: Listening, login: Login, what: str, body: bytes) -> Reply:
        account = await self._run("mosquitto_pub", where, login, body, "-t", TOPICS[what])
        if match := self._REFUSED.search(account):
            return Reply(f"refused {match[1]}")
        return Reply("acknowledged" if re.search(r"received PUBACK \(Mid: \d+, RC:0\)", account) else "closed")

    async def _ask(self, where: Listening, login: Login, answers: str, topic: str, body: bytes) -> Reply:
        account = await self._run("mosquitto_rr", where, login, body, "-t", topic, "-e", answers, "-W", "20")
        if match := self._REFUSED.search(account):
            return Reply(f"refused {match[1]}")
        if match := re.search(r"received PUBLISH .*\n(?:Client .*\n)*([^\n]*)", account):
            return Reply("published", match[1].encode())
        if match := re.search(r"Received DISCONNECT \((\d+)\)", account):
            return Reply(f"closed {match[1]}")
        if "The connection was lost" in account:
            return Reply("closed")
        told = re.search(r"received PUBACK \(Mid: \d+, RC:(\d+)\)", account)
        return Reply(f"told {told[1]}" if told else "silence")

    async def _run(self, program: str, where: Listening, login: Login, body: bytes, *options: str) -> str:
        fields = ["-i", login.client_id] if login.client_id else []
        fields += ["-u", login.username] if login.username else []
        fields += ["-P", login.password] if login.password else []
        address = ["-h", where.mqtt[0].host, "-p", str(where.mqtt[0].port)]
        message = ["-m", os.fsdecode(body)] if body else ["-n"]  # mosquitto_rr 2.0 takes a file and sends nothing
        command = ["stdbuf", "-oL", program, "-d", *address, "-V", self._version, "-q", "1", *fields, *message, *options]
        return (await run(*command, until=_LEFT_OPEN)).decode(errors="replace")
