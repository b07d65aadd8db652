"""What holds for every dialect, whatever a stranger sends."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.dialects import brokers, device_api, enos, operator, thingsboard, xively
from adapters.dialects.mainflux import FLAVOURS, DialectOptions, open_dialect
from adapters.exchange import Carrier, Decoded, Dialect, Inbound, Outbound, Peer, Route, Success
from adapters.router import Match, Router
from core.errors import Reason, Refusal
from core.messages import Identity
from core.model import CredentialId, DeviceId, Secret, TenantId
from tests.core.registry import KEY, SECRET
from tests.dialects.thingsboard_server import Server, request
from tests.fakes import START
from tests.thorough import often

BOOTSTRAP = [open_dialect(flavours[0], DialectOptions()) for flavours in FLAVOURS.values()]
ENOS = enos.open_dialect(enos.DialectOptions())
HIDDEN = "jpmwdn8ptlswmf4m29bw"
BROKERS = brokers.open_dialect(brokers.DialectOptions(Secret(HIDDEN)))
ALL: list[Dialect] = [thingsboard, *BOOTSTRAP, ENOS, xively, device_api, operator, BROKERS]


def one_for_each_operation(dialect: Dialect) -> list[Route]:
    """Return the routes to try: a dialect with hundreds of them has several for an operation, which it reads alike."""
    found = {(route.carrier, route.guest, route.operation): route for route in dialect.ROUTES}
    return list(found.values()) if dialect in BOOTSTRAP else list(dialect.ROUTES)


DIALECTS = [pytest.param(dialect, id=dialect.NAME) for dialect in ALL]
ROUTES = [
    pytest.param(dialect, route, id=f"{dialect.NAME} {route.carrier.value} {route.guest or 'any'} {route.method} {route.path}")
    for dialect in ALL
    for route in one_for_each_operation(dialect)
]
EXAMPLES = often(60, 200)
"""So many requests are made up for a dialect, and each of them is sent to each of its routes."""

REASONS = (Reason.MALFORMED, Reason.UNAUTHENTICATED)
MORE_REASONS = (*REASONS, Reason.UNSUPPORTED, Reason.NOT_FOUND, Reason.FORBIDDEN, Reason.MOVED, Reason.TOO_LARGE)
IDENTITY = Identity(TenantId("default"), DeviceId("d"), "meter-0042", CredentialId("c"))
SECRET_FIELDS = ("provisionDeviceSecret", "password", "token", "provision_secret")
FIELDS = (
    *SECRET_FIELDS,
    "provisionDeviceKey",
    "deviceName",
    "credentialsType",
    "hash",
    "clientId",
    "username",
    "gateway",
    "name",
    "profile",
    "strategy",
    "reprovision",
    "provision_key",
    "options",
    "metadata",
    "credential",
    "credentials",
    "type",
    "state",
    "enabled",
    "role",
    "rows",
    "devices",
    "clientid",
    "client_id",
    "topic",
    "topics",
    "action",
    "acc",
)

VALID = [
    msgspec.json.encode(
        {"deviceName": "meter-0042", "provisionDeviceKey": KEY, "provisionDeviceSecret": HIDDEN, "token": HIDDEN}
    ),
    msgspec.json.encode({"name": "meters", "strategy": "create_new", "provision_key": KEY, "provision_secret": HIDDEN}),
    msgspec.json.encode(
        {
            "name": "m1",
            "profile": "meters",
            "credential": {"type": "mqtt_basic", "client_id": "c", "username": "u", "password": HIDDEN},
            "metadata": {"a": [1, None, {"b": 2.5}]},
        }
    ),
    bytes.fromhex("0a0a6d657465722d30303432")  # protobuf: the name, the claim, MQTT credentials
    + b"\x1a\x2c\x0a\x14k3y0demo0demo0demo00\x12\x14"
    + HIDDEN.encode()
    + b"\x22\x1c\x1a\x1a\x0a\x01c\x12\x01u\x1a\x14"
    + HIDDEN.encode(),
    msgspec.json.encode(
        {"username": "u", "password": HIDDEN, "clientid": "c", "client_id": "c", "topic": "a", "action": "publish", "acc": 1}
    ),
    msgspec.json.encode({"client_id": "c", "topics": [{"topic": "a", "qos": 1}]}),
]
HOSTILE = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"token":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"metadata":' + b'{"a":' * 900 + b"1" + b"}" * 901,
    b'{"deviceName":"\\ud800","provisionDeviceKey":"k","provisionDeviceSecret":"s"}',
    b'{"deviceName":"\\udc00\\ud800"}',
    b'{"provisionDeviceKey":"\xff","provisionDeviceSecret":"s"}',
    b'{"provisionDeviceKey":"\xed\xa0\x80","provisionDeviceSecret":"s"}',
    b'{"\xff":1}',
    b'{"token":' + b"9" * 50_000 + b"}",
    b'{"provisionDeviceKey":1e999999,"provisionDeviceSecret":-0.0,"token":' + b"1" * 5_000 + b"}",
    b'{"gateway":NaN}',
    b'{"provisionDeviceKey":"k","provisionDeviceKey":{},"provisionDeviceSecret":"s","provisionDeviceSecret":[]}',
    b'{"deviceName":"a\\u0000b","provisionDeviceKey":"k\\u0000","provisionDeviceSecret":"s"}',
    b'{"credentialsType":"\\u0000"}',
    b"\xef\xbb\xbf{}",
    b"{}" * 1000,
    b'{"a":1}\x00',
    VALID[3][:-1],  # cut off within a text
    VALID[3][:20],
    b"\x1a\xff\xff\xff\xff\x0f",  # a length beyond the end
    b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a negative enumeration
    b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a number of too many bytes
    b"\x0a\x02\xff\xff",  # a text that is not UTF-8
    b"\x0b" * 200,  # groups within groups
    b"\x22\x82\x01" + b"\x22\x02" * 100,
]
QUICK = [content for content in HOSTILE if len(content) < 10_000]  # the others take long, and each goes to each route once


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a valid body with some of its bytes altered, cut out or put in."""
    content = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        match draw(st.integers(0, 2)):
            case 0:
                content[at : at + 1] = draw(st.binary(min_size=1, max_size=3))
            case 1:
                del content[at : at + draw(st.integers(1, 12))]
            case _:
                content[at:at] = draw(st.sampled_from([b'"', b"{", b"[", b"\\", b",", b"\x00", b"\xff", b"\\ud800", b"1e9"]))
    return bytes(content)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", " ", "true", "ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE", "create_new", "deny", "\x00", HIDDEN]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES, max_size=8).map(msgspec.json.encode)
