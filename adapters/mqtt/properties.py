"""The properties that packets of version 5 carry (OASIS MQTT 5.0, section 2.2.2), as far as a client may send them."""

import enum
from types import MappingProxyType
from typing import Any

from adapters.mqtt.fields import malformed, read_binary, read_pair, read_text, read_u8, read_u16, read_u32, read_varint
from adapters.mqtt.packets import Properties, ProtocolError, ReasonCode
from core.topics import valid_name


class Carries(enum.IntFlag):
    """The packets a property may occur in, of those a client sends."""

    CONNECT = 1
    WILL = 2
    PUBLISH = 4
    ACKNOWLEDGEMENT = 8
    SUBSCRIBE = 16
    UNSUBSCRIBE = 32
    DISCONNECT = 64


_MESSAGE = Carries.PUBLISH | Carries.WILL
_EVERY = Carries((1 << 7) - 1)
_USER_PROPERTY = 0x26

# Section 2.2.2.2, without the properties that only a server may send.
_READERS = MappingProxyType(
    {
        0x01: ("payload_format", read_u8, _MESSAGE),
        0x02: ("message_expiry", read_u32, _MESSAGE),
        0x03: ("content_type", read_text, _MESSAGE),
        0x08: ("response_topic", read_text, _MESSAGE),
        0x09: ("correlation", read_binary, _MESSAGE),
        0x0B: ("subscription_identifier", read_varint, Carries.SUBSCRIBE),
        0x11: ("session_expiry", read_u32, Carries.CONNECT | Carries.DISCONNECT),
        0x15: ("authentication_method", read_text, Carries.CONNECT),
        0x16: ("authentication_data", read_binary, Carries.CONNECT),
        0x17: ("request_problem_information", read_u8, Carries.CONNECT),
        0x18: ("will_delay", read_u32, Carries.WILL),
        0x19: ("request_response_information", read_u8, Carries.CONNECT),
        0x1F: ("reason_string", read_text, Carries.ACKNOWLEDGEMENT | Carries.DISCONNECT),
        0x21: ("receive_maximum", read_u16, Carries.CONNECT),
        0x22: ("topic_alias_maximum", read_u16, Carries.CONNECT),
        0x23: ("topic_alias", read_u16, Carries.PUBLISH),
        _USER_PROPERTY: ("user", read_pair, _EVERY),
        0x27: ("maximum_packet_bytes", read_u32, Carries.CONNECT),
    }
)
# What CONNACK announces as missing: this endpoint keeps no aliases and numbers no subscriptions, and knows one way to log in.
_ANNOUNCED_MISSING = MappingProxyType(
    {
        "topic_alias": ReasonCode.TOPIC_ALIAS_INVALID,
        "subscription_identifier": ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        "authentication_method": ReasonCode.BAD_AUTHENTICATION_METHOD,
    }
)
_FLAGS = ("payload_format", "request_problem_information", "request_response_information")
_NEVER_ZERO = ("receive_maximum", "maximum_packet_bytes")
_KEPT = Properties.__struct_fields__

NO_PROPERTIES = Properties()


def read_properties(body: bytes, at: int, packet: Carries, user_properties: int) -> tuple[Properties, int]:
    """Read the properties of a packet of version 5, at most `user_properties` of the user's among them.

    Raises `ProtocolError`: unknown, misplaced or repeated property, value out of range, too many (0x97).
    """
    length, at = read_varint(body, at)
    if not length:
        return NO_PROPERTIES, at
    end = at + length
    if end > len(body):
        raise malformed("the properties are longer than the packet")
    found, at = _collect(body[:end], at, packet, user_properties)
    _check(found)
    return Properties(**{name: value for name, value in found.items() if name in _KEPT}), at


def _collect(body: bytes, at: int, packet: Carries, user_properties: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    user: list[tuple[str, str]] = []
    while at < len(body):
        name, value, at = _read_one(body, at, packet)
        if name == "user":
            if len(user) == user_properties:
                raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "too many user properties", bound="user_properties")
            user.append(value)
        elif name in found:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"property {name} is repeated")
        else:
            found[name] = value
    found["user"] = tuple(user)
    return found, at


def _read_one(body: bytes, at: int, packet: Carries) -> tuple[str, Any, int]:
    identifier, at = read_varint(body, at)
    known = _READERS.get(identifier)
    if known is None or not known[2] & packet:
        raise malformed(f"property {identifier:#x} does not belong in this packet")
    name, read, _ = known
    value, at = read(body, at)
    return name, value, at


def _check(found: dict[str, Any]) -> None:
    for name in _FLAGS:
        if found.get(name, 0) > 1:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"property {name} is neither 0 nor 1")
    for name in _NEVER_ZERO:
        if found.get(name) == 0:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"property {name} is 0")
    for name, reason_code in _ANNOUNCED_MISSING.items():
        if name in found:
            raise ProtocolError(reason_code, f"property {name} is not supported")
    if "authentication_data" in found:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "authentication data without a method")
    if not valid_name(found.get("response_topic", "absent")):
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "the response topic is no topic name")
