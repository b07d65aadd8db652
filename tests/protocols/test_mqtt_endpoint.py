"""What a connection may do and what it gets, packet by packet, on both event loops."""

import threading
import time
from collections.abc import Iterator

import pytest

from adapters.mqtt.session import Session
from core.errors import Reason
from tests.protocols.mqtt_peer import (
    EVERY_LOOP,
    GUEST_LOGIN,
    HOST,
    PATIENCE_SECONDS,
    REQUEST,
    RESPONSE,
    Gateway,
    connect_packet,
    gateway,
    packet,
    publish_packet,
    subscribe_packet,
    text,
)

VERSIONS = (3, 4, 5)


@pytest.fixture(scope="module", params=EVERY_LOOP)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(request.param) as found:
        yield found
    assert found.unexpected == []


def answer_packet(body: bytes, version: int = 4, packet_id: int = 1, topic: str = RESPONSE) -> tuple[int, bytes]:
    properties = b"\0" if version == 5 else b""
    if not packet_id:
        return 0x30, text(topic) + properties + body
    return 0x32, text(topic) + packet_id.to_bytes(2, "big") + properties + body


# CONNECT


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("who", [{"username": GUEST_LOGIN}, {"client_id": GUEST_LOGIN}])
def test_a_guest_is_let_in_by_user_name_or_client_id(running: Gateway, version: int, who: dict[str, str]) -> None:
    before = len(running.rules.logins)
    with running.client().connect(version, **who) as client:
        client.ping()
    assert len(running.rules.logins) == before


def test_a_guests_password_is_not_looked_at(running: Gateway) -> None:
    with running.guest(password=b"\xff\xfe") as client:
        client.ping()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_is_asked_about(running: Gateway, version: int) -> None:
    with running.client().connect(version, username="dev1", password=b"pw", client_id="c1") as client:
        client.ping()
    login = running.rules.logins[-1]
    assert (login.client_id, login.username, login.password.reveal()) == ("c1", "dev1", "pw")


