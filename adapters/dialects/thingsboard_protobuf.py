"""ThingsBoard's protobuf messages for provisioning (`common/proto/src/main/proto/queue.proto` and `transport.proto`).

The schema is declared here instead of generated, so that what is on the wire can be read in one place.
"""

from typing import Any, Protocol, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
_PACKAGE = "thingsboard"

# Enumerations travel as plain numbers: an unknown one must reach the dialect instead of failing in the parser.
_ENUM = descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_SCHEMA: dict[str, dict[int, tuple[str, int | str]]] = {
    "Claim": {1: ("provisionDeviceKey", _STRING), 2: ("provisionDeviceSecret", _STRING)},
    "Token": {1: ("token", _STRING)},
    "Certificate": {1: ("hash", _STRING)},
    "Basic": {1: ("clientId", _STRING), 2: ("userName", _STRING), 3: ("password", _STRING)},
    "Credentials": {1: ("token", "Token"), 2: ("certificate", "Certificate"), 3: ("basic", "Basic")},
    "Request": {
        1: ("deviceName", _STRING),
        2: ("credentialsType", _ENUM),
        3: ("claim", "Claim"),
        4: ("credentials", "Credentials"),
        5: ("gateway", _BOOL),
    },
    "Response": {1: ("status", _ENUM), 2: ("credentialsType", _ENUM), 3: ("credentialsValue", _STRING)},
}

CREDENTIALS_TYPES = ("ACCESS_TOKEN", "X509_CERTIFICATE", "MQTT_BASIC", "LWM2M_CREDENTIALS")
STATUSES = ("UNKNOWN", "SUCCESS", "NOT_FOUND", "FAILURE")


class _Claim(Protocol):
    provisionDeviceKey: str  # noqa: N815 - the field's name in the vendor's schema
    provisionDeviceSecret: str  # noqa: N815 - the same


class _Token(Protocol):
    token: str


class _Certificate(Protocol):
    hash: str


class _Basic(Protocol):
    clientId: str  # noqa: N815 - the same
    userName: str  # noqa: N815 - the same
    password: str


class _Credentials(Protocol):
    token: _Token
    certificate: _Certificate
    basic: _Basic


class Request(Protocol):
    """A provisioning request; what was not sent is empty, zero or false (proto3)."""

    deviceName: str  # noqa: N815 - the same
    credentialsType: int  # noqa: N815 - the same
    claim: _Claim
    credentials: _Credentials
    gateway: bool


class NotProtobufError(ValueError):
    """The bytes are no message of this schema."""


def _field(number: int, name: str, kind: int | str) -> descriptor_pb2.FieldDescriptorProto:
    field = descriptor_pb2.FieldDescriptorProto(
        name=name, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    )
    if isinstance(kind, str):
        field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    else:
        field.type = cast(Any, kind)
    return field


def _messages() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="thingsboard/provision.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SCHEMA.items():
        file.message_type.add(name=name, field=[_field(number, *rest) for number, rest in fields.items()])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("Request", "Response")
    }


_MESSAGES = _messages()


def parse_request(body: bytes) -> Request:
    """Read a provisioning request. Raises `NotProtobufError`."""
    message = _MESSAGES["Request"]()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise NotProtobufError(str(error)) from error
    return cast(Request, message)


def response(status: str, credentials_type: str = "ACCESS_TOKEN", credentials_value: str = "") -> bytes:
    """Write a reply; on failure only the status is set."""
    message = _MESSAGES["Response"](
        status=STATUSES.index(status),
        credentialsType=CREDENTIALS_TYPES.index(credentials_type),
        credentialsValue=credentials_value,
    )
    return message.SerializeToString()
