"""ThingsBoard's provisioning API in protobuf, and how a connection goes from one form to the other.

Sources: https://thingsboard.io/docs/user-guide/device-provisioning/ and, where the guide is silent, the reference server's
`queue.proto`, `transport.proto` and `MqttTransportHandler`.
"""

from typing import Any

import pytest

from adapters.dialects.thingsboard import GUIDE_REPLY
from adapters.exchange import Carrier, Closing, Outbound
from core.errors import Reason
from core.messages import AccessToken, CredentialValue, Lwm2m
from core.model import DeviceState, Secret
from tests.core.registry import KEY, SECRET
from tests.dialects.thingsboard_server import (
    NAME,
    PEM,
    TEXT,
    TOKEN,
    Server,
    body,
    closes,
    expecting,
    failed,
    granted,
    http_error,
    serving,
)

# Protobuf (`queue.proto`, `transport.proto`), by hand: what is on the wire does not come from our own writer


def text_field(number: int, text: str) -> bytes:
    content = text.encode()
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def message_field(number: int, content: bytes) -> bytes:
    return text_field(number, content.decode())


def number_field(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


def credentials(kind: int, *texts: str) -> bytes:
    """Return the field with a token (1), a certificate (2) or user name and password (3); empty parts are not sent."""
    parts = b"".join(text_field(number, text) for number, text in enumerate(texts, 1) if text)
    return message_field(4, message_field(kind, parts))


ACCESS_TOKEN, X509, BASIC, LWM2M = range(4)
CLAIM = message_field(3, text_field(1, KEY) + text_field(2, SECRET))
PROTOBUF = text_field(1, NAME) + CLAIM
FORMS = [Carrier.COAP, Carrier.MQTT]
over_protobuf = pytest.mark.parametrize("carrier", FORMS)
PB_NOT_FOUND, PB_FAILURE = b"\x08\x02", b"\x08\x03"


@over_protobuf
@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (credentials(1, TOKEN), b"\x08\x01" + text_field(3, TOKEN)),
        (number_field(2, X509) + credentials(2, PEM), b"\x08\x01\x10\x01" + text_field(3, TEXT)),
        (
            number_field(2, BASIC) + credentials(3, NAME, "field", "pw-0042"),
            b"\x08\x01\x10\x02" + text_field(3, f'{{"clientId":"{NAME}","userName":"field","password":"pw-0042"}}'),
        ),
        (
            number_field(2, BASIC) + credentials(3, "", "field"),
            b"\x08\x01\x10\x02" + text_field(3, '{"clientId":"","userName":"field","password":""}'),
        ),
    ],
)
async def test_protobuf_is_answered_in_protobuf(carrier: Carrier, content: bytes, reply: bytes) -> None:
    server = await serving()
    assert await server.ask(carrier, PROTOBUF + content) == granted(carrier, reply, "protobuf")
    assert (await server.registry.known(NAME)).device.state is DeviceState.PROVISIONED


@over_protobuf
@pytest.mark.parametrize("content", [b"", number_field(2, BASIC), number_field(2, LWM2M), message_field(4, b"")])
async def test_protobuf_without_a_value_gets_a_token(carrier: Carrier, content: bytes) -> None:
    server = await serving()
    answer = await server.ask(carrier, PROTOBUF + content)
    token = answer.body[4:].decode()
    assert answer == granted(carrier, b"\x08\x01" + text_field(3, token), "protobuf")
    assert await server.registry.is_taken(AccessToken(Secret(token)))


