"""The composition root: binds dialects, use cases, registry and protocols, and runs them in one loop."""

import asyncio
import contextlib
import gc
import importlib.metadata
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
import structlog

from adapters import demo, keys, logs, spoken
from adapters.answering import Answering, Identities
from adapters.authority_work import authority_of
from adapters.broker_work import BrokerWork, rabbitmq_of
from adapters.config import Config, SettingError
from adapters.hooks import WebHooks
from adapters.http.server import Page
from adapters.listeners import Listeners, Listening
from adapters.metrics import CONTENT_TYPE, PrometheusMeter
from adapters.own_addresses import OwnAddresses
from adapters.replicas.company import Company
from adapters.replicas.presence import OwnPresence
from adapters.settings import Address, without_password
from adapters.single_use import MemorySingleUse
from adapters.system import ScryptKeys, SystemClock, SystemEntropy
from adapters.use_cases import Bound, Ports, bind
from adapters.watching import WatchedRepository, Watches
from core.attestation import secret_row
from core.audit import Audit
from core.crypto.vault import SealBroken, Vault
from core.errors import Conflict, Refusal
from core.issuer import Issuer
from core.model import DEFAULT_TENANT, Lookup
from core.operate import bearer_lookup
from core.oscore_states import OscoreStates
from core.ports import Changes, Repository
from core.queries import ProfilePage, TenantQuery
from core.replicas import Replicas
from storage import open_repository
from storage.key_rings import open_key_ring

PRUNE_SECONDS = 60.0
VERSION = importlib.metadata.version("firstlight")


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
            vault = await self._open_vault(repository, secrets)
            await _set_device_limit(repository, self.config.device_limit)
            running = Running(self, repository, vault, secrets)
            try:
                await running.start()
                yield running
            finally:
                await running.stop()

    async def _open_vault(self, repository: Repository, secrets: keys.Keys) -> Vault:
        """Open what the registry is sealed under. Raises `SettingError` where a key does not fit it."""
        async with open_key_ring(self.config.database_url) as ring:
            masters = secrets.masters()
            if masters.previous is None and not await ring.keys():  # one that was made before there were rings
                await _require_key(repository, Vault(masters.sealing, self.entropy))
            return await keys.open_vault(ring, masters, self.clock, self.entropy)


