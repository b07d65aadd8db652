"""Observing over CoAP (RFC 7641), spoken byte by byte: registration, notifications, what ends them."""

import logging

import pytest

from adapters.coap import notifier, retransmission
from adapters.exchange import Success
from core.errors import Reason
from tests.protocols.coap_observing import ObservingDevice, WatchedServing, watched
from tests.protocols.coap_peers import (
    ACK,
    BLOCK2,
    CON,
    ETAG,
    FETCH,
    GET,
    NO_RESPONSE,
    NON,
    OBSERVE,
    RST,
    Datagram,
    block,
    message,
    until,
)


async def observing(served: WatchedServing, token: bytes = b"t") -> tuple[ObservingDevice, Datagram]:
    """Return a device whose registration is answered and looked at a second time."""
    device, asked = served.device(), served.exchange.asked.total()
    answer = await device.register(token=token)
    await until(lambda: served.exchange.asked.total() == asked + 2)
    return device, answer


async def test_an_observer_is_told_what_changes() -> None:
    async with watched() as served:
        device, answer = await observing(served)
        assert (answer.kind, answer.dotted, answer.payload, answer.options[ETAG]) == (ACK, "2.05", b"v1", b"\x01")
        assert served.observers == 1
        numbers = [answer.number(OBSERVE)]
        for version in (2, 3):
            served.exchange.turn(version)
            told = await device.notified()
            assert (told.dotted, told.token, told.payload) == ("2.05", b"t", b"v%d" % version)
            assert (told.options[ETAG], told.options[12]) == (bytes([version]), b"")
            numbers.append(told.number(OBSERVE))
        assert await device.quiet()
    assert numbers == sorted(set(numbers))
    assert [inbound.held for inbound in served.exchange.seen] == [(), ("01",), ("01",), ("02",)]
    assert len({inbound.peer for inbound in served.exchange.seen}) == 1


async def test_an_observer_is_not_told_what_it_knows() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.tell()
        await until(lambda: served.exchange.asked["01"] == 3)
        served.exchange.tell(key="something else")
        assert await device.quiet()
        assert served.exchange.asked.total() == 3


async def test_what_has_no_entity_tag_is_compared_itself() -> None:
    async with watched() as served:
        served.exchange.change(etag="")
        device, answer = await observing(served)
        assert ETAG not in answer.options
        served.exchange.change(content_type=None)
        await until(lambda: served.exchange.asked.total() == 3)
        assert await device.quiet()
        served.exchange.change(body=b"v2")
        assert (await device.notified()).payload == b"v2"
    assert {inbound.held for inbound in served.exchange.seen} == {()}


async def test_who_holds_it_already_observes_too() -> None:
    async with watched() as served:
        device = served.device()
        answer = await device.register((ETAG, b"\x01"))
        assert (answer.dotted, answer.payload, answer.options[ETAG]) == ("2.03", b"", b"\x01")
        assert OBSERVE in answer.options
        served.exchange.turn(2)
        assert (await device.notified()).payload == b"v2"


async def test_what_changes_before_the_watch_begins_is_told() -> None:
    async with watched() as served:
        device = served.device()
        served.exchange.open.clear()
        await device.send(device.request())
        await until(lambda: served.exchange.asked["01"])
        served.exchange.turn(2)  # nobody watches yet; the answer is already decided
        served.exchange.open.set()
        assert (await device.receive()).payload == b"v1"
        assert (await device.notified()).payload == b"v2"


async def test_many_changes_are_one_notification_of_the_last() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.open.clear()
        served.exchange.turn(2)
        await until(lambda: served.exchange.asked["02"])
        for version in range(3, 9):  # while it is being asked about
            served.exchange.turn(version)
        served.exchange.open.set()
        first = await device.receive()
        for version in range(9, 20):  # while a notification is on its way
            served.exchange.turn(version)
        assert (await device.quiet(), served.exchange.asked.total()) == (True, 3)
        await device.acknowledge(first)
        assert (first.payload, (await device.notified()).payload) == (b"v2", b"v19")
        assert await device.quiet()
    assert served.exchange.asked == {"01": 2, "02": 1, "13": 1}


