"""What changes is pushed into connections that asked for it and still listen, packet by packet, on both event loops."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.exchange import Carrier, Inbound, Outbound, Peer
from core.errors import Reason
from tests.protocols.mqtt_documents import KEY, VISITOR, Documents, answered, asked
from tests.protocols.mqtt_peer import (
    EVERY_LOOP,
    PATIENCE_SECONDS,
    Gateway,
    RawClient,
    gateway,
    packet,
    publish_packet,
    subscribe_packet,
    text,
)

SHORT = 0.2
VERSIONS = (3, 4, 5)


@pytest.fixture(autouse=True)
def no_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep evaluations that only time brings about out of what is counted here."""
    monkeypatch.setattr("adapters.mqtt.pushing._FIRST_LOOK_SECONDS", 1_000.0)


@pytest.fixture(params=EVERY_LOOP)
def documents(request: pytest.FixtureRequest) -> Iterator["Library"]:
    with library(request.param) as found:
        yield found
    assert found.running.unexpected == []
    assert found.rules.watchers == {}


class library:  # noqa: N801 - reads as the `gateway` it wraps
    def __init__(self, loop: str = "asyncio", *, linger_seconds: float | None = None, **bounds: Any) -> None:
        self._rules = Documents(linger_seconds)
        self._gateway = gateway(loop, rules=self._rules, **bounds)

    def __enter__(self) -> "Library":
        return Library(self._gateway.__enter__(), self._rules)

    def __exit__(self, *error: Any) -> None:
        self._gateway.__exit__(*error)


class Library:
    """A running server with documents."""

    def __init__(self, running: Gateway, rules: Documents) -> None:
        self.running = running
        self.rules = rules

    def visitor(self, version: int = 4, **fields: Any) -> RawClient:
        return self.running.client().connect(version, username=VISITOR, **fields)

    def reader(self, name: str = "a", version: int = 4, *, qos: int = 1, body: bytes = KEY, **fields: Any) -> RawClient:
        """Connect as a visitor who listens, asked, and was answered."""
        client = self.visitor(version, **fields)
        client.send(subscribe_packet((answered(name), qos), version=version)).read()
        return self.ask(client, name, version, body=body)

    def ask(self, client: RawClient, name: str = "a", version: int = 4, *, body: bytes = KEY) -> RawClient:
        client.send(publish_packet(asked(name), body, version=version, properties=b"\x09\x00\x01x" if version == 5 else b""))
        assert client.read()[1].endswith(self.rules.texts[name])
        return client

    def change(self, name: str, new: bytes) -> None:
        self.running.call(lambda: self.rules.change(name, new))

    def tell(self, name: str) -> None:
        self.running.call(lambda: self.rules.tell(name))

    def evaluations(self, name: str = "a") -> list[tuple[str, ...]]:
        """Return what was held at each evaluation after the first request."""
        return [inbound.held for inbound in self.rules.finished if inbound.held and inbound.path == asked(name)]

    @property
    def watched(self) -> list[str]:
        return sorted(key for key, _ in self.rules.watchers.values())


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def pushed(body: bytes, packet_id: int, version: int = 4, name: str = "a") -> tuple[int, bytes]:
    content_type = b"\x03" + text("application/octet-stream")
    properties = bytes((len(content_type),)) + content_type if version == 5 else b""
    identifier = packet_id.to_bytes(2, "big") if packet_id else b""
    return 0x32 if packet_id else 0x30, text(answered(name)) + identifier + properties + body


# What a guest may subscribe to


@pytest.mark.parametrize(
    ("topic_filter", "granted"),
    [
        ("docs/a/response", True),
        ("docs/+/response", True),
        ("notes/response", True),
        ("docs/a/b/response", False),
        ("docs/#", False),
        ("+/+/response", False),
        ("+/response", False),
        ("#", False),
        ("docs/a/request", False),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_guest_subscribes_to_what_its_patterns_cover(
    documents: Library, version: int, topic_filter: str, granted: bool
) -> None:
    with documents.visitor(version) as client:
        client.send(subscribe_packet((topic_filter, 1), version=version))
        assert client.read()[1][-1] == (1 if granted else 0x8F if version == 5 else 0x80)


# A change is pushed


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1])
def test_a_change_comes_without_asking(documents: Library, version: int, qos: int) -> None:
    with documents.reader(version=version, qos=qos) as client:
        for n, new in enumerate((b"second", b"\x00\xff\xfe binary", b""), 2):
            documents.change("a", new)
            assert client.read() == pushed(new, n * qos, version)
        client.ping()
    assert [inbound.body for inbound in documents.rules.finished] == [KEY] * 4


