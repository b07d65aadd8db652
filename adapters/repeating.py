"""The same request once more: whoever asks again with the same key gets its first answer again, over whatever protocol.

A device that lost the answer need not know whether it had been granted. The key is a header over HTTP
(draft-ietf-httpapi-idempotency-key-header), the Request-Tag option over CoAP (RFC 9175, section 3), a user property over MQTT
5, or the member `idempotency_key` of a JSON or CBOR body over any of them.
"""

import asyncio
import enum
import hmac
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

import cbor2
import msgspec

from adapters.exchange import Inbound, Meter
from adapters.kept_answers import Answers, Kept, UnderWay
from core.errors import Reason, Refusal
from core.limits import Buckets, Rate
from core.messages import AnnounceClaims, ConnectRequest, Context, EnrolRequest, ProvisionRequest, SignRequest
from core.model import Secret
from core.operate.associating import AssociateByCode, ClaimDevice
from core.operate.messages import Operation
from core.ports import Clock

KEY_CHARACTERS: Final = 255
MEMBER: Final = "idempotency_key"
CHECK: Final = "request.repeat_key"

_NEEDLE = MEMBER.encode()
_PASSING = frozenset({Reason.UNAVAILABLE, Reason.TOO_MANY, Reason.INTERNAL, Reason.TOO_LARGE})
_NOT_KEPT = _PASSING | {Reason.UNAUTHENTICATED}  # a wrong secret is as wrong again, and strangers are to take no room here
_UNDECIDED = ("approval.", "device.not_allocated")  # an operator may decide any time, and the device asks until then
_OTHERS = Rate(1.0, 100.0)
_NOTHING: Final = object()
_LOOK_SECONDS = 0.05  # after which it is looked whether somebody else's answer is there, the longer the later
_MOST_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 8.0
_RETRY_SECONDS = 5.0

_WHO: Mapping[type, Callable[[Any], Any]] = MappingProxyType(
    {
        ProvisionRequest: attrgetter("evidence"),
        EnrolRequest: attrgetter("group", "proof"),
        ConnectRequest: attrgetter("proof"),
        SignRequest: attrgetter("who"),
        AnnounceClaims: attrgetter("who"),
        Operation: attrgetter("bearer"),
    }
)
"""What a request that writes proves its sender by; all others are simply done again."""

_CLAIMS = (ClaimDevice, AssociateByCode)

Perform = Callable[[Any, Context], Awaitable[Any]]


class OtherRequest(Refusal):
    """The key was sent with another request before; no use case has seen, or recorded, this one."""

    def __init__(self) -> None:
        super().__init__(Reason.UNPROCESSABLE, "the key of this request was used for another one", check=CHECK)


class Ask(msgspec.Struct, frozen=True):
    """A request that may be the same once more.

    `name` is a digest of dialect, operation and key, `scope` of those and of what the sender proves itself by, `print` of all
    that is asked.
    """

    name: bytes
    scope: bytes
    print: bytes


class _Running:
    """A request under way here, that others wait for."""

    def __init__(self, print_: bytes) -> None:
        self.print = print_
        self.is_known = False  # by its name, from others
        self.done = asyncio.Event()


