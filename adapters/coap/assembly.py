"""Requests that arrive in blocks, until they are whole (RFC 7959, sections 2.2, 2.5 and 2.9; option Block1)."""

from collections import OrderedDict
from collections.abc import Hashable

from aiocoap import Message
from aiocoap.numbers.codes import Code

from adapters.coap.config import CoapConfig
from adapters.coap.fault import Fault
from adapters.exchange import Meter
from core.errors import Reason

ENTRY_COST = 1024  # what an unfinished request is reckoned to cost beside its bytes
RESERVED_EXPONENT = 7  # RFC 7959, section 2.2; elsewhere it means BERT


class Assembly:
    """What has arrived of one request, and when the last of it did."""

    __slots__ = ("at", "body")

    def __init__(self) -> None:
        self.at = 0.0
        self.body = bytearray()

    def ends_with(self, start: int, payload: bytes) -> bool:
        """Tell whether this block is the one that came last."""
        return start + len(payload) == len(self.body) and self.body.endswith(payload)


class Assemblies:
    """Unfinished requests by sender and options; the one that waited longest goes first when the bytes run out."""

    def __init__(self, config: CoapConfig, meter: Meter) -> None:
        self._max_body_bytes = config.max_body_bytes
        self._max_bytes = config.max_assembly_bytes
        self._seconds = config.block_seconds
        self._meter = meter
        self._assemblies: OrderedDict[Hashable, Assembly] = OrderedDict()
        self.held_bytes = 0

    def take(self, key: Hashable, message: Message, now: float, *, any_size: bool = False) -> bytes | None:
        """Add a block; return the whole body with the last one, None before. Over streams blocks may have `any_size`.

        Raises `Fault`: 4.13 with Size1 where the body is or will be too large, 4.08 where a block is missing, 4.00 for a block
        whose size is not what its option says.
        """
        block, payload = message.opt.block1, message.payload
        self._expire(now)
        self._check(key, message, any_size)
        assembly = self._start(key) if block.block_number == 0 else self._assemblies.get(key)
        if assembly is not None and block.more and assembly.ends_with(block.start, payload):
            return None  # the sender did not hear that this block had arrived
        if assembly is None or block.start != len(assembly.body):
            self._drop(key)
            raise Fault(
                Code.REQUEST_ENTITY_INCOMPLETE, Reason.MALFORMED, "coap.block_gap", "a block is missing", recorded=False
            )
        assembly.body += payload
        assembly.at = now
        self.held_bytes += len(payload)
        if not block.more:
            self._drop(key)
            return bytes(assembly.body)
        self._assemblies.move_to_end(key)
        self._shrink()
        return None

    def _check(self, key: Hashable, message: Message, any_size: bool) -> None:
        block, size = message.opt.block1, len(message.payload)
        reserved = block.size_exponent == RESERVED_EXPONENT and not any_size
        if reserved or not block.is_valid_for_payload_size(size):
            self._drop(key)
            raise Fault(Code.BAD_REQUEST, Reason.MALFORMED, "coap.block_size", "a block of the wrong size", recorded=False)
        if max(block.start + size, message.opt.size1 or 0) > self._max_body_bytes:
            self._drop(key)
            raise too_large(self._max_body_bytes)

    def _start(self, key: Hashable) -> Assembly:
        self._drop(key)
        assembly = self._assemblies[key] = Assembly()
        self.held_bytes += ENTRY_COST
        return assembly

    def _drop(self, key: Hashable) -> None:
        assembly = self._assemblies.pop(key, None)
        if assembly is not None:
            self.held_bytes -= ENTRY_COST + len(assembly.body)

    def _expire(self, now: float) -> None:
        while self._assemblies:
            key, oldest = next(iter(self._assemblies.items()))
            if now - oldest.at <= self._seconds:
                return
            self._drop(key)

    def _shrink(self) -> None:
        while self.held_bytes > self._max_bytes:
            self._meter.bound("coap.assemblies")
            self._drop(next(iter(self._assemblies)))


def too_large(max_body_bytes: int) -> Fault:
    """Return the fault of a body that is larger than this (RFC 7959, section 2.9.3)."""
    return Fault(Code.REQUEST_ENTITY_TOO_LARGE, Reason.TOO_LARGE, "coap.body", "request body too large", size1=max_body_bytes)