@pytest.mark.parametrize("topic_filter", ["docs/+/response", "docs/a/response"])
def test_any_subscription_that_matches_will_do(documents: Library, topic_filter: str) -> None:
    with documents.visitor() as client:
        client.send(subscribe_packet((topic_filter, 0))).read()
        documents.ask(client)
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 0)


def test_what_did_not_change_and_what_others_read_is_not_pushed(documents: Library) -> None:
    documents.rules.texts["b"] = b"other"
    with documents.reader() as client, documents.reader("b") as other:
        documents.tell("a")
        until(documents.evaluations)
        documents.change("b", b"another")
        assert other.read() == pushed(b"another", 2, name="b")
        client.ping()
        assert len(documents.evaluations()) == 1


def test_an_answer_without_a_tag_is_compared_itself(documents: Library) -> None:
    documents.rules.untagged.add("a")
    with documents.reader() as client:
        documents.tell("a")
        until(lambda: len(documents.rules.finished) == 2)
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 2)
        client.ping()


def test_nothing_is_pushed_to_who_did_not_subscribe_in_time(documents: Library) -> None:
    with documents.visitor() as client:
        client.send(publish_packet(asked("a"), KEY)).read()
        client.send(subscribe_packet((answered("a"), 1))).read()
        assert documents.watched == []
        documents.change("a", b"second")
        client.ping()


def test_a_refused_request_is_not_watched(documents: Library) -> None:
    with documents.visitor() as client:
        client.send(subscribe_packet((answered("a"), 1))).read()
        client.send(publish_packet(asked("a"), b"wrong")).ping()
        assert documents.watched == []


def test_what_cannot_be_watched_is_answered_all_the_same(documents: Library) -> None:
    documents.rules.keys["a"] = ""
    with documents.reader() as client:
        client.ping()
        assert documents.watched == []


def test_a_refusal_says_no_word_and_the_watch_goes_on(documents: Library) -> None:
    with documents.reader() as client:
        handled = len(documents.rules.finished)
        documents.rules.refusals["a"] = Outbound(outcome=Reason.FORBIDDEN, topic=answered("a"), body=b"no")
        documents.tell("a")
        until(lambda: len(documents.rules.finished) > handled)
        client.ping()
        del documents.rules.refusals["a"]
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 2)


def test_a_gateway_that_is_busy_is_asked_again(documents: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mqtt.pushing._LEAST_RETRY_SECONDS", 0.01)
    with documents.reader() as client:
        documents.rules.refusals["a"] = Outbound(outcome=Reason.UNAVAILABLE, retry_after=0.0)
        documents.change("a", b"second")
        until(lambda: len(documents.rules.finished) > 4)
        assert documents.watched == ["a"]
        documents.running.call(documents.rules.refusals.clear)
        assert client.read() == pushed(b"second", 2)


def test_a_change_between_the_answer_and_its_watch_arrives(documents: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mqtt.pushing._FIRST_LOOK_SECONDS", 0.01)
    documents.rules.changing["a"] = b"second"
    with documents.visitor() as client:
        client.send(subscribe_packet((answered("a"), 1))).read()
        client.send(publish_packet(asked("a"), KEY))
        assert client.read() == pushed(b"first", 1)
        assert client.read() == pushed(b"second", 2)


def test_what_is_watched_may_become_something_else_and_nothing(documents: Library) -> None:
    with documents.reader() as client:
        documents.rules.keys["a"] = "b"
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 2)
        assert documents.watched == ["b"]
        documents.rules.keys["a"] = ""
        documents.rules.texts["a"] = b"third"
        documents.tell("b")
        assert client.read() == pushed(b"third", 3)
        assert documents.watched == []


def test_a_newer_request_replaces_the_watch(documents: Library) -> None:
    with documents.reader(body=KEY + b"1") as client:
        documents.ask(client, body=KEY + b"2")
        assert documents.watched == ["a"]
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 3)
        assert documents.rules.finished[-1].body == KEY + b"2"


