"""The CoAP server: its sockets, its message layer, its responder, and their beginning and end."""

from functools import partial

from adapters.coap.config import CoapConfig
from adapters.coap.log_budget import LineBudget
from adapters.coap.message_layer import MessageLayer
from adapters.coap.notifier import Notifier
from adapters.coap.observers import Observers
from adapters.coap.responder import Responder, Shared
from adapters.coap.retransmission import Retransmission
from adapters.coap.selftest import selftest
from adapters.coap.transport import Endpoint, listen
from adapters.exchange import Exchange, Meter


class CoapServer:
    """Serves exchanges over CoAP on any number of UDP sockets, with one set of bounds for all of them."""

    def __init__(self, exchange: Exchange, meter: Meter, config: CoapConfig) -> None:
        self._exchange = exchange
        self._meter = meter
        self._config = config
        observers = Observers(meter, config)
        separate = Retransmission(config, meter, lost=observers.forget)
        self._notifier = Notifier(observers, separate, meter, config)
        self._shared = Shared(self._notifier, meter, config)
        self._layer = MessageLayer(separate, self._notifier, meter, config)
        self._log_budget = LineBudget(config.log_lines_per_second, meter)
        self._endpoints: list[Endpoint] = []

    async def start(self, host: str, port: int, exchange: Exchange | None = None) -> tuple[str, int]:
        """Serve one more address; returns it with its real port, which the system chooses where `port` is 0.

        What arrives there goes to `exchange`; None: to the one the server was made with. `host` is an IPv4 or IPv6 address or
        a name, of which the first address is taken. Raises `OSError` where the address cannot be bound (EADDRINUSE: another
        server has it), `RuntimeError` where the installed aiocoap does not fit.
        """
        await selftest(self._meter)
        responder = Responder(exchange or self._exchange, self._shared)
        receive = partial(self._layer.receive, responder.respond)
        endpoint, real_port = await listen(host, port, self._config.receive_buffer_bytes, receive, self._meter)
        if not self._endpoints:
            self._log_budget.install()
        self._endpoints.append(endpoint)
        return host, real_port

    def stop_accepting(self) -> None:
        """Answer new requests with 5.03 and Max-Age, and tell observers nothing more; what runs already is still answered."""
        self._layer.draining = True
        self._notifier.stop()

    async def close(self) -> None:
        """Wait for the running requests, at most `drain_seconds`, then give the ports back. The exchange keeps its work."""
        await self._notifier.close()
        await self._layer.drain(self._config.drain_seconds)
        for endpoint in self._endpoints:
            await endpoint.close()
        self._endpoints.clear()
        self._log_budget.remove()
