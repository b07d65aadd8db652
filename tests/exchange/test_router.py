import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.exchange import Carrier, Route
from adapters.router import AmbiguousRoutesError, Match, Miss, Router
from tests.exchange.stand_in import StandIn, inbound, route


def router(*routes: Route) -> Router:
    return Router([StandIn(*routes)])


def found(router: Router, path: str, method: str = "GET") -> tuple[str, dict[str, str]]:
    match = router.find(inbound(path, method=method))
    assert isinstance(match, Match)
    return match.route.operation, match.params


def test_a_literal_path_is_found() -> None:
    assert found(router(route("/v1/devices", "list")), "/v1/devices") == ("list", {})


def test_a_template_captures_whole_segments() -> None:
    one = router(route("/api/v1/{token}/attributes/{id}", "read"))
    assert found(one, "/api/v1/abc/attributes/7") == ("read", {"token": "abc", "id": "7"})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/api/v1",
        "/api/v1/",
        "/api/v1//telemetry",
        "/api/v1/a/telemetry/",
        "/api/v1/a/b/telemetry",
        "api/v1/a/telemetry",
    ],
)
def test_what_does_not_fit_is_not_found(path: str) -> None:
    assert router(route("/api/v1/{token}/telemetry")).find(inbound(path)) == Miss()


def test_a_captured_segment_may_hold_anything_but_a_slash() -> None:
    text = "a b{token}%2e..é"
    assert found(router(route("/{token}/x", "ask")), f"/{text}/x") == ("ask", {"token": text})


def test_a_literal_segment_wins_over_a_captured_one() -> None:
    both = router(route("/v1/{domain}/channels", "captured"), route("/v1/all/channels", "literal"))
    assert found(both, "/v1/all/channels") == ("literal", {})
    assert found(both, "/v1/mine/channels") == ("captured", {"domain": "mine"})


def test_among_templates_the_one_wins_that_is_literal_leftmost() -> None:
    routes = [
        route("/x/{b}/c", "one"),
        route("/x/{b}/{c}", "two"),
        route("/{a}/{b}/c", "three"),
        route("/{a}/{b}/{c}", "four"),
    ]
    for order in (routes, routes[::-1]):
        assert found(router(*order), "/x/y/c")[0] == "one"
        assert found(router(*order), "/x/y/d")[0] == "two"
        assert found(router(*order), "/z/y/c")[0] == "three"
        assert found(router(*order), "/z/y/d")[0] == "four"


def test_methods_of_one_path_are_told_apart() -> None:
    several = router(
        route("/v1/{id}", "read"), route("/v1/{id}", "delete", method="DELETE"), route("/v1/x", "make", method="POST")
    )
    assert found(several, "/v1/7")[0] == "read"
    assert found(several, "/v1/7", "DELETE")[0] == "delete"
    assert found(several, "/v1/x", "POST")[0] == "make"


def test_a_known_path_with_another_method_is_told_with_its_methods() -> None:
    plain = StandIn(route("/v1/{id}", "read"), route("/v1/{id}", "delete", method="DELETE"))
    assert Router([plain]).find(inbound("/v1/7", method="PUT")) == Miss(plain, "read", ("DELETE", "GET"))


def test_the_most_literal_template_decides_for_all_of_its_methods() -> None:
    plain = StandIn(route("/{domain}/configs/{id}", "read"), route("/{domain}/{kind}/{id}", "delete", method="DELETE"))
    assert Router([plain]).find(inbound("/d/configs/7", method="DELETE")) == Miss(plain, "read", ("GET",))
    assert found(Router([plain]), "/d/clients/7", "DELETE")[0] == "delete"


def test_a_literal_path_decides_for_all_of_its_methods() -> None:
    plain = StandIn(route("/v1/{id}", "read"), route("/v1/provision", "provision", method="POST"))
    assert Router([plain]).find(inbound("/v1/provision")) == Miss(plain, "provision", ("POST",))


def test_carriers_and_guests_do_not_share_paths() -> None:
    mine = router(
        route("/p", "http"),
        route("/p", "coap", carrier=Carrier.COAP),
        route("/p", "device", carrier=Carrier.MQTT),
        route("/p", "guest", carrier=Carrier.MQTT, guest="visitor"),
        route("/{x}", "other guest", carrier=Carrier.MQTT, guest="other"),
    )
    operations = [
        mine.find(inbound("/p", carrier=carrier, guest=guest))
        for carrier, guest in [
            (Carrier.HTTP, ""),
            (Carrier.COAP, ""),
            (Carrier.MQTT, ""),
            (Carrier.MQTT, "visitor"),
            (Carrier.MQTT, "other"),
        ]
    ]
    assert [match.route.operation for match in operations if isinstance(match, Match)] == [
        "http",
        "coap",
        "device",
        "guest",
        "other guest",
    ]
    assert mine.find(inbound("/p", carrier=Carrier.MQTT, guest="nobody")) == Miss()


def test_the_match_names_its_dialect() -> None:
    first, second = StandIn(route("/a"), name="first"), StandIn(route("/b"), name="second")
    match = Router([first, second]).find(inbound("/b"))
    assert match.dialect is second


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/v1/devices", "/v1/devices"),
        ("/v1/{id}", "/v1/{token}"),
        ("/{a}/x/{c}", "/{b}/x/{d}"),
        ("/{a}", "/{b}"),
    ],
)
def test_routes_that_could_be_confused_stop_the_start(first: str, second: str) -> None:
    with pytest.raises(AmbiguousRoutesError, match="two of them could be meant by"):
        router(route(first), route(second))
    with pytest.raises(AmbiguousRoutesError):
        Router([StandIn(route(second)), StandIn(route(first))])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/v1/{id}", "/v1/x"),
        ("/{a}/x", "/{a}/y"),
        ("/{a}/x", "/{a}/x/z"),
        ("/x/{b}/z", "/y/{b}/{c}"),
        ("/{a}/{b}", "/x/{b}"),
        ("/{a}/x", "/y/{b}"),
        ("/{a}/x/{c}", "/y/{b}/z"),
    ],
)
def test_routes_that_could_not_do_not(first: str, second: str) -> None:
    router(route(first), route(second))
    router(route(second), route(first))


def test_the_same_template_with_another_method_carrier_or_guest_is_no_confusion() -> None:
    router(
        route("/v1/{id}"),
        route("/v1/{id}", method="POST"),
        route("/v1/{id}", carrier=Carrier.COAP),
        route("/v1/{id}", guest="visitor"),
    )


def test_the_message_names_both_routes_and_the_carrier() -> None:
    with pytest.raises(AmbiguousRoutesError) as error:
        router(route("/v1/{id}"), route("/v1/{token}"))
    assert str(error.value) == "two of them could be meant by GET /v1/{id} and GET /v1/{token} over http"
    with pytest.raises(AmbiguousRoutesError) as error:
        router(route("/v1/{id}"), route("/v1/{id}"))
    assert str(error.value) == "two of them could be meant by GET /v1/{id} over http"


@given(path=st.text())
def test_any_path_is_found_or_missed(path: str) -> None:
    several = router(route("/api/v1/provision"), route("/api/v1/{token}/telemetry"), route("/{a}"))
    assert isinstance(several.find(inbound(path)), Match | Miss)
