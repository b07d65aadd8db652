"""The key ring of whichever registry a URL names."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from core.crypto.key_ring import RingKey
from core.model import Event
from core.resealing import KeyRing, SealedPlace, SealedRow
from storage.key_rings_sqlite import open_sqlite_ring


def open_key_ring(url: str) -> AbstractAsyncContextManager[KeyRing]:
    """Return the key ring of the registry that a URL names, to be entered, beside the gateways that use it.

    The registry has to be there and of this version. Raises `ValueError` for a URL of no store; entering raises `Refusal`
    UNAVAILABLE.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        return _open_memory()
    if scheme == "sqlite":
        return open_sqlite_ring(Path(rest))
    if scheme in ("postgresql", "postgres"):
        from storage.postgres.key_rings import open_postgres_ring  # asyncpg takes a while: not for those who need none of it

        return open_postgres_ring(url)
    raise ValueError(f"no store is named {scheme!r}: use memory:, sqlite:PATH or postgresql://")


class MemoryKeyRing:
    """The ring of a registry that ends with its process: nothing is sealed in it before, and nobody rotates its keys."""

    async def keys(self) -> Sequence[RingKey]:
        """Return nothing."""
        return ()

    async def add(self, key: RingKey) -> None:
        """Forget the key."""

    async def retire(self, keep: str, event: Event) -> int:
        """Do nothing."""
        return 0

    async def count(self, place: SealedPlace) -> int:
        """Return 0: what another process holds in memory cannot be walked."""
        return 0

    async def batch(self, place: SealedPlace, after: str, limit: int) -> Sequence[SealedRow]:
        """Return nothing."""
        return ()

    async def replace(self, place: SealedPlace, changes: Sequence[tuple[SealedRow, SealedRow]]) -> int:
        """Do nothing."""
        return 0


@asynccontextmanager
async def _open_memory() -> AsyncIterator[MemoryKeyRing]:
    yield MemoryKeyRing()
