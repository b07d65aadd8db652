"""A connection over TLS goes on to the broker as others do, and nothing gets lost on the way."""

from collections.abc import Iterator

import pytest

from tests.protocols.front_peer import (
    DEVICE,
    DISCONNECT,
    EVERY_LOOP,
    HOST,
    ROOM,
    UP,
    UP_THERE,
    Front,
    body_of,
    front,
    until,
)
from tests.protocols.mqtt_peer import RawClient, connect_packet, publish_packet
from tests.tls.tls_parties import Place, place


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A key and a certificate for it."""
    return place(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest, home: Place) -> Iterator[Front]:
    """A front that listens for TLS."""
    with front(request.param, queue_bytes=1_024) as running:
        running.port = running.run(running.server.start(HOST, 0, tls=home.contexts(running.meter)))[1]
        yield running


def encrypted(found: Front, home: Place) -> RawClient:
    """Connect over TLS without saying anything."""
    client = found.client()
    client.socket = home.client().wrap_socket(client.socket, server_hostname=HOST)
    return client


@pytest.mark.parametrize("username", [DEVICE, "wait"])
def test_everything_crosses(found: Front, home: Place, username: str) -> None:
    data = publish_packet(UP, b"x" * 60_000)
    with encrypted(found, home).send(connect_packet(username=username) + data) as client:
        found.rules.release.set()
        with found.broker.accept() as there:
            there.let_in()
            assert client.read() == (0x20, b"\0\0")
            for _ in range(2):
                assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 60_000))
                client.send(data)
            assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 60_000))
            there.send(publish_packet(ROOM, b"y" * 60_000))
            assert client.read() == body_of(publish_packet(ROOM, b"y" * 60_000))
            client.send(DISCONNECT)
            assert there.rest() == DISCONNECT
            assert client.rest() == b""


def test_who_goes_while_its_login_runs_goes_nowhere(found: Front, home: Place) -> None:
    with encrypted(found, home) as client:
        client.send(connect_packet(username="wait"))
        until(lambda: len(found.server._shared.open) == 1)
        (connection,) = found.server._shared.open
    until(lambda: connection.lost)
    found.rules.release.set()
    until(found.is_empty)
    assert found.rules.asked == 0


def test_who_is_suddenly_gone_is_noticed(found: Front, home: Place) -> None:
    with encrypted(found, home).send(connect_packet(username=DEVICE)) as client, found.broker.accept() as there:
        there.let_in()
        assert client.read() == (0x20, b"\0\0")
        client.close()
        assert there.rest() == b""
