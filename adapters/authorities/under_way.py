"""How much of an authority's work may go on at once, and that it is counted where there is more."""

from typing import Final

from adapters.exchange import Meter
from core.errors import Refusal
from core.limits import AtOnce

AT_ONCE: Final = "authority.at_once"
SECONDS: Final = "authority.seconds"
ANSWER_BYTES: Final = "authority.answer_bytes"
KEY_PAIRS: Final = "authority.key_pairs"


class UnderWay(AtOnce):
    """Lets so many certificates be signed at once. Raises `Refusal` UNAVAILABLE beyond them."""

    def __init__(self, most: int, meter: Meter) -> None:
        super().__init__(most, "issuing.busy")
        self._meter = meter

    def __enter__(self) -> None:
        """Begin, or count that it was one too many."""
        try:
            super().__enter__()
        except Refusal:
            self._meter.bound(AT_ONCE)
            raise
