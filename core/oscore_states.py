"""How far an OSCORE context has come: sequence numbers taken from the registry before they are used, and the replay window.

A number that protects two messages under one key gives both away (RFC 8613, sections 7.2.1 and 12.3), so numbers are taken
in steps before any of them is used, and those that were not used when the gateway ends without a word are lost.
"""

from typing import Final

import msgspec

from core.errors import Conflict, Guard, Reason, Refusal, registry_busy
from core.model import CredentialId, OscoreState
from core.ports import Changes, Repository
from core.queries import OscoreQuery

STEP: Final = 100
LAST: Final = 2**40 - 1  # RFC 8613, section 7.2.1: a Partial IV has five bytes
_ATTEMPTS: Final = 8
_UNUSED: Final = (0, 0)


class OscoreLease(msgspec.Struct, frozen=True):
    """Sequence numbers from `first` up to, but without, `state.sequence`: whoever has the lease alone may use them, once each.

    `window` is the replay window to begin with, as `OscoreState` has it; None: nothing is known of what was received.
    """

    state: OscoreState
    first: int
    window: tuple[int, int] | None = None


class OscoreStates(msgspec.Struct, frozen=True):
    """The use case. Leases of one context never overlap, whoever asks and from however many gateways.

    Where the registry is `shared` with others, any of them may take a context up at any time, and its window with it: what was
    received there is not known here. `newest` tells.
    """

    repository: Repository
    shared: bool = False

    async def open(self, credential: CredentialId) -> OscoreLease:
        """Take a context up where it was left.

        Raises `Refusal` UNAVAILABLE where the registry cannot be written, UNAUTHENTICATED where the credential is gone or its
        context is used up.
        """
        for _ in range(_ATTEMPTS):
            left = await self.repository.read(OscoreQuery(credential))
            try:
                if left is None:
                    state = OscoreState(id=credential, sequence=STEP)
                    await self.repository.commit(Changes(insert=(state,)))
                    return OscoreLease(state, 0, _UNUSED)
                return OscoreLease(await self._take(left), left.sequence, left.window)
            except Conflict as conflict:
                if conflict.guard is Guard.REFERENCE:
                    raise _gone() from conflict
        raise registry_busy()

    async def newest(self, lease: OscoreLease) -> int | None:
        """Return the version that the context has now, None where it is gone: a greater one than this lease's is another's.

        Where nobody else can have taken it up, it is this lease's. Raises `Refusal` UNAVAILABLE.
        """
        if not self.shared:
            return lease.state.version
        left = await self.repository.read(OscoreQuery(lease.state.id))
        return None if left is None else left.version

    async def advance(self, lease: OscoreLease) -> OscoreLease:
        """Take more numbers, all of those of this lease being used. Raises `Refusal` as `open` does.

        Where somebody else took the context up meanwhile the new ones are behind theirs, and do not begin where this one ends.
        """
        state: OscoreState | None = lease.state
        for _ in range(_ATTEMPTS):
            if state is None:
                raise _gone()
            try:
                return OscoreLease(await self._take(state), state.sequence)
            except Conflict:
                state = await self.repository.read(OscoreQuery(lease.state.id))
        raise registry_busy()

    async def close(self, lease: OscoreLease, sequence: int, window: tuple[int, int] | None) -> None:
        """Leave a context in good order: `sequence` is the first number that was not used.

        Nothing is written where somebody else took it up meanwhile, or where it is gone. Raises `Refusal` UNAVAILABLE.
        """
        state = msgspec.structs.replace(lease.state, sequence=sequence, window=window, version=lease.state.version + 1)
        try:
            await self.repository.commit(Changes(replace=(state,)))
        except Conflict:
            return

    async def _take(self, left: OscoreState) -> OscoreState:
        """Write that the next numbers are used and that the window is in use. Raises `Conflict`."""
        if left.sequence > LAST - STEP:
            raise _gone()
        taken = msgspec.structs.replace(left, sequence=left.sequence + STEP, window=None, version=left.version + 1)
        await self.repository.commit(Changes(replace=(taken,)))
        return taken


def _gone() -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone")
