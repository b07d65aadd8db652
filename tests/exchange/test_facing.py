"""What is spoken at one address."""

import pytest

from adapters.exchange import Carrier, Guest
from adapters.facing import Face
from adapters.router import AmbiguousRoutesError, Match, Miss
from core.errors import Reason
from tests.exchange.answering_bench import Bench
from tests.exchange.stand_in import StandIn, inbound, route

GUEST = Guest(name="visitor", login="visitor", subscriptions=("answers/+",), linger_seconds=None)


def test_what_fits_no_route_is_a_lone_dialects_to_refuse() -> None:
    first, second = StandIn(route("/a"), name="first"), StandIn(route("/b"), name="second")
    assert Face([first]).find(inbound("/nowhere")) == Miss(first)
    assert Face([first, second]).find(inbound("/nowhere")) == Miss()
    assert Face([first]).find(inbound("/a", method="PUT")) == Miss(first, "ask", ("GET",))
    assert isinstance(Face([first, second]).find(inbound("/b")), Match)


def test_a_path_that_begins_as_one_dialects_do_is_that_ones_to_refuse() -> None:
    first = StandIn(route("/a/b"), route("/c/{id}"), route("/{d}/e"), name="first")
    second = StandIn(route("/a/x"), route("/t", carrier=Carrier.COAP), name="second")
    face = Face([first, second])
    assert face.find(inbound("/c/d/e/f")) == Miss(first)
    for path in ("/a/nowhere", "/t", "/{d}", "/", "nowhere", ""):
        assert face.find(inbound(path)) == Miss()
    assert face.find(inbound("/c/d/e/f", carrier=Carrier.COAP)) == Miss()


def test_dialects_share_a_guest_that_they_agree_about() -> None:
    other = Guest(name="visitor", login="visitor", subscriptions=("news/+",), linger_seconds=None)
    face = Face([StandIn(guests=(GUEST,)), StandIn(guests=(other,))])
    shared = face.guest("visitor", "")
    assert shared is not None
    assert shared.subscriptions == ("answers/+", "news/+")
    assert face.guest("", "visitor") == shared
    assert face.guest("nobody", "") is None


@pytest.mark.parametrize(
    "other",
    [
        Guest(name="stranger", login="visitor", subscriptions=("answers/+",), linger_seconds=None),
        Guest(name="visitor", login="visitor", subscriptions=("answers/+",), linger_seconds=60.0),
    ],
)
def test_guests_that_come_in_alike_and_differ_stop_the_start(other: Guest) -> None:
    with pytest.raises(AmbiguousRoutesError, match="visitor"):
        Face([StandIn(guests=(GUEST,)), StandIn(guests=(other,))])


async def test_an_exchange_of_its_own_shares_the_rest() -> None:
    bench = Bench()
    other = StandIn(route("/other"), route("/t", carrier=Carrier.COAP), name="other")
    facing = bench.answering.facing(Face([other]))
    assert (await facing.handle(inbound("/other"))).correlation
    assert (await facing.handle(inbound("/ask"))).outcome is Reason.NOT_FOUND
    assert (await bench.answering.handle(inbound("/other"))).outcome is Reason.NOT_FOUND
    await bench.answering.drain(1)
    assert (await facing.handle(inbound("/other"))).outcome is Reason.UNAVAILABLE