class Repeats:
    """Gives the first answer again.

    What is kept is the core's result, so each protocol and each form encodes it in its own way. It is kept under what the
    sender proves itself by: a stranger who knows a key can neither take it nor read an answer without the secret that the
    sender has. Refusals that were decided are kept too; those that pass, that wait for an operator, or of wrong secrets
    are not. An answer
    that was given on a protected wire is not repeated on another. Who tries other secrets under a key that is known counts
    against its source, and is soon answered as if it had sent none, within the limits of what it asks for.

    `secret` keys the digests by which requests are known; all who share `answers` have it in common. Who waits for an answer
    that somebody else is to give is sent away after `patience` seconds: whoever was at it may be no more.
    """

    def __init__(
        self, answers: Answers, secret: bytes, clock: Clock, meter: Meter, *, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._patience = patience
        self._answers = answers
        self._clock = clock
        self._meter = meter
        self._secret = secret
        self._running: dict[bytes, _Running] = {}
        self._others = Buckets(_OTHERS)

    def ask(self, message: Any, inbound: Inbound, context: Context) -> Ask | None:
        """Return a request as one that may come again, None for one that has no key or writes nothing.

        Raises `Refusal` MALFORMED for a key that is none.
        """
        who = _WHO.get(type(message))
        if who is None:
            return None
        key = inbound.repeat_key or (_member(inbound) if _NEEDLE in inbound.body else "")
        if not key or (type(message) is Operation and not isinstance(message.command, _CLAIMS)):
            return None
        if len(key) > KEY_CHARACTERS or not key.isprintable():
            raise _no_key(f"the key of a request is at most {KEY_CHARACTERS} printable characters")
        name = self._digest((context.dialect, inbound.operation, key))
        return Ask(name, self._digest((name, who(message))), self._digest(message))

    async def perform(self, ask: Ask, perform: Perform, message: Any, context: Context) -> Any:
        """Return the answer that was given before, that of the same request under way, or else perform the request.

        Raises the `Refusal` that was or is decided, `OtherRequest` where the key stands for another request, UNAVAILABLE where
        the answer cannot be had now.
        """
        if self._others.wait(context.stranger, self._clock.monotonic()):
            return await perform(message, context)
        pause, waited = _LOOK_SECONDS, 0.0
        while True:
            running = self._running.get(ask.scope)
            if running is not None:
                _require_same(running.print, ask)
                await running.done.wait()
                continue
            there = await self._begin(ask)
            if there is None:
                return await self._first(ask, perform, message, context)
            if isinstance(there, Kept):
                return _again(there, ask, context)
            _require_same(there.print, ask)
            if waited >= self._patience:
                detail = "the same request is being answered, try again"
                raise Refusal(Reason.UNAVAILABLE, detail, check=CHECK, retry_after=_RETRY_SECONDS)
            await asyncio.sleep(pause)
            pause, waited = min(2 * pause, _MOST_LOOK_SECONDS), waited + pause

    async def _begin(self, ask: Ask) -> Kept | UnderWay | None:
        """Take a request on, so that others of this process wait for it from here on, unless it is somebody else's."""
        running = self._running[ask.scope] = _Running(ask.print)
        there: Kept | UnderWay | None = UnderWay(ask.print)
        try:
            running.is_known = await self._answers.knows(ask.name)
            there = await self._answers.begin(ask.scope, ask.name, ask.print)
            return there
        finally:
            if there is not None:
                self._end(ask)

    async def _first(self, ask: Ask, perform: Perform, message: Any, context: Context) -> Any:
        kept: Any = _NOTHING
        try:
            if self._is_guessing(ask, context):
                return await perform(message, context)
            kept = await perform(message, context)
            return kept
        except Refusal as refusal:
            if refusal.reason not in _NOT_KEPT and not refusal.check.startswith(_UNDECIDED):
                kept = _untold(refusal)
            raise
        finally:
            try:
                await self._leave(ask, kept, context)
            finally:
                self._end(ask)

    async def _leave(self, ask: Ask, answer: Any, context: Context) -> None:
        """Keep what was answered, or nothing."""
        if answer is _NOTHING:
            await self._answers.drop(ask.scope)
            return
        size = len(_text(answer)) if not isinstance(answer, Refusal) else len(answer.detail)
        kept = Kept(name=ask.name, print=ask.print, answer=answer, secure=context.secure, size=size)
        if not await self._answers.keep(ask.scope, kept):
            self._meter.bound("requests.repeat_keys")

    def _end(self, ask: Ask) -> None:
        self._running.pop(ask.scope).done.set()

    def _is_guessing(self, ask: Ask, context: Context) -> bool:
        """Count a request whose key is known from others alone; tell whether its source sent too many of these."""
        now = self._clock.monotonic()
        if self._running[ask.scope].is_known:
            self._others.take(context.stranger, now)
        return self._others.wait(context.stranger, now) > 0

    def _digest(self, value: Any) -> bytes:
        try:
            return hmac.digest(self._secret, _text(value), "sha256")[:16]
        except RecursionError as error:
            raise _no_key("a request with a key may not be nested so deep") from error


def _again(kept: Kept, ask: Ask, context: Context) -> Any:
    _require_same(kept.print, ask)
    if kept.secure and not context.secure:
        raise OtherRequest
    if isinstance(kept.answer, Refusal):
        raise _untold(kept.answer)
    return kept.answer


def _untold(refusal: Refusal) -> Refusal:
    """Return a refusal that was not raised yet: one that was holds on to everything that its traceback knows."""
    copy = type(refusal).__new__(type(refusal), *refusal.args)
    copy.__dict__.update(refusal.__dict__)
    return copy


def _require_same(print_: bytes, ask: Ask) -> None:
    if not hmac.compare_digest(print_, ask.print):
        raise OtherRequest


def _member(inbound: Inbound) -> str:
    """Return the key in a body, empty where that is no object or has none. Raises `Refusal` MALFORMED for what is no text."""
    try:
        document = msgspec.json.decode(inbound.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = _cbor(inbound.body)
    key = document.get(MEMBER) if isinstance(document, dict) else None
    if key is None:
        return ""
    if not isinstance(key, str):
        raise _no_key(f"{MEMBER} is not a text")
    return key


def _cbor(body: bytes) -> Any:
    """Return an item of CBOR (RFC 8949); None: it is none, and the dialect will say so if it must."""
    try:
        return cbor2.load(BytesIO(body))
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        return None


def _text(value: Any) -> bytes:
    """Return a text that two values share if they are the same; in which order an object has its members is no difference."""
    return repr(_plain(value)).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    match value:
        case Secret():
            return ("Secret", value.reveal())
        case msgspec.Struct():
            return (type(value).__name__, *(_plain(getattr(value, name)) for name in value.__struct_fields__))
        case enum.Enum():
            return str(value)
        case dict():
            return ("{", *sorted(((repr(_plain(name)), _plain(each)) for name, each in value.items()), key=_first_of))
        case list() | tuple():
            return ("[", *map(_plain, value))
    return value


def _first_of(pair: tuple[str, Any]) -> str:
    return pair[0]


def _no_key(detail: str) -> Refusal:
    return Refusal(Reason.MALFORMED, detail, check=CHECK)