@over_protobuf
@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (text_field(1, NAME), PB_NOT_FOUND),
        (text_field(1, NAME) + message_field(3, text_field(1, KEY)), PB_NOT_FOUND),
        (text_field(1, NAME) + message_field(3, text_field(2, SECRET)), PB_NOT_FOUND),
        (text_field(1, NAME) + message_field(3, text_field(1, KEY) + text_field(2, "wrong")), PB_NOT_FOUND),
        (text_field(1, "  ") + CLAIM, PB_FAILURE),
        (text_field(1, "<b>") + CLAIM, PB_FAILURE),
        (PROTOBUF + number_field(2, BASIC) + credentials(3, "", "", "pw"), PB_FAILURE),
        (PROTOBUF + number_field(2, BASIC) + credentials(1, TOKEN), PB_FAILURE),
    ],
)
async def test_protobuf_failures_have_a_status_alone(carrier: Carrier, content: bytes, reply: bytes) -> None:
    server = await serving()
    assert await server.ask(carrier, content) == failed(carrier, reply, "protobuf")
    assert await server.registry.devices() == ()


@pytest.mark.parametrize(("value", "kind"), [(AccessToken(Secret(TOKEN)), 0), (Lwm2m("endpoint"), 3)])
async def test_stored_credentials_in_protobuf(value: CredentialValue, kind: int) -> None:
    server = await expecting(value)
    reply = b"\x08\x01" + (number_field(2, kind) if kind else b"") + (text_field(3, TOKEN) if not kind else b"")
    assert await server.ask(Carrier.MQTT, PROTOBUF) == granted(Carrier.MQTT, reply, "protobuf")


@over_protobuf
@pytest.mark.parametrize(("flag", "metadata"), [(1, {"gateway": True}), (0, {})])
async def test_a_gateway_in_protobuf(carrier: Carrier, flag: int, metadata: dict[str, Any]) -> None:
    server = await serving()
    await server.ask(carrier, PROTOBUF + number_field(5, flag))
    assert (await server.registry.known(NAME)).device.metadata == metadata


@pytest.mark.parametrize("number", [4, 127])
async def test_a_credentials_type_that_protobuf_does_not_know(number: int) -> None:
    server = await serving()
    content = PROTOBUF + number_field(2, number)
    assert await server.ask(Carrier.COAP, content) == Outbound(outcome=Reason.MALFORMED)
    assert await server.ask(Carrier.MQTT, content) == closes(Reason.INTERNAL)


async def test_http_has_no_protobuf_form() -> None:
    server = await serving()
    answer = await server.ask(Carrier.HTTP, PROTOBUF)
    assert answer == http_error(server.registry, Reason.MALFORMED, 400, "the body is not a JSON object", 31)


async def test_a_connection_that_spoke_protobuf_is_answered_in_protobuf_from_then_on() -> None:
    server = await serving()
    first = await server.ask(Carrier.MQTT, PROTOBUF + credentials(1, TOKEN))
    assert first.form == "protobuf"
    again = await server.ask(Carrier.MQTT, body(), first.form)
    assert again == failed(Carrier.MQTT, PB_FAILURE, "protobuf")
    unread = await server.ask(Carrier.MQTT, b"not json", first.form)
    assert unread == Outbound(outcome=Reason.MALFORMED, closing=Closing.UNLESS_TOLD, form="protobuf")
    last = await server.ask(Carrier.MQTT, body("m2", token="second"), unread.form)
    assert last == granted(Carrier.MQTT, b"\x08\x01" + text_field(3, "second"), "protobuf")


async def test_one_that_spoke_json_may_change_to_protobuf() -> None:
    server = await serving()
    first = await server.ask(Carrier.MQTT, body(token=TOKEN))
    second = await server.ask(Carrier.MQTT, PROTOBUF, first.form)
    assert second == failed(Carrier.MQTT, PB_FAILURE, "protobuf")


@pytest.mark.parametrize("carrier", [Carrier.COAP, Carrier.MQTT])
async def test_protobuf_has_no_place_for_the_guides_keys(carrier: Carrier) -> None:
    server = Server()
    await server.registry.profile(options=(GUIDE_REPLY,))
    answer = await server.ask(carrier, PROTOBUF + credentials(1, TOKEN))
    assert answer == granted(carrier, b"\x08\x01" + text_field(3, TOKEN), "protobuf")
