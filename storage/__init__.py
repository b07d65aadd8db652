"""The device registry as a pluggable repository."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from core.ports import Repository
from storage.bounds import QUEUE
from storage.memory import MemoryRepository
from storage.postgres.repository import PostgresSettings, open_postgres
from storage.sqlite import SqliteSettings, open_sqlite

Opener = Callable[[str, int], AbstractAsyncContextManager[Repository]]


def open_repository(url: str, *, queue: int = QUEUE) -> AbstractAsyncContextManager[Repository]:
    """Return the registry that a URL names, to be entered: `memory:`, `sqlite:PATH` or `postgresql://...`.

    The last is what libpq takes (https://www.postgresql.org/docs/15/libpq-connect.html, section 34.1.1.2): several hosts, of
    which the first that takes writes is used, `sslmode` and the like.

    `queue` is how many callers may wait for the store, those who read and those who commit each; further ones are refused.
    Raises `ValueError` for any other URL; entering raises `Refusal` UNAVAILABLE where the store cannot be used. Leaving serves
    what was asked before, then closes; from then on everything is refused.
    """
    scheme, _, rest = url.partition(":")
    opener = _openers().get(scheme)
    if opener is None:
        raise ValueError(f"no store is named {scheme!r}: use memory:, sqlite:PATH or postgresql://USER@HOST/NAME")
    return opener(rest, queue)


def _openers() -> dict[str, Opener]:
    return {
        "memory": _memory,
        "sqlite": _sqlite,
        "postgresql": _postgres,
        "postgres": _postgres,
    }


def _memory(rest: str, _queue: int) -> AbstractAsyncContextManager[Repository]:
    if rest:
        raise ValueError("memory: takes nothing after the colon: it keeps no file")
    return _open_memory()


@asynccontextmanager
async def _open_memory() -> AsyncIterator[Repository]:
    repository = MemoryRepository()
    try:
        yield repository
    finally:
        await repository.close()


def _sqlite(path: str, queue: int) -> AbstractAsyncContextManager[Repository]:
    if not path:
        raise ValueError("sqlite: wants the path of a file, such as sqlite:data/firstlight.db")
    return open_sqlite(Path(path), SqliteSettings(queue=queue))


def _postgres(rest: str, queue: int) -> AbstractAsyncContextManager[Repository]:
    if not rest.startswith("//"):
        raise ValueError("postgresql: wants an address, such as postgresql://firstlight@127.0.0.1/firstlight")
    return open_postgres(f"postgresql:{rest}", PostgresSettings(queue=queue))
