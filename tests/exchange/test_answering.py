import uuid
from collections.abc import Callable

import msgspec
import pytest

from adapters.exchange import Carrier, Closing, Guest, Inbound, Success
from core.errors import Reason, Refusal
from core.model import EventKind
from core.ports import Changes
from tests.core.faulty import FaultyRepository
from tests.core.registry import Registry
from tests.exchange.answering_bench import IDENTITY, VISITOR, Bench, Logs, raising
from tests.exchange.stand_in import SOURCE, Ask, inbound

# Granted


async def test_a_request_goes_through_dialect_and_use_case_and_back() -> None:
    bench = Bench()
    answer = await bench.ask("hello")
    assert (answer.outcome, answer.body, answer.content_type) == (Success.OK, b"hello quiet {}", "text/plain")


async def test_the_dialect_sees_what_the_route_captured_the_operation_and_the_time() -> None:
    bench = Bench()
    await bench.handle(inbound("/ask/weather", b"x", method="POST"))
    (seen,) = bench.dialect.seen
    assert (seen.params, seen.operation, seen.received_at) == ({"what": "weather"}, "ask_what", bench.registry.clock.now())


async def test_every_request_has_a_correlation_of_its_own_which_the_use_case_and_the_answer_share() -> None:
    bench = Bench()
    answers = [await bench.ask(), await bench.ask()]
    assert [context.correlation for context in bench.contexts] == [answer.correlation for answer in answers]
    assert answers[0].correlation != answers[1].correlation
    assert uuid.UUID(answers[0].correlation).version == 7


async def test_the_use_case_is_told_where_the_request_came_from() -> None:
    bench = Bench()
    await bench.handle(inbound("/ask", carrier=Carrier.COAP))
    (context,) = bench.contexts
    assert (context.protocol, context.dialect, context.source, context.actor) == ("coap", "plain", SOURCE, "")


async def test_every_answered_request_is_counted_with_its_time() -> None:
    bench = Bench()

    async def slow(ask: Ask) -> str:
        bench.registry.clock.advance(2.5)
        return ask.text

    bench.use_case = slow
    await bench.ask()
    assert bench.meter.requests == [(Carrier.HTTP, "plain", "ask", Success.OK)]
    assert bench.meter.seconds == [2.5]


# Refused


async def test_a_request_that_cannot_be_read_is_refused_in_no_form_and_recorded_once(logs: Logs) -> None:
    bench = Bench()
    answer = await bench.ask("malformed")
    assert (answer.outcome, answer.body) == (Reason.MALFORMED, b"this cannot be read []")
    (event,) = await bench.registry.events()
    assert (event.kind, event.check, event.correlation) == (EventKind.REQUEST_REFUSED, "plain.body", answer.correlation)
    assert (event.protocol, event.dialect, event.source) == ("http", "plain", SOURCE)
    (line,) = logs
    assert (line["event"], line["check"], line["correlation"]) == ("request refused", "plain.body", answer.correlation)
    assert bench.meter.requests == [(Carrier.HTTP, "plain", "ask", Reason.MALFORMED)]


async def test_a_refusal_by_the_use_case_is_answered_in_the_requests_form_and_left_to_it_to_record(logs: Logs) -> None:
    bench = Bench()
    bench.use_case = raising(Refusal(Reason.TOO_MANY, "later", check="limit.source", retry_after=3.5))
    answer = await bench.ask("LOUD")
    assert (answer.outcome, answer.body, answer.retry_after) == (Reason.TOO_MANY, b"later [loud]", 3.5)
    assert await bench.registry.events() == ()
    assert [(line["check"], line["reason"]) for line in logs] == [("limit.source", "too_many")]


@pytest.mark.parametrize(
    ("request_", "body", "closing"),
    [
        (inbound("/nowhere"), b'{"detail":"there is nothing at this path"}', Closing.NO),
        (inbound("/nowhere", carrier=Carrier.COAP), b"", Closing.NO),
        (inbound("nowhere", method="PUBLISH", carrier=Carrier.MQTT), b"", Closing.NO),
        (inbound("nowhere", method="PUBLISH", carrier=Carrier.MQTT, guest="plain"), b"", Closing.YES),
    ],
)
async def test_a_path_that_is_nobodys(request_: Inbound, body: bytes, closing: Closing) -> None:
    bench = Bench()
    answer = await bench.handle(request_)
    assert (answer.outcome, answer.body, answer.closing) == (Reason.NOT_FOUND, body, closing)
    assert answer.content_type == ("application/json" if body else None)
    assert [event.check for event in await bench.registry.events()] == ["request.path"]
    assert bench.meter.requests == [(request_.carrier, "", "", Reason.NOT_FOUND)]


