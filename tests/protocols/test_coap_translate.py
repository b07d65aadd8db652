"""CoAP's numbers and neutral words, both ways."""

import pytest
from aiocoap import Message
from aiocoap.numbers.codes import Code

from adapters.coap.translate import STATUS, inbound, outbound
from adapters.exchange import Outbound, Peer, Success
from core.errors import Reason


def test_every_outcome_has_a_code() -> None:
    assert set(STATUS) == {*Success, *Reason}
    assert all(code.is_response() for code in STATUS.values())
    assert all(STATUS[success].is_successful() for success in Success)
    assert not any(STATUS[reason].is_successful() for reason in Reason)


@pytest.mark.parametrize(
    ("media_type", "number"),
    [
        ("text/plain", 0),
        ("text/plain; charset=utf-8", 0),
        ("Application/JSON", 50),
        ("application/cbor", 60),
        ("application/octet-stream", 42),
        ("application/x-protobuf", None),
        (None, None),
    ],
)
def test_media_types(media_type: str | None, number: int | None) -> None:
    message = outbound(Outbound(outcome=Success.OK, body=b"x", content_type=media_type))
    assert message.opt.content_format == number


@pytest.mark.parametrize(
    ("outcome", "seconds", "max_age"),
    [
        (Reason.UNAVAILABLE, 1.2, 2),
        (Reason.TOO_MANY, 30, 30),
        (Reason.UNAVAILABLE, -1, 0),
        (Reason.UNAVAILABLE, 1e30, 2**32 - 1),
        (Reason.UNAVAILABLE, None, None),
        (Reason.CONFLICT, 5, None),
    ],
)
def test_the_time_to_retry(outcome: Reason, seconds: float | None, max_age: int | None) -> None:
    assert outbound(Outbound(outcome=outcome, retry_after=seconds)).opt.max_age == max_age


def test_valid_has_no_payload() -> None:
    message = outbound(Outbound(outcome=Success.UNCHANGED, body=b"x", content_type="text/plain"))
    assert (message.code, message.payload, message.opt.content_format) == (Code.VALID, b"", None)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "IPATCH"])
def test_methods_are_in_upper_case(method: str) -> None:
    code = next(code for code in Code if code.name.upper() == method)
    assert inbound(Message(code=code), Peer("192.0.2.1")).method == method


def test_the_later_of_two_query_options_counts() -> None:
    message = Message(code=Code.GET, uri_path=("a", "", "b"), uri_query=("k=1", "k=2=3", "flag"))
    neutral = inbound(message, Peer("192.0.2.1", 7), b"body")
    assert neutral.path == "/a//b"
    assert dict(neutral.query) == {"k": "2=3", "flag": ""}
    assert (neutral.headers, neutral.content_type, neutral.body) == ({}, None, b"body")


def test_the_root_has_an_empty_path() -> None:
    assert inbound(Message(code=Code.GET), Peer("192.0.2.1")).path == "/"


@pytest.mark.parametrize(
    ("tags", "key"),
    [
        ((b"8e03978e",), "8e03978e"),
        ((b"\x00\xff",), "0x00ff"),
        ((b"a b",), "0x612062"),
        ((b"",), ""),
        ((b"a", b"b"), ""),
        ((), ""),
    ],
)
def test_a_request_tag_names_a_request(tags: tuple[bytes, ...], key: str) -> None:
    message = Message(code=Code.POST)
    message.opt.request_tag = tags
    assert inbound(message, Peer("192.0.2.1")).repeat_key == key


@pytest.mark.parametrize(("code", "block"), [(Code.GET, None), (Code.FETCH, None), (Code.POST, (0, False, 6))])
def test_a_request_tag_of_blocks_or_of_reading_names_none(code: Code, block: tuple[int, bool, int] | None) -> None:
    message = Message(code=code)
    message.opt.request_tag = (b"k",)
    message.opt.block1 = block
    assert inbound(message, Peer("192.0.2.1")).repeat_key == ""
