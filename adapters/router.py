"""Finds the route of a request, and refuses to start with routes that could be confused."""

from collections.abc import Iterable, Sequence

import msgspec

from adapters.exchange import Carrier, Dialect, Inbound, Route

Shape = tuple[bool, ...]
"""Which segments of a template are captured."""


class AmbiguousRoutesError(ValueError):
    """Two routes could match one request and neither wins."""


class Match(msgspec.Struct, frozen=True):
    """The route of a request and what its template captured."""

    dialect: Dialect
    route: Route
    params: dict[str, str]


class Miss(msgspec.Struct, frozen=True):
    """No route. Where the path is known with other methods, whose path it is and which methods it has."""

    dialect: Dialect | None = None
    operation: str = ""
    methods: tuple[str, ...] = ()


class Router:
    """All routes of some dialects. Of two that fit, the one wins that is literal in the leftmost segment where they differ."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._literal: dict[tuple[Carrier, str, str], dict[str, Match]] = {}
        self._captured: dict[tuple[Carrier, str, int], list[_Template]] = {}
        for dialect in dialects:
            for route in dialect.ROUTES:
                self._add(dialect, route)
        for templates in self._captured.values():
            _refuse_ambiguous(templates)
            templates.sort(key=lambda template: template.shape)

    def find(self, inbound: Inbound) -> Match | Miss:
        """Return the route of a request, or what is known about its path."""
        matches = self._at(inbound)
        if matches is None:
            return Miss()
        match = matches.get(inbound.method)
        if match is not None:
            return match
        other = next(iter(matches.values()))
        return Miss(other.dialect, other.route.operation, tuple(sorted(matches)))

    def _at(self, inbound: Inbound) -> dict[str, Match] | None:
        """Return the routes at this path by method: those of the most literal template, which stands alone."""
        literal = self._literal.get((inbound.carrier, inbound.guest, inbound.path))
        if literal is not None and not inbound.segments:
            return literal
        segments = inbound.segments or inbound.path.split("/")
        found: dict[str, Match] = {}
        shape: Shape | None = None
        for template in self._captured.get((inbound.carrier, inbound.guest, len(segments)), ()):
            if shape is not None and template.shape != shape:
                break
            params = template.capture(segments)
            if params is not None:
                shape = template.shape
                found.setdefault(template.route.method, Match(template.dialect, template.route, params))
        return found or None

    def _add(self, dialect: Dialect, route: Route) -> None:
        if "{" in route.path:
            template = _Template(dialect, route)
            key = (route.carrier, route.guest, len(template.segments))
            self._captured.setdefault(key, []).append(template)
            return
        methods = self._literal.setdefault((route.carrier, route.guest, route.path), {})
        if route.method in methods:
            raise _ambiguous(methods[route.method].route, route)
        methods[route.method] = Match(dialect, route, {})


class _Template:
    def __init__(self, dialect: Dialect, route: Route) -> None:
        self.dialect = dialect
        self.route = route
        self.segments = route.path.split("/")
        self.shape: Shape = tuple(map(_is_capture, self.segments))

    def capture(self, segments: Sequence[str]) -> dict[str, str] | None:
        params: dict[str, str] = {}
        for mine, theirs in zip(self.segments, segments, strict=True):
            if _is_capture(mine):
                if not theirs:
                    return None
                params[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return params

    def confusable(self, other: "_Template") -> bool:
        """Tell whether some path fits both and both are literal in the same segments, so that neither wins."""
        return self.shape == other.shape and all(
            mine == theirs for mine, theirs in zip(self.segments, other.segments, strict=True) if not _is_capture(mine)
        )


def _refuse_ambiguous(templates: Sequence[_Template]) -> None:
    for place, first in enumerate(templates):
        for second in templates[place + 1 :]:
            if first.route.method == second.route.method and first.confusable(second):
                raise _ambiguous(first.route, second.route)


def _ambiguous(first: Route, second: Route) -> AmbiguousRoutesError:
    asked = f"{first.method} {first.path}"
    if first.path != second.path:
        asked += f" and {second.method} {second.path}"
    return AmbiguousRoutesError(f"two of them could be meant by {asked} over {first.carrier.value}")


def _is_capture(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")
