"""Tells observers what changed (RFC 7641, section 4): asks for them again, at a pace, and sends the notifications."""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Protocol

import msgspec
from aiocoap import Message
from aiocoap.numbers.types import Type
from aiocoap.optiontypes import BlockOption

from adapters.coap.config import CoapConfig
from adapters.coap.observers import Client, Observer, Observers, Registration
from adapters.coap.remote import Remote
from adapters.coap.representation import cut, tag
from adapters.coap.translate import outbound
from adapters.exchange import Meter, Outbound, Success
from core.errors import Reason, Refusal

REGISTER, DEREGISTER = 0, 1  # RFC 7641, section 2
NUMBERS = 2**24  # RFC 7641, section 2
RETRY_SECONDS = 5.0  # where nothing can be protected now, and nobody says until when

log = logging.getLogger("adapters.coap")


class Deliveries(Protocol):
    """Whatever takes notifications to where they have to go."""

    def next_mid(self) -> int:
        """Return the message id for one more message."""
        ...

    def has_room(self, remote: Remote) -> bool:
        """Tell whether one more message to this remote would be taken."""
        ...

    def send(self, remote: Remote, mid: int, datagram: bytes) -> None:
        """Send a message; `Notifier.settle` is called once it arrived."""
        ...


class Notifier:
    """Keeps every observer up to date, one notification on its way to each remote.

    What changes meanwhile, however often, is asked for once more afterwards, so the last state always arrives. Notifications
    are confirmable: what they watch changes rarely, and it must be found out who is gone.
    """

    def __init__(self, observers: Observers, separate: Deliveries, meter: Meter, config: CoapConfig) -> None:
        self._observers = observers
        self._separate = separate
        self._meter = meter
        self._first = BlockOption.BlockwiseTuple(0, False, config.block_size_exponent)
        self._interval = 1 / config.notifications_per_second
        self._next_turn = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due: deque[Client] = deque()
        self._asking: set[asyncio.Task[None]] = set()
        self._number = 0
        self._stopped = False

    def observable(self, answer: Outbound, size: int, max_bytes: int) -> bool:
        """Tell whether an answer of this size can be observed (RFC 7641, section 4.1)."""
        if not isinstance(answer.outcome, Success) or not answer.watch:
            return False
        if size > max_bytes:
            self._meter.bound("coap.observe_bytes")
        return size <= max_bytes

    def register(self, registration: Registration, answer: Outbound) -> int | None:
        """Enter the sender of a request as an observer.

        Returns the number that goes with the answer; None where a bound forbids it.
        """
        observer = None if self._stopped else self._observers.add(registration)
        if observer is None:
            return None
        observer.state = _state(answer)
        self._watch(observer, answer.watch)
        return self._next_number()

    def deregister(self, remote: Remote, token: bytes) -> None:
        """Tell an observer nothing more (RFC 7641, section 3.6)."""
        self._observers.remove(remote, token)

    def forget(self, remote: Remote) -> None:
        """Tell a remote nothing more, whatever it observed."""
        self._observers.forget(remote)

    def observed_by(self, remote: Remote) -> bool:
        """Tell whether a remote observes anything."""
        return self._observers.client(remote) is not None

    def answered(self, remote: Remote, token: bytes, mid: int) -> None:
        """Take note of the message in which the answer to a registration went out, for it may be rejected too."""
        observer = self._observers.get(remote, token)
        if observer is not None:
            observer.mid = mid

    def repeated(self, remote: Remote, token: bytes) -> None:
        """Take note of a duplicate, which gets the answer of the first.

        If that was a registration, and its sender was told something since, it may be a device that started anew, repeats
        itself to the byte, and now believes the old answer: it is told again.
        """
        observer = self._observers.get(remote, token)
        if observer is not None and observer.mid >= 0:
            observer.state = None
            self._changed(observer)

    def settle(self, remote: Remote, mid: int, *, reset: bool) -> None:
        """Take the acknowledgement of a message, or its reset, which is how a client forgets what it observed."""
        client = self._observers.client(remote)
        if client is None:
            return
        if reset:
            for observer in tuple(client.observers.values()):
                if observer.mid == mid:
                    self._observers.remove(remote, observer.registration.token)
        if client.busy and client.mid == mid:
            self._free(client)

    def stop(self) -> None:
        """End every watch, and tell nobody anything more. The exchange keeps its work."""
        self._stopped = True
        self._observers.clear()
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._asking:
            task.cancel()

    async def close(self) -> None:
        """Stop, and wait until nothing runs any more."""
        self.stop()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def _watch(self, observer: Observer, key: str) -> None:
        observer.key = key
        observer.end = observer.registration.exchange.watch(key, partial(self._changed, observer))
        self._changed(observer)  # what changed between the answer and the watch was told to nobody

    def _changed(self, observer: Observer) -> None:
        if observer.listed:
            observer.due = True
            self._enqueue(observer.client)

    def _enqueue(self, client: Client) -> None:
        if not client.busy and not client.queued:
            client.queued = True
            self._due.append(client)
            self._await_turn()

    def _await_turn(self) -> None:
        if self._timer is None and self._due:
            self._timer = asyncio.get_running_loop().call_at(self._next_turn, self._turn)

    def _turn(self) -> None:
        """Ask about one observer of the client that waited longest."""
        self._timer = None
        client = self._due.popleft()
        client.queued = False
        loop = asyncio.get_running_loop()
        observer = next((observer for observer in client.observers.values() if observer.due), None)
        if observer is not None:
            self._next_turn = loop.time() + self._interval
            client.postpone(observer)
            if self._separate.has_room(client.remote):
                client.busy = True
                task = loop.create_task(self._update(observer))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            else:
                self._enqueue(client)
        self._await_turn()

    async def _update(self, observer: Observer) -> None:
        observer.due = False
        answer = await self._ask(observer)
        seal = observer.registration.seal
        if seal is not None and seal.broken:
            self._observers.remove(observer.client.remote, observer.registration.token)
            self._free(observer.client)
        elif answer.retry_after is not None and not isinstance(answer.outcome, Success):
            # Too busy is no answer to the question, and must not end what a whole fleet observes.
            asyncio.get_running_loop().call_later(answer.retry_after, self._changed, observer)
            self._free(observer.client)
        elif not observer.listed or _knows(observer, answer) or not self._tell(observer, answer):
            self._free(observer.client)

    async def _ask(self, observer: Observer) -> Outbound:
        registration, state = observer.registration, observer.state
        held = (state,) if isinstance(state, str) and state else ()
        try:
            answer = await registration.exchange.handle(msgspec.structs.replace(registration.inbound, held=held))
            if registration.seal is not None:
                await registration.seal.ready(later=True)
            return answer
        except Refusal as refusal:
            return Outbound(outcome=refusal.reason, retry_after=refusal.retry_after or RETRY_SECONDS)
        except Exception:
            self._meter.bound("coap.internal")
            log.exception("A CoAP observer could not be brought up to date.")
            return Outbound(outcome=Reason.INTERNAL)

    def _tell(self, observer: Observer, answer: Outbound) -> bool:
        """Send a notification, the last one where it can be observed no longer; False where nothing can be sent now."""
        client, registration = observer.client, observer.registration
        if not self._separate.has_room(client.remote):
            observer.due = True
            return False
        message = outbound(answer)
        if self.observable(answer, len(message.payload), registration.max_bytes):
            message.opt.observe = self._next_number()
            observer.state = _state(answer)
            if answer.watch != observer.key:
                observer.end()
                self._watch(observer, answer.watch)
        else:
            message = self._whole_or_first(message)
            self._observers.remove(client.remote, registration.token)
        if registration.seal is not None:
            message = registration.seal.protect(message, later=True)
        message.mtype, message.token = Type.CON, registration.token
        message.mid = client.mid = observer.mid = self._separate.next_mid()
        self._separate.send(client.remote, message.mid, message.encode())
        return True

    def _whole_or_first(self, message: Message) -> Message:
        if len(message.payload) <= self._first.size:
            return message
        tag(message)
        return cut(message, self._first)

    def _free(self, client: Client) -> None:
        """Let the next observer of a client have its turn."""
        client.busy = False
        client.mid = -1
        if any(observer.due for observer in client.observers.values()):
            self._enqueue(client)
        self._observers.leave(client)

    def _next_number(self) -> int:
        # One count for all: it grows for each of them, also over a new registration with the same token.
        self._number = (self._number + 1) % NUMBERS
        return self._number


def _state(answer: Outbound) -> str | bytes:
    return answer.etag or answer.body


def _knows(observer: Observer, answer: Outbound) -> bool:
    """Tell whether an observer has been told this already."""
    if not isinstance(answer.outcome, Success):
        return False
    return answer.outcome is Success.UNCHANGED or _state(answer) == observer.state
