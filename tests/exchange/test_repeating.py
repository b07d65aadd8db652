"""The same request once more: its first answer again, over any protocol, for whoever proves the same and for nobody else."""

import asyncio
from typing import Any

import cbor2
import msgspec
import pytest

from adapters.answering import AnsweringConfig
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Success
from adapters.kept_answers import Kept, KeptAnswers, OwnAnswers
from adapters.repeating import Repeats
from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import Context, ProvisionRequest, SharedSecret
from core.model import Reprovision, Secret
from core.operate.associating import ClaimDevice
from core.operate.messages import ListDevices, Operation
from core.queries import DeviceSnapshot
from core.registration import Withheld
from tests.core.registry import KEY, SECRET, Registry
from tests.dialects.thingsboard_server import NAME, Server, body, failed, request
from tests.exchange.stand_in import RememberingMeter

CARRIERS = list(Carrier)
CHECK = "request.repeat_key"
CONTEXT = Context("0190", "http", "stand-in", "192.0.2.7")


def keyed(carrier: Carrier = Carrier.HTTP, key: str = "k-1", content: bytes | None = None, **changes: Any) -> Inbound:
    asked = request(carrier, body() if content is None else content)
    return msgspec.structs.replace(asked, repeat_key=key, **changes)


async def serving(reprovision: Reprovision = Reprovision.DENY, **config: Any) -> Server:
    server = Server(config=AnsweringConfig(**config))
    await server.registry.profile(reprovision=reprovision)
    return server


def told(answer: Outbound) -> str:
    """Return the credential in an answer."""
    return str(msgspec.json.decode(answer.body).get("credentialsValue"))


def credentials(found: DeviceSnapshot | None) -> int:
    assert found is not None
    return len(found.credentials)


@pytest.mark.parametrize("first", CARRIERS)
@pytest.mark.parametrize("second", CARRIERS)
async def test_a_key_brings_the_first_answer_again_over_any_protocol(first: Carrier, second: Carrier) -> None:
    server = await serving(Reprovision.ROTATE)
    before, after = [await server.answer(keyed(carrier)) for carrier in (first, second)]
    assert told(before) == told(after)
    assert credentials(await server.registry.known(NAME)) == 1
    assert after.outcome is (Success.CREATED if second is Carrier.COAP else Success.OK)
    assert len([event for event in await server.events() if event.kind.value.startswith("provision")]) == 1


async def test_a_new_key_and_no_key_are_new_requests() -> None:
    server = await serving(Reprovision.ROTATE)
    answers = [await server.answer(keyed(key=key)) for key in ("k-1", "k-2", "", "")]
    assert len({told(answer) for answer in answers}) == 4


async def test_the_key_is_a_member_of_the_body_too() -> None:
    server = await serving(Reprovision.ROTATE)
    content = body(idempotency_key="k-1")
    first = await server.ask(Carrier.MQTT, content)
    again = await server.ask(Carrier.COAP, content)
    by_header = await server.answer(keyed(Carrier.HTTP))  # the member is no part of what is asked
    assert told(first) == told(again) == told(by_header)


async def test_the_same_key_with_another_request_is_refused_and_recorded() -> None:
    server = await serving()
    await server.answer(keyed())
    answer = await server.answer(keyed(content=body("meter-0043")))
    assert (answer.outcome, msgspec.json.decode(answer.body)["errorCode"]) == (Reason.UNPROCESSABLE, 31)
    assert await server.checks() == [CHECK]


async def test_a_refusal_that_was_decided_is_repeated_and_recorded_once() -> None:
    server = await serving()
    await server.ask(Carrier.HTTP, body())
    answers = [await server.answer(keyed(carrier, "k-9")) for carrier in CARRIERS]
    assert answers == [failed(carrier) for carrier in CARRIERS]
    assert len(await server.checks()) == 1


async def test_a_wrong_secret_takes_nobodys_key_and_is_told_what_it_is_told_without_one() -> None:
    server = await serving()
    plain = await server.ask(Carrier.HTTP, body(provisionDeviceSecret="a wrong guess"))
    assert await server.answer(keyed(content=body(provisionDeviceSecret="a wrong guess"))) == plain
    first = await server.answer(keyed())
    assert await server.answer(keyed(content=body(provisionDeviceSecret="a wrong guess"))) == plain
    assert told(await server.answer(keyed())) == told(first)
    assert CHECK not in await server.checks()


async def test_a_source_that_tries_secrets_under_a_known_key_learns_nothing_beyond_the_limits() -> None:
    registry = Registry(sources=Rate(0.001, 150))
    server = Server(registry)
    await registry.profile()
    await server.answer(keyed(peer=Peer("198.51.100.1")))
    for number in range(200):
        await server.answer(keyed(content=body(provisionDeviceSecret=f"guess {number}")))
    assert (await server.answer(keyed())).outcome is Reason.TOO_MANY  # the right secret at last: too late
    assert told(await server.answer(keyed(peer=Peer("198.51.100.1")))) != "None"


