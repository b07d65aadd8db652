"""Topic names and filters: validity, matching and covering, the latter two against each other."""

import itertools

import pytest

from core.topics import covers, matches, valid_filter, valid_name


@pytest.mark.parametrize("topic", ["a", "/", "/a/b", "a//b", "$SYS/x", "ä/€/𐍈", " "])
def test_a_topic_name_without_wildcards_is_valid(topic: str) -> None:
    assert valid_name(topic)
    assert valid_filter(topic)


@pytest.mark.parametrize("topic", ["", "+", "#", "a/+/b", "a/#", "a+", "a\0b"])
def test_a_topic_name_with_wildcards_is_not(topic: str) -> None:
    assert not valid_name(topic)


@pytest.mark.parametrize("topic_filter", ["#", "+", "/#", "+/+", "a/+/b", "a/b/#", "+/#", "$SYS/#", "/+"])
def test_wildcards_that_fill_their_levels_make_a_filter(topic_filter: str) -> None:
    assert valid_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b#", "##", "++", "a\0", "#/#"])
def test_wildcards_elsewhere_do_not(topic_filter: str) -> None:
    assert not valid_filter(topic_filter)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/+", "a/", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "b", False),
        ("#", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
        ("/+", "/a", True),
        ("+", "/a", False),
        ("+/+", "/a", True),
    ],
)
def test_matching(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


def _topics() -> list[str]:
    words = ("a", "b", "z", "", "$x")
    every = ["/".join(levels) for depth in (1, 2, 3, 4) for levels in itertools.product(words, repeat=depth)]
    return [topic for topic in every if topic]


def _filters() -> list[str]:
    words = ("a", "b", "+", "#", "$x", "")
    every = ["/".join(levels) for depth in (1, 2, 3) for levels in itertools.product(words, repeat=depth)]
    return [topic_filter for topic_filter in every if valid_filter(topic_filter)]


def test_a_pattern_covers_a_filter_exactly_when_it_matches_all_that_the_filter_matches() -> None:
    topics = _topics()
    matched = {
        topic_filter: frozenset(topic for topic in topics if matches(topic_filter, topic)) for topic_filter in _filters()
    }
    for (pattern, mine), (topic_filter, theirs) in itertools.product(matched.items(), repeat=2):
        if topic_filter == "/#" != pattern:
            # It matches its parent too, the empty topic, which does not exist: whoever covers the rest is told no.
            assert theirs <= mine or not covers(pattern, topic_filter)
        else:
            assert covers(pattern, topic_filter) is (theirs <= mine), (pattern, topic_filter)
