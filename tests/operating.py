"""The operators' use case over a registry in memory, with a frozen clock and seeded entropy."""

from typing import Any

import msgspec

from core.audit import Audit
from core.authenticate import Authenticate
from core.bootstrap import Bootstrap
from core.crypto.vault import Vault
from core.errors import Refusal
from core.handshakes import Handshakes
from core.issuer import Issuer
from core.limits import Rate
from core.lockout import Lockout
from core.messages import Bootstrapped, BootstrapRequest, Context, Identity, MqttLogin
from core.model import DEFAULT_TENANT, Device, Event, EventKind, Profile, Role, Secret, TenantId
from core.operate import Operate, Operation, bearer_lookup
from core.operate.configuring import CreateChannels, CreateConfig, NewChannel, ShownConfig
from core.operate.messages import Command, CreateProfile, CreateToken, DefineDevice, Unreadable
from core.operate.results import DefinedDevice, SecretProfile
from core.permit import Permit
from core.ports import Changes
from core.queries import EventPage, TenantQuery
from storage.memory import MemoryRepository
from tests.fakes import FrozenClock, PlainKeys, SeededEntropy

ADMIN = Secret("the admin token of these tests")
OPTION = "thingsboard-guide-reply"
DEVICE_CONTEXT = Context("correlation-2", "http", "mainflux", "192.0.2.7")


class ContendedRepository(MemoryRepository):
    """A registry that counts commits.

    It raises what `failures` holds instead of making the next ones, and makes what `overtaking` holds before them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.overtaking: list[Changes] = []
        self.commits: list[Changes] = []

    async def commit(self, changes: Changes) -> None:
        """Fail or be overtaken as told, otherwise write."""
        self.commits.append(changes)
        if self.failures:
            raise self.failures.pop(0)
        if self.overtaking:
            await super().commit(self.overtaking.pop(0))
        await super().commit(changes)


class Desk:
    """Where operators give their commands."""

    def __init__(
        self,
        failures: Rate | None = None,
        clock: FrozenClock | None = None,
        keys: PlainKeys | None = None,
        repository: ContendedRepository | None = None,
    ) -> None:
        self.repository = repository or ContendedRepository()
        self.clock = clock or FrozenClock()
        self.keys = keys or PlainKeys()
        entropy = SeededEntropy()
        self.vault = Vault(bytes(32), entropy)
        self.issuer = Issuer(self.vault, self.clock, entropy, self.keys)
        self.audit = Audit(self.repository, self.clock, entropy, Rate(0, 0))
        self.operate = Operate(
            self.repository,
            self.issuer,
            self.audit,
            bearer_lookup(self.vault, ADMIN),
            Lockout(failures or Rate(0, 0)),
            frozenset({OPTION}),
            frozenset({"things"}),
        )
        self.failures = Lockout(Rate(0, 0))
        self.shared_key: bytes | None = bytes(range(16))
        self.authenticate = Authenticate(self.repository, self.issuer, self.audit, self.failures)
        self.handshakes = Handshakes(self.repository, self.issuer, self.audit, self.failures)
        self.permit = Permit(self.repository, self.issuer)

    async def bootstrap(self, request: BootstrapRequest) -> Bootstrapped:
        """Fetch a configuration as a device."""
        use_case = Bootstrap(self.repository, self.issuer, self.audit, self.failures, self.shared_key)
        return await use_case(request, DEVICE_CONTEXT)

    async def bootstrap_refused(self, request: BootstrapRequest) -> Refusal:
        """Fetch a configuration in vain."""
        try:
            answer = await self.bootstrap(request)
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"not refused: {answer!r}")

    async def login(self, username: str, password: str, client_id: str = "") -> Identity:
        """Log in over MQTT."""
        return await self.authenticate(MqttLogin(client_id, username, Secret(password)), DEVICE_CONTEXT)

    async def config(self, external_id: str = "aa:bb", key: str = "external key", **fields: Any) -> ShownConfig:
        """Make a configuration, and its client where none is named."""
        made: ShownConfig = await self(CreateConfig(external_id=external_id, external_key=Secret(key), **fields))
        return made

    async def channels(self, *names: str) -> tuple[str, ...]:
        """Make channels and return their ids."""
        made = await self(CreateChannels(tuple(NewChannel(name=name, metadata={"type": name}) for name in names)))
        return tuple(channel.id for channel in made)

    async def __call__(self, command: Command | Unreadable, bearer: Secret = ADMIN, tenant: str | None = None) -> Any:
        """Give a command, a millisecond after the last one, so that events sort by what they tell of."""
        self.clock.advance(0.001)
        context = Context("correlation-1", "http", "operator", "192.0.2.1")
        return await self.operate(Operation(bearer, TenantId(tenant) if tenant else None, command), context)

    async def refused(self, command: Command | Unreadable, bearer: Secret = ADMIN, tenant: str | None = None) -> Refusal:
        """Give a command that is refused."""
        try:
            answer = await self(command, bearer, tenant)
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"not refused: {answer!r}")

    async def token(self, role: Role, name: str = "") -> Secret:
        """Make a bearer token."""
        made = await self(CreateToken(name or role.value, role))
        text: Secret = made.text
        return text

    async def profile(self, name: str = "meters", **fields: Any) -> Profile:
        """Make a profile."""
        made: SecretProfile = await self(CreateProfile(name=name, **fields))
        return made.profile

    async def device(self, name: str = "meter-1", profile: str = "meters", **fields: Any) -> Device:
        """Define a device."""
        made: DefinedDevice = await self(DefineDevice(name=name, profile=profile, **fields))
        return made.device

    async def limit_devices(self, limit: int) -> None:
        """Let the default tenant have so many devices."""
        tenant = await self.repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        limited = msgspec.structs.replace(tenant, device_limit=limit, version=tenant.version + 1)
        await self.repository.commit(Changes(replace=(limited,)))

    async def events(self, kind: EventKind | None = None) -> tuple[Event, ...]:
        """Return what was recorded, oldest first."""
        found = await self.repository.read(EventPage(tenant=DEFAULT_TENANT, kind=kind, limit=10_000))
        return tuple(found)

    async def last_event(self, kind: EventKind) -> Event:
        """Return the newest event of a kind."""
        return (await self.events(kind))[-1]
