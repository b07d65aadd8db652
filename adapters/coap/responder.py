"""From one request to its response: what CoAP refuses itself, the blocks, and the exchange in between."""

import time
from collections.abc import Callable, Hashable

import msgspec
from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.optiontypes import BlockOption

from adapters.coap.assembly import Assemblies, too_large
from adapters.coap.config import CoapConfig
from adapters.coap.decoding import Request
from adapters.coap.echo import EchoGuard, amplifies
from adapters.coap.fault import Fault
from adapters.coap.notifier import DEREGISTER, REGISTER, Notifier
from adapters.coap.observers import Registration
from adapters.coap.representation import Representations, cut, requested, tag
from adapters.coap.translate import inbound, outbound
from adapters.exchange import Exchange, Inbound, Meter, Outbound
from core.errors import Reason, Refusal

VARYING_OPTIONS = (OptionNumber.ETAG, OptionNumber.OBSERVE, OptionNumber.BLOCK1, OptionNumber.BLOCK2)
"""What the requests of one block-wise transfer need not agree in: the first two belong to the first request alone (RFC 7641,
section 3.4; RFC 7959, section 2.4)."""


class Shared:
    """What the responders of all addresses share, so that its bounds hold for all of them together."""

    def __init__(self, notifier: Notifier, meter: Meter, config: CoapConfig) -> None:
        self.notifier = notifier
        self.meter = meter
        self.config = config
        self.assemblies = Assemblies(config, meter)
        self.representations = Representations(config, meter)
        self.echo = EchoGuard() if config.require_echo else None