@pytest.mark.parametrize(
    ("fields", "classic", "modern"),
    [
        ({"username": "stranger"}, 5, 0x86),
        ({"client_id": "stranger"}, 2, 0x85),
        ({"username": "dev1", "password": b"\xff"}, 5, 0x86),
        ({"username": Reason.UNAVAILABLE.value}, 3, 0x88),
        ({"username": Reason.TOO_MANY.value}, 3, 0x9F),
        ({"username": Reason.FORBIDDEN.value}, 5, 0x87),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_login_is_told_why_and_closed(
    running: Gateway, version: int, fields: dict[str, str], classic: int, modern: int
) -> None:
    with running.client() as client:
        client.send(connect_packet(version, **fields))  # type: ignore[arg-type] # the table holds two types
        first, body = client.read()
        assert (first, body[:2]) == (0x20, bytes((0, modern if version == 5 else classic)))
        assert client.rest() == b""


def test_the_refusals_detail_is_left_out_where_it_does_not_fit(running: Gateway) -> None:
    with running.client() as client:
        client.send(connect_packet(5, username="stranger"))
        assert client.read() == (0x20, b"\0\x86\x0e\x1f" + text("who is this"))
    with running.client() as client:
        client.send(connect_packet(5, username="stranger", properties=b"\x27\0\0\0\x10"))
        assert client.read() == (0x20, b"\0\x86\0")


def test_version_5_is_told_what_there_is_and_is_not(running: Gateway) -> None:
    with running.client() as client:
        client.send(connect_packet(5, username=GUEST_LOGIN, client_id="c"))
        body = client.read()[1]
    announced = b"\x11\0\0\0\0\x21\0\x10\x24\x01\x25\0\x27\0\x02\x10\0\x22\0\0\x29\0\x2a\0"
    assert body == bytes((0, 0, len(announced))) + announced


def test_version_5_is_given_a_client_identifier_and_a_keep_alive_when_it_has_none(running: Gateway) -> None:
    seen = set()
    for _ in range(2):
        with running.client() as client:
            client.send(connect_packet(5, username=GUEST_LOGIN, keep_alive=0))
            body = client.read()[1]
        assert b"\x13" + (2400).to_bytes(2, "big") + b"\x12\x00\x14" in body
        seen.add(body[-20:])
    assert len(seen) == 2


@pytest.mark.parametrize("version", [3, 4])
def test_an_empty_client_identifier_needs_a_clean_session_before_version_5(running: Gateway, version: int) -> None:
    with running.client() as client:
        client.send(connect_packet(version, username=GUEST_LOGIN, clean=False))
        assert client.read() == (0x20, b"\0\x02")
        assert client.rest() == b""


def test_an_unknown_version_is_told_in_the_form_everybody_knows(running: Gateway) -> None:
    with running.client() as client:
        client.send(packet(0x10, text("MQTT"), b"\x07\x02\0\0\0\0"))
        assert client.read() == (0x20, b"\0\x01")
        assert client.rest() == b""


def test_version_5_is_told_that_there_is_one_way_to_log_in(running: Gateway) -> None:
    with running.client() as client:
        client.send(connect_packet(5, username="dev1", properties=b"\x15" + text("SCRAM-SHA-1")))
        assert client.read() == (0x20, b"\0\x8c\0")
        assert client.rest() == b""


def test_a_will_is_read_and_goes_nowhere(running: Gateway) -> None:
    handled = len(running.rules.handled)
    client = running.guest(will=text(REQUEST) + text("gone"), will_flags=0x2C)
    client.close()
    with running.guest() as other:
        other.ping()
    assert len(running.rules.handled) == handled


# PUBLISH and its answer


@pytest.mark.parametrize("version", VERSIONS)
def test_the_acknowledgement_comes_before_the_answer(running: Gateway, version: int) -> None:
    with running.guest(version) as client:
        client.send(subscribe_packet((RESPONSE, 1), version=version))
        client.send(publish_packet(REQUEST, b"me", version=version, qos=1, packet_id=9))
        assert client.read()[0] == 0x90
        assert client.read() == (0x40, b"\0\x09")
        assert client.read() == answer_packet(b"for me", version)
        client.ping()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("asked", "packet_id"), [(0, 0), (1, 1), (2, 1)])
def test_the_answer_has_the_qos_that_was_granted(running: Gateway, version: int, asked: int, packet_id: int) -> None:
    with running.guest(version) as client:
        client.send(subscribe_packet((RESPONSE, asked), version=version))
        client.send(publish_packet(REQUEST, b"me", version=version))
        assert client.read()[1][-1] == min(asked, 1)
        assert client.read() == answer_packet(b"for me", version, packet_id)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_subscription_the_answer_comes_at_qos_1(running: Gateway, version: int) -> None:
    with running.guest(version) as client:
        client.send(publish_packet(REQUEST, b"me", version=version))
        assert client.read() == answer_packet(b"for me", version)


def test_a_wildcard_subscription_decides_the_qos_too(running: Gateway) -> None:
    with running.device() as client:
        client.send(subscribe_packet(("own/answer/+", 0)))
        client.send(publish_packet("own/question", b"q"))
        assert client.read()[0] == 0x90
        assert client.read() == answer_packet(b"for q", 4, 0, "own/answer/7")


def test_version_5_gets_its_correlation_data_back_and_the_content_type(running: Gateway) -> None:
    with running.device(5) as client:
        client.send(publish_packet("own/question", b"q", version=5, properties=b"\x09" + text(b"\xff\x00")))
        properties = b"\x03" + text("text/plain") + b"\x09" + text(b"\xff\x00")
        assert client.read() == (0x32, text("own/answer/7") + b"\0\x01" + bytes((len(properties),)) + properties + b"for q")


def test_what_the_exchange_is_told(running: Gateway) -> None:
    properties = (
        b"\x03"
        + text("application/json")
        + b"".join(
            b"\x26" + text(name) + text(value) for name, value in (("Authorization", "Thing k"), ("authorization", "later"))
        )
    )
    with running.device(5) as client:
        client.send(publish_packet("own/question", b"1", version=5, properties=properties))
        client.send(publish_packet("own/report", b"2", version=5))
        client.read()
        client.ping()
    first, second = running.rules.handled[-2:]
    assert (first.carrier.value, first.method, first.path, first.body) == ("mqtt", "PUBLISH", "own/question", b"1")
    assert (first.version, first.guest, first.form, first.content_type) == (5, "", "", "application/json")
    assert first.identity is not None
    assert first.identity.device_name == "dev1"
    assert first.peer.address == HOST
    assert first.headers == {"authorization": "Thing k"}
    assert (second.form, second.content_type, second.headers) == ("plain", None, {})


def test_a_guest_is_named_to_the_exchange(running: Gateway) -> None:
    with running.guest(3) as client:
        client.send(publish_packet(REQUEST, b"1"))
        client.read()
    inbound = running.rules.handled[-1]
    assert (inbound.guest, inbound.identity, inbound.version) == ("join", None, 3)


def test_requests_of_one_connection_are_answered_in_order(running: Gateway) -> None:
    with running.guest() as client:
        client.send(b"".join(publish_packet(REQUEST, b"%d" % n, qos=1, packet_id=n + 1) for n in range(200)))
        for n in range(200):
            assert client.read() == (0x40, (n + 1).to_bytes(2, "big"))
            assert client.read() == answer_packet(b"for %d" % n, packet_id=n + 1)


@pytest.mark.parametrize("closing", ["no", "unless_told", "yes"])
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_refusal_closes_where_the_answer_says_so(running: Gateway, version: int, qos: int, closing: str) -> None:
    told = version == 5 and qos == 1
    with running.device(version) as client:
        client.send(publish_packet(f"refuse/malformed/{closing}", b"", version=version, qos=qos))
        if qos:
            assert client.read() == (0x40, b"\0\x01\x99" if version == 5 else b"\0\x01")
        if closing == "no" or (closing == "unless_told" and told):
            client.ping()
        else:
            assert client.rest() == (b"\xe0\x01\x99" if version == 5 else b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_guest_that_publishes_elsewhere_is_shown_out(running: Gateway, version: int) -> None:
    with running.guest(version) as client:
        client.send(publish_packet("own/elsewhere", b"", version=version, qos=1))
        assert client.read() == (0x40, b"\0\x01\x90" if version == 5 else b"\0\x01")
        assert client.rest() == (b"\xe0\x01\x90" if version == 5 else b"")


def test_a_device_that_publishes_elsewhere_stays(running: Gateway) -> None:
    with running.device() as client:
        client.send(publish_packet("$SYS/uptime", b"", qos=1))
        assert client.read() == (0x40, b"\0\x01")
        client.ping()


def test_an_answer_larger_than_the_client_takes_is_not_sent() -> None:
    with gateway() as found, found.guest(5, properties=b"\x27\0\0\0\x40") as client:
        client.send(publish_packet(REQUEST, b"x" * 64, version=5, qos=1))
        client.send(publish_packet(REQUEST, b"x", version=5))
        assert client.read() == (0x40, b"\0\x01")
        assert client.read()[1].endswith(b"for x")
        assert found.meter.bounds == ["mqtt.client_packet_bytes"]


def test_beyond_its_receive_maximum_a_client_is_answered_at_qos_0(running: Gateway) -> None:
    with running.guest(5, properties=b"\x21\x00\x02") as client:
        firsts = []
        for n in range(4):
            client.send(publish_packet(REQUEST, b"%d" % n, version=5))
            firsts.append(client.read()[0])
        assert firsts == [0x32, 0x32, 0x30, 0x30]
        client.send(b"\x40\x02\x00\x01")
        client.send(publish_packet(REQUEST, b"", version=5))
        assert client.read()[0] == 0x32


# QoS 2


@pytest.mark.parametrize("version", [3, 4])
def test_qos_2_is_received_once_before_version_5(running: Gateway, version: int) -> None:
    with running.guest(version) as client:
        before = len(running.rules.handled)
        data = publish_packet(REQUEST, b"two", qos=2, packet_id=5)
        client.send(data)
        assert client.read() == (0x50, b"\0\x05")
        assert client.read() == answer_packet(b"for two", version)
        client.send(data)
        assert client.read() == (0x50, b"\0\x05")
        client.send(b"\x62\x02\x00\x05")
        assert client.read() == (0x70, b"\0\x05")
        assert len(running.rules.handled) == before + 1
        client.send(data)  # the identifier is free again
        assert client.read() == (0x50, b"\0\x05")
        assert client.read() == answer_packet(b"for two", version, 2)
        client.send(b"\x62\x02\x00\x63")
        assert client.read() == (0x70, b"\0\x63")


def test_a_qos_1_message_may_have_the_identifier_of_a_qos_2_message(running: Gateway) -> None:
    with running.device() as client:
        client.send(publish_packet("own/report", b"", qos=2) + publish_packet("own/report", b"", qos=1))
        assert [client.read()[0], client.read()[0]] == [0x50, 0x40]


def test_only_so_many_qos_2_messages_are_remembered() -> None:
    with gateway() as found, found.guest() as client:
        for packet_id in range(1, 18):
            client.send(publish_packet(REQUEST, b"", qos=2, packet_id=packet_id))
        assert client.rest().count(b"\x50\x02") == 16
        assert found.meter.bounds == ["mqtt.receive_maximum"]
        assert len(found.rules.handled) == 16


@pytest.mark.parametrize(("qos", "flags", "code"), [(2, 0, b"\x9b"), (0, 1, b"\x9a")])
def test_version_5_that_ignores_what_was_announced_is_closed(running: Gateway, qos: int, flags: int, code: bytes) -> None:
    with running.guest(5) as client:
        client.send(publish_packet(REQUEST, b"", version=5, qos=qos, flags=flags))
        assert client.rest() == b"\xe0\x01" + code


def test_a_release_that_nothing_waits_for_is_told_so_in_version_5(running: Gateway) -> None:
    with running.guest(5) as client:
        client.send(b"\x62\x02\x00\x05")
        assert client.read() == (0x70, b"\0\x05\x92")


@pytest.mark.parametrize("data", [b"\x50\x02\x00\x01", b"\x70\x02\x00\x01"])
def test_answers_to_qos_2_that_was_never_sent_close(running: Gateway, data: bytes) -> None:
    with running.guest(5) as client:
        assert client.send(data).rest() == b"\xe0\x01\x82"


# SUBSCRIBE and the rest


@pytest.mark.parametrize(
    "topic_filter", ["#", "/#", "/+/response", "/join/#", "+/+/+", "own/news", REQUEST, "$share/g/" + RESPONSE]
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_guest_subscribes_to_its_own_filter_only(running: Gateway, version: int, topic_filter: str) -> None:
    with running.guest(version) as client:
        client.send(subscribe_packet((topic_filter, 1), (RESPONSE, 2), version=version))
        refused = b"\x8f" if version == 5 else b"\x80"
        assert client.read() == (0x90, b"\0\x01" + (b"\0" if version == 5 else b"") + refused + b"\x01")
        client.ping()


def test_a_device_subscribes_to_what_the_exchange_allows(running: Gateway) -> None:
    with running.device() as client:
        client.send(subscribe_packet(("own/news", 0), ("own/answer/7", 2), ("own/#", 1), (RESPONSE, 1)))
        assert client.read() == (0x90, b"\0\x01\x00\x01\x80\x80")
        client.ping()


@pytest.mark.parametrize("version", [4, 5])
def test_only_so_many_subscriptions_are_kept(version: int) -> None:
    with gateway(subscriptions=32) as found, found.device(version) as client:
        client.send(subscribe_packet(*[(f"many/{n}", 1) for n in range(33)], version=version))
        refused = 0x97 if version == 5 else 0x80
        assert client.read()[1][-33:] == bytes([1] * 32 + [refused])
        client.send(subscribe_packet(("many/0", 0), ("many/x", 0), version=version))  # an old one may be renewed
        assert client.read()[1][-2:] == bytes([0, refused])
        assert found.meter.bounds == ["mqtt.subscriptions"] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_unsubscribing_is_answered_whatever_was_subscribed(running: Gateway, version: int) -> None:
    with running.guest(version) as client:
        client.send(subscribe_packet((RESPONSE, 0), version=version))
        client.read()
        client.send(packet(0xA2, b"\0\x07", b"\0" if version == 5 else b"", text(RESPONSE), text("never")))
        assert client.read() == (0xB0, b"\0\x07" + (b"\0\x00\x11" if version == 5 else b""))
        client.send(publish_packet(REQUEST, b"me", version=version))
        assert client.read()[0] == 0x32


def test_disconnect_closes(running: Gateway) -> None:
    with running.guest() as client:
        assert client.send(b"\xe0\x00" + b"\xc0\x00").rest() == b""


# Between connections


def test_two_connections_with_one_client_id_get_their_own_answers(running: Gateway) -> None:
    with running.guest(client_id=GUEST_LOGIN) as one, running.guest(client_id=GUEST_LOGIN) as two:
        for client in (one, two):
            client.send(subscribe_packet((RESPONSE, 0)))
            client.read()
        one.send(publish_packet(REQUEST, b"one"))
        two.send(publish_packet(REQUEST, b"two"))
        assert one.read() == answer_packet(b"for one", packet_id=0)
        assert two.read() == answer_packet(b"for two", packet_id=0)
        one.ping()
        two.ping()


def test_who_listens_hears_nothing_of_others(running: Gateway) -> None:
    with running.guest() as spy, running.device() as other, running.guest() as client:
        spy.send(subscribe_packet((RESPONSE, 1), ("#", 1))).read()
        other.send(subscribe_packet(("many/#", 1), ("own/answer/+", 1))).read()
        client.send(publish_packet(REQUEST, b"me")).read()
        client.ping()
        spy.ping()
        other.ping()


def test_a_refused_connect_with_anothers_client_id_changes_nothing(running: Gateway) -> None:
    with running.device(client_id="c1") as client, running.client() as other:
        other.send(connect_packet(4, client_id="c1", username="stranger")).rest()
        client.ping()


# Order, back-pressure and the end


def test_packets_wait_while_a_request_runs(running: Gateway) -> None:
    running.rules.release.clear()
    with running.guest() as client:
        client.send(publish_packet(REQUEST, b"wait", qos=1) + subscribe_packet((RESPONSE, 0)) + b"\xc0\x00")
        running.rules.release.set()
        assert [client.read()[0] for _ in range(4)] == [0x40, 0x32, 0x90, 0xD0]


def test_connect_request_and_goodbye_may_come_in_one_piece(running: Gateway) -> None:
    with running.client() as client:
        client.send(connect_packet(4, username="dev1") + publish_packet("own/report", b"all at once", qos=1) + b"\xe0\x00")
        assert client.rest() == b"\x20\x02\0\0" + b"\x40\x02\0\x01"


def test_what_was_received_is_handled_although_the_client_hung_up() -> None:
    with gateway() as found:
        client = found.device()
        client.send(b"".join(publish_packet("own/report", body) for body in (b"wait", b"2", b"3")))
        while not found.rules.handled:
            time.sleep(0.01)
        client.close()
        with found.device() as other:
            other.ping()
        found.rules.release.set()
        while len(found.rules.finished) < 3:
            time.sleep(0.01)
        assert [inbound.body for inbound in found.rules.finished] == [b"wait", b"2", b"3"]


def test_an_exchange_that_breaks_its_promise_costs_one_connection() -> None:
    with gateway() as found:
        with found.guest() as client:
            assert client.send(publish_packet(REQUEST, b"break", qos=1)).rest() == b""
        with found.guest() as other:
            other.ping()
        assert [type(context["exception"]) for context in found.unexpected] == [RuntimeError]


def test_many_packets_in_one_piece_leave_others_their_turn(running: Gateway) -> None:
    with running.guest() as flood, running.guest() as other:
        flood.send(b"\xc0\x00" * 20_000)
        other.ping()
        received = b""
        while len(received) < 40_000:
            received += flood.take(1_000)
        assert received == b"\xd0\x00" * 20_000


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_closing_lets_requests_finish_and_says_goodbye(loop: str) -> None:
    with gateway(loop) as found:
        idle, old, busy = found.guest(5), found.guest(4), found.guest(5)
        busy.send(publish_packet(REQUEST, b"wait", version=5, qos=1) + publish_packet(REQUEST, b"next", version=5, qos=1))
        while not found.rules.handled:
            time.sleep(0.01)
        closing = threading.Thread(target=found.run, args=(found.server.close(PATIENCE_SECONDS),))
        closing.start()
        assert idle.rest() == b"\xe0\x01\x8b"
        assert old.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            found.client()
        found.rules.release.set()
        assert busy.read() == (0x40, b"\0\x01")
        assert busy.read() == answer_packet(b"for wait", 5)
        assert busy.rest() == b"\xe0\x01\x8b"
        closing.join(PATIENCE_SECONDS)
        assert [inbound.body for inbound in found.rules.finished] == [b"wait"]
        assert found.meter.levels == {"mqtt.connections": 0}
        for client in (idle, old, busy):
            client.close()


@pytest.mark.parametrize("loop", EVERY_LOOP)
@pytest.mark.parametrize("held", ["login", "request"])
def test_closing_waits_no_longer_than_its_deadline(loop: str, held: str) -> None:
    with gateway(loop) as found:
        client = found.client()
        if held == "login":
            client.send(connect_packet(4, username="wait"))
            while not found.rules.logins:
                time.sleep(0.01)
        else:
            client.connect(username=GUEST_LOGIN).send(publish_packet(REQUEST, b"wait", qos=1))
            while not found.rules.handled:
                time.sleep(0.01)
        found.run(found.server.close(0.05))
        assert client.rest() == b""
        assert found.meter.levels == {"mqtt.connections": 0}
        client.close()


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_several_addresses_are_served_at_once_and_an_address_in_use_is_an_error(loop: str) -> None:
    with gateway(loop) as found:
        second = found.run(found.server.start(HOST, 0))[1]
        assert second != found.port
        with pytest.raises(OSError, match="in use"):
            found.run(found.server.start(HOST, second))
        found.call(found.server.stop_accepting)
        with pytest.raises(ConnectionRefusedError):
            found.client()


def test_packet_identifiers_begin_again_after_the_last() -> None:
    from adapters.exchange import Outbound, Peer, Success
    from adapters.mqtt.packets import Publish
    from adapters.mqtt.wire import Decoder

    connect = next(Decoder(1000).feed(connect_packet(4)))
    session = Session(connect, Peer(HOST))  # type: ignore[arg-type] # the first packet is a CONNECT
    request = next(iter([Publish("a", b"", 0, False, False, 0, connect.properties)]))  # type: ignore[union-attr] # as above
    out = Outbound(outcome=Success.OK, topic="a")
    seen = []
    for _ in range(65_536):
        seen.append(session.answer(request, out).data[5:7])
        session.acknowledged()
    assert seen[0] == seen[65_535] == b"\0\x01"
    assert seen[65_534] == b"\xff\xff"
