"""The device registry as a pluggable repository."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from core.ports import Repository
from storage.bounds import QUEUE
from storage.memory import MemoryRepository
from storage.sqlite import SqliteSettings, open_sqlite

Opener = Callable[[str, int], AbstractAsyncContextManager[Repository]]


def open_repository(url: str, *, queue: int = QUEUE) -> AbstractAsyncContextManager[Repository]:
    """Return the registry that a URL names, to be entered: `memory:` or `sqlite:PATH`.

    `queue` is how many callers may wait for the store, those who read and those who commit each; further ones are refused.
    Raises `ValueError` for any other URL; entering raises `Refusal` UNAVAILABLE where the store cannot be used. Leaving serves
    what was asked before, then closes; from then on everything is refused.
    """
    scheme, _, rest = url.partition(":")
    opener = _openers().get(scheme)
    if opener is None:
        raise ValueError(f"no store is named {scheme!r}: use memory: or sqlite:PATH (this version does not support postgresql)")
    return opener(rest, queue)


def _openers() -> dict[str, Opener]:
    return {
        "memory": _memory,
        "sqlite": _sqlite,
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
