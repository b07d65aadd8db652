"""A device that speaks ThingsBoard's provisioning API (https://thingsboard.io/docs/user-guide/device-provisioning/)."""

from typing import Any

import msgspec

from adapters.commands import carriers
from adapters.commands.carriers import Login, Reply, Server
from adapters.commands.failure import Failure

CREDENTIALS_TYPES = ("ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE")
_PATH = ("api", "v1", "provision")
_REQUEST_TOPIC = "/provision/request"
_RESPONSE_TOPIC = "/provision/response"
_LOGIN = Login(username="provision")
_TELEMETRY = b'{"firstlight":"enrolled"}'


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What the device asks for; `hash` is its certificate. What is None is not sent."""

    device_name: str | None = None
    provision_device_key: str
    provision_device_secret: str
    credentials_type: str | None = None
    token: str | None = None
    client_id: str | None = None
    username: str | None = None
    password: str | None = None
    hash: str | None = None
    gateway: bool = False


class Enrolled(msgspec.Struct, frozen=True, rename="camel"):
    """What the device was told; `status` SUCCESS and nothing else means that it got in."""

    status: str = ""
    credentials_type: str = ""
    credentials_value: Any = None
    error_msg: str = ""


class _Basic(msgspec.Struct, frozen=True, rename="camel"):
    """MQTT credentials as they come back: `userName`, unlike in the request."""

    client_id: str = ""
    user_name: str = ""
    password: str = ""


async def provision(server: Server, request: Request) -> Reply:
    """Send the request over the server's protocol. Raises `Failure` when there is no answer, and `UsageError`."""
    body = carriers.json_body(request)
    if server.carrier == "mqtt":
        return await carriers.ask(server, _LOGIN, _REQUEST_TOPIC, _RESPONSE_TOPIC, body)
    return await carriers.post(server, _PATH, body)


def read(reply: Reply) -> Enrolled:
    """Return what an answer says; one that is no answer of this API says nothing."""
    try:
        return msgspec.json.decode(reply.body, type=Enrolled)
    except (ValueError, RecursionError):  # the bytes are no UTF-8, no JSON, not this JSON, or nested without end
        return Enrolled()


def can_log_in(carrier: str, credentials_type: str) -> bool:
    """Tell whether a device with these credentials can log in over this protocol without TLS."""
    return credentials_type == "ACCESS_TOKEN" or (credentials_type == "MQTT_BASIC" and carrier == "mqtt")


async def log_in(server: Server, enrolled: Enrolled) -> None:
    """Use the new credentials over the same protocol: CONNECT, or post telemetry. Raises `Failure`."""
    if not can_log_in(server.carrier, enrolled.credentials_type):
        raise Failure(f"{enrolled.credentials_type or 'these'} credentials cannot log in over {server.carrier} without TLS")
    if server.carrier == "mqtt":
        await carriers.connect(server, _login(enrolled))
        return
    reply = await carriers.post(server, ("api", "v1", str(enrolled.credentials_value), "telemetry"), _TELEMETRY)
    if not reply.granted:
        raise Failure(f"{server} does not take the new credentials: {reply.status}")


def _login(enrolled: Enrolled) -> Login:
    if enrolled.credentials_type == "ACCESS_TOKEN":
        return Login(username=str(enrolled.credentials_value))
    try:
        basic = msgspec.convert(enrolled.credentials_value, _Basic)
    except msgspec.ValidationError as fault:
        raise Failure(f"the answer's credentials are not understood: {fault}") from fault
    return Login(basic.client_id, basic.user_name, basic.password)
