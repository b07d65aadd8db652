"""The questions of brokers over a real HTTP socket, the real core and a registry in memory, and the brokers that ask."""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import msgspec

from adapters import spoken
from adapters.answering import Answering, AnsweringConfig, Identities
from adapters.config import Config
from adapters.dialects import brokers
from adapters.http.config import HttpConfig
from adapters.http.server import HttpServer
from adapters.watching import Watches
from core.acquaintance import Acquaintances
from core.broker_questions import AskDelivery, AskLogin, AskTopics, BrokerQuestions
from core.logins import Logins
from core.messages import AccessToken, CredentialValue, Identity
from core.model import (
    DEFAULT_TENANT,
    Device,
    DirectoryEntry,
    EntryId,
    EntryKind,
    Profile,
    Role,
    Secret,
    TenantId,
)
from core.permit import Permit
from core.ports import Changes, Delete, Repository
from core.topic_spaces import TopicSpace
from tests.core.registry import Registry
from tests.exchange.stand_in import RememberingMeter
from tests.fakes import SeededEntropy

SECRET = "the-secret-of-the-broker-of-these-tests"
TOKEN = "Zk3vQ0pR7uWnT1xYb2Lc"
USER_ID = EntryId("01938a4e-0000-7000-8000-00000000beef")
USER_SECRET = "q0V3l2mJc1s9yYb0m1Jx7c5mPq2Zr8f0K3nTt6u1h4E="
SPACES = spoken.topic_spaces(Config())


class RememberingAccess:
    """A broker's access that remembers whom it was told of."""

    def __init__(self) -> None:
        self.admitted: list[tuple[str, str, str]] = []

    def let_in(self, identity: Identity, username: str, client_id: str) -> None:
        """Remember."""
        self.admitted.append((identity.device, username, client_id))

    def let_go(self, username: str, client_id: str) -> None:
        """Do nothing."""


class Fleet:
    """A registry with devices, and the questions about them."""

    def __init__(self, repository: Repository | None = None, spaces: Iterable[TopicSpace] = SPACES) -> None:
        self.registry = Registry(repository)
        self.access = RememberingAccess()
        permit = Permit(self.registry.repository, self.registry.issuer)
        authenticate = self.registry.authenticate
        logins = Logins(self.registry.repository, self.registry.issuer)
        self.acquaintances = Acquaintances(logins, authenticate.holds)
        self.questions = BrokerQuestions(authenticate, self.acquaintances, permit, tuple(spaces), self.access)
        self._profiles: dict[TenantId, Profile] = {}

    async def device(
        self, name: str = "meter-1", value: CredentialValue | None = None, tenant: TenantId = DEFAULT_TENANT, **fields: Any
    ) -> Device:
        """Add a device that logs in with a value, an access token unless told otherwise."""
        if tenant not in self._profiles:
            if tenant != DEFAULT_TENANT:
                await self.registry.tenant(tenant)
            self._profiles[tenant] = await self.registry.profile(tenant=tenant, key=f"key of {tenant}")
        made = await self.registry.device(self._profiles[tenant], name, value or AccessToken(Secret(TOKEN)))
        return await self.registry.alter(made, **fields) if fields else made

    async def revoke(self, name: str = "meter-1") -> None:
        """Take a device's credentials away."""
        found = await self.registry.known(name)
        await self.registry.repository.commit(Changes(delete=tuple(map(Delete, found.credentials))))

    async def expire(self, until: int, name: str = "meter-1") -> None:
        """Set when a device's credentials are over."""
        found = await self.registry.known(name)
        changed = tuple(msgspec.structs.replace(each, expires_at=until, version=each.version + 1) for each in found.credentials)
        await self.registry.repository.commit(Changes(replace=changed))

    async def user(self, **fields: Any) -> DirectoryEntry:
        """Add a user of the account."""
        entry = DirectoryEntry(
            id=USER_ID,
            tenant=DEFAULT_TENANT,
            kind=EntryKind.ACCOUNT_USER,
            login="joe@example.com",
            role=Role.OPERATOR,
            verifier=b"salted",
            lookup=self.registry.issuer.lookup_id(f"client secret\0{USER_SECRET}"),
            created_at=1,
            updated_at=1,
        )
        entry = msgspec.structs.replace(entry, **fields)
        await self.registry.repository.commit(Changes(insert=(entry,)))
        return entry


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def document(self) -> Any:
        """Return what the body says as JSON."""
        return json.loads(self.body)


class Broker:
    """A broker that asks over HTTP."""

    def __init__(self, url: str, session: aiohttp.ClientSession, fleet: Fleet, meter: RememberingMeter) -> None:
        self.url = f"{url}/v1/broker/"
        self.session = session
        self.fleet = fleet
        self.meter = meter
        self.headers = {"Authorization": f"Bearer {SECRET}"}

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a body as it is."""
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url + path, data=io.BytesIO(body) if body else None, headers=given
        ) as response:
            received = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, received, await response.text())

    async def json(self, path: str, document: Any, **headers: str) -> Answer:
        """Ask with a document in JSON."""
        return await self.send("POST", path, json.dumps(document).encode(), Content_Type="application/json", **headers)

    async def form(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Ask with a form."""
        form = "application/x-www-form-urlencoded"
        return await self.send("POST", path, urlencode(fields).encode(), Content_Type=form, **headers)


@contextlib.asynccontextmanager
async def serving(fleet: Fleet | None = None) -> AsyncIterator[Broker]:
    """Serve the questions on a free port."""
    fleet = fleet or Fleet()
    meter = RememberingMeter()
    registry = fleet.registry
    answering = Answering(
        (brokers.open_dialect(brokers.DialectOptions(Secret(SECRET))),),
        {
            AskLogin: fleet.questions.login,
            AskTopics: fleet.questions.topics,
            AskDelivery: fleet.questions.delivery,
            brokers.Declined: brokers.decline,
        },
        Identities(registry.authenticate, registry.authenticate.holds, fleet.questions.permit, registry.handshakes),
        registry.audit,
        registry.clock,
        SeededEntropy(7),
        meter,
        Watches(),
        AnsweringConfig(),
    )
    server = HttpServer(answering, meter, HttpConfig(), {})
    host, port = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
            yield Broker(f"http://{host}:{port}", session, fleet, meter)
    finally:
        await server.close(1.0)
