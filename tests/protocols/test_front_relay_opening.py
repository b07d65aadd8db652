"""A device on its way to the broker: how it is let in, and everything that can keep it out."""

import socket
from collections.abc import Iterator

import pytest

from adapters.mqtt.front.config import ClientIds
from adapters.mqtt.packets import Connect
from adapters.mqtt.wire import Decoder
from core.errors import Reason, Refusal
from core.topic_spaces import Grant, Grants
from tests.protocols.front_peer import (
    BOTH,
    CONNACK,
    DEVICE,
    DEVICE_ID,
    EVERY_LOOP,
    GRANTS,
    OUTSIDER,
    PINGREQ,
    PINGRESP,
    ROOM,
    UP,
    UP_THERE,
    USER,
    BrokerSide,
    Front,
    body_of,
    front,
    unavailable,
    until,
    will_fields,
    with_properties,
)
from tests.protocols.mqtt_peer import connect_packet, packet, publish_packet, text

SHORT = 0.15
VERSIONS = (3, 4, 5)


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


def introduced(there: BrokerSide) -> Connect:
    """Read CONNECT as a broker does."""
    first, body = there.read()
    connect = next(Decoder(100_000).feed(packet(first, body)))
    assert isinstance(connect, Connect)
    return connect


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("present", [0, 1])
def test_a_device_comes_in(found: Front, version: int, clean: bool, present: int) -> None:
    with found.knock(version, clean=clean, keep_alive=7, password=b"secret") as client, found.broker.accept() as there:
        connect = introduced(there)
        assert (connect.version, connect.clean, connect.keep_alive) == (version, clean, 7)
        assert (connect.client_id, connect.username, connect.password) == (DEVICE_ID, DEVICE_ID, None)
        there.send(bytes((0x20, 3, present, 0, 0)) if version == 5 else bytes((0x20, 2, present, 0)))
        assert client.read()[1][:2] == bytes((present, 0))
        client.send(PINGREQ)
        assert there.read() == (0xC0, b"")
        there.send(PINGRESP)
        assert client.read() == (0xD0, b"")
        assert found.meter.levels["mqtt.upstream"] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_device_sends_at_once_follows_when_it_is_in(found: Front, version: int) -> None:
    early = connect_packet(version, username=DEVICE) + publish_packet(UP, b"early", version=version) + PINGREQ
    with found.client().send(early) as client, found.broker.accept() as there:
        there.read()
        assert there.is_quiet()
        there.send(CONNACK[version] + publish_packet(ROOM, b"early too", version=version))
        assert there.read() == body_of(publish_packet(UP_THERE, b"early", version=version))
        assert there.read() == (0xC0, b"")
        assert client.read()[0] == 0x20
        assert client.read() == body_of(publish_packet(ROOM, b"early too", version=version))


def test_who_sends_more_than_can_wait_is_not_read_until_it_is_in() -> None:
    with front(queue_bytes=1_024) as found, found.knock() as client, found.broker.accept() as there:
        client.send(publish_packet(UP, b"x" * 60_000) * 2)
        there.let_in()
        assert client.read() == (0x20, b"\0\0")
        for _ in range(2):
            assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 60_000))


