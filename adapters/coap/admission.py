"""How many datagrams a source, and all sources together, may send: token buckets asked before anything is decoded."""

from collections import OrderedDict

from adapters.coap.config import CoapConfig
from adapters.exchange import Meter
from core.limits import source_of


class TokenBucket:
    """Lets `rate` events a second through, and `burst` at once."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, burst: float, now: float) -> None:
        self._tokens = burst
        self._at = now

    def take(self, rate: float, burst: float, now: float) -> bool:
        """Take one token where there is one; rate and burst are the caller's, so that 50,000 buckets stay small."""
        tokens = min(burst, self._tokens + (now - self._at) * rate)
        self._at = now
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1


class Admission:
    """The bucket of each source and the one of all; the sources heard least recently are forgotten first."""

    def __init__(self, config: CoapConfig, meter: Meter, now: float) -> None:
        self._config = config
        self._meter = meter
        self._all = TokenBucket(config.global_burst_datagrams, now)
        self._sources: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources)

    def refusal(self, address: str, now: float) -> str | None:
        """Return the name of the bound that one more datagram from this address would break, or None.

        The source is asked first: what one source sends in vain must not use up what is there for all.
        """
        config = self._config
        if not self._bucket(source_of(address), now).take(
            config.source_datagrams_per_second, config.source_burst_datagrams, now
        ):
            return "coap.source_rate"
        if not self._all.take(config.global_datagrams_per_second, config.global_burst_datagrams, now):
            return "coap.global_rate"
        return None

    def _bucket(self, key: str, now: float) -> TokenBucket:
        bucket = self._sources.get(key)
        if bucket is not None:
            self._sources.move_to_end(key)
            return bucket
        bucket = self._sources[key] = TokenBucket(self._config.source_burst_datagrams, now)
        if len(self._sources) > self._config.max_sources:
            self._meter.bound("coap.sources")
            self._sources.popitem(last=False)
        return bucket
