"""The dialect: which broker a request is from, and whether it is one of ours."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from adapters.dialects.brokers import emqx, goauth, proof, rabbitmq, vernemq
from adapters.dialects.brokers.answering import NO_STORE, document
from adapters.dialects.brokers.options import DialectOptions
from adapters.exchange import Decoded, Guest, Inbound, Outbound, Route
from core.errors import Refusal
from core.topic_spaces import TopicSpace

NAME: Final = "brokers"
_CHALLENGES = (("WWW-Authenticate", 'Bearer, Basic realm="brokers"'),)  # RFC 9110, section 11.6.1


class Vendor(Protocol):
    """One broker's way to ask. A module satisfies it."""

    @property
    def ROUTES(self) -> tuple[Route, ...]:  # noqa: N802 - a module's constant
        """Return where it asks."""
        ...

    def read(self, inbound: Inbound, options: DialectOptions) -> Any:
        """Read a question. Raises `Refusal` MALFORMED."""
        ...

    def write(self, result: Any, inbound: Inbound) -> Outbound:
        """Write yes."""
        ...

    def refuse(self, refusal: Refusal, inbound: Inbound) -> Outbound:
        """Write no."""
        ...


VENDORS: Final[tuple[Vendor, ...]] = (emqx, goauth, vernemq, rabbitmq)
_BY_OPERATION: Final[Mapping[str, Vendor]] = MappingProxyType(
    {route.operation: vendor for vendor in VENDORS for route in vendor.ROUTES}
)


class BrokersDialect:
    """Speaks to brokers that know the secret."""

    def __init__(self, options: DialectOptions) -> None:
        self._options = options
        self.NAME = NAME
        self.ROUTES = tuple(route for vendor in VENDORS for route in vendor.ROUTES)
        self.GUESTS: tuple[Guest, ...] = ()
        self.SUBSCRIPTIONS: tuple[str, ...] = ()
        self.TOPICS: tuple[TopicSpace, ...] = ()

    def decode(self, route: Route, inbound: Inbound) -> Decoded:
        """Read a question. Raises `Refusal` UNAUTHENTICATED without the secret, MALFORMED for what cannot be read."""
        proof.require_secret(inbound, self._options.secret)
        return Decoded(_BY_OPERATION[route.operation].read(inbound, self._options))

    def encode(self, result: Any, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a granted question."""
        return _BY_OPERATION[inbound.operation].write(result, inbound)

    def refuse(self, refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a refused question, and to who is no broker of ours."""
        if refusal.check == proof.CHECK:
            answer = document({"detail": refusal.detail}, refusal.reason)
            return msgspec.structs.replace(answer, headers=(*NO_STORE, *_CHALLENGES))
        return _BY_OPERATION[inbound.operation].refuse(refusal, inbound)
