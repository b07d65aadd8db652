"""What is spoken at one address: the routes, guests and subscriptions of some dialects."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from adapters.exchange import Carrier, Dialect, Guest, Inbound
from adapters.router import AmbiguousRoutesError, Match, Miss, Router
from core.messages import Identity
from core.model import Plain
from core.plain import require_protected
from core.topics import covers


class PlainRules(msgspec.Struct, frozen=True):
    """What is still done on a wire that nothing protects: for all dialects, and for those that say something else."""

    default: Plain = Plain.EVERYTHING
    dialects: Mapping[str, Plain] = MappingProxyType({})

    @property
    def forbids(self) -> bool:
        """Tell whether anything is not done there."""
        return self.default is not Plain.EVERYTHING or bool(self.dialects)

    def require(self, dialect: str, *, sealed: bool) -> None:
        """Refuse what a dialect does not do there. Raises `Refusal` FORBIDDEN."""
        require_protected(self.dialects.get(dialect, self.default), sealed=sealed)


EVERYTHING = PlainRules()


class Face:
    """Some dialects side by side.

    An HTTP request that no route fits is to be refused by the dialect that is alone, or alone in having paths that begin so.
    """

    def __init__(self, dialects: Iterable[Dialect], plain: PlainRules = EVERYTHING) -> None:
        dialects = tuple(dialects)
        self._plain = plain if plain.forbids else None
        self.dialects = frozenset(dialect.NAME for dialect in dialects)
        self._router = Router(dialects)
        self._alone = Miss(dialects[0]) if len(dialects) == 1 else Miss()
        self._owners = _by_first_segment(dialects)
        self._guests = _by_login(guest for dialect in dialects for guest in dialect.GUESTS)
        self.topics = tuple(dict.fromkeys(space for dialect in dialects for space in dialect.TOPICS))
        self._subscriptions = tuple(dict.fromkeys(pattern for dialect in dialects for pattern in dialect.SUBSCRIPTIONS))

    def find(self, inbound: Inbound) -> Match | Miss:
        """Return the route of a request, or what is known about its path."""
        found = self._router.find(inbound)
        if isinstance(found, Match) or found.dialect is not None or inbound.carrier is not Carrier.HTTP:
            return found
        return self._owners.get(_first_segment(inbound.path), self._alone)

    def require_protected(self, found: Match, inbound: Inbound) -> None:
        """Refuse what may not be said on a wire that nothing protects. Raises `Refusal` FORBIDDEN."""
        if self._plain is not None and not (inbound.peer.secure or found.route.public):
            self._plain.require(found.dialect.NAME, sealed=found.route.sealed)

    def guest(self, username: str, client_id: str) -> Guest | None:
        """Return the guest whose login is the user name or the client id."""
        return self._guests.get(username) or self._guests.get(client_id)

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        """Tell whether some dialect lets a device subscribe to this filter. Nothing is published for users here."""
        if identity.user:
            return False
        return any(_covers(pattern, topic_filter, identity) for pattern in self._subscriptions)


def _covers(pattern: str, topic_filter: str, identity: Identity) -> bool:
    """Tell whether a pattern covers a filter for this device; an id that is more than one topic level has no topics."""
    if "{" not in pattern:
        return covers(pattern, topic_filter)
    own = (identity.tenant, identity.device)
    if any(character in text for text in own for character in "+#/"):
        return False
    return covers(pattern.replace("{tenant}", own[0]).replace("{device}", own[1]), topic_filter)


def _first_segment(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


def _by_first_segment(dialects: Iterable[Dialect]) -> dict[str, Miss]:
    """Return what to say of the paths that begin with a word, where it is one dialect's."""
    owners: dict[str, list[Dialect]] = {}
    for dialect in dialects:
        routes = (route for route in dialect.ROUTES if route.carrier is Carrier.HTTP)
        for word in {_first_segment(route.path) for route in routes}:
            owners.setdefault(word, []).append(dialect)
    return {word: Miss(found[0]) for word, found in owners.items() if len(found) == 1 and "{" not in word}


def _by_login(guests: Iterable[Guest]) -> dict[str, Guest]:
    """Return the guests by their login, those that dialects share with the subscriptions of all.

    Raises `AmbiguousRoutesError` where two different ones come in alike.
    """
    found: dict[str, Guest] = {}
    for guest in guests:
        known = found.get(guest.login, guest)
        subscriptions = tuple(dict.fromkeys((*known.subscriptions, *guest.subscriptions)))
        shared = msgspec.structs.replace(guest, subscriptions=subscriptions)
        if msgspec.structs.replace(known, subscriptions=subscriptions) != shared:
            raise AmbiguousRoutesError(f"{known.name} and {guest.name} let guests in as {guest.login!r}")
        found[guest.login] = shared
    return found
