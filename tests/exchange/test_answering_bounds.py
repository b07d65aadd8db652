import asyncio

import pytest

from adapters.answering import AnsweringConfig
from adapters.exchange import Carrier, Success
from core.errors import Reason, Refusal
from tests.exchange.answering_bench import DEADLINE, IDENTITY, Bench, Gate, Logs, raising
from tests.exchange.stand_in import SOURCE, Ask

# Bounds


async def test_beyond_the_pending_requests_the_next_is_turned_away_with_a_hint_that_is_spread() -> None:
    bench = Bench(AnsweringConfig(pending=1, retry_seconds=(2.0, 4.0)))
    bench.use_case = gate = Gate()
    first = asyncio.create_task(bench.ask())
    await gate.is_entered()
    turned_away = [await bench.ask() for _ in range(8)]
    assert {answer.outcome for answer in turned_away} == {Reason.UNAVAILABLE}
    hints = {answer.retry_after or 0.0 for answer in turned_away}
    assert len(hints) > 1
    assert all(2.0 <= hint <= 4.0 for hint in hints)
    assert bench.meter.bounds == ["requests.pending"] * 8
    await gate.lets_through()
    assert (await first).outcome is Success.OK
    assert (await bench.ask()).outcome is Success.OK


async def test_whoever_is_turned_away_did_not_reach_the_dialect() -> None:
    bench = Bench(AnsweringConfig(pending=0))
    assert (await bench.ask()).outcome is Reason.UNAVAILABLE
    assert bench.dialect.seen == []


async def test_a_request_that_takes_too_long_is_answered_and_goes_on(logs: Logs) -> None:
    bench = Bench(AnsweringConfig(seconds=0.01))
    bench.use_case = gate = Gate()
    answer = await bench.ask()
    assert (answer.outcome, answer.body) == (Reason.INTERNAL, b"the request failed []")
    assert bench.meter.bounds == ["request.seconds"]
    assert [line["event"] for line in logs] == ["request took too long"]
    assert not gate.finished.is_set()
    await gate.lets_through()
    assert await bench.answering.drain(DEADLINE) == 0
    assert bench.meter.requests == [(Carrier.HTTP, "plain", "ask", Reason.INTERNAL)]


async def test_one_that_takes_too_long_still_counts_as_pending() -> None:
    bench = Bench(AnsweringConfig(pending=1, seconds=0.01))
    bench.use_case = gate = Gate()
    await bench.ask()
    assert (await bench.ask()).outcome is Reason.UNAVAILABLE
    await gate.lets_through()
    await bench.answering.drain(DEADLINE)


async def test_one_that_fails_after_its_time_disturbs_nobody(logs: Logs) -> None:
    bench = Bench(AnsweringConfig(seconds=0.01))
    gate = Gate()

    async def late(_: Ask) -> None:
        await gate()
        raise RuntimeError("hidden text")

    bench.use_case = late
    await bench.ask()
    await gate.lets_through()
    assert await bench.answering.drain(DEADLINE) == 0
    assert [line["event"] for line in logs] == ["request took too long", "request failed"]


async def test_a_caller_that_goes_away_does_not_stop_its_request() -> None:
    bench = Bench()
    bench.use_case = gate = Gate()
    caller = asyncio.create_task(bench.ask())
    await gate.is_entered()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await gate.lets_through()


# Draining


async def test_while_draining_new_requests_are_turned_away_and_the_running_ones_finish() -> None:
    bench = Bench()
    bench.use_case = gate = Gate()
    running = asyncio.create_task(bench.ask())
    await gate.is_entered()
    draining = asyncio.create_task(bench.answering.drain(DEADLINE))
    await asyncio.sleep(0)
    answer = await bench.ask()
    assert answer.outcome is Reason.UNAVAILABLE
    assert answer.retry_after is not None
    assert bench.meter.bounds == ["requests.draining"]
    assert not draining.done()
    await gate.lets_through()
    assert await draining == 0
    assert (await running).outcome is Success.OK


async def test_draining_ends_at_its_deadline_and_tells_what_is_left() -> None:
    bench = Bench()
    bench.use_case = gate = Gate()
    running = asyncio.create_task(bench.ask())
    await gate.is_entered()
    assert await bench.answering.drain(0.01) == 1
    await gate.lets_through()
    await running


async def test_with_nothing_running_draining_is_done() -> None:
    assert await Bench().answering.drain(DEADLINE) == 0


# Logins


async def test_a_login_tells_who_it_is() -> None:
    bench = Bench()
    assert await bench.login() == IDENTITY
    (context,) = bench.contexts
    assert (context.protocol, context.dialect, context.source) == ("mqtt", "", SOURCE)
    assert bench.meter.requests == [(Carrier.MQTT, "", "login", Success.OK)]


async def refused_login(bench: Bench) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await bench.login()
    return refusal.value


async def test_a_refused_login_is_raised_logged_and_counted(logs: Logs) -> None:
    bench = Bench()
    refusal = Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="login.user")
    bench.check = raising(refusal)
    assert await refused_login(bench) is refusal
    assert bench.meter.requests == [(Carrier.MQTT, "", "login", Reason.UNAUTHENTICATED)]
    (line,) = logs
    assert (line["event"], line["check"], line["source"]) == ("login refused", "login.user", SOURCE)
    assert "hidden token" not in str(line)


async def test_a_login_that_fails_is_a_refusal_without_the_faults_text(logs: Logs) -> None:
    bench = Bench()
    bench.check = raising(RuntimeError("hidden text"))
    refusal = await refused_login(bench)
    assert refusal.reason is Reason.INTERNAL
    assert "hidden text" not in refusal.detail
    assert bench.meter.requests == [(Carrier.MQTT, "", "login", Reason.INTERNAL)]
    assert [(line["event"], line["log_level"]) for line in logs] == [("login failed", "error")]


async def test_a_login_while_draining_is_turned_away() -> None:
    bench = Bench()
    await bench.answering.drain(DEADLINE)
    refusal = await refused_login(bench)
    assert (refusal.reason, refusal.retry_after is not None) == (Reason.UNAVAILABLE, True)
    assert bench.contexts == []


async def test_a_login_that_takes_too_long_is_turned_away_and_goes_on() -> None:
    bench = Bench(AnsweringConfig(seconds=0.01))
    bench.check = gate = Gate()
    assert (await refused_login(bench)).reason is Reason.UNAVAILABLE
    await gate.lets_through()
    assert await bench.answering.drain(DEADLINE) == 0


async def test_a_connection_that_goes_away_does_not_stop_its_login_and_is_no_success() -> None:
    bench = Bench()
    bench.check = gate = Gate()
    caller = asyncio.create_task(bench.login())
    await gate.is_entered()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await gate.lets_through()
    assert bench.meter.requests == [(Carrier.MQTT, "", "login", Reason.UNAVAILABLE)]
