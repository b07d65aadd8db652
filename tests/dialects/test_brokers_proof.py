"""How a broker proves itself, whatever it asks, and what holds for all that is asked."""

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialects import brokers
from adapters.exchange import Carrier, Decoded, Inbound, Outbound, Peer, Route, Success
from core.errors import Reason, Refusal
from core.messages import Context
from core.model import EventKind, Secret
from tests.dialects.brokers_server import SECRET, serving

DIALECT = brokers.open_dialect(brokers.DialectOptions(Secret(SECRET)))
POSTED = [route for route in DIALECT.ROUTES if route.method == "POST"]
FORM = "application/x-www-form-urlencoded"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": f"Bearer {SECRET}"}, ""),
        ({"Authorization": f"bearer  {SECRET} "}, ""),
        ({"Authorization": basic(f"firstlight:{SECRET}")}, ""),
        ({"Authorization": basic(f":{SECRET}")}, "?secret=wrong"),
        ({}, f"?secret={SECRET}"),
        ({}, f"?a=b&secret={SECRET}"),
    ],
)
async def test_a_secret_comes_in_the_header_or_the_url(headers: dict[str, str], query: str) -> None:
    async with serving() as broker:
        broker.headers = headers
        assert (await broker.form(f"rabbitmq/user{query}", {"username": "u", "password": "p"})).status == 200
        assert (await broker.json(f"goauth/superuser{query}", {"username": "u"})).status == 403


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Authorization": "Bearer wrong"}, ""),
        ({"Authorization": f"Bearer {SECRET}x"}, f"?secret={SECRET}"),
        ({"Authorization": "Bearer"}, f"?secret={SECRET}"),
        ({"Authorization": basic(SECRET)}, ""),
        ({"Authorization": basic(f"{SECRET}:")}, ""),
        ({"Authorization": "Basic ?"}, ""),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}, ""),
        ({"Authorization": f"Digest {SECRET}"}, ""),
        ({}, "?secret="),
        ({}, f"?secret={SECRET}x"),
        ({}, f"?Secret={SECRET}"),
        ({}, "?" + "&".join(f"f{number}=1" for number in range(70)) + f"&secret={SECRET}"),
        ({}, "?secret=%ff"),
    ],
    ids=range(14),
)
async def test_without_the_secret_everybody_is_told_the_same(headers: dict[str, str], query: str) -> None:
    async with serving() as broker:
        broker.headers = headers
        for route in POSTED:
            answer = await broker.json(route.path.removeprefix("/v1/broker/") + query, {"username": "u", "password": "p"})
            assert (answer.status, answer.document) == (401, {"detail": "the broker's secret is missing or wrong"})
            assert answer.headers["www-authenticate"].startswith("Bearer")
        events = await broker.fleet.registry.events()
        assert {(event.kind, event.check) for event in events} == {(EventKind.REQUEST_REFUSED, "broker.secret")}
        assert SECRET not in repr(events)


async def test_no_password_and_no_query_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as broker:
        await broker.form("rabbitmq/user?secret=hidden-query", {"username": "u", "password": "hidden-password"})
        broker.headers = {}
        await broker.form("rabbitmq/user?secret=hidden-query", {"username": "u", "password": "hidden-password"})
        await broker.send("GET", "rabbitmq/user?secret=hidden-query&username=hidden-user&password=hidden-password")
        logged = capsys.readouterr()
        assert "request refused" in logged.out
        assert "hidden" not in logged.out + logged.err
        assert "hidden" not in repr(await broker.fleet.registry.events())


TEXTS = st.text(alphabet=st.characters(exclude_categories=()), max_size=12)
FIELDS = ("username", "password", "clientid", "client_id", "topic", "action", "acc", "topics", "vhost", "name", "permission")
VALUES = st.recursive(
    TEXTS | st.none() | st.integers(0, 9) | st.sampled_from(["publish", "read", "write", "/", "amq.topic"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=2),
    max_leaves=4,
)


def encoded(document: Any) -> bytes:

    return json.dumps(document).encode()


BODIES = (
    st.binary(max_size=60)
    | st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6).map(encoded)
    | st.lists(st.sampled_from([b"username=u", b"topic=%ff", b"&", b"=", b"%", b"acc=2", b"vhost=%2F", b"name=x"])).map(
        b"&".join
    )
)
HOOKS = st.sampled_from(["auth_on_register", "auth_on_subscribe_m5", "auth_on_publish", "on_unsubscribe", "on_deliver_m5", ""])


def inbound(route: Route, body: bytes, hook: str = "", content_type: str | None = None, raw_query: str = "") -> Inbound:
    headers = {"authorization": f"Bearer {SECRET}", "vernemq-hook": hook}
    return Inbound(
        carrier=Carrier.HTTP,
        method=route.method,
        path=route.path,
        peer=Peer("192.0.2.7"),
        headers=headers,
        content_type=content_type,
        body=body,
        raw_query=raw_query,
        operation=route.operation,
    )


def refused(route: Route, asked: Inbound) -> Refusal | None:
    """Return how a question is refused, None where it is read; anything else that is raised passes."""
    try:
        assert isinstance(DIALECT.decode(route, asked), Decoded)
    except Refusal as refusal:
        return refusal
    return None


@pytest.mark.parametrize("route", DIALECT.ROUTES, ids=lambda route: f"{route.method} {route.operation}")
@settings(deadline=None, max_examples=80)
@given(body=BODIES, hook=HOOKS, content_type=st.sampled_from([None, FORM, "application/json"]), raw_query=TEXTS)
def test_a_question_is_read_or_refused_and_never_anything_else(
    route: Route, body: bytes, hook: str, content_type: str | None, raw_query: str
) -> None:
    asked = inbound(route, body, hook, content_type, raw_query)
    refusal = refused(route, asked)
    if refusal is not None:
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "broker.question")
        assert isinstance(DIALECT.refuse(refusal, "", asked), Outbound)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("route", DIALECT.ROUTES, ids=lambda route: f"{route.method} {route.operation}")
def test_no_is_said_so_that_the_vendor_understands_it(route: Route, reason: Reason) -> None:
    answer = DIALECT.refuse(Refusal(reason, "hidden", check="any"), "", inbound(route, b"x"))
    assert ("Cache-Control", "no-store") in answer.headers
    if route.operation.startswith("goauth"):
        assert answer.outcome is (Reason.FORBIDDEN if reason is Reason.UNAUTHENTICATED else reason)
    else:
        assert answer.outcome is Success.OK
        assert answer.body in (b'{"result":"deny"}', b'{"result":{"error":"not_allowed"}}', b"deny")


def test_declined_is_declined() -> None:
    asked = brokers.Declined(detail="no", check="broker.superuser")
    with pytest.raises(Refusal) as refusal:
        asyncio.run(brokers.decline(asked, Context("c", "http", "brokers", "192.0.2.7")))
    assert (refusal.value.reason, refusal.value.check) == (Reason.FORBIDDEN, "broker.superuser")
