"""Turns a broker's messages into neutral requests, and neutral answers into what goes back with them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from adapters.brokers.request_topics import Asked
from adapters.exchange import NOTHING, Carrier, Inbound, Outbound, Peer

QOS: Final = 1
_DO_NOT_SEND_RETAINED = 2
REPEAT_KEY = "idempotency-key"


def source_of_client(client: str) -> str:
    """Return what a client is called where limits count: the broker's address would make one source of all of them.

    No address has a slash in it, so no client can pass for one, nor for the network of one.
    """
    return f"client/{client}"


def inbound(message: aiomqtt.Message, asked: Asked, path: str, guest: str, headers: int) -> Inbound:
    """Make a neutral request. Of the user properties the first `headers` count, and of a name that occurs twice the first."""
    user: list[tuple[str, str]] = _property(message, "UserProperty") or []
    named = _headers(user[:headers])
    return Inbound(
        carrier=Carrier.MQTT,
        method="PUBLISH",
        path=path,
        peer=Peer(source_of_client(asked.client)),
        headers=named,
        content_type=_property(message, "ContentType"),
        body=body(message),
        guest=guest,
        repeat_key=named.get(REPEAT_KEY, ""),
    )


def body(message: aiomqtt.Message) -> bytes:
    """Return what a message carries."""
    assert isinstance(message.payload, bytes)  # noqa: S101 - the library's type is that of messages in both directions
    return message.payload


def response_topic(message: aiomqtt.Message) -> str | None:
    """Return where a client would have its answer, which is not where it goes."""
    topic: str | None = _property(message, "ResponseTopic")
    return topic


def answer_properties(message: aiomqtt.Message, out: Outbound) -> Properties | None:
    """Return what goes with an answer: the request's correlation data, and what the answer is written in.

    None with a version of MQTT that has no properties.
    """
    if message.properties is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # the library's constructor has no types
    correlation: bytes | None = _property(message, "CorrelationData")
    if correlation is not None:
        properties.CorrelationData = correlation
    if out.content_type is not None:
        properties.ContentType = out.content_type
    return properties


def subscribe_options() -> SubscribeOptions:
    """Return how requests are subscribed to where MQTT 5 is spoken: so that a retained one can be told from others."""
    return SubscribeOptions(qos=QOS, retainAsPublished=True, retainHandling=_DO_NOT_SEND_RETAINED)


def _property(message: aiomqtt.Message, name: str) -> Any:
    """Return a property, None where the message has it not; the library keeps those there are as attributes."""
    return getattr(message.properties, name, None)


def _headers(user: list[tuple[str, str]]) -> Mapping[str, str]:
    if not user:
        return NOTHING
    return MappingProxyType({name.lower(): value for name, value in reversed(user)})