def test_an_evaluation_that_a_newer_request_overtook_counts_for_nothing(documents: Library) -> None:
    with documents.reader() as client:
        documents.rules.slow.add("a")
        documents.change("a", b"second")
        until(lambda: len(documents.rules.handled) == 2)
        client.send(publish_packet(asked("a"), KEY))
        assert client.read() == pushed(b"second", 2)
        documents.rules.release.set()
        until(lambda: len(documents.rules.finished) == 3)
        client.ping()


@pytest.mark.parametrize("watches", [0, 2])
def test_only_so_many_answers_are_watched(watches: int) -> None:
    with library(watches=watches) as found, found.visitor() as client:
        client.send(subscribe_packet(("docs/+/response", 0))).read()
        for name in "abc":
            found.rules.texts[name] = b"text"
            found.ask(client, name)
        assert found.watched == ["a", "b"][:watches]
        assert found.running.meter.bounds == ["mqtt.watches"] * (3 - watches)
        if watches:
            found.ask(client, "b")
            assert found.watched == ["a", "b"]


def test_a_push_that_the_client_cannot_take_is_not_sent(documents: Library) -> None:
    with documents.reader(version=5, properties=b"\x27\0\0\0\x64") as client:
        documents.change("a", bytes(100))
        until(lambda: documents.running.meter.bounds == ["mqtt.client_packet_bytes"])
        documents.change("a", b"small")
        assert client.read() == pushed(b"small", 2, 5)


# Unsubscribing, and the end of a connection


@pytest.mark.parametrize("version", VERSIONS)
def test_unsubscribing_ends_the_watch(documents: Library, version: int) -> None:
    with documents.reader(version=version) as client:
        client.send(subscribe_packet(("docs/+/response", 0), version=version)).read()
        none = b"\0" if version == 5 else b""
        client.send(packet(0xA2, b"\0\x07", none, text(answered("a")))).read()
        assert documents.watched == ["a"]  # the other one covers it
        client.send(packet(0xA2, b"\0\x07", none, text("docs/+/response"))).read()
        assert documents.watched == []
        client.send(packet(0xA2, b"\0\x07", none, text("docs/+/response"))).read()


def test_who_unsubscribes_is_not_sent_what_was_being_evaluated(documents: Library) -> None:
    with documents.reader() as client:
        documents.rules.held_up.add("a")
        documents.change("a", b"second")
        until(lambda: len(documents.rules.handled) == 2)
        client.send(packet(0xA2, b"\0\x07", text(answered("a"))))
        assert client.read()[0] == 0xB0
        documents.rules.release.set()
        until(lambda: len(documents.rules.finished) == 2)
        client.ping()


@pytest.mark.parametrize("politely", [True, False])
@pytest.mark.parametrize("held_up", [True, False])
def test_the_end_of_a_connection_ends_its_watches(documents: Library, politely: bool, held_up: bool) -> None:
    with documents.reader() as client:
        if held_up:
            documents.rules.held_up.add("a")
            documents.change("a", b"second")
            until(lambda: len(documents.rules.handled) == 2)
        if politely:
            assert client.send(b"\xe0\x00").rest() == b""
        else:
            client.close()
        until(lambda: documents.running.meter.levels == {"mqtt.connections": 0})
        assert documents.watched == []
        assert documents.running.call(lambda: documents.running.server._shared.turns._value) == 16


def test_what_is_handled_after_the_client_is_gone_is_not_watched(documents: Library) -> None:
    documents.rules.held_up.add("a")
    client = documents.running.device()
    client.send(subscribe_packet(("docs/+/response", 1))).read()
    client.send(publish_packet(asked("a"), b"") * 2 + subscribe_packet((answered("a"), 1)))
    until(lambda: documents.rules.handled)
    client.close()
    with documents.visitor() as other:
        other.ping()
    documents.rules.release.set()
    until(lambda: len(documents.rules.finished) == 2)
    until(lambda: documents.running.meter.levels == {"mqtt.connections": 0})
    assert documents.watched == []
    assert len(documents.rules.handled) == 2


