"""The topics of Xively's devices: what is read from them, what is told on them, and what ends a connection."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialects import xively
from adapters.dialects.xively.devices import RESERVED
from adapters.exchange import Carrier, Closing, Decoded, Inbound, Outbound, Peer, Success
from adapters.router import Match, Miss, Router
from core.errors import Reason, Refusal
from core.messages import AskFields, FieldsAnswer, Identity, Report, Reported, SetFields
from core.model import CredentialId, Device, DeviceId, ProfileId, TenantId
from tests.fakes import START

DEVICE = "0199a9d4-6c7f-7d30-8f4e-4d6f9b1f2a10"
OTHER = "0199a9d4-6c7f-7d30-8f4e-4d6f9b1f2a11"
WHO = Identity(TenantId("acme"), DeviceId(DEVICE), "LINE3-000481", CredentialId("c"))
OWN, CONTROL = f"xi/blue/v1/acme/d/{DEVICE}", f"xi/ctrl/v1/{DEVICE}"
SET, UPDATES = f"{OWN}/_set/fields", f"{OWN}/_updates/fields"
ROUTER = Router([xively])
ALWAYS = {"deviceVersion", "latitude", "location", "longitude", "purchaseDate"}
EMPTY = dict.fromkeys(("name", *sorted(ALWAYS)))


def sent(path: str, body: Any = b"", method: str = "PUBLISH", **fields: Any) -> tuple[Match, Inbound]:
    """Return a message as the exchange hands it over, and its route."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"identity": WHO} | fields
    inbound = Inbound(carrier=Carrier.MQTT, method=method, path=path, peer=Peer("192.0.2.7"), body=content, **fields)
    match = ROUTER.find(inbound)
    assert isinstance(match, Match)
    return match, msgspec.structs.replace(inbound, params=match.params, operation=match.route.operation)


def decoded(path: str, body: Any = b"", method: str = "PUBLISH", **fields: Any) -> Decoded:
    match, inbound = sent(path, body, method, **fields)
    return xively.decode(match.route, inbound)


def refused(path: str, body: Any = b"", method: str = "PUBLISH", **fields: Any) -> tuple[Refusal, Outbound]:
    """Send what is refused, and return how that is told."""
    match, inbound = sent(path, body, method, **fields)
    with pytest.raises(Refusal) as caught:
        xively.decode(match.route, inbound)
    return caught.value, xively.refuse(caught.value, "", inbound)


def a_device(label: str = "", **metadata: Any) -> Device:
    return Device(
        id=DeviceId(DEVICE),
        tenant=TenantId("acme"),
        profile=ProfileId("p"),
        name="LINE3-000481",
        label=label,
        metadata=metadata,
        created_at=START,
        updated_at=START,
    )


def told(device: Device, form: str = "", held: tuple[str, ...] = (), etag: str = "aa") -> Outbound:
    """Return what a device that subscribed to its fields is told of them."""
    _, inbound = sent(UPDATES, method="SUBSCRIBE", form=form, held=held)
    return xively.encode(FieldsAnswer(WHO, device, etag), form, inbound)


def state_of(answer: Outbound) -> Any:
    body = json.loads(answer.body)
    assert list(body) == ["state"]
    return body["state"]


# What is read


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (f"{OWN}/temperature", "temperature"),
        (f"{OWN}/_log", "_log"),
        (f"{OWN}/a/b", "a"),
        (f"{OWN}/_rejected", "_rejected"),
        (f"{CONTROL}/svc", "control"),
    ],
)
def test_what_is_published_is_a_report_whatever_it_is(path: str, what: str) -> None:
    for body in (b"", b"21", b"\xff\x00", b"{" * 10_000):
        assert decoded(path, body) == Decoded(Report(WHO, what))


def test_to_subscribe_to_the_fields_is_to_ask_for_them() -> None:
    assert decoded(UPDATES, method="SUBSCRIBE") == Decoded(AskFields(WHO))
    assert decoded(UPDATES, method="SUBSCRIBE", form='{"name":null}') == Decoded(AskFields(WHO), '{"name":null}')


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUBLISH", OWN),
        ("PUBLISH", f"{OWN}/a/b/c"),
        ("PUBLISH", f"{OWN}/"),
        ("PUBLISH", UPDATES),
        ("PUBLISH", f"{CONTROL}/cln"),
        ("PUBLISH", f"xi/blue/v2/acme/d/{DEVICE}/x"),
        ("SUBSCRIBE", f"{OWN}/#"),
        ("SUBSCRIBE", f"{OWN}/_set/fields"),
        ("SUBSCRIBE", f"{CONTROL}/cln"),
    ],
)
def test_nothing_else_is_a_request(method: str, path: str) -> None:
    found = ROUTER.find(Inbound(carrier=Carrier.MQTT, method=method, path=path, peer=Peer("192.0.2.7"), identity=WHO))
    assert isinstance(found, Miss)


