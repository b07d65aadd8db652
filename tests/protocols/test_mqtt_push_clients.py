"""Real clients that are pushed to, in every version they speak: paho, aiomqtt and Mosquitto's own; and large documents."""

import asyncio
import queue
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any, Self

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.protocols.mqtt_documents import KEY, VISITOR, Documents, answered, asked
from tests.protocols.mqtt_peer import EVERY_LOOP, HOST, PATIENCE_SECONDS, Gateway, gateway, publish_packet, subscribe_packet

VERSIONS = [MQTTProtocolVersion.MQTTv31, MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5]
BIG = 1_000_000
mosquitto = pytest.mark.skipif(
    not all(shutil.which(f"mosquitto_{name}") for name in ("rr", "sub")), reason="Mosquitto's clients are not installed"
)


class Library:
    """A running server with documents."""

    def __init__(self, running: Gateway, rules: Documents) -> None:
        self.running = running
        self.rules = rules

    def change(self, name: str, new: bytes) -> None:
        self.running.call(lambda: self.rules.change(name, new))

    def wait_for_watch(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.rules.watchers:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture(params=EVERY_LOOP)
def documents(request: pytest.FixtureRequest) -> Iterator[Library]:
    rules = Documents()
    with gateway(request.param, rules=rules, write_stall_seconds=1.0) as running:
        yield Library(running, rules)
    assert running.unexpected == []
    assert rules.watchers == {}


def big(seed: int) -> bytes:
    return random.Random(seed).randbytes(BIG)


class Paho:
    """paho, from SUBACK to the end of the block; messages come in through a queue."""

    def __init__(self, documents: Library, version: MQTTProtocolVersion, username: str) -> None:
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._subscribed: queue.Queue[Any] = queue.Queue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version, client_id="paho", reconnect_on_failure=False)
        self.client.username_pw_set(username)
        self.client.on_connect = lambda client, *_: client.subscribe("docs/a/response", 1)
        self.client.on_subscribe = lambda *args: self._subscribed.put(args[3])
        self.client.on_message = lambda *args: self.messages.put(args[2])
        self.client.connect(HOST, documents.running.port)

    def __enter__(self) -> Self:
        self.client.loop_start()
        self._subscribed.get(timeout=PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def message(self) -> paho.MQTTMessage:
        return self.messages.get(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_is_pushed_what_it_asked_for(documents: Library, version: MQTTProtocolVersion) -> None:
    with Paho(documents, version, VISITOR) as client:
        client.client.publish(asked("a"), KEY, 1)
        assert client.message().payload == b"first"
        for body in (b"\x00\xff binary", big(1), b"third"):
            documents.change("a", body)
            message = client.message()
            assert (message.topic, message.payload, message.qos, message.retain) == (answered("a"), body, 1, False)
            if version is MQTTProtocolVersion.MQTTv5:
                assert message.properties is not None
                assert message.properties.json() == {"ContentType": "application/octet-stream"}


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_as_a_device_is_pushed_without_asking(documents: Library, version: MQTTProtocolVersion) -> None:
    with Paho(documents, version, "dev1") as client:
        documents.wait_for_watch()
        documents.change("a", b"second")
        assert client.message().payload == b"second"


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V31, aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
async def test_aiomqtt_is_pushed_what_it_asked_for(documents: Library, version: aiomqtt.ProtocolVersion) -> None:
    received = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with aiomqtt.Client(HOST, documents.running.port, username=VISITOR, identifier="i", protocol=version) as client:
            await client.subscribe("docs/+/response", qos=1)
            await client.publish(asked("a"), KEY, qos=1)
            async for message in client.messages:
                received.append(message.payload)
                if len(received) == 3:
                    break
                await asyncio.to_thread(documents.change, "a", b"%d" % len(received))
    assert received == [b"first", b"1", b"2"]


@mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
@pytest.mark.parametrize("body", [b"second", big(2)], ids=["small", "large"])
def test_mosquitto_sub_as_a_device_is_pushed_without_asking(documents: Library, version: str, body: bytes) -> None:
    command = ["mosquitto_sub", "-h", HOST, "-p", str(documents.running.port), "-V", version, "-i", "m", "-u", "dev1"]
    command += ["-q", "1", "-t", answered("a"), "-N", "-C", "1", "-W", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listening:
        documents.wait_for_watch()
        documents.change("a", body)
        assert listening.communicate(timeout=3 * PATIENCE_SECONDS) == (body, b"")


@mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
def test_mosquitto_rr_gets_a_large_answer(documents: Library, version: str) -> None:
    documents.rules.texts["a"] = big(3)
    command = ["mosquitto_rr", "-h", HOST, "-p", str(documents.running.port), "-V", version, "-i", "m", "-u", VISITOR]
    command += ["-q", "1", "-t", asked("a"), "-e", answered("a"), "-m", "key", "-N", "-W", "20"]
    found = subprocess.run(command, capture_output=True, timeout=3 * PATIENCE_SECONDS, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, big(3), b"")


def test_a_large_document_reaches_who_reads_it_slowly(documents: Library) -> None:
    documents.rules.texts["a"] = big(4)
    with documents.running.client(receive_buffer=16_384).connect(username=VISITOR) as client:
        client.send(subscribe_packet((answered("a"), 0))).read()
        client.send(publish_packet(asked("a"), KEY))
        begun = time.monotonic()
        for body in (big(4), big(5)):
            whole = publish_packet(answered("a"), body)
            assert read_slowly(client.socket, len(whole)) == whole
            documents.change("a", big(5))
        # Each took longer than the client may stand still, or this shows nothing.
        assert time.monotonic() - begun > 2.0
        assert documents.running.meter.bounds == []


def read_slowly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += connection.recv(min(24_000, size - len(found)))
        time.sleep(0.025)
    return found
