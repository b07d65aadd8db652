"""The one place that answers: from a neutral request through dialect and core to a neutral answer."""

import contextlib
import copy
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

import msgspec
import structlog

from adapters.attending import Attendance, Holds
from adapters.exchange import Carrier, Closing, Dialect, Guest, Inbound, Meter, Outbound, Peer, Success
from adapters.facing import Face
from adapters.kept_answers import KeptAnswers, OwnAnswers
from adapters.owned import OwnedWork
from adapters.repeating import OtherRequest, Repeats
from adapters.router import Match, Miss
from adapters.watching import Watches
from core.approvals import FULL
from core.audit import Audit
from core.crypto.tokens import new_id
from core.errors import Reason, Refusal
from core.messages import Context, Identity, Login, OscoreKnown, OscoreQuestion, Preshared, PresharedQuestion
from core.model import EventKind
from core.ports import Clock, Entropy
from core.topic_spaces import Grants, TopicSpace

_DIGEST_KEY_BYTES = 32

UseCase = Callable[[Any, Context], Awaitable[Any]]
A = TypeVar("A")


class Handshakes(Protocol):
    """The use case that handshakes ask, before anything is proved, for the keys of whoever they are with."""

    async def preshared(self, question: PresharedQuestion, context: Context) -> Preshared:
        """Return the key of a PSK identity. Raises `Refusal`."""
        ...

    async def security_context(self, question: OscoreQuestion, context: Context) -> OscoreKnown | None:
        """Return an OSCORE context, if it is known. Raises `Refusal`."""
        ...

    def mistrust(self, context: Context, identity: Identity | None = None) -> None:
        """Count a key that was wrong against its source, and against the device that it should have been of."""
        ...


class Identities(msgspec.Struct, frozen=True):
    """The use cases that connections ask: who is this, is that true still, and what may it do at a broker."""

    authenticate: Callable[[Login, Context], Coroutine[Any, Any, Identity]]
    holds: Holds
    permit: Callable[[Identity, Iterable[TopicSpace]], Awaitable[Grants]]
    handshakes: Handshakes


class AnsweringConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests may be under way, how long one may take, and when a device that is turned away should come back.

    The answers to requests with a key are kept for `repeat_seconds`, those of `repeat_keys` and of `repeat_bytes` at most.
    """

    pending: int = 2_000
    seconds: float = 10.0
    retry_seconds: tuple[float, float] = (1.0, 5.0)
    repeat_seconds: float = 600.0
    repeat_keys: int = 10_000
    repeat_bytes: int = 33_554_432


class Answering:
    """The exchange that protocols talk to. It owns the task of every request, so that no sender can stop one half-way.

    Without `repeats` the answers to requests with a key are this process's own.
    """

    def __init__(
        self,
        dialects: Iterable[Dialect],
        use_cases: Mapping[type, UseCase],
        identities: Identities,
        audit: Audit,
        clock: Clock,
        entropy: Entropy,
        meter: Meter,
        watches: Watches,
        config: AnsweringConfig,
        repeats: Repeats | None = None,
    ) -> None:
        self._face = Face(dialects)
        self._use_cases = use_cases
        self._identities = identities
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._meter = meter
        self._watches = watches
        self._config = config
        self._log = structlog.get_logger("firstlight")
        self._work = OwnedWork(config.seconds)
        self._repeats = repeats if repeats is not None else _own_repeats(config, clock, entropy, meter)

    def facing(self, face: Face) -> "Answering":
        """Return an exchange with this face that shares everything else with this one."""
        other = copy.copy(self)
        other._face = face
        return other

    @property
    def pending(self) -> int:
        """Return how many requests are under way, those of every face."""
        return len(self._work)

    def speaks(self, dialect: str) -> bool:
        """Tell whether a dialect, by its name, is spoken here."""
        return dialect in self._face.dialects

    async def handle(self, inbound: Inbound) -> Outbound:
        """Answer a request within the time limit; whatever happens to the caller, the request itself runs to its end."""
        started = self._clock.monotonic()
        found, inbound, context = self._received(inbound)
        if self._is_busy():
            outbound = _refuse(found.dialect, self._busy(), "", inbound)
        else:
            outbound = await self._within_time(self._answer(found, inbound, context), found.dialect, inbound, context)
        self._meter.request(
            inbound.carrier, context.dialect, inbound.operation, outbound.outcome, self._clock.monotonic() - started
        )
        return msgspec.structs.replace(outbound, correlation=context.correlation)

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Outbound:
        """Answer a request that its protocol refused before it could be handled."""
        found, inbound, context = self._received(inbound)
        try:
            await self._record(refusal, inbound, context)
        except Exception:
            await self._failed(inbound, context)
        outbound = _refuse(found.dialect, refusal, "", inbound)
        self._meter.request(inbound.carrier, context.dialect, inbound.operation, outbound.outcome, 0.0)
        return msgspec.structs.replace(outbound, correlation=context.correlation)

    async def login(self, login: Login, carrier: Carrier, peer: Peer) -> Identity:
        """Check what a connection presents, in a task of our own."""
        started = self._clock.monotonic()
        context = self._context(carrier, peer)
        outcome: Success | Reason = Reason.UNAVAILABLE  # what it comes to when the connection goes before the answer
        try:
            identity = await self._ask(self._identities.authenticate(login, context), context)
            outcome = Success.OK
            return identity
        except Refusal as refusal:
            outcome = refusal.reason
            raise
        finally:
            self._meter.request(carrier, "", "login", outcome, self._clock.monotonic() - started)

    async def preshared(self, identity: str, peer: Peer) -> Preshared:
        """Return the key of a PSK identity and what it proves."""
        context = self._context(Carrier.COAP, peer)
        return await self._ask(self._identities.handshakes.preshared(PresharedQuestion(identity), context), context)

    async def security_context(self, question: OscoreQuestion, peer: Peer) -> OscoreKnown | None:
        """Return the OSCORE context that a message names."""
        context = self._context(Carrier.COAP, peer)
        return await self._ask(self._identities.handshakes.security_context(question, context), context)

    def mistrust(self, peer: Peer, identity: Identity | None = None) -> None:
        """Count a wrong key against its source, and against the device that it should have been of."""
        self._identities.handshakes.mistrust(self._context(Carrier.COAP, peer), identity)

    def _context(self, carrier: Carrier, peer: Peer) -> Context:
        return Context(self._new_correlation(), carrier.value, "", peer.address, secure=peer.secure)

    async def _ask(self, work: Coroutine[Any, Any, A], context: Context) -> A:
        """Let a connection's question be answered in a task of our own. Raises `Refusal`, logged, whatever goes wrong."""
        try:
            if self._is_busy():
                work.close()
                raise self._busy()
            return await self._work.run(work)
        except TimeoutError as error:
            raise self._busy() from error
        except Refusal as refusal:
            self._log.info(
                "login refused",
                correlation=context.correlation,
                protocol=context.protocol,
                source=context.source,
                check=refusal.check,
            )
            raise
        except Exception as error:
            self._log.exception("login failed", correlation=context.correlation, protocol=context.protocol)
            raise Refusal(Reason.INTERNAL, "the login failed", check="internal") from error

    def guest(self, username: str, client_id: str) -> Guest | None:
        """Return the guest whose login is the user name or the client id."""
        return self._face.guest(username, client_id)

    def understands(self, inbound: Inbound) -> bool:
        """Tell whether there is a route for a request."""
        return isinstance(self._face.find(inbound), Match)

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        """Tell whether some dialect lets an identified device subscribe to this filter."""
        return self._face.may_subscribe(topic_filter, identity)

    def keeps(self, inbound: Inbound) -> bool:
        """Tell whether there is a route for a request that is not a broker's to take."""
        found = self._face.find(inbound)
        return isinstance(found, Match) and not found.route.forwarded

    async def permit(self, identity: Identity) -> Grants:
        """Return what somebody may publish and subscribe to at a broker, by the topic spaces of what is spoken here."""
        return await self._identities.permit(identity, self._face.topics)

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended` when what a connection proved is true no longer, unless what this returns was called before."""
        return Attendance(identity, peer, self._identities.holds, ended, self._watches).leave

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever something behind an `Outbound.watch` changed, until what this returns is called."""
        return self._watches.watch(key, changed)

    async def drain(self, seconds: float) -> int:
        """Turn new requests away and wait for the running ones; returns how many were still running at the deadline."""
        return await self._work.drain(seconds)

    async def _answer(self, found: Match | Miss, inbound: Inbound, context: Context) -> Outbound:
        try:
            return await self._grant_or_refuse(found, inbound, context)
        except Exception:
            await self._failed(inbound, context)
            return _refuse(found.dialect, _INTERNAL, "", inbound)

    async def _grant_or_refuse(self, found: Match | Miss, inbound: Inbound, context: Context) -> Outbound:
        form = ""
        decoded = False
        try:
            if isinstance(found, Miss):
                _missed(found)
            self._face.require_protected(found, inbound)
            request = found.dialect.decode(found.route, inbound)
            form, message = request.form, request.message
            ask, use_case = self._repeats.ask(message, inbound, context), self._use_cases[type(message)]
            decoded = True
            result = await (self._repeats.perform(ask, use_case, message, context) if ask else use_case(message, context))
            return found.dialect.encode(result, form, inbound)
        except Refusal as refusal:
            # A use case records its own refusals, with what it knows about the device.
            if decoded and not isinstance(refusal, OtherRequest):
                self._log_refused(refusal, inbound, context)
            else:
                await self._record(refusal, inbound, context)
            outbound = _refuse(found.dialect, refusal, form, inbound)
            return _with_methods(outbound, found.methods) if isinstance(found, Miss) else outbound

    async def _within_time(
        self, work: Coroutine[Any, Any, Outbound], dialect: Dialect | None, inbound: Inbound, context: Context
    ) -> Outbound:
        try:
            return await self._work.run(work)
        except TimeoutError:
            self._log.error("request took too long", correlation=context.correlation, operation=inbound.operation)
            self._meter.bound("request.seconds")
            return _refuse(dialect, _INTERNAL, "", inbound)

    async def _failed(self, inbound: Inbound, context: Context) -> None:
        """Tell operators of a fault of our own: in the log, and as an event if the registry still takes one."""
        self._log.exception(
            "request failed", correlation=context.correlation, protocol=context.protocol, operation=inbound.operation
        )
        with contextlib.suppress(Exception):
            await self._audit.refused(EventKind.REQUEST_REFUSED, context, _INTERNAL)

    async def _record(self, refusal: Refusal, inbound: Inbound, context: Context) -> None:
        self._log_refused(refusal, inbound, context)
        await self._audit.refused(EventKind.REQUEST_REFUSED, context, refusal)

    def _log_refused(self, refusal: Refusal, inbound: Inbound, context: Context) -> None:
        self._log.info(
            "request refused",
            correlation=context.correlation,
            protocol=context.protocol,
            source=context.source,
            operation=inbound.operation,
            reason=refusal.reason.value,
            check=refusal.check,
        )
        if refusal.check == FULL:
            self._meter.bound("approvals.waiting")

    def _is_busy(self) -> bool:
        return self._work.draining or len(self._work) >= self._config.pending

    def _busy(self) -> Refusal:
        self._meter.bound("requests.draining" if self._work.draining else "requests.pending")
        # Jitter keeps a fleet that was turned away together from coming back together; it needs no cryptographic source.
        wait = random.uniform(*self._config.retry_seconds)  # noqa: S311
        return Refusal(Reason.UNAVAILABLE, "the gateway is busy, try again", check="requests.pending", retry_after=wait)

    def _received(self, inbound: Inbound) -> tuple[Match | Miss, Inbound, Context]:
        """Find the route of a request, and fill in what it is known by from here on."""
        found, now = self._face.find(inbound), self._clock.now()
        correlation = new_id(now, self._entropy)
        inbound = msgspec.structs.replace(
            inbound,
            params=found.params if isinstance(found, Match) else inbound.params,
            operation=found.route.operation if isinstance(found, Match) else found.operation,
            received_at=now,
            correlation=correlation,
        )
        dialect = found.dialect.NAME if found.dialect else ""
        peer = inbound.peer
        return found, inbound, Context(correlation, inbound.carrier.value, dialect, peer.address, secure=peer.secure)

    def _new_correlation(self) -> str:
        return new_id(self._clock.now(), self._entropy)


def _own_repeats(config: AnsweringConfig, clock: Clock, entropy: Entropy, meter: Meter) -> Repeats:
    kept = KeptAnswers(config.repeat_seconds, config.repeat_keys, config.repeat_bytes)
    return Repeats(OwnAnswers(kept, clock), entropy.draw(_DIGEST_KEY_BYTES), clock, meter)


_INTERNAL = Refusal(Reason.INTERNAL, "the request failed", check="internal")


def _missed(miss: Miss) -> NoReturn:
    if miss.methods:
        allowed = ", ".join(miss.methods)
        raise Refusal(Reason.NOT_ALLOWED, f"this path takes {allowed}", check="request.method")
    raise Refusal(Reason.NOT_FOUND, "there is nothing at this path", check="request.path")


def _with_methods(outbound: Outbound, methods: tuple[str, ...]) -> Outbound:
    """Say which methods a path takes, where a protocol has a place for it (RFC 9110, section 15.5.6).

    A dialect may see from the path that nothing is there, whatever the method.
    """
    if not methods or outbound.outcome is Reason.NOT_FOUND:
        return outbound
    return msgspec.structs.replace(outbound, headers=(*outbound.headers, ("Allow", ", ".join(methods))))


def _refuse(dialect: Dialect | None, refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    if dialect is not None:
        outbound = dialect.refuse(refusal, form, inbound)
        return msgspec.structs.replace(outbound, retry_after=refusal.retry_after)
    # Nobody's path: a guest that strays is shown out, everybody else is told no.
    closing = Closing.YES if inbound.guest else Closing.NO
    body = msgspec.json.encode({"detail": refusal.detail}) if inbound.carrier is Carrier.HTTP else b""
    return Outbound(
        outcome=refusal.reason,
        body=body,
        content_type="application/json" if body else None,
        closing=closing,
        retry_after=refusal.retry_after,
    )
