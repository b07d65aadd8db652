"""What several replicas of a gateway have in common beside the registry, as ports: a store that they share may offer it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from core.ports import Notifier, SingleUse


class Gossip(Protocol):
    """Carries small messages between the replicas that run now. What is lost is lost: nothing may depend on one message."""

    def spread(self, topic: str, message: bytes) -> None:
        """Send a message to the other replicas, without waiting; while they cannot be reached it is dropped."""
        ...

    def hear(self, topic: str, heard: Callable[[bytes], None]) -> Callable[[], None]:
        """Call `heard`, from the loop, with what the others send; returns what ends that."""
        ...


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """An answer on the shelf, or the place of one that is being made (`answer` None).

    `name` and `print` are digests, of the request's key and of all that was asked; `answer` is sealed by whoever put it there.
    """

    name: bytes
    print: bytes
    answer: bytes | None = None


class AnswerShelf(Protocol):
    """Answers that any replica may have to give again, by scope: a digest of the key and of who sent it.

    Every method raises `Refusal` UNAVAILABLE where the shelf cannot be reached.
    """

    async def begin(self, scope: bytes, mine: Shelved, seconds: float) -> Shelved | None:
        """Take the place of an answer for so many seconds; None: it is taken now, else what is there already."""
        ...

    async def keep(self, scope: bytes, answer: bytes, seconds: float) -> None:
        """Put an answer in the place that was taken, for so many seconds."""
        ...

    async def drop(self, scope: bytes) -> None:
        """Give up a place that was taken: there is no answer to be kept."""
        ...

    async def knows(self, name: bytes) -> bool:
        """Tell whether anything stands there under this name, whatever its scope."""
        ...


class Leadership(Protocol):
    """Sees to it that work which must not be done twice is done by one replica at a time."""

    async def lead(self, office: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` while this replica holds an office, cancel it when it holds it no longer; return when cancelled."""
        ...


class Replicas(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of a store that replicas share. `id` tells this replica from the others and from its own former lives.

    `figures` returns what operators may want to watch of how replicas reach each other, by name.
    """

    id: str
    notifier: Notifier
    gossip: Gossip
    single_use: SingleUse
    answers: AnswerShelf
    leadership: Leadership
    figures: Callable[[], Mapping[str, float]]
