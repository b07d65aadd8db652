"""Pushes: what one connection was answered, told again when it changes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

import msgspec

from adapters.exchange import Exchange, Inbound, Outbound, Success
from adapters.mqtt.session import Session
from adapters.mqtt.shared import Shared
from core.errors import Reason
from core.messages import ANY_ETAG

# A change between an answer and the beginning of its watch was told to nobody, so the watch asks once more. Not at once: most
# devices that fetch something are gone before, and need no second evaluation.
_FIRST_LOOK_SECONDS = 1.0
_LEAST_RETRY_SECONDS = 1.0
_FAULT_RETRY_SECONDS = 10.0  # a fault of ours names no time


class Receiver(Protocol):
    """The connection, as far as pushes concern it."""

    def takes_pushes(self) -> bool:
        """Tell whether the client reads what it is sent and is meant to get more."""
        ...

    def push(self, topic: str, out: Outbound, session: Session) -> None:
        """Publish a changed answer."""
        ...

    def pushed(self) -> None:
        """Go on, now that nothing is being asked about any more."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Watch:
    """One request whose answer the client has on `topic`. It has no `key` until an answer said what to watch.

    `held` is the entity tag of that answer, `body` the answer itself where it has no tag, `form` the form it had. `due`: it may
    be another one now. `tell`: the client is to be told the first answer too. `begun` is done when it was asked about for the
    first time, or is not asked about any more.
    """

    __slots__ = ("begun", "body", "due", "form", "held", "inbound", "key", "stop", "tell", "timer", "topic")

    def __init__(self, topic: str, inbound: Inbound, *, tell: bool = False) -> None:
        self.topic = topic
        self.inbound = inbound
        self.tell = tell
        self.form = inbound.form
        self.held: tuple[str, ...] = () if tell else (ANY_ETAG,)
        self.body = b""
        self.key = ""
        self.due = False
        self.stop: Callable[[], None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.begun: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Let go of whoever waits for the beginning."""
        if self.begun is not None and not self.begun.done():
            self.begun.set_result(None)

    def question(self) -> Inbound:
        """Return the request to be handled again."""
        return msgspec.structs.replace(self.inbound, held=self.held, form=self.form)

    def knows(self, out: Outbound) -> bool:
        """Tell whether the client has this answer already."""
        return out.outcome is Success.UNCHANGED or (out.etag in self.held if out.etag else out.body == self.body)

    def remember(self, out: Outbound) -> None:
        """Take note of what the client has."""
        self.held = (out.etag,) if out.etag else ()
        self.body = b"" if out.etag else out.body
        self.form = out.form

    def end(self) -> None:
        """Be told nothing more."""
        self.begin()
        if self.stop is not None:
            self.stop()
        if self.timer is not None:
            self.timer.cancel()


class Pushes:
    """The watches of one connection, by topic. They are asked about one at a time, in a task that lives while one is due.

    Whatever changes while that is not possible, however often, is asked about once more when it is: the last state arrives.
    """

    __slots__ = ("_asking", "_exchange", "_receiver", "_session", "_shared", "_task", "_watches")

    def __init__(self, receiver: Receiver, session: Session, exchange: Exchange, shared: Shared) -> None:
        self._receiver = receiver
        self._session = session
        self._exchange = exchange
        self._shared = shared
        self._watches: dict[str, Watch] = {}
        self._task: asyncio.Task[None] | None = None
        self._asking = False

    @property
    def busy(self) -> bool:
        """Tell whether a task runs."""
        return self._task is not None

    def watch(self, topic: str, inbound: Inbound, out: Outbound) -> None:
        """Watch an answer that was published, in place of an earlier one on its topic; beyond the limit it is not watched."""
        watch = Watch(topic, inbound)
        if self._follow(watch, out):
            self._enter(watch)

    async def begin(self, topic: str, inbound: Inbound, *, tell: bool = False) -> None:
        """Watch what a request would be answered on a topic; with `tell` what it is now is published. A refusal is let be.

        Returns when it is watched: whatever changes from then on is published.
        """
        if topic not in self._watches:
            watch = Watch(topic, inbound, tell=tell)
            watch.begun = asyncio.get_running_loop().create_future()
            self._enter(watch)
            self._changed(watch)
            await watch.begun

    def unsubscribed(self) -> None:
        """End the watches of topics that are not subscribed to any more."""
        for watch in tuple(self._watches.values()):
            if not self._session.subscribed(watch.topic):
                self._drop(watch)

    def go_on(self) -> None:
        """Ask about what is due, unless something is being asked about already or the client does not take it now."""
        if self._task is None and self._next() is not None:
            self._task = asyncio.get_running_loop().create_task(self._work())
            # Not at the end of the coroutine: one that is cancelled before it runs has none.
            self._task.add_done_callback(self._finished)

    def drain(self) -> None:
        """Ask about nothing more; what is being asked about is still published."""
        for watch in self._watches.values():
            watch.begin()
        if self._task is not None and not self._asking:
            self._task.cancel()

    def close(self) -> None:
        """End all watches, and publish nothing more. The exchange keeps its work."""
        for watch in tuple(self._watches.values()):
            self._drop(watch)
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> Watch | None:
        if not self._receiver.takes_pushes():
            return None
        return next((watch for watch in self._watches.values() if watch.due), None)

    async def _work(self) -> None:
        try:
            while self._next() is not None:
                if self._shared.turns.locked():
                    self._shared.meter.bound("mqtt.pushes")
                async with self._shared.turns:
                    # While it waited for its turn, much may have become of it.
                    watch = self._next()
                    if watch is not None:
                        await self._ask(watch)
        except Exception:
            self._receiver.abort()
            raise

    def _finished(self, _: asyncio.Task[None]) -> None:
        self._task = None
        # Something may have become due between the end of the task and this.
        self.go_on()
        self._receiver.pushed()

    async def _ask(self, watch: Watch) -> None:
        watch.due = False
        self._watches[watch.topic] = self._watches.pop(watch.topic)  # the others come before it is asked about again
        self._asking = True
        try:
            out = await self._exchange.handle(watch.question())
        finally:
            self._asking = False
            watch.begin()
        # The answer to a newer request, or the end of the subscription, may have come first.
        if self._watches.get(watch.topic) is watch:
            self._learn(watch, out)

    def _learn(self, watch: Watch, out: Outbound) -> None:
        if isinstance(out.outcome, Success):
            if (watch.key or watch.tell) and not watch.knows(out):
                self._receiver.push(out.topic or watch.topic, out, self._session)
            if not self._follow(watch, out):
                self._drop(watch)
        elif out.retry_after is not None or out.outcome is Reason.INTERNAL:
            # Too busy, or too slow, is no answer to the question.
            wait = _FAULT_RETRY_SECONDS if out.retry_after is None else out.retry_after
            self._look_again(watch, max(wait, _LEAST_RETRY_SECONDS))
        elif not watch.key:
            self._drop(watch)
        # What is refused now may be granted again: a device that was disabled for a while is still there, and still listens.

    def _follow(self, watch: Watch, out: Outbound) -> bool:
        """Watch what an answer says, from that answer on; False where it cannot be watched."""
        if watch.key and out.outcome is Success.UNCHANGED:
            return True
        watch.remember(out)
        if out.watch and out.watch == watch.key:
            return True
        if not out.watch or not self._has_room(watch.topic):
            return False
        if watch.stop is not None:
            watch.stop()
        watch.key = out.watch
        watch.stop = self._exchange.watch(out.watch, partial(self._changed, watch))
        self._look_again(watch, _FIRST_LOOK_SECONDS)
        return True

    def _has_room(self, topic: str) -> bool:
        others = sum(1 for watch in self._watches.values() if watch.key and watch.topic != topic)
        if others >= self._shared.config.watches:
            self._shared.meter.bound("mqtt.watches")
        return others < self._shared.config.watches

    def _enter(self, watch: Watch) -> None:
        replaced = self._watches.get(watch.topic)
        if replaced is not None:
            replaced.end()
        self._watches[watch.topic] = watch

    def _drop(self, watch: Watch) -> None:
        watch.end()
        del self._watches[watch.topic]

    def _look_again(self, watch: Watch, seconds: float) -> None:
        if watch.timer is not None:
            watch.timer.cancel()
        watch.timer = asyncio.get_running_loop().call_later(seconds, self._changed, watch)

    def _changed(self, watch: Watch) -> None:
        watch.due = True
        self.go_on()
