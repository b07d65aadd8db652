"""Which devices are to be looked at: those that changed first, then new ones, then all the others."""

import asyncio
import contextlib
import enum
from collections.abc import Iterable, Iterator

from core.model import DeviceId
from core.notices import EVERYTHING, session_key

_SESSION = session_key(DeviceId(""))


class Turn(enum.Enum):
    """Why a device's turn has come."""

    CHANGED = "changed"
    NEW = "new"
    LOOK = "look"  # one of all


class Queue:
    """Devices, each once. Beyond `longest` that changed all are to be looked at: `overflowed` tells."""

    def __init__(self, longest: int) -> None:
        self.overflowed = False
        self._longest = longest
        self._waiting: dict[Turn, dict[DeviceId, None]] = {turn: {} for turn in Turn}
        self._parts: dict[str, set[DeviceId]] = {}
        self._parts_of: dict[DeviceId, tuple[str, ...]] = {}
        self._woken = asyncio.Event()
        self._heard: set[str] | None = None

    def told(self, names: frozenset[str]) -> None:
        """Take in the names of what changed: devices, and the parts that their rights were read from."""
        if EVERYTHING in names:
            self.overflowed = True
            self._woken.set()
            return
        if self._heard is not None:
            self._heard |= names
        for name in names:
            if name.startswith(_SESSION):
                self.put(DeviceId(name.removeprefix(_SESSION)))
            else:
                for device in self._parts.get(name, ()):
                    self.put(device)

    def put(self, device: DeviceId) -> None:
        """Have a device looked at before all that did not change."""
        if len(self._waiting[Turn.CHANGED]) < self._longest:
            self._waiting[Turn.CHANGED][device] = None
        else:
            self.overflowed = True
        self._woken.set()

    def put_off(self, device: DeviceId) -> None:
        """Have a device that is new looked at after all that changed."""
        if len(self._waiting[Turn.NEW]) < self._longest:
            self._waiting[Turn.NEW][device] = None
        else:
            self.overflowed = True

    def clear(self) -> None:
        """Forget what was to be looked at, before all is."""
        for waiting in self._waiting.values():
            waiting.clear()
        self.overflowed = False

    def begin(self, devices: Iterable[DeviceId]) -> None:
        """Have all of these looked at."""
        self._waiting[Turn.LOOK] = dict.fromkeys(devices)

    def is_looking(self) -> bool:
        """Tell whether a look at all devices goes on still."""
        return bool(self._waiting[Turn.LOOK])

    def pop(self, turns: Iterable[Turn]) -> tuple[DeviceId, Turn] | None:
        """Return the next device that waits for one of these turns, the first turn first; None: there is none."""
        for turn in turns:
            for device in self._waiting[turn]:
                for waiting in self._waiting.values():
                    waiting.pop(device, None)
                return device, turn
        return None

    def is_waiting(self) -> bool:
        """Tell whether any device waits."""
        return any(self._waiting.values())

    async def wait(self, seconds: float) -> None:
        """Wait so long at most, or until something changes."""
        self._woken.clear()
        if not self._waiting[Turn.CHANGED]:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(seconds, 0.0)):
                    await self._woken.wait()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Remember what is told until `depends`: nobody knows yet whom it concerns."""
        self._heard = set()
        try:
            yield
        finally:
            self._heard = None

    def depends(self, device: DeviceId, parts: Iterable[str]) -> None:
        """Note what the rights of a device were read from; where a part changed meanwhile, they are to be read again."""
        for part in self._parts_of.pop(device, ()):
            devices = self._parts[part]
            devices.discard(device)
            if not devices:
                del self._parts[part]
        kept = tuple(part for part in parts if part != device)  # of the device itself its session tells
        if kept:
            self._parts_of[device] = kept
        for part in kept:
            self._parts.setdefault(part, set()).add(device)
        if self._heard is not None and not self._heard.isdisjoint(kept):
            self.put(device)
