"""Operators of Mainflux and Magistrala: the order of checks, the words for every fault, and what nobody's bytes can do."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialects.mainflux import FLAVOURS, DialectOptions, open_dialect
from adapters.dialects.mainflux import operations as op
from adapters.exchange import Carrier, Dialect, Inbound, Outbound, Peer, Route, Success
from adapters.router import Router
from core.errors import Reason, Refusal
from core.model import Secret, TenantId
from core.operate.configuring import CreateConfig, CreateMapping, Layout, LayoutPart, ListConfigs
from core.operate.messages import Operation, Unreadable
from tests.dialects.mainflux_asking import IDENTITY, NAMES, decoded, dialect, entity, request

CHECKED = {
    Reason.NOT_FOUND: (
        "bootstrap.unknown",
        "bootstrap.secure_off",
        "tenant.unknown",
        "config.unknown",
        "channel.unknown",
        "client.unknown",
        "config.client_unknown",
        "request.path",
    ),
    Reason.FORBIDDEN: (
        "bootstrap.key",
        "bootstrap.hex",
        "bootstrap.short",
        "bootstrap.device_disabled",
        "bootstrap.device_discarded",
        "bootstrap.device_revoked",
        "identity.other",
        "role",
        "tenant.other",
    ),
    Reason.UNAUTHENTICATED: ("bearer.missing", "bearer.unknown", "device.key_missing", "external_key.missing"),
    Reason.TOO_MANY: ("limit.bootstrap", "limit.bearer"),
    Reason.CONFLICT: (
        "external_id",
        "config_device",
        "config_name",
        "credential_lookup",
        "device_limit",
        "version",
        "reference",
        "channel.id_taken",
        "client.id_taken",
    ),
    Reason.MALFORMED: (
        "config.channel_unknown",
        "config.length",
        "channel.length",
        "client.length",
        "channel.characters",
        "metadata.depth",
        "metadata.size",
        "body.json",
        "query.number",
        "query.escape",
        "query.limit",
        "list.empty",
        "external_id.missing",
        "name.missing",
        "channels.missing",
        "channels.empty_id",
        "state.value",
        "secret.missing",
        "device.id_missing",
    ),
    Reason.UNSUPPORTED: ("content.type",),
    Reason.NOT_ALLOWED: ("request.method",),
    Reason.MOVED: ("request.slash",),
    Reason.TOO_LARGE: ("http.body_bytes", "http.path_bytes"),
    Reason.UNAVAILABLE: ("requests.pending", "registry.conflict"),
    Reason.INTERNAL: ("internal",),
}
REFUSALS = [Refusal(reason, "these words", check=check) for reason, checks in CHECKED.items() for check in checks]
BOUNDS = ("config.length", "channel.length", "client.length", "channel.characters", "metadata.depth", "metadata.size")
OPERATIONS = sorted({value for name, value in vars(op).items() if name.isupper() and isinstance(value, str)})


def inbound(operation: str = "", carrier: Carrier = Carrier.HTTP) -> Inbound:
    """Return a request that is to be refused."""
    path = "things/bootstrap/e/request" if carrier is Carrier.MQTT else "/things/configs/é x/"
    return Inbound(carrier=carrier, method="GET", path=path, peer=Peer("192.0.2.7"), operation=operation, raw_query="a=1")


def refusing(flavour: str, refusal: Refusal, operation: str = "", **options: Any) -> Outbound:
    """Return the answer to a refusal."""
    return dialect(flavour, **options).refuse(refusal, "", inbound(operation))


@pytest.mark.parametrize("flavour", NAMES)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.check)
def test_every_fault_has_words_on_every_operation_over_every_protocol(flavour: str, refusal: Refusal) -> None:
    spoken = dialect(flavour)
    asked = [(operation, Carrier.HTTP) for operation in ("", *OPERATIONS)]
    asked += [(operation, carrier) for operation in ("", *op.DEVICE) for carrier in (Carrier.COAP, Carrier.MQTT)]
    for operation, carrier in asked:
        answer = spoken.refuse(refusal, "", inbound(operation, carrier))
        assert answer.outcome is not Success.OK
        assert bool(answer.body) == bool(answer.content_type)
        assert answer.topic == ("things/bootstrap/e/response" if carrier is Carrier.MQTT else None)
        if answer.body and answer.content_type != "text/plain; charset=utf-8":
            members = msgspec.json.decode(answer.body, type=dict[str, str | None])
            assert any(members.values())
        if refusal.check in BOUNDS:
            assert b"malformed entity specification" in answer.body


@pytest.mark.parametrize("flavour", NAMES)
@pytest.mark.parametrize("reason", Reason)
def test_a_fault_that_no_table_knows_keeps_its_outcome(flavour: str, reason: Reason) -> None:
    answer = refusing(flavour, Refusal(reason, "these words", check="any"))
    assert answer.outcome is reason
    assert (b"malformed entity specification" if reason is Reason.MALFORMED else b"these words") in answer.body


@pytest.mark.parametrize("flavour", NAMES)
def test_a_redirect_goes_to_the_path_without_its_slash(flavour: str) -> None:
    answer = refusing(flavour, Refusal(Reason.MOVED, "", check="request.slash"))
    assert (answer.outcome, answer.body) == (Reason.MOVED, b"")
    assert answer.headers == (("Location", "/things/configs/%C3%A9%20x?a=1"),)
    asked = Inbound(
        carrier=Carrier.HTTP, method="GET", path="/a/b\r\n/c\ud800/", peer=Peer(""), segments=("", "a", "b\r\n/c\ud800", "")
    )
    answer = dialect(flavour).refuse(Refusal(Reason.MOVED, "", check="request.slash"), "", asked)
    assert answer.headers == (("Location", "/a/b%0D%0A%2Fc%3F"),)


@pytest.mark.parametrize(
    ("flavour", "reason"),
    [
        ("mf-raw", Reason.CONFLICT),
        ("mf-thing", Reason.CONFLICT),
        ("mg-thing", Reason.CONFLICT),
        ("mg-client", Reason.MALFORMED),
        ("mg-things-domain", Reason.MALFORMED),
        ("mg-client-0.20", Reason.UNPROCESSABLE),
    ],
)
def test_the_documented_codes_stand_beside_the_real_ones(flavour: str, reason: Reason) -> None:
    taken = Refusal(Reason.CONFLICT, "", check="external_id")
    real = refusing(flavour, taken, op.CREATE_CONFIG)
    documented = refusing(flavour, taken, op.CREATE_CONFIG, documented_codes=True)
    assert (real.outcome, documented.outcome) == (reason, Reason.CONFLICT)
    assert real.body == documented.body
    unknown = Refusal(Reason.NOT_FOUND, "", check="config.unknown")
    assert refusing(flavour, unknown, op.SHOW_CONFIG, documented_codes=True).outcome is Reason.NOT_FOUND
    assert refusing(flavour, unknown, op.CHANGE_STATE, documented_codes=True).outcome is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("flavour", "label"),
    [
        ("mf-raw", ""),
        ("mf-thing", ""),
        ("mg-thing", ""),
        ("mg-things-domain", "Bootstrapped Thing {id}"),
        ("mg-client", "Bootstrapped Client {id}"),
        ("mg-client-0.20", "Bootstrapped Client {id}"),
    ],
)
def test_how_a_device_is_called_that_comes_with_its_configuration(flavour: str, label: str) -> None:
    domain = "/home" if flavour in FLAVOURS["magistrala"] else ""
    operation = decoded(
        dialect(flavour),
        Carrier.HTTP,
        "POST",
        f"{domain}/{entity(flavour)}/configs",
        headers={"authorization": "Bearer t"},
        content_type="application/json",
        body=b'{"external_id":"e","external_key":"k","channels":["c"]}',
    )
    assert isinstance(operation.command, CreateConfig)
    assert operation.command.label == label


def test_the_api_key_stands_in_for_a_token_where_things_are_provisioned() -> None:
    body, headers = b'{"external_id":"e","external_key":"k","name":"n"}', {"authorization": "Bearer mine"}
    layout = Layout(clients=(LayoutPart(name="a"),), channels=(LayoutPart(name="b"),), content="text")
    for flavour, path in (("mf-thing", "/mapping"), ("mg-client", "/home/mapping")):
        spoken = dialect(flavour, api_key=Secret("key"), layout=layout)
        asked = {"body": body, "content_type": "application/json"}
        operation = decoded(spoken, Carrier.HTTP, "POST", path, **asked)
        assert isinstance(operation.command, CreateMapping)
        assert (operation.bearer, operation.command.layout) == (Secret("key"), layout)
        assert decoded(spoken, Carrier.HTTP, "POST", path, headers=headers, **asked).bearer == Secret("mine")
        with pytest.raises(Refusal, match="bearer"):
            decoded(spoken, Carrier.HTTP, "GET", path, content_type="application/json")


def test_what_the_layout_says_is_shown_as_it_is() -> None:
    for content, shown in (("", b"null\n"), ('{"b":1,"a":"<"}', b'{"a":"\\u003c","b":1}\n'), ("plain", b'"plain"\n')):
        layout = Layout(clients=(), channels=(), content=content)
        _, asked = request(dialect("mf-thing"), Carrier.HTTP, "GET", "/mapping")
        assert dialect("mf-thing").encode(layout, "", asked).body == shown


@pytest.mark.parametrize("flavour", NAMES)
def test_whom_a_command_is_for(flavour: str) -> None:
    domain = "/home" if flavour in FLAVOURS["magistrala"] else ""
    path, headers = f"{domain}/{entity(flavour)}/configs", {"authorization": "Bearer t"}
    operation = decoded(dialect(flavour), Carrier.HTTP, "GET", path, headers=headers, raw_query="name=a")
    assert operation == Operation(Secret("t"), TenantId("home") if domain else None, ListConfigs(name="a", limit=10))
    fault = {"headers": headers, "raw_query": "limit=x"}
    if domain:
        unread = decoded(dialect(flavour), Carrier.HTTP, "GET", path, **fault)
        assert isinstance(unread.command, Unreadable)
        assert unread.command.refusal.check == "query.number"
    else:
        with pytest.raises(Refusal):
            decoded(dialect(flavour), Carrier.HTTP, "GET", path, **fault)


@pytest.mark.parametrize("flavour", NAMES)
def test_the_paths_of_the_next_generation_are_free(flavour: str) -> None:
    prefix = f"{'/home' if flavour in FLAVOURS['magistrala'] else ''}/{entity(flavour)}"
    for method, path in (
        ("PATCH", "configs/x"),
        ("POST", "configs/x/enable"),
        ("POST", "configs/x/disable"),
        *(("GET", f"bootstrap/profiles{more}") for more in ("", "/upload", "/x", "/x/slots") if prefix.startswith("/home")),
    ):
        asked = Inbound(carrier=Carrier.HTTP, method=method, path=f"{prefix}/{path}", peer=Peer(""))
        assert not hasattr(Router([dialect(flavour)]).find(asked), "route")


def test_there_is_no_other_flavour() -> None:
    assert FLAVOURS == {
        "mainflux": ("mf-thing", "mf-raw", "mg-thing"),
        "magistrala": ("mg-client", "mg-client-0.20", "mg-things-domain"),
    }
    assert {open_dialect(name, DialectOptions()).NAME for name in FLAVOURS["magistrala"]} == {"magistrala"}
    with pytest.raises(KeyError):
        open_dialect("mf-cooked", DialectOptions())


TEXTS = st.text(alphabet=st.characters(exclude_categories=()), min_size=1, max_size=12)
FIELDS = (
    "external_id",
    "External_Key",
    "channels",
    "name",
    "content",
    "state",
    "metadata",
    "credentials",
    "key",
    "authorization",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


def hostile(size: int) -> tuple[bytes, ...]:
    return (
        b"[" * 200 * size,
        b'{"metadata":' + b'{"a":' * 5 * size,
        b'{"state":' + b"9" * 50 * size + b"}",
        b'{"metadata":{"a":1e400}}',
        b'{"name":"\xff\xfe\xed\xa0\x80"}',
        b'{"name":"\\ud800\\u0000"}',
        b"\x00" * 100,
        b'{"channels":[' + b'"a",' * 20 * size + b'"b"]}',
        b'"' + b"\\" * (40 * size + 1) + b'"',
    )


BODIES = st.binary(max_size=60) | JSON.map(lambda value: msgspec.json.encode(value)) | st.sampled_from(hostile(20))
QUERIES = st.text(alphabet="limtofse=&%20;+9-x\x00é\ud800", max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "accept"]), TEXTS | TEXTS.map("Bearer ".__add__) | TEXTS.map("Thing ".__add__)
)


@pytest.mark.parametrize("flavour", NAMES)
@settings(deadline=None, max_examples=40)
@given(
    body=BODIES,
    text=TEXTS,
    query=QUERIES,
    headers=HEADERS,
    content_type=st.sampled_from(["application/json", None]) | TEXTS,
)
def test_a_request_is_read_or_refused_and_never_anything_else(
    flavour: str, body: bytes, text: str, query: str, headers: dict[str, str], content_type: str | None
) -> None:
    spoken = dialect(flavour)
    read_alike = {(route.carrier, route.guest, route.operation): route for route in spoken.ROUTES}
    for route in read_alike.values():
        read_or_refuse(spoken, inbound_on(route, body, text, query, headers, content_type), route)


@pytest.mark.parametrize("flavour", NAMES)
def test_a_large_body_does_no_harm(flavour: str) -> None:
    spoken = dialect(flavour)
    ways = {(route.carrier, route.guest, route.method): route for route in spoken.ROUTES}
    for route, body in itertools.product(ways.values(), hostile(1_000)):
        read_or_refuse(spoken, inbound_on(route, body, "x", "", {}, "application/json"), route)


def inbound_on(route: Route, body: bytes, text: str, query: str, headers: dict[str, str], content_type: str | None) -> Inbound:
    segments = [segment[1:-1] for segment in route.path.split("/") if segment.startswith("{")]
    return Inbound(
        carrier=route.carrier,
        method=route.method,
        path=route.path,
        peer=Peer("192.0.2.7"),
        params=dict.fromkeys(segments, text),
        query={"auth": text},
        raw_query=query,
        headers=headers,
        content_type=content_type,
        body=body,
        identity=None if route.guest else IDENTITY,
        guest=route.guest,
        operation=route.operation,
    )


def read_or_refuse(spoken: Dialect, asked: Inbound, route: Route) -> None:
    """Show that one or the other happens; whatever else is raised names its route."""
    try:
        message = spoken.decode(route, asked).message
    except Refusal as refusal:
        answer = spoken.refuse(refusal, "", asked)
        assert not isinstance(answer.outcome, Success)
    except Exception as fault:
        fault.add_note(f"{route.carrier.value} {route.method} {route.path}")
        raise
    else:
        assert isinstance(repr(message).encode("utf-8", "strict"), bytes)
