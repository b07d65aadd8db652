"""The device's end of CoAP against a server that answers from a script, datagram by datagram."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.types import Type

from adapters.commands import lines
from adapters.commands.carriers import Login, Server
from adapters.commands.failure import Failure
from adapters.commands.lines import Question, open_line

DOCUMENT, VERSION = ("things", "bootstrap", "24:0a"), ("things", "bootstrap", "24:0a", "version")
QUESTION = Question(document=DOCUMENT, version=VERSION, authorization="Thing k", auth="k", login=Login())
SECONDS = 20


class Scripted(asyncio.DatagramProtocol):
    """Answers a document, and observers of its version; `etag` is what both have now."""

    def __init__(self) -> None:
        self.etag = b"\x01"
        self.observable = True
        self.mute = False
        self.asked: list[tuple[tuple[str, ...], int | None]] = []
        self.queries: set[tuple[str, ...]] = set()
        self.observer: tuple[bytes, tuple[str, int]] | None = None
        self.observed = asyncio.Event()
        self.asked_twice = asyncio.Event()
        self._number = 0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        request = Message.decode(data)
        if not request.code.is_request() or self.mute:
            return
        self.asked.append((request.opt.uri_path, request.opt.observe))
        if self.asked.count((VERSION, None)) == 2:
            self.asked_twice.set()
        self.queries.add(request.opt.uri_query)
        answer = Message(_mtype=Type.ACK, _mid=request.mid, _token=request.token, code=Code.CONTENT)
        answer.payload = b"document of " + self.etag if request.opt.uri_path == DOCUMENT else b"{}"
        answer.opt.etag = self.etag
        if request.opt.observe == 0 and self.observable:
            self.observer = (request.token, source)
            self._number += 1
            answer.opt.observe = self._number
            self.observed.set()
        self.send(answer, source)

    def notify(self, code: Code = Code.CONTENT) -> None:
        """Tell the observer the version there is, or that there is none any more."""
        assert self.observer is not None
        token, source = self.observer
        self._number += 1
        message = Message(_mtype=Type.NON, _mid=self._number, _token=token, code=code, payload=b"{}")
        if code.is_successful():
            message.opt.observe, message.opt.etag = self._number, self.etag
        self.send(message, source)

    def send(self, message: Message, source: tuple[str, int]) -> None:
        self._transport.sendto(message.encode(), source)


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Scripted, Server]]:
    loop = asyncio.get_running_loop()
    transport, script = await loop.create_datagram_endpoint(Scripted, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        yield script, Server("coap", "127.0.0.1", port, 5.0)
    finally:
        transport.close()


async def test_a_change_is_told_and_fetched() -> None:
    async with scripted() as (script, server), asyncio.timeout(SECONDS), open_line(server, QUESTION) as line:
        assert (await line.fetch()).body == b"document of \x01"
        await line.changed()  # from here on it observes
        waiting = asyncio.create_task(line.changed())
        await script.observed.wait()
        script.notify()  # the same again is no change
        script.etag = b"\x02"
        script.notify()
        await waiting
        reply = await line.fetch()
    assert (reply.body, reply.status, reply.granted) == (b"document of \x02", "2.05 Content", True)
    assert script.asked == [(DOCUMENT, None), (VERSION, 0), (DOCUMENT, None)]
    assert script.queries == {("auth=k",)}


async def test_an_observation_that_ends_is_begun_anew() -> None:
    async with scripted() as (script, server), asyncio.timeout(SECONDS), open_line(server, QUESTION) as line:
        await line.changed()
        waiting = asyncio.create_task(line.changed())
        script.notify(Code.NOT_FOUND)
        await waiting
        while script.asked != [(VERSION, 0), (VERSION, 0)]:
            await line.changed()  # the end of an observation may be told by itself, and means that one should look
        waiting = asyncio.create_task(line.changed())
        script.etag = b"\x02"
        script.notify()
        await waiting


async def test_a_server_that_is_not_to_be_observed_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "POLL_SECONDS", 0.0)
    async with scripted() as (script, server), asyncio.timeout(SECONDS), open_line(server, QUESTION) as line:
        script.observable = False
        for _ in range(3):
            await line.changed()
        assert script.asked == [(VERSION, 0)] * 3


async def test_a_notification_that_was_lost_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "STALE_SECONDS", 0.05)
    async with scripted() as (script, server), asyncio.timeout(SECONDS), open_line(server, QUESTION) as line:
        await line.changed()
        waiting = asyncio.create_task(line.changed())
        await script.asked_twice.wait()  # in the silence, and nothing is new
        script.etag = b"\x02"
        await waiting
        await line.changed()
        assert script.asked.count((VERSION, 0)) == 2


async def test_a_server_that_falls_silent_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "STALE_SECONDS", 0.05)
    async with scripted() as (script, server), asyncio.timeout(SECONDS):
        impatient = Server("coap", server.host, server.port, 0.2)
        async with open_line(impatient, QUESTION) as line:
            await line.changed()
            script.mute = True
            with pytest.raises(Failure, match=r"no answer from .* within 0.2 s"):
                await line.changed()


async def test_a_line_closes_while_it_waits() -> None:
    async with scripted() as (script, server), asyncio.timeout(SECONDS), open_line(server, QUESTION) as line:
        await line.changed()
        waiting = asyncio.create_task(line.changed())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert script.asked == [(VERSION, 0)]
