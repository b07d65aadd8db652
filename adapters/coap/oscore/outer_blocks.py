"""Protected messages that somebody in between cut into blocks, not knowing what is in them (RFC 8613, section 4.1.3.4.2)."""

import time
from collections.abc import Hashable

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.optiontypes import BlockOption

from adapters.coap.assembly import Assemblies
from adapters.coap.config import CoapConfig
from adapters.coap.decoding import Request
from adapters.coap.fault import Fault
from adapters.coap.representation import Representations, cut, requested
from core.errors import Reason


class OuterBlocks:
    """The blocks around protected messages; what is inside may come in blocks of its own."""

    def __init__(self, assemblies: Assemblies, representations: Representations, config: CoapConfig) -> None:
        self._assemblies = assemblies
        self._representations = representations
        self._exponent = config.block_size_exponent

    def take(self, request: Request) -> bytes | None:
        """Return the ciphertext of a request once it is whole, None before. Raises `Fault`."""
        message = request.message
        if message.opt.block1 is None:
            payload: bytes = message.payload
            return payload
        return self._assemblies.take(_transfer(request), message, time.monotonic())

    def proceed(self, request: Request) -> Message:
        """Return what asks for the next block."""
        block = request.message.opt.block1
        return Message(code=Code.CONTINUE, block1=(block.block_number, True, min(block.size_exponent, self._exponent)))

    def later(self, request: Request) -> Message | None:
        """Return the later block of a response that a request asks for, None where it asks for none. Raises `Fault`."""
        wanted = self._wanted(request)
        if wanted is None or wanted.block_number == 0:
            return None
        response = self._representations.get(_transfer(request), time.monotonic())
        if response is None:
            detail = "answer no longer kept"
            raise Fault(Code.REQUEST_ENTITY_INCOMPLETE, Reason.MALFORMED, "coap.block_gap", detail, recorded=False)
        return _part(response, wanted)

    def first(self, request: Request, response: Message) -> Message:
        """Return a response, or its first block where somebody asks for blocks and it is larger than one."""
        block1, wanted = request.message.opt.block1, self._wanted(request)
        if wanted is not None and len(response.payload) > wanted.size:
            self._representations.put(_transfer(request), response, time.monotonic())
            response = _part(response, wanted)
        if block1 is not None:
            response.opt.block1 = (block1.block_number, False, block1.size_exponent)
        return response

    def _wanted(self, request: Request) -> BlockOption.BlockwiseTuple | None:
        block2 = request.message.opt.block2
        return None if block2 is None else requested(block2, self._exponent)


def _part(response: Message, wanted: BlockOption.BlockwiseTuple) -> Message:
    part = cut(response, wanted)
    part.opt.oscore, part.opt.observe = response.opt.oscore, response.opt.observe
    return part


def _transfer(request: Request) -> Hashable:
    """Return what all blocks have in common: no two protected requests have the same option."""
    return request.remote, "outer", request.message.opt.oscore
