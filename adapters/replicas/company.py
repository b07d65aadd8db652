"""A gateway among others over one registry: what it shares with them, made of the ports that the store offers."""

import asyncio

import structlog

from adapters.exchange import Meter
from adapters.repeating import Repeats
from adapters.replicas.admitted import AdmittedElsewhere
from adapters.replicas.peers import Peers
from adapters.replicas.presence import OwnPresence, SharedPresence
from adapters.replicas.sealed_answers import SealedAnswers
from adapters.replicas.tallies import Tallies
from adapters.watching import Watches
from core.crypto.vault import Vault
from core.ports import Clock
from core.replicas import Replicas

FIGURES_SECONDS = 2.0
CLOCK_SECONDS = 5.0
"""By how much this machine's clock may differ from the database's before operators are told."""

_LEASE_SECONDS = 20.0  # beyond what a request may take until it is told so: it goes on nevertheless
_WAITING = 0.8  # of what a request may take: the rest is for telling it to come again

log = structlog.get_logger("firstlight")


class Company:
    """The other gateways, as far as this one has to do with them."""

    def __init__(self, replicas: Replicas, vault: Vault, clock: Clock, watches: Watches, meter: Meter) -> None:
        self.replicas = replicas
        self.tallies = Tallies(replicas.gossip, vault.digest("tallies of replicas", b""), clock, meter)
        self.peers = Peers(replicas.gossip, replicas.id)
        self.presence = SharedPresence(OwnPresence(watches), replicas.gossip, self.peers, replicas.id)
        self.admitted = AdmittedElsewhere(replicas.gossip, self.peers, replicas.id, vault.digest("admitted by replicas", b""))
        self._vault = vault
        self._clock = clock
        self._meter = meter
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._is_early_or_late = False

    def repeats(self, seconds: float, longest: float) -> Repeats:
        """Return what gives first answers again for so many seconds, to requests that take so many seconds at the longest."""
        answers = SealedAnswers(self.replicas.answers, self._vault, seconds, longest + _LEASE_SECONDS)
        return Repeats(answers, answers.secret, self._clock, self._meter, patience=_WAITING * longest)

    def start(self) -> None:
        """Make itself known to the others, and the others to operators."""
        self._tasks = (asyncio.create_task(self.peers.run()), asyncio.create_task(self._tell_figures()))

    async def stop(self) -> None:
        """Be gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell_figures(self) -> None:
        while True:
            figures = self.replicas.figures()
            for name, value in figures.items():
                self._meter.level(name, value)
            self._meter.level("replicas.seen", 1.0 + len(self.peers))
            self._mind_the_clock(figures.get("replicas.clock_ahead_seconds", 0.0))
            await asyncio.sleep(FIGURES_SECONDS)

    def _mind_the_clock(self, ahead: float) -> None:
        is_off = abs(ahead) > CLOCK_SECONDS
        if is_off and not self._is_early_or_late:
            detail = "ids and times of events are made with it: those of replicas get out of order"
            log.warning("this machine's clock differs from the database's", seconds=round(ahead, 1), detail=detail)
        self._is_early_or_late = is_off
