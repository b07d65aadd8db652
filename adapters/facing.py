"""What is spoken at one address: the routes, guests and subscriptions of some dialects."""

from collections.abc import Iterable

import msgspec

from adapters.exchange import Carrier, Dialect, Guest, Inbound
from adapters.router import AmbiguousRoutesError, Match, Miss, Router
from adapters.topics import covers


class Face:
    """Some dialects side by side. Where there is one alone, an HTTP request that no route fits is its to refuse."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        dialects = tuple(dialects)
        self._router = Router(dialects)
        self._alone = Miss(dialects[0]) if len(dialects) == 1 else Miss()
        self._guests = _by_login(guest for dialect in dialects for guest in dialect.GUESTS)
        self._subscriptions = tuple(dict.fromkeys(pattern for dialect in dialects for pattern in dialect.SUBSCRIPTIONS))

    def find(self, inbound: Inbound) -> Match | Miss:
        """Return the route of a request, or what is known about its path."""
        found = self._router.find(inbound)
        nobodys = isinstance(found, Miss) and found.dialect is None
        return self._alone if nobodys and inbound.carrier is Carrier.HTTP else found

    def guest(self, username: str, client_id: str) -> Guest | None:
        """Return the guest whose login is the user name or the client id."""
        return self._guests.get(username) or self._guests.get(client_id)

    def may_subscribe(self, topic_filter: str) -> bool:
        """Tell whether some dialect lets an identified device subscribe to this filter."""
        return any(covers(pattern, topic_filter) for pattern in self._subscriptions)


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
