"""The CoAP server: its sockets, its message layer, its responder, and their beginning and end."""

from collections.abc import Callable
from functools import partial

from adapters.coap.config import CoapConfig
from adapters.coap.dtls.endpoint import DtlsEndpoint
from adapters.coap.dtls.selftest import dtls_selftest
from adapters.coap.dtls.sessions import Sessions
from adapters.coap.log_budget import LineBudget
from adapters.coap.message_layer import MessageLayer, Respond
from adapters.coap.notifier import Notifier
from adapters.coap.observers import Observers
from adapters.coap.oscore.contexts import SecurityContexts
from adapters.coap.oscore.protected import Protected
from adapters.coap.oscore.selftest import selftest as oscore_selftest
from adapters.coap.responder import Responder, Shared
from adapters.coap.retransmission import Retransmission
from adapters.coap.selftest import selftest
from adapters.coap.transport import Endpoint, Receive, listen
from adapters.exchange import Exchange, Meter
from adapters.tls.material import ServerMaterial


class CoapServer:
    """Serves exchanges over CoAP on any number of UDP sockets, with one set of bounds for all of them.

    With `contexts`, which whoever made them closes after the server, it takes messages that OSCORE protects.
    """

    def __init__(self, exchange: Exchange, meter: Meter, config: CoapConfig, contexts: SecurityContexts | None = None) -> None:
        self._exchange = exchange
        self._contexts = contexts
        self._meter = meter
        self._config = config
        observers = Observers(meter, config)
        separate = Retransmission(config, meter, lost=observers.forget)
        self._notifier = Notifier(observers, separate, meter, config)
        self._shared = Shared(self._notifier, meter, config)
        self._layer = MessageLayer(separate, self._notifier, meter, config)
        self._log_budget = LineBudget(config.log_lines_per_second, meter)
        self._endpoints: list[Endpoint] = []
        self._sessions = Sessions(self._layer.needs, meter, config)
        self._secured: list[DtlsEndpoint] = []

    async def start(self, host: str, port: int, exchange: Exchange | None = None) -> tuple[str, int]:
        """Serve one more address; returns it with its real port, which the system chooses where `port` is 0.

        What arrives there goes to `exchange`; None: to the one the server was made with. `host` is an IPv4 or IPv6 address or
        a name, of which the first address is taken. Raises `OSError` where the address cannot be bound (EADDRINUSE: another
        server has it), `RuntimeError` where the installed aiocoap does not fit.
        """
        await selftest(self._meter)
        receive = partial(self._layer.receive, self._respond(exchange or self._exchange))
        return host, await self._listen(host, port, receive)

    async def start_secure(
        self, host: str, port: int, material: Callable[[], ServerMaterial | None], exchange: Exchange | None = None
    ) -> tuple[str, int]:
        """Serve one more address over DTLS 1.2, as `start` does it in the clear.

        `material` is asked for the certificate at every new session; None: there is none, and devices come in with pre-shared
        keys alone. Raises what `start` does, `RuntimeError` also where the installed pyOpenSSL does not fit, and `ValueError`
        for a certificate that OpenSSL does not take.
        """
        await selftest(self._meter)
        await dtls_selftest()
        secured = DtlsEndpoint(
            exchange or self._exchange,
            partial(self._layer.receive, self._respond(exchange or self._exchange)),
            self._layer.forget,
            self._sessions,
            material,
            self._meter,
            self._config,
        )
        real_port = await self._listen(host, port, secured.receive)
        self._secured.append(secured)
        return host, real_port

    async def _listen(self, host: str, port: int, receive: Receive) -> int:
        endpoint, real_port = await listen(host, port, self._config.receive_buffer_bytes, receive, self._meter)
        if not self._endpoints:
            self._log_budget.install()
        self._endpoints.append(endpoint)
        return real_port

    def _respond(self, exchange: Exchange) -> Respond:
        """Return what answers the requests for an exchange."""
        respond = Responder(exchange, self._shared).respond
        if self._contexts is None:
            return respond
        oscore_selftest()
        return Protected(respond, exchange, self._contexts, self._shared).respond

    def stop_accepting(self) -> None:
        """Answer new requests with 5.03 and Max-Age, and tell observers nothing more; what runs already is still answered."""
        self._layer.draining = True
        for secured in self._secured:
            secured.draining = True
        self._notifier.stop()

    async def close(self) -> None:
        """Wait for the running requests, at most `drain_seconds`, then give the ports back. The exchange keeps its work."""
        await self._notifier.close()
        await self._layer.drain(self._config.drain_seconds)
        self._sessions.end()
        for secured in self._secured:
            await secured.close()
        self._secured.clear()
        for endpoint in self._endpoints:
            await endpoint.close()
        self._endpoints.clear()
        self._log_budget.remove()
