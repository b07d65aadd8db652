"""The device's end of HTTP, CoAP and MQTT for a document that is fetched and watched; nothing known of dialects."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import msgspec

from adapters.commands.carriers import (
    Login,
    Reply,
    Server,
    answered,
    arriving,
    coap_client,
    coap_reply,
    mqtt_client,
    unreachable,
)
from adapters.commands.failure import Failure

if TYPE_CHECKING:
    from aiocoap import Context, Message
    from aiohttp import ClientSession
    from aiomqtt import Client

POLL_SECONDS = 3.0
STALE_SECONDS = 60.0
"""How long one who is to be told hears nothing before it asks; CoAP's own measure (RFC 7252, section 5.10.5)."""
MAX_ANSWER_BYTES = 16_777_216
_HTTP_BUSY = (429, 503)
_NOT_MODIFIED = 304


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a device asks for: paths in segments, and its proof as each protocol carries it.

    `authorization` is the header of HTTP, `auth` the bare proof for CoAP and MQTT. `login` is how an MQTT client comes in.
    Where `silent`, changes are told at the path of the version alone.
    """

    document: tuple[str, ...]
    version: tuple[str, ...]
    authorization: str
    auth: str
    login: Login
    silent: bool = False

    @property
    def watched(self) -> tuple[str, ...]:
        """Where a change of the document shows."""
        return self.version if self.silent else self.document


class Line(Protocol):
    """A way to one document. Both methods raise `Failure` when the server cannot be reached."""

    async def fetch(self) -> Reply:
        """Return the document as it is now, or the refusal."""
        ...

    async def changed(self) -> None:
        """Return once there may be another document; it may be the same one after all."""
        ...


@contextlib.asynccontextmanager
async def open_line(server: Server, question: Question) -> AsyncIterator[Line]:
    """Open the way over the server's protocol for as long as the block runs. Raises `Failure` like the line's methods."""
    match server.carrier:
        case "http":
            import aiohttp

            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                yield _HttpLine(session, server, question)
        case "coap":
            async with coap_client(server) as context, contextlib.aclosing(_CoapLine(context, server, question)) as line:
                yield line
        case _:
            async with mqtt_client(server, question.login) as client:
                yield _MqttLine(client, server, question)


class _HttpLine:
    """Asks again and again, with the entity tag of what it has (RFC 9110, section 13.1.2)."""

    def __init__(self, session: "ClientSession", server: Server, question: Question) -> None:
        self._session = session
        self._server = server
        self._question = question
        self._etag = ""
        self._arrived: Reply | None = None

    async def fetch(self) -> Reply:
        reply = self._arrived or await self._get(self._question.document, "")
        self._arrived = None
        if not self._question.silent:
            self._etag = reply.etag
        return reply

    async def changed(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            reply = await self._get(self._question.watched, self._etag)
            if not reply.status.startswith(f"HTTP {_NOT_MODIFIED} "):
                break
        if self._question.silent:
            self._etag = reply.etag
        else:
            self._arrived = reply

    async def _get(self, path: tuple[str, ...], etag: str) -> Reply:
        import aiohttp
        from yarl import URL

        url = URL(f"{self._server}/{'/'.join(quote(segment, safe=':') for segment in path)}", encoded=True)
        headers = {"Authorization": self._question.authorization} | ({"If-None-Match": etag} if etag else {})
        try:
            with answered(self._server):
                async with (
                    asyncio.timeout(self._server.timeout_seconds),
                    self._session.get(url, headers=headers, allow_redirects=False) as response,
                ):
                    body = await _bounded(response.content.iter_any())
        except (aiohttp.ClientError, ValueError) as fault:
            raise unreachable(self._server, fault) from fault
        return Reply(
            body,
            f"HTTP {response.status} {response.reason}",
            response.status < 300,
            response.headers.get("X-Request-ID", ""),
            response.headers.get("ETag", ""),
            response.status in _HTTP_BUSY,
        )


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise Failure(f"the answer is longer than {MAX_ANSWER_BYTES:,} bytes")
    return bytes(body)


class _CoapLine:
    """Observes the document's version (RFC 7641), which is small, and fetches the document block by block (RFC 7959)."""

    def __init__(self, context: "Context", server: Server, question: Question) -> None:
        self._context = context
        self._server = server
        self._question = question
        self._etag = b""
        self._notifications: Any = None
        self._next: asyncio.Future[Message] | None = None

    async def fetch(self) -> Reply:
        return coap_reply(await self._get(self._question.document))

    async def changed(self) -> None:
        """Observe at first, which says that there may be another document: what was fetched before may be old already."""
        if self._notifications is None:
            await self._observe()
            return
        while (message := await self._notified()) is not None:
            if message.opt.etag == self._etag and message.code.is_successful():
                continue
            self._etag = message.opt.etag
            return
        self._forget()

    async def aclose(self) -> None:
        """Let go of the observation."""
        self._forget()

    async def _get(self, path: tuple[str, ...]) -> "Message":
        with answered(self._server):
            async with asyncio.timeout(self._server.timeout_seconds):
                return await self._context.request(self._message(path)).response

    def _message(self, path: tuple[str, ...]) -> "Message":
        from aiocoap import Code, Message

        message = Message(code=Code.GET, uri=str(self._server))
        message.opt.uri_path = path
        message.opt.uri_query = (f"auth={self._question.auth}",)
        return message

    async def _observe(self) -> None:
        message = self._message(self._question.version)
        message.opt.observe = 0
        with answered(self._server):
            async with asyncio.timeout(self._server.timeout_seconds):
                request = self._context.request(message, handle_blockwise=False)
                response = await request.response
        if response.opt.observe is None:
            await asyncio.sleep(POLL_SECONDS)  # the server does not want to be observed, now or at all
            return
        self._etag = response.opt.etag
        self._notifications = aiter(request.observation)

    async def _notified(self) -> "Message | None":
        """Return the next notification, or after long silence the version itself; None where the observation has ended."""
        self._next = self._next or asyncio.ensure_future(anext(self._notifications, None))
        done, _ = await asyncio.wait((self._next,), timeout=STALE_SECONDS)
        if done:
            self._next = None
            return await done.pop()
        message = await self._get(self._question.version)
        return message if message.opt.etag == self._etag else None

    def _forget(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self._notifications = None


class _MqttLine:
    """Publishes its request, and stays where the answer came to: the next one comes there by itself."""

    def __init__(self, client: "Client", server: Server, question: Question) -> None:
        self._client = client
        self._server = server
        self._question = question
        self._inboxes: dict[str, deque[bytes]] = {}
        self._arrived: bytes | None = None
        self._version = b""

    async def fetch(self) -> Reply:
        body, self._arrived = self._arrived, None
        if body is None:
            body = await self._ask(self._question.document)
        return Reply(body)

    async def changed(self) -> None:
        topic = _topic(self._question.watched)
        if topic not in self._inboxes:
            self._version = await self._ask(self._question.watched)
            return
        while (body := await self._pushed(topic)) is None:
            version = await self._ask(self._question.version)
            if version != self._version:
                self._version = version
                return
        if not self._question.silent:
            self._arrived = body

    async def _pushed(self, topic: str) -> bytes | None:
        """Return what comes by itself; None after long silence, in which the device may have fallen out of favour."""
        try:
            async with asyncio.timeout(STALE_SECONDS):
                return await self._receive(topic)
        except TimeoutError:
            return None

    async def _ask(self, path: tuple[str, ...]) -> bytes:
        topic = _topic(path)
        with answered(self._server):
            async with asyncio.timeout(self._server.timeout_seconds):
                if topic not in self._inboxes:
                    self._inboxes[topic] = deque()
                    await self._client.subscribe(f"{topic}/response", qos=1)
                body = msgspec.json.encode({"authorization": self._question.auth})
                await self._client.publish(f"{topic}/request", body, qos=1)
                return await self._receive(topic)

    async def _receive(self, topic: str) -> bytes:
        while not self._inboxes[topic]:
            message = await arriving(self._server, self._client)
            inbox = self._inboxes.get(str(message.topic).removesuffix("/response"))
            if inbox is not None:
                inbox.append(bytes(message.payload))
        return self._inboxes[topic].popleft()


def _topic(path: tuple[str, ...]) -> str:
    return "/".join(quote(segment, safe=":") for segment in path)
