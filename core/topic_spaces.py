"""Topic spaces: the topics that a dialect's devices and users may use at a broker, and what one of these makes of them."""

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from core.topics import valid_filter, valid_name


class Action(enum.Enum):
    """What may be done with a topic."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class Holder(enum.Enum):
    """Whose space it is."""

    DEVICE = "device"
    ACCOUNT_USER = "account_user"
    END_USER = "end_user"  # its `{device}` is each device that belongs to the user's organisation


BOTH = frozenset(Action)


class TopicSpace(msgspec.Struct, frozen=True, kw_only=True):
    """The topic `prefix` and everything below it.

    Whole levels of it may be placeholders: `{tenant}`, `{device}`, `{channel}` (each channel that the device may use),
    `{product_key}` and `{device_key}` (of each of its triples). Who has nothing for one of them has not this space, nor has
    anyone for whom it is a text that is more than one level. `upstream` is what stands in the place of the prefix at a broker,
    for topics that name no device themselves; empty: the same. `marked` names a member of the device's metadata that has to be
    true.
    """

    prefix: str
    actions: frozenset[Action] = BOTH
    upstream: str = ""
    holder: Holder = Holder.DEVICE
    marked: str = ""


class Grant(msgspec.Struct, frozen=True):
    """A space as one device or user has it, without placeholders."""

    prefix: str
    upstream: str
    actions: frozenset[Action]


class Grants:
    """What one device or user may do. Topics are compared as they are written: no other spelling is the same topic.

    `parts` are the names of what it was read from, for whoever wants to know when it may be different. Filters with a wildcard
    or a `$share` before the end of a prefix lie in no space.
    """

    __slots__ = ("_delivered", "_published", "_subscribed", "grants", "parts")

    def __init__(self, grants: Iterable[Grant] = (), parts: tuple[str, ...] = ()) -> None:
        self.grants = tuple(grants)
        self.parts = parts
        self._published = _table(self.grants, Action.PUBLISH)
        self._subscribed = _table(self.grants, Action.SUBSCRIBE)
        self._delivered = MappingProxyType({upstream: prefix for prefix, upstream in self._subscribed.items()})

    def publish(self, topic: str) -> str | None:
        """Return the topic at a broker that stands behind a front for what is published to `topic`; None: it may not be."""
        return _replace(topic, self._published) if valid_name(topic) else None

    def subscribe(self, topic_filter: str) -> str | None:
        """Return the filter at such a broker for a subscription; None: it may not be."""
        return _replace(topic_filter, self._subscribed) if valid_filter(topic_filter) else None

    def deliver(self, topic: str) -> str | None:
        """Return the topic by which the subscriber knows what such a broker has on `topic`; None: it is not for it."""
        return _replace(topic, self._delivered)

    def may_publish(self, topic: str) -> bool:
        """Tell whether a topic may be published to at a broker that takes topics as they are.

        A device may do so under its own name, and on topics that name no device: whoever listens there cannot tell who spoke.
        """
        return valid_name(topic) and any(
            Action.PUBLISH in grant.actions and (_within(topic, grant.prefix) or _within(topic, grant.upstream))
            for grant in self.grants
        )

    def may_subscribe(self, topic_filter: str) -> bool:
        """Tell whether a filter may be subscribed to at a broker that takes topics as they are: under its own name alone."""
        return valid_filter(topic_filter) and any(
            Action.SUBSCRIBE in grant.actions and _within(topic_filter, grant.upstream) for grant in self.grants
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grants) and self.grants == other.grants and self.parts == other.parts

    def __hash__(self) -> int:
        return hash((self.grants, self.parts))


def fill(space: TopicSpace, values: Mapping[str, tuple[str, ...]]) -> tuple[Grant, ...]:
    """Return the grants of a space: one for each value of a placeholder; a placeholder without value leaves none."""
    found = [(space.prefix, space.upstream or space.prefix)]
    for name in _PLACEHOLDERS:
        mark = f"{{{name}}}"
        if any(mark in text for text in found[0]):
            found = [
                (prefix.replace(mark, value), upstream.replace(mark, value))
                for prefix, upstream in found
                for value in values.get(name, ())
                if is_one_level(value)
            ]
            if not found:
                return ()
    return tuple(Grant(prefix, upstream, space.actions) for prefix, upstream in found)


def is_one_level(text: str) -> bool:
    """Tell whether a text can stand for exactly one level of a topic, and for nothing but itself."""
    return bool(text) and not any(character in text for character in "/+#\0{}")


_PLACEHOLDERS = ("tenant", "device", "channel", "product_key", "device_key")


def _table(grants: tuple[Grant, ...], action: Action) -> Mapping[str, str]:
    return MappingProxyType({grant.prefix: grant.upstream for grant in grants if action in grant.actions})


def _replace(topic: str, table: Mapping[str, str]) -> str | None:
    """Return the topic with the longest of its prefixes that stands in the table replaced."""
    end = len(topic)
    while end > 0:
        found = table.get(topic[:end])
        if found is not None:
            return found + topic[end:]
        end = topic.rfind("/", 0, end)
    return None


def _within(topic: str, prefix: str) -> bool:
    return topic == prefix or topic.startswith(prefix + "/")


NOTHING = Grants()
