"""A connection as a subscriber: which answers it is told again when they change, and how they reach it."""

import abc

from adapters.exchange import Exchange, Inbound, Outbound, Success
from adapters.mqtt import encode
from adapters.mqtt.line import Line
from adapters.mqtt.packets import Publish, ReasonCode, Subscribe, Unsubscribe
from adapters.mqtt.pushing import Pushes
from adapters.mqtt.session import Answer, Granted, Session
from adapters.mqtt.shared import Shared


class Subscriber(Line):
    """A line that can be pushed to once it has a session, as long as it is open."""

    __slots__ = ("_exchange", "_pushes", "_shared", "draining")

    def __init__(self, shared: Shared, exchange: Exchange) -> None:
        super().__init__(shared.config.write_stall_seconds)
        self.draining = False  # what was begun is finished, and nothing else is begun
        self._shared = shared
        self._exchange = exchange
        self._pushes: Pushes | None = None  # from the first answer that is watched

    def bound(self, name: str) -> None:
        """Count what a limit refused."""
        self._shared.meter.bound(f"mqtt.{name}")

    def subscribe(self, packet: Subscribe, session: Session) -> None:
        """Grant or refuse filters."""
        self.write(self.grant(packet, session).data)

    async def subscribe_and_watch(self, packet: Subscribe, session: Session) -> None:
        """Grant or refuse filters; a device that subscribes to its answers is told of changes without asking first.

        It is told that it subscribed once that is true of every change that follows. Where subscribing is a request by itself,
        its answer comes after that.
        """
        granted = self.grant(packet, session)
        told = await self.begin_watches(granted, session)
        self.write(granted.data)
        await self.tell(told, session)

    def grant(self, packet: Subscribe, session: Session) -> Granted:
        """Grant or refuse filters, and count what the limit refused."""
        granted = session.subscribe(packet, self._exchange.may_subscribe, self._shared.config.subscriptions)
        if granted.full:
            self.bound("subscriptions")
        return granted

    async def begin_watches(self, granted: Granted, session: Session) -> list[tuple[str, Inbound]]:
        """Watch the answers among what was granted; returns the filters that are requests by themselves, to be told."""
        told: list[tuple[str, Inbound]] = []
        for topic_filter in granted.filters:
            inbound, request = session.implied(topic_filter), self._request(topic_filter, session)
            if inbound is not None and not self._is_over():
                await self._pushing(session).begin(topic_filter, inbound)
            elif request is not None:
                told.append((topic_filter, request))
        return told

    async def tell(self, told: list[tuple[str, Inbound]], session: Session) -> None:
        """Answer and watch filters that are requests by themselves."""
        for topic_filter, request in told:
            if not self._is_over():
                await self._pushing(session).begin(topic_filter, request, tell=True)

    async def serve(self, packet: Publish, session: Session) -> Answer:
        """Handle a message as a request, and write what goes back. Raises `ProtocolError`."""
        inbound = session.receive(packet, self._shared.config.receive_maximum)
        out = await self._exchange.handle(inbound)
        answer = session.answer(packet, out)
        if answer.bound:
            self.bound(answer.bound)
        if answer.closing is None:
            self.watch(inbound, out, session)
        self.write(answer.data)
        return answer

    def unsubscribe(self, packet: Unsubscribe, session: Session) -> None:
        """Give up filters, and the watches that they covered."""
        codes = self.give_up(packet, session)
        self.write(encode.unsuback(session.version, packet.packet_id, codes))

    def give_up(self, packet: Unsubscribe, session: Session) -> list[ReasonCode]:
        """Give up filters, and the watches that they covered; returns what became of each."""
        codes = session.unsubscribe(packet)
        if self._pushes is not None:
            self._pushes.unsubscribed()
        return codes

    def watch(self, inbound: Inbound, out: Outbound, session: Session) -> None:
        """Watch an answer that can change, for a client that subscribed to its topic."""
        watchable = bool(out.watch) and isinstance(out.outcome, Success)
        if watchable and out.topic is not None and not self._is_over() and session.subscribed(out.topic):
            self._pushing(session).watch(out.topic, inbound, out)

    def linger(self, session: Session) -> None:
        """Give a guest its time again."""
        if session.linger_seconds is not None:
            self.deadlines.linger = self.loop.time() + session.linger_seconds

    def takes_pushes(self) -> bool:
        """Tell whether the client reads what it is sent and is meant to get more."""
        return not (self.blocked or self.draining or self._is_over())

    def push(self, topic: str, out: Outbound, session: Session) -> None:
        """Publish a changed answer."""
        message = session.push(topic, out)
        if message.bound:
            self.bound(message.bound)
        else:
            self.write(message.data)
            self.linger(session)

    @abc.abstractmethod
    def pushed(self) -> None:
        """Go on, now that nothing is being asked about any more."""

    def push_on(self) -> None:
        """Ask about what changed while that was not possible."""
        if self._pushes is not None:
            self._pushes.go_on()

    def drain(self) -> None:
        """Begin nothing more."""
        self.draining = True
        if self._pushes is not None:
            self._pushes.drain()

    def unwatch(self) -> None:
        """End all watches."""
        if self._pushes is not None:
            self._pushes.close()

    @property
    def pushing(self) -> bool:
        """Tell whether a task runs that pushes."""
        return self._pushes is not None and self._pushes.busy

    def _watches(self, packet: Subscribe, session: Session) -> bool:
        """Tell whether one of the filters is a request by itself."""
        filters = [wanted.topic_filter for wanted in packet.subscriptions]
        return any(session.implied(each) is not None or self._request(each, session) is not None for each in filters)

    def _request(self, topic_filter: str, session: Session) -> Inbound | None:
        """Return what a filter asks for by itself, None where that is nothing."""
        inbound = session.subscribing(topic_filter)
        return inbound if inbound is not None and self._exchange.understands(inbound) else None

    def _is_over(self) -> bool:
        return self.closing or self.lost

    def _pushing(self, session: Session) -> Pushes:
        if self._pushes is None:
            self._pushes = Pushes(self, session, self._exchange, self._shared)
        return self._pushes
