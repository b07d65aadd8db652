"""What is done on a wire that nothing protects, as the settings say."""

from types import MappingProxyType

import msgspec
import pytest

from adapters.exchange import Inbound, Outbound, Peer, Success
from adapters.facing import Face, PlainRules
from core.errors import Reason
from core.model import Plain
from tests.exchange.answering_bench import Bench
from tests.exchange.stand_in import SOURCE, StandIn, inbound, route

PUBLIC = msgspec.structs.replace(route("/public"), public=True)
SEALED = msgspec.structs.replace(route("/sealed"), sealed=True)


def over_tls(request: Inbound) -> Inbound:
    return msgspec.structs.replace(request, peer=Peer(SOURCE, 4711, secure=True))


async def ask(rules: PlainRules, request: Inbound) -> Outbound:
    bench = Bench()
    dialects = (StandIn(route("/ask"), SEALED, PUBLIC), StandIn(route("/other"), name="other"))
    return await bench.answering.facing(Face(dialects, rules)).handle(request)


@pytest.mark.parametrize(
    ("plain", "open_too", "sealed_too"),
    [(Plain.EVERYTHING, True, True), (Plain.CHALLENGE, False, True), (Plain.NOTHING, False, False)],
)
async def test_a_rule_for_all_dialects(plain: Plain, open_too: bool, sealed_too: bool) -> None:
    rules = PlainRules(plain)
    for path, granted in (("/ask", open_too), ("/other", open_too), ("/sealed", sealed_too), ("/public", True)):
        assert (await ask(rules, inbound(path))).outcome is (Success.OK if granted else Reason.FORBIDDEN), path
        assert (await ask(rules, over_tls(inbound(path)))).outcome is Success.OK, path


@pytest.mark.parametrize(("default", "own"), [(Plain.NOTHING, Plain.EVERYTHING), (Plain.EVERYTHING, Plain.NOTHING)])
async def test_a_dialects_own_rule_comes_before_the_one_for_all(default: Plain, own: Plain) -> None:
    rules = PlainRules(default, MappingProxyType({"other": own}))
    granted = {True: Success.OK, False: Reason.FORBIDDEN}
    assert (await ask(rules, inbound("/ask"))).outcome is granted[default is Plain.EVERYTHING]
    assert (await ask(rules, inbound("/other"))).outcome is granted[own is Plain.EVERYTHING]


async def test_what_is_refused_is_not_read_and_is_recorded() -> None:
    bench = Bench()
    dialect = StandIn(route("/ask"))
    answering = bench.answering.facing(Face([dialect], PlainRules(Plain.NOTHING)))
    answer = await answering.handle(inbound("/ask", b"secret"))
    assert dialect.seen == []
    assert b"secret" not in answer.body
    (event,) = await bench.registry.events()
    assert event.check == "plain.refused"
