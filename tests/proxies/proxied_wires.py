"""What a device says first on each wire that goes through proxies, and a way to say it from any address of this machine."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from aiocoap import Message

from adapters.coap.tcp.framing import frame
from adapters.listeners import Listening
from tests.e2e.operator_api import Operator
from tests.proxies.receivers import HOST, PATIENCE_SECONDS
from tests.tls.tls_parties import Place

PROVISION = "/api/v1/provision"
CLAIM = {"provisionDeviceKey": "a key that nobody has", "provisionDeviceSecret": "a secret that nobody has"}
CSM, POST = b"\x00\xe1", 2


def http(path: str = PROVISION, body: Any = None, **fields: str) -> bytes:
    """Return a request whose connection ends after it."""
    content = json.dumps(CLAIM if body is None else body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", "Connection: close", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join((*lines, "Content-Type: application/json", "", "")).encode() + content


def mqtt(username: str = "nobody that is known", client_id: str = "d") -> bytes:
    """Return a CONNECT of MQTT 3.1.1 (section 3.1) with this user name."""
    fields = (client_id.encode(), username.encode())
    rest = b"\x00\x04MQTT\x04\x82\x00\x3c" + b"".join(len(each).to_bytes(2, "big") + each for each in fields)
    return bytes((0x10, len(rest))) + rest


def coap() -> bytes:
    """Return settings and a request (RFC 8323, section 3.2)."""
    options = Message(uri_path=PROVISION.strip("/").split("/"), content_format=50).opt.encode()
    return CSM + frame(POST, b"t", options + b"\xff" + json.dumps(CLAIM).encode())


class Wire(NamedTuple):
    """A listener, whether TLS is spoken there, and what a device that is refused says."""

    name: str
    secure: bool
    says: bytes

    def port(self, listening: Listening) -> int:
        port: int = getattr(listening, self.name)[0].port
        return port


WIRES = {
    wire.name: wire
    for wire in (
        Wire("http", False, http()),
        Wire("https", True, http()),
        Wire("mqtt", False, mqtt()),
        Wire("mqtts", True, mqtt()),
        Wire("coap_tcp", False, coap()),
        Wire("coaps_tcp", True, coap()),
    )
}


@contextlib.asynccontextmanager
async def connected(
    port: int, *, source: str = HOST, header: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect from an address, send a header, and then shake hands where that is wanted."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection(HOST, port, local_addr=(source, 0))
        try:
            writer.write(header)
            if tls is not None:
                await writer.start_tls(tls, server_hostname="localhost")
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def said(wire: Wire, listening: Listening, home: Place, *, source: str = HOST, header: bytes = b"") -> bytes:
    """Say what a device says on a wire, and return the first of what it is told; nothing where it is hung up on."""
    tls = home.client() if wire.secure else None
    try:
        async with connected(wire.port(listening), source=source, header=header, tls=tls) as (reader, writer):
            writer.write(wire.says)
            answer = await reader.read(2)
            while answer == CSM[:2] or (answer and "coap" in wire.name and len(answer) < 20):
                answer += await reader.read(100)
            return answer
    except ConnectionError:
        return b""


async def sources(operator: Operator) -> set[str]:
    """Return the sources of the newest events."""
    page = await operator.get("/v1/events?newest=true&limit=50")
    return {event["source"] for event in page["items"]}


async def seen(operator: Operator, source: str) -> None:
    """Wait for an event with this source."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while source not in await sources(operator):  # noqa: ASYNC110 - an event announces itself to nobody here
            await asyncio.sleep(0.02)
