"""Who wants to know when something behind an answer changes, and the registry that tells them."""

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial

from core.errors import Reason, Refusal
from core.notices import ANY_CHANNEL, EVERYTHING, names_of
from core.ports import Changes, Notifier, Repository
from core.queries import Query, S

DOUBT_SECONDS = 20.0
"""How long a commit may still be under way that nobody waits for any more."""

Changed = Callable[[], None]
Told = Callable[[frozenset[str]], None]
_AT_ONCE = 20
_LEAST_SECONDS = 0.01  # from some watchers to the next: each may ask the registry
_SPREAD_SECONDS = 10.0
_NAMES = 64  # beyond them a watcher is told of every channel: its names would cost more than its questions


class _Watch:
    """One watcher. Calling it ends its watch; from then on it has no `changed`, so that it keeps nobody alive."""

    __slots__ = ("_watches", "changed", "key")

    def __init__(self, watches: "Watches", key: str, changed: Changed) -> None:
        self._watches = watches
        self.key = key
        self.changed: Changed | None = changed

    def __call__(self) -> None:
        if self.changed is not None:
            self.changed = None
            self._watches.forget(self)


class Watches:
    """Watchers by the names in their keys, one a line: the id of a device and those of channels, or a `session_key`."""

    def __init__(self) -> None:
        # Most names have one watcher, and for tens of thousands of them a table each would be the greater part of the memory.
        self._watchers: dict[str, _Watch | dict[_Watch, None]] = {}
        self._followers: dict[int, Told] = {}
        self._last = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def watch(self, key: str, changed: Changed) -> Callable[[], None]:
        """Call `changed` whenever something behind this key changed, until what this returns is called."""
        watch = _Watch(self, key, changed)
        self._count += 1
        for name in _split(key):
            there = self._watchers.setdefault(name, watch)
            if isinstance(there, dict):
                there[watch] = None
            elif there is not watch:
                self._watchers[name] = {there: None, watch: None}
        return watch

    def follow(self, told: Told) -> Callable[[], None]:
        """Call `told` with the names of everything that changes, until what this returns is called."""
        self._last += 1
        self._followers[self._last] = told
        number = self._last
        return lambda: self._ended(number)

    def _ended(self, number: int) -> None:
        self._followers.pop(number, None)

    @property
    def has_listeners(self) -> bool:
        """Tell whether anybody would be told of anything."""
        return bool(self._watchers or self._followers)

    def is_watched(self, name: str) -> bool:
        """Tell whether somebody watches behind this name."""
        return name in self._watchers

    def tell(self, names: frozenset[str]) -> None:
        """Tell those whom a change behind these names may concern, each once; `EVERYTHING` concerns all."""
        for follower in tuple(self._followers.values()):
            _safely(partial(follower, names))
        if EVERYTHING in names:
            self.tell_all()
        elif self._watchers:
            _tell(self._behind(names & self._watchers.keys()))

    def tell_all(self) -> None:
        """Tell all who watch, in no order, over some seconds where they are many: each may ask the registry at once."""
        waiting = list(self._behind(self._watchers.keys()))
        random.shuffle(waiting)
        pause = min(_LEAST_SECONDS, _SPREAD_SECONDS * _AT_ONCE / max(len(waiting), 1))
        for number, start in enumerate(range(0, len(waiting), _AT_ONCE)):
            asyncio.get_running_loop().call_later(number * pause, _tell, waiting[start : start + _AT_ONCE])

    def _behind(self, names: Iterable[str]) -> dict[_Watch, None]:
        """Return the watchers behind some names, each once."""
        found: dict[_Watch, None] = {}
        for name in names:
            there = self._watchers[name]
            if isinstance(there, dict):
                found |= there
            else:
                found[there] = None
        return found

    def forget(self, watch: _Watch) -> None:
        """Let go of a watcher whose watch is over."""
        self._count -= 1
        for name in _split(watch.key):
            there = self._watchers.get(name)
            if isinstance(there, dict):
                there.pop(watch, None)
            if there is watch or there == {}:
                del self._watchers[name]


def _tell(watches: Iterable[_Watch]) -> None:
    for watch in watches:
        if watch.changed is not None:  # it, or another one that was told before, may have ended its watch
            _safely(watch.changed)


def _safely(told: Callable[[], None]) -> None:
    """Tell somebody. Whatever comes of that, what was committed is committed, and the others are told too."""
    try:
        told()
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler({"message": "a watcher failed", "exception": error})


def _split(key: str) -> tuple[str, ...]:
    names = tuple(key.split("\n"))
    return names if len(names) <= _NAMES else (names[0], ANY_CHANNEL)


class WatchedRepository:
    """A repository that tells watchers what was committed through it, here and in other replicas.

    Satisfies `core.ports.Repository`.
    """

    def __init__(self, repository: Repository, watches: Watches, notifier: Notifier | None = None) -> None:
        self._repository = repository
        self._watches = watches
        self._notifier = notifier
        if notifier is not None:
            notifier.listen(watches.tell)

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state."""
        return await self._repository.read(query)

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none, then tell the watchers.

        Where the store cannot say whether it wrote them, whom they may concern looks again, and once more when what may have
        been under way is over.
        """
        try:
            await self._repository.commit(changes)
        except Refusal as refusal:
            if refusal.reason is Reason.UNAVAILABLE:
                self._doubt(names_of(changes))
            raise
        if self._notifier is None and not self._watches.has_listeners:
            return
        names = names_of(changes)
        self._watches.tell(names)
        if self._notifier is not None:
            self._notifier.tell(names)

    def _doubt(self, names: frozenset[str]) -> None:
        watched = frozenset(filter(self._watches.is_watched, names))
        if watched:
            self._watches.tell(watched)
            asyncio.get_running_loop().call_later(DOUBT_SECONDS, self._watches.tell, watched)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`; returns how many went."""
        return await self._repository.prune_events(keep)

    async def check(self) -> None:
        """Prove that the store can be written."""
        await self._repository.check()
