"""VerneMQ: webhooks, one path for all; which hook it is stands in the header `vernemq-hook`.

Source: https://docs.vernemq.com/plugin-development/webhookplugins. Each hook comes in two forms, that for MQTT 5 ends in `_m5`.
Any status but 200 is a failure to it, which ends in no.

A connection is given the id of its device for a client id, so no two devices share one, and every later hook names the device
by it. An override takes effect only together with the mountpoint, which stays as it is. Topics are rewritten on the way in, and
back on the way out (`on_deliver`); so `on_unsubscribe` has to be rewritten too.
"""

from typing import Final

import msgspec

from adapters.dialects.brokers.answering import document
from adapters.dialects.brokers.options import DialectOptions
from adapters.dialects.brokers.reading import Host, Text, malformed
from adapters.dialects.brokers.reading import read as read_fields
from adapters.exchange import Carrier, Inbound, Outbound, Route
from core.acquaintance import GivenId
from core.broker_questions import Admitted, AskDelivery, AskLogin, AskTopics, Permitted
from core.errors import Refusal
from core.messages import MqttLogin
from core.model import Secret
from core.topic_spaces import Action

ROUTES: Final = (Route(carrier=Carrier.HTTP, method="POST", path="/v1/broker/vernemq", operation="vernemq"),)
TOPICS_AT_ONCE: Final = 256
_FIVE = "_m5"
_REFUSED_QOS, _NOT_AUTHORIZED = 128, 135  # OASIS MQTT 3.1.1, section 3.9.3; OASIS MQTT 5.0, section 3.9.3


class Register(msgspec.Struct, frozen=True):
    """Somebody connects."""

    client_id: Text
    mountpoint: Text = ""
    username: Text | None = None
    password: Text | None = None
    peer_addr: Host | None = None


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """One topic filter and its options; the last three are those of MQTT 5, and are left as they are."""

    topic: Text
    qos: int
    no_local: bool | msgspec.UnsetType = msgspec.UNSET
    rap: bool | msgspec.UnsetType = msgspec.UNSET
    retain_handling: str | msgspec.UnsetType = msgspec.UNSET


class Subscribe(msgspec.Struct, frozen=True):
    """Somebody subscribes."""

    client_id: Text
    topics: tuple[Subscription, ...]


class Unsubscribe(msgspec.Struct, frozen=True):
    """Somebody ends subscriptions."""

    client_id: Text
    topics: tuple[Text, ...]


class Message(msgspec.Struct, frozen=True):
    """Somebody publishes, or is about to be sent a message."""

    client_id: Text
    topic: Text


class Names(msgspec.Struct, frozen=True):
    """The names under which a connection goes on."""

    mountpoint: str
    client_id: str


class Topic(msgspec.Struct, frozen=True):
    """The topic that is taken."""

    topic: str


class Topics(msgspec.Struct, frozen=True):
    """The topics that are taken."""

    topics: tuple[Subscription, ...] | tuple[str, ...]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Yes. Lists of topics are among the modifiers in the hooks for MQTT 5, and beside the result in the others."""

    result: str = msgspec.field(default_factory=lambda: "ok")  # a factory, so that it is written
    modifiers: Names | Topic | Topics | None = None
    topics: tuple[Subscription, ...] | tuple[str, ...] | None = None


class Fault(msgspec.Struct, frozen=True):
    """What it is that is no."""

    error: str


class Refused(msgspec.Struct, frozen=True):
    """No."""

    result: Fault


def read(inbound: Inbound, options: DialectOptions) -> AskLogin | AskTopics | AskDelivery:
    """Read a question. Raises `Refusal` MALFORMED."""
    match _hook(inbound):
        case "auth_on_register":
            return _login(read_fields(inbound, Register))
        case "auth_on_subscribe":
            wanted = read_fields(inbound, Subscribe)
            return _filters(wanted.client_id, tuple(each.topic for each in wanted.topics))
        case "on_unsubscribe":
            ended = read_fields(inbound, Unsubscribe)
            return _filters(ended.client_id, ended.topics)
        case "auth_on_publish":
            sent = read_fields(inbound, Message)
            return AskTopics(GivenId(sent.client_id), Action.PUBLISH, (sent.topic,), rewriting=True)
        case "on_deliver":
            due = read_fields(inbound, Message)
            return AskDelivery(GivenId(due.client_id), due.topic)
        case _:
            raise malformed("there is no such hook here")


def write(result: Admitted | Permitted, inbound: Inbound) -> Outbound:
    """Write yes, and what is to be rewritten."""
    if isinstance(result, Admitted):
        return document(Answer(modifiers=Names(read_fields(inbound, Register).mountpoint, result.identity.device)))
    match _hook(inbound):
        case "auth_on_subscribe":
            return _list(_subscriptions(read_fields(inbound, Subscribe), result, inbound), inbound)
        case "on_unsubscribe":
            asked = read_fields(inbound, Unsubscribe).topics
            return _list(tuple(found or topic for found, topic in zip(result.topics, asked, strict=True)), inbound)
        case _:
            topic = result.topics[0]
            return document(Answer(modifiers=None if topic is None else Topic(topic)))


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write no."""
    return document(Refused(Fault("not_allowed")))


def _hook(inbound: Inbound) -> str:
    return inbound.headers.get("vernemq-hook", "").removesuffix(_FIVE)


def _is_five(inbound: Inbound) -> bool:
    return inbound.headers.get("vernemq-hook", "").endswith(_FIVE)


def _login(asked: Register) -> AskLogin:
    login = MqttLogin(asked.client_id, asked.username or "", Secret(asked.password or ""))
    return AskLogin(login, asked.peer_addr or "", renaming=True)


def _filters(client_id: str, topics: tuple[str, ...]) -> AskTopics:
    if not 0 < len(topics) <= TOPICS_AT_ONCE:
        raise malformed(f"it names no topic, or more than {TOPICS_AT_ONCE}")
    return AskTopics(GivenId(client_id), Action.SUBSCRIBE, topics, rewriting=True)


def _subscriptions(asked: Subscribe, result: Permitted, inbound: Inbound) -> tuple[Subscription, ...]:
    """Return each subscription as it is taken, a refused one with a quality of service that says so."""
    refused = _NOT_AUTHORIZED if _is_five(inbound) else _REFUSED_QOS
    return tuple(
        Subscription(each.topic, refused) if found is None else msgspec.structs.replace(each, topic=found)
        for each, found in zip(asked.topics, result.topics, strict=True)
    )


def _list(topics: tuple[Subscription, ...] | tuple[str, ...], inbound: Inbound) -> Outbound:
    return document(Answer(modifiers=Topics(topics)) if _is_five(inbound) else Answer(topics=topics))
