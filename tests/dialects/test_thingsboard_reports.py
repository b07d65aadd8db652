"""What a provisioned device does next in ThingsBoard's device API, and who comes in to provision.

Sources: https://thingsboard.io/docs/user-guide/device-provisioning/ and, where the guide is silent, the reference server's
`DeviceApiController`, `CoapTransportResource` and `MqttTransportHandler`.
"""

import msgspec
import pytest

from adapters.exchange import Carrier, Closing, Outbound, Success
from core.errors import Reason
from core.model import DeviceState
from tests.dialects.thingsboard_server import (
    NAME,
    TOKEN,
    TOPIC,
    Server,
    body,
    closes,
    http_error,
    request,
    serving,
)

# After provisioning: the credentials at work

REPORTS = [("telemetry", b'{"t":21.5}'), ("attributes", b'{"firmware":"1.2"}')]


async def provisioned() -> Server:
    server = await serving()
    await server.ask(Carrier.HTTP, body(token=TOKEN))
    return server


@pytest.mark.parametrize(("what", "content"), REPORTS)
@pytest.mark.parametrize(("carrier", "outcome"), [(Carrier.HTTP, Success.OK), (Carrier.COAP, Success.CREATED)])
async def test_a_token_in_the_path(carrier: Carrier, outcome: Success, what: str, content: bytes) -> None:
    server = await provisioned()
    answer = await server.answer(request(carrier, content, path=f"/api/v1/{TOKEN}/{what}"))
    assert answer == Outbound(outcome=outcome)
    assert (await server.registry.known(NAME)).device.state is DeviceState.CONNECTED


@pytest.mark.parametrize(("what", "content"), REPORTS)
@pytest.mark.parametrize(("carrier", "outcome"), [(Carrier.HTTP, Success.OK), (Carrier.COAP, Success.CREATED)])
async def test_a_connection_that_proved_its_identity_needs_no_token(
    carrier: Carrier, outcome: Success, what: str, content: bytes
) -> None:
    server = await provisioned()
    asked = request(carrier, content, path=f"/api/v1/{what}")
    assert await server.answer(asked) == Outbound(outcome=Reason.UNAUTHENTICATED)
    proved = msgspec.structs.replace(asked, identity=await server.identity(NAME))
    assert await server.answer(proved) == Outbound(outcome=outcome)
    elsewhere = msgspec.structs.replace(proved, path=f"/api/v1/unknown/{what}")
    assert await server.answer(elsewhere) == Outbound(outcome=Reason.UNAUTHENTICATED)  # what it says counts, not what it is


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_attributes_are_asked_for(carrier: Carrier) -> None:
    server = await provisioned()
    answer = await server.answer(request(carrier, b"", path=f"/api/v1/{TOKEN}/attributes", method="GET"))
    assert answer == Outbound(outcome=Success.OK, body=b"{}", content_type="application/json")


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_a_token_that_is_nobodys(carrier: Carrier) -> None:
    server = await provisioned()
    answer = await server.answer(request(carrier, b"{}", path="/api/v1/unknown/telemetry"))
    assert answer == Outbound(outcome=Reason.UNAUTHENTICATED)


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
@pytest.mark.parametrize("content", [b"", b"not json", b"\xff"])
async def test_a_report_that_is_not_json(carrier: Carrier, content: bytes) -> None:
    server = await provisioned()
    answer = await server.answer(request(carrier, content, path=f"/api/v1/{TOKEN}/telemetry"))
    error = http_error(server.registry, Reason.MALFORMED, 400, "the body is not JSON", 31)
    assert answer == (error if carrier is Carrier.HTTP else Outbound(outcome=Reason.MALFORMED))


async def over_mqtt(server: Server, topic: str, content: bytes) -> Outbound:
    identity = await server.identity(NAME)
    asked = msgspec.structs.replace(request(Carrier.MQTT, content, path=topic), identity=identity, guest="")
    return await server.answer(asked)


async def test_a_connection_that_proved_its_identity() -> None:
    server = await provisioned()
    for what, content in REPORTS:
        assert await over_mqtt(server, f"v1/devices/me/{what}", content) == Outbound(outcome=Success.OK)
    answer = await over_mqtt(server, "v1/devices/me/attributes/request/7", b'{"clientKeys":"a"}')
    topic = "v1/devices/me/attributes/response/7"
    assert answer == Outbound(outcome=Success.OK, body=b"{}", content_type="application/json", topic=topic)
    unread = await over_mqtt(server, "v1/devices/me/telemetry", b"not json")
    assert unread == Outbound(outcome=Reason.MALFORMED, closing=Closing.UNLESS_TOLD)


async def test_such_a_connection_is_no_provisioning_connection() -> None:
    server = await provisioned()
    assert (await over_mqtt(server, "/provision/request", body("m2"))).outcome is Reason.NOT_FOUND


async def test_row_31_a_provisioning_connection_does_nothing_else() -> None:
    server = await provisioned()
    answer = await server.answer(request(Carrier.MQTT, b"{}", path="v1/devices/me/telemetry"))
    assert answer == closes(Reason.NOT_FOUND)


@pytest.mark.parametrize(
    ("username", "client_id", "is_guest"),
    [
        ("provision", "", True),
        ("", "provision", True),
        ("provision", "provision", True),
        (TOKEN, "provision", True),  # row 33
        ("Provision", "", False),  # row 32
        ("provision ", "", False),  # row 32
        (TOKEN, "", False),
    ],
)
def test_who_comes_in_to_provision(username: str, client_id: str, is_guest: bool) -> None:
    guest = Server().answering.guest(username, client_id)
    assert (guest is not None) is is_guest
    if guest is not None:
        assert (guest.subscriptions, guest.linger_seconds) == ((TOPIC,), 60.0)