async def test_a_lost_acknowledgement_repeats_the_notification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 0.05)
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.turn(2)
        first, again = await device.receive(), await device.receive()
        assert first.raw == again.raw
        await device.acknowledge(again)
        served.exchange.turn(3)
        following = await device.receive()
        while following.raw == first.raw:
            following = await device.receive()
        await device.acknowledge(following)
    assert following.payload == b"v3"


async def test_a_reset_ends_the_observation() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.turn(2)
        await device.notified(reset=True)
        await until(lambda: served.exchange.ended == 1)
        assert served.observers == 0
        served.exchange.turn(3)
        assert await device.quiet()


async def test_a_reset_ends_the_observation_that_it_names_alone() -> None:
    async with watched() as served:
        device, _ = await observing(served, b"a")
        await device.register(token=b"b")
        served.exchange.turn(2)
        tokens = [(await device.notified(reset=True)).token, (await device.notified()).token]
        await until(lambda: served.observers == 1)
        served.exchange.turn(3)
        assert (await device.notified()).token == tokens[1]
    assert sorted(tokens) == [b"a", b"b"]


async def test_a_reset_or_acknowledgement_of_something_else_changes_nothing() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        for kind in (ACK, RST):
            await device.send(message(kind, 0, 0x4242))
            await served.device().send(message(kind, 0, 0x4242))
        served.exchange.turn(2)
        assert (await device.notified()).payload == b"v2"


async def test_a_separate_answer_can_be_reset_too() -> None:
    async with watched(empty_ack_seconds=0.01) as served:
        device = served.device()
        served.exchange.open.clear()
        assert (await device.ask(device.request())).code == 0
        served.exchange.open.set()
        answer = await device.receive()
        assert (answer.kind, answer.payload, OBSERVE in answer.options) == (CON, b"v1", True)
        await device.acknowledge(answer, reset=True)
        await until(lambda: served.exchange.ended == 1)


async def test_a_non_confirmable_registration_is_notified_confirmably() -> None:
    async with watched() as served:
        device = served.device()
        answer = await device.ask(message(NON, GET, 1, (OBSERVE, b""), path="version"))
        assert (answer.kind, answer.payload, OBSERVE in answer.options) == (NON, b"v1", True)
        served.exchange.turn(2)
        assert (await device.notified()).token == b""
        await device.send(message(RST, 0, answer.mid))  # not the last message it was told something in
        assert await device.quiet()
        assert served.observers == 1


async def test_a_non_confirmable_answer_can_be_reset_too() -> None:
    async with watched() as served:
        device = served.device()
        answer = await device.ask(message(NON, GET, 1, (OBSERVE, b""), path="version"))
        await device.send(message(RST, 0, answer.mid))
        await until(lambda: served.exchange.ended == 1)


async def test_who_does_not_answer_any_more_is_struck_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 0.002)
    async with watched() as served:
        device, _ = await observing(served, b"a")
        await device.register(token=b"b")
        served.exchange.turn(2)
        told = [await device.receive() for _ in range(1 + retransmission.MAX_RETRANSMIT)]
        await until(lambda: served.exchange.ended == 2)
        assert served.meter.bounds["coap.retransmissions"] == 1
        assert await device.quiet()
    assert len({notification.raw for notification in told}) == 1


async def test_who_never_observed_can_be_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 0.002)
    async with watched(empty_ack_seconds=0.01) as served:
        device = served.device()
        await device.ask(device.request(observe=None, path="slow"))
        served.exchange.gate.set()
        await until(lambda: served.meter.bounds["coap.retransmissions"])


async def test_giving_up_during_a_question_leaves_the_next_registration_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 0.002)
    async with watched(empty_ack_seconds=0.01) as served:
        device, _ = await observing(served)
        served.exchange.open.clear()
        served.exchange.turn(2)
        await until(lambda: served.exchange.asked["02"])
        await device.send(device.request(observe=None, token=b"s", path="slow"))
        await device.receive()
        served.exchange.gate.set()
        await until(lambda: served.exchange.ended == 1)
        await device.send(device.request(token=b"again"))
        await until(lambda: served.exchange.asked["02"] == 2)
        served.exchange.open.set()
        monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 2)
        await until(lambda: served.observers == 1 and served.exchange.asked["02"] == 3)
        served.exchange.turn(3)
        told = await device.receive()
        while told.payload != b"v3":
            await device.acknowledge(told)
            told = await device.receive()
        await device.acknowledge(told)
        assert told.token == b"again"


