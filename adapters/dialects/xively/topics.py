"""What devices do over MQTT: publish on their channels, and read and set their fields by reflection.

A device publishes and subscribes below `xi/blue/v1/<account>/d/<device>/` of its own, and on the two topics of the vendor's
control channel, which nobody answers. What it sends on a channel is acknowledged and counted.

Fields: `{"state":{"name":"x"}}` published to `_set/fields` is told on `_rejected` where it is refused. Whoever subscribes to
`_updates/fields` is told all fields once, and from then on those that changed, whoever changed them.

Sources: developer.xively.com, "Connecting and disconnecting", "Modifying devices over MQTT"; xively-client-c, control topic.
"""

from typing import Any, Final

import msgspec

from adapters.dialects.xively.devices import DEFAULT_FIELDS, PLACE_FIELDS, RESERVED
from adapters.dialects.xively.reading import read_object
from adapters.exchange import Carrier, Closing, Decoded, Inbound, Outbound, Route, Success
from core.errors import Reason, Refusal
from core.messages import AskFields, FieldsAnswer, Identity, Report, Reported, SetFields
from core.model import Device
from core.topic_spaces import Action, Holder, TopicSpace

_OWN: Final = "xi/blue/v1/{tenant}/d/{device}"
_CONTROL: Final = "xi/ctrl/v1/{device}"
_SET, _UPDATES, _REJECTED = "_set/fields", "_updates/fields", "_rejected"
_PUBLISH, _ASK, _WRITE = "publish", "read_fields", "set_fields"
_JSON: Final = "application/json"

SUBSCRIPTIONS: Final = (f"{_OWN}/#", f"{_CONTROL}/cln")
TOPICS: Final = (
    TopicSpace(prefix=_OWN),
    TopicSpace(prefix=f"{_CONTROL}/svc", actions=frozenset({Action.PUBLISH})),
    TopicSpace(prefix=f"{_CONTROL}/cln", actions=frozenset({Action.SUBSCRIBE})),
    TopicSpace(prefix=_OWN, holder=Holder.END_USER),
    TopicSpace(prefix="xi/blue/v1/{tenant}/d", holder=Holder.ACCOUNT_USER),
    TopicSpace(prefix="xi/blue/v1/{tenant}/d", holder=Holder.ACCOUNT_AUDITOR, actions=frozenset({Action.SUBSCRIBE})),
)
ROUTES: Final = tuple(
    Route(carrier=Carrier.MQTT, method=method, path=path, operation=operation, forwarded=operation == _PUBLISH)
    for method, path, operation in (
        ("PUBLISH", f"{_OWN}/{{channel}}", _PUBLISH),
        ("PUBLISH", f"{_OWN}/{{channel}}/{{part}}", _PUBLISH),
        ("PUBLISH", f"{_OWN}/{_SET}", _WRITE),
        ("PUBLISH", f"{_CONTROL}/svc", _PUBLISH),
        ("SUBSCRIBE", f"{_OWN}/{_UPDATES}", _ASK),
    )
)
OPERATIONS: Final = frozenset({_PUBLISH, _ASK, _WRITE})
_ALWAYS: Final = frozenset((*DEFAULT_FIELDS, *PLACE_FIELDS))


_STATE = msgspec.json.Decoder(dict[str, Any])


def decode(route: Route, inbound: Inbound) -> Decoded:
    """Read a message. Raises `Refusal` FORBIDDEN on another's topic, MALFORMED where it cannot be read."""
    who = _require_own(inbound)
    if route.operation == _ASK:
        return Decoded(AskFields(who), inbound.form)
    if route.operation == _PUBLISH:
        return Decoded(Report(who, inbound.params.get("channel", "control")))
    return Decoded(_read_fields(who, inbound.body))


def encode(result: Reported | FieldsAnswer, form: str, inbound: Inbound) -> Outbound:
    """Acknowledge a message, or tell of fields: all of them, or with the state told before in `form` those that changed."""
    if not isinstance(result, FieldsAnswer) or inbound.operation != _ASK:
        return Outbound(outcome=Success.OK)
    state = _state(result.device)
    told = _difference(form, state)
    if result.etag in inbound.held or (form and not told):
        return Outbound(outcome=Success.UNCHANGED, etag=result.etag, watch=result.device.id, form=form)
    return Outbound(
        outcome=Success.OK,
        body=msgspec.json.encode({"state": told}),
        content_type=_JSON,
        topic=inbound.path,
        etag=result.etag,
        watch=result.device.id,
        form=msgspec.json.encode(state).decode(),
    )


def refuse(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """Tell on `_rejected` why fields were not set; any other refusal ends a connection that cannot be told."""
    if inbound.operation == _WRITE and refusal.check not in ("topic.other", "identity.user"):
        body = msgspec.json.encode({"error": {"message": refusal.detail}})
        topic = inbound.path.removesuffix(_SET) + _REJECTED
        return Outbound(outcome=refusal.reason, body=body, content_type=_JSON, topic=topic, retry_after=refusal.retry_after)
    closing = Closing.UNLESS_TOLD if refusal.reason is Reason.FORBIDDEN else Closing.NO
    return Outbound(outcome=refusal.reason, closing=closing, retry_after=refusal.retry_after, form=form)


def _require_own(inbound: Inbound) -> Identity:
    who, named = inbound.identity, inbound.params
    if who is None or named["device"] != who.device or named.get("tenant", who.tenant) != who.tenant:
        raise Refusal(Reason.FORBIDDEN, "the topic is another device's", check="topic.other")
    return who


def _read_fields(who: Identity, body: bytes) -> SetFields:
    state = read_object(body).get("state")
    if not isinstance(state, dict):
        raise Refusal(Reason.MALFORMED, 'the body is not a JSON object with an object "state"', check="body.unparsed")
    fields = {name: value for name, value in state.items() if name != "name"}
    fixed = fields.keys() & RESERVED
    if fixed:
        raise Refusal(Reason.FORBIDDEN, f"{min(fixed)} cannot be set by the device", check="device.field")
    label = state.get("name", "")
    if label is not None and not isinstance(label, str):
        raise Refusal(Reason.MALFORMED, "name is not a text", check="body.field")
    return SetFields(who, (label or "") if "name" in state else None, fields, _ALWAYS)


def _state(device: Device) -> dict[str, Any]:
    always: dict[str, Any] = {"name": device.label or None} | {name: device.metadata.get(name) for name in sorted(_ALWAYS)}
    return always | {name: value for name, value in device.metadata.items() if name not in RESERVED}


def _difference(before: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return what of a state is not as it was; a field that is gone is null, which is nothing new where it was null."""
    if not before:
        return state
    known = _STATE.decode(before)
    changed = {name: value for name, value in state.items() if known.get(name) != value}
    return changed | {name: None for name, value in known.items() if name not in state and value is not None}
