"""Figures for operators, in Prometheus' format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from adapters.exchange import Carrier, Outcome

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class PrometheusMeter:
    """Counts in a registry of its own, so that two gateways in one process do not share figures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("protocol", "dialect", "operation")
        self._requests = Counter(
            "firstlight_requests", "Requests answered, by outcome.", (*labels, "outcome"), registry=self._registry
        )
        self._seconds = Histogram(
            "firstlight_request_seconds", "Time from request to answer.", labels, buckets=_SECONDS, registry=self._registry
        )
        self._bounds = Counter("firstlight_bounds", "Refusals by a bound, by its name.", ("bound",), registry=self._registry)
        self._levels = Gauge("firstlight_level", "Levels, by their name.", ("level",), registry=self._registry)
        # Looking a child up by its labels costs more than counting: each is looked up once. The labels are words of our
        # own (routes, outcomes), never a stranger's, so these stay few.
        self._counters: dict[tuple[Carrier, str, str, Outcome], tuple[Counter, Histogram]] = {}

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None:
        """Count one answered request and the time it took."""
        key = (carrier, dialect, operation, outcome)
        children = self._counters.get(key)
        if children is None:
            labels = (carrier.value, dialect, operation)
            children = (self._requests.labels(*labels, outcome.value), self._seconds.labels(*labels))
            self._counters[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def bound(self, name: str) -> None:
        """Count one refusal by a bound."""
        self._bounds.labels(name).inc()

    def level(self, name: str, value: float) -> None:
        """Set a level."""
        self._levels.labels(name).set(value)

    def exposition(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self._registry)