async def test_observe_one_ends_the_observation() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        other = await device.ask(device.request(observe=b"\x01", token=b"other"))
        assert served.observers == 1
        answer = await device.ask(device.request(observe=b"\x01"))
        assert (answer.dotted, answer.payload) == (other.dotted, other.payload) == ("2.05", b"v1")
        assert OBSERVE not in answer.options
        assert (served.observers, served.exchange.ended) == (0, 1)


async def test_ending_during_a_question_tells_nothing() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.open.clear()
        served.exchange.turn(2)
        await until(lambda: served.exchange.asked["02"])
        await device.send(device.request(observe=b"\x01"))
        await until(lambda: served.exchange.asked["02"] == 2)
        served.exchange.open.set()
        assert (await device.receive()).kind == ACK
        assert await device.quiet()


async def test_a_registration_with_the_same_token_replaces_the_other() -> None:
    async with watched() as served:
        device, answer = await observing(served)
        again = await device.register()
        assert (served.observers, served.exchange.ended) == (1, 1)
        served.exchange.turn(2)
        told = await device.notified()
        assert await device.quiet()
    assert answer.number(OBSERVE) < again.number(OBSERVE) < told.number(OBSERVE)


async def test_a_registration_while_a_notification_is_on_its_way_waits_for_it() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.turn(2)
        told = await device.receive()
        assert (await device.register()).payload == b"v2"
        served.exchange.turn(3)
        assert await device.quiet()
        await device.acknowledge(told)
        assert (await device.notified()).payload == b"v3"


async def test_a_registration_that_fails_ends_the_one_before() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        answer = await device.ask(device.request(path="missing"))
        assert (answer.dotted, OBSERVE in answer.options) == ("4.04", False)
        assert (served.observers, served.exchange.ended) == (0, 1)


async def test_a_duplicate_registers_once_and_gets_the_same_answer() -> None:
    async with watched() as served:
        device = served.device()
        request = device.request()
        first, second = await device.ask(request), await device.ask(request)
        assert first.raw == second.raw
        assert (served.observers, len(served.exchange.watching), served.exchange.ended) == (1, 1, 0)


async def test_a_device_that_started_anew_and_repeats_itself_learns_the_last_state() -> None:
    async with watched() as served:
        device = served.device()
        request = device.request()
        await device.ask(request)
        served.exchange.turn(2)
        assert (await device.notified()).payload == b"v2"
        assert (await device.ask(request)).payload == b"v1"  # a duplicate, for all that can be seen
        assert (await device.notified()).payload == b"v2"
        assert await device.quiet()
        assert (served.observers, served.exchange.ended) == (1, 0)


