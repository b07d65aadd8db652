"""What ThingsBoard's provisioning API says to requests that are wrong, or that meet trouble.

Sources: https://thingsboard.io/docs/user-guide/device-provisioning/ and, where the guide is silent, the reference server's
`JsonConverter`, `DeviceApiController`, `CoapTransportResource` and `MqttTransportHandler`.
"""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answering import AnsweringConfig
from adapters.dialects import thingsboard
from adapters.exchange import Carrier, Closing, Outbound
from core.errors import Reason, Refusal
from core.messages import ProvisionRequest
from tests.core.faulty import FaultyRepository, no_fault, unavailable
from tests.core.registry import SECRET, Registry
from tests.dialects.thingsboard_server import (
    NOT_FOUND,
    TOKEN,
    Server,
    basic_reply,
    body,
    closes,
    failed,
    granted,
    http_error,
    request,
    serving,
    token_of,
    token_reply,
)

over_all = pytest.mark.parametrize("carrier", Carrier)

EMPTY_REPLY_BYTES = b"\x08\x02"


# Errors

BAD_FIELDS: list[tuple[bytes, str]] = [
    (body(provisionDeviceKey=None), "provisionDeviceKey is missing"),
    (body(provisionDeviceSecret=None), "provisionDeviceSecret is missing"),
    (b'{"provisionDeviceKey":null,"provisionDeviceSecret":"s"}', "provisionDeviceKey is missing"),
    (b'{"provisionDeviceKey":"k","provisionDeviceSecret":null}', "provisionDeviceSecret is missing"),
    (b"{}", "provisionDeviceKey is missing"),
    (body(credentialsType="PASSWORD"), "credentialsType is not known"),
    (body(credentialsType=""), "credentialsType is not known"),
    (body(credentialsType="access_token"), "credentialsType is not known"),
    (body(token={"a": 1}), "token is not a text"),
    (body(deviceName=["m1"]), "deviceName is not a text"),
    (body(provisionDeviceSecret={}), "provisionDeviceSecret is not a text"),
    (body(gateway=[]), "gateway is not a text"),
]


@pytest.mark.parametrize(("content", "detail"), BAD_FIELDS)
async def test_a_field_that_is_missing_or_wrong(content: bytes, detail: str) -> None:
    server = await serving()
    registry = server.registry
    answer = await server.ask(Carrier.HTTP, content)
    assert answer == http_error(registry, Reason.MALFORMED, 400, detail, 31)
    assert await server.ask(Carrier.COAP, content) == Outbound(outcome=Reason.MALFORMED)
    assert await server.ask(Carrier.MQTT, content) == closes(Reason.INTERNAL)
    assert await registry.devices() == ()
    assert await server.checks() == ["body.field"] * 3


NOT_JSON = [
    b"not json",
    b"\xff\xfe",
    b'{"provisionDeviceKey":',
    b"{'a':1}",
    b"\x00",
    b'{"a":1}x',
    b"\xef\xbb\xbf{}",
    b"[" * 5000,
]
NOT_AN_OBJECT = [b"[]", b'"text"', b"42", b"null", b"true", b" [1] ", b'" ' + b"0" * 31 + b'"']  # the last is protobuf too


@pytest.mark.parametrize("content", [*NOT_JSON, *NOT_AN_OBJECT])
async def test_a_body_that_cannot_be_read(content: bytes) -> None:
    server = await serving()
    answer = await server.ask(Carrier.HTTP, content)
    assert answer == http_error(server.registry, Reason.MALFORMED, 400, "the body is not a JSON object", 31)
    assert await server.ask(Carrier.COAP, content) == Outbound(outcome=Reason.MALFORMED)
    unread = Outbound(outcome=Reason.MALFORMED, closing=Closing.UNLESS_TOLD)
    assert await server.ask(Carrier.MQTT, content) == unread
    assert await server.checks() == ["body.unparsed"] * 3


async def test_an_empty_body() -> None:
    server = await serving()
    answer = await server.ask(Carrier.HTTP, b"")
    assert answer == http_error(server.registry, Reason.MALFORMED, 400, "the request has no body", 31)
    assert await server.ask(Carrier.COAP, b"") == failed(Carrier.COAP, NOT_FOUND)
    assert await server.ask(Carrier.MQTT, b"") == failed(Carrier.MQTT, NOT_FOUND)
    assert await server.ask(Carrier.MQTT, b"", "protobuf") == failed(Carrier.MQTT, EMPTY_REPLY_BYTES, "protobuf")


async def refused_by_protocol(server: Server, carrier: Carrier, refusal: Refusal) -> Outbound:
    answer = await server.answering.refuse(request(carrier, b""), refusal)
    return msgspec.structs.replace(answer, correlation="")


async def test_a_body_that_is_too_large() -> None:
    server = await serving()
    refusal = Refusal(Reason.TOO_LARGE, "the body is too large", check="bound")
    error = http_error(server.registry, Reason.TOO_LARGE, 413, "the body is too large", 2)
    assert await refused_by_protocol(server, Carrier.HTTP, refusal) == error
    assert await refused_by_protocol(server, Carrier.COAP, refusal) == Outbound(outcome=Reason.TOO_LARGE)
    assert await refused_by_protocol(server, Carrier.MQTT, refusal) == closes(Reason.TOO_LARGE)


@over_all
async def test_an_internal_error_has_no_words(carrier: Carrier) -> None:
    server = Server(Registry(FaultyRepository(lambda _: RuntimeError("hidden"))))
    await Registry(server.registry.repository.inner).profile()  # type: ignore[attr-defined]  # the store inside the broken one
    closed = closes(Reason.INTERNAL) if carrier is Carrier.MQTT else Outbound(outcome=Reason.INTERNAL)
    assert await server.ask(carrier, body()) == closed


