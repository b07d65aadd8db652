"""From one request to its response: what CoAP refuses itself, the blocks, and the exchange in between."""

import time
from collections.abc import Callable, Hashable

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.optiontypes import BlockOption

from adapters.coap.assembly import Assemblies, too_large
from adapters.coap.config import CoapConfig
from adapters.coap.decoding import Request
from adapters.coap.echo import EchoGuard, amplifies
from adapters.coap.fault import Fault
from adapters.coap.representation import Representations, cut, requested
from adapters.coap.translate import inbound, outbound
from adapters.exchange import Exchange, Meter
from core.errors import Reason, Refusal

BLOCK_OPTIONS = (OptionNumber.BLOCK1, OptionNumber.BLOCK2)


class Responder:
    """Answers requests; safe to call from many tasks of one loop at once."""

    def __init__(
        self, exchange: Exchange, meter: Meter, config: CoapConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._exchange = exchange
        self._meter = meter
        self._config = config
        self._clock = clock
        self._first = BlockOption.BlockwiseTuple(0, False, config.block_size_exponent)
        self._assemblies = Assemblies(config, meter)
        self._representations = Representations(config, meter)
        self._echo = EchoGuard() if config.require_echo else None

    async def respond(self, request: Request) -> Message:
        """Return the response to a request; a refusal is a response too."""
        try:
            if request.fault is not None:
                raise request.fault
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
        body = message.payload if block1 is None else self._assemblies.take(_transfer(request), message, self._clock())
        if body is None:
            exponent = min(block1.size_exponent, self._config.block_size_exponent)
            return Message(code=Code.CONTINUE, block1=(block1.block_number, True, exponent))
        answer = self._part(request, await self._handle(request, body), wanted)
        if block1 is not None:
            answer.opt.block1 = (block1.block_number, False, block1.size_exponent)
        return answer

    def _wanted(self, block2: BlockOption.BlockwiseTuple | None) -> BlockOption.BlockwiseTuple:
        return self._first if block2 is None else requested(block2, self._config.block_size_exponent)

    async def _handle(self, request: Request, body: bytes) -> Message:
        if len(body) > self._config.max_body_bytes:
            raise too_large(self._config.max_body_bytes)
        return outbound(await self._exchange.handle(inbound(request.message, request.remote.peer, body)))

    async def _continue(self, request: Request, wanted: BlockOption.BlockwiseTuple) -> Message:
        """Return a later block. An answer that is no longer kept is made again where that is safe: for GET."""
        answer = self._representations.get(_transfer(request), self._clock())
        if answer is not None:
            return cut(answer, wanted)
        if request.message.code != Code.GET:
            raise Fault(
                Code.REQUEST_ENTITY_INCOMPLETE, Reason.MALFORMED, "coap.block_gap", "answer no longer kept", recorded=False
            )
        return self._part(request, await self._handle(request, request.message.payload), wanted)

    def _part(self, request: Request, answer: Message, wanted: BlockOption.BlockwiseTuple) -> Message:
        """Return the answer itself where one block holds it; else keep it, and return the block that is wanted."""
        if len(answer.payload) <= wanted.size:
            return answer
        self._representations.put(_transfer(request), answer, self._clock())
        return cut(answer, wanted)

    def _guarded(self, request: Request, answer: Message) -> Message:
        """Hold back a large answer to a GET until its receiver has proved its address."""
        if self._echo is None or request.message.code != Code.GET or not amplifies(answer, request.size):
            return answer
        now = self._clock()
        if self._echo.proven(request.message, request.remote, now):
            return answer
        self._meter.bound("coap.echo")
        return self._echo.challenge(request.message, request.remote, now)

    async def _refuse(self, request: Request, fault: Fault) -> Message:
        """Count a fault, and let the exchange record and word it where the request carried something."""
        self._meter.bound(fault.bound)
        answer = Message(code=fault.code)
        if fault.recorded and request.message.payload:
            refusal = Refusal(fault.reason, fault.detail, check=fault.bound)
            worded = await self._exchange.refuse(inbound(request.message, request.remote.peer, b""), refusal)
            answer = outbound(worded)
            answer.code = fault.code
        if fault.size1 is not None:
            answer.opt.size1 = fault.size1
        return answer


def _transfer(request: Request) -> Hashable:
    """Return what all blocks of one transfer have in common (RFC 7959 section 2.5, RFC 9175 section 3)."""
    return request.remote, request.message.get_cache_key(BLOCK_OPTIONS)