# Order and back-pressure


def test_packets_do_not_wait_for_an_evaluation(documents: Library) -> None:
    documents.rules.texts["b"] = b"other"
    with documents.reader() as client:
        documents.rules.held_up.add("a")
        documents.change("a", b"second")
        until(lambda: len(documents.rules.handled) == 2)
        client.ping()
        client.send(publish_packet(asked("b"), KEY, qos=1, packet_id=9))
        assert client.read() == (0x40, b"\0\x09")
        assert client.read() == pushed(b"other", 2, name="b")
        documents.rules.release.set()
        assert client.read() == pushed(b"second", 3)


def test_changes_during_an_evaluation_become_one_more(documents: Library) -> None:
    with documents.reader() as client:
        documents.rules.held_up.add("a")
        documents.change("a", b"second")
        until(lambda: len(documents.rules.handled) == 2)
        for n in range(20):
            documents.change("a", b"next %d" % n)
        documents.rules.release.set()
        assert client.read() == pushed(b"second", 2)
        assert client.read() == pushed(b"next 19", 3)
        client.ping()
        assert len(documents.rules.finished) == 3


def test_a_storm_of_changes_ends_with_the_last_state(documents: Library) -> None:
    with documents.reader() as client:
        for n in range(300):
            documents.change("a", b"%d" % n)
        while not client.read()[1].endswith(b"299"):
            pass
        client.ping()


def test_what_changes_all_the_time_leaves_others_their_turn(documents: Library) -> None:
    documents.rules.texts["b"] = b"other"
    with documents.reader() as client:
        client.send(subscribe_packet((answered("b"), 1))).read()
        documents.ask(client, "b")
        documents.rules.slow.add("a")
        documents.change("a", b"second")
        until(lambda: len(documents.rules.handled) == 3)
        documents.change("b", b"another")
        documents.change("a", b"third")
        documents.rules.release.set()
        assert client.read() == pushed(b"second", 3)
        assert client.read() == pushed(b"another", 4, name="b")
        assert client.read() == pushed(b"third", 5)


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_changes_while_the_client_does_not_read_become_one_more(loop: str) -> None:
    with library(loop, write_buffer_bytes=1_024) as found:
        client = found.running.client(receive_buffer=4_096).connect(username=VISITOR)
        with client:
            client.send(subscribe_packet((answered("a"), 0))).read()
            found.ask(client)

            def blocked() -> bool:
                return bool(found.running.call(lambda: [one for one in found.running.server._shared.open if one.blocked]))

            bulks = 0
            while not blocked():
                bulks += 1
                found.change("a", b"%d " % bulks + bytes(1_000_000))
                time.sleep(0.02)
            evaluated = len(found.rules.handled)
            for n in range(20):
                found.change("a", b"last %d" % n)
            time.sleep(SHORT)
            assert len(found.rules.handled) == evaluated
            bodies = [client.read()[1]]
            while not bodies[-1].endswith(b"last 19"):
                bodies.append(client.read()[1])
            client.ping()
            assert len(bodies) <= bulks + 1
            assert len(found.rules.handled) <= evaluated + 1
        assert found.running.meter.bounds == []


def test_only_so_many_evaluations_run_at_once() -> None:
    with library(pushes=1) as found:
        found.rules.texts["b"] = b"other"
        with found.reader() as one, found.reader("b") as two:
            found.rules.held_up.add("a")
            found.change("a", b"second")
            until(lambda: len(found.rules.handled) == 3)
            found.change("b", b"another")
            until(lambda: found.running.meter.bounds == ["mqtt.pushes"])
            two.ping()
            assert len(found.rules.handled) == 3
            found.rules.release.set()
            assert one.read() == pushed(b"second", 2)
            assert two.read() == pushed(b"another", 2, name="b")