BODIES = st.one_of(st.binary(max_size=200), mutated(), OBJECTS, VALUES.map(msgspec.json.encode), st.sampled_from(QUICK))
TEXTS = st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
QUERIES = st.dictionaries(
    st.sampled_from(["tenant", "after", "limit", "name", "profile", "state", "kind", "newest", "username", "vhost", "x"]),
    TEXTS,
    max_size=3,
)
KNOWN = {"authorization": f"Bearer {HIDDEN}"}
HOOKS = st.sampled_from(
    [f"{hook}{form}" for hook in ("auth_on_register", "auth_on_subscribe", "on_deliver") for form in ("", "_m5")]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "authorization": TEXTS | TEXTS.map("Bearer ".__add__) | st.just(KNOWN["authorization"]),
        "accept": TEXTS,
        "if-match": TEXTS,
        "vernemq-hook": HOOKS,
    },
)
TYPES = st.sampled_from([None, "application/json", "application/x-www-form-urlencoded"])
FORMS = st.sampled_from(["", "json", "protobuf"])


def inbound(route: Route, content: bytes, text: str = "x", form: str = "", **fields: Any) -> Inbound:
    """Return a request that took this route."""
    segments = [segment[1:-1] for segment in route.path.split("/") if segment.startswith("{")]
    return Inbound(
        carrier=route.carrier,
        method=route.method,
        path=route.path,
        peer=Peer("192.0.2.7", 4711),
        params=dict.fromkeys(segments, text),
        body=content,
        identity=IDENTITY if route.carrier is Carrier.MQTT and not route.guest else None,
        guest=route.guest,
        form=form,
        operation=route.operation,
        received_at=START,
        **fields,
    )


def refused(dialect: Dialect, route: Route, request: Inbound) -> Refusal | None:
    """Return how a request is refused, None where it is decoded; anything else that is raised passes."""
    try:
        assert isinstance(dialect.decode(route, request), Decoded)
    except Refusal as refusal:
        return refusal
    return None


