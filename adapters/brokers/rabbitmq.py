"""Has RabbitMQ close the connections of whoever it let in on this gateway's word, and who is welcome no longer.

RabbitMQ asks about a login once, about a subscription once, and about a topic that is published to once for as long as the
connection is busy: a channel forgets its answers when it has been idle for a second (seen with 3.10;
https://www.rabbitmq.com/docs/access-control). So revoking a credential, or a topic, means closing the connection.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from adapters.brokers.admissions import Admissions, Attention, Elsewhere, Key
from adapters.brokers.link import Patience
from adapters.brokers.rabbitmq_api import (
    CONNECTIONS_AT_ONCE,
    BrokerAway,
    BrokerConnection,
    BrokerRefuses,
    ManagementApi,
    is_addressable,
)
from adapters.exchange import Meter
from core.errors import Reason, Refusal
from core.messages import Identity

NAME: Final = "rabbitmq"
MOST_PENDING: Final = 100_000
SWEEP_SECONDS: Final = 60.0
# The broker may be about to let somebody in whose login is refused by now: what is so new is closed a second time.
FRESH_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 2.0
# A connection is on the broker's list once it has reported its figures.
LISTED_WITHIN_SECONDS: Final = 15.0
HURRIED_SECONDS: Final = 2.0

log = structlog.get_logger("firstlight")

Whose = Callable[[str, str], Awaitable[Identity]]
"""Who logs in with a user name and a client id, whatever the secret. Raises `Refusal` FORBIDDEN (nobody), UNAVAILABLE."""


class RabbitMq:
    """Satisfies `core.ports.BrokerAccess`. `admitted` are those who are attended to, by user name and client id.

    What the gateway answers with stands on this, and this on what it answers with: so `attention` is called for that, and not
    before somebody is let in.

    Every `sweep_seconds` the broker's list of MQTT connections is gone through as well: those whose user name nobody has any
    more are closed, except those of users that the broker keeps itself; those that no gateway attends to, because it was
    started after them or the one that let them in is no more, are attended to from then on. Whom other gateways let in, and
    attend to as long as they run, `elsewhere` knows.
    """

    def __init__(
        self,
        api: ManagementApi,
        attention: Callable[[], Attention],
        whose: Whose,
        meter: Meter,
        *,
        patience: Patience | None = None,
        sweep_seconds: float = SWEEP_SECONDS,
        most_pending: int = MOST_PENDING,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._api = api
        self._whose = whose
        self._meter = meter
        self._patience = patience or Patience()
        self._sweep_seconds = sweep_seconds
        self._most_pending = most_pending
        self.admitted = Admissions(attention, meter, NAME, self._over)
        self._pending: dict[str, None] = {}
        self._unnamed: dict[Key, float] = {}
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failing: set[str] = set()
        self._has_swept = False

    def let_in(self, identity: Identity, username: str, client_id: str) -> None:
        """Note that the broker is told to let somebody in: it is let go when its login or a topic of it is worth no more."""
        self._unnamed.pop((username, client_id), None)
        if self._elsewhere is not None:
            self._elsewhere.note(username, client_id)
        self.admitted.add(identity, (username, client_id))

    def let_go(self, username: str, client_id: str) -> None:
        """Have all connections of a user name closed: those who are welcome still come back at once.

        A connection without a user name is closed when it is found on the broker's list, some seconds later.
        """
        if len(self._pending) + len(self._unnamed) >= self._most_pending and username not in self._pending:
            self._meter.bound(f"{NAME}.pending_closes")
            return
        if is_addressable(username):
            self._pending[username] = None
            self._asked.set()
        else:
            self._unnamed[username, client_id] = asyncio.get_running_loop().time() + LISTED_WITHIN_SECONDS
            self._hurry.set()
        self._count()

    async def run(self) -> None:
        """Close and sweep until cancelled. While the interface is away nothing is forgotten."""
        try:
            async with self._api, asyncio.TaskGroup() as group:
                group.create_task(self._persist("close", self._close_some))
                group.create_task(self._persist("sweep", self._sweep_and_rest))
        finally:
            self.admitted.leave()

    def _over(self, key: Key, age: float) -> None:
        self.let_go(*key)
        if age < FRESH_SECONDS:
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._once_more, key)

    def _once_more(self, key: Key) -> None:
        if key not in self.admitted:
            self.let_go(*key)

    async def _persist(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await step()
                failures = 0
            except BrokerAway as away:
                self._failed(name, away)
                pause = self._patience.refused if isinstance(away, BrokerRefuses) else self._pause(failures)
                failures += 1
            except Exception:
                # What fails for one reason today must not end it for ever.
                log.exception("work at RabbitMQ failed, it begins again")
                pause = self._patience.most
            else:
                continue
            await asyncio.sleep(random.uniform(0.8, 1.2) * pause)  # noqa: S311 - spreads attempts, keeps no secret

    def _pause(self, failures: int) -> float:
        return min(self._patience.least * 2.0 ** min(failures, 16), self._patience.most)

    async def _close_some(self) -> None:
        """Wait until there is something to close, and close some of it; what fails is asked for again."""
        await self._asked.wait()
        names = tuple(itertools.islice(self._pending, CONNECTIONS_AT_ONCE))
        for name in names:
            del self._pending[name]  # before it is closed: what is asked for meanwhile is another time
        if not self._pending:
            self._asked.clear()
        results = await asyncio.gather(*map(self._api.close_user, names), return_exceptions=True)
        faults = [(name, result) for name, result in zip(names, results, strict=True) if result is not None]
        for name, _ in faults:
            self._pending[name] = None
            self._asked.set()
        self._count()
        if faults:
            raise faults[0][1]
        self._succeeded("close")

    async def _sweep_and_rest(self) -> None:
        self._hurry.clear()
        await self._sweep()
        self._succeeded("sweep")
        # Who came in shortly before the first sweep was not on its list.
        rest = self._sweep_seconds if self._has_swept else min(LISTED_WITHIN_SECONDS, self._sweep_seconds)
        self._has_swept = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), HURRIED_SECONDS if self._unnamed else rest)

    async def _sweep(self) -> None:
        kept = await self._api.users()
        # All of them before the first is closed: closing moves those on later pages.
        found = [each async for each in self._api.connections() if each.username not in kept]
        self.admitted.keep({(each.username, each.client_id) for each in found})
        for connection in found:
            key = (connection.username, connection.client_id)
            if key in self._unnamed:
                await self._api.close(connection.name)
            elif self._elsewhere is not None and self._elsewhere.knows(*key):
                self.admitted.release(key)
            elif key not in self.admitted:
                await self._judge(connection, key)
        now = asyncio.get_running_loop().time()
        self._unnamed = {key: until for key, until in self._unnamed.items() if until > now}
        self._count()

    async def _judge(self, connection: BrokerConnection, key: Key) -> None:
        try:
            self.admitted.adopt(await self._whose(*key), key)
        except Refusal as refusal:
            if refusal.reason is Reason.FORBIDDEN:  # otherwise it is not known now: at the next sweep
                log.info("a connection at RabbitMQ is nobody's, it is closed", connection=connection.name)
                await self._api.close(connection.name)

    def _failed(self, name: str, away: BrokerAway) -> None:
        if not self._failing:
            log.warning("RabbitMQ's management interface does not serve; nobody is let go until it does", detail=str(away))
        self._failing.add(name)

    def _succeeded(self, name: str) -> None:
        if name in self._failing:
            self._failing.discard(name)
            if not self._failing:
                log.info("RabbitMQ's management interface serves again", pending=len(self._pending))

    def _count(self) -> None:
        self._meter.level(f"{NAME}.pending_closes", len(self._pending) + len(self._unnamed))