def test_who_sends_much_while_its_login_runs_is_read_again() -> None:
    with front(queue_bytes=1_024) as found:
        found.rules.release.clear()
        with found.client().send(connect_packet(username="wait")) as client:
            until(lambda: found.rules.logins == [] and len(found.server._shared.open) == 1)
            client.send(publish_packet(UP, b"x" * 60_000))
            found.call(lambda: None)
            found.rules.release.set()
            with found.broker.accept() as there:
                there.let_in()
                assert client.read() == (0x20, b"\0\0")
                assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 60_000))
                client.send(PINGREQ)
                assert there.read() == (0xC0, b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_one_user_and_password_for_all(version: int) -> None:
    with front(username="front", password="geheim") as found:  # noqa: SIM117 - the second needs the first
        with found.knock(version), found.broker.accept() as there:
            connect = introduced(there)
            assert (connect.username, connect.password, connect.client_id) == ("front", b"geheim", DEVICE_ID)


@pytest.mark.parametrize(
    ("mode", "username", "seen"),
    [
        (ClientIds.DEVICE, DEVICE, DEVICE_ID),
        (ClientIds.JOINED, DEVICE, f"{DEVICE_ID}:c"),
        (ClientIds.CLIENT, DEVICE, "c"),
        (ClientIds.DEVICE, USER, f"{DEVICE_ID}:c"),
    ],
)
def test_client_ids(mode: ClientIds, username: str, seen: str) -> None:
    with front(client_ids=mode) as found, found.knock(username=username), found.broker.accept() as there:
        assert introduced(there).client_id == seen


def test_clients_that_share_a_client_id_do_not_meet() -> None:
    with front(client_ids=ClientIds.JOINED) as found, found.device() as (one, there), found.device() as (other, beyond):
        for client, broker, payload in ((one, there, b"1"), (other, beyond, b"2")):
            client.send(publish_packet(UP, payload))
            assert broker.read() == body_of(publish_packet(UP_THERE, payload))


@pytest.mark.parametrize("mode", ClientIds)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_without_a_client_id_is_told_its_own(mode: ClientIds, version: int) -> None:
    with front(client_ids=mode) as found, found.knock(version, client_id="") as client, found.broker.accept() as there:
        assert introduced(there).client_id == DEVICE_ID
        there.send(CONNACK[version])
        assert (b"\x12" + text(DEVICE_ID) in client.read()[1]) is (version == 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_id_that_is_too_long_beside_the_devices(version: int) -> None:
    told = packet(0x20, b"\0\x85", with_properties(b"\x1f" + text("the client identifier is too long")))
    with front(client_ids=ClientIds.JOINED) as found, found.knock(version, client_id="c" * 65_535) as client:
        assert client.rest() == (told if version == 5 else b"\x20\x02\0\x02")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_will_comes_along(found: Front, version: int) -> None:
    properties = b"\x18\0\0\0\x05" + b"\x08" + text("me/down/1")
    will = will_fields(f"{UP}/last", b"gone", version, properties)
    with found.knock(version, will=will, will_flags=0x2C), found.broker.accept() as there:
        seen = introduced(there).will
        assert seen is not None
        assert (seen.topic, seen.payload, seen.qos, seen.retain) == (f"{UP_THERE}/last", b"gone", 1, True)
        expected = b"\x18\0\0\0\x05" + b"\x08" + text(f"at/{DEVICE_ID}/down/1")
        assert seen.raw_properties == (expected if version == 5 else b"")


@pytest.mark.parametrize(
    ("version", "fields", "code"),
    [
        (4, will_fields("others", b""), 0x05),
        (5, will_fields("others", b"", 5), 0x87),
        (5, will_fields(UP, b"", 5, b"\x08" + text("others")), 0x87),
    ],
)
def test_a_will_for_another_keeps_its_device_out(found: Front, version: int, fields: bytes, code: int) -> None:
    with found.knock(version, will=fields, will_flags=0x04) as client:
        assert client.rest()[2:4] == bytes((0, code))
    assert found.counted("topic_refused") == 1


def test_who_proved_an_external_key_alone_stays_here(found: Front) -> None:
    with found.knock(username=OUTSIDER) as client:
        assert client.read() == (0x20, b"\0\0")
        client.ping()
    assert found.meter.levels.get("mqtt.upstream", 0) == 0


# Gone, or not welcome any more, in between


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_device_that_is_gone_before_the_broker_answered(loop: str) -> None:
    with front(loop) as found, found.knock() as client, found.broker.accept() as there:
        there.read()
        client.close()
        there.send(CONNACK[4])
        assert there.rest() == b""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_that_is_revoked_before_the_broker_answered(found: Front, version: int) -> None:
    with found.knock(version) as client, found.broker.accept() as there:
        there.read()
        found.call(found.rules.attended.tell)
        assert client.rest()[2:4] == (b"\0\x86" if version == 5 else b"\0\x05")
        assert there.rest() == b""


def test_a_device_that_is_revoked_before_the_broker_was_asked(found: Front) -> None:
    found.rules.waits = True
    with found.knock() as client:
        until(lambda: found.rules.asked)
        found.call(found.rules.attended.tell)
        assert client.rest() == b"\x20\x02\0\x05"


@pytest.mark.parametrize("version", [4, 5])
def test_a_registry_that_does_not_answer_about_rights(found: Front, version: int) -> None:
    found.rules.refusal = Refusal(Reason.UNAVAILABLE, "the registry is away", check="test")
    with found.knock(version) as client:
        assert client.rest()[3] == (0x88 if version == 5 else 3)


def test_a_registry_that_takes_too_long() -> None:
    with front(seconds=SHORT) as found:
        found.rules.waits = True
        with found.knock() as client:
            assert client.rest() == unavailable(4)


def test_a_fault_of_ours_ends_the_connection_and_leaves_nothing(found: Front, capsys: pytest.CaptureFixture[str]) -> None:
    found.rules.refusal = RuntimeError("an exchange that breaks its promise")
    with found.knock() as client:
        assert client.rest() == b""
    until(found.is_empty)
    assert "connection to the broker failed" in capsys.readouterr().out


def test_rights_that_change_while_they_are_asked_about_are_asked_about_again(found: Front) -> None:
    found.rules.waits = True
    with found.knock() as client:
        until(lambda: found.rules.asked)
        found.rules.rights = Grants((*GRANTS, Grant("new", "new", BOTH)), (DEVICE_ID, "channel"))
        found.call(found.rules.watchers.tell)
        found.rules.release.set()
        with found.broker.accept() as there:
            there.let_in()
            client.read()
            client.send(publish_packet("new", b"x"))
            assert there.read() == body_of(publish_packet("new", b"x"))
            assert [key for key, _ in found.rules.watchers.there.values()] == [f"{DEVICE_ID}\nchannel"]
            assert found.rules.asked == 3


def test_shutting_down_while_the_broker_is_asked(found: Front) -> None:
    with found.knock(5) as client, found.broker.accept() as there:
        there.read()
        found.call(lambda: [open_.shut_down() for open_ in tuple(found.server._shared.open)])
        there.send(CONNACK[5])
        assert client.rest().endswith(b"\xe0\x01\x8b")


def test_cutting_off_while_the_broker_is_asked(found: Front) -> None:
    with found.knock(5) as client, found.broker.accept() as there:
        there.read()
        found.call(lambda: [open_.cut_off() for open_ in tuple(found.server._shared.open)])
        assert client.rest() == b""
        assert there.rest() == b""


def test_cutting_off_while_rights_are_asked_about(found: Front) -> None:
    found.rules.waits = True
    with found.knock(5) as client:
        until(lambda: found.rules.asked)
        found.call(lambda: [open_.cut_off() for open_ in tuple(found.server._shared.open)])
        assert client.rest() == b""


def test_a_device_without_a_keep_alive_is_looked_at_by_the_kernel(found: Front) -> None:
    with found.device(keep_alive=0), found.device(keep_alive=60):
        relays = tuple(found.server._shared.open)
        kept = [
            relay._transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for relay in relays
        ]
        assert sorted(kept) == [0, 1]
