"""From a protected request to its protected response (RFC 8613, sections 8.2 and 8.3)."""

import copy
import math

import msgspec
from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.oscore import ProtectionInvalid, RequestIdentifiers

from adapters.coap.decoding import FormatError, Request, read
from adapters.coap.fault import Fault
from adapters.coap.message_layer import Respond, unwanted
from adapters.coap.oscore.context import MAX_PLAINTEXT_BYTES, SecurityContext
from adapters.coap.oscore.contexts import SecurityContexts
from adapters.coap.oscore.naming import Naming
from adapters.coap.oscore.naming import read as read_naming
from adapters.coap.oscore.outer_blocks import OuterBlocks
from adapters.coap.responder import Shared
from adapters.coap.translate import RETRYABLE, STATUS
from adapters.exchange import Exchange
from core.errors import Reason, Refusal
from core.messages import Identity

CARRYING = frozenset({Code.POST, Code.FETCH})  # RFC 8613, section 4.2
NO_RESPONSE = 0b11010  # RFC 7967: of no class at all
RETRY_SECONDS = 5.0
OVERHEAD = 96  # what is protected beside the body of a response, and what protection adds to it, at most


class Sealed:
    """What a request was protected with, and its response will be. Satisfies `adapters.coap.seal.Seal`."""

    __slots__ = ("_contexts", "_first", "_request", "context")

    def __init__(self, context: SecurityContext, contexts: SecurityContexts, request: RequestIdentifiers) -> None:
        self.context = context
        self._contexts = contexts
        self._request = request
        self._first = True

    @property
    def identity(self) -> Identity:
        """Return the device whose key it is."""
        return self.context.identity

    @property
    def broken(self) -> bool:
        """Tell whether the key is good for nothing any more."""
        return self.context.broken

    @property
    def _needs_none(self) -> bool:
        """Tell whether the next message needs no number of its own."""
        return self._first and bool(self._request.can_reuse_nonce)

    async def ready(self, *, later: bool = False) -> None:
        """Wait until one more message can be protected. Raises `Refusal`."""
        if later or not self._needs_none:
            await self._contexts.reserve(self.context)

    def protect(self, message: Message, *, later: bool = False) -> Message:
        """Return the message that carries a response; its number as a notification stands outside of it as well.

        The first response to a request that is known to be fresh needs no number of its own (section 8.3).
        """
        request = copy.copy(self._request)
        request.can_reuse_nonce = self._needs_none and not later
        self._first = False
        number = message.opt.observe
        if number is not None:
            message.opt.observe = 0  # which is empty on the wire (section 4.1.3.5.2)
        protected = self.context.protect(message, request)
        protected.opt.observe = number
        return protected