@pytest.mark.parametrize(
    ("outcome", "code"), [(Reason.NOT_FOUND, "4.04"), (Reason.UNAUTHENTICATED, "4.01"), (Reason.INTERNAL, "5.00")]
)
async def test_a_refusal_is_the_last_notification(outcome: Reason, code: str, caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.change(outcome=outcome)
        told = await device.notified()
        await until(lambda: not served.server._notifier._observers._clients)
        served.exchange.change(outcome=Success.OK, etag="02")
        assert await device.quiet()
        assert (served.observers, served.exchange.ended) == (0, 1)
    assert (told.kind, told.dotted, told.token, OBSERVE in told.options) == (CON, code, b"t", False)
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == (code == "5.00")


async def test_what_grew_too_large_is_told_without_the_option() -> None:
    async with watched(block_size_exponent=2) as served:
        device, _ = await observing(served)
        served.exchange.change(body=bytes(100), etag="02")
        told = await device.notified()
        rest = await device.ask(device.request((BLOCK2, block(1, False, 2)), observe=None, token=b"r"))
        assert (served.observers, served.meter.bounds["coap.observe_bytes"]) == (0, 1)
    assert (told.options[BLOCK2], told.options[ETAG], OBSERVE in told.options) == (block(0, True, 2), b"\x02", False)
    assert (told.payload + rest.payload, rest.options[ETAG]) == (bytes(100), b"\x02")
    assert served.exchange.seen[-1].held == ()


async def test_what_cannot_be_watched_any_more_is_told_without_the_option() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.change(body=b"v2", etag="02", watch="")
        told = await device.notified()
        assert (told.payload, OBSERVE in told.options, served.observers) == (b"v2", False, 0)


async def test_what_is_watched_under_another_name_goes_on() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.change(body=b"v2", etag="02", watch="renamed")
        assert (await device.notified()).payload == b"v2"
        served.exchange.change(key="renamed", body=b"v3", etag="03")
        assert (await device.notified()).payload == b"v3"
        assert (served.observers, served.exchange.ended) == (1, 1)


async def test_observers_of_one_remote_take_turns() -> None:
    async with watched() as served:
        device, _ = await observing(served, b"a")
        await device.register(token=b"b")
        served.exchange.turn(2)
        told = [await device.notified()]
        served.exchange.turn(3)
        told += [await device.notified(), await device.notified()]
        payloads = {notification.token: notification.payload for notification in told}
        assert await device.quiet()
    assert told[0].token != told[1].token  # the one that waits is not passed over
    assert payloads == {b"a": b"v3", b"b": b"v3"}


@pytest.mark.parametrize("wish", [b"\x02", b"\x01\x00\x00", b"\xff\xff\xff\xff"], ids=["two", "large", "too long"])
async def test_any_other_wish_counts_as_none(wish: bytes) -> None:
    async with watched() as served:
        device = served.device()
        answer = await device.ask(device.request(observe=wish))
        assert (answer.dotted, OBSERVE in answer.options, served.observers) == ("2.05", False, 0)


async def test_what_never_registers() -> None:
    async with watched(observe_max_bytes=1) as served:
        device = served.device()
        answers = [
            await device.ask(device.request()),
            await device.ask(device.request(path="missing")),
            await device.ask(device.request(path="big")),
            await device.ask(device.request((BLOCK2, block(1, False, 6)), path="big")),
            await device.ask(message(CON, FETCH, 7, (OBSERVE, b""), path="version")),
        ]
        served.exchange.change(watch="", body=b"")
        answers.append(await device.ask(device.request()))
        assert (served.observers, served.exchange.ended) == (0, 0)
    assert [answer.dotted for answer in answers] == ["2.05", "4.04", "2.05", "2.05", "2.05", "2.05"]
    assert not any(OBSERVE in answer.options for answer in answers)
    assert served.meter.bounds == {"coap.observe_bytes": 1}


async def test_an_answer_that_needs_two_of_the_wanted_blocks_is_not_observed() -> None:
    async with watched() as served:
        served.exchange.change(body=bytes(17))
        device = served.device()
        cut = await device.register((BLOCK2, block(0, False, 0)), token=b"cut")
        whole = await device.register((BLOCK2, block(0, False, 1)), token=b"whole")
    assert (OBSERVE in cut.options, len(cut.payload)) == (False, 16)
    assert (OBSERVE in whole.options, len(whole.payload)) == (True, 17)


async def test_who_wants_no_answer_observes_nothing() -> None:
    async with watched() as served:
        device = served.device()
        await device.register((NO_RESPONSE, b"\x10"))
        assert served.observers == 0


async def test_the_number_of_a_notification_has_24_bits() -> None:
    assert notifier.NUMBERS == 1 << 24
    async with watched() as served:
        served.server._notifier._number = notifier.NUMBERS - 2
        device, answer = await observing(served)
        served.exchange.turn(2)
        assert (answer.options[OBSERVE], (await device.notified()).options[OBSERVE]) == (b"\xff\xff\xff", b"")


async def test_stopping_ends_every_watch() -> None:
    async with watched() as served:
        device, _ = await observing(served)
        served.exchange.open.clear()
        served.exchange.turn(2)
        await until(lambda: served.exchange.asked["02"])
        await device.send(device.request(token=b"late"))
        await until(lambda: served.exchange.asked["02"] == 2)
        served.server.stop_accepting()
        assert (served.observers, served.exchange.watching) == (0, {})
        served.exchange.open.set()
        late = await device.receive()
        assert (late.dotted, late.token, OBSERVE in late.options) == ("2.05", b"late", False)
        assert await device.quiet()


async def test_closing_drops_what_waits_for_its_turn() -> None:
    async with watched(notifications_per_second=0.001) as served:
        await served.device().register()
        await served.device().register()
        served.exchange.turn(2)
        assert served.observers == 2