@pytest.mark.parametrize("politely", [True, False])
def test_who_leaves_the_queue_takes_nobodys_turn(politely: bool) -> None:
    with library(pushes=1) as found:
        found.rules.texts["b"] = b"other"
        with found.reader() as one, found.reader("b") as two:
            found.rules.held_up.add("a")
            found.change("a", b"second")
            until(lambda: len(found.rules.handled) == 3)
            found.change("b", b"another")
            until(lambda: found.running.meter.bounds == ["mqtt.pushes"])
            if politely:
                two.send(packet(0xA2, b"\0\x07", text(answered("b"))))
                assert two.read()[0] == 0xB0
            else:
                two.close()
                until(lambda: found.running.meter.levels == {"mqtt.connections": 1})
            found.rules.release.set()
            assert one.read() == pushed(b"second", 2)
            until(lambda: found.running.call(lambda: found.running.server._shared.turns._value) == 1)
            found.change("a", b"third")
            assert one.read() == pushed(b"third", 3)
            assert asked("b") not in [inbound.path for inbound in found.rules.handled if inbound.held]


def test_an_exchange_that_breaks_its_promise_in_a_push_costs_one_connection() -> None:
    with library() as found:
        with found.reader() as client:
            found.rules.broken.set()
            found.tell("a")
            assert client.rest() == b""
        until(lambda: found.running.meter.levels == {"mqtt.connections": 0})
        assert found.watched == []
        with found.visitor() as other:
            other.ping()


# How long a guest stays


def test_a_guest_without_a_time_stays_after_its_answer(documents: Library) -> None:
    with documents.reader() as client:
        (connection,) = documents.running.call(lambda: tuple(documents.running.server._shared.open))
        assert connection.deadlines.linger == float("inf")
        documents.change("a", b"second")
        client.read()
        assert connection.deadlines.linger == float("inf")
        client.ping()


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_push_gives_a_guest_its_time_again(loop: str) -> None:
    with library(loop, linger_seconds=6 * SHORT) as found, found.reader(version=5) as client:
        for n in range(4):
            time.sleep(2 * SHORT)
            found.change("a", b"%d" % n)
            assert client.read() == pushed(b"%d" % n, n + 2, 5)
        assert client.rest() == b"\xe0\x01\x00"
        assert found.watched == []


# Devices that subscribe without asking


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_that_subscribes_is_pushed_changes_only(documents: Library, version: int) -> None:
    with documents.running.device(version) as client:
        client.send(subscribe_packet((answered("a"), 1), version=version))
        assert client.read()[0] == 0x90
        until(lambda: documents.watched == ["a"])
        (inbound,) = documents.rules.handled
        assert (inbound.path, inbound.body, inbound.held, inbound.version) == (asked("a"), b"", ("*",), version)
        assert inbound.identity is not None
        client.ping()
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 1, version)
        documents.tell("a")
        client.ping()


def test_a_device_that_subscribes_again_is_not_evaluated_again(documents: Library) -> None:
    with documents.running.device() as client:
        for _ in range(3):
            client.send(subscribe_packet((answered("a"), 1))).read()
            until(lambda: documents.watched == ["a"])
        assert len(documents.rules.handled) == 1


@pytest.mark.parametrize("topic_filter", ["docs/unknown/response", "docs/+/response", "docs/a", "#", "docs/response/a"])
def test_what_stands_for_no_request_is_let_be(documents: Library, topic_filter: str) -> None:
    with documents.running.device() as client:
        client.send(subscribe_packet((topic_filter, 1))).read()
        client.ping()
        until(lambda: "unknown" not in topic_filter or documents.rules.finished)
        client.ping()
        assert documents.watched == []
        assert len(documents.rules.handled) == ("unknown" in topic_filter)


def test_a_guest_has_to_ask(documents: Library) -> None:
    with documents.visitor() as client:
        client.send(subscribe_packet((answered("a"), 1))).read()
        client.ping()
        assert documents.rules.handled == []


def test_what_a_device_subscribes_to_counts_among_its_watches() -> None:
    with library(watches=1) as found, found.running.device() as client:
        found.rules.texts["b"] = b"other"
        client.send(subscribe_packet((answered("a"), 1), (answered("none"), 1), (answered("b"), 1))).read()
        until(lambda: found.running.meter.bounds)
        assert found.watched == ["a"]
        assert found.running.meter.bounds == ["mqtt.watches"]


def test_a_document_that_is_not_said_to_be_unchanged_is_not_published_either(documents: Library) -> None:
    documents.rules.refusals["a"] = documents.rules.read("a", _as_visitor())
    with documents.running.device() as client:
        client.send(subscribe_packet((answered("a"), 1))).read()
        until(lambda: documents.watched == ["a"])
        client.ping()
        del documents.rules.refusals["a"]
        documents.change("a", b"second")
        assert client.read() == pushed(b"second", 1)


