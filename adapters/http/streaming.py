"""Sends answers that grow while they are made, and ends them when nobody reads them any more."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestHandler

from adapters.exchange import Meter, Outbound
from adapters.http import translate
from adapters.http.config import HttpConfig
from core.errors import Reason, Refusal

RETRY_SECONDS = 5.0
"""When a request that was turned away may come back: streams last longer than other answers."""


_RESET = struct.pack("ii", 1, 0)  # linger on, for no time at all: close() sends RST (socket(7))


class Streams:
    """The streams of one server, each in a task of its own and at most one on a connection."""

    def __init__(self, meter: Meter, config: HttpConfig) -> None:
        self._meter = meter
        self._config = config
        self._log = logging.getLogger("firstlight.http")
        self._running: dict[RequestHandler, asyncio.Task[None]] = {}

    async def admit(self, source: AsyncGenerator[bytes, None]) -> None:
        """Close a stream and raise `Refusal` UNAVAILABLE where there are as many as there may be."""
        if len(self._running) >= self._config.streams:
            await source.aclose()
            detail = "too many answers are being sent piece by piece, try again"
            raise Refusal(Reason.UNAVAILABLE, detail, check="http.streams", retry_after=RETRY_SECONDS)

    async def send(self, request: web.BaseRequest, answer: Outbound, source: AsyncGenerator[bytes, None]) -> web.StreamResponse:
        """Send an answer whose body goes on in `source`, which is closed whatever happens.

        A stream that fails, or is cut off, ends without its last chunk (RFC 9112, section 7.1), so that it does not look whole.
        """
        response = translate.head(answer)
        if request.version < HttpVersion11:
            response.force_close()  # without chunks, the end of the connection is the end of the body
        if request.method == "HEAD":
            await source.aclose()
            return response
        handler = request.protocol
        task = asyncio.create_task(self._run(request, response, answer, source))
        self._running[handler] = task
        self._meter.level("http.streams", len(self._running))
        task.add_done_callback(lambda _: self._ended(handler))
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()
        return response

    def lost(self, handler: RequestHandler) -> None:
        """End the stream of a connection that is lost; what it is writing to the registry at this moment is written."""
        task = self._running.get(handler)
        if task is not None:
            task.cancel()

    async def drain(self, seconds: float) -> None:
        """Wait for the streams, so many seconds at most, and cut off those that are left."""
        left = set(self._running.values())
        if left:
            _, left = await asyncio.wait(left, timeout=seconds)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, handler: RequestHandler) -> None:
        del self._running[handler]
        self._meter.level("http.streams", len(self._running))

    async def _run(
        self, request: web.BaseRequest, response: web.StreamResponse, answer: Outbound, source: AsyncGenerator[bytes, None]
    ) -> None:
        """Send everything, or cut the connection: an answer that has begun has no room for an error."""
        transport = request.transport
        try:
            async with contextlib.aclosing(source):
                await self._send(response.prepare(request))
                await self._send(response.write(answer.body))
                async for part in source:
                    await self._send(response.write(part))
        except _Gone:
            _abort(transport)
        except asyncio.CancelledError:
            _abort(transport)
            raise
        except Exception as error:
            self._tell(error, answer.correlation)
            if request.version < HttpVersion11:
                _abort(transport)  # any other end would look like that of the whole body
            elif transport is not None:
                transport.close()  # once what was made so far is sent
                asyncio.get_running_loop().call_later(self._config.stream_stall_seconds, transport.abort)

    def _tell(self, error: Exception, correlation: str) -> None:
        """Log what ended a stream; of a refusal, such as that of a full disk, all is said by its check."""
        if isinstance(error, Refusal):
            self._log.error("stream failed, check=%s, correlation=%s", error.check, correlation)
        else:
            self._log.error("stream failed, correlation=%s", correlation, exc_info=error)

    async def _send(self, writing: Awaitable[object]) -> None:
        """Wait until the receiver has taken most of what was sent before. Raises `_Gone` where it does not."""
        try:
            async with asyncio.timeout(self._config.stream_stall_seconds):
                await writing
        except TimeoutError as error:
            self._meter.bound("http.stream_stall_seconds")
            raise _Gone from error
        except ConnectionError as error:
            raise _Gone from error


class _Gone(Exception):
    """The receiver has hung up, or does not read."""


def _abort(transport: asyncio.Transport | None) -> None:
    """Reset a connection: an orderly end would make an answer over HTTP/1.0 look whole."""
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
