"""Stand-ins for what the exchange binds together: a dialect without a vendor, and a meter that remembers."""

from typing import Any

import msgspec

from adapters.exchange import NOTHING, Carrier, Closing, Decoded, Guest, Inbound, Outbound, Outcome, Peer, Route, Success
from core.errors import Reason, Refusal
from core.topic_spaces import TopicSpace

SOURCE = "192.0.2.7"


class Ask(msgspec.Struct, frozen=True):
    """What the stand-in dialect makes of a request."""

    text: str
    operation: str


def route(path: str, operation: str = "ask", *, method: str = "GET", carrier: Carrier = Carrier.HTTP, guest: str = "") -> Route:
    """Return a route over HTTP, unless told otherwise."""
    return Route(carrier=carrier, method=method, path=path, operation=operation, guest=guest)


def inbound(
    path: str, body: bytes = b"", *, method: str = "GET", carrier: Carrier = Carrier.HTTP, guest: str = "", form: str = ""
) -> Inbound:
    """Return a request as a protocol makes it."""
    return Inbound(
        carrier=carrier, method=method, path=path, peer=Peer(SOURCE, 4711), params=NOTHING, body=body, guest=guest, form=form
    )


class StandIn:
    """A dialect that says back what was asked, in upper case where the form is `loud`."""

    def __init__(
        self, *routes: Route, name: str = "plain", guests: tuple[Guest, ...] = (), subscriptions: tuple[str, ...] = ()
    ) -> None:
        self.NAME = name
        self.ROUTES = routes
        self.GUESTS = guests
        self.SUBSCRIPTIONS = subscriptions
        self.TOPICS: tuple[TopicSpace, ...] = ()
        self.seen: list[Inbound] = []

    def decode(self, route: Route, inbound: Inbound) -> Decoded:
        """Refuse `malformed`, break on `broken`, otherwise ask."""
        self.seen.append(inbound)
        text = inbound.body.decode()
        if text == "malformed":
            raise Refusal(Reason.MALFORMED, "this cannot be read", check="plain.body")
        if text == "broken":
            raise RuntimeError("hidden text")
        return Decoded(Ask(text, route.operation), "loud" if text.isupper() else "quiet")

    def encode(self, result: Any, form: str, inbound: Inbound) -> Outbound:
        """Answer with the result, its form, and what the route captured."""
        body = f"{result} {form} {dict(inbound.params)}".encode()
        return Outbound(outcome=Success.OK, body=body, content_type="text/plain", form=form)

    def refuse(self, refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
        """Answer with the refusal's words and the form that was reached."""
        body = f"{refusal.detail} [{form}]".encode()
        return Outbound(outcome=refusal.reason, body=body, closing=Closing.YES, form=form)


class RememberingMeter:
    """Counts what happens in lists."""

    def __init__(self) -> None:
        self.requests: list[tuple[Carrier, str, str, Outcome]] = []
        self.seconds: list[float] = []
        self.bounds: list[str] = []

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None:
        """Remember an answered request."""
        self.requests.append((carrier, dialect, operation, outcome))
        self.seconds.append(seconds)

    def bound(self, name: str) -> None:
        """Remember a bound that was hit."""
        self.bounds.append(name)

    def level(self, name: str, value: float) -> None:
        """Take no notice."""
