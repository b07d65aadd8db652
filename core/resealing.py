"""Key rotation: everything that is sealed in a registry, sealed again under the master key that seals now.

Rows are walked in the order of their keys, a batch at a time, while gateways go on: what became of a row since it was read is
left alone and found again by the next walk. What was done is told from the values themselves, so a walk that was cut off is
begun anew and does what is left.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, assert_never

import msgspec

from core.admission import hook_row
from core.attestation import secret_row
from core.configuration import config_row
from core.crypto.key_ring import RingKey
from core.crypto.tokens import new_id
from core.crypto.vault import SealBroken, Vault
from core.issuer import credential_row
from core.model import DEFAULT_TENANT, CredentialId, DeviceId, Event, EventId, EventKind, ProfileId, Sealed
from core.ports import Clock, Entropy

BATCH: Final = 200
_WALKS: Final = 8


class SealedPlace(enum.Enum):
    """Where sealed values are, and what a row's are, in this order."""

    PROFILES = "profiles"  # provision secret, the one before, the hook's secret
    CREDENTIALS = "credentials"  # its value
    CONFIGS = "configs"  # external key
    DOCUMENTS = "documents"  # content, certificates


class SealedRow(msgspec.Struct, frozen=True):
    """The sealed values of one row; None or empty: there is none."""

    id: str
    values: tuple[Sealed | None, ...]


class KeyRing(Protocol):
    """The key ring of a registry, and what is sealed in it. Every method raises `Refusal` UNAVAILABLE."""

    async def keys(self) -> Sequence[RingKey]:
        """Return all keys of the ring."""
        ...

    async def add(self, key: RingKey) -> None:
        """Put a key on the ring; one of the same id and purpose that is there stays."""
        ...

    async def retire(self, keep: str, event: Event) -> int:
        """Take the keys off the ring that are sealed under any master key but that of this id; return how many went.

        The event is recorded with that.
        """
        ...

    async def count(self, place: SealedPlace) -> int:
        """Return how many rows of a place have sealed values, or about that many."""
        ...

    async def batch(self, place: SealedPlace, after: str, limit: int) -> Sequence[SealedRow]:
        """Return rows that have sealed values, by their ids, behind one; empty: there are no more."""
        ...

    async def replace(self, place: SealedPlace, changes: Sequence[tuple[SealedRow, SealedRow]]) -> int:
        """Put the second values of each in the place of the first, where those are there still; return in how many rows.

        Nothing else of a row changes, not its version either.
        """
        ...


class Rotated(msgspec.Struct, frozen=True):
    """What a rotation did: rows that were sealed again, rows that it found in order at the end, and keys that went."""

    resealed: int
    verified: int
    retired: int


class Unfinished(Exception):
    """A rotation that cannot come to its end. What was done stays; the text is one sentence for whoever asked for it."""


class Rotation(msgspec.Struct, frozen=True):
    """The use case. `sealing` is the id of the master key that seals now.

    `pause` waits some seconds, `reached` is told how many rows of a walk are done.
    """

    ring: KeyRing
    vault: Vault
    sealing: str
    clock: Clock
    entropy: Entropy
    pause: Callable[[float], Awaitable[None]]
    reached: Callable[[int], None]

    async def __call__(self, settle_seconds: float) -> Rotated:
        """Walk until nothing is sealed under another key, then take those off the ring.

        A request that is under way may put back what it read before. So the last walk, which finds nothing to do, begins
        `settle_seconds` after the one before it: longer than any request takes.

        Raises `Unfinished` where the key that seals is on no ring: no gateway knows it yet; where secrets go on being sealed
        under another key: some gateway has not been told; and where a value cannot be opened. `Refusal` UNAVAILABLE where the
        registry fails.
        """
        there = {each.id for each in await self.ring.keys()}
        if self.sealing not in there:
            raise Unfinished("no gateway has been started with the new master key yet")
        resealed, rows = await self._walk()
        if not resealed and len(there) == 1:  # nobody is left who could seal under another one
            return Rotated(0, rows, 0)
        for _ in range(_WALKS):
            await self.pause(settle_seconds)
            again, rows = await self._walk()
            if not again:
                return Rotated(resealed, rows, await self.ring.retire(self.sealing, self._event(resealed)))
            resealed += again
        raise Unfinished("secrets are still being sealed under another master key: a gateway runs that has that one first")

    def _event(self, resealed: int) -> Event:
        now = self.clock.now()
        identity = new_id(now, self.entropy)
        return Event(
            id=EventId(identity),
            tenant=DEFAULT_TENANT,
            at=now,
            kind=EventKind.KEYS_ROTATED,
            correlation=identity,
            detail=f"{resealed} rows",
        )

    async def _walk(self) -> tuple[int, int]:
        """Return how many rows were sealed again, and how many there are."""
        resealed = rows = 0
        for place in SealedPlace:
            after = ""
            while batch := await self.ring.batch(place, after, BATCH):
                changes = [(row, changed) for row in batch if (changed := self._resealed(place, row)) != row]
                if changes:
                    await self.ring.replace(place, changes)
                resealed += len(changes)  # one that was changed meanwhile is looked at again
                rows += len(batch)
                after = batch[-1].id
                self.reached(rows)
        return resealed, rows

    def _resealed(self, place: SealedPlace, row: SealedRow) -> SealedRow:
        bound_to = _bound_to(place, row.id)
        return SealedRow(row.id, tuple(self._again(*each) for each in zip(row.values, bound_to, strict=True)))

    def _again(self, sealed: Sealed | None, row: bytes) -> Sealed | None:
        if not sealed or self.vault.sealed_now(sealed):
            return sealed
        try:
            return self.vault.seal(self.vault.open(sealed, row), row)
        except SealBroken as error:
            raise Unfinished(f"what is sealed as {row.decode()} cannot be opened: {error}") from error


def _bound_to(place: SealedPlace, identity: str) -> tuple[bytes, ...]:
    """Return what the values of a row are bound to."""
    match place:
        case SealedPlace.PROFILES:
            secret = secret_row(ProfileId(identity))
            return secret, secret, hook_row(ProfileId(identity))
        case SealedPlace.CREDENTIALS:
            return (credential_row(CredentialId(identity)),)
        case SealedPlace.CONFIGS:
            return (config_row(DeviceId(identity), "external key"),)
        case SealedPlace.DOCUMENTS:
            return config_row(DeviceId(identity), "content"), config_row(DeviceId(identity), "certificates")
        case _:
            assert_never(place)


async def require_opens(ring: KeyRing, vault: Vault) -> None:
    """Open one sealed value of each place, so that a wrong master key is found out. Raises `SealBroken` and `Refusal`."""
    for place in SealedPlace:
        for row in await ring.batch(place, "", 1):
            for sealed, bound_to in zip(row.values, _bound_to(place, row.id), strict=True):
                if sealed:
                    vault.open(sealed, bound_to)
