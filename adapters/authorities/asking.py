"""How an authority elsewhere is asked, whichever way: so many at once, so long, so much of an answer."""

from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import structlog

from adapters.authorities.answers import chain_of, unavailable
from adapters.authorities.config import AuthorityConfig
from adapters.authorities.under_way import ANSWER_BYTES, SECONDS, UnderWay
from adapters.exchange import Meter
from core.ports import SigningRequest

_FAULTS: Final = (aiohttp.ClientError, OSError, ValueError)  # TimeoutError is an OSError


class Asking:
    """Asks within bounds. What cannot be asked, takes too long or is no answer is logged as `fault` says, and refused."""

    def __init__(self, bounds: AuthorityConfig, meter: Meter, fault: str) -> None:
        self.bounds = bounds
        self.log = structlog.get_logger("firstlight.authority")
        self._meter = meter
        self._fault = fault
        self._under_way = UnderWay(bounds.at_once, meter)

    async def chain(self, request: SigningRequest, ask: Callable[[SigningRequest], Awaitable[bytes]]) -> tuple[bytes, ...]:
        """Return the certificate that `ask` brings and those behind it.

        Raises `Refusal` UNAVAILABLE where it raises `OSError`, `aiohttp.ClientError` or `ValueError`, and what else it raises.
        """
        with self._under_way:
            try:
                answer = await ask(request)
            except _FAULTS as error:
                late = isinstance(error, TimeoutError)
                if late:
                    self._meter.bound(SECONDS)
                self.log.warning(self._fault, fault="it took too long" if late else str(error) or type(error).__name__)
                raise unavailable() from error
        return chain_of(answer, request, self.log)

    def require_short(self, size: int) -> None:
        """Count an answer that is too long, and raise `ValueError`."""
        if size > self.bounds.answer_bytes:
            self._meter.bound(ANSWER_BYTES)
            raise ValueError(f"it answered more than {self.bounds.answer_bytes} bytes")