@contextlib.contextmanager
def naming(route: Route, *tried: object) -> Iterator[None]:
    """Say which route it was, and what was tried there, where that fails."""
    try:
        yield
    except BaseException as fault:
        fault.add_note(" ".join((route.carrier.value, route.method, route.path, *(repr(each)[:80] for each in tried))))
        raise


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=EXAMPLES)
@given(content=BODIES, text=TEXTS.filter(bool), form=FORMS, query=QUERIES, headers=HEADERS, content_type=TYPES)
def test_a_request_is_decoded_or_refused_and_never_anything_else(
    dialect: Dialect,
    content: bytes,
    text: str,
    form: str,
    query: dict[str, str],
    headers: dict[str, str],
    content_type: str | None,
) -> None:
    raw_query = urlencode(query, errors="surrogatepass")
    for route in one_for_each_operation(dialect):
        with naming(route):
            request = inbound(
                route, content, text, form, query=query, raw_query=raw_query, headers=headers, content_type=content_type
            )
            refusal = refused(dialect, route, request)
            if refusal is not None:
                assert refusal.reason in (MORE_REASONS if dialect in (*BOOTSTRAP, ENOS, xively) else REASONS)
                assert isinstance(dialect.refuse(refusal, "", request), Outbound)


@pytest.mark.parametrize(("dialect", "route"), ROUTES)
def test_what_is_known_to_hurt_does_not(dialect: Dialect, route: Route) -> None:
    for content in HOSTILE:
        for headers in ({}, KNOWN) if dialect is BROKERS else ({},):
            with naming(route, content):
                request = inbound(route, content, headers=headers)
                refusal = refused(dialect, route, request)
                if refusal is not None:
                    assert isinstance(dialect.refuse(refusal, "", request), Outbound)


@pytest.mark.parametrize(("dialect", "route"), ROUTES)
def test_every_reason_can_be_refused_on_every_route_in_every_form(dialect: Dialect, route: Route) -> None:
    for reason, form, content in itertools.product(Reason, ("", "json", "protobuf"), (b"", *VALID)):
        with naming(route, reason, form, content):
            request = inbound(route, content, HIDDEN, form)
            answer = dialect.refuse(Refusal(reason, "no", check="any", retry_after=1.5), form, request)
            assert isinstance(answer, Outbound)
            assert HIDDEN not in repr(answer)
            # Some vendors say success and tell in the body that it is none; what is gone already is removed.
            if route.operation not in ("provision", "create_mapping", "remove_config") and dialect is not BROKERS:
                assert not isinstance(answer.outcome, Success)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=EXAMPLES)
@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
    secret=st.sampled_from(SECRET_FIELDS),
    wrap=st.sampled_from([lambda text: text, lambda text: [text], lambda text: {"a": text}, lambda text: {"password": text}]),
    hook=HOOKS,
)
def test_no_refusal_repeats_a_secret(dialect: Dialect, fields: dict[str, Any], secret: str, wrap: Any, hook: str) -> None:
    content = msgspec.json.encode(fields | {secret: wrap(HIDDEN)})
    for route in one_for_each_operation(dialect):
        with naming(route):
            request = inbound(route, content, headers=KNOWN | {"vernemq-hook": hook})
            refusal = refused(dialect, route, request)
            if refusal is not None:
                assert HIDDEN not in refusal.detail
                assert HIDDEN not in repr(dialect.refuse(refusal, "", request))


@settings(deadline=None, max_examples=200)
@given(content=BODIES, carrier=st.sampled_from(Carrier), form=FORMS)
@example(content=VALID[0].replace(HIDDEN.encode(), SECRET.encode()), carrier=Carrier.HTTP, form="")
def test_no_body_breaks_the_way_through_the_core(content: bytes, carrier: Carrier, form: str) -> None:
    async def ask() -> tuple[Outbound, list[str]]:
        server = Server()
        await server.registry.profile()
        answer = await server.answer(request(carrier, content.replace(HIDDEN.encode(), SECRET.encode()), form=form))
        return answer, await server.checks()

    answer, checks = asyncio.run(ask())
    # A field that is wrong ends an MQTT connection with the words of an internal error, and is recorded; a fault is not.
    assert answer.outcome is not Reason.INTERNAL or checks == ["body.field"]


def test_all_dialects_fit_beside_each_other() -> None:
    router = Router(ALL)
    for dialect in ALL:
        for route in dialect.ROUTES:
            path = route.path.replace("{", "").replace("}", "")
            asked = msgspec.structs.replace(inbound(route, b""), path=path)
            found = router.find(asked)
            assert isinstance(found, Match)
            assert found.dialect is dialect


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_guests_routes_have_a_guest_and_its_subscriptions_stay_beneath_a_path_of_its_own(dialect: Dialect) -> None:
    guests = {guest.name: guest for guest in dialect.GUESTS}
    assert {route.guest for route in dialect.ROUTES if route.guest} <= set(guests)
    assert all(guest.login for guest in guests.values())
    for guest in guests.values():
        for topic in guest.subscriptions:
            assert "#" not in topic
            assert topic.split("/")[0] != "+"