class Running:
    """A gateway at work: its use cases, its servers and their addresses."""

    def __init__(self, gateway: Gateway, repository: Repository, vault: Vault, secrets: keys.Keys) -> None:
        config = gateway.config
        self.config = config
        self.watches = Watches()
        replicas: Replicas | None = getattr(repository, "replicas", None)  # of a store that several gateways can share
        notifier = None if replicas is None else replicas.notifier
        self.company = None if replicas is None else Company(replicas, vault, gateway.clock, self.watches, gateway.meter)
        self.repository: Repository = WatchedRepository(repository, self.watches, notifier)
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
        self._listeners = Listeners(config, self.answering, gateway.meter, self._pages(), states, self.own)
        self.listening = Listening()
        self._stopping = False
        self._pruning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen on every address of the settings. Raises `SettingError`."""
        self.listening = await self._listeners.start()
        self.own.are(self.listening.http, self.listening.mqtt, self.listening.https, self.listening.mqtts)
        self._pruning = asyncio.create_task(self._prune())
        if self.company is not None:
            self.company.start()
        self._broker_work.start()

    async def stop(self) -> None:
        """Take no new requests, let the running ones finish within the deadline, close every connection."""
        self._stopping = True
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.wait((self._pruning,))  # it may have a connection to give back
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
        return spoken.first_segments(self.config) | {path.removeprefix("/") for path in self._pages()}

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

    def _pages(self) -> dict[str, Callable[[], Coroutine[Any, Any, Page]]]:
        return {
            "/healthz": self._health,
            "/readyz": self._ready,
            "/metrics": self._figures,
            "/health": self._health_document,  # as Mainflux and Magistrala have it, before 0.13 under the second name
            "/version": self._health_document,
        }

    async def _health(self) -> Page:
        return Page(200, "text/plain; charset=utf-8", b"ok\n")

    async def _health_document(self) -> Page:
        """Answer in the form of https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check."""
        document = {"status": "pass", "version": VERSION, "description": "bootstrap service"}
        return Page(200, "application/health+json", msgspec.json.encode(document))

    async def _ready(self) -> Page:
        if self._stopping:
            return Page(503, "text/plain; charset=utf-8", b"stopping\n")
        try:
            await self.repository.check()
        except Refusal as refusal:
            return Page(503, "text/plain; charset=utf-8", f"{refusal.detail}\n".encode())
        return Page(200, "text/plain; charset=utf-8", b"ready\n")

    async def _figures(self) -> Page:
        return Page(200, CONTENT_TYPE, self._meter.exposition())

    async def _prune(self) -> None:
        """Forget the oldest events from time to time, and look whether the master key is the right one still."""
        while True:
            try:
                await self._forget_old_events()
            except Refusal as refusal:
                self._log.warning("events could not be pruned", detail=refusal.detail)
            await self._stay_on_ring()
            await asyncio.sleep(PRUNE_SECONDS)

    async def _stay_on_ring(self) -> None:
        try:
            async with open_key_ring(self.config.database_url) as ring:
                caution = await keys.stay(ring, self.secrets.masters(), self.issuer.clock, self.issuer.entropy)
        except Refusal as refusal:
            caution = f"the key ring could not be looked at: {refusal.detail}"
        if caution:
            self._log.warning(caution)

    async def _forget_old_events(self) -> None:
        while await self.repository.prune_events(self.config.events_keep):
            pass  # a few thousand went; others had their turn meanwhile


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


def run(config: Config, *, demo_profile: bool = False) -> int:
    """Run a gateway until SIGTERM or SIGINT; returns the exit status."""
    logs.configure(config.log_level, config.log_format, config.log_lines)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(build(config), demo_profile))
    except SettingError as error:
        print(f"firstlight: {error}", file=sys.stderr)  # noqa: T201 - the one line an operator is to read
        return 1
    except Refusal as refusal:
        # Nothing but the registry refuses a start.
        print(f"firstlight: FIRSTLIGHT_DATABASE: {refusal.detail}", file=sys.stderr)  # noqa: T201 - the same
        return 1
    return 0


async def _serve(gateway: Gateway, demo_profile: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for warning in gateway.config.warnings:
        gateway.log.warning(warning)
    async with gateway.running() as running:
        loop.add_signal_handler(signal.SIGHUP, running.reload)
        _announce(gateway, running)
        _spare_the_collector()
        if demo_profile:
            claim = await demo.ensure_profile(running.repository, running.issuer)
            print(demo.text(claim, running.reach(), gateway.config), flush=True)  # noqa: T201 - for the newcomer at the terminal
        await stop.wait()
        gateway.log.info("stopping")
    gateway.log.info("stopped")


def _spare_the_collector() -> None:
    """Keep what start-up made out of every later garbage collection, and collect less often.

    Requests make few reference cycles; with Python's own thresholds a tenth of a request's time went to looking for them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 50)


def _announce(gateway: Gateway, running: Running) -> None:
    for path in running.secrets.made:
        gateway.log.warning("a secret was made for the first start; keep a copy of it in a safe place", file=str(path))
    listening = {name: ",".join(map(str, addresses)) or "off" for name, addresses in _shown(running.listening).items()}
    gateway.log.info("listening", **listening, database=without_password(gateway.config.database))


def _shown(listening: Listening) -> dict[str, tuple[Address, ...]]:
    """Return the addresses by protocol: those of the three that are always spoken of, and those of others that are on."""
    found = {name: getattr(listening, name) for name in listening.__struct_fields__}
    return {name: addresses for name, addresses in found.items() if addresses or name in ("http", "coap", "mqtt")}


async def _require_key(repository: Repository, vault: Vault) -> None:
    """Refuse to start with a master key that cannot open what the registry holds."""
    for profile in await repository.read(ProfilePage(DEFAULT_TENANT, limit=1)):
        try:
            vault.open(profile.provision_secret, secret_row(profile.id))
        except SealBroken as error:
            raise SettingError(keys.WRONG_KEY) from error


async def _set_device_limit(repository: Repository, limit: int | None) -> None:
    while True:
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        if tenant is None or tenant.device_limit == limit:
            return
        changed = msgspec.structs.replace(tenant, device_limit=limit, version=tenant.version + 1)
        with contextlib.suppress(Conflict):  # another gateway changed it at this moment, perhaps to the same
            await repository.commit(Changes(replace=(changed,)))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform or interpreter: slower, otherwise the same
        return asyncio.new_event_loop
    return uvloop.new_event_loop