@over_all
async def test_no_answer_in_time_is_an_internal_error(carrier: Carrier) -> None:
    class Stuck(FaultyRepository):
        async def read(self, query: Any) -> Any:
            await asyncio.sleep(0.05)
            return await super().read(query)

    server = Server(Registry(Stuck(no_fault)), AnsweringConfig(seconds=0.001))
    closed = closes(Reason.INTERNAL) if carrier is Carrier.MQTT else Outbound(outcome=Reason.INTERNAL)
    assert await server.ask(carrier, body()) == closed
    assert await server.answering.drain(20.0) == 0


@over_all
async def test_a_registry_that_is_down_asks_the_device_to_come_again(carrier: Carrier) -> None:
    repository = FaultyRepository(unavailable)
    await Registry(repository.inner).profile()
    server = Server(Registry(repository))
    answer = await server.ask(carrier, body())
    assert (answer.outcome, answer.retry_after) == (Reason.UNAVAILABLE, 5)
    assert SECRET.encode() not in answer.body


async def test_methods_that_the_path_does_not_take() -> None:
    server = await serving()
    error = http_error(server.registry, Reason.NOT_ALLOWED, 405, "this path takes POST", 2)
    answer = await server.answer(request(Carrier.HTTP, b"", method="GET"))
    assert msgspec.structs.replace(answer, body=b"", headers=()) == msgspec.structs.replace(error, body=b"")
    assert (await server.answer(request(Carrier.COAP, b"", method="GET"))).outcome is Reason.MALFORMED
    for method in ("PUT", "DELETE"):
        assert (await server.answer(request(Carrier.COAP, b"", method=method))).outcome is Reason.NOT_ALLOWED


@pytest.mark.parametrize("path", ["/api/v1/anything/provision", f"/api/v1/{TOKEN}/provision"])
async def test_coap_takes_a_path_with_one_more_segment(path: str) -> None:
    server = await serving()
    answer = await server.answer(request(Carrier.COAP, body(token=TOKEN), path=path))
    assert answer == granted(Carrier.COAP, token_reply(TOKEN))


# What JSON values are taken for


@over_all
async def test_numbers_and_booleans_are_taken_as_their_text(carrier: Carrier) -> None:
    server = Server()
    await server.registry.profile(key="42", secret="true")
    content = b'{"provisionDeviceKey":42,"provisionDeviceSecret":true,"deviceName":1.50,"token":-7e3}'
    assert await server.ask(carrier, content) == granted(carrier, token_reply("-7e3"))
    assert await server.registry.known("1.50")


@over_all
async def test_null_is_an_absent_field(carrier: Carrier) -> None:
    content = body()[:-1] + b',"token":null,"hash":null,"clientId":null,"username":null,"password":null,"gateway":null,'
    token = await token_of(await serving(), carrier, content + b'"credentialsType":null}')
    assert token != "null"


@over_all
async def test_mqtt_basic_with_null_for_the_parts_that_are_missing(carrier: Carrier) -> None:
    server = await serving()
    content = body(credentialsType="MQTT_BASIC", username="field")[:-1] + b',"clientId":null,"password":null}'
    assert await server.ask(carrier, content) == granted(carrier, basic_reply("", "field", ""))


@over_all
async def test_of_two_fields_with_one_name_the_last_one_counts(carrier: Carrier) -> None:
    server = await serving()
    content = body(token="first")[:-1] + f',"token":"{TOKEN}"}}'.encode()
    assert await server.ask(carrier, content) == granted(carrier, token_reply(TOKEN))


FIELDS = ("provisionDeviceKey", "provisionDeviceSecret", "credentialsType", "token", "hash", "clientId", "username", "password")
VALUES = (
    st.none() | st.text(max_size=5) | st.integers() | st.booleans() | st.sampled_from(["ACCESS_TOKEN", "MQTT_BASIC", [], {}])
)


def meaning(content: bytes) -> ProvisionRequest | str:
    """Return what a body means, or how it is refused."""
    asked = request(Carrier.HTTP, content)
    try:
        message = thingsboard.decode(thingsboard.ROUTES[0], asked).message
    except Refusal as refusal:
        return refusal.detail
    assert isinstance(message, ProvisionRequest)
    return message


@settings(deadline=None)
@given(
    given_=st.dictionaries(st.sampled_from(FIELDS), VALUES) | st.fixed_dictionaries(dict.fromkeys(FIELDS, st.text(max_size=3))),
    name=st.none() | st.text(max_size=5),
    gateway=st.sampled_from([None, True, False, "true", "false", 1]),
)
def test_a_body_means_the_same_whether_all_of_its_values_are_texts_or_not(
    given_: dict[str, Any], name: str | None, gateway: object
) -> None:
    content = msgspec.json.encode({"deviceName": name, "gateway": gateway} | given_)
    assert meaning(content) == meaning(b'{"deviceName":42,' + content[1:])


# Nothing is said that must not be


@over_all
async def test_no_refusal_repeats_the_secret(carrier: Carrier) -> None:
    server = await serving()
    for content in (
        body("  "),
        body(provisionDeviceKey="x"),
        body(token={"a": SECRET}),
        body()[:-1],
        body(credentialsType="x"),
    ):
        assert SECRET.encode() not in (await server.ask(carrier, content)).body
    assert SECRET not in msgspec.json.encode(await server.events()).decode()