async def test_an_answer_that_was_protected_does_not_come_over_a_wire_that_is_not() -> None:
    server = await serving()
    await server.answer(keyed(peer=Peer("192.0.2.7", secure=True)))
    assert (await server.answer(keyed())).outcome is Reason.UNPROCESSABLE
    assert told(await server.answer(keyed(peer=Peer("192.0.2.7", secure=True)))) != "None"


async def test_the_second_waits_for_the_first() -> None:
    server = await serving(Reprovision.ROTATE)
    answers = await asyncio.gather(*(server.answer(keyed(carrier)) for carrier in CARRIERS * 5))
    assert len({told(answer) for answer in answers}) == 1
    assert credentials(await server.registry.known(NAME)) == 1


async def test_another_request_does_not_wait_for_the_first() -> None:
    bench = Slow()
    first = asyncio.ensure_future(bench.ask("one"))
    await bench.started.wait()
    with pytest.raises(Refusal) as caught:
        await bench.ask("two")
    assert (caught.value.reason, caught.value.check) == (Reason.UNPROCESSABLE, CHECK)
    bench.go.set()
    assert await first == 1


async def test_a_failure_that_passes_is_not_kept_and_who_waited_tries_for_itself() -> None:
    bench = Slow(Refusal(Reason.UNAVAILABLE, "not now", check="storage.full"))
    asks = [asyncio.ensure_future(bench.ask("one")) for _ in range(3)]
    await bench.started.wait()
    bench.go.set()
    results = await asyncio.gather(*asks, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["Refusal", "int", "int"]
    assert (results[1], results[2], bench.calls) == (2, 2, 2)


@pytest.mark.parametrize(
    ("reason", "check", "kept"),
    [
        (Reason.CONFLICT, "reprovision.denied", True),
        (Reason.FORBIDDEN, "approval.waiting", False),
        (Reason.CONFLICT, "device.not_allocated", False),
        (Reason.UNAUTHENTICATED, "claim.secret", False),
        (Reason.TOO_MANY, "limit.source", False),
        (Reason.INTERNAL, "internal", False),
        (Reason.TOO_LARGE, "body.large", False),
    ],
)
async def test_which_refusals_are_kept(reason: Reason, check: str, kept: bool) -> None:
    bench = Slow(*(Refusal(reason, "no", check=check) for _ in range(2)))
    bench.go.set()
    for _ in range(2):
        with pytest.raises(Refusal, match="no"):
            await bench.ask("one")
    assert bench.calls == (1 if kept else 2)


async def test_a_kept_refusal_is_of_its_own_kind_and_holds_on_to_nothing() -> None:
    bench = Slow(Withheld(Reason.CONFLICT, "no", "sn-1", check="credential.revoked"))
    bench.go.set()
    found: list[Withheld] = []
    for _ in range(3):
        with pytest.raises(Withheld) as caught:
            await bench.ask("one")
        found.append(caught.value)
    assert {(each.serial, each.check, each.reason, str(each)) for each in found} == {
        ("sn-1", "credential.revoked", Reason.CONFLICT, "no")
    }
    assert len(set(map(id, found))) == 3
    (kept,) = bench.answers._kept.values()
    assert kept.answer.__traceback__ is None


async def test_the_window_ends() -> None:
    server = await serving(Reprovision.ROTATE, repeat_seconds=60.0)
    first = await server.answer(keyed())
    server.registry.clock.advance(59.0)
    assert told(await server.answer(keyed())) == told(first)
    server.registry.clock.advance(1.0)
    assert told(await server.answer(keyed())) != told(first)


async def test_without_a_window_every_request_is_a_new_one() -> None:
    server = await serving(Reprovision.ROTATE, repeat_seconds=0.0)
    assert told(await server.answer(keyed())) != told(await server.answer(keyed()))


async def test_beyond_so_many_keys_the_oldest_goes_and_that_is_counted() -> None:
    server = await serving(Reprovision.ROTATE, repeat_keys=2)
    answers = [await server.answer(keyed(key=f"k-{number}")) for number in range(3)]
    meter: Any = server.answering._meter
    assert meter.bounds == ["requests.repeat_keys"]
    assert told(await server.answer(keyed(key="k-2"))) == told(answers[2])
    assert told(await server.answer(keyed(key="k-0"))) != told(answers[0])


@pytest.mark.parametrize("key", ["x" * 256, "two\nlines", "\x00"])
async def test_what_is_no_key_is_refused(key: str) -> None:
    server = await serving()
    assert (await server.answer(keyed(key=key))).outcome in (Reason.MALFORMED, Success.OK)
    assert await server.checks() == [CHECK]


@pytest.mark.parametrize("key", [7, ["k"], {"k": 1}, True])
async def test_a_member_that_is_no_text_is_refused(key: Any) -> None:
    server = await serving()
    await server.ask(Carrier.HTTP, body(idempotency_key=key))
    assert await server.checks() == [CHECK]


async def test_a_member_that_is_null_or_empty_is_none() -> None:
    server = await serving(Reprovision.ROTATE)
    answers = [await server.ask(Carrier.HTTP, body(idempotency_key="")) for _ in range(2)]
    null = body().replace(b"{", b'{"idempotency_key":null,', 1)
    answers += [await server.ask(Carrier.HTTP, null) for _ in range(2)]
    assert len({told(answer) for answer in answers}) == 4


@pytest.mark.parametrize("content", [b'["idempotency_key"]', b"\xff idempotency_key", cbor2.dumps("idempotency_key")])
async def test_a_body_that_is_no_object_has_no_key(content: bytes) -> None:
    bench = Slow()
    bench.go.set()
    assert await bench.ask("one", inbound=request(Carrier.HTTP, content)) == 1
    assert await bench.ask("one", inbound=request(Carrier.HTTP, content)) == 2


async def test_the_member_of_cbor_counts_too() -> None:
    bench = Slow()
    bench.go.set()
    content = cbor2.dumps({"idempotency_key": "k"})
    assert await bench.ask("one", inbound=request(Carrier.HTTP, content)) == 1
    assert await bench.ask("one", inbound=request(Carrier.HTTP, content)) == 1


async def test_what_is_nested_too_deep_to_be_known_again_is_refused() -> None:
    bench = Slow()
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises(Refusal) as caught:
        await bench.ask("one", metadata=deep)
    assert (caught.value.reason, caught.value.check) == (Reason.MALFORMED, CHECK)


async def test_the_order_of_members_makes_no_other_request() -> None:
    bench = Slow()
    bench.go.set()
    assert await bench.ask("one", metadata={"a": [1, "x"], "b": None}) == 1
    assert await bench.ask("one", metadata={"b": None, "a": [1, "x"]}) == 1
    with pytest.raises(Refusal):
        await bench.ask("one", metadata={"a": [1, "y"], "b": None})


async def test_of_operators_commands_claims_alone_are_repeated() -> None:
    repeats = Slow().repeats
    bearer = Secret("bearer")
    claim = repeats.ask(Operation(bearer, None, ClaimDevice(name="m", secret=Secret("s"))), keyed(), CONTEXT)
    assert claim is not None
    assert repeats.ask(Operation(bearer, None, ListDevices()), keyed(), CONTEXT) is None
    assert repeats.ask("telemetry", keyed(), CONTEXT) is None


def test_answers_are_bounded_in_bytes() -> None:
    answers = KeptAnswers(60.0, 1_000, 10_000)
    for number in range(20):
        kept = Kept(name=b"n", print=b"p", answer=number, secure=False, size=2_000)
        answers.keep(bytes([number]), kept, float(number))
    assert (len(answers), answers.held_bytes) == (3, 3 * 3_024)
    assert not answers.keep(b"large", Kept(name=b"m", print=b"p", answer=0, secure=False, size=20_000), 21.0)
    assert (len(answers), answers.held_bytes, answers.knows(b"n", 21.0)) == (0, 0, False)


class Slow:
    """Repeats over a use case that begins, waits for `go`, fails as it is told, and then counts."""

    def __init__(self, *failures: Refusal) -> None:
        registry = Registry()
        self.answers = KeptAnswers(60.0, 100, 100_000)
        answers = OwnAnswers(self.answers, registry.clock)
        self.repeats = Repeats(answers, registry.entropy.draw(32), registry.clock, RememberingMeter())
        self.failures = list(failures)
        self.calls = 0
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def ask(self, name: str, *, inbound: Inbound | None = None, metadata: dict[str, Any] | None = None) -> Any:
        message = ProvisionRequest(evidence=SharedSecret(KEY, Secret(SECRET)), device_name=name, metadata=metadata or {})
        ask = self.repeats.ask(message, inbound or keyed(), CONTEXT)
        if ask is None:
            return await self._perform(message, CONTEXT)
        return await self.repeats.perform(ask, self._perform, message, CONTEXT)

    async def _perform(self, _message: Any, _context: Context) -> int:
        self.calls += 1
        self.started.set()
        await self.go.wait()
        if self.failures:
            raise self.failures.pop(0)
        return self.calls
