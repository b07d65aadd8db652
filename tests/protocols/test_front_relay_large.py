"""Messages of the broker that are larger than what may cross: taken off it, so that its session goes on without them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocols.broker_beside import mosquitto_beside
from tests.protocols.front_peer import DOWN, DOWN_THERE, EVERY_LOOP, PINGREQ, PINGRESP, ROOM, Front, body_of, front, is_quiet
from tests.protocols.log_lines import LogLines
from tests.protocols.mqtt_peer import RawClient, publish_packet, subscribe_packet

VERSIONS = (3, 4, 5)
LIMIT = 2_000


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param, packet_bytes=LIMIT) as running:
        yield running


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("qos", "answer"), [(1, (0x40, b"\0\x07")), (2, (0x50, b"\0\x07"))])
def test_a_message_that_is_too_large_is_acknowledged_and_the_connection_goes_on(
    found: Front, version: int, qos: int, answer: tuple[int, bytes]
) -> None:
    large = publish_packet(ROOM, b"x" * 300_000, version=version, qos=qos, packet_id=7)
    with found.device(version) as (client, there):
        there.send(large[:150_000])
        assert is_quiet(client)
        there.send(large[150_000:] + PINGRESP)
        assert there.read() == answer
        if qos == 2:
            there.send(b"\x62\x02\0\x07")
            assert there.read() == (0x70, b"\0\x07")
        assert client.read() == (0xD0, b"")
        there.send(publish_packet(DOWN_THERE, b"y", version=version))
        assert client.read() == body_of(publish_packet(DOWN, b"y", version=version))
        client.send(PINGREQ)
        assert there.read() == (0xC0, b"")
    assert found.counted("upstream_packet") == 1


def test_what_just_fits_crosses(found: Front) -> None:
    fits = publish_packet(ROOM, b"x" * (LIMIT - 11))
    assert len(fits) == LIMIT
    with found.device() as (client, there):
        there.send(fits + publish_packet(ROOM, b"x" * (LIMIT - 10), qos=0) + fits)
        assert client.read() == client.read() == body_of(fits)
    assert found.counted("upstream_packet") == 1


def test_it_is_told_once_and_counted(found: Front, capsys: pytest.CaptureFixture[str]) -> None:
    large = publish_packet(DOWN_THERE, b"x" * 3_000)
    with found.device() as (client, there):
        there.send(large * 3 + PINGRESP)
        assert client.read() == (0xD0, b"")
    assert found.counted("upstream_packet") == 3
    (line,) = LogLines(capsys).awaited("too large")
    for said in (f"bytes={len(large)}", f"topic={DOWN_THERE}", "FIRSTLIGHT_MQTT_UPSTREAM_PACKET_BYTES", "device=dev1"):
        assert said in line


@pytest.mark.parametrize("qos", [1, 2])
def test_a_real_brokers_session_goes_on_without_it(tmp_path: Path, qos: int) -> None:
    with mosquitto_beside(tmp_path) as port, front(port=port, packet_bytes=LIMIT) as found, RawClient(port) as other:
        with found.knock(clean=False) as client:
            assert client.read()[0] == 0x20
            client.send(subscribe_packet((ROOM, qos)))
            assert client.read() == (0x90, b"\0\x01" + bytes((qos,)))
        other.connect(4, client_id="other")
        other.send(publish_packet(ROOM, b"x" * 300_000, qos=1) + publish_packet(ROOM, b"small", qos=1, packet_id=2))
        assert other.read() == (0x40, b"\0\x01")
        assert other.read() == (0x40, b"\0\x02")
        with found.knock(clean=False) as client:
            assert client.read() == (0x20, b"\x01\0")
            assert client.read()[1].endswith(b"small")
            assert found.counted("upstream_packet") == 1
        with found.knock(clean=False) as client:
            assert client.read() == (0x20, b"\x01\0")
            assert client.read()[1].endswith(b"small")  # which was not acknowledged
            assert found.counted("upstream_packet") == 1
