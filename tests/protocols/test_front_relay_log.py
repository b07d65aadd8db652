"""What the log says of the front: who, what for, and no more often than it helps."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.mqtt.front.relay import Relay
from core.errors import Reason, Refusal
from tests.protocols.front_peer import (
    DEVICE,
    EVERY_LOOP,
    GRANTS,
    UP,
    USER,
    Front,
    front,
    unavailable,
    until,
    will_fields,
    with_properties,
)
from tests.protocols.log_lines import LogLines
from tests.protocols.mqtt_peer import packet, publish_packet, subscribe_packet, text

RESPONSE = b"\x08" + text("others/answers")


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> LogLines:
    return LogLines(capsys)


@pytest.mark.parametrize(
    ("data", "action", "topic"),
    [
        (publish_packet("others", b"", version=5), "publish", "others"),
        (publish_packet(UP, b"", version=5, properties=RESPONSE), "'response topic'", "others/answers"),
        (subscribe_packet(("others/#", 0), version=5), "subscribe", "others/#"),
    ],
)
@pytest.mark.parametrize(("username", "field"), [(DEVICE, f"device={DEVICE}"), (USER, f"user={USER}")])
def test_a_refused_topic_is_told_with_what_it_was_for(
    found: Front, log: LogLines, data: bytes, action: str, topic: str, username: str, field: str
) -> None:
    with found.device(5, username=username) as (client, _):
        client.send(data * 2)
        until(lambda: found.counted("topic_refused") == 2)
    (line,) = log.awaited("topic refused, further ones of this connection are only counted")
    for said in (f"action={action}", f"topic={topic}", field):
        assert said in f"{line} "


@pytest.mark.parametrize(
    ("fields", "action", "topic"),
    [
        (will_fields("others", b"", 5), "will", "others"),
        (will_fields(UP, b"", 5, RESPONSE), "'response topic of the will'", "others/answers"),
        (will_fields("others", b"", 5, RESPONSE), "will", "others"),
    ],
)
def test_a_refused_will_is_told_with_what_was_wrong_with_it(
    found: Front, log: LogLines, fields: bytes, action: str, topic: str
) -> None:
    with found.knock(5, will=fields, will_flags=0x04) as client:
        assert client.rest()[3] == 0x87
    (line,) = log.awaited("topic refused")
    assert f"action={action} " in line
    assert line.endswith(f"topic={topic}")


def test_a_topic_that_is_very_long_is_told_in_part(found: Front, log: LogLines) -> None:
    with found.device(5) as (client, _):
        client.send(packet(0x30, text(UP), with_properties(b"\x08" + text("x" * 50_000))))
        (line,) = log.awaited("topic refused")
    assert 1_000 < len(line) < 2_000


def test_why_the_broker_cannot_be_reached_is_told_in_the_systems_words(found: Front, log: LogLines) -> None:
    found.broker.close()
    with found.knock() as client:
        assert client.rest() == unavailable(4)
    (line,) = log.awaited("the broker cannot be reached")
    assert "detail='Connection refused'" in line


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_name_that_nobody_knows_is_told_in_the_resolvers_words(loop: str, log: LogLines) -> None:
    with front(loop, host="nowhere.invalid") as found, found.knock() as client:
        assert client.rest() == unavailable(4)
    (line,) = log.awaited("the broker cannot be reached")
    assert "Unknown error" not in line
    assert "known" in line or "resolution" in line


def test_a_user_that_the_broker_refuses_is_called_one(found: Front, log: LogLines) -> None:
    with found.knock(username=USER) as client, found.broker.accept() as there:
        there.let_in(b"\x20\x02\0\x05")
        assert client.rest() == b"\x20\x02\0\x03"
    (line,) = log.awaited("the broker refused a client")
    assert f"user={USER}" in line


def test_connections_that_the_broker_closes_are_told_in_one_line(found: Front, log: LogLines) -> None:
    with found.device() as (first, there), found.device() as (second, beyond):
        there.close()
        beyond.close()
        assert first.rest() == second.rest() == b""
    (line,) = log.awaited("the broker closed connections")
    assert line.endswith("connections=2")
    with found.device(username=USER) as (third, there):
        there.close()
        assert third.rest() == b""
    assert f"connections=1 user={USER}" in log.awaited("the broker closed connections", 2)[1]


def test_a_connection_that_the_broker_took_its_leave_of_is_no_such(found: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[Any] = []
    monkeypatch.setattr("adapters.mqtt.front.front.Front.lost", lambda _, identity: lost.append(identity))
    with found.device(5) as (client, there):
        there.send(b"\xe0\x01\x8e")
        there.close()
        assert client.rest() == b"\xe0\x01\x8e"
    assert lost == []


def asked_beyond(found: Front, times: int) -> None:
    """Wait until the rights were asked for more often than that."""
    until(lambda: found.rules.asked > times)


@pytest.mark.parametrize(
    ("fault", "said"),
    [(Refusal(Reason.UNAVAILABLE, "away", check="test"), "detail=away"), (RuntimeError("broken"), "device=dev1")],
)
def test_rights_that_cannot_be_looked_up_are_told_once_until_they_can(
    fault: Exception, said: str, log: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.mqtt.front.rights._RETRY_SECONDS", 0.01)
    with front() as found, found.device():
        for outage in (1, 2):
            found.rules.refusal = fault
            before = found.rules.asked
            found.grant(*GRANTS)
            asked_beyond(found, before + 3)
            found.rules.refusal = None
            asked_beyond(found, found.rules.asked)
            found.call(lambda: None)
            lines = log.awaited("could not be looked up", outage)
            assert len(lines) == outage
            assert said in lines[-1]


def test_a_broker_that_is_gone_without_a_word_is_found_out(found: Front) -> None:
    with found.device():
        (relay,) = found.server._shared.open
        assert isinstance(relay, Relay)
        connection = relay._broker._transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        seconds = [
            connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}")) for name in ("IDLE", "INTVL", "CNT")
        ]
        assert seconds[0] + seconds[1] * seconds[2] == 60
