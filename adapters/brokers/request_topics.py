"""Where devices ask through a broker: the topics of their requests, and from these alone the topics of the answers."""

from collections.abc import Iterable
from typing import Final

import msgspec

from adapters.exchange import Carrier, Route
from core.crypto.vault import Vault

ASKED: Final = "/request"
ANSWERED: Final = "/response"
END_OF_ID: Final = "-"
_PUBLISH = "PUBLISH"


class Asked(msgspec.Struct, frozen=True):
    """What the topic of a request says: whose it is, what it asks for, and where the answer goes.

    `paths` are the spellings under which a dialect may know the request.
    """

    client: str
    paths: tuple[str, ...]
    answer: str


class RequestTopics:
    """The topics `<prefix>/devices/<client id>/-/<path>/request`, for the paths that some routes have over MQTT.

    The client id is one level that the broker's own rules have proved, so nobody else can listen where the answer goes: to the
    same topic with `response` at its end. Behind the client id a dash is a level of its own, which is in no path: mosquitto
    puts any client id in the place of `%c`, and without the dash who calls itself `victim/things` could read below `victim`.

    `filters` are what is subscribed to, one for each number of levels that the routes have. No two of them match one topic, and
    none matches an answer. All of them are shared subscriptions (OASIS MQTT 5.0, section 4.8.2) of one `group`, so that each
    request goes to one of its members. `guests` are the guests of these routes.

    `fixed` are the topics of a vendor that name no client and begin with a slash: at a broker whoever subscribes to their
    answers reads those of all. They are subscribed to as well, so that it can be said where a device goes wrong.
    """

    def __init__(self, prefix: str, group: str, routes: Iterable[Route]) -> None:
        served = tuple(filter(_is_request, routes))
        self._own = f"{prefix}/devices/"
        self._share = f"$share/{group}/"
        depths = sorted({route.path.strip("/").count("/") for route in served})
        self.filters = tuple(f"{self._share}{self._own}+/{END_OF_ID}{'/+' * depth}{ASKED}" for depth in depths)
        self.fixed = frozenset(route.path for route in served if _is_fixed(route))
        self.fixed_filters = tuple(self._share + topic for topic in sorted(self.fixed))
        self.guests = tuple(dict.fromkeys(route.guest for route in served if route.guest))

    def read(self, topic: str) -> Asked | None:
        """Return what a topic says; None where it is not a client's own."""
        if not topic.startswith(self._own) or not topic.endswith(ASKED):
            return None
        client, end, *levels = topic.removeprefix(self._own).split("/")
        if not client or end != END_OF_ID or END_OF_ID in levels:
            return None
        path = "/".join(levels)
        return Asked(client, (path, f"/{path}"), topic.removesuffix(ASKED) + ANSWERED)

    def instead_of(self, fixed: str) -> str:
        """Return the topic that a client uses in place of one that all share."""
        return f"{self._own}<client id>/{END_OF_ID}{fixed}"


def group_name(vault: Vault, prefix: str) -> str:
    """Return the group of the gateways that have one master key.

    It cannot be guessed: mosquitto lets anybody join a group, and what it would hand to a member that may not read it is lost.
    """
    return f"{prefix}-{vault.digest('shared subscription', prefix.encode())[:16].hex()}"


def _is_request(route: Route) -> bool:
    return route.carrier is Carrier.MQTT and route.method == _PUBLISH and route.path.endswith(ASKED)


def _is_fixed(route: Route) -> bool:
    return bool(route.guest) and route.path.startswith("/") and "{" not in route.path
