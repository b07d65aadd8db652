import pytest

from core.errors import Reason, Refusal
from core.limits import Buckets, Rate, require, source_of


def test_a_burst_passes_and_the_next_one_waits_for_its_token() -> None:
    buckets = Buckets(Rate(2.0, 3.0))
    assert [buckets.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_whoever_waits_as_told_gets_through() -> None:
    buckets = Buckets(Rate(2.0, 1.0))
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.25) == 0.25
    assert buckets.take("a", 0.5) == 0.0


def test_refused_attempts_do_not_push_the_next_one_away() -> None:
    buckets = Buckets(Rate(1.0, 1.0))
    buckets.take("a", 0.0)
    assert [buckets.take("a", 0.5) for _ in range(5)] == [0.5] * 5
    assert buckets.take("a", 1.0) == 0.0


def test_a_long_pause_fills_the_burst_and_no_more() -> None:
    buckets = Buckets(Rate(1.0, 2.0))
    for _ in range(2):
        buckets.take("a", 0.0)
    assert [buckets.take("a", 1e9) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_keys_do_not_share() -> None:
    buckets = Buckets(Rate(1.0, 1.0))
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0


def test_waiting_is_told_without_taking() -> None:
    buckets = Buckets(Rate(1.0, 1.0))
    assert [buckets.wait("a", 0.0) for _ in range(3)] == [0.0] * 3
    buckets.take("a", 0.0)
    assert [buckets.wait("a", 0.25) for _ in range(3)] == [0.75] * 3


def test_a_rate_of_zero_is_no_limit() -> None:
    buckets = Buckets(Rate(0.0, 1.0))
    assert {buckets.take("a", 0.0) for _ in range(100)} == {0.0}
    assert buckets.wait("a", 0.0) == 0.0


def test_beyond_the_bound_the_longest_unused_key_is_forgiven() -> None:
    buckets = Buckets(Rate(1.0, 1.0), entries=2)
    buckets.take("a", 0.0)
    buckets.take("b", 0.0)
    buckets.take("a", 0.0)
    buckets.take("c", 0.0)
    assert buckets.wait("b", 0.0) == 0.0
    assert buckets.wait("a", 0.0) == 1.0
    assert buckets.wait("c", 0.0) == 1.0


def test_no_wait_is_required_of_nobody() -> None:
    require(0.0, "limit.source")


def test_a_wait_is_a_refusal_that_says_how_long() -> None:
    with pytest.raises(Refusal) as refused:
        require(1.5, "limit.source")
    assert (refused.value.reason, refused.value.check, refused.value.retry_after) == (Reason.TOO_MANY, "limit.source", 1.5)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("2001:db8:1:2::9", "20010db800010002"),
        ("fe80::1%eth0", "fe800000000000000000000000000001"),
        ("fe80::2", "fe800000000000000000000000000002"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_what_counts_as_one_source(address: str, source: str) -> None:
    assert source_of(address) == source
