"""Topic spaces: whatever is written in a topic or filter, it does not lead out of what somebody was given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.topic_spaces import (
    BOTH,
    NOTHING,
    Action,
    Grant,
    Grants,
    TopicSpace,
    fill,
    is_one_level,
    named_filters,
)
from core.topics import covers, matches, valid_filter, valid_name

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
SAID = TopicSpace(prefix="v1/devices/me", actions=PUBLISH, upstream="v1/devices/{device}/up")
TOLD = TopicSpace(prefix="v1/devices/me", actions=SUBSCRIBE, upstream="v1/devices/{device}/down")
NARROW = TopicSpace(prefix="v1/gateway", actions=PUBLISH, upstream="v1/devices/{device}/up/gateway", marked="gateway")
NARROW_TOLD = TopicSpace(prefix="v1/gateway", actions=SUBSCRIBE, upstream="v1/devices/{device}/down/gateway", marked="gateway")
OWN = TopicSpace(prefix="own/{tenant}/{device}")
SHARED = TopicSpace(prefix="channels/{channel}/messages")
SPACES = (SAID, TOLD, NARROW, NARROW_TOLD, OWN, SHARED)


def grants(device: str = "a", channels: tuple[str, ...] = ("c",), *, gateway: bool = False, tenant: str = "t") -> Grants:
    """Return what a device has of `SPACES`."""
    values = {"tenant": (tenant,), "device": (device,), "channel": channels}
    held = [grant for space in SPACES if gateway or not space.marked for grant in fill(space, values)]
    withheld = [grant.upstream for space in SPACES if space.marked and not gateway for grant in fill(space, values)]
    return Grants(held, (device, *channels), withheld, named_filters(SPACES))


# What a level may be: what is special, what stands in prefixes, ids, and what looks like one of these.
WORDS = (
    "", "+", "#", "$SYS", "$share", "g", "$", "me", "ME", "m\u0435", "%6De", "up", "down", "d", "messages", "v1", "V1",
    "devices", "gateway", "own", "t", "a", "aa", "b", "c", "cc", "channels", "..", ".", "*", ">", "a+", "#a", "me#", "+me",
    "me\0", "\0", "{device}", " ", "\uff41", "\u200b", "x" * 300,
)  # fmt: skip
LEVEL = st.sampled_from(WORDS) | st.text(max_size=3)
ANY_TOPIC = st.lists(LEVEL, min_size=1, max_size=7).map("/".join)
NEAR = ("v1/devices/me", "v1/gateway", "own/t/a", "channels/c/messages", "v1/devices/a/up", "v1/devices/a/down", "v1/devices")
NEAR_TOPIC = st.builds(lambda prefix, tail: prefix + tail, st.sampled_from(NEAR), LEVEL | ANY_TOPIC.map("/{}".format))


@st.composite
def bent(draw: st.DrawFn) -> str:
    """Return a topic that begins as one of ours, with one level put in, taken out or replaced."""
    levels = draw(NEAR_TOPIC).split("/")
    place = draw(st.integers(0, len(levels)))
    replaced = draw(st.integers(0, 1))
    return "/".join((*levels[:place], *draw(st.lists(LEVEL, max_size=2)), *levels[place + replaced :]))


TOPIC = st.one_of(NEAR_TOPIC, NEAR_TOPIC, NEAR_TOPIC, bent(), bent(), bent().map("$share/g/{}".format), ANY_TOPIC)
PLAIN = st.sampled_from([word for word in WORDS if not set(word) & set("+#\0")]) | st.text(
    st.characters(exclude_characters="+#\0", codec="utf-8"), max_size=3
)
EVERYBODY = [
    grants(),
    grants(gateway=True),
    grants("me", ("messages", "c")),
    grants("up", (), gateway=True),
    grants("aa", ("cc",)),
    grants("a", ("c", "cc"), tenant="a"),
]
WHO = st.sampled_from(EVERYBODY)


@st.composite
def matched(draw: st.DrawFn, topic_filter: str) -> str:
    """Return a topic that a filter matches: each `+` is any level, `#` any levels or none."""
    levels: list[str] = []
    for level in topic_filter.split("/"):
        if level == "#":
            levels += draw(st.lists(PLAIN, max_size=3))
        else:
            levels.append(draw(PLAIN) if level == "+" else level)
    return "/".join(levels)


def within(topic: str, upstreams: list[str]) -> bool:
    return any(topic == upstream or topic.startswith(upstream + "/") for upstream in upstreams)


def upstreams(who: Grants, action: Action) -> list[str]:
    return [grant.upstream for grant in who.grants if action in grant.actions]


# Nothing gets out


@settings(max_examples=300)
@given(WHO, TOPIC, st.data())
def test_all_that_a_granted_filter_can_match_lies_in_what_was_given(
    who: Grants, topic_filter: str, data: st.DataObject
) -> None:
    for found in (who.subscribe(topic_filter), topic_filter if who.may_subscribe(topic_filter) else None):
        if found is None:
            continue
        own = upstreams(who, Action.SUBSCRIBE)
        assert valid_filter(topic_filter)
        assert valid_filter(found)
        assert any(covers(f"{upstream}/#", found) for upstream in own)
        topic = data.draw(matched(found))
        assert matches(found, topic)
        assert within(topic, own)


@settings(max_examples=300)
@given(WHO, TOPIC)
def test_what_may_be_published_lies_in_what_was_given(who: Grants, topic: str) -> None:
    found = who.publish(topic)
    if found is not None:
        assert valid_name(topic)
        assert valid_name(found)
        assert within(found, upstreams(who, Action.PUBLISH))
        assert not within(found, list(who.withheld))
    if who.may_publish(topic):
        own = [grant.prefix for grant in who.grants if Action.PUBLISH in grant.actions]
        assert valid_name(topic)
        assert within(topic, own + upstreams(who, Action.PUBLISH))
        assert not within(topic, list(who.withheld))


@settings(max_examples=300)
@given(WHO, WHO, TOPIC, st.data())
def test_nobody_reaches_anybody_else(one: Grants, other: Grants, topic: str, data: st.DataObject) -> None:
    shared = set(upstreams(one, Action.PUBLISH)) & set(upstreams(other, Action.PUBLISH))
    foreign = [each for action in Action for each in upstreams(other, action) if each not in shared]
    if one.parts[0] == other.parts[0]:
        return
    filters = (one.subscribe(topic), topic if one.may_subscribe(topic) else None)
    heard = [data.draw(matched(each)) for each in filters if each is not None]
    found = [one.publish(topic), topic if one.may_publish(topic) else None, *heard]
    assert not any(each is not None and within(each, foreign) for each in found)


@settings(max_examples=300)
@given(WHO, TOPIC)
def test_what_is_heard_comes_back_under_the_name_that_was_asked_for(who: Grants, topic: str) -> None:
    if valid_name(topic):
        found = who.subscribe(topic)
        assert found is None or who.deliver(found) == topic
        said = who.publish(topic)
        assert said is None or who.reply(said) == topic


@settings(max_examples=300)
@given(WHO, TOPIC)
def test_what_is_delivered_was_on_a_topic_of_its_own(who: Grants, topic: str) -> None:
    found = who.deliver(topic)
    if found is not None:
        assert within(topic, upstreams(who, Action.SUBSCRIBE))
        assert who.subscribe(found) == topic or not valid_filter(found)


# Cases


@pytest.mark.parametrize(
    ("topic", "upstream"),
    [
        ("v1/devices/me", "v1/devices/a/up"),
        ("v1/devices/me/telemetry", "v1/devices/a/up/telemetry"),
        ("v1/devices/me/", "v1/devices/a/up/"),
        ("v1/devices/me//x", "v1/devices/a/up//x"),
        ("v1/devices/me/../b", "v1/devices/a/up/../b"),
        ("own/t/a/x", "own/t/a/x"),
        ("channels/c/messages/sub/topic", "channels/c/messages/sub/topic"),
        ("", None),
        ("/", None),
        ("v1", None),
        ("v1/devices", None),
        ("v1/devices/", None),
        ("/v1/devices/me/x", None),
        ("v1//devices/me/x", None),
        ("v1/devices/mex", None),
        ("v1/devices/me\0/x", None),
        ("v1/devices/me/x\0", None),
        ("v1/devices/me/+", None),
        ("v1/devices/me/#", None),
        ("v1/devices/+/x", None),
        ("V1/devices/me/x", None),
        ("v1/devices/m\u0435/x", None),  # a Cyrillic letter
        ("v1/devices/%6De/x", None),
        ("v1%2Fdevices%2Fme", None),
        ("v1/devices/{device}/x", None),
        ("v1/devices/b/up/x", None),
        ("own/t/aa", None),
        ("own/t/b/x", None),
        ("own/tt/a", None),
        ("own/t", None),
        ("channels/c", None),
        ("channels/c/message", None),
        ("channels/cc/messages", None),
        ("$share/g/v1/devices/me/x", None),
        ("$SYS/x", None),
        ("$queue/v1/devices/me/x", None),
        (" v1/devices/me", None),
    ],
)
def test_publishing(topic: str, upstream: str | None) -> None:
    assert grants().publish(topic) == upstream


@pytest.mark.parametrize(
    ("topic_filter", "upstream"),
    [
        ("v1/devices/me", "v1/devices/a/down"),
        ("v1/devices/me/#", "v1/devices/a/down/#"),
        ("v1/devices/me/+", "v1/devices/a/down/+"),
        ("v1/devices/me/rpc/request/+", "v1/devices/a/down/rpc/request/+"),
        ("v1/devices/me/+/#", "v1/devices/a/down/+/#"),
        ("v1/devices/me//#", "v1/devices/a/down//#"),
        ("own/t/a/#", "own/t/a/#"),
        ("channels/c/messages/#", "channels/c/messages/#"),
        ("#", None),
        ("+", None),
        ("+/#", None),
        ("+/devices/me", None),
        ("v1/+/me", None),
        ("v1/devices/+", None),
        ("v1/devices/+/#", None),
        ("v1/devices/#", None),
        ("v1/#", None),
        ("v1/devices/me#", None),
        ("v1/devices/me/#/x", None),
        ("v1/devices/me/x+", None),
        ("own/+/a", None),
        ("own/t/+", None),
        ("own/t/+/#", None),
        ("own/t/#", None),
        ("channels/+/messages", None),
        ("channels/c/+", None),
        ("channels/c/#", None),
        ("/#", None),
        ("$share/g/v1/devices/me/x", None),
        ("$share/v1/devices/me", None),
        ("$SYS/#", None),
        ("$CONTROL/dynamic-security/v1", None),
        ("$queue/v1/devices/me/x", None),
        ("$delayed/1/v1/devices/me/x", None),
        ("v1/devices/me/\0", None),
        ("", None),
    ],
)
def test_subscribing(topic_filter: str, upstream: str | None) -> None:
    assert grants().subscribe(topic_filter) == upstream


@pytest.mark.parametrize(
    ("topic", "own"),
    [
        ("v1/devices/a/down/rpc/request/1", "v1/devices/me/rpc/request/1"),
        ("v1/devices/a/down", "v1/devices/me"),
        ("own/t/a/x", "own/t/a/x"),
        ("channels/c/messages", "channels/c/messages"),
        ("v1/devices/a/up/telemetry", None),
        ("v1/devices/aa/down/x", None),
        ("v1/devices/b/down/x", None),
        ("v1/devices/me/x", None),
        ("v1/devices/a/downx", None),
        ("", None),
        ("/", None),
    ],
)
def test_delivering(topic: str, own: str | None) -> None:
    assert grants().deliver(topic) == own


def test_a_topic_to_answer_on_is_translated_where_it_is_the_devices_own() -> None:
    assert grants().reply("v1/devices/a/up/rpc/response/1") == "v1/devices/me/rpc/response/1"
    assert grants().reply("backend/answers/17") == "backend/answers/17"
    assert grants().reply("v1/devices/b/up/x") == "v1/devices/b/up/x"


# Brokers that take topics as they are


@pytest.mark.parametrize(
    ("topic", "granted"),
    [
        ("v1/devices/a/up/telemetry", True),
        ("v1/devices/me/telemetry", True),  # names nobody
        ("own/t/a", True),
        ("channels/c/messages", True),
        ("v1/devices/a/down/x", False),
        ("v1/devices/b/up/x", False),
        ("v1/devices/me/up", False),  # a device may be called so
        ("v1/devices/me/up/telemetry", False),
        ("v1/devices/me/down/rpc/request/1", False),
        ("v1/devices/me/upper", True),
        ("v1/gateway/telemetry", False),
        ("v1/devices/a/up/gateway/telemetry", False),
        ("v1/devices/a/up/#", False),
        ("", False),
    ],
)
def test_publishing_at_a_broker_that_takes_topics_as_they_are(topic: str, granted: bool) -> None:
    assert grants().may_publish(topic) is granted


@pytest.mark.parametrize(
    ("topic_filter", "granted"),
    [
        ("v1/devices/a/down/#", True),
        ("v1/devices/a/down", True),
        ("own/t/a/+", True),
        ("v1/devices/me/#", False),  # is everybody's
        ("v1/devices/a/up/#", False),
        ("v1/devices/a/#", False),
        ("v1/devices/a/+/x", False),
        ("v1/devices/a/down/#/x", False),
        ("v1/devices/a/down/gateway/#", False),
        ("$share/g/v1/devices/a/down/#", False),
        ("", False),
    ],
)
def test_subscribing_at_such_a_broker(topic_filter: str, granted: bool) -> None:
    assert grants().may_subscribe(topic_filter) is granted


def test_a_device_that_is_called_as_the_common_topics_are_has_its_own_topics_for_itself() -> None:
    me, other = grants("me"), grants("b")
    assert me.publish("v1/devices/me/telemetry") == "v1/devices/me/up/telemetry"
    assert me.may_publish("v1/devices/me/up/telemetry")
    assert me.may_subscribe("v1/devices/me/down/#")
    for topic in ("v1/devices/me/up/telemetry", "v1/devices/me/down/x"):
        assert not other.may_publish(topic)
        assert not other.may_subscribe(topic)


# A space within a space


def test_what_lies_in_a_narrower_space_is_not_reached_by_way_of_a_wider_one() -> None:
    for who in (grants(), grants(gateway=True)):
        assert who.publish("v1/devices/me/gateway/telemetry") is None
        assert who.subscribe("v1/devices/me/gateway/rpc") is None
    assert grants().publish("v1/devices/me/gateways") == "v1/devices/a/up/gateways"
    assert grants().deliver("v1/devices/a/down/gateway/rpc") is None


def test_who_has_the_narrower_space_comes_in_by_its_own_door() -> None:
    who = grants(gateway=True)
    assert who.publish("v1/gateway/telemetry") == "v1/devices/a/up/gateway/telemetry"
    assert who.subscribe("v1/gateway/#") == "v1/devices/a/down/gateway/#"
    assert who.deliver("v1/devices/a/down/gateway/rpc") == "v1/gateway/rpc"
    assert who.may_publish("v1/devices/a/up/gateway/telemetry")
    assert who.may_publish("v1/gateway/telemetry")


# Length


def test_a_topic_that_would_be_too_long_at_the_broker_is_not_granted() -> None:
    who = grants("d" * 36)
    room = 65_535 - len("v1/devices//up/") - 36
    longest = who.publish("v1/devices/me/" + "x" * room)
    assert longest is not None
    assert len(longest) == 65_535
    assert who.publish("v1/devices/me/" + "x" * (room + 1)) is None
    assert who.publish("v1/devices/me/" + "€" * (room // 3)) is not None
    assert who.publish("v1/devices/me/" + "€" * (room // 3 + 1)) is None
    assert who.subscribe("v1/devices/me/" + "x" * room) is None  # `down` is longer than `up`


def test_a_text_that_is_not_whole_unicode_breaks_nothing() -> None:
    assert grants().publish("v1/devices/me/" + "\ud800" * 30_000) is None
    assert grants().publish("v1/devices/\ud800") is None


def test_the_levels_of_a_long_topic_are_not_all_looked_at() -> None:
    """Nothing to see here but how long it takes: a thousand times as long where every level is looked at."""
    who = grants()
    for topic in ("/" * 65_535, "own/t/b" + "/" * 65_000, "a/" * 32_000):
        for _ in range(100):
            assert who.publish(topic) is who.subscribe(topic) is who.deliver(topic) is None
            assert not who.may_publish(topic)


# Filling


def test_each_value_makes_a_grant() -> None:
    values = {"channel": ("a", "b"), "tenant": ("t",)}
    assert fill(TopicSpace(prefix="m/{tenant}/c/{channel}", actions=PUBLISH), values) == (
        Grant("m/t/c/a", "m/t/c/a", PUBLISH),
        Grant("m/t/c/b", "m/t/c/b", PUBLISH),
    )
    assert fill(TopicSpace(prefix="x", upstream="y/{channel}"), values) == (Grant("x", "y/a", BOTH), Grant("x", "y/b", BOTH))


@pytest.mark.parametrize("value", ["", "/", "a/b", "+", "a+", "#", "a#", "a\0", "{device}", "{", "}", "*", ">"])
def test_a_value_that_is_not_one_level_makes_none(value: str) -> None:
    assert not is_one_level(value)
    assert fill(OWN, {"tenant": ("t",), "device": (value,)}) == ()
    assert fill(SAID, {"device": (value,)}) == ()
    assert [grant.prefix for grant in fill(SHARED, {"channel": ("a", value, "b")})] == [
        "channels/a/messages",
        "channels/b/messages",
    ]


@pytest.mark.parametrize("value", ["me", "$SYS", "*a", "a>", " ", "é", ".", "..", "%2F", "tenant", "device"])
def test_any_other_value_stands_for_itself(value: str) -> None:
    assert is_one_level(value)
    (grant,) = fill(OWN, {"tenant": ("t",), "device": (value,)})
    assert grant.prefix == f"own/t/{value}"


def test_a_placeholder_without_value_makes_none() -> None:
    assert fill(OWN, {"tenant": ("t",)}) == ()
    assert fill(OWN, {"tenant": (), "device": ("a",)}) == ()


@given(st.text(max_size=6))
def test_no_value_makes_more_levels_than_its_space_has(value: str) -> None:
    for grant in fill(OWN, {"tenant": (value,), "device": (value,)}):
        assert valid_name(grant.prefix)
        assert grant.prefix.count("/") == OWN.prefix.count("/")


def test_filters_of_those_who_are_named() -> None:
    assert named_filters(SPACES) == (
        "v1/devices/+/up/#",
        "v1/devices/+/down/#",
        "v1/devices/+/up/gateway/#",
        "v1/devices/+/down/gateway/#",
    )
    assert all(valid_filter(each) for each in named_filters(SPACES))
    assert named_filters((TopicSpace(prefix="x", upstream="y"),)) == ()


# As values


def test_grants_are_equal_when_they_grant_the_same_and_come_from_the_same() -> None:
    assert grants() == grants()
    assert hash(grants()) == hash(grants())
    assert len({grants(), grants("b"), grants(gateway=True), grants(), NOTHING, Grants(parts=("a",))}) == 5
    assert grants() != grants(channels=())
    assert grants() != "grants"
    assert Grants() == NOTHING


def test_who_has_nothing_may_do_nothing() -> None:
    for topic in ("v1/devices/me", "a", "/", "#", "+", ""):
        assert NOTHING.publish(topic) is NOTHING.subscribe(topic) is NOTHING.deliver(topic) is None
        assert not NOTHING.may_publish(topic)
        assert not NOTHING.may_subscribe(topic)
