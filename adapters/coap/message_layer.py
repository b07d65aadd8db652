"""The message layer (RFC 7252, section 4) of a server: duplicates, acknowledgements, piggybacked and separate responses.

A request is never cancelled once it runs: not by a reset, not by an ICMP error, not by another request with its token.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.types import Type

from adapters.coap.admission import Admission
from adapters.coap.config import CoapConfig
from adapters.coap.decoding import FormatError, Request, decode
from adapters.coap.deduplication import Deduplication, Entry
from adapters.coap.notifier import Notifier
from adapters.coap.remote import Remote
from adapters.coap.retransmission import Retransmission
from adapters.coap.screening import ACKNOWLEDGEMENT, RESET, Kind, empty, message_id, screen
from adapters.exchange import Meter

log = logging.getLogger("adapters.coap")

Respond = Callable[[Request], Awaitable[Message]]


class Exchanged:
    """A request that is being answered, as far as messages are concerned."""

    __slots__ = ("acknowledged", "confirmable", "entry", "request", "respond", "timer")

    def __init__(self, respond: Respond, request: Request, entry: Entry) -> None:
        self.respond = respond
        self.request = request
        self.entry = entry
        self.confirmable = request.message.mtype is Type.CON
        self.acknowledged = False
        self.timer: asyncio.TimerHandle | None = None


class MessageLayer:
    """Takes datagrams, gives requests to whoever responds, sends what comes back. Belongs to one event loop."""

    def __init__(self, separate: Retransmission, notifier: Notifier, meter: Meter, config: CoapConfig) -> None:
        self._separate = separate
        self._notifier = notifier
        self._meter = meter
        self._config = config
        self._admission = Admission(config, meter, time.monotonic())
        self._requests = Deduplication(config, meter)
        self._running: set[asyncio.Task[None]] = set()
        self.draining = False

    def receive(self, respond: Respond, remote: Remote, datagram: bytes) -> None:
        """Take one datagram, whatever it is; `respond` answers it if it is a request."""
        kind = screen(datagram)
        if kind is Kind.NOISE:
            self._meter.bound("coap.malformed")
            return
        bound = self._admission.refusal(remote.address[0], time.monotonic())
        if bound is not None:
            self._meter.bound(bound)
        elif kind is Kind.REQUEST:
            self._receive_request(respond, remote, datagram)
        elif kind is Kind.SETTLED:
            self._settle(remote, datagram)
        else:
            if kind is Kind.REJECTED:
                self._meter.bound("coap.malformed")
            remote.send(empty(RESET, message_id(datagram)))

    def forget(self, remote: Remote) -> None:
        """Send nothing more to a remote whose session ended, and strike it off as an observer."""
        self._separate.forget(remote)
        self._notifier.forget(remote)

    def needs(self, remote: Remote) -> bool:
        """Tell whether something is on its way to this remote, or will be as soon as what it observes changes."""
        return self._separate.owes(remote) or self._notifier.observed_by(remote)

    async def drain(self, seconds: float) -> None:
        """Wait, at most this long, until running requests are answered and the answers acknowledged; then stop for good."""
        self.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._running:
                    await asyncio.wait(self._running)
                await self._separate.finish()
        late = tuple(self._running)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._separate.close()

    def _settle(self, remote: Remote, datagram: bytes) -> None:
        mid = message_id(datagram)
        self._separate.settle(remote, mid)
        self._notifier.settle(remote, mid, reset=datagram[0] >> 4 & 3 == RESET)

    def _receive_request(self, respond: Respond, remote: Remote, datagram: bytes) -> None:
        now = time.monotonic()
        key = (remote, message_id(datagram))
        confirmable = not datagram[0] & 0x10
        earlier = self._requests.find(key, datagram, now)
        if earlier is not None:
            if confirmable and earlier.answer:
                remote.send(earlier.answer)
                self._notifier.repeated(remote, datagram[4 : 4 + (datagram[0] & 15)])
            return
        try:
            request = decode(datagram, remote, self._config)
        except FormatError as error:
            self._meter.bound(str(error))
            if confirmable:
                remote.send(empty(RESET, key[1]))
            return
        if request.fault is not None and request.fault.code == Code.BAD_OPTION and not confirmable:
            self._meter.bound(request.fault.bound)  # ignored, by RFC 7252, section 5.4.1
            return
        request.message.mtype = Type.CON if confirmable else Type.NON
        self._accept(Exchanged(respond, request, self._requests.open(key, datagram, now)))

    def _accept(self, exchanged: Exchanged) -> None:
        bound = self._overload(exchanged)
        if bound is not None:
            self._meter.bound(bound)
            self._answer(exchanged, Message(code=Code.SERVICE_UNAVAILABLE, max_age=round(self._config.retry_after_seconds)))
            return
        loop = asyncio.get_running_loop()
        if exchanged.confirmable:
            exchanged.timer = loop.call_later(self._config.empty_ack_seconds, self._acknowledge, exchanged)
        task = loop.create_task(self._serve(exchanged))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _overload(self, exchanged: Exchanged) -> str | None:
        if self.draining:
            return "coap.draining"
        if len(self._running) >= self._config.max_running:
            return "coap.running"
        if exchanged.confirmable and self._separate.crowded(exchanged.request.remote):
            return "coap.backlog"
        return None

    async def _serve(self, exchanged: Exchanged) -> None:
        try:
            response = await exchanged.respond(exchanged.request)
        except Exception:
            self._meter.bound("coap.internal")
            log.exception("A CoAP request could not be answered.")
            response = Message(code=Code.INTERNAL_SERVER_ERROR)
        finally:
            if exchanged.timer is not None:
                exchanged.timer.cancel()
        self._answer(exchanged, response)

    def _answer(self, exchanged: Exchanged, response: Message) -> None:
        request = exchanged.request
        response.token = request.message.token
        if unwanted(request.message, response):
            if exchanged.confirmable and not exchanged.acknowledged:
                self._acknowledge(exchanged)
        elif exchanged.confirmable and not exchanged.acknowledged:
            response.mtype, response.mid = Type.ACK, request.message.mid
            datagram = response.encode()
            self._remember(exchanged, datagram)
            request.remote.send(datagram)
        else:
            self._send_separately(exchanged, response)

    def _remember(self, exchanged: Exchanged, datagram: bytes) -> None:
        # The later blocks of a large answer are cut again from what is kept of it: they would drive all else out of memory.
        if _reads_on(exchanged.request.message):
            self._requests.release(exchanged.entry)
        else:
            self._requests.answered(exchanged.entry, datagram)

    def _acknowledge(self, exchanged: Exchanged) -> None:
        """Acknowledge a request by itself; its response follows in a message of its own (RFC 7252, section 5.2.2)."""
        exchanged.acknowledged = True
        datagram = empty(ACKNOWLEDGEMENT, exchanged.request.message.mid)
        self._requests.answered(exchanged.entry, datagram)
        exchanged.request.remote.send(datagram)

    def _send_separately(self, exchanged: Exchanged, response: Message) -> None:
        request, remote = exchanged.request, exchanged.request.remote
        # Where nothing more may wait for acknowledgement, a response that is sent once is better than none.
        reliable = exchanged.confirmable and self._separate.has_room(remote)
        response.mtype = Type.CON if reliable else Type.NON
        response.mid = self._separate.next_mid()
        if response.opt.observe is not None:
            self._notifier.answered(remote, request.message.token, response.mid)
        if reliable:
            self._separate.send(remote, response.mid, response.encode())
        else:
            remote.send(response.encode())


def _reads_on(request: Message) -> bool:
    if request.code != Code.GET:
        return False
    block2 = request.opt.block2
    return block2 is not None and block2.block_number > 0


def unwanted(request: Message, response: Message) -> bool:
    """Tell whether a client asked not to be answered with this class of codes (RFC 7967).

    2.31 is always sent: without it a block-wise request cannot go on.
    """
    wish = request.opt.no_response
    return bool(wish) and response.code != Code.CONTINUE and bool(wish >> response.code.class_ - 1 & 1)
