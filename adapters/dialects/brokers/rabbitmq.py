"""RabbitMQ: the back end `rabbitmq_auth_backend_http`, asked by the MQTT plug-in (read and run with 3.10).

Forms by POST, or the same by GET, which is its default and puts passwords into URLs. The answer is `allow` or `deny` with 200,
and nothing else: another word, a line end or another status is an error to it, which it takes for a no and writes to its log.

MQTT is mapped to AMQP: a client has queues named after its client id, bound to the exchange `amq.topic`; `/` is `.` in a
routing key and `+` is `*`. So a level of a topic that holds a dot is two levels here, for RabbitMQ as for the decision.
"""

from typing import Final, Literal

import msgspec

from adapters.dialects.brokers.answering import text
from adapters.dialects.brokers.declined import Declined
from adapters.dialects.brokers.options import DialectOptions
from adapters.dialects.brokers.reading import Text
from adapters.dialects.brokers.reading import read as read_fields
from adapters.exchange import Carrier, Inbound, Outbound, Route
from core.broker_questions import Admitted, AskLogin, AskTopics, Permitted
from core.errors import Refusal
from core.messages import MqttLogin
from core.model import Secret
from core.mqtt_names import MqttNames
from core.topic_spaces import Action

_USER, _VHOST, _RESOURCE, _TOPIC = "rabbitmq_user", "rabbitmq_vhost", "rabbitmq_resource", "rabbitmq_topic"
ROUTES: Final = tuple(
    Route(carrier=Carrier.HTTP, method=method, path=f"/v1/broker/rabbitmq/{name}", operation=operation)
    for name, operation in (("user", _USER), ("vhost", _VHOST), ("resource", _RESOURCE), ("topic", _TOPIC))
    for method in ("POST", "GET")
)
EXCHANGE: Final = "amq.topic"
_ACTIONS = {"write": Action.PUBLISH, "read": Action.SUBSCRIBE}

Permission = Literal["configure", "write", "read"]


class User(msgspec.Struct, frozen=True):
    """Somebody logs in. `vhost` and `client_id` come with MQTT."""

    username: Text = ""
    password: Text = ""
    vhost: Text | None = None
    client_id: Text = ""


class Vhost(msgspec.Struct, frozen=True):
    """Somebody wants into a virtual host."""

    username: Text
    vhost: Text
    client_id: Text = ""


class Resource(msgspec.Struct, frozen=True):
    """Somebody wants to use a queue or an exchange."""

    username: Text
    vhost: Text
    resource: Text
    name: Text
    permission: Permission
    client_id: Text = ""


class Topic(msgspec.Struct, frozen=True):
    """Somebody wants to publish to a topic exchange, or to have a queue bound to it."""

    username: Text
    vhost: Text
    name: Text
    permission: Permission
    routing_key: Text
    client_id: Text = msgspec.field(default="", name="variable_map.client_id")


def read(inbound: Inbound, options: DialectOptions) -> AskLogin | AskTopics | Declined:
    """Read a question. Raises `Refusal` MALFORMED."""
    if inbound.operation == _USER:
        return _user(read_fields(inbound, User), options)
    if inbound.operation == _VHOST:
        return _vhost(read_fields(inbound, Vhost), options)
    if inbound.operation == _RESOURCE:
        return _resource(read_fields(inbound, Resource), options)
    return _topic(read_fields(inbound, Topic), options)


def write(result: Admitted | Permitted, inbound: Inbound) -> Outbound:
    """Write yes, and never a tag: no device administers or monitors a broker."""
    return text("allow")


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write no; a word of reason behind it would be an error to older versions."""
    return text("deny")


def _user(asked: User, options: DialectOptions) -> AskLogin | Declined:
    if asked.vhost is not None and asked.vhost != options.vhost:
        return _elsewhere()
    return AskLogin(MqttLogin(asked.client_id, asked.username, Secret(asked.password)), lasting=True)


def _vhost(asked: Vhost, options: DialectOptions) -> AskTopics | Declined:
    if asked.vhost != options.vhost:
        return _elsewhere()
    return _known(asked.username, asked.client_id)


def _resource(asked: Resource, options: DialectOptions) -> AskTopics | Declined:
    """Let a client have its own two queues and use the exchange of topics, which it may not change."""
    if asked.vhost != options.vhost:
        return _elsewhere()
    own = {f"mqtt-subscription-{asked.client_id}qos{qos}" for qos in (0, 1)} if asked.client_id else set()
    is_queue = asked.resource == "queue" and asked.name in own
    is_exchange = asked.resource == "exchange" and asked.name == EXCHANGE and asked.permission != "configure"
    if not is_queue and not is_exchange:
        return Declined(detail="a device may use its own queues and the exchange of topics", check="broker.resource")
    return _known(asked.username, asked.client_id)


def _topic(asked: Topic, options: DialectOptions) -> AskTopics | Declined:
    if asked.vhost != options.vhost:
        return _elsewhere()
    action = _ACTIONS.get(asked.permission)
    if action is None or asked.name != EXCHANGE:
        return Declined(detail="a device may use its own queues and the exchange of topics", check="broker.resource")
    # What is published to a*b is received as a+b, so a star is a wildcard here whoever writes it.
    topic = asked.routing_key.replace(".", "/").replace("*", "+")
    return AskTopics(MqttNames(asked.username, asked.client_id), action, (topic,))


def _known(username: str, client_id: str) -> AskTopics:
    return AskTopics(MqttNames(username, client_id), Action.SUBSCRIBE)


def _elsewhere() -> Declined:
    return Declined(detail="devices may not use this virtual host", check="broker.vhost")