class Protected:
    """Opens requests that are protected, has them answered, and protects the answers; others pass by as they are."""

    def __init__(self, respond: Respond, exchange: Exchange, contexts: SecurityContexts, shared: Shared) -> None:
        self._respond = respond
        self._exchange = exchange
        self._contexts = contexts
        self._blocks = OuterBlocks(shared.assemblies, shared.representations, shared.config)
        self._meter = shared.meter
        self._config = shared.config

    async def respond(self, request: Request) -> Message:
        """Return the response to a request; one that cannot be opened is told so in the clear, and no more than that."""
        if request.fault is not None or request.message.opt.oscore is None:
            return await self._respond(request)
        try:
            return await self._answer(request)
        except Fault as fault:
            self._meter.bound(fault.bound)
            return _told(fault)
        except Refusal as refusal:
            return _turned_away(refusal)

    async def _answer(self, request: Request) -> Message:
        if request.message.code not in CARRYING:
            raise Fault(Code.METHOD_NOT_ALLOWED, Reason.NOT_ALLOWED, "coap.oscore_malformed", "unknown method")
        block = self._blocks.later(request)
        if block is not None:
            return block
        ciphertext = self._blocks.take(request)
        if ciphertext is None:
            return self._blocks.proceed(request)
        return self._blocks.first(request, await self._opened(request, ciphertext))

    async def _opened(self, request: Request, ciphertext: bytes) -> Message:
        naming = _naming(request)
        context = await self._contexts.find(naming, self._exchange, request.remote.peer)
        if context is None:
            raise _fault(Code.UNAUTHORIZED, "coap.oscore_unknown", "Security context not found")
        try:
            plaintext, identifiers = context.open(naming, request.message.code, ciphertext)
        except ProtectionInvalid as error:
            if request.remote.proof is not None or request.whole is not None:  # anybody may put an address on a datagram
                self._exchange.mistrust(request.remote.peer, context.identity)
            raise _fault(Code.BAD_REQUEST, "coap.oscore_decryption", "Decryption failed") from error
        opened, context = context, await self._contexts.begun(context, self._exchange, request.remote.peer)
        if (
            context.identity.credential != opened.identity.credential
        ):  # replaced at this moment: the message is not its device's
            raise _fault(Code.UNAUTHORIZED, "coap.oscore_unknown", "Security context not found")
        seal = Sealed(context, self._contexts, identifiers)
        inner = self._inner(request, plaintext, seal)
        if self._is_fresh(naming, context, inner):
            identifiers.can_reuse_nonce = True
            response = await self._respond(inner)
            request.message.opt.no_response = NO_RESPONSE if unwanted(inner.message, response) else None
        else:
            response = context.challenge()
        await seal.ready()
        return seal.protect(response)

    def _inner(self, request: Request, plaintext: bytes, seal: Sealed) -> Request:
        """Return the request inside; one that cannot be read has a fault. Its sender is known: it is told."""
        token, remote = request.message.token, request.remote
        try:
            inner = read(plaintext[0], token, plaintext, 1, remote, self._config)
        except FormatError as error:
            fault = _fault(Code.BAD_REQUEST, str(error), "not a CoAP message")
            inner = Request(Message(code=Code.GET), remote, request.size, fault)
        if inner.message.opt.observe != request.message.opt.observe:  # somebody in between does not pass notifications on
            inner.message.opt.observe = None
        whole = None if request.whole is None else min(request.whole, MAX_PLAINTEXT_BYTES) - OVERHEAD
        return msgspec.structs.replace(inner, size=request.size, seal=seal, whole=whole)

    def _is_fresh(self, naming: Naming, context: SecurityContext, inner: Request) -> bool:
        """Tell whether a message is fresh; False: its sender has to be asked. Raises `Fault` where it is not."""
        if context.broken:
            raise _fault(Code.UNAUTHORIZED, "coap.oscore_unknown", "Security context not found")
        fresh = context.is_fresh(naming.sequence, inner.message.opt.echo)
        if fresh is None:
            self._meter.bound("coap.oscore_echo")
        elif not fresh:
            raise _fault(Code.UNAUTHORIZED, "coap.oscore_replay", "Replay detected")
        return fresh is not None


def _naming(request: Request) -> Naming:
    try:
        return read_naming(request.message.opt.oscore)
    except ValueError as error:
        raise _fault(Code.BAD_OPTION, "coap.oscore_malformed", "Failed to decode COSE") from error


def _fault(code: Code, bound: str, detail: str) -> Fault:
    return Fault(code, Reason.UNAUTHENTICATED, bound, detail, recorded=False)


def _told(fault: Fault) -> Message:
    """Return the response to a message that was not opened, which nobody may keep for another (RFC 8613, section 8.2)."""
    return Message(code=fault.code, payload=fault.detail.encode(), max_age=0, size1=fault.size1)


def _turned_away(refusal: Refusal) -> Message:
    """Return the response where a context cannot be had now; for a device that may not come in it is as if there were none."""
    code = STATUS[refusal.reason]
    if code not in RETRYABLE:
        return Message(code=Code.UNAUTHORIZED, payload=b"Security context not found", max_age=0)
    return Message(code=code, max_age=math.ceil(max(refusal.retry_after or RETRY_SECONDS, 0)))
