"""The dialect: its routes, and what becomes of a request and of its result."""

from typing import Any, Final

from adapters.dialects.enos import application, device, errors
from adapters.dialects.enos.options import DialectOptions
from adapters.exchange import Carrier, Decoded, Guest, Inbound, Outbound, Route
from core.errors import Reason, Refusal

NAME: Final = "enos"


class EnosDialect:
    """Speaks EnOS to devices and applications."""

    def __init__(self, options: DialectOptions) -> None:
        self._options = options
        self.NAME = NAME
        self.ROUTES = (*device.routes(), *application.routes())
        # Whoever has logged in with its triple has nothing to ask for here: subscribing to an answer would be asking already.
        self.SUBSCRIPTIONS: tuple[str, ...] = ()
        self.TOPICS = device.TOPICS
        subscriptions = device.subscriptions()
        self.GUESTS = (Guest(name=device.GUEST, login=device.GUEST, subscriptions=subscriptions, linger_seconds=None),)

    def decode(self, route: Route, inbound: Inbound) -> Decoded:
        """Read a request. Raises `Refusal`."""
        if route.operation in application.OPERATIONS:
            return application.decode(route, inbound, self._options)
        return Decoded(device.read(route.operation, inbound))

    def encode(self, result: Any, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a granted request."""
        if inbound.operation in application.OPERATIONS:
            return application.encode(result, form, inbound, self._options)
        return device.write(result, self._options, inbound)

    def refuse(self, refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a refused request."""
        if inbound.operation in application.OPERATIONS:
            return application.refuse(refusal, inbound)
        session = inbound.operation == device.OPEN_SESSION
        return errors.refuse(_at_its_path(refusal, inbound), inbound, always_200=self._options.always_200, session=session)


def _at_its_path(refusal: Refusal, inbound: Inbound) -> Refusal:
    """Return a refusal of a method; where the service has no such name there is nothing at the path, whatever the method."""
    if refusal.reason is not Reason.NOT_ALLOWED or inbound.carrier is Carrier.MQTT:
        return refusal
    name = (inbound.segments or inbound.path.split("/"))[1]
    if device.names_service(inbound.operation, name):
        return refusal
    return Refusal(Reason.NOT_FOUND, "there is nothing at this path", check="request.path")
