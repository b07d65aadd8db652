"""What a transport asks before anybody has proved anything: the keys of whoever it is talking to."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from core.audit import Audit
from core.errors import Refusal
from core.issuer import Issuer
from core.limits import Buckets, require
from core.messages import Context, OscoreKnown, OscoreQuestion, Preshared, PresharedQuestion
from core.model import EventKind
from core.oscore_contexts import OscoreContexts
from core.ports import Repository
from core.preshared import PresharedKeys

Q = TypeVar("Q")
A = TypeVar("A")


class Handshakes(msgspec.Struct, frozen=True):
    """The use case. `failures` are those of logins: whoever guesses keys in handshakes guesses no more at logins either."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Buckets

    async def preshared(self, question: PresharedQuestion, context: Context) -> Preshared:
        """Return the key of a PSK identity; of one that is not known, a key that nobody has.

        Raises `Refusal`, recorded as an event: TOO_MANY after too many wrong keys from one source, UNAVAILABLE.
        """
        return await self._ask(PresharedKeys(self.repository, self.issuer).find, question, context)

    async def security_context(self, question: OscoreQuestion, context: Context) -> OscoreKnown | None:
        """Return an OSCORE context, None where there is none. Raises `Refusal` as `preshared` does."""
        return await self._ask(OscoreContexts(self.repository, self.issuer).find, question, context)

    def mistrust(self, context: Context) -> None:
        """Count a key that was wrong against its source, whose address must have been verified: others could name it too."""
        self.failures.take(context.stranger, self.issuer.clock.monotonic())

    async def _ask(self, find: Callable[[Q], Awaitable[A]], question: Q, context: Context) -> A:
        try:
            self._require_patience(context)
            found = await find(question)
            self._require_patience(context)  # again: guesses made side by side get no further than one by one
            return found
        except Refusal as refusal:
            await self.audit.refused(EventKind.LOGIN_REFUSED, context, refusal)
            raise

    def _require_patience(self, context: Context) -> None:
        require(self.failures.wait(context.stranger, self.issuer.clock.monotonic()), "limit.login")
