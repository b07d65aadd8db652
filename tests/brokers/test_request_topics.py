"""What the topics of requests through a broker say."""

import pytest

from adapters.brokers.request_topics import Asked, RequestTopics
from adapters.brokers.seldom import Seldom
from adapters.exchange import Carrier
from tests.exchange.stand_in import route


def published(path: str, guest: str = "visitor"):
    return route(path, method="PUBLISH", carrier=Carrier.MQTT, guest=guest)


TOPICS = RequestTopics(
    "site",
    "group",
    (
        published("/shared/request"),
        published("things/{id}/request"),
        published("things/{id}/request", ""),
        published("v1/me/state/request", ""),
        published("things/{id}/telemetry"),
        route("/things/{id}/request"),
    ),
)


def test_there_is_one_filter_for_each_number_of_levels() -> None:
    assert TOPICS.filters == tuple(f"$share/group/site/devices/+/-/{levels}/request" for levels in ("+", "+/+", "+/+/+"))
    assert TOPICS.fixed_filters == ("$share/group//shared/request",)
    assert TOPICS.guests == ("visitor",)


def test_a_topic_says_who_asks_for_what_and_where_the_answer_goes() -> None:
    asked = TOPICS.read("site/devices/c 1/-/things/a:b/request")
    assert asked == Asked("c 1", ("things/a:b/request", "/things/a:b/request"), "site/devices/c 1/-/things/a:b/response")


@pytest.mark.parametrize(
    "topic",
    [
        "/shared/request",
        "other/devices/c/-/shared/request",
        "site/devices/c/-/shared/response",
        "site/devices//-/shared/request",
        "site/devices/c/shared/request",
        "site/devices/c/x/shared/request",
        "site/devices/c/-/-/shared/request",
        "site/devices/c/-/things/-/request",
        "site/devices/c/request",
    ],
)
def test_what_is_not_a_clients_own_is_no_request(topic: str) -> None:
    assert TOPICS.read(topic) is None


def test_what_is_said_seldom_says_how_often_it_was() -> None:
    now = [0.0]
    lines: list[tuple[str, int, str]] = []

    def say(event: str, *, count: int, topic: str) -> None:
        lines.append((event, count, topic))

    seldom = Seldom(say, "happened", 60, lambda: now[0])
    for at, topic in ((0.0, "a"), (1.0, "b"), (59.0, "c"), (60.0, "d"), (61.0, "e"), (200.0, "f")):
        now[0] = at
        seldom(topic=topic)
    assert lines == [("happened", 1, "a"), ("happened", 3, "d"), ("happened", 2, "f")]
