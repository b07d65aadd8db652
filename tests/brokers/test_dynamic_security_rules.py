"""The rules of a role against what the core grants, by the plug-in's own way to decide."""

import random
from collections.abc import Callable

import pytest

from adapters.brokers.dynamic_security.rules import access
from adapters.brokers.dynamic_security.wire import RECEIVE, SEND, SUBSCRIBE, Acl
from core.topic_spaces import BOTH, Action, Grant, Grants
from core.topics import covers, matches

LEVELS = ("a", "b", "c", "up")
PUBLISH, LISTEN = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def allows(acls: frozenset[Acl], kind: str, topic: str, matching: Callable[[str, str], bool]) -> bool:
    """Decide as the plug-in does: of the rules that match, the one of the highest priority; nothing matches: no."""
    found = [acl for acl in acls if acl.acltype == kind and matching(acl.topic, topic)]
    best = max(found, key=lambda acl: acl.priority, default=None)
    assert best is None or len({acl.allow for acl in found if acl.priority == best.priority}) == 1, (
        "rules contradict each other"
    )
    return best is not None and best.allow


def drawn_topic(draw: random.Random, deepest: int = 4) -> str:
    return "/".join(draw.choice(LEVELS) for _ in range(draw.randint(1, deepest)))


def drawn_grants(draw: random.Random) -> tuple[Grants, list[str]]:
    grants = []
    for _ in range(draw.randint(0, 4)):
        prefix = drawn_topic(draw, 3)
        upstream = prefix if draw.random() < 0.6 else drawn_topic(draw, 3)
        grants.append(Grant(prefix, upstream, draw.choice((BOTH, PUBLISH, LISTEN))))
    withheld = [drawn_topic(draw, 3) for _ in range(draw.randint(0, 2))]
    named = [f"{draw.choice(LEVELS)}/+/{draw.choice(LEVELS)}/#" for _ in range(draw.randint(0, 2))]
    return Grants(grants, (), withheld, named), named


def is_one_to_one(grants: Grants) -> bool:
    """Tell whether every place has one prefix, as the spaces of a dialect have."""
    pairs = {(grant.prefix, grant.upstream) for grant in grants.grants}
    return len({upstream for _, upstream in pairs}) == len({prefix for prefix, _ in pairs}) == len(pairs)


@pytest.mark.parametrize("seed", range(40))
def test_the_plug_in_decides_as_the_core_does(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(25):
        grants, named = drawn_grants(draw)
        if not is_one_to_one(grants):
            continue
        acls = access(grants, named)
        for _ in range(20):
            topic = drawn_topic(draw)
            assert allows(acls, SEND, topic, matches) == grants.may_publish(topic), (
                topic,
                grants.grants,
                grants.withheld,
                named,
            )
            assert allows(acls, RECEIVE, topic, matches) == grants.may_subscribe(topic), (topic, grants.grants, grants.withheld)
            wide = draw.choice((f"{topic}/#", f"{topic}/+", f"{topic}/+/a", "#", "+/a", f"+/{topic}"))
            assert allows(acls, SUBSCRIBE, wide, covers) == grants.may_subscribe(wide), (wide, grants.grants, grants.withheld)


def test_who_has_nothing_receives_nothing() -> None:
    assert access(Grants()) == {Acl(RECEIVE, "#", -1, False)}


@pytest.mark.parametrize(
    ("named", "is_said"),
    [
        ("a/+/x/#", True),
        ("a/+", True),
        ("+/+/x", True),
        ("b/#", False),
        ("#", True),
        ("a", False),
        ("a/c/#", False),
        ("a/b/#", True),
    ],
)
def test_only_what_touches_a_devices_own_word_for_a_place_is_said(named: str, is_said: bool) -> None:
    acls = access(Grants([Grant("a/b", "z/1", BOTH)]), [named])
    assert (Acl(SEND, named, 1, False) in acls) is is_said
