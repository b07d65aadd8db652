"""The HTTP server: bounds and reads requests, and lets the exchange answer them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from adapters.exchange import Exchange, Meter, Outbound, Peer
from adapters.http import translate
from adapters.http.config import HttpConfig
from adapters.http.proofs import Proofs
from adapters.http.streaming import Streams
from adapters.proxying.proxies import Proxies
from adapters.tls.contexts import Contexts
from adapters.tls.listening import over_tls
from core.errors import Reason, Refusal
from core.limits import source_of


class Page(msgspec.Struct, frozen=True):
    """A page of the gateway itself, such as its health."""

    status: int
    content_type: str
    body: bytes


Show = Callable[[], Awaitable[Page]]


class Restricted(msgspec.Struct, frozen=True):
    """A page that some addresses show: `at` tells by an address's exchange. Elsewhere its path is like any other."""

    show: Show
    at: Callable[[Exchange], bool]


Pages = Mapping[str, Show | Restricted]


class HttpServer:
    """One handler for all routes of all dialects, on as many addresses as are started.

    `exchange` answers at the addresses that are started without one of their own. `proxies` are in front of all of them.
    """

    def __init__(
        self, exchange: Exchange, meter: Meter, config: HttpConfig, pages: Pages, proxies: Proxies | None = None
    ) -> None:
        self._exchange = exchange
        self._proxies = proxies = proxies or Proxies(meter)
        self._meter = meter
        self._config = config
        self._pages = pages
        self._large_bytes = 0
        self._streams = Streams(meter, config)
        self._proofs = Proofs(self._streams.lost)
        self._connections = _Connections(
            self._handle,
            meter,
            config,
            self._lost,
            proxies.trusts,
            # aiohttp's own options: no access log (the exchange logs), no lines or headers beyond the bounds, and no
            # decompression, which would let a small request become a large body.
            access_log=None,
            keepalive_timeout=config.keepalive_seconds,
            max_line_size=config.max_header_bytes,
            max_field_size=config.max_header_bytes,
            max_headers=config.max_headers,
            auto_decompress=False,
            lingering_time=0.0,
        )
        self._servers: list[asyncio.Server] = []

    async def start(
        self, host: str, port: int, *, exchange: Exchange | None = None, tls: Contexts | None = None
    ) -> tuple[str, int]:
        """Listen on one more address, over TLS with contexts; port 0 takes a free one. Returns the address.

        Raises `OSError` where it is taken.
        """
        accept = partial(self._connections.accept, exchange or self._exchange)
        server = await self._listen(accept, host, port, tls)
        self._servers.append(server)
        address = server.sockets[0].getsockname()
        return address[0], address[1]

    async def _listen(
        self, accept: Callable[[], asyncio.Protocol], host: str, port: int, tls: Contexts | None
    ) -> asyncio.Server:
        backlog, make = self._config.backlog, accept
        if tls is not None:
            make = over_tls(accept, contexts=tls, handshake_seconds=self._config.handshake_seconds)
        return await asyncio.get_running_loop().create_server(self._proxies.receiving(make), host, port, backlog=backlog)

    def stop_accepting(self) -> None:
        """Close the listeners and the idle connections; requests under way go on."""
        for server in self._servers:
            server.close()
        self._connections.pre_shutdown()

    async def drain(self, seconds: float) -> None:
        """Wait for the answers that are being sent piece by piece, so many seconds at most, and cut off those that are left."""
        await self._streams.drain(seconds)

    async def close(self, deadline_seconds: float) -> None:
        """Stop: requests under way are answered within the deadline, then every connection is closed."""
        self.stop_accepting()
        await self.drain(deadline_seconds)
        await self._connections.shutdown(deadline_seconds)

    def _lost(self, handler: RequestHandler) -> None:
        self._streams.lost(handler)
        self._proofs.lost(handler)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method in ("GET", "HEAD") and (show := self._shown(request)):
            return await _show(show)
        answer = await self._answer(request)
        if answer.stream is not None:
            response = await self._streams.send(request, answer, answer.stream)
        else:
            response = _whole(request, answer)
        if self._proofs.answered(request.protocol):
            response.force_close()
        return response

    def _shown(self, request: web.BaseRequest) -> Show | None:
        page = self._pages.get(translate.target(request).partition("?")[0])
        if not isinstance(page, Restricted):
            return page
        return page.show if page.at(_connection(request).exchange) else None

    async def _answer(self, request: web.BaseRequest) -> Outbound:
        connection = _connection(request)
        connected, exchange = connection.peer, connection.exchange
        behind = self._proxies.client(connected, lambda name: request.headers.getall(name, ()))
        peer = behind or connected
        try:
            # A certificate on a proxy's own connection is that of the proxy, whoever it speaks for.
            asks = connected.secure and not behind
            identity = await self._proofs.identity(request, exchange, peer) if asks else None
        except Refusal as refusal:
            return await exchange.refuse(translate.inbound(request, peer, b""), refusal)
        large = _Large()
        try:
            body = await self._read(request, large)
            identity = self._proofs.still(request.protocol, identity)
            answer = await exchange.handle(translate.inbound(request, peer, body, identity))
            if answer.stream is not None:
                await self._streams.admit(answer.stream)
        except Refusal as refusal:
            self._meter.bound(refusal.check)
            return await exchange.refuse(translate.inbound(request, peer, b"", identity), refusal)
        else:
            return answer
        finally:
            self._large_bytes -= large.reserved

    async def _read(self, request: web.BaseRequest, large: "_Large") -> bytes:
        """Read the body within its bounds of size and time. Raises `Refusal`."""
        if len(request.raw_path) > self._config.max_path_bytes:
            raise Refusal(Reason.TOO_LARGE, "the path is too long", check="http.path_bytes")
        if not request.can_read_body:
            return b""
        announced = request.content_length or 0
        if announced > self._config.max_body_bytes:
            raise self._too_large()
        self._reserve(large, announced)
        if "Expect" in request.headers:
            await _invite(request)
        if request.content.is_eof() and request.content.total_bytes <= self._config.max_body_bytes:
            self._reserve(large, request.content.total_bytes)
            return request.content.read_nowait()  # all of it came with the headers: nothing to wait for
        try:
            async with asyncio.timeout(self._config.body_seconds):
                return await self._read_body(request, large)
        except ConnectionError as error:
            detail = "the connection was lost before the end of the body"
            raise Refusal(Reason.MALFORMED, detail, check="http.body_lost") from error
        except TimeoutError as error:
            raise Refusal(Reason.MALFORMED, "the body did not arrive in time", check="http.body_seconds") from error

    async def _read_body(self, request: web.BaseRequest, large: "_Large") -> bytes:
        body = bytearray()
        while not request.content.at_eof():
            body += await request.content.readany()
            if len(body) > self._config.max_body_bytes:
                raise self._too_large()
            self._reserve(large, len(body))
        return bytes(body)

    def _reserve(self, large: "_Large", size: int) -> None:
        """Count a large body against what all of them may hold together. Raises `Refusal` where that is too much."""
        if size <= max(self._config.large_body_bytes, large.reserved):
            return
        if self._large_bytes + size - large.reserved > self._config.large_bodies_bytes:
            raise Refusal(
                Reason.UNAVAILABLE, "too many large bodies at once, try again", check="http.large_bodies", retry_after=1.0
            )
        self._large_bytes += size - large.reserved
        large.reserved = size

    def _too_large(self) -> Refusal:
        limit = self._config.max_body_bytes
        return Refusal(Reason.TOO_LARGE, f"the body is larger than {limit} bytes", check="http.body_bytes")


