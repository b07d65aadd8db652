"""The key ring: under which master keys a registry is sealed, and the key for digests, which stays when those are rotated."""

from collections.abc import Sequence

import msgspec

from core.crypto.vault import SealBroken, Vault, founding_lookup_key, key_id
from core.model import Sealed, Secret
from core.ports import Entropy

LOOKUP = "lookup"


class RingKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the registry, sealed under the master key of this id, in 8 hex digits.

    A registry has one for each master key that may have sealed anything in it. `created_at` is in milliseconds since the Unix
    epoch.
    """

    id: str
    purpose: str = LOOKUP
    sealed: Sealed
    created_at: int


class MasterKeys(msgspec.Struct, frozen=True):
    """The master keys that are at hand: the one that seals, and another one that opens what it sealed. Shown by nothing."""

    sealing: bytes
    previous: bytes | None = None

    def __repr__(self) -> str:
        return "MasterKeys()"

    @property
    def id(self) -> str:
        """Return the id of the one that seals."""
        return key_id(self.sealing).hex()

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of all."""
        return frozenset(key_id(each).hex() for each in (self.sealing, self.previous) if each is not None)


class MasterKeyMissing(Exception):
    """Something in the registry may be sealed under a master key that is not at hand. `known`: others of it are."""

    def __init__(self, ids: Sequence[str], *, known: bool) -> None:
        super().__init__(", ".join(ids))
        self.known = known


class RingEmpty(Exception):
    """Two master keys are at hand and the registry has not noted yet which of them it was made with."""


class Opened(msgspec.Struct, frozen=True):
    """What a ring was opened to: a vault, and the key that has to be added before anything is sealed; None: it is there."""

    vault: Vault
    addition: RingKey | None


def open_ring(ring: Sequence[RingKey], masters: MasterKeys, entropy: Entropy, now: int) -> Opened:
    """Open a registry's key ring; one that is empty is founded with the key for digests that comes from the master key.

    Raises `MasterKeyMissing` and `RingEmpty`, and `SealBroken` where a key was altered.
    """
    if not ring and masters.previous is not None:
        raise RingEmpty
    missing = sorted({each.id for each in ring} - masters.ids)
    if missing:
        raise MasterKeyMissing(missing, known=len(missing) < len({each.id for each in ring}))
    lookup_key = _lookup_key(ring, masters, entropy)
    vault = Vault(masters.sealing, entropy, previous=masters.previous, lookup_key=lookup_key)
    if any(each.id == masters.id for each in ring):
        return Opened(vault, None)
    sealed = vault.seal(Secret(lookup_key.hex()), _row(LOOKUP))
    return Opened(vault, RingKey(id=masters.id, sealed=sealed, created_at=now))


def _lookup_key(ring: Sequence[RingKey], masters: MasterKeys, entropy: Entropy) -> bytes:
    if not ring:
        return founding_lookup_key(masters.sealing)
    opener = Vault(masters.sealing, entropy, previous=masters.previous)
    found = {opener.open(each.sealed, _row(each.purpose)).reveal() for each in ring}
    if len(found) > 1:
        raise SealBroken("two keys for one purpose")
    return bytes.fromhex(found.pop())


def _row(purpose: str) -> bytes:
    return b"key ring:" + purpose.encode()
