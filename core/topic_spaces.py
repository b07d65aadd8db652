"""Topic spaces: the topics that a dialect's devices and users may use at a broker, and what one of these makes of them."""

import enum
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

from core.topics import matches, valid_filter, valid_name


class Action(enum.Enum):
    """What may be done with a topic."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class Holder(enum.Enum):
    """Whose space it is."""

    DEVICE = "device"
    ACCOUNT_USER = "account_user"
    ACCOUNT_AUDITOR = "account_auditor"  # an account user who may read and nothing else
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


class Grant(msgspec.Struct, frozen=True, gc=False):
    """A space as one device or user has it, without placeholders."""

    prefix: str
    upstream: str
    actions: frozenset[Action]


class Grants:
    """What one device or user may do. Topics are compared as they are written: no other spelling is the same topic.

    `parts` are the names of what it was read from, for whoever wants to know when it may be different. `withheld` are the
    prefixes at a broker of spaces that it has not: what lies in one of these is out of reach of any wider space. `named` are
    filters of the topics that name somebody at a broker. Filters with a wildcard or a `$share` before the end of a prefix lie
    in no space, and neither does what would be too long at a broker.
    """

    __slots__ = (
        "_delivered",
        "_heard",
        "_named",
        "_published",
        "_replied",
        "_said",
        "_subscribed",
        "_upstreams",
        "grants",
        "parts",
        "withheld",
    )

    def __init__(
        self,
        grants: Iterable[Grant] = (),
        parts: tuple[str, ...] = (),
        withheld: Iterable[str] = (),
        named: Iterable[str] = (),
    ) -> None:
        self.grants = tuple(grants)
        self.parts = parts
        self.withheld = frozenset(withheld)
        self._named = tuple(named)
        self._published = _table(self.grants, Action.PUBLISH)
        self._subscribed = _table(self.grants, Action.SUBSCRIBE)
        self._replied = _turned(self._published)
        self._delivered = _turned(self._subscribed)
        self._said = _Places(self._published)
        self._heard = _Places(self._subscribed)
        self._upstreams = _Places(frozenset((*self._replied, *self._delivered, *self.withheld)))

    def publish(self, topic: str) -> str | None:
        """Return the topic at a broker that stands behind a front for what is published to `topic`; None: it may not be."""
        return self._upstream(topic, self._said, self._published) if valid_name(topic) else None

    def subscribe(self, topic_filter: str) -> str | None:
        """Return the filter at such a broker for a subscription; None: it may not be."""
        return self._upstream(topic_filter, self._heard, self._subscribed) if valid_filter(topic_filter) else None

    def deliver(self, topic: str) -> str | None:
        """Return the topic by which the subscriber knows what such a broker has on `topic`; None: it is not for it."""
        return self._own(topic, self._delivered)

    def reply(self, topic: str) -> str:
        """Return the topic by which a device knows one at such a broker that it is to answer on; others stay as they are."""
        return self._own(topic, self._replied) or topic

    def may_publish(self, topic: str) -> bool:
        """Tell whether a topic may be published to at a broker that takes topics as they are.

        A device may do so under its own name, and on topics that name no device: whoever listens there cannot tell who spoke.
        """
        if not valid_name(topic):
            return False
        upstream = self._upstreams.over(topic)
        if upstream is not None:
            return upstream in self._replied
        return self._said.over(topic) is not None and not any(matches(named, topic) for named in self._named)

    def may_subscribe(self, topic_filter: str) -> bool:
        """Tell whether a filter may be subscribed to at a broker that takes topics as they are: under its own name alone."""
        return valid_filter(topic_filter) and self._upstreams.over(topic_filter) in self._delivered

    def _upstream(self, topic: str, places: "_Places", table: Mapping[str, str]) -> str | None:
        prefix = places.over(topic)
        if prefix is None:
            return None
        upstream = table[prefix]
        found = upstream + topic[len(prefix) :]
        # What lies in a narrower space is of that one, and stays so when somebody comes by way of a wider one.
        return found if self._upstreams.over(found) == upstream and _fits(found) else None

    def _own(self, topic: str, table: Mapping[str, str]) -> str | None:
        upstream = self._upstreams.over(topic)
        if upstream is None or upstream not in table:
            return None
        return table[upstream] + topic[len(upstream) :]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grants) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[object, ...]:
        return self.grants, self.parts, self.withheld, self._named


class _Places:
    """Topics that stand for themselves and everything below them."""

    __slots__ = ("_reach", "_topics")

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics
        self._reach = max(map(len, self._topics), default=0)

    def over(self, topic: str) -> str | None:
        """Return the longest of these that a topic or filter lies in.

        A topic may have tens of thousands of levels, so those that are deeper than any of these are not looked at.
        """
        end = len(topic) if len(topic) <= self._reach else topic.rfind("/", 0, self._reach + 1)
        while end > 0:
            place = topic[:end]
            if place in self._topics:
                return place
            end = topic.rfind("/", 0, end)
        return None


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


@lru_cache(maxsize=16)  # what is spoken does not change: all devices share one
def named_filters(spaces: tuple[TopicSpace, ...]) -> tuple[str, ...]:
    """Return filters that match what some device may publish or hear at a broker under a name that its own topics lack."""
    upstreams = dict.fromkeys(space.upstream for space in spaces if "{" in space.upstream)
    return tuple(f"{_PLACEHOLDER.sub('+', upstream)}/#" for upstream in upstreams)


def is_one_level(text: str) -> bool:
    """Tell whether a text can stand for exactly one level of a topic, and for nothing but itself.

    `*` and `>` alone are wildcards of brokers that speak AMQP or NATS as well.
    """
    return bool(text) and text not in _OTHER_WILDCARDS and not any(character in text for character in "/+#\0{}")


_PLACEHOLDERS = ("tenant", "device", "channel", "product_key", "device_key")
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
_OTHER_WILDCARDS = frozenset("*>")
_TOPIC_BYTES = 65_535
_UTF8_BYTES = 4  # the most that a character takes


def _table(grants: tuple[Grant, ...], action: Action) -> Mapping[str, str]:
    return MappingProxyType({grant.prefix: grant.upstream for grant in grants if action in grant.actions})


def _turned(table: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({upstream: prefix for prefix, upstream in table.items()})


def _fits(topic: str) -> bool:
    """Tell whether a topic can stand in a packet: its length has two bytes there (OASIS MQTT 5.0, section 1.5.4)."""
    if len(topic) * _UTF8_BYTES <= _TOPIC_BYTES:
        return True
    return len(topic.encode("utf-8", "surrogatepass")) <= _TOPIC_BYTES


NOTHING = Grants()
