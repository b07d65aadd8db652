"""Answers larger than one block, kept while their receiver fetches them (RFC 7959, sections 2.3 and 2.4; option Block2)."""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.optiontypes import BlockOption

from adapters.coap.assembly import ENTRY_COST, RESERVED_EXPONENT
from adapters.coap.config import CoapConfig
from adapters.coap.fault import Fault
from adapters.exchange import Meter
from core.errors import Reason

ETAG_BYTES = 8  # RFC 7252, table 4


class Representations:
    """Whole answers by receiver and options; the one fetched least recently goes first when the bytes run out."""

    def __init__(self, config: CoapConfig, meter: Meter) -> None:
        self._max_bytes = config.max_representation_bytes
        self._seconds = config.block_seconds
        self._meter = meter
        self._answers: OrderedDict[Hashable, tuple[float, Message]] = OrderedDict()
        self.held_bytes = 0

    def get(self, key: Hashable, now: float) -> Message | None:
        """Return the answer that is being fetched, if it is still kept."""
        at, answer = self._answers.get(key, (now, None))
        if answer is None or now - at > self._seconds:
            return None
        self.put(key, answer, now)
        return answer

    def put(self, key: Hashable, answer: Message, now: float) -> None:
        """Keep an answer, and forget those that nobody fetches any more."""
        self._drop(key)
        self._answers[key] = (now, answer)
        self.held_bytes += ENTRY_COST + len(answer.payload)
        while self._answers:
            oldest, (at, _) = next(iter(self._answers.items()))
            full = self.held_bytes > self._max_bytes
            if not full and now - at <= self._seconds:
                return
            if full:
                self._meter.bound("coap.representations")
            self._drop(oldest)

    def _drop(self, key: Hashable) -> None:
        _, answer = self._answers.pop(key, (0.0, None))
        if answer is not None:
            self.held_bytes -= ENTRY_COST + len(answer.payload)


def requested(block: BlockOption.BlockwiseTuple, exponent: int) -> BlockOption.BlockwiseTuple:
    """Return the block that is asked for, no larger than ours. Raises `Fault` 4.00 for a size that does not exist."""
    if block.size_exponent == RESERVED_EXPONENT:
        raise Fault(Code.BAD_REQUEST, Reason.MALFORMED, "coap.block_size", "block size 7 is reserved", recorded=False)
    return block.reduced_to(exponent)


def cut(answer: Message, block: BlockOption.BlockwiseTuple) -> Message:
    """Return one block of an answer, with an entity tag that is the same for all of its blocks.

    Raises `Fault` 4.00 for a block behind the end.
    """
    if block.start >= len(answer.payload):
        raise Fault(Code.BAD_REQUEST, Reason.MALFORMED, "coap.block_range", "no such block", recorded=False)
    end = block.start + block.size
    part = Message(code=answer.code, payload=answer.payload[block.start : end])
    if answer.opt.content_format is not None:
        part.opt.content_format = answer.opt.content_format
    if answer.opt.max_age is not None:
        part.opt.max_age = answer.opt.max_age
    if answer.code.is_successful():
        part.opt.etag = hashlib.sha256(answer.payload).digest()[:ETAG_BYTES]
    part.opt.block2 = (block.block_number, end < len(answer.payload), block.size_exponent)
    return part
