"""Real clients against the endpoint, in every version they speak: paho, aiomqtt and Mosquitto's own."""

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.protocols.mqtt_peer import EVERY_LOOP, GUEST_LOGIN, HOST, PATIENCE_SECONDS, REQUEST, RESPONSE, Gateway, gateway

mosquitto = pytest.mark.skipif(
    not all(shutil.which(f"mosquitto_{name}") for name in ("rr", "pub", "sub")), reason="Mosquitto's clients are not installed"
)


@pytest.fixture(scope="module", params=EVERY_LOOP)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(request.param) as found:
        yield found
    assert found.unexpected == []


class PahoExchange:
    """One request and its answer by paho: subscribe on connect, publish on subscribe."""

    def __init__(self, running: Gateway, version: MQTTProtocolVersion, body: bytes, qos: int, client_id: str = "") -> None:
        self._body, self._qos = body, qos
        self._answered = threading.Event()
        self.answers: list[tuple[str, bytes, int]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version, client_id=client_id)
        self.client.username_pw_set(GUEST_LOGIN)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.connect(HOST, running.port)
        self.client.loop_start()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(RESPONSE, 1)

    def _on_subscribe(self, client: paho.Client, *_: Any) -> None:
        client.publish(REQUEST, self._body, self._qos)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self.answers.append((message.topic, bytes(message.payload), message.qos))
        self._answered.set()

    def finish(self) -> list[tuple[str, bytes, int]]:
        assert self._answered.wait(PATIENCE_SECONDS)
        self.client.disconnect()
        self.client.loop_stop()
        return self.answers


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv31, MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
@pytest.mark.parametrize("qos", [0, 1])
def test_paho_asks_and_is_answered(running: Gateway, version: MQTTProtocolVersion, qos: int) -> None:
    asked = PahoExchange(running, version, b"paho", qos)
    assert asked.finish() == [(RESPONSE, b"for paho", 1)]


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv31, MQTTProtocolVersion.MQTTv311])
def test_paho_asks_at_qos_2_before_version_5(running: Gateway, version: MQTTProtocolVersion) -> None:
    asked = PahoExchange(running, version, b"twice", 2)
    assert asked.finish() == [(RESPONSE, b"for twice", 1)]


def test_paho_clients_with_one_client_id_each_get_their_own_answer(running: Gateway) -> None:
    asked = [PahoExchange(running, MQTTProtocolVersion.MQTTv311, b"%d" % n, 1, GUEST_LOGIN) for n in range(5)]
    assert [one.finish() for one in asked] == [[(RESPONSE, b"for %d" % n, 1)] for n in range(5)]


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V31, aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
async def test_aiomqtt_asks_and_is_answered(running: Gateway, version: aiomqtt.ProtocolVersion) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with aiomqtt.Client(HOST, running.port, username=GUEST_LOGIN, identifier="i", protocol=version) as client:
            await client.subscribe(RESPONSE, qos=1)
            await client.publish(REQUEST, b"aio", qos=1)
            message = await anext(aiter(client.messages))
    assert (message.topic.value, message.payload) == (RESPONSE, b"for aio")


async def test_aiomqtt_is_refused(running: Gateway) -> None:
    with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
        async with aiomqtt.Client(HOST, running.port, username="stranger"):
            pass


def run(running: Gateway, program: str, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [f"mosquitto_{program}", "-h", HOST, "-p", str(running.port), "-V", version, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS, check=False)


@mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", ["0", "1"])
def test_mosquitto_asks_and_is_answered(running: Gateway, version: str, qos: str) -> None:
    who = ("-u", GUEST_LOGIN, "-i", GUEST_LOGIN)
    found = run(running, "rr", version, *who, "-q", qos, "-t", REQUEST, "-e", RESPONSE, "-m", "mosquitto", "-W", "5")
    assert (found.returncode, found.stdout, found.stderr) == (0, "for mosquitto\n", "")


@mosquitto
def test_a_mosquitto_spy_sees_nothing(running: Gateway) -> None:
    spying = ["mosquitto_sub", "-h", HOST, "-p", str(running.port), "-u", GUEST_LOGIN, "-i", GUEST_LOGIN]
    spying += ["-t", RESPONSE, "-C", "1", "-W", "2"]
    with subprocess.Popen(spying, stdout=subprocess.PIPE) as spy:
        while running.meter.levels["mqtt.connections"] < 1:
            time.sleep(0.01)
        found = run(running, "rr", "mqttv5", "-u", GUEST_LOGIN, "-t", REQUEST, "-e", RESPONSE, "-m", "secret", "-W", "5")
        assert found.stdout == "for secret\n"
        assert spy.communicate(timeout=2 * PATIENCE_SECONDS)[0] == b""
    assert spy.returncode == 27


@mosquitto
@pytest.mark.parametrize(
    ("program", "version", "arguments", "said"),
    [
        ("pub", "mqttv311", ("-u", "stranger", "-P", "bad", "-t", "own/report", "-m", "x"), "not authorised"),
        ("pub", "mqttv311", ("-i", "stranger", "-t", "own/report", "-m", "x"), "identifier rejected"),
        ("pub", "mqttv5", ("-u", "stranger", "-P", "bad", "-t", "own/report", "-m", "x"), "Bad User Name or Password"),
        ("pub", "mqttv5", ("-u", GUEST_LOGIN, "-q", "2", "-t", REQUEST, "-m", "x"), "QoS not supported"),
        ("pub", "mqttv5", ("-u", GUEST_LOGIN, "-q", "1", "-t", "own/report/x", "-m", "x"), "Topic Name invalid"),
        ("sub", "mqttv311", ("-u", GUEST_LOGIN, "-t", "#", "-W", "1"), "denied"),
        ("sub", "mqttv5", ("-u", GUEST_LOGIN, "-t", "#", "-W", "1"), "denied"),
    ],
)
def test_what_mosquitto_reads_in_a_refusal(
    running: Gateway, program: str, version: str, arguments: tuple[str, ...], said: str
) -> None:
    found = run(running, program, version, *arguments)
    assert said.lower() in (found.stderr + found.stdout).lower()


@mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
def test_mosquitto_reports_as_a_device(running: Gateway, version: str) -> None:
    for qos in ("0", "1") if version == "mqttv5" else ("0", "1", "2"):
        found = run(running, "pub", version, "-u", "dev1", "-q", qos, "-t", "own/report", "-m", qos)
        assert (found.returncode, found.stderr) == (0, "")
        while running.rules.finished[-1].body != qos.encode():
            time.sleep(0.01)