@pytest.mark.parametrize("account", ["acme", "other", "Acme", "{tenant}", "+"])
@pytest.mark.parametrize("device", [DEVICE, OTHER, DEVICE.upper(), "{device}", "#"])
def test_a_device_speaks_of_itself_alone(account: str, device: str) -> None:
    is_own = (account, device) == ("acme", DEVICE)
    below = f"xi/blue/v1/{account}/d/{device}"
    for path, method in (
        (f"{below}/temperature", "PUBLISH"),
        (f"{below}/a/b", "PUBLISH"),
        (f"{below}/_set/fields", "PUBLISH"),
        (f"{below}/_updates/fields", "SUBSCRIBE"),
    ):
        if is_own:
            assert decoded(path, {"state": {}}, method).message
            continue
        refusal, answer = refused(path, {"state": {}}, method)
        assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "topic.other")
        assert answer == Outbound(outcome=Reason.FORBIDDEN, closing=Closing.UNLESS_TOLD)


def test_the_control_topic_is_the_device_s_own_whatever_its_account() -> None:
    refusal, answer = refused(f"xi/ctrl/v1/{OTHER}/svc")
    assert (refusal.check, answer.closing) == ("topic.other", Closing.UNLESS_TOLD)


@pytest.mark.parametrize("path", [f"{OWN}/temperature", SET, f"{CONTROL}/svc"])
def test_who_is_nobody_has_no_topics(path: str) -> None:
    refusal, answer = refused(path, {"state": {}}, identity=None)
    assert (refusal.check, answer.topic) == ("topic.other", None)


@pytest.mark.parametrize(
    ("state", "label", "fields"),
    [
        ({}, None, {}),
        ({"name": "x"}, "x", {}),
        ({"name": ""}, "", {}),
        ({"name": None}, "", {}),
        ({"name": "x", "location": "here", "color": None}, "x", {"location": "here", "color": None}),
        ({"latitude": 47.07, "nested": {"a": [1, {"b": None}]}}, None, {"latitude": 47.07, "nested": {"a": [1, {"b": None}]}}),
    ],
)
def test_fields_are_set(state: dict[str, Any], label: str | None, fields: dict[str, Any]) -> None:
    for body in ({"state": state}, {"state": state, "version": 7}):
        message = decoded(SET, body).message
        assert message == SetFields(WHO, label, fields, frozenset(ALWAYS))


HOSTILE = {
    "nothing": b"",
    "no object": b"[]",
    "no state": b"{}",
    "state that is null": b'{"state":null}',
    "state that is a list": b'{"state":[["name","x"]]}',
    "cut off": b'{"state":{"name":"x"',
    "no utf-8": b'{"state":{"name":"\xff"}}',
    "an overlong form": b'{"state":{"name":"\xc0\x80"}}',
    "half a surrogate pair": b'{"state":{"name":"\\ud800"}}',
    "half a pair in a name": b'{"state":{"\\udc00":1}}',
    "no number": b'{"state":{"location":NaN}}',
    "a number beyond all": b'{"state":{"location":1e400}}',
    "a number without end": b'{"state":{"location":' + b"9" * 5_000 + b"}}",
    "U+0000": b'{"state":{"location":"\\u0000"}}',
    "a member twice": b'{"state":{"location":1,"location":2}}',
    "two bodies": b'{"state":{}}{"state":{}}',
    "a byte order mark": b'\xef\xbb\xbf{"state":{}}',
    "objects without end": b'{"state":' + b'{"a":' * 50_000,
    "lists without end": b'{"state":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_body_that_sets_nothing_is_told_so(body: bytes) -> None:
    refusal, answer = refused(SET, body)
    assert refusal.reason is Reason.MALFORMED
    assert refusal.check in ("body.unparsed", "body.json", "body.empty")
    assert rejected(answer) == refusal.detail
    assert answer.outcome is Reason.MALFORMED


def rejected(answer: Outbound) -> str:
    """Return what is told on `_rejected`, and see that the connection stays open."""
    assert (answer.topic, answer.content_type, answer.closing) == (f"{OWN}/_rejected", "application/json", Closing.NO)
    body = json.loads(answer.body)
    assert [list(body), list(body["error"])] == [["error"], ["message"]]
    message: str = body["error"]["message"]
    return message


@pytest.mark.parametrize("name", sorted(RESERVED - {"name"}))
def test_what_is_no_field_is_not_the_device_s_to_set(name: str) -> None:
    refusal, answer = refused(SET, {"state": {"name": "x", "location": "here", name: "o"}})
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "device.field")
    assert rejected(answer) == f"{name} cannot be set by the device"


@pytest.mark.parametrize("name", [7, True, ["x"], {"x": 1}, 0, False, []])
def test_a_name_is_a_text(name: Any) -> None:
    refusal, answer = refused(SET, {"state": {"name": name}})
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "body.field")
    assert rejected(answer) == "name is not a text"


# What is told


def test_what_was_done_is_acknowledged_and_no_more() -> None:
    _, published = sent(f"{OWN}/temperature")
    assert xively.encode(Reported(WHO, "temperature"), "", published) == Outbound(outcome=Success.OK)
    _, writing = sent(SET, {"state": {}})
    assert xively.encode(FieldsAnswer(WHO, a_device("x"), "aa"), "", writing) == Outbound(outcome=Success.OK)


