"""mosquitto-go-auth: its back end `http`, with parameters as JSON or as a form.

Source: https://github.com/iegomez/mosquitto-go-auth, README, "HTTP", and backends/http.go. One answer does for its response
modes `status` and `json`; for `text`, which wants the body `ok`, the paths are configured with `?response_mode=text`.
"""

from typing import Final

import msgspec

from adapters.dialects.brokers.answering import document, text
from adapters.dialects.brokers.declined import Declined
from adapters.dialects.brokers.options import DialectOptions
from adapters.dialects.brokers.reading import Text, malformed, query
from adapters.dialects.brokers.reading import read as read_fields
from adapters.exchange import Carrier, Inbound, Outbound, Outcome, Route
from core.broker_questions import Admitted, AskLogin, AskTopics, Permitted
from core.errors import Reason, Refusal
from core.messages import MqttLogin
from core.model import Secret
from core.mqtt_names import MqttNames
from core.topic_spaces import Action

_USER, _SUPERUSER, _ACL = "goauth_user", "goauth_superuser", "goauth_acl"
ROUTES: Final = tuple(
    Route(carrier=Carrier.HTTP, method="POST", path=f"/v1/broker/goauth/{name}", operation=operation)
    for name, operation in (("user", _USER), ("superuser", _SUPERUSER), ("acl", _ACL))
)
# mosquitto's MOSQ_ACL_READ (asked at each delivery), WRITE, SUBSCRIBE and UNSUBSCRIBE (mosquitto_broker.h).
_ACTIONS = {1: Action.SUBSCRIBE, 2: Action.PUBLISH, 4: Action.SUBSCRIBE, 8: Action.SUBSCRIBE}


class User(msgspec.Struct, frozen=True):
    """Somebody connects."""

    username: Text = ""
    password: Text = ""
    clientid: Text = ""


class Acl(msgspec.Struct, frozen=True):
    """Somebody publishes, subscribes, or is about to be sent a message."""

    topic: Text
    acc: int
    username: Text = ""
    clientid: Text = ""


class Said(msgspec.Struct, frozen=True):
    """The answer of the response mode `json`."""

    ok: bool = msgspec.field(name="Ok")
    error: str = msgspec.field(name="Error")


def read(inbound: Inbound, options: DialectOptions) -> AskLogin | AskTopics | Declined:
    """Read a question. Raises `Refusal` MALFORMED."""
    if inbound.operation == _SUPERUSER:
        return Declined(detail="nobody is a superuser", check="broker.superuser")
    if inbound.operation == _USER:
        asked = read_fields(inbound, User)
        return AskLogin(MqttLogin(asked.clientid, asked.username, Secret(asked.password)))
    wanted = read_fields(inbound, Acl)
    action = _ACTIONS.get(wanted.acc)
    if action is None:
        raise malformed("acc is none of 1, 2, 4 and 8")
    return AskTopics(MqttNames(wanted.username, wanted.clientid), action, (wanted.topic,))


def write(result: Admitted | Permitted, inbound: Inbound) -> Outbound:
    """Write yes."""
    return text("ok") if _is_text(inbound) else document(Said(True, ""))


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write no. A status of 401 is kept for the broker's own secret."""
    outcome: Outcome = Reason.FORBIDDEN if refusal.reason is Reason.UNAUTHENTICATED else refusal.reason
    return text(refusal.detail, outcome) if _is_text(inbound) else document(Said(False, refusal.detail), outcome)


def _is_text(inbound: Inbound) -> bool:
    return query(inbound).get("response_mode") == "text"
