"""What the gateway says of itself over HTTP: that it lives, that it is ready, its version and its figures."""

import importlib.metadata

import msgspec

from adapters import spoken
from adapters.answering import Answering
from adapters.config import OPERATOR, Config
from adapters.exchange import Exchange
from adapters.http.server import Page, Pages, Restricted
from adapters.metered import Readiness
from adapters.metrics import CONTENT_TYPE, PrometheusMeter

VERSION = importlib.metadata.version("firstlight")
_TEXT = "text/plain; charset=utf-8"


class OwnPages:
    """The pages by their paths; figures are for addresses that operators use."""

    def __init__(self, config: Config, readiness: Readiness, meter: PrometheusMeter) -> None:
        self._config = config
        self._readiness = readiness
        self._meter = meter

    @property
    def by_path(self) -> Pages:
        """Return all of them."""
        return {
            "/healthz": self._health,
            "/readyz": self._ready,
            "/metrics": Restricted(self._figures, self._is_for_operators),
            "/health": self._health_document,  # as Mainflux and Magistrala have it, before 0.13 under the second name
            "/version": self._health_document,
        }

    async def _health(self) -> Page:
        return Page(200, _TEXT, b"ok\n")

    async def _health_document(self) -> Page:
        """Answer in the form of https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check."""
        document = {"status": "pass", "version": VERSION, "description": "bootstrap service"}
        return Page(200, "application/health+json", msgspec.json.encode(document))

    async def _ready(self) -> Page:
        fault = await self._readiness.fault()
        return Page(503 if fault else 200, _TEXT, f"{fault or 'ready'}\n".encode())

    def _is_for_operators(self, exchange: Exchange) -> bool:
        """Tell whether an address is one that operators use; where there is none at all, every one is."""
        speaks = isinstance(exchange, Answering) and exchange.speaks(OPERATOR)
        return speaks or not spoken.is_for_operators(self._config)

    async def _figures(self) -> Page:
        return Page(200, CONTENT_TYPE, self._meter.exposition())
