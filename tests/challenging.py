"""A device that bootstraps by challenge and response, asked one step at a time, and what it is asked through."""

import msgspec

from core.challenge import BootstrapByChallenge, OfferChallenge
from core.crypto.challenges import ExchangeKeys, Parties
from core.messages import AskChallenge, ChallengeOffered, Context, ProvenBootstrap, SealedBootstrap
from core.model import Secret
from core.ports import Clock
from tests.fakes import SeededEntropy
from tests.operating import Desk

CONTEXT = Context("correlation-3", "coap", "firstlight", "192.0.2.7")
NONCE = bytes(range(32))
KEY = "external key"


class Memory:
    """What was used, remembered without end. Satisfies `core.ports.SingleUse`."""

    def __init__(self, clock: Clock, epoch: bytes = b"first") -> None:
        self.epoch = epoch
        self.now = clock.monotonic
        self.used: set[bytes] = set()
        self.fault: Exception | None = None

    async def spend(self, identity: bytes, until: float) -> bool:
        """Use something once, or fail as told."""
        if self.fault is not None:
            raise self.fault
        fresh = identity not in self.used
        self.used.add(identity)
        return fresh


class Gate:
    """Both use cases over what a desk has."""

    def __init__(self, desk: Desk, memory: Memory | None = None) -> None:
        self.desk = desk
        self.memory = memory or Memory(desk.clock)

    async def offer(self, external_id: str = "aa:bb", nonce: bytes = NONCE) -> ChallengeOffered:
        """Ask for a challenge."""
        return await OfferChallenge(self.desk.issuer, self.memory)(AskChallenge(external_id, nonce), CONTEXT)

    async def prove(self, request: ProvenBootstrap, context: Context = CONTEXT) -> SealedBootstrap:
        """Bring a proof."""
        desk = self.desk
        use_case = BootstrapByChallenge(desk.repository, desk.issuer, desk.audit, desk.failures, self.memory)
        return await use_case(request, context)

    async def request(self, external_id: str = "aa:bb", key: str = KEY, nonce: bytes = NONCE) -> ProvenBootstrap:
        """Ask for a challenge and return what proves a key with it."""
        return proven(await self.offer(external_id, nonce), external_id, key, nonce)


def keys_of(offered: ChallengeOffered, external_id: str = "aa:bb", key: str = KEY, nonce: bytes = NONCE) -> ExchangeKeys:
    """Return the keys that a device has with this challenge."""
    return ExchangeKeys(Secret(key), Parties(external_id, nonce, offered.nonce))


def proven(offered: ChallengeOffered, external_id: str = "aa:bb", key: str = KEY, nonce: bytes = NONCE) -> ProvenBootstrap:
    """Return what proves a key with a challenge."""
    proof = keys_of(offered, external_id, key, nonce).prove(offered.challenge)
    return ProvenBootstrap(external_id=external_id, nonce=nonce, challenge=offered.challenge, proof=proof)


def flipped(content: bytes, bit: int) -> bytes:
    """Return the bytes with one bit the other way round."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def replaced(request: ProvenBootstrap, **fields: object) -> ProvenBootstrap:
    """Return a request with other fields."""
    return msgspec.structs.replace(request, **fields)


def restarted(desk: Desk) -> Gate:
    """Return a gateway that was started anew."""
    return Gate(desk, Memory(desk.clock, SeededEntropy(7).draw(16)))
