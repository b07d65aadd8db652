"""MQTT over TLS: a certificate logs a device in, where no guest name does and no password has to."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from adapters.tls.contexts import MQTT
from core.errors import Reason
from core.messages import CertificateLogin, MqttLogin
from core.model import Secret
from tests.protocols.mqtt_peer import EVERY_LOOP, Gateway, RawClient, connect_packet, gateway, publish_packet
from tests.tls.tls_doorman import GUEST, Doorman
from tests.tls.tls_parties import HOST, PATIENCE_SECONDS, Place, signed

VERSIONS = pytest.mark.parametrize("version", [4, 5])


class Served(Gateway):
    """A server for TLS."""

    rules: Any
    tls: int


@pytest.fixture(params=EVERY_LOOP)
def there(request: pytest.FixtureRequest, home: Place) -> Iterator[Served]:
    with serving(request.param, home) as found:
        yield found
    assert found.unexpected == []


@contextlib.contextmanager
def serving(loop: str, home: Place, **bounds: Any) -> Iterator[Served]:
    door: Any = Doorman()
    door.release = threading.Event()
    with gateway(loop, rules=door, **bounds) as found:
        served: Any = found

        async def start() -> Any:
            return await found.server.start(HOST, 0, tls=home.contexts(found.meter, *MQTT))

        served.tls = found.run(start())[1]
        yield served


def client(there: Served, home: Place, chain: Path | None = None, version: int = 4, **fields: Any) -> RawClient:
    """Connect over TLS and send CONNECT."""
    raw = RawClient(there.tls)
    raw.socket = home.client(chain).wrap_socket(raw.socket, server_hostname="localhost")
    return raw.send(connect_packet(version, **fields))


def code(raw: RawClient) -> int:
    """Return what CONNACK says."""
    first, body = raw.read()
    assert first == 0x20
    return body[1]


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_paho_logs_in_by_its_certificate(there: Served, home: Place, own: Place, version: MQTTProtocolVersion) -> None:
    leaf, answered = signed("pump-1"), threading.Event()
    device = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    context = home.client(own.write("pump-1", leaf))
    context.set_alpn_protocols(["mqtt"])
    device.tls_set_context(context)

    def on_connect(*_: Any) -> None:
        device.publish("own/report", b"hello", 1)

    device.on_connect = on_connect
    device.on_publish = lambda *_: answered.set()
    device.connect("localhost", there.tls)
    device.loop_start()
    assert answered.wait(PATIENCE_SECONDS)
    device.disconnect()
    device.loop_stop()
    assert there.rules.asked == [CertificateLogin((leaf.der,))]
    assert there.rules.peers[0].secure
    assert there.rules.handled[0].identity.device_name == "pump-1"
    assert there.rules.handled[0].peer.secure


def test_without_a_certificate_all_is_as_ever(there: Served, home: Place) -> None:
    with client(there, home, username="dev1", password=b"p") as device:
        assert code(device) == 0
    assert there.rules.asked == [MqttLogin("", "dev1", Secret("p"))]
    with RawClient(there.port).send(connect_packet(username="dev1")) as plain:
        assert code(plain) == 0
    assert [peer.secure for peer in there.rules.peers] == [True, False]


def test_a_guest_name_wins_over_the_certificate(there: Served, home: Place, own: Place) -> None:
    with client(there, home, own.write("pump-1", signed("pump-1")), username=GUEST.login) as guest:
        assert code(guest) == 0
        guest.send(publish_packet("join/request", b"me", qos=1))
        assert guest.read() == (0x40, b"\0\x01")
    assert there.rules.asked == []
    assert there.rules.handled[0].guest == GUEST.name


@VERSIONS
def test_an_unknown_certificate_alone_is_refused(there: Served, home: Place, own: Place, version: int) -> None:
    with client(there, home, own.write("x", signed("stranger")), version, client_id="c") as device:
        assert code(device) == (0x87 if version == 5 else 5)
        assert device.rest() == b""
    assert len(there.rules.asked) == 1


@VERSIONS
def test_beside_an_unknown_certificate_user_name_and_password_count(
    there: Served, home: Place, own: Place, version: int
) -> None:
    file = own.write("x", signed("stranger"))
    with client(there, home, file, version, username="dev1", password=b"p") as device:
        assert code(device) == 0
    with client(there, home, file, version, username="dev2", password=b"p") as device:
        assert code(device) == (0x86 if version == 5 else 5)
    assert len(there.rules.asked) == 4


@VERSIONS
def test_a_certificate_that_may_not_come_in_is_not_made_up_for(there: Served, home: Place, own: Place, version: int) -> None:
    for reason, codes in ((Reason.FORBIDDEN, (5, 0x87)), (Reason.UNAVAILABLE, (3, 0x88))):
        file = own.write("x", signed(reason.value))
        with client(there, home, file, version, username="dev1", password=b"p") as device:
            assert code(device) == codes[version == 5]


def test_a_connection_ends_with_what_it_proved(there: Served, home: Place, own: Place) -> None:
    with client(there, home, own.write("pump-1", signed("pump-1")), 5) as device:
        assert code(device) == 0
        device.ping()  # which is answered once the connection is attended
        there.call(there.rules.ends[0])
        assert device.read() == (0xE0, b"\x87")
        assert device.rest() == b""


def test_handshakes_count_as_connections_and_in_their_time(home: Place) -> None:
    with serving("asyncio", home, connections_per_source=1, connect_seconds=0.5) as there:
        with RawClient(there.tls) as dawdling:
            with RawClient(there.tls) as second:
                assert second.rest() == b""
            assert there.meter.bounds == ["mqtt.connections_per_source"]
            assert dawdling.rest() == b""
        assert "mqtt.connect_seconds" in there.meter.bounds
        with client(there, home, username="dev1") as device:
            assert code(device) == 0


def test_a_server_that_stops_waits_for_no_handshake(home: Place) -> None:
    with serving("uvloop", home) as there, RawClient(there.tls) as dawdling, client(there, home, username="dev1") as device:
        assert code(device) == 0
        there.run(there.server.close(0.5))
        assert dawdling.rest() == b""
        with contextlib.suppress(ssl.SSLError):
            assert device.rest() == b""


async def test_nothing_is_kept_of_connections_that_are_gone(home: Place) -> None:
    def scene() -> None:
        with serving("asyncio", home) as there:
            for _ in range(3):
                with client(there, home, username="dev1") as device:
                    assert code(device) == 0
            for _ in range(200):
                if not there.server._shared.open:
                    break
                threading.Event().wait(0.02)
            assert not there.server._shared.open

    await asyncio.to_thread(scene)