def _as_visitor() -> Inbound:
    return Inbound(carrier=Carrier.MQTT, method="PUBLISH", path=asked("a"), peer=Peer(""), body=KEY)


# The end of the server, and its addresses


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_closing_finishes_the_push_that_is_under_way(loop: str) -> None:
    with library(loop, pushes=1) as found:
        found.rules.texts["b"] = b"other"
        with found.reader(version=5) as busy, found.reader("b", version=5) as waiting, found.reader(version=5) as idle:
            found.rules.held_up.add("b")
            found.change("b", b"another")
            until(lambda: len(found.rules.handled) == 4)
            found.change("a", b"second")
            until(lambda: len(found.running.meter.bounds) == 2)
            closing = threading.Thread(target=found.running.run, args=(found.running.server.close(PATIENCE_SECONDS),))
            closing.start()
            assert idle.rest() == b"\xe0\x01\x8b"
            assert busy.rest() == b"\xe0\x01\x8b"
            found.change("b", b"too late")
            found.rules.release.set()
            assert waiting.read() == pushed(b"another", 2, 5, "b")
            assert waiting.rest() == b"\xe0\x01\x8b"
            closing.join(PATIENCE_SECONDS)
        assert found.running.meter.levels == {"mqtt.connections": 0}
        assert found.watched == []


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_closing_waits_for_a_push_no_longer_than_its_deadline(loop: str) -> None:
    with library(loop) as found, found.reader() as client:
        found.rules.held_up.add("a")
        found.change("a", b"second")
        until(lambda: len(found.rules.handled) == 2)
        found.running.run(found.running.server.close(0.05))
        assert client.rest() == b""
        assert found.running.meter.levels == {"mqtt.connections": 0}
        assert found.watched == []
    assert found.running.unexpected == []


def test_an_address_may_have_an_exchange_of_its_own(documents: Library) -> None:
    other = Documents()
    other.texts["a"] = b"elsewhere"
    port = documents.running.run(documents.running.server.start("127.0.0.1", 0, exchange=other))[1]
    with documents.reader() as here, RawClient(port).connect(username=VISITOR) as there:
        there.send(subscribe_packet((answered("a"), 1))).read()
        there.send(publish_packet(asked("a"), KEY))
        assert there.read() == pushed(b"elsewhere", 1)
        assert documents.running.meter.levels == {"mqtt.connections": 2}
        documents.running.call(lambda: other.change("a", b"news"))
        assert there.read() == pushed(b"news", 2)
        here.ping()
    until(lambda: other.watchers == {})


# Subscriptions that are requests by themselves


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_subscription_asks_for_is_published_once_and_at_each_change(documents: Library, version: int) -> None:
    client = documents.running.device(version)
    client.send(subscribe_packet(("docs/a/state", 1), version=version))
    assert client.read()[0] == 0x90
    assert client.read()[1].endswith(b"first")
    documents.change("a", b"second")
    assert client.read()[1].endswith(b"second")
    documents.tell("a")
    client.ping()
    client.close()
    until(lambda: not documents.rules.watchers)
    asked_for = [inbound for inbound in documents.rules.finished if inbound.method == "SUBSCRIBE"]
    assert [inbound.form for inbound in asked_for] == ["", "first", "second"]  # each is told what the last answer was
    assert [bool(inbound.held) for inbound in asked_for] == [False, True, True]


@pytest.mark.parametrize("topic_filter", ["docs/+/state", "docs/a/#", "docs/a/other"])
def test_other_subscriptions_ask_for_nothing(documents: Library, topic_filter: str) -> None:
    client = documents.running.device()
    client.send(subscribe_packet((topic_filter, 1), version=4)).read()
    client.close()
    assert documents.rules.handled == []


def test_a_guest_asks_for_nothing_by_subscribing(documents: Library) -> None:
    client = documents.visitor()
    client.send(subscribe_packet(("docs/a/state", 1), version=4))
    assert client.read()[1][-1] == 0x80
    client.close()
    assert documents.rules.handled == []