class Responder:
    """Answers the requests for one exchange; safe to call from many tasks of one loop at once."""

    def __init__(self, exchange: Exchange, shared: Shared, clock: Callable[[], float] = time.monotonic) -> None:
        self._exchange = exchange
        self._notifier = shared.notifier
        self._meter = shared.meter
        self._config = shared.config
        self._assemblies = shared.assemblies
        self._representations = shared.representations
        self._echo = shared.echo
        self._clock = clock
        self._first = BlockOption.BlockwiseTuple(0, False, shared.config.block_size_exponent)

    async def respond(self, request: Request) -> Message:
        """Return the response to a request; a refusal is a response too."""
        try:
            if request.fault is not None:
                raise request.fault
            if request.message.opt.oscore is not None:  # nobody opened it
                raise _protected()
            answer = await self._answer(request)
        except Fault as fault:
            return await self._refuse(request, fault)
        return self._guarded(request, answer)

    async def _answer(self, request: Request) -> Message:
        message = request.message
        block1 = message.opt.block1
        wanted = self._wanted(message.opt.block2)  # refused before anything is done
        if wanted.block_number > 0:
            return await self._continue(request, wanted)
        body = message.payload if block1 is None else self._assembled(request)
        if body is None:
            exponent = block1.size_exponent
            if request.whole is None:  # over a stream blocks may have any size (BERT, RFC 8323, section 6)
                exponent = min(exponent, self._config.block_size_exponent)
            return Message(code=Code.CONTINUE, block1=(block1.block_number, True, exponent))
        if message.code == Code.GET and message.opt.observe == DEREGISTER:
            self._notifier.deregister(request.remote, message.token)
        neutral = self._neutral(request, body)
        answered = await self._exchange.handle(neutral)
        answer = self._observed(request, neutral, answered, self._part(request, outbound(answered), wanted))
        if block1 is not None:
            answer.opt.block1 = (block1.block_number, False, block1.size_exponent)
        return answer

    def _assembled(self, request: Request) -> bytes | None:
        is_stream = request.whole is not None
        return self._assemblies.take(_transfer(request), request.message, self._clock(), any_size=is_stream)

    def _wanted(self, block2: BlockOption.BlockwiseTuple | None) -> BlockOption.BlockwiseTuple:
        return self._first if block2 is None else requested(block2, self._config.block_size_exponent)

    def _neutral(self, request: Request, body: bytes) -> Inbound:
        if len(body) > self._config.max_body_bytes:
            raise too_large(self._config.max_body_bytes)
        return inbound(request.message, request.peer, body, request.identity)

    async def _continue(self, request: Request, wanted: BlockOption.BlockwiseTuple) -> Message:
        """Return a later block. An answer that is no longer kept is made again where that is safe: for GET."""
        answer = self._representations.get(_transfer(request), self._clock())
        if answer is not None:
            return cut(answer, wanted)
        if request.message.code != Code.GET:
            raise Fault(
                Code.REQUEST_ENTITY_INCOMPLETE, Reason.MALFORMED, "coap.block_gap", "answer no longer kept", recorded=False
            )
        # Who asks for a later block does not hold the whole, whatever entity tags come with it.
        neutral = msgspec.structs.replace(self._neutral(request, request.message.payload), held=())
        return self._part(request, outbound(await self._exchange.handle(neutral)), wanted)

    def _part(self, request: Request, answer: Message, wanted: BlockOption.BlockwiseTuple) -> Message:
        """Return the answer itself where one block holds it; else keep it, and return the block that is wanted."""
        at_once = request.whole if request.whole is not None and request.message.opt.block2 is None else wanted.size
        if len(answer.payload) <= at_once:
            return answer
        key, now = _transfer(request), self._clock()
        # An answer to anything but GET cannot be had again, so it may displace others.
        if request.message.code == Code.GET and not self._representations.make_room(key, answer, now):
            raise self._crowded()
        tag(answer)
        self._representations.put(key, answer, now)
        return cut(answer, wanted)

    def _crowded(self) -> Fault:
        seconds = self._config.retry_after_seconds
        detail = "too many answers are being fetched"
        return Fault(Code.SERVICE_UNAVAILABLE, Reason.UNAVAILABLE, "coap.fetching", detail, recorded=False, retry_after=seconds)

    def _observed(self, request: Request, neutral: Inbound, answered: Outbound, answer: Message) -> Message:
        """Enter the sender of a request as an observer where it wants that and may; return the response that says so."""
        message, remote = request.message, request.remote
        if message.code != Code.GET or message.opt.observe != REGISTER:
            return answer
        max_bytes = min(self._config.observe_max_bytes, self._wanted(message.opt.block2).size)
        # A client that wants no response to a request wants none later either (RFC 7967, section 2).
        if message.opt.no_response or not self._notifier.observable(answered, len(answered.body), max_bytes):
            self._notifier.deregister(remote, message.token)
            return answer
        if self._echo is not None and not self._echo.proven(message, remote, self._clock()):
            return self._challenged(self._echo, request)
        registration = Registration(remote, message.token, self._exchange, neutral, max_bytes, request.seal)
        answer.opt.observe = self._notifier.register(registration, answered)
        return answer

    def _guarded(self, request: Request, answer: Message) -> Message:
        """Hold back a large answer to a GET until its receiver has proved its address."""
        if self._echo is None or request.message.code != Code.GET or not amplifies(answer, request.size):
            return answer
        if self._echo.proven(request.message, request.remote, self._clock()):
            return answer
        return self._challenged(self._echo, request)

    def _challenged(self, echo: EchoGuard, request: Request) -> Message:
        self._meter.bound("coap.echo")
        return echo.challenge(request.message, request.remote, self._clock())

    async def _refuse(self, request: Request, fault: Fault) -> Message:
        """Count a fault, and let the exchange record and word it where the request carried something."""
        self._meter.bound(fault.bound)
        answer = Message(code=fault.code)
        if fault.recorded and request.message.payload:
            refusal = Refusal(fault.reason, fault.detail, check=fault.bound)
            worded = await self._exchange.refuse(inbound(request.message, request.peer, b"", request.identity), refusal)
            answer = outbound(worded)
            answer.code = fault.code
        if fault.size1 is not None:
            answer.opt.size1 = fault.size1
        if fault.retry_after is not None:
            answer.opt.max_age = round(fault.retry_after)
        return answer


def _transfer(request: Request) -> Hashable:
    """Return what all blocks of one transfer have in common (RFC 7959 section 2.5, RFC 9175 section 3)."""
    context = None if request.seal is None else request.seal.context
    return request.remote, context, request.message.get_cache_key(VARYING_OPTIONS)


def _protected() -> Fault:
    detail = f"option {OptionNumber.OSCORE:d} not understood"
    return Fault(Code.BAD_OPTION, Reason.UNSUPPORTED, "coap.critical_option", detail)
