"""A broker that is not there, speaks something else, or does not want a device that proved itself."""

import socket
from collections.abc import Iterator

import pytest

from tests.protocols.front_peer import (
    CONNACK,
    EVERY_LOOP,
    ROOM,
    Front,
    front,
    unavailable,
    until,
    with_properties,
)
from tests.protocols.mqtt_peer import packet, publish_packet, text

SHORT = 0.15
VERSIONS = (3, 4, 5)


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


# Nobody there


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_does_not_listen(found: Front, version: int) -> None:
    found.broker.close()
    for _ in range(2):
        with found.knock(version) as client:
            assert client.rest() == unavailable(version)
    assert found.counted("upstream_unreachable") == 2


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_broker_that_says_nothing(loop: str, version: int) -> None:
    with front(loop, seconds=SHORT) as found, found.knock(version) as client, found.broker.accept() as there:
        assert client.rest() == unavailable(version)
        assert there.read()[0] == 0x10
        assert there.rest() == b""
        assert found.counted("upstream_unreachable") == 1


def test_a_broker_whose_name_is_not_known() -> None:
    with front(host="nowhere.invalid") as found, found.knock() as client:
        assert client.rest() == unavailable(4)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("said", [b"", b"\x20\x02\x00", b"\x20"])
def test_a_broker_that_closes_before_it_answers(found: Front, version: int, said: bytes) -> None:
    with found.knock(version) as client:
        with found.broker.accept() as there:
            there.read()
            there.send(said)
        assert client.rest() == unavailable(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_closes_at_once(found: Front, version: int) -> None:
    with found.knock(version) as client:
        there = found.broker.accept()
        there.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        there.close()
        assert client.rest() == unavailable(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_takes_a_device_and_closes_at_once(found: Front, version: int) -> None:
    with found.knock(version) as client:
        with found.broker.accept() as there:
            there.read()
            there.send(CONNACK[version])
        rest = client.rest()
        assert rest[0] == 0x20
        assert rest[2:4] == b"\0\0"
        assert rest.endswith(b"\xe0\x01\x8b") is (version == 5)


GARBAGE = {
    "an HTTP answer": b"HTTP/1.1 400 Bad Request\r\n" + b"X-Filler: x\r\n" * 9,
    "a message first": publish_packet(ROOM, b"x"),
    "a length of five bytes": b"\x20\xff\xff\xff\xff\x01",
    "a packet that is too large": b"\x20\xff\xff\xff\x7f",
    "a CONNACK that is too short": b"\x20\x01\x00",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_speaks_something_else(found: Front, version: int, garbage: bytes) -> None:
    with found.knock(version) as client, found.broker.accept() as there:
        there.read()
        there.send(garbage)
        assert client.rest() == unavailable(version)
        assert there.rest() == b""
        assert found.counted("upstream_unreachable") == 1


def test_an_outage_is_over_when_somebody_comes_in(found: Front, capsys: pytest.CaptureFixture[str]) -> None:
    for seen in (False, True):
        with found.knock() as client, found.broker.accept() as there:
            there.read()
            there.send(CONNACK[4] if seen else b"\0\0")
            assert client.read()[1] == (b"\0\0" if seen else b"\0\x03")
    told: list[str] = []

    def is_told() -> bool:
        told.append(capsys.readouterr().out)
        return "the broker is back" in "".join(told)

    until(is_told)
    assert "".join(told).count("cannot be reached, devices") == 1


# Not wanted there


@pytest.mark.parametrize(("code", "shown"), [(1, 3), (2, 2), (3, 3), (4, 3), (5, 3)])
@pytest.mark.parametrize("version", [3, 4])
def test_every_refusal_of_the_broker_before_version_5(found: Front, version: int, code: int, shown: int) -> None:
    with found.knock(version) as client, found.broker.accept() as there:
        there.let_in(bytes((0x20, 2, 0, code)))
        assert client.rest() == bytes((0x20, 2, 0, shown))
        assert there.rest() == b""
        assert found.counted("upstream_refused") == 1


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        *((code, 0x88) for code in (0x01, 0x84, 0x86, 0x87, 0x8A, 0x8C, 0x9C, 0x9D)),
        *((code, code) for code in (0x80, 0x81, 0x82, 0x83, 0x85, 0x88, 0x89, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9F)),
    ],
)
def test_every_refusal_of_the_broker_in_version_5(found: Front, code: int, shown: int) -> None:
    with found.knock(5) as client, found.broker.accept() as there:
        there.let_in(packet(0x20, bytes((0, code)), b"" if code == 1 else with_properties(b"\x1f" + text("no"))))
        assert client.rest() == bytes((0x20, 3, 0, shown, 0))
        assert found.counted("upstream_refused") == 1
