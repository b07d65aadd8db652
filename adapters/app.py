"""The composition root: binds dialects, use cases, registry and protocols, and runs them in one loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from adapters import demo, keys, spoken
from adapters.answering import Answering, Identities
from adapters.authority_work import authority_of
from adapters.broker_work import BrokerWork, rabbitmq_of
from adapters.config import Config, SettingError
from adapters.hooks import WebHooks
from adapters.listeners import Listeners, Listening
from adapters.metered import MeteredRepository, Readiness
from adapters.metrics import PrometheusMeter
from adapters.opening import known_schema, open_vault, set_device_limit
from adapters.own_addresses import OwnAddresses
from adapters.pages import VERSION, OwnPages
from adapters.replicas.company import Company
from adapters.replicas.presence import OwnPresence
from adapters.single_use import MemorySingleUse
from adapters.system import ScryptKeys, SystemClock, SystemEntropy
from adapters.upkeep import Upkeep
from adapters.use_cases import Bound, Ports, bind
from adapters.watching import WatchedRepository, Watches
from core.audit import Audit
from core.crypto.vault import Vault
from core.issuer import Issuer
from core.model import Lookup
from core.operate import bearer_lookup
from core.oscore_states import OscoreStates
from core.ports import Repository
from core.replicas import Replicas
from storage import open_repository

PRUNE_SECONDS = 60.0


class Gateway:
    """A gateway ready to run: `build` makes it, `running` opens it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = SystemClock()
        self.entropy = SystemEntropy()
        self.meter = PrometheusMeter()
        self.log = structlog.get_logger("firstlight")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Running"]:
        """Open the registry, start every protocol that is switched on, and on the way out stop all of it in order.

        Raises `SettingError` where an address is taken or a key does not fit the registry.
        """
        secrets = keys.load(self.config, self.entropy)
        async with open_repository(self.config.database_url, queue=self.config.database_queue) as repository:
            vault = await open_vault(self.config, repository, secrets, self.clock, self.entropy)
            await set_device_limit(repository, self.config.device_limit)
            running = Running(self, repository, vault, secrets)
            try:
                await running.start()
                yield running
            finally:
                await running.stop()


class Running:
    """A gateway at work: its use cases, its servers and their addresses."""

    def __init__(self, gateway: Gateway, repository: Repository, vault: Vault, secrets: keys.Keys) -> None:
        config = gateway.config
        self.config = config
        self.watches = Watches()
        replicas: Replicas | None = getattr(repository, "replicas", None)  # of a store that several gateways can share
        notifier = None if replicas is None else replicas.notifier
        self.company = None if replicas is None else Company(replicas, vault, gateway.clock, self.watches, gateway.meter)
        metered = MeteredRepository(repository, gateway.meter, gateway.clock)
        self.repository: Repository = WatchedRepository(metered, self.watches, notifier)
        self._readiness = Readiness(self.repository, gateway.meter)
        self._pages = OwnPages(config, self._readiness, gateway.meter).by_path
        self.secrets = secrets
        self.issuer = Issuer(vault, gateway.clock, gateway.entropy, ScryptKeys())
        self.audit = Audit(self.repository, gateway.clock, gateway.entropy, config.limit_events, gateway.meter.bound)
        self.own = OwnAddresses()
        self._log = gateway.log
        self._meter = gateway.meter
        elsewhere = None if self.company is None else self.company.admitted
        rabbitmq = rabbitmq_of(config, gateway.meter, lambda: self._broker_work, elsewhere)
        authority = authority_of(config, self.issuer, gateway.meter)
        own_challenges = MemorySingleUse(gateway.clock, gateway.entropy, gateway.meter.bound, config.challenges)
        challenges = own_challenges if replicas is None else replicas.single_use
        self._hooks = _hooks(config, gateway.meter)
        ports = Ports(
            self.repository,
            self.issuer,
            self.audit,
            self.watches,
            authority,
            challenges,
            self._hooks,
            OwnPresence(self.watches) if self.company is None else self.company.presence,
            None if self.company is None else self.company.tallies,
            rabbitmq,
        )
        bound = bind(ports, config, self._admin(), self._reserved())
        self.answering = self._answering(gateway, bound)
        leadership = None if replicas is None else replicas.leadership
        self._broker_work = BrokerWork(config, ports, bound, self.answering, self.own, gateway.meter, rabbitmq, leadership)
        states = OscoreStates(self.repository, shared=replicas is not None)
        self._listeners = Listeners(config, self.answering, gateway.meter, self._pages, states, self.own)
        self.listening = Listening()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        gateway.meter.build(VERSION, known_schema(config.database))
        gateway.meter.asked("requests.pending", lambda: self.answering.pending)
        gateway.meter.asked("registry.queue", lambda: metered.waiting)

    async def start(self) -> None:
        """Listen on every address of the settings. Raises `SettingError`."""
        self.listening = await self._listeners.start()
        self.own.are(self.listening.http, self.listening.mqtt, self.listening.https, self.listening.mqtts)
        if self.config.tls_cert is not None:
            self._meter.asked("tls.certificate_expires", self._listeners.certificate_ends)
        upkeep = Upkeep(self.config, self.repository, self.secrets, self.issuer)
        self._tasks = (asyncio.create_task(upkeep.run()), asyncio.create_task(self._readiness.run()))
        if self.company is not None:
            self.company.start()
        self._broker_work.start()

    async def stop(self) -> None:
        """Take no new requests, let the running ones finish within the deadline, close every connection."""
        self._readiness.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # they may have a connection to give back
        self._listeners.stop_accepting()
        seconds = self.config.drain_seconds
        left, _ = await asyncio.gather(self.answering.drain(seconds), self._listeners.drain(seconds))
        await self._broker_work.stop()
        if self.company is not None:
            await self.company.stop()
        await self._hooks.close()
        if left:
            self._log.warning("stopped before every request was answered", requests=left)
        await self._listeners.close()

    def reload(self) -> None:
        """Look at the files that may be replaced while the gateway runs."""
        self._log.info("looking at the certificate's files")
        self._listeners.reload()

    def reach(self) -> demo.Reach:
        """Return the first address of each protocol."""
        first = [next(iter(addresses), None) for addresses in (self.listening.http, self.listening.coap, self.listening.mqtt)]
        return demo.Reach(*first)

    def _reserved(self) -> frozenset[str]:
        """Return the words that no tenant may be called."""
        return spoken.first_segments(self.config) | {path.removeprefix("/") for path in self._pages}

    def _answering(self, gateway: Gateway, bound: Bound) -> Answering:
        terms = self.config.requests
        return Answering(
            (),
            bound.use_cases,
            Identities(bound.authenticate, bound.authenticate.holds, bound.permit, bound.handshakes),
            self.audit,
            gateway.clock,
            gateway.entropy,
            gateway.meter,
            self.watches,
            terms,
            None if self.company is None else self.company.repeats(terms.repeat_seconds, terms.seconds),
        )

    def _admin(self) -> Lookup:
        return bearer_lookup(self.issuer.vault, self.secrets.admin_token)


def _hooks(config: Config, meter: PrometheusMeter) -> WebHooks:
    try:
        return WebHooks(meter, config.hook_trust, config.hook_bounds)
    except OSError as error:  # ssl.SSLError is one
        raise SettingError(
            f"FIRSTLIGHT_HOOK_TRUST: {config.hook_trust}: no certificates to read there; name a file of them in PEM"
        ) from error


def build(config: Config) -> Gateway:
    """Return a gateway; nothing is opened yet."""
    return Gateway(config)
