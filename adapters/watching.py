"""Who wants to know when something behind an answer changes, and the registry that tells them."""

from collections.abc import Callable
from functools import partial

from core.model import BootstrapConfig, Channel, Credential, Device, DeviceId
from core.ports import Changes, Entity, Repository
from core.queries import Query, S

Changed = Callable[[], None]
_SESSION = "session "


def session_key(device: DeviceId) -> str:
    """Return the key of those whom only the device and its credentials concern, and not its channels."""
    return _SESSION + device


class Watches:
    """Watchers by key: the id of the device whose configuration they have an answer about, or a `session_key`."""

    def __init__(self) -> None:
        self._watchers: dict[str, dict[int, Changed]] = {}
        self._last = 0

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def watch(self, key: str, changed: Changed) -> Callable[[], None]:
        """Call `changed` whenever something behind this key changed, until what this returns is called."""
        self._last += 1
        self._watchers.setdefault(key, {})[self._last] = changed
        return partial(self._end, key, self._last)

    def tell(self, changes: Changes) -> None:
        """Tell those whom committed changes may concern. A channel may be in any configuration, but a new one is in none."""
        if not self._watchers:
            return
        changed_or_gone = (*changes.replace, *(deletion.entity for deletion in changes.delete))
        devices = {_device(entity) for entity in (*changes.insert, *changed_or_gone)}
        keys = (devices | {session_key(device) for device in devices}) & self._watchers.keys()
        if any(isinstance(entity, Channel) for entity in changed_or_gone):
            keys |= {key for key in self._watchers if not key.startswith(_SESSION)}
        for key in keys:
            for changed in tuple(self._watchers.get(key, {}).values()):
                changed()

    def _end(self, key: str, number: int) -> None:
        watchers = self._watchers.get(key, {})
        watchers.pop(number, None)
        if not watchers:
            self._watchers.pop(key, None)


def _device(entity: Entity) -> DeviceId:
    match entity:
        case BootstrapConfig() | Device():
            return entity.id
        case Credential():
            return entity.device
        case _:
            return DeviceId("")


class WatchedRepository:
    """A repository that tells watchers what was committed through it. Satisfies `core.ports.Repository`."""

    def __init__(self, repository: Repository, watches: Watches) -> None:
        self._repository = repository
        self._watches = watches

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state."""
        return await self._repository.read(query)

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none, then tell the watchers."""
        await self._repository.commit(changes)
        self._watches.tell(changes)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`; returns how many went."""
        return await self._repository.prune_events(keep)

    async def check(self) -> None:
        """Prove that the store can be written."""
        await self._repository.check()
