"""How bodies, versions and pages are read: no sockets, no core."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialects.xively import batch, paging, reading, versions
from adapters.dialects.xively.endpoints import ENDPOINTS, find
from adapters.dialects.xively.states import WORDS, states_of
from core.errors import Reason, Refusal
from core.model import DeviceState, Secret
from core.operate.configuring import CountedPage
from core.operate.directing import SearchDevices
from core.operate.messages import Unreadable

HOSTILE = {
    "nothing": b"",
    "white space": b" \n",
    "no object": b"[]",
    "a text": b'"x"',
    "cut off": b'{"a":',
    "two values": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "bytes that are no text": b'{"a":"\xff"}',
    "a name twice": b'{"a":1,"a":2}',
    "a name twice within": b'{"b":{"a":1,"a":1}}',
    "a long number": b'{"a":' + b"9" * 5_000 + b"}",
    "a number beyond 64 bits": b'{"a":9223372036854775808}',
    "a fraction beyond 64 bits": b'{"a":1e999}',
    "no number": b'{"a":NaN}',
    "no end": b'{"a":-Infinity}',
    "U+0000": b'{"a":"x\\u0000"}',
    "U+0000 in a name": b'{"x\\u0000":1}',
    "half a pair": b'{"a":["\\ud800"]}',
    "half a pair in a name": b'{"a":{"\\udc00":1}}',
    "128 levels": b'{"a":' * 128 + b"1" + b"}" * 128,
    "128 lists": b'{"a":' + b"[" * 128 + b"]" * 128 + b"}",
    "100,000 levels": b'{"a":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_two_parsers_might_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        reading.read_object(body)
    assert refused.value.reason is Reason.MALFORMED


def test_a_large_body_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        reading.read_object(b'{"a":"' + b"x" * 1_000_000 + b'"}')
    assert refused.value.reason is Reason.TOO_LARGE


def test_what_is_plain_is_read() -> None:
    body = '{"a":[1,-9223372036854775808,2.5,null,true,{"b":"Zähler 😀"}],"c":{}}'.encode()
    assert reading.read_object(body) == {"a": [1, -(2**63), 2.5, None, True, {"b": "Zähler 😀"}], "c": {}}
    deep = b'{"a":' * 31 + b"1" + b"}" * 31
    assert reading.read_object(deep)


def test_a_form_is_read_for_the_names_that_count() -> None:
    names = ("accountId", "entityId")
    body = b"accountId=default&entityId=a%2Bb+c&channels%5B%5D=1&channels%5B%5D=2"
    assert reading.read_form(body, names) == {"accountId": "default", "entityId": "a+b c"}
    for hostile in (b"entityId=1&entityId=2", b"entityId=%ff", b"&".join([b"a=1"] * 300), b"entityId=%00", b"\xff"):
        with pytest.raises(Refusal):
            reading.read_form(hostile, names)


@pytest.mark.parametrize(("value", "flag"), [(True, True), ("true", True), (False, False), ("false", False), (None, None)])
def test_a_flag_is_a_boolean_or_its_word(value: object, flag: bool | None) -> None:
    assert reading.optional_flag({"required": value}, "required") is flag


@pytest.mark.parametrize("value", [1, 0, "yes", "", [], {}])
def test_nothing_else_is_a_flag(value: object) -> None:
    with pytest.raises(Refusal):
        reading.optional_flag({"required": value}, "required")


@given(st.integers(1, 2**53))
def test_a_version_comes_back_from_its_text(version: int) -> None:
    text = versions.opaque(version)
    assert text.isascii()
    assert text.isalnum()
    assert versions.read_opaque(text) == version


@given(st.text(max_size=14))
def test_any_other_text_is_no_version(text: str) -> None:
    version = versions.read_opaque(text)
    assert version == versions.NEVER or versions.opaque(version) == text


def test_versions_are_short_and_differ() -> None:
    texts = {versions.opaque(version) for version in range(1, 3_000)}
    assert len(texts) == 2_999
    assert {len(text) for text in texts} <= {2, 3, 4}


@pytest.mark.parametrize("sent", ["{}", '"{}"', 'W/"{}"', 'w/"{}"', ' "{}" ', "W/{}"])
def test_a_version_is_sent_bare_quoted_or_weak(sent: str) -> None:
    text = sent.format(versions.opaque(5))
    assert versions.seen_version(versions.sent_version({"etag": text})) == 5
    assert versions.seen_version(versions.sent_version({"if-match": text})) == 5


def test_a_version_that_cannot_be_read_fits_nothing() -> None:
    for sent in ('"a', '"a", "b"', "a b", '""', "\ud800", "ß" * 3, "0" * 500, '"1""2"', "00"):
        assert versions.seen_version(sent) == versions.NEVER
    assert versions.seen_version("*") is None
    for headers in ({}, {"etag": ""}, {"etag": "  ", "if-match": ""}):
        with pytest.raises(Refusal, match="etag header is required"):
            versions.seen_version(versions.sent_version(headers))


def test_the_header_etag_counts_before_if_match() -> None:
    assert versions.sent_version({"etag": "a", "if-match": "b"}) == "a"


def test_every_state_has_a_word_and_every_word_its_states() -> None:
    assert set(WORDS) == set(DeviceState)
    assert states_of("activated") == (DeviceState.PROVISIONED, DeviceState.CONNECTED)
    assert states_of("nonsense") == ()
    for state, word in WORDS.items():
        assert state in states_of(word)


def test_a_page_is_read() -> None:
    page = paging.read_paging({"page": "3", "pageSize": "2", "sortOrder": "DESC", "meta": "false", "unknown": "x"})
    assert (page.offset, page.limit, page.descending, page.meta, page.results) == (4, 2, True, False, True)
    assert paging.read_paging({}) == paging.Paging()
    assert paging.read_paging({"page": "", "pageSize": "", "meta": "", "results": ""}) == paging.Paging()
    assert paging.read_paging({"pageSize": "1001"}).size == 1_000
    assert paging.read_paging({"results": "0"}).limit == 0
    assert paging.read_paging({"page": "9" * 18, "pageSize": "1000"}).offset == 2**53


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("page", value) for value in ("0", "-1", "1.5", "x", "\u00b2", "\uff19", "9" * 19, " 1")),
        ("pageSize", "0"),
        ("meta", "yes"),
        ("results", "2"),
        ("sortOrder", "up"),
        ("sortBy", "secret"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(Refusal, match=f"^{name} must be "):
        paging.read_paging({name: value}, of_devices=True)


def test_devices_alone_are_sorted_by_more() -> None:
    assert paging.read_paging({"sortBy": "serialNumber"}, of_devices=True).order.value == "serial"
    assert paging.read_paging({"sortBy": "created"}).order.value == "created"
    with pytest.raises(Refusal):
        paging.read_paging({"sortBy": "serialNumber"})


def test_a_page_is_written() -> None:
    counted = CountedPage(("a",), 798, 0, 2)
    page = paging.read_paging({"pageSize": "2", "sortBy": "created"})
    meta = {"count": 798, "page": 1, "pageSize": 2, "sortBy": "created", "sortOrder": "asc"}
    assert paging.write_page(page, counted, ["a"]) == {"results": ["a"], "meta": meta}
    assert "results" not in paging.write_page(paging.read_paging({"results": "false"}), counted, ["a"])
    assert "meta" not in paging.write_page(paging.read_paging({"meta": "false"}), counted, ["a"])


def test_a_literal_path_wins_over_an_id() -> None:
    assert find("GET", "/api/v1/devices/templates")[0].operation == "list_templates"
    assert find("GET", "/api/v1/devices/7")[1] == {"id": "7"}
    assert find("GET", "/api/v1/devices/templates/7")[0].operation == "show_template"
    for method, path, reason in (
        ("GET", "/api/v1/devices/", Reason.NOT_FOUND),
        ("GET", "/api/v1/nothing", Reason.NOT_FOUND),
        ("GET", "/api/v1/channels/templates/7", Reason.NOT_FOUND),
        ("PATCH", "/api/v1/devices/7", Reason.NOT_ALLOWED),
        ("GET", "/api/v1/access/mqtt-credentials", Reason.NOT_ALLOWED),
    ):
        with pytest.raises(Refusal) as refused:
            find(method, path)
        assert refused.value.reason is reason


def test_an_operation_is_read_and_written_in_one_way() -> None:
    ways: dict[str, set[object]] = {}
    for endpoint in ENDPOINTS:
        ways.setdefault(endpoint.operation, set()).add((endpoint.method, endpoint.command, endpoint.write, endpoint.form))
    assert all(len(each) == 1 for each in ways.values())


def test_the_requests_of_a_batch_are_read_in_their_order() -> None:
    url = "https://blueprint.xively.com:443/api/v1/devices?accountId=default&pageSize=2&page=2"
    first, second = batch.read(
        {"requests": [{"method": "get", "path": url, "payload": {}}, {"method": "GET", "path": 7}]}, Secret("b")
    ).items
    assert isinstance(first.command, SearchDevices)
    assert (first.command.offset, first.command.limit, first.tenant) == (2, 2, "default")
    assert isinstance(second.command, Unreadable)


@pytest.mark.parametrize(
    "request_",
    [
        None,
        "GET /api/v1/devices",
        {},
        {"method": 1, "path": "/api/v1/devices"},
        {"method": "GET"},
        {"method": "GET", "path": ""},
        {"method": "GET", "path": "x" * 3_000},
        {"method": "GET", "path": "https://[/api/v1/devices"},
        {"method": "GET", "path": "/api/v1/devices"},
        {"method": "GET", "path": "/api/v1/devices/%00"},
        {"method": "GET", "path": "/v1/devices"},
        {"method": "PATCH", "path": "/api/v1/devices"},
        {"method": "POST", "path": "/api/v1/devices", "payload": []},
        {"method": "POST", "path": "/api/v1/devices"},
        {"method": "POST", "path": "/api/v1/batch", "payload": {"requests": []}},
        {"method": "POST", "path": "/api/v1/auth/login-user", "payload": {}},
        {"method": "DELETE", "path": "/api/v1/devices/7"},
    ],
)
def test_a_request_of_a_batch_that_cannot_be_read_is_refused_in_its_place(request_: object) -> None:
    members = {"requests": [request_]}
    (operation,) = batch.read(members, Secret("b")).items
    assert isinstance(operation.command, Unreadable)
    (answer,) = batch.write((operation.command.refusal,), members)
    assert answer["error"]["message"]


@pytest.mark.parametrize("requests", [None, {}, "x", [], [{}] * 101])
def test_a_batch_has_1_to_100_requests(requests: object) -> None:
    with pytest.raises(Refusal) as refused:
        batch.read({"requests": requests}, Secret("b"))
    assert refused.value.reason is Reason.MALFORMED
