"""Go's JSON, as Mainflux and Magistrala read and write it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialects.mainflux.bodies import Entity, NewConfig, State
from adapters.dialects.mainflux.go_reading import read_object, read_objects
from adapters.dialects.mainflux.go_scanning import GoSyntaxError, end_of_value
from adapters.dialects.mainflux.go_writing import encode, filled, line, record
from adapters.dialects.mainflux.query import read_query, read_state
from adapters.dialects.mainflux.surrogates import mended
from core.errors import Reason, Refusal

BROKEN = {
    b"": "EOF",
    b" \n\t\r": "EOF",
    b"{": "unexpected EOF",
    b'{"a"': "unexpected EOF",
    b'{"a":': "unexpected EOF",
    b'{"a":"b': "unexpected EOF",
    b'{"a":"\\': "unexpected EOF",
    b'{"a":"\\u00': "unexpected EOF",
    b"[1,": "unexpected EOF",
    b"-": "unexpected EOF",
    b"1.": "unexpected EOF",
    b"1e+": "unexpected EOF",
    b"tru": "unexpected EOF",
    b"x": "invalid character 'x' looking for beginning of value",
    b"'": "invalid character '\\'' looking for beginning of value",
    b"\\": "invalid character '\\\\' looking for beginning of value",
    b"\x00": "invalid character '\\x00' looking for beginning of value",
    b"\x7f": "invalid character '\\x7f' looking for beginning of value",
    b"\x85": "invalid character '\\u0085' looking for beginning of value",
    "é".encode(): "invalid character 'Ã' looking for beginning of value",
    b"+1": "invalid character '+' looking for beginning of value",
    b"NaN": "invalid character 'N' looking for beginning of value",
    b"Infinity": "invalid character 'I' looking for beginning of value",
    b"-Infinity": "invalid character 'I' in numeric literal",
    b"nul]": "invalid character ']' in literal null (expecting 'l')",
    b"[1 2]": "invalid character '2' after array element",
    b"[1,]": "invalid character ']' looking for beginning of value",
    b"{1:2}": "invalid character '1' looking for beginning of object key string",
    b'{"a":1,}': "invalid character '}' looking for beginning of object key string",
    b'{"a" "b"}': "invalid character '\"' after object key",
    b'{"a":1 "b"}': "invalid character '\"' after object key:value pair",
    b'{"a":1.x}': "invalid character 'x' after decimal point in numeric literal",
    b'{"a":1ex}': "invalid character 'x' in exponent of numeric literal",
    b'{"a":-x}': "invalid character 'x' in numeric literal",
    b'{"a":"\n"}': "invalid character '\\n' in string literal",
    b'{"a":"\\x"}': "invalid character 'x' in string escape code",
    b'{"a":"\\u00g0"}': "invalid character 'g' in \\u hexadecimal character escape",
    b"\xef\xbb\xbf{}": "invalid character 'ï' looking for beginning of value",
    b"[" * 10_001: "exceeded max depth",
    b"[" * 5_000 + b"]" * 5_000: "exceeded max depth",
    b'{"name":' + b'{"a":' * 3_000 + b"1" + b"}" * 3_001: "exceeded max depth",
}
UNFIT = {
    b"[]": "json: cannot unmarshal array into Go value of type api.addReq",
    b'"x"': "json: cannot unmarshal string into Go value of type api.addReq",
    b"1": "json: cannot unmarshal number into Go value of type api.addReq",
    b"true": "json: cannot unmarshal bool into Go value of type api.addReq",
    b'{"external_id":{}}': "json: cannot unmarshal object into Go struct field addReq.external_id of type string",
    b'{"external_key":1}': "json: cannot unmarshal number into Go struct field addReq.external_key of type string",
    b'{"EXTERNAL_KEY":1.5}': "json: cannot unmarshal number into Go struct field addReq.external_key of type string",
    b'{"channels":"a"}': "json: cannot unmarshal string into Go struct field addReq.channels of type []string",
    b'{"channels":["a",true]}': "json: cannot unmarshal bool into Go struct field addReq.channels of type string",
}


@pytest.mark.parametrize(("body", "sentence"), [*BROKEN.items(), *UNFIT.items()], ids=range(len(BROKEN) + len(UNFIT)))
def test_what_cannot_be_read_is_refused_in_gos_words(body: bytes, sentence: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_object(body, NewConfig, "api.addReq")
    assert (refused.value.reason, refused.value.check, refused.value.detail) == (Reason.MALFORMED, "body.json", sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"state":"1"}', "json: cannot unmarshal string into Go struct field changeStateReq.state of type bootstrap.State"),
        (b'{"state":true}', "json: cannot unmarshal bool into Go struct field changeStateReq.state of type bootstrap.State"),
        *(
            (
                b'{"state":' + number.encode() + b"}",
                f"json: cannot unmarshal number {number} into Go struct field changeStateReq.state of type bootstrap.State",
            )
            for number in ("1.5", "1.0", "1e0", "1e999", "9223372036854775808", "-9223372036854775809")
        ),
        (
            b'{"state":' + b"9" * 5_000 + b"}",
            f"json: cannot unmarshal number {'9' * 64}... into Go struct field changeStateReq.state of type bootstrap.State",
        ),
        (
            b'{"state":true,"state":1}',
            "json: cannot unmarshal bool into Go struct field changeStateReq.state of type bootstrap.State",
        ),
    ],
)
def test_a_state_is_a_whole_number(body: bytes, sentence: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_object(body, State, "api.changeStateReq")
    assert refused.value.detail == sentence


def test_a_whole_number_has_64_bits() -> None:
    for number in (0, -1, 2**53 + 1, 2**63 - 1, -(2**63)):
        assert read_object(b'{"state":%d}' % number, State, "api.changeStateReq").state == number


def test_numbers_beyond_a_double_are_refused_where_they_count() -> None:
    for number in ("1e999", "-1e999", "9" * 400):
        word = number if len(number) < 64 else f"{'9' * 64}..."
        with pytest.raises(Refusal) as refused:
            read_object(f'{{"metadata":{{"a":[{number}]}}}}'.encode(), Entity, "channels.Channel")
        sentence = f"json: cannot unmarshal number {word} into Go struct field Channel.metadata of type float64"
        assert refused.value.detail == sentence
        assert read_object(f'{{"name":"a","other":{number}}}'.encode(), Entity, "channels.Channel").name == "a"


def test_of_names_that_occur_twice_the_last_that_is_not_null_counts() -> None:
    body = b'{"name":"a","NAME":"b","name":"c","Name":null,"metadata":{"x":1,"x":null}}'
    sent = read_object(body, Entity, "channels.Channel")
    assert (sent.name, sent.metadata) == ("c", {"x": None})


def test_metadata_too_deep_to_be_read_is_refused() -> None:
    for levels in (600, 3_000):
        with pytest.raises(Refusal, match="exceeded max depth"):
            read_object(b'{"metadata":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}", Entity, "channels.Channel")


def test_names_match_whatever_their_case_and_null_is_absent() -> None:
    sent = read_object(
        b' {"External_ID":"a","EXTERNAL_KEY":null,"\\u017fcheme":1,"name":null,"CONTENT":"c","channels":["x",null]} trailing {',
        NewConfig,
        "api.addReq",
    )
    assert (sent.external_id, sent.external_key.reveal(), sent.name, sent.content) == ("a", "", "", "c")
    assert sent.channels == ("x", "")
    assert read_object(b'{"external_\\u212aey":"k"}', NewConfig, "api.addReq").external_key.reveal() == "k"
    assert read_object(b"null", NewConfig, "api.addReq") == NewConfig()


def test_texts_that_are_not_unicode_become_whole() -> None:
    sent = read_object(b'{"name":"\xff\\ud800a\\ud83d\\ude00","metadata":{"\\udc00":["\\ud800"]}}', Entity, "Channel")
    assert (sent.name, sent.metadata) == ("\ufffd\ufffda😀", {"\ufffd": ["\ufffd"]})


def test_numbers_are_kept_as_far_as_a_double_keeps_them() -> None:
    sent = read_object(b'{"metadata":{"a":1,"b":9007199254740992,"c":9007199254740993,"d":1.0,"e":-5}}', Entity, "Channel")
    assert sent.metadata is not None
    assert encode(sent.metadata) == b'{"a":1,"b":9007199254740992,"c":9007199254740992,"d":1,"e":-5}'


def test_a_list_of_objects() -> None:
    assert [each.name for each in read_objects(b'[{"name":"a"},null]', Entity, "Channel")] == ["a", ""]
    assert read_objects(b"null", Entity, "Channel") == ()
    with pytest.raises(Refusal, match=r"cannot unmarshal object into Go value of type \[\]Channel"):
        read_objects(b"{}", Entity, "Channel")
    with pytest.raises(Refusal, match="cannot unmarshal number into Go value of type Channel"):
        read_objects(b"[1]", Entity, "Channel")


NUMBERS = {
    0.0: "0",
    1.0: "1",
    -1.5: "-1.5",
    100.0: "100",
    0.1: "0.1",
    1e20: "100000000000000000000",
    123456789012345680000.0: "123456789012345680000",
    1e21: "1e+21",
    1.5e300: "1.5e+300",
    1e-6: "0.000001",
    1e-7: "1e-7",
    2.5e-10: "2.5e-10",
    5e-324: "5e-324",
}


@pytest.mark.parametrize(("number", "text"), NUMBERS.items())
def test_floats_as_go_prints_them(number: float, text: str) -> None:
    assert encode(number).decode() == text


def test_texts_are_safe_within_html() -> None:
    assert encode("<a href='x'>&\u2028\u2029\"\\\n\t\x01é\x7f") == (
        b'"\\u003ca href=\'x\'\\u003e\\u0026\\u2028\\u2029\\"\\\\\\n\\t\\u0001\xc3\xa9\x7f"'
    )


def test_records_keep_their_order_and_maps_are_sorted() -> None:
    document = record(
        ("z", None), ("a", {"b": 1, "B": True, "a": False}), ("list", ()), *filled(("x", ""), ("y", {}), ("n", "v"))
    )
    assert line(document) == b'{"z":null,"a":{"B":true,"a":false,"b":1},"list":[],"n":"v"}\n'
    assert record(("a", (record(("b", 1)),)), ("c", None)).plain() == {"a": [{"b": 1}], "c": None}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(value=VALUES)
def test_what_is_written_can_be_read(value: Any) -> None:
    assert json.loads(encode(value), parse_int=float) == value


@settings(deadline=None)
@given(value=VALUES, after=st.binary(max_size=5))
def test_the_end_of_a_value_is_found(value: Any, after: bytes) -> None:
    body = msgspec.json.encode({"a": value})
    assert end_of_value((body + after).decode("latin-1")) == len(body)


@settings(deadline=None, max_examples=300)
@given(body=st.binary(max_size=40) | st.text(alphabet='{}[]",:0123456789.eE+-\\untrfalse ', max_size=30).map(str.encode))
def test_what_is_found_to_be_a_value_is_one_for_other_readers_too(body: bytes) -> None:
    try:
        end = end_of_value(body.decode("latin-1"))
    except GoSyntaxError:
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(body.decode("utf-8", "replace"))
    else:
        json.loads(body[:end].decode("utf-8", "replace"))


def test_queries() -> None:
    query = read_query("a=1&b=%2F+x&a=2&&c&d=%C3%A9%FF\ud800")
    assert query.pairs == (("a", "1"), ("b", "/ x"), ("a", "2"), ("c", ""), ("d", "é\ufffd\ufffd"))
    assert (query.first("a"), query.first("z")) == ("1", None)
    assert [read_state(text) for text in ("0", "1", "+1", "-0", "01", "2", "", "x", "1.0", "\u0661")] == [
        *(False, True, True, False, True),
        *(None,) * 5,
    ]
    assert mended("a\ud800b") == "a\ufffdb"
