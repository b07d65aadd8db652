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
from adapters.coap.translate import TUNING
from adapters.exchange import Meter
from core.errors import Reason

ETAG_BYTES = 8  # RFC 7252, table 4
PAUSE_SECONDS = 10.0  # two blocks lost in a row, sent again after 3 and 6 seconds at most (RFC 7252, section 4.8)


class Representations:
    """Whole answers by receiver and options; the one fetched least recently goes first when the bytes run out.

    Taken in turns, one receiver more than there is room for would drive out each answer before its next block is asked for:
    so ask `make_room` before an answer that could be made again later.
    """

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

    def make_room(self, key: Hashable, answer: Message, now: float) -> bool:
        """Tell whether there is room for an answer without one that is being fetched; those that seem abandoned go."""
        self._drop(key)
        left = self._max_bytes - ENTRY_COST - len(answer.payload)
        while self._answers and self.held_bytes > left:
            oldest, (at, _) = next(iter(self._answers.items()))
            if now - at <= PAUSE_SECONDS:
                self._meter.bound("coap.representations")
                return False
            self._drop(oldest)
        return True

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


def tag(answer: Message) -> None:
    """Give an answer that comes in blocks an entity tag, where it is granted and has none of its own."""
    if answer.opt.etag is None and answer.code.is_successful():
        answer.opt.etag = hashlib.sha256(answer.payload).digest()[:ETAG_BYTES]


def cut(answer: Message, block: BlockOption.BlockwiseTuple) -> Message:
    """Return one block of an answer; what its options say holds for all of its blocks.

    Raises `Fault` 4.00 for a block behind the end.
    """
    if block.start >= len(answer.payload):
        raise Fault(Code.BAD_REQUEST, Reason.MALFORMED, "coap.block_range", "no such block", recorded=False)
    end = block.start + block.size
    part = Message(code=answer.code, payload=answer.payload[block.start : end], transport_tuning=TUNING)
    part.opt.content_format, part.opt.max_age, part.opt.etag = answer.opt.content_format, answer.opt.max_age, answer.opt.etag
    part.opt.block2 = (block.block_number, end < len(answer.payload), block.size_exponent)
    return part