class _Large:
    """How much of one request's body is counted as large."""

    def __init__(self) -> None:
        self.reserved = 0


class _Connection(RequestHandler):
    """A connection: who is at its other end, and the exchange that its requests go to.

    It answers what is no HTTP itself: aiohttp would repeat it in the answer and in the log, secrets too.
    """

    __slots__ = ("_meter", "exchange", "peer")

    def __init__(self, server: "_Connections", exchange: Exchange, meter: Meter, **options: Any) -> None:
        super().__init__(server, **options)
        self._meter = meter
        self.exchange = exchange
        self.peer = Peer("")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of who is at the other end."""
        self.peer = _peer(transport)
        super().connection_made(transport)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer without a word of what was sent; a fault of our own goes to the log as aiohttp has it."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self._meter.bound("http.malformed")
        answer = web.Response(
            status=status,
            body=b'{"detail":"the request is not HTTP"}',
            content_type="application/json",
            headers={"Server": "firstlight"},
        )
        answer.force_close()
        return answer


class _Connections(web.Server):
    """aiohttp's low-level server, with a bound on connections in total and for each source."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        meter: Meter,
        config: HttpConfig,
        lost: Callable[[RequestHandler], None],
        is_proxy: Callable[[str], bool],
        **options: Any,
    ) -> None:
        super().__init__(handler, **options)
        self._is_proxy = is_proxy
        self._options = options
        self._meter = meter
        self._config = config
        self._lost = lost
        self._sources: Counter[str] = Counter()
        self._admitted: dict[RequestHandler, str] = {}

    def accept(self, exchange: Exchange) -> RequestHandler:
        """Return the protocol of a new connection whose requests go to this exchange."""
        return _Connection(self, exchange, self._meter, loop=asyncio.get_running_loop(), **self._options)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection, or end it where there are too many."""
        super().connection_made(handler, transport)
        address = _address(transport.get_extra_info("peername"))
        source = source_of(address)
        bound = self._exceeded(address, source)
        if bound:
            self._meter.bound(bound)
            # One turn later: aiohttp starts the connection's task after this call, and expects it not to be lost yet.
            asyncio.get_running_loop().call_soon(transport.abort)
            return
        self._sources[source] += 1
        self._admitted[handler] = source
        self._meter.level("http.connections", len(self._admitted))

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count a connection off."""
        super().connection_lost(handler, exc)
        self._lost(handler)
        source = self._admitted.pop(handler, None)
        if source is None:
            return
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        self._meter.level("http.connections", len(self._admitted))

    def _exceeded(self, address: str, source: str) -> str:
        if 0 < self._config.connections <= len(self._admitted):
            return "http.connections"
        if 0 < self._config.connections_per_source <= self._sources[source] and not self._is_proxy(address):
            return "http.connections_per_source"  # a proxy's connections are those of many
        return ""


def _connection(request: web.BaseRequest) -> _Connection:
    return cast("_Connection", request.protocol)  # `_Connections` accepts no other


async def _invite(request: web.BaseRequest) -> None:
    """Tell a client to send the body that it waits with (RFC 9110, section 10.1.1); a refused one is never sent then."""
    if request.headers["Expect"].lower() == "100-continue" and not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the response


def _whole(request: web.BaseRequest, answer: Outbound) -> web.StreamResponse:
    response = translate.outbound(answer)
    if request.content is not None and not request.content.is_eof():
        response.force_close()  # what is left of a refused body is not read
    return response


async def _show(page: Show) -> web.Response:
    shown = await page()
    headers = {"Content-Type": shown.content_type, "Server": "firstlight"}
    return web.Response(status=shown.status, body=shown.body, headers=headers)


def _peer(transport: asyncio.BaseTransport) -> Peer:
    name = transport.get_extra_info("peername")
    secure = transport.get_extra_info("sslcontext") is not None
    return Peer(_address(name), name[1] if name else 0, secure=secure)


def _address(peername: Any) -> str:
    return peername[0] if peername else ""
