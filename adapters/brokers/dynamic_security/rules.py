"""The access rules of a role: what a device may do at a broker that takes topics as they are, in the plug-in's terms. Pure.

Of the plug-in's rules the one of the highest priority counts, so a rule's priority is the depth of its place: what is said of a
narrower place wins over what is said of a wider one, and places of the broker's own win over a device's words for them.
"""

from collections.abc import Iterable
from typing import Final

from adapters.brokers.dynamic_security.wire import RECEIVE, SEND, SUBSCRIBE, Acl
from core.topic_spaces import Action, Grants

# The broker's default may let its users receive whatever they subscribed to, as `mosquitto_ctrl dynsec init` has it. A device
# must not go on receiving what it may not subscribe to any more, so its role says no where nothing says yes.
NOTHING_ELSE: Final = Acl(RECEIVE, "#", -1, False)

_NAMED: Final = 1
_PLACES: Final = 2


def access(grants: Grants, named: Iterable[str] = ()) -> frozenset[Acl]:
    """Return the rules for what `may_publish` and `may_subscribe` allow, and for receiving what may be subscribed to.

    `named` are the filters of topics that name somebody, which nobody may use as a device's word for something else.
    """
    said = {grant.upstream for grant in grants.grants if Action.PUBLISH in grant.actions}
    heard = {grant.upstream for grant in grants.grants if Action.SUBSCRIBE in grant.actions}
    words = {grant.prefix for grant in grants.grants if Action.PUBLISH in grant.actions}
    places = said | heard | grants.withheld
    return frozenset(
        {
            NOTHING_ELSE,
            *_in_places(SEND, said, places, words),
            *_in_places(SUBSCRIBE, heard, places),
            *_in_places(RECEIVE, heard, places),
            *(Acl(SEND, _below(word)) for word in words - said),
            *(Acl(SEND, each, _NAMED, False) for each in named if any(_meet(each, _below(word)) for word in words)),
        }
    )


def _in_places(kind: str, allowed: set[str], places: set[str], words: Iterable[str] = ()) -> Iterable[Acl]:
    """Yield a yes for each place that is allowed, and a no for each other where a yes to something else would count."""
    words = tuple(words)
    for place in places:
        if place in allowed:
            yield Acl(kind, _below(place), _depth(place))
        elif any(_within(place, wider) for wider in (*allowed, *words)) or any(_within(word, place) for word in words):
            yield Acl(kind, _below(place), _depth(place), False)


def _within(place: str, wider: str) -> bool:
    return place == wider or place.startswith(f"{wider}/")


def _below(place: str) -> str:
    """Return the pattern of a place and all below it."""
    return f"{place}/#"


def _depth(place: str) -> int:
    return _PLACES + place.count("/")


def _meet(one: str, other: str) -> bool:
    """Tell whether a topic can match both of two filters."""
    left, right = one.split("/"), other.split("/")
    for mine, yours in zip(left, right, strict=False):
        if "#" in (mine, yours):
            return True
        if "+" not in (mine, yours) and mine != yours:
            return False
    longer = left[len(right) :] or right[len(left) :]
    return longer in ([], ["#"])