async def test_a_method_that_a_path_does_not_take_is_refused_by_whose_path_it_is() -> None:
    bench = Bench()
    answer = await bench.handle(inbound("/ask", method="DELETE"))
    assert (answer.outcome, answer.body) == (Reason.NOT_ALLOWED, b"this path takes GET []")
    assert answer.headers == (("Allow", "GET"),)
    assert [event.check for event in await bench.registry.events()] == ["request.method"]
    assert bench.meter.requests == [(Carrier.HTTP, "plain", "ask", Reason.NOT_ALLOWED)]


@pytest.mark.parametrize("dialects_own", [True, False])
async def test_a_protocol_may_refuse_by_itself(dialects_own: bool, logs: Logs) -> None:
    bench = Bench()
    refusal = Refusal(Reason.TOO_LARGE, "too large", check="http.body_bytes", retry_after=1.0)
    answer = await bench.answering.refuse(inbound("/ask" if dialects_own else "/nowhere"), refusal)
    assert answer.body == (b"too large []" if dialects_own else b'{"detail":"too large"}')
    assert (answer.outcome, answer.retry_after) == (Reason.TOO_LARGE, 1.0)
    (event,) = await bench.registry.events()
    assert (event.check, event.correlation) == ("http.body_bytes", answer.correlation)
    assert bench.meter.requests == [
        (Carrier.HTTP, "plain" if dialects_own else "", "ask" if dialects_own else "", Reason.TOO_LARGE)
    ]
    assert len(logs) == 1


# Broken


def breaks_in_decoding(bench: Bench) -> str:
    return "broken"


def breaks_in_the_use_case(bench: Bench) -> str:
    bench.use_case = raising(RuntimeError("hidden text"))
    return "x"


def breaks_in_encoding(bench: Bench) -> str:
    class Unwritable:
        def __str__(self) -> str:
            raise RuntimeError("hidden text")

    async def use_case(_: Ask) -> Unwritable:
        return Unwritable()

    bench.use_case = use_case
    return "x"


@pytest.mark.parametrize("breaks", [breaks_in_decoding, breaks_in_the_use_case, breaks_in_encoding])
async def test_a_fault_is_answered_without_its_text_and_logged_once(breaks: Callable[[Bench], str], logs: Logs) -> None:
    bench = Bench()
    answer = await bench.ask(breaks(bench))
    assert (answer.outcome, answer.body) == (Reason.INTERNAL, b"the request failed []")
    (line,) = logs
    assert (line["log_level"], line["correlation"], line["exc_info"]) == ("error", answer.correlation, True)
    assert "hidden text" not in str({name: line[name] for name in line if name != "exc_info"})
    assert bench.meter.requests == [(Carrier.HTTP, "plain", "ask", Reason.INTERNAL)]


def broken(_changes: Changes) -> Exception | None:
    return RuntimeError("hidden text")


async def test_a_fault_while_a_refusal_is_recorded_is_answered_too(logs: Logs) -> None:
    bench = Bench(registry=Registry(FaultyRepository(broken)))
    answer = await bench.ask("malformed")
    assert (answer.outcome, answer.body) == (Reason.INTERNAL, b"the request failed []")
    assert logs[-1]["event"] == "request failed"


async def test_a_fault_is_nobodys_end() -> None:
    bench = Bench()
    await bench.ask("broken")
    assert (await bench.ask("x")).outcome is Success.OK


# Guests and subscriptions


@pytest.mark.parametrize(
    ("username", "client_id", "guest"),
    [
        ("visit", "", VISITOR),
        ("", "visit", VISITOR),
        ("a valid token", "visit", VISITOR),
        ("visit", "anything", VISITOR),
        ("Visit", "", None),
        ("visit ", "", None),
        ("plain", "", None),
        ("", "", None),
    ],
)
def test_a_guest_is_known_by_user_name_or_client_id(username: str, client_id: str, guest: Guest | None) -> None:
    assert Bench().answering.guest(username, client_id) == guest


@pytest.mark.parametrize(
    ("topic_filter", "granted"),
    [
        ("answers/7", True),
        ("answers/+", True),
        ("news/today/sport", True),
        ("news/#", True),
        ("answers/#", False),
        ("answers", False),
        ("+/7", False),
        ("#", False),
        ("$SYS/#", False),
    ],
)
def test_a_device_subscribes_to_what_some_dialect_grants(topic_filter: str, granted: bool) -> None:
    assert Bench().answering.may_subscribe(topic_filter, IDENTITY) is granted


async def test_the_form_of_an_answer_is_the_dialects() -> None:
    bench = Bench()
    assert (await bench.ask("LOUD")).form == "loud"
    refusal = Refusal(Reason.CONFLICT, "no", check="x")
    bench.use_case = raising(refusal)
    assert (await bench.ask("LOUD")).form == "loud"


async def test_an_answer_is_a_value_that_can_be_compared() -> None:
    bench = Bench()
    first, second = await bench.ask("a"), await bench.ask("a")
    assert msgspec.structs.replace(first, correlation="") == msgspec.structs.replace(second, correlation="")
