"""An exchange over a stand-in dialect, and use cases that do what a test says."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from adapters.answering import Answering, AnsweringConfig, Identities
from adapters.exchange import Carrier, Guest, Inbound, Outbound, Peer
from adapters.watching import Watches
from core.messages import Context, Identity, Login, Standing, TokenLogin
from core.model import CredentialId, DeviceId, Secret, TenantId
from core.topic_spaces import NOTHING, Grants, TopicSpace
from tests.core.registry import Registry
from tests.exchange.stand_in import SOURCE, Ask, RememberingMeter, StandIn, inbound, route

DEADLINE = 20.0  # seconds; only there so that a failure is no hang
PEER = Peer(SOURCE, 4711)
IDENTITY = Identity(TenantId("default"), DeviceId("d"), "m1", CredentialId("c"))
VISITOR = Guest(name="plain", login="visit", subscriptions=("/answers",))
LOGIN = TokenLogin(Secret("hidden token"))
Logs = list[MutableMapping[str, Any]]


class Bench:
    """An exchange over a stand-in dialect whose use case does what a test says."""

    def __init__(
        self, config: AnsweringConfig | None = None, *, registry: Registry | None = None, dialect: StandIn | None = None
    ) -> None:
        self.registry = registry or Registry()
        self.dialect = dialect or StandIn(
            route("/ask"),
            route("/ask/{what}", "ask_what", method="POST"),
            route("/ask", "ask", carrier=Carrier.COAP),
            route("ask", "ask", method="PUBLISH", carrier=Carrier.MQTT),
            guests=(VISITOR,),
            subscriptions=("answers/+", "news/#"),
        )
        self.meter = RememberingMeter()
        self.watches = Watches()
        self.contexts: list[Context] = []
        self.use_case: Callable[[Ask], Awaitable[Any]] = self.echo
        self.holds: bool | Exception = True
        self.until: int | None = None
        self.grants = NOTHING
        self.check: Callable[[Login], Awaitable[Identity]] = self.welcome
        self.answering = Answering(
            [self.dialect, StandIn(name="beside it")],
            {Ask: self._ask},
            Identities(self._authenticate, self._still, self._permit, self.registry.handshakes),
            self.registry.audit,
            self.registry.clock,
            self.registry.entropy,
            self.meter,
            self.watches,
            config or AnsweringConfig(),
        )

    async def handle(self, request: Inbound) -> Outbound:
        """Answer within a deadline that only a hang meets."""
        async with asyncio.timeout(DEADLINE):
            return await self.answering.handle(request)

    async def ask(self, text: str = "", path: str = "/ask") -> Outbound:
        """Ask over HTTP."""
        return await self.handle(inbound(path, text.encode()))

    async def login(self) -> Identity:
        """Log in over MQTT."""
        async with asyncio.timeout(DEADLINE):
            return await self.answering.login(LOGIN, Carrier.MQTT, PEER)

    async def echo(self, ask: Ask) -> Any:
        return ask.text

    async def welcome(self, _login: Login) -> Identity:
        return IDENTITY

    async def _still(self, _identity: Identity) -> Standing:
        if isinstance(self.holds, Exception):
            raise self.holds
        return Standing(self.holds, self.until)

    async def _permit(self, identity: Identity, spaces: Iterable[TopicSpace]) -> Grants:
        return self.grants

    async def _ask(self, ask: Ask, context: Context) -> Any:
        self.contexts.append(context)
        return await self.use_case(ask)

    async def _authenticate(self, login: Login, context: Context) -> Identity:
        self.contexts.append(context)
        return await self.check(login)


class Gate:
    """A use case that waits to be let through, and tells what became of it."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.finished = asyncio.Event()

    async def __call__(self, *_: Any) -> Any:
        self.entered.set()
        await self.open.wait()
        self.finished.set()
        return IDENTITY

    async def is_entered(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.entered.wait()

    async def lets_through(self) -> None:
        """Open the gate and wait until the work is done, whoever may have gone away meanwhile."""
        self.open.set()
        async with asyncio.timeout(DEADLINE):
            await self.finished.wait()


def raising(error: Exception) -> Callable[[Any], Awaitable[Any]]:
    async def use_case(_: Any) -> Any:
        raise error

    return use_case
