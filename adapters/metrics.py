"""Figures for operators, in Prometheus' format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from adapters.exchange import Carrier, Outcome

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDARIES = (*map(str, _SECONDS), "+Inf")
_LABELS = ("protocol", "dialect", "operation")


class PrometheusMeter(Collector):
    """Counts in plain tables, which become metrics when they are asked for.

    A request is counted in the event loop alone, so it needs none of the locks that the library's own counters take. The
    labels are words of our own (routes, outcomes, bounds), never a stranger's, so the tables stay small.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[Carrier, str, str, Outcome]] = Counter()
        self._durations: dict[tuple[Carrier, str, str], _Durations] = {}
        self._bounds: Counter[str] = Counter()
        self._levels: dict[str, float] = {}
        self._asked: dict[str, Callable[[], float]] = {}
        self._hooks: dict[str, _Durations] = {}
        self._commits: dict[str, _Durations] = {}
        self._build: dict[str, str] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None:
        """Count one answered request and the time it took."""
        self._requests[carrier, dialect, operation, outcome] += 1
        key = (carrier, dialect, operation)
        durations = self._durations.get(key)
        if durations is None:
            durations = self._durations[key] = _Durations()
        durations.observe(seconds)

    def bound(self, name: str) -> None:
        """Count one refusal by a bound."""
        self._bounds[name] += 1

    def level(self, name: str, value: float) -> None:
        """Set a level."""
        self._levels[name] = value

    def asked(self, name: str, ask: Callable[[], float]) -> None:
        """Have a level asked for whenever the figures are shown; `ask` must not wait."""
        self._asked[name] = ask

    def hook(self, outcome: str, seconds: float) -> None:
        """Count one question to a hook and the time it took."""
        durations = self._hooks.get(outcome)
        if durations is None:
            durations = self._hooks[outcome] = _Durations()
        durations.observe(seconds)

    def commit(self, outcome: str, seconds: float) -> None:
        """Count one commit and the time it took."""
        durations = self._commits.get(outcome)
        if durations is None:
            durations = self._commits[outcome] = _Durations()
        durations.observe(seconds)

    def build(self, version: str, schema: int) -> None:
        """Say which version this is, and which schema of its kind of database it knows; 0: that has none."""
        self._build = {"version": version, "schema": str(schema)}

    def exposition(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all figures; called by the library."""
        requests = CounterMetricFamily("firstlight_requests", "Requests answered, by outcome.", labels=(*_LABELS, "outcome"))
        for (carrier, dialect, operation, outcome), count in self._requests.items():
            requests.add_metric((carrier.value, dialect, operation, outcome.value), count)
        yield requests
        seconds = HistogramMetricFamily("firstlight_request_seconds", "Time from request to answer.", labels=_LABELS)
        for (carrier, dialect, operation), durations in self._durations.items():
            seconds.add_metric((carrier.value, dialect, operation), durations.buckets(), durations.sum)
        yield seconds
        bounds = CounterMetricFamily("firstlight_bounds", "Refusals by a bound, by its name.", labels=("bound",))
        for name, count in self._bounds.items():
            bounds.add_metric((name,), count)
        yield bounds
        levels = GaugeMetricFamily("firstlight_level", "Levels, by their name.", labels=("level",))
        for name, value in self._levels.items():
            levels.add_metric((name,), value)
        for name, ask in self._asked.items():
            levels.add_metric((name,), ask())
        yield levels
        yield _by_outcome("firstlight_hook_seconds", "Time from question to answer, by outcome.", self._hooks)
        yield _by_outcome("firstlight_commit_seconds", "Time that commits took, by outcome.", self._commits)
        yield InfoMetricFamily("firstlight_build", "Version, and the schema that it knows.", self._build or None)


class _Durations:
    """How many requests took how long."""

    __slots__ = ("_counts", "sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts that Prometheus wants."""
        return list(zip(_BOUNDARIES, accumulate(self._counts), strict=True))


def _by_outcome(name: str, documentation: str, durations: dict[str, _Durations]) -> Metric:
    family = HistogramMetricFamily(name, documentation, labels=("outcome",))
    for outcome, taken in durations.items():
        family.add_metric((outcome,), taken.buckets(), taken.sum)
    return family
