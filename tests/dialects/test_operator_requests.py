"""What operators may send, and what they are told where they may not."""

import json
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialects import operator
from adapters.exchange import NOTHING, Carrier, Decoded, Inbound, Peer, Route
from adapters.router import Match, Router
from core.errors import Reason, Refusal
from core.messages import ClientCertificates, Lwm2m
from core.model import ClaimRate, DeviceState, EventKind, Reprovision, Role, Secret, Strategy, Verdict
from core.operate import Operation, approving, claim_rules, configuring, messages
from tests.dialects.associating_requests import ASSOCIATING
from tests.dialects.issuing_requests import ISSUING

ROUTER = Router((operator,))


def decode(
    method: str, path: str, body: bytes | object = b"", query: Mapping[str, str] = NOTHING, token: str = "Bearer T"
) -> Decoded:
    """Find the route of a request and read it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    inbound = Inbound(
        carrier=Carrier.HTTP,
        method=method,
        path=path,
        peer=Peer("192.0.2.1"),
        query=query,
        headers={"authorization": token} if token else {},
        body=content,
    )
    found = ROUTER.find(inbound)
    assert isinstance(found, Match)
    return operator.decode(found.route, msgspec.structs.replace(inbound, params=found.params))


def refused(method: str, path: str, body: bytes | object = b"", query: Mapping[str, str] = NOTHING) -> Refusal:
    """Read a request that cannot be read: what is wrong with it is for those to know who prove to be operators."""
    operation = decode(method, path, body, query).message
    assert (operation.bearer, operation.tenant) == (Secret("T"), None)
    assert isinstance(operation.command, messages.Unreadable)
    refusal = operation.command.refusal
    assert refusal.reason is Reason.MALFORMED
    return refusal


def command(method: str, path: str, body: bytes | object = b"", query: Mapping[str, str] = NOTHING) -> object:
    """Read a good request."""
    operation = decode(method, path, body, query).message
    assert isinstance(operation, Operation)
    return operation.command


GOOD: list[tuple[str, str, object, Mapping[str, str], object]] = [
    ("POST", "/v1/profiles", {"name": "meters"}, NOTHING, messages.CreateProfile(name="meters")),
    (
        "POST",
        "/v1/profiles",
        {
            "name": "meters",
            "strategy": "pre_provisioned",
            "reprovision": "same",
            "provision_key": "key",
            "provision_secret": "secret-1",
            "options": ["a", "b"],
        },
        NOTHING,
        messages.CreateProfile(
            name="meters",
            strategy=Strategy.PRE_PROVISIONED,
            reprovision=Reprovision.SAME,
            provision_key="key",
            provision_secret=Secret("secret-1"),
            options=("a", "b"),
        ),
    ),
    ("GET", "/v1/profiles", b"", NOTHING, messages.ListProfiles()),
    ("GET", "/v1/profiles", b"", {"limit": "1000", "after": "x"}, messages.ListProfiles(after="x", limit=1000)),
    ("GET", "/v1/profiles/meters", b"", NOTHING, messages.ShowProfile("meters")),
    ("PATCH", "/v1/profiles/meters", {}, NOTHING, messages.ChangeProfile(ref="meters")),
    (
        "PATCH",
        "/v1/profiles/meters",
        {"name": "gauges", "strategy": "disabled", "reprovision": "rotate", "options": []},
        NOTHING,
        messages.ChangeProfile(
            ref="meters", name="gauges", strategy=Strategy.DISABLED, reprovision=Reprovision.ROTATE, options=()
        ),
    ),
    ("DELETE", "/v1/profiles/meters", b"", NOTHING, messages.DeleteProfile("meters")),
    ("POST", "/v1/profiles/meters/rotate", b"", NOTHING, messages.RotateProfile("meters")),
    ("POST", "/v1/profiles/meters/burn", b"", NOTHING, claim_rules.BurnProfile("meters")),
    ("GET", "/v1/tombstones", b"", {"after": "x", "limit": "7"}, claim_rules.ListTombstones(after="x", limit=7)),
    ("POST", "/v1/tombstones/meter-1/leave", b"", NOTHING, claim_rules.GiveLeave("meter-1")),
    ("POST", "/v1/tombstones/meter-1/leave", {"seconds": 60}, NOTHING, claim_rules.GiveLeave("meter-1", 60)),
    (
        "PATCH",
        "/v1/profiles/meters",
        {"claims": {"budget": 5, "opens_at": "1970-01-01T01:00:00.001+01:00", "closes_at": None, "names": ["m1..m5"]}},
        NOTHING,
        messages.ChangeProfile(
            ref="meters", claims=claim_rules.ClaimRules(budget=5, opens_at=1, closes_at=None, names=("m1..m5",))
        ),
    ),
    (
        "PATCH",
        "/v1/profiles/meters",
        {"claims": {"pattern": "m.*", "rate": {"per_minute": 1, "burst": 2}, "source_rate": None, "tombstones": False}},
        NOTHING,
        messages.ChangeProfile(
            ref="meters",
            claims=claim_rules.ClaimRules(pattern="m.*", rate=ClaimRate(1, 2), source_rate=None, tombstones=False),
        ),
    ),
    ("PATCH", "/v1/profiles/meters", {"claims": None}, NOTHING, messages.ChangeProfile(ref="meters", claims=None)),
    ("POST", "/v1/profiles/meters/rotate", b"{}", NOTHING, messages.RotateProfile("meters")),
    (
        "POST",
        "/v1/profiles/meters/rotate",
        {"provision_secret": "secret-2"},
        NOTHING,
        messages.RotateProfile("meters", Secret("secret-2")),
    ),
    ("POST", "/v1/devices", {"name": "m", "profile": "p"}, NOTHING, messages.DefineDevice(name="m", profile="p")),
    (
        "POST",
        "/v1/devices",
        {"name": "m", "profile": "p", "credential": {"type": "access_token"}, "metadata": {"a": [1, None]}},
        NOTHING,
        messages.DefineDevice(name="m", profile="p", credential=messages.ProposedToken(), metadata={"a": [1, None]}),
    ),
    (
        "POST",
        "/v1/devices",
        {"name": "m", "profile": "p", "credential": {"type": "access_token", "token": "T0"}},
        NOTHING,
        messages.DefineDevice(name="m", profile="p", credential=messages.ProposedToken(Secret("T0"))),
    ),
    (
        "POST",
        "/v1/devices",
        {"name": "m", "profile": "p", "credential": {"type": "mqtt_basic", "username": "u", "password": ""}},
        NOTHING,
        messages.DefineDevice(name="m", profile="p", credential=messages.ProposedBasic("", "u", Secret(""))),
    ),
    (
        "POST",
        "/v1/devices",
        {"name": "m", "profile": "p", "credential": {"type": "x509_certificate", "certificate": "TUlJ"}},
        NOTHING,
        messages.DefineDevice(name="m", profile="p", credential=messages.ProposedCertificate("TUlJ")),
    ),
    ("GET", "/v1/devices", b"", {"name": "", "profile": "", "state": ""}, messages.ListDevices()),
    (
        "GET",
        "/v1/devices",
        b"",
        {"name": "null", "profile": "p", "state": "discarded", "limit": "1"},
        messages.ListDevices(name="null", profile="p", state=DeviceState.DISCARDED, limit=1),
    ),
    ("GET", "/v1/devices:export", b"", {"profile": "p"}, messages.ExportDevices(profile="p")),
    ("GET", "/v1/devices/name:m 1", b"", NOTHING, messages.ShowDevice("name:m 1")),
    (
        "PATCH",
        "/v1/devices/m",
        {"enabled": False, "state": "defined", "metadata": {}},
        NOTHING,
        messages.ChangeDevice(ref="m", enabled=False, state=DeviceState.DEFINED, metadata={}),
    ),
    ("PATCH", "/v1/devices/m", {}, NOTHING, messages.ChangeDevice(ref="m")),
    ("DELETE", "/v1/devices/m", b"", NOTHING, messages.DeleteDevice("m")),
    ("GET", "/v1/devices/m/credentials", b"", NOTHING, messages.ReadCredentials("m")),
    ("POST", "/v1/devices/m/credentials", b" ", NOTHING, messages.RotateCredentials("m")),
    (
        "POST",
        "/v1/devices/m/credentials",
        {"type": "lwm2m", "endpoint": "e"},
        NOTHING,
        messages.RotateCredentials("m", Lwm2m("e")),
    ),
    (
        "POST",
        "/v1/devices/m/credentials",
        {"type": "client_secret"},
        NOTHING,
        messages.RotateCredentials("m", messages.ProposedSecret()),
    ),
    (
        "POST",
        "/v1/devices/m/credentials",
        {"type": "client_secret", "secret": "secret-3"},
        NOTHING,
        messages.RotateCredentials("m", messages.ProposedSecret(Secret("secret-3"))),
    ),
    ("DELETE", "/v1/devices/m/credentials", b"", NOTHING, messages.RevokeCredentials("m")),
    (
        "POST",
        "/v1/devices:import",
        {
            "profile": "p",
            "devices": [
                {"line": 7, "name": "m", "credential": {"type": "access_token", "token": "T0"}},
                {"name": "n", "profile": "q", "metadata": {"a": 1}},
            ],
        },
        NOTHING,
        messages.ImportDevices(
            (
                messages.ImportRow(line=7, name="m", credential=messages.ProposedToken(Secret("T0"))),
                messages.ImportRow(line=2, name="n", profile="q", metadata={"a": 1}),
            ),
            "p",
        ),
    ),
    ("GET", "/v1/approvals", b"", NOTHING, approving.ListApprovals()),
    (
        "GET",
        "/v1/approvals",
        b"",
        {"profile": "p", "verdict": "granted", "after": "a", "limit": "5"},
        approving.ListApprovals(profile="p", verdict=Verdict.GRANTED, after="a", limit=5),
    ),
    ("POST", "/v1/approvals/m/grant", b"", NOTHING, approving.DecideApproval(ref="m", verdict=Verdict.GRANTED)),
    (
        "POST",
        "/v1/approvals/m/refuse",
        b"",
        {"profile": "p"},
        approving.DecideApproval(ref="m", verdict=Verdict.REFUSED, profile="p"),
    ),
    (
        "POST",
        "/v1/approvals:decide",
        {"decisions": [{"ref": "m", "verdict": "granted"}, {"ref": "n", "verdict": "refused", "profile": "p"}]},
        NOTHING,
        approving.DecideApprovals(
            (
                approving.DecideApproval(ref="m", verdict=Verdict.GRANTED),
                approving.DecideApproval(ref="n", verdict=Verdict.REFUSED, profile="p"),
            )
        ),
    ),
    ("GET", "/v1/events", b"", NOTHING, messages.ListEvents()),
    (
        "GET",
        "/v1/events",
        b"",
        {"correlation": "c", "device": "d", "profile": "p", "kind": "login.refused", "newest": "true", "limit": "5"},
        messages.ListEvents(correlation="c", device="d", profile="p", kind=EventKind.LOGIN_REFUSED, newest=True, limit=5),
    ),
    ("POST", "/v1/tokens", {"name": "line-3", "role": "factory"}, NOTHING, messages.CreateToken("line-3", Role.FACTORY)),
    ("GET", "/v1/tokens", b"", {"after": "x"}, messages.ListTokens(after="x")),
    ("DELETE", "/v1/tokens/line-3", b"", NOTHING, messages.DeleteToken("line-3")),
    ("POST", "/v1/tenants", {"name": "Acme"}, NOTHING, configuring.CreateTenant(name="Acme")),
    ("POST", "/v1/tenants", {"name": "Acme", "id": "acme"}, NOTHING, configuring.CreateTenant(name="Acme", id="acme")),
    (
        "POST",
        "/v1/tenants",
        {"name": "Acme", "secure_bootstrap": True},
        NOTHING,
        configuring.CreateTenant(name="Acme", secure_bootstrap=True),
    ),
    ("GET", "/v1/tenants", b"", {"after": "a", "limit": "7"}, configuring.ListTenants(after="a", limit=7)),
    ("POST", "/v1/channels", {}, NOTHING, configuring.CreateChannels((configuring.NewChannel(),))),
    (
        "POST",
        "/v1/channels",
        {"id": "c-1", "name": "up", "metadata": {"type": "data"}},
        NOTHING,
        configuring.CreateChannels((configuring.NewChannel(id="c-1", name="up", metadata={"type": "data"}),)),
    ),
    ("GET", "/v1/channels", b"", {"name": ""}, configuring.ListChannels()),
    ("GET", "/v1/channels", b"", {"name": "up", "after": "c"}, configuring.ListChannels(name="up", after="c")),
    ("GET", "/v1/channels/c-1", b"", NOTHING, configuring.ShowChannel("c-1")),
    ("PATCH", "/v1/channels/c-1", {}, NOTHING, configuring.ChangeChannel(id="c-1")),
    (
        "PATCH",
        "/v1/channels/c-1",
        {"name": "", "metadata": {}},
        NOTHING,
        configuring.ChangeChannel(id="c-1", name="", metadata={}),
    ),
    ("DELETE", "/v1/channels/c-1", b"", NOTHING, configuring.DeleteChannel(id="c-1")),
    (
        "POST",
        "/v1/configs",
        {"external_id": "e", "external_key": "secret-4"},
        NOTHING,
        configuring.CreateConfig(external_id="e", external_key=Secret("secret-4"), unique_name=True),
    ),
    (
        "POST",
        "/v1/configs",
        {
            "external_id": "e",
            "external_key": "secret-4",
            "device": "d",
            "name": "pump",
            "content": "{}",
            "channels": ["c-2", "c-1"],
            "client_cert": "C",
            "client_key": "secret-5",
            "ca_cert": "A",
        },
        NOTHING,
        configuring.CreateConfig(
            external_id="e",
            external_key=Secret("secret-4"),
            client="d",
            name="pump",
            unique_name=True,
            content="{}",
            channels=("c-2", "c-1"),
            certificates=ClientCertificates("C", Secret("secret-5"), "A"),
        ),
    ),
    ("GET", "/v1/configs", b"", {"active": "", "name": ""}, configuring.ListConfigs(opened=False)),
    ("GET", "/v1/configs", b"", {"external_id": ""}, configuring.ListConfigs(opened=False, external_id="")),
    (
        "GET",
        "/v1/configs",
        b"",
        {"active": "true", "external_id": "e", "name": "p", "after": "d", "limit": "3"},
        configuring.ListConfigs(opened=False, active=True, external_id="e", name="p", after="d", limit=3),
    ),
    ("GET", "/v1/configs", b"", {"active": "false"}, configuring.ListConfigs(opened=False, active=False)),
    ("GET", "/v1/configs:unknown", b"", NOTHING, configuring.ListUnknown()),
    ("GET", "/v1/configs:unknown", b"", {"offset": "5", "limit": "2"}, configuring.ListUnknown(offset=5, limit=2)),
    ("GET", "/v1/configs/d", b"", NOTHING, configuring.ShowConfig("d")),
    ("PATCH", "/v1/configs/d", {}, NOTHING, configuring.ChangeConfig(id="d", unique_name=True)),
    (
        "PATCH",
        "/v1/configs/d",
        {"name": "", "content": "", "channels": [], "active": False, "client_key": "secret-6"},
        NOTHING,
        configuring.ChangeConfig(
            id="d",
            name="",
            unique_name=True,
            content="",
            channels=(),
            active=False,
            certificates=ClientCertificates("", Secret("secret-6"), ""),
        ),
    ),
    (
        "PATCH",
        "/v1/configs/d",
        {"client_cert": "", "ca_cert": ""},
        NOTHING,
        configuring.ChangeConfig(id="d", unique_name=True, certificates=ClientCertificates()),
    ),
    ("DELETE", "/v1/configs/d", b"", NOTHING, configuring.DeleteConfig(id="d")),
    ("GET", "/v1/devices/m/channels", b"", NOTHING, configuring.ListPermitted("m")),
    *ASSOCIATING,
    *ISSUING,
]


@pytest.mark.parametrize(("method", "path", "body", "query", "expected"), GOOD)
def test_a_good_request_is_read(method: str, path: str, body: object, query: Mapping[str, str], expected: object) -> None:
    assert command(method, path, body, query) == expected
    operation = decode(method, path, body, {**query, "tenant": "acme"}).message
    assert (operation.bearer, operation.tenant) == (Secret("T"), "acme")


def test_every_route_has_a_good_request() -> None:
    read = {decode(method, path, body, query).form for method, path, body, query, _ in GOOD}
    assert read | {"describe_api"} == {route.operation for route in operator.ROUTES}


NEW = {"name": "m", "profile": "p"}


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/v1/profiles", b"", "the body is empty, JSON is needed"),
        ("POST", "/v1/profiles", b"{", "the body is not valid JSON: Input data was truncated"),
        ("POST", "/v1/profiles", b'{"name":}', "the body is not valid JSON: invalid character (byte 8)"),
        ("POST", "/v1/profiles", b'{"name":"\xed\xa0\x80"}', "the body is not UTF-8"),
        ("POST", "/v1/profiles", b'{"name":"\\ud800 "}', None),
        ("POST", "/v1/profiles", [], "expected object, got array"),
        ("POST", "/v1/profiles", {}, "object missing required field name"),
        ("POST", "/v1/profiles", {"name": None}, "name: expected str, got null"),
        ("POST", "/v1/profiles", {"name": 5}, "name: expected str, got int"),
        ("POST", "/v1/profiles", {"name": "a", "provision_secret": 12345678}, "provision_secret: expected str"),
        (
            "POST",
            "/v1/profiles",
            {"naem": "a"},
            "unknown field naem, known are name, strategy, reprovision, provision_key, provision_secret, options, signed,"
            " chain, issuing, plain, claims, hook, credential_kind, metadata",
        ),
        (
            "POST",
            "/v1/profiles",
            {"name": "a", "strategy": "x"},
            "strategy: invalid value, expected create_new, pre_provisioned, signed, certificate_chain or disabled",
        ),
        (
            "PATCH",
            "/v1/profiles/a",
            {"strategy": "chain"},
            "strategy: invalid value, expected create_new, pre_provisioned, signed, certificate_chain or disabled",
        ),
        (
            "PATCH",
            "/v1/profiles/a",
            {"plain": "some"},
            "plain: invalid value, expected everything, challenge or nothing",
        ),
        ("PATCH", "/v1/profiles/a", {"chain": None}, "chain: expected object, got null"),
        ("PATCH", "/v1/profiles/a", {"issuing": {"days": 7}}, "issuing: unknown field days"),
        (
            "PATCH",
            "/v1/profiles/a",
            {"reprovision": "ask"},
            "reprovision: invalid value, expected deny, same, rotate, approve or prove",
        ),
        (
            "POST",
            "/v1/approvals:decide",
            {"decisions": [{"ref": "m", "verdict": "waiting"}]},
            "verdict: invalid value, expected granted or refused",
        ),
        ("PATCH", "/v1/profiles/a", {"name": None}, "name: expected str, got null"),
        ("PATCH", "/v1/profiles/a", b"", "the body is empty, JSON is needed"),
        ("POST", "/v1/profiles/a/rotate", {"secret": "x"}, "unknown field secret, known are provision_secret, overlap_seconds"),
        ("POST", "/v1/devices", {"name": "m"}, "object missing required field profile"),
        ("POST", "/v1/devices", {**NEW, "metadata": []}, "metadata: expected object, got array"),
        (
            "POST",
            "/v1/devices",
            {**NEW, "credential": {"type": "password"}},
            "credential.type: invalid value, expected one of access_token, mqtt_basic, "
            "x509_certificate, lwm2m, client_secret, device_secret, oscore",
        ),
        ("POST", "/v1/devices", {**NEW, "credential": {"token": "T"}}, "credential: object missing required field type"),
        (
            "POST",
            "/v1/devices",
            {**NEW, "credential": {"type": "lwm2m", "end": ""}},
            "credential: unknown field end",
        ),
        ("PATCH", "/v1/devices/m", {"state": "connected"}, "state: invalid value, expected defined or discarded"),
        ("PATCH", "/v1/devices/m", {"enabled": "yes"}, "enabled: expected bool, got str"),
        ("POST", "/v1/configs", {"external_id": "e"}, "object missing required field external_key"),
        ("POST", "/v1/configs", {"external_id": "e", "external_key": "", "key": ""}, None),
        ("PATCH", "/v1/configs/d", {"content": {"log": 1}}, "content: expected str, got object"),
        ("PATCH", "/v1/configs/d", {"channels": "c"}, "channels: expected array, got str"),
        ("PATCH", "/v1/configs/d", {"active": 1}, "active: expected bool, got int"),
        ("PATCH", "/v1/configs/d", {"client_key": None}, "client_key: expected str"),
        ("PATCH", "/v1/channels/c", {"id": "other"}, "unknown field id, known are name, metadata"),
        ("POST", "/v1/tenants", {"id": "acme"}, "object missing required field name"),
        ("POST", "/v1/devices/m/credentials", {"token": "T"}, "object missing required field type"),
        ("POST", "/v1/devices/m/credentials", {"type": "lwm2m", "end": ""}, "unknown field end"),
        ("POST", "/v1/devices:import", {"devices": {}}, "devices: expected array, got object"),
        (
            "POST",
            "/v1/devices:import",
            b'{"devices":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
            "the body is nested too deep",
        ),
        ("POST", "/v1/devices", b'{"metadata":{"a":' + b"[" * 100_000, "the body is nested too deep"),
        (
            "POST",
            "/v1/tokens",
            {"name": "a", "role": "root"},
            "role: invalid value, expected admin, operator, factory, auditor or customer",
        ),
    ],
)
def test_a_bad_body_is_told_in_a_sentence(method: str, path: str, body: object, detail: str | None) -> None:
    refusal = refused(method, path, body)
    assert detail is None or refusal.detail == detail


@pytest.mark.parametrize(
    ("path", "query", "detail"),
    [
        ("/v1/devices", {"limit": "0"}, "limit: expected int >= 1"),
        ("/v1/devices", {"limit": "1001"}, "limit: expected int <= 1000"),
        ("/v1/devices", {"limit": "many"}, "limit: expected int, got str"),
        (
            "/v1/devices",
            {"limt": "5"},
            "unknown parameter limt, known are tenant, limit, after, name, profile, state",
        ),
        ("/v1/profiles/a", {"limit": "5"}, "unknown parameter limit, known are tenant"),
        (
            "/v1/devices:export",
            {"state": "new"},
            "state: invalid value, expected defined, provisioned, connected, associated or discarded",
        ),
        ("/v1/configs", {"active": "yes"}, "active: invalid value, expected true or false"),
        ("/v1/configs:unknown", {"offset": "-1"}, "offset: expected int >= 0"),
        ("/v1/configs:unknown", {"after": "x"}, "unknown parameter after, known are tenant, offset, limit"),
        ("/v1/events", {"newest": "maybe"}, "newest: expected bool, got str"),
        ("/v1/events", {"correlation": "\ud800"}, "the path or query is not UTF-8"),
        ("/v1/devices/\udfff", {}, "the path or query is not UTF-8"),
    ],
)
def test_a_bad_query_is_told_in_a_sentence(path: str, query: Mapping[str, str], detail: str) -> None:
    assert refused("GET", path, b"", query).detail == detail


def test_a_wrong_kind_of_event_is_answered_with_the_right_ones() -> None:
    assert refused("GET", "/v1/events", b"", {"kind": "x"}).detail.startswith("kind: invalid value, expected prov")


def test_a_content_of_a_megabyte_is_read() -> None:
    content = "x\n\u20ac" * 350_000
    read = command("POST", "/v1/configs", {"external_id": "e", "external_key": "k", "content": content})
    assert isinstance(read, configuring.CreateConfig)
    assert read.content == content


def test_a_sentence_does_not_grow_with_the_request() -> None:
    assert len(refused("POST", "/v1/profiles", {"n" * 10_000: 1}).detail) == 300
    assert len(refused("POST", "/v1/tokens", {"name": "a", "role": "r" * 10_000}).detail) < 400


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER abc", "abc"),
        ("Basic abc", ""),
        ("Bearer", ""),
        ("", ""),
    ],
)
def test_the_bearer_is_taken_from_its_header(header: str, token: str) -> None:
    operation = decode("GET", "/v1/profiles", token=header).message
    assert operation.bearer == Secret(token)
    assert operation.tenant is None


def test_the_bearer_and_the_form_of_the_answer_are_taken_from_what_cannot_be_read() -> None:
    for token in ("Bearer abc", ""):
        decoded = decode("POST", "/v1/tokens", b"{", {"tenant": "acme"}, token)
        assert decoded.form == "create_token"
        assert decoded.message.bearer == Secret(token.removeprefix("Bearer "))
        assert isinstance(decoded.message.command, messages.Unreadable)


def test_a_row_that_cannot_be_read_is_one_bad_row() -> None:
    body = (
        b'{"devices":[{"line":2,"name":"m","profil":"p"},{"line":true,"name":5},7,'
        b'{"line":6,"name":"o","credential":{"type":"secret"}},{"line":7,"name":"good"},{"line":8,"name":"\xff"}]}'
    )
    read = command("POST", "/v1/devices:import", body)
    assert isinstance(read, messages.ImportDevices)
    assert read.rows == (
        messages.BadRow(2, "m", "unknown field profil, known are line, name, profile, credential, metadata"),
        messages.BadRow(2, "", "line: expected int | null, got bool"),
        messages.BadRow(3, "", "expected object, got int"),
        messages.BadRow(
            6,
            "o",
            "credential.type: invalid value, expected one of access_token, mqtt_basic, "
            "x509_certificate, lwm2m, client_secret, device_secret, oscore",
        ),
        messages.ImportRow(line=7, name="good"),
        messages.BadRow(6, "", "the body is not UTF-8"),
    )


def test_the_description_needs_no_token_and_no_good_query() -> None:
    decoded = decode("GET", "/openapi.json", query={"what": "ever"}, token="")
    assert decoded == Decoded(operator.DescribeApi(), "describe_api")


def reason(method: str, path: str, body: bytes) -> Reason | None:
    """Read a request of any kind; returns why it cannot be read, None where it can."""
    asked = decode(method, path, body).message.command
    return asked.refusal.reason if isinstance(asked, messages.Unreadable) else None


@given(st.sampled_from([route for route in operator.ROUTES if route.method in ("POST", "PATCH")]), st.binary(max_size=200))
def test_garbage_is_malformed_or_read(route: Route, body: bytes) -> None:
    path = route.path.replace("{id}", "x")
    assert reason(route.method, path, body) in (None, Reason.MALFORMED)


FIELDS = [
    *("name", "profile", "devices", "line", "credential", "type", "token", "metadata", "strategy"),
    *("external_id", "external_key", "device", "channels", "content", "client_key", "active"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
)


@given(st.sampled_from([route.path.replace("{id}", "x") for route in operator.ROUTES if route.method == "POST"]), JSON)
def test_any_json_is_malformed_or_read(path: str, body: object) -> None:
    assert reason("POST", path, json.dumps(body).encode()) in (None, Reason.MALFORMED)


def test_no_secret_is_printed() -> None:
    for method, path, body, query, _ in GOOD:
        assert "secret-" not in repr(decode(method, path, body, query))
        assert "T0" not in repr(decode(method, path, body, query))
