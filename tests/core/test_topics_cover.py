import pytest

from core.topics import covers


@pytest.mark.parametrize(
    ("pattern", "topic_filter"),
    [
        ("a/b", "a/b"),
        ("a/+", "a/b"),
        ("a/+", "a/+"),
        ("a/#", "a/b/c"),
        ("a/#", "a/#"),
        ("a/#", "a/+/c"),
        ("a/#", "a"),
        ("#", "a/b"),
        ("#", "#"),
        ("#", "+/#"),
        ("+/#", "#"),
        ("+/+", "a/b"),
        ("$SYS/#", "$SYS/uptime"),
        ("", ""),
        ("a//b", "a//b"),
        ("a/+/b", "a//b"),
    ],
)
def test_filters_that_ask_for_no_more_than_the_pattern_grants(pattern: str, topic_filter: str) -> None:
    assert covers(pattern, topic_filter)


@pytest.mark.parametrize(
    ("pattern", "topic_filter"),
    [
        ("a/b", "a/c"),
        ("a/b", "a/+"),
        ("a/b", "a/#"),
        ("a/b", "a"),
        ("a/b", "a/b/c"),
        ("a/+", "a/b/c"),
        ("a/+", "a/#"),
        ("a/+", "a"),
        ("a/#", "b"),
        ("a/#", "#"),
        ("+/#", "$SYS/uptime"),
        ("#", "$SYS/uptime"),
        ("#", "$SYS/#"),
        ("a/#", "+/b"),
        ("A", "a"),
    ],
)
def test_filters_that_ask_for_more(pattern: str, topic_filter: str) -> None:
    assert not covers(pattern, topic_filter)
