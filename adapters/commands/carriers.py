"""The device's end of HTTP, CoAP and MQTT: one request out, its answer back, nothing known of dialects."""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from adapters.commands.failure import Failure, UsageError

if TYPE_CHECKING:
    from aiocoap import Context, Message
    from aiohttp import StreamReader
    from aiomqtt import Client
    from aiomqtt import Message as MqttMessage

PORTS = {"http": 8080, "coap": 5683, "mqtt": 1883}
_MAX_ANSWER_BYTES = 16_777_216
_COAP_BUSY = ("4.29", "5.03")  # RFC 8516, RFC 7252 section 5.9.3.4
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


class Server(msgspec.Struct, frozen=True):
    """Where a gateway is reached, and how many seconds it has to answer."""

    carrier: str
    host: str
    port: int
    timeout_seconds: float

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.carrier}://{host}:{self.port}"


class Reply(msgspec.Struct, frozen=True):
    """What came back: the body, the protocol's own word on the outcome, whether that word is a good one.

    MQTT has no such word. `correlation` names the request to the operator where the protocol can carry it. `etag` is the
    entity tag of the body, with its quotes. `busy` tells that the server asks to come again later. `date` and `retry_after`
    are the fields of HTTP (RFC 9110, sections 6.6.1 and 10.2.3).
    """

    body: bytes
    status: str = ""
    granted: bool = True
    correlation: str = ""
    etag: str = ""
    busy: bool = False
    date: str = ""
    retry_after: str = ""


class Login(msgspec.Struct, frozen=True):
    """What an MQTT client connects with; an empty part is not sent (a client id is of zero length)."""

    client_id: str = ""
    username: str = ""
    password: str = ""


def json_body(document: msgspec.Struct) -> bytes:
    """Return a document as JSON. Raises `UsageError` where an argument was no text in the terminal's encoding."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError as fault:
        raise UsageError("an argument is not text: it has bytes that are not UTF-8") from fault


async def post(server: Server, path: tuple[str, ...], body: bytes) -> Reply:
    """Post JSON to a path over HTTP or CoAP. Raises `Failure` when there is no answer."""
    send = _post_http if server.carrier == "http" else _post_coap
    with answered(server):
        async with asyncio.timeout(server.timeout_seconds):
            return await send(server, path, body)


async def ask(server: Server, login: Login, topic: str, answer_topic: str, body: bytes) -> Reply:
    """Publish JSON over MQTT 3.1.1 and wait for the answer. Raises `Failure` when there is none."""
    with answered(server):
        async with asyncio.timeout(server.timeout_seconds), mqtt_client(server, login) as client:
            await client.subscribe(answer_topic, qos=1)
            await client.publish(topic, body, qos=1)
            return Reply(bytes((await arriving(server, client)).payload))


async def arriving(server: Server, client: "Client") -> "MqttMessage":
    """Return the next message. Raises `Failure` where the connection ends first, which is how MQTT 3.1.1 says no."""
    from aiomqtt import MqttError

    try:
        return await anext(client.messages)
    except MqttError as fault:
        raise Failure(f"{server} closed the connection; firstlight event list may say why") from fault


async def connect(server: Server, login: Login) -> None:
    """Log in over MQTT and out again. Raises `Failure` when the server does not let this client in."""
    with answered(server):
        async with asyncio.timeout(server.timeout_seconds), mqtt_client(server, login):
            pass


@contextlib.contextmanager
def answered(server: Server) -> Iterator[None]:
    """Turn silence into one line."""
    try:
        yield
    except TimeoutError as fault:
        seconds = f"{server.timeout_seconds:g} s"
        raise Failure(f"no answer from {server} within {seconds}: is the gateway running?") from fault


def unreachable(server: Server, fault: BaseException) -> Failure:
    """Make the failure of a server that cannot be reached."""
    return Failure(f"no answer from {server} ({_reason(fault)}): is the gateway running?")


def _reason(fault: BaseException) -> str:
    """Return the operating system's word for it, which libraries wrap or put into their own text."""
    cause: BaseException | None = fault
    while cause is not None and not (isinstance(cause, OSError) and cause.errno):
        cause = cause.__cause__
    if isinstance(cause, OSError):
        number = cause.errno or 0
        return os.strerror(number) if number > 0 else str(cause.strerror)  # a resolver's numbers are negative
    return _ERRNO.sub("", str(fault)) or type(fault).__name__


async def _post_http(server: Server, path: tuple[str, ...], body: bytes) -> Reply:
    import aiohttp

    url = f"{server}/{'/'.join(quote(segment, safe='') for segment in path)}"
    headers = {"Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            content = await _read_whole(response.content)
            status = f"HTTP {response.status} {response.reason}"
            return Reply(
                content,
                status,
                response.status < 300,
                response.headers.get("X-Request-ID", ""),
                date=response.headers.get("Date", ""),
                retry_after=response.headers.get("Retry-After", ""),
            )
    except (aiohttp.ClientError, ValueError) as fault:
        raise unreachable(server, fault) from fault


async def _read_whole(stream: "StreamReader") -> bytes:
    """Return a body, which may come in parts, or as much of it as is taken."""
    try:
        return await stream.readexactly(_MAX_ANSWER_BYTES)
    except asyncio.IncompleteReadError as whole:
        return whole.partial


async def _post_coap(server: Server, path: tuple[str, ...], body: bytes) -> Reply:
    from aiocoap import Code, ContentFormat, Message

    async with coap_client(server) as context:
        request = Message(code=Code.POST, uri=str(server), payload=body, content_format=ContentFormat.JSON)
        request.opt.uri_path = path
        return coap_reply(await context.request(request).response)


def coap_reply(response: "Message") -> Reply:
    """Return what a CoAP response says."""
    code = response.code
    return Reply(
        response.payload,
        f"{code.dotted} {code.name_printable}",
        code.is_successful(),
        busy=code.dotted in _COAP_BUSY,
    )


@contextlib.asynccontextmanager
async def coap_client(server: Server) -> "AsyncIterator[Context]":
    """Open a CoAP client for as long as the block runs. What goes wrong in there leaves it as `Failure`."""
    from aiocoap import Context
    from aiocoap.error import Error

    # A connected socket for one server: it needs no IPv6 in the kernel, and it hears at once when nobody listens.
    context = await Context.create_client_context(loggername=_silent_logger().name, transports=["simple6"])
    try:
        yield context
    except (Error, ValueError) as fault:
        raise unreachable(server, fault) from fault
    finally:
        await context.shutdown()


@contextlib.asynccontextmanager
async def mqtt_client(server: Server, login: Login) -> "AsyncIterator[Client]":
    """Connect over MQTT 3.1.1 for as long as the block runs. What goes wrong in there leaves it as `Failure`."""
    from aiomqtt import Client, MqttError
    from aiomqtt.exceptions import MqttConnectError

    client = Client(
        server.host,
        server.port,
        identifier=login.client_id,
        username=login.username or None,
        password=login.password or None,
        timeout=2 * server.timeout_seconds,  # the deadline around it comes first
        logger=_silent_logger(),
    )
    try:
        async with client:
            yield client
    except MqttConnectError as fault:
        raise Failure(f"{server} does not let this client in: {fault}") from fault
    except MqttError as fault:
        raise unreachable(server, fault) from fault


def _silent_logger() -> logging.Logger:
    """Return a logger for libraries whose faults are told in one line already."""
    logger = logging.getLogger("firstlight.device")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
