"""What was used and may not be used again, remembered by this process for as long as it could be."""

from collections.abc import Callable

from core.errors import Reason, Refusal
from core.ports import Clock, Entropy

ENTRIES = 100_000
BOUND = "bootstrap.challenges"
_EPOCH_BYTES = 16


class MemorySingleUse:
    """At most `entries` at once; one more is refused until the time of some is over. Satisfies `core.ports.SingleUse`.

    To forget any of them early would let them be used again. `met` is told the name of the bound when it is met.
    """

    def __init__(self, clock: Clock, entropy: Entropy, met: Callable[[str], None], entries: int = ENTRIES) -> None:
        self.epoch = entropy.draw(_EPOCH_BYTES)
        self._clock = clock
        self._met = met
        self._entries = entries
        self._until: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def now(self) -> float:
        """Return the monotonic time: a clock of day that is put back would make what was used good again."""
        return self._clock.monotonic()

    async def spend(self, identity: bytes, until: float) -> bool:
        """Use something; False: it was used before. Raises `Refusal` UNAVAILABLE, with `retry_after`, when there is no room."""
        now = self._clock.monotonic()
        self._forget(now)
        if identity in self._until:
            return False
        if len(self._until) >= self._entries:
            self._met(BOUND)
            wait = max(next(iter(self._until.values()), now) - now, 1.0)
            detail = "too many devices have just been served, try again"
            raise Refusal(Reason.UNAVAILABLE, detail, check="challenge.room", retry_after=wait)
        self._until[identity] = until
        return True

    def _forget(self, now: float) -> None:
        """Forget the oldest whose time is over; all last about equally long, so hardly one waits behind another."""
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                return
            del self._until[oldest]
