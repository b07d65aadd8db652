"""Confirmable messages of our own: sent again until they are acknowledged, one at a time to each remote.

RFC 7252, sections 4.2 and 4.7 (NSTART is 1); such messages are separate responses and notifications.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable

from adapters.coap.config import CoapConfig
from adapters.coap.remote import Remote
from adapters.exchange import Meter

ACK_TIMEOUT_SECONDS = 2.0
ACK_RANDOM_FACTOR = 1.5
MAX_RETRANSMIT = 4


class Delivery:
    """What is on its way to one remote, and what waits behind it."""

    __slots__ = ("datagram", "mid", "retransmissions", "timeout", "timer", "waiting")

    timer: asyncio.TimerHandle  # always there once the first message is on its way

    def __init__(self) -> None:
        self.mid = -1
        self.datagram = b""
        self.timeout = 0.0
        self.retransmissions = 0
        self.waiting: deque[tuple[int, bytes]] = deque()


class Retransmission:
    """Delivers confirmable messages; bounded by remotes and by messages that wait for one remote.

    `lost` is told of every remote that is given up.
    """

    def __init__(self, config: CoapConfig, meter: Meter, lost: Callable[[Remote], None]) -> None:
        self._backlog = config.backlog_per_remote
        self._max_remotes = config.max_unacknowledged_remotes
        self._meter = meter
        self._lost = lost
        self._mid = random.randrange(0x10000)  # noqa: S311 - a starting point, no secret (RFC 7252, section 4.4)
        self._deliveries: dict[Remote, Delivery] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def next_mid(self) -> int:
        """Return the message id for one more message of ours, confirmable or not."""
        self._mid = self._mid + 1 & 0xFFFF
        return self._mid

    def crowded(self, remote: Remote) -> bool:
        """Tell whether as many messages wait for this remote as may."""
        delivery = self._deliveries.get(remote)
        return delivery is not None and len(delivery.waiting) >= self._backlog

    def has_room(self, remote: Remote) -> bool:
        """Tell whether one more message to this remote would be taken."""
        if remote not in self._deliveries:
            return len(self._deliveries) < self._max_remotes
        return not self.crowded(remote)

    def send(self, remote: Remote, mid: int, datagram: bytes) -> None:
        """Send a message now, or after those before it; ask `has_room` first."""
        delivery = self._deliveries.get(remote)
        if delivery is not None:
            delivery.waiting.append((mid, datagram))
            return
        self._deliveries[remote] = delivery = Delivery()
        self._idle.clear()
        self._begin(remote, delivery, mid, datagram)

    def settle(self, remote: Remote, mid: int) -> None:
        """End the delivery that an acknowledgement or a reset names, and begin the next one."""
        delivery = self._deliveries.get(remote)
        if delivery is None or delivery.mid != mid:
            return
        delivery.timer.cancel()
        if delivery.waiting:
            self._begin(remote, delivery, *delivery.waiting.popleft())
        else:
            self._end(remote)

    def forget(self, remote: Remote) -> None:
        """Send nothing more to a remote that is gone."""
        delivery = self._deliveries.get(remote)
        if delivery is not None:
            delivery.timer.cancel()
            self._end(remote)

    def owes(self, remote: Remote) -> bool:
        """Tell whether something is on its way to this remote."""
        return remote in self._deliveries

    async def finish(self) -> None:
        """Wait until everything is acknowledged or given up."""
        await self._idle.wait()

    def close(self) -> None:
        """Send nothing any more."""
        for delivery in self._deliveries.values():
            delivery.timer.cancel()
        self._deliveries.clear()
        self._idle.set()

    def _end(self, remote: Remote) -> None:
        del self._deliveries[remote]
        if not self._deliveries:
            self._idle.set()

    def _begin(self, remote: Remote, delivery: Delivery, mid: int, datagram: bytes) -> None:
        delivery.mid, delivery.datagram, delivery.retransmissions = mid, datagram, 0
        delivery.timeout = ACK_TIMEOUT_SECONDS * random.uniform(1, ACK_RANDOM_FACTOR)  # noqa: S311 - spreads load, no secret
        self._transmit(remote, delivery)

    def _transmit(self, remote: Remote, delivery: Delivery) -> None:
        remote.send(delivery.datagram)
        delivery.timer = asyncio.get_running_loop().call_later(delivery.timeout, self._expired, remote, delivery)

    def _expired(self, remote: Remote, delivery: Delivery) -> None:
        if delivery.retransmissions == MAX_RETRANSMIT:
            # Nobody is there; what waits for the same remote would be sent in vain as well.
            self._meter.bound("coap.retransmissions")
            self._end(remote)
            self._lost(remote)
            return
        delivery.retransmissions += 1
        delivery.timeout *= 2
        self._transmit(remote, delivery)
