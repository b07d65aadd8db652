"""One flavour as a dialect: its routes, and what becomes of a request and of its result."""

from typing import Any

from adapters.dialects.mainflux import channels, clients, configs, device, mapping, refusing
from adapters.dialects.mainflux import operations as op
from adapters.dialects.mainflux.authorization import read_bearer, require_bearer
from adapters.dialects.mainflux.endpoint import Asked, DialectOptions, Endpoint
from adapters.dialects.mainflux.flavours import Flavour
from adapters.exchange import Carrier, Decoded, Guest, Inbound, Outbound, Route
from core.errors import Reason, Refusal
from core.model import Secret
from core.operate.messages import Operation, Unreadable


class MainfluxDialect:
    """Speaks one flavour."""

    def __init__(self, name: str, flavour: Flavour, options: DialectOptions) -> None:
        self._flavour = flavour
        self._options = options
        endpoints = (
            *configs.endpoints(flavour),
            *channels.endpoints(flavour),
            *clients.endpoints(flavour),
            *mapping.endpoints(flavour),
        )
        self._endpoints = {endpoint.operation: endpoint for endpoint in endpoints}
        self.NAME = name
        self.ROUTES = (*_operator_routes(flavour, endpoints), *_device_routes(flavour), *device.mqtt_routes(flavour))
        self.SUBSCRIPTIONS = device.subscriptions(flavour)
        self.TOPICS = device.TOPICS
        self.GUESTS = (Guest(name=device.GUEST, login=device.GUEST, subscriptions=self.SUBSCRIPTIONS, linger_seconds=None),)

    def decode(self, route: Route, inbound: Inbound) -> Decoded:
        """Read a request. Raises `Refusal`."""
        if route.operation in op.DEVICE:
            return Decoded(device.read(self._flavour, route.operation, inbound))
        if route.operation == op.REDIRECT:
            raise Refusal(Reason.MOVED, "the path has a superfluous slash", check="request.slash")
        if route.operation == op.NO_PAGE:
            raise Refusal(Reason.NOT_FOUND, "there is nothing at this path", check="request.path")
        return Decoded(self._operation(self._endpoints[route.operation], Asked(self._flavour, self._options, inbound)))

    def encode(self, result: Any, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a granted request."""
        if inbound.operation in op.DEVICE:
            return device.write(self._flavour, result, inbound)
        endpoint = self._endpoints[inbound.operation]
        return endpoint.write(result, Asked(self._flavour, self._options, inbound))

    def refuse(self, refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a refused request."""
        return refusing.refuse(self._flavour, self._options, refusal, inbound)

    def _operation(self, endpoint: Endpoint, asked: Asked) -> Operation:
        """Make the operation: who asks is settled before the request is read, or between its form and its meaning."""
        if not self._flavour.token_first:
            sent = endpoint.read(asked)
            return Operation(self._bearer(endpoint, asked), asked.tenant, endpoint.command(sent, asked))
        bearer = self._bearer(endpoint, asked)
        try:
            return Operation(bearer, asked.tenant, endpoint.command(endpoint.read(asked), asked))
        except Refusal as refusal:
            return Operation(bearer, asked.tenant, Unreadable(refusal))

    def _bearer(self, endpoint: Endpoint, asked: Asked) -> Secret:
        api_key = self._options.api_key
        if endpoint.optional_token and api_key is not None and not read_bearer(asked.flavour, asked.inbound).reveal():
            return api_key
        return require_bearer(asked.flavour, asked.inbound)


def _operator_routes(flavour: Flavour, endpoints: tuple[Endpoint, ...]) -> tuple[Route, ...]:
    """Return the routes of operators over HTTP; only early services answer HEAD, and redirect from a superfluous slash."""
    routes = []
    for endpoint in endpoints:
        routes.append(_http(endpoint.method, endpoint.path, endpoint.operation))
        if flavour.redirects:
            routes += _early(endpoint.method, endpoint.path, endpoint.operation)
        elif endpoint.collection:
            routes.append(_http(endpoint.method, f"{endpoint.path}/", endpoint.operation))
    return tuple(routes)


def _early(method: str, path: str, operation: str) -> list[Route]:
    routes = [_http(method, f"{path}/", op.REDIRECT)]
    if method == "GET":
        routes += [_http("HEAD", path, operation), _http("HEAD", f"{path}/", op.REDIRECT)]
    return routes


def _device_routes(flavour: Flavour) -> tuple[Route, ...]:
    """Return the routes of devices over HTTP and CoAP. A path without an id is known only in order to be refused."""
    routes = []
    for path, operation in device.paths(flavour):
        routes += [_http("GET", path, operation), Route(carrier=Carrier.COAP, method="GET", path=path, operation=operation)]
        if flavour.redirects:
            routes += _early("GET", path, operation)
    nothing = f"{flavour.device_prefix}/bootstrap"
    routes.append(_http("GET", nothing, op.NO_PAGE if flavour.redirects else op.BOOTSTRAP_NOTHING))
    routes.append(_http("GET", f"{nothing}/", op.BOOTSTRAP_NOTHING))
    routes += [
        Route(carrier=Carrier.COAP, method="GET", path=path, operation=op.BOOTSTRAP_NOTHING)
        for path in (nothing, f"{nothing}/")
    ]
    return tuple(routes)


def _http(method: str, path: str, operation: str) -> Route:
    return Route(carrier=Carrier.HTTP, method=method, path=path, operation=operation)