def test_the_first_answer_tells_everything() -> None:
    answer = told(a_device())
    assert state_of(answer) == EMPTY
    assert (answer.outcome, answer.topic, answer.content_type) == (Success.OK, UPDATES, "application/json")
    assert (answer.etag, answer.watch) == ("aa", DEVICE)
    assert json.loads(answer.form) == EMPTY
    full = told(a_device("Pump", location="here", color="red", latitude=1.5))
    assert state_of(full) == EMPTY | {"name": "Pump", "location": "here", "latitude": 1.5, "color": "red"}


def test_what_is_kept_under_the_name_of_a_fixed_member_is_no_field() -> None:
    hidden = dict.fromkeys(RESERVED, "hidden")
    assert state_of(told(a_device("Pump", **hidden))) == EMPTY | {"name": "Pump"}


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        (a_device(), a_device("x"), {"name": "x"}),
        (a_device("x"), a_device(), {"name": None}),
        (a_device(color="red"), a_device(color="blue"), {"color": "blue"}),
        (a_device(color="red"), a_device(), {"color": None}),
        (a_device(), a_device(color="red", size=3), {"color": "red", "size": 3}),
        (a_device(location="here"), a_device(), {"location": None}),
        (a_device("x", a=1, b=2), a_device("y", b=3, c=4), {"name": "y", "a": None, "b": 3, "c": 4}),
        (a_device(nested={"a": [1]}), a_device(nested={"a": [2]}), {"nested": {"a": [2]}}),
        (a_device(big=2**64, small=0.1), a_device("x", big=2**64, small=0.1), {"name": "x"}),
        (a_device(color=None, size=None), a_device("x", size=4), {"name": "x", "size": 4}),
    ],
)
def test_later_answers_tell_what_changed(before: Device, after: Device, difference: dict[str, Any]) -> None:
    form = told(before).form
    answer = told(after, form, held=("aa",), etag="bb")
    assert state_of(answer) == difference
    assert (answer.outcome, answer.etag) == (Success.OK, "bb")
    assert json.loads(answer.form) == state_of(told(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [(a_device("x", a=1), a_device("x", a=1)), (a_device(color=None), a_device()), (a_device(), a_device(c=None))],
)
def test_a_change_of_nothing_that_is_told_is_not_told(before: Device, after: Device) -> None:
    form = told(before).form
    answer = told(after, form, held=("aa",), etag="bb")
    assert (answer.outcome, answer.body, answer.form, answer.watch) == (Success.UNCHANGED, b"", form, DEVICE)


def test_a_chain_of_changes_leads_to_the_state_there_is() -> None:
    devices = [a_device(), a_device("x", a=1), a_device("x", b=[1, 2]), a_device("", b=[1, 2], location="L"), a_device()]
    form, known = "", dict[str, Any]()
    for number, device in enumerate(devices):
        answer = told(device, form, etag=f"{number:02}")
        known |= state_of(answer)
        form = answer.form
        full = state_of(told(device))
        assert {name: value for name, value in known.items() if value is not None or name in full} == full


def test_what_the_device_has_is_not_told_again() -> None:
    form = told(a_device("x")).form
    answer = told(a_device("x"), form, held=("00", "aa"))
    assert answer == Outbound(outcome=Success.UNCHANGED, etag="aa", watch=DEVICE, form=form)


# What is refused


def refusal(reason: Reason, check: str = "any", retry_after: float | None = None) -> Refusal:
    return Refusal(reason, "this cannot be", check=check, retry_after=retry_after)


@pytest.mark.parametrize("reason", Reason)
def test_why_fields_were_not_set_is_told(reason: Reason) -> None:
    _, inbound = sent(SET, {"state": {}})
    answer = xively.refuse(refusal(reason, retry_after=2.0), "", inbound)
    assert rejected(answer) == "this cannot be"
    assert (answer.outcome, answer.retry_after) == (reason, 2.0)


@pytest.mark.parametrize("check", ["topic.other", "identity.user"])
def test_who_has_no_fields_is_told_nothing_on_a_topic(check: str) -> None:
    _, inbound = sent(f"xi/blue/v1/acme/d/{OTHER}/_set/fields", {"state": {}})
    answer = xively.refuse(refusal(Reason.FORBIDDEN, check), "", inbound)
    assert (answer.topic, answer.body, answer.closing) == (None, b"", Closing.UNLESS_TOLD)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize(("method", "path"), [("PUBLISH", f"{OWN}/temperature"), ("SUBSCRIBE", UPDATES)])
def test_any_other_refusal_ends_the_connection_only_where_something_was_forbidden(
    method: str, path: str, reason: Reason
) -> None:
    _, inbound = sent(path, method=method)
    answer = xively.refuse(refusal(reason, retry_after=2.0), '{"name":"x"}', inbound)
    assert (answer.outcome, answer.topic, answer.body, answer.retry_after) == (reason, None, b"", 2.0)
    assert answer.closing is (Closing.UNLESS_TOLD if reason is Reason.FORBIDDEN else Closing.NO)
    assert answer.form == '{"name":"x"}'
