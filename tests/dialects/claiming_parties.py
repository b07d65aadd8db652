"""Devices, gateways and users around a whole gateway, each with a real client of its protocol."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiocoap
import aiohttp
import aiomqtt
import msgspec

from adapters.app import Running
from core.crypto import session_tokens
from core.crypto.session_tokens import Audience, Session
from core.logins import Logins
from core.model import DEFAULT_TENANT, Device, DirectoryEntry, EntryId, EntryKind, PendingClaim, Role
from core.ports import Changes
from core.queries import DeviceClaimQuery, DeviceNamesQuery
from tests.e2e.operator_api import Operator

DEADLINE = 30


class Answer(NamedTuple):
    """What came back over HTTP or CoAP: the status or code as the protocol writes it, headers in lower case."""

    status: str
    body: bytes
    headers: dict[str, str]

    @property
    def document(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.body)


async def over_http(running: Running, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Ask over HTTP; underscores in the names of headers are dashes."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://{running.listening.http[0]}{path}"
    async with (
        asyncio.timeout(DEADLINE),
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=sent) as response,
    ):
        answered = {name.lower(): value for name, value in response.headers.items()}
        return Answer(str(response.status), await response.read(), answered)


@contextlib.asynccontextmanager
async def coap_client() -> AsyncIterator[aiocoap.Context]:
    """Open a CoAP client."""
    context = await aiocoap.Context.create_client_context()
    try:
        yield context
    finally:
        await context.shutdown()


def coap_message(running: Running, code: Any, path: str, body: bytes = b"", **options: Any) -> aiocoap.Message:
    """Return a CoAP request; what follows a question mark in the path is its query."""
    address = running.listening.coap[0]
    bare, _, query = path.partition("?")
    message = aiocoap.Message(code=code, payload=body, uri=f"coap://{address.host}:{address.port}", **options)
    message.opt.uri_path = tuple(bare.split("/")[1:])
    message.opt.uri_query = (query,) if query else ()
    return message


async def over_coap(running: Running, code: Any, path: str, body: bytes = b"", **options: Any) -> Answer:
    """Ask over CoAP."""
    async with asyncio.timeout(DEADLINE), coap_client() as context:
        answer = await context.request(coap_message(running, code, path, body, **options)).response
    number = str(answer.code).partition(" ")[0]
    tag = {"etag": answer.opt.etag.hex()} if answer.opt.etag else {}
    form = {} if answer.opt.content_format is None else {"content-format": str(int(answer.opt.content_format))}
    return Answer(number, bytes(answer.payload), {**tag, **form})


def over_mqtt(running: Running, username: str, password: str | None = None, **options: Any) -> aiomqtt.Client:
    """Return an MQTT client that logs in with a user name."""
    address = running.listening.mqtt[0]
    return aiomqtt.Client(address.host, address.port, username=username, password=password, timeout=DEADLINE, **options)


async def publish(running: Running, token: str, topic: str, body: bytes) -> None:
    """Publish as the device of a token and wait for the acknowledgement."""
    async with over_mqtt(running, token) as client:
        await client.publish(topic, body, qos=1)


async def next_message(client: aiomqtt.Client) -> tuple[str, bytes]:
    """Return the topic and body of the next message."""
    async with asyncio.timeout(DEADLINE):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return str(message.topic), message.payload


async def device(operator: Operator, name: str = "meter-1", profile: str = "meters", **fields: Any) -> dict[str, Any]:
    """Define a device whose token is its name with `token of ` before it."""
    credential = {"type": "access_token", "token": f"token-of-{name}"}
    body = {"name": name, "profile": profile, "credential": credential, **fields}
    made: dict[str, Any] = await operator.post("/v1/devices", body)
    return made


async def known(running: Running, name: str = "meter-1") -> Device:
    """Return a device of the registry."""
    (found,) = await running.repository.read(DeviceNamesQuery(DEFAULT_TENANT, (name,)))
    assert found is not None
    return found.device


async def waiting(running: Running, name: str = "meter-1") -> PendingClaim | None:
    """Return what a device waits for."""
    found = await known(running, name)
    return await running.repository.read(DeviceClaimQuery(found.tenant, found.id))


async def customer(running: Running, name: str = "ann", organization: str = "north") -> str:
    """Make an organisation with an end user, and return the token of the user's session."""
    now = running.issuer.clock.now()
    owner = _entry(EntryKind.ORGANIZATION, organization, now)
    user = msgspec.structs.replace(
        _entry(EntryKind.END_USER, name, now), parent=owner.id, login=f"{name}@example.com", role=Role.CUSTOMER, verifier=b"v"
    )
    await running.repository.commit(Changes(insert=(owner, user)))
    mark = Logins(running.repository, running.issuer).password_mark(user)
    session = Session(subject=user.id, tenant=user.tenant, mark=mark, expires_at=now // 1_000 + 600)
    return session_tokens.sign(session, Audience.OPERATOR, running.issuer.vault).reveal()


def _entry(kind: EntryKind, name: str, now: int) -> DirectoryEntry:
    return DirectoryEntry(
        id=EntryId(f"{kind.value}-{name}"), tenant=DEFAULT_TENANT, kind=kind, name=name, created_at=now, updated_at=now
    )
