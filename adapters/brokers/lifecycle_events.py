"""Publishes what happens to devices at the user's broker: every committed event, in the operator API's own words.

An event goes to `<prefix>/events/<tenant>/<kind>/<device id>`, where the kind has two levels (`device/connected`) and a dash
stands for no device, at QoS 1 and not retained. A consumer gets each at least once, and knows by its id what it had before.
Of several gateways over one registry one publishes, with `hindsight`: their clocks may differ by as much as that looks back.

How far that went is a retained message at the broker, `<prefix>/position/events`. So nothing is lost while the broker or this
gateway is away; where both forget at once, or the first time ever, it begins with what happens from then on. What is never
published is what the registry forgets (`FIRSTLIGHT_EVENTS_KEEP`) before the broker is back, and what happens while a clock that
was set back has not caught up. The broker's rules have to keep everybody else from writing to either.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

import aiomqtt

from adapters.brokers import event_position
from adapters.brokers.cancelling import unless_cancelled
from adapters.brokers.event_feed import EventFeed, Hindsight
from adapters.brokers.event_position import Position, earliest_id
from adapters.brokers.link import Link, Refused, lost
from adapters.watching import Watches
from core.model import Event
from core.notices import EVENTS, EVERYTHING
from core.ports import Clock, Repository

PAUSE_SECONDS: Final = 1.0
ECHO_SECONDS: Final = 10.0
BATCH: Final = 50
_QOS = 1


class LifecycleEvents:
    """Publishes events, woken by their commits. `write` makes the message of one; nobody changing anything costs nothing.

    After each look at the registry it waits for `pause` seconds, so that a busy one is not read for every single event. What it
    publishes to itself has to be there after `echo` seconds.
    """

    def __init__(
        self,
        link: Link,
        repository: Repository,
        watches: Watches,
        clock: Clock,
        write: Callable[[Event], bytes],
        prefix: str,
        *,
        pause: float = PAUSE_SECONDS,
        echo: float = ECHO_SECONDS,
        hindsight: Hindsight | None = None,
    ) -> None:
        self._link = link
        self._feed = EventFeed(repository, hindsight=hindsight)
        self._watches = watches
        self._clock = clock
        self._write = write
        self._prefix = f"{prefix}/events"
        self._position_topic = f"{prefix}/position/events"  # beside them: whoever wants all events gets nothing else
        self._pause = pause
        self._echo = echo
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Publish until this is cancelled, over as many connections as it takes."""
        started = self._clock.now()
        unfollow = self._watches.follow(self._told)
        try:
            await self._link.keep(lambda client: self._serve(client, started))
        finally:
            unfollow()

    def _told(self, names: frozenset[str]) -> None:
        if EVENTS in names or EVERYTHING in names:
            self._woken.set()

    async def _serve(self, client: aiomqtt.Client, started: int) -> None:
        client.pending_calls_threshold = BATCH
        await self._begin(client, started)
        self._woken.set()
        tasks = [asyncio.ensure_future(self._publish_all(client)), asyncio.ensure_future(lost(client))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()  # raises: neither comes to an end by itself
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, client: aiomqtt.Client, started: int) -> None:
        """Find out where to go on, and see that the broker knows."""
        kept = await self._kept(client)
        if kept is not None:
            self._feed.go_on(kept)
        elif not self._feed.begun:
            self._feed.begin(earliest_id(started))
        if self._feed.position != kept:
            await self._keep_position(client)

    async def _kept(self, client: aiomqtt.Client) -> Position | None:
        """Return the position that the broker has. Raises `Refused` where its rules keep us from it.

        A message of our own follows the subscription: what is retained comes before that, if there is any.
        """
        topic = self._position_topic
        await unless_cancelled(client.subscribe(topic, qos=_QOS))
        await unless_cancelled(client.publish(topic, b"", qos=_QOS))
        kept: Position | None = None
        try:
            async with asyncio.timeout(self._echo):
                async for message in client.messages:
                    if not message.payload:
                        break
                    assert isinstance(message.payload, bytes)  # noqa: S101 - the library's type is that of both directions
                    kept = event_position.read(message.payload, self._clock.now()) or kept
        except TimeoutError as error:
            raise Refused(f"the broker's rules have to let this user write and read {topic}") from error
        await unless_cancelled(client.unsubscribe(topic))
        return kept

    async def _publish_all(self, client: aiomqtt.Client) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._feed.look_again_seconds):
                    await self._woken.wait()
            self._woken.clear()
            async with contextlib.aclosing(self._feed.slices()) as slices:
                async for events in slices:
                    for start in range(0, len(events), BATCH):
                        await self._publish(client, events[start : start + BATCH])
                    await self._keep_position(client)
            await asyncio.sleep(self._pause)

    async def _publish(self, client: aiomqtt.Client, events: Sequence[Event]) -> None:
        """Publish some events in their order; all of them come again where one fails. Raises `MqttError`."""
        publishing = (client.publish(self._topic(event), self._write(event), qos=_QOS) for event in events)
        for failure in await asyncio.gather(*publishing, return_exceptions=True):
            if failure is not None:
                raise failure
        self._feed.done(events)

    async def _keep_position(self, client: aiomqtt.Client) -> None:
        payload = event_position.write(self._feed.position)
        await unless_cancelled(client.publish(self._position_topic, payload, qos=_QOS, retain=True))

    def _topic(self, event: Event) -> str:
        """Return where an event goes. Ids are percent-encoded: an operator may have chosen one that is more than one level."""
        levels = (event.tenant, *event.kind.value.split("."), event.device or "-")
        return "/".join((self._prefix, *(quote(level, safe=":@") for level in levels)))
