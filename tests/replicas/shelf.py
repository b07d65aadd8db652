"""A shelf of answers in this process, for what is on it to be looked at."""

import msgspec

from core.errors import Reason, Refusal
from core.replicas import Shelved


class Shelf:
    """A shelf in this process, which can be away. Satisfies `core.replicas.AnswerShelf`."""

    def __init__(self) -> None:
        self.there: dict[bytes, Shelved] = {}
        self.is_away = False

    async def begin(self, scope: bytes, mine: Shelved, seconds: float) -> Shelved | None:
        """Take a place."""
        self._reach()
        there = self.there.get(scope)
        if there is None:
            self.there[scope] = mine
        return there

    async def keep(self, scope: bytes, answer: bytes, seconds: float) -> None:
        """Fill a place."""
        self._reach()
        self.there[scope] = msgspec.structs.replace(self.there[scope], answer=answer)

    async def drop(self, scope: bytes) -> None:
        """Leave a place."""
        self._reach()
        del self.there[scope]

    async def knows(self, name: bytes) -> bool:
        """Look for a name."""
        self._reach()
        return any(each.name == name for each in self.there.values())

    def _reach(self) -> None:
        if self.is_away:
            raise Refusal(Reason.UNAVAILABLE, "away", check="storage.failed")
