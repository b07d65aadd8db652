"""What a transport asks before anybody has proved anything: the keys of whoever it is talking to."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from core.audit import Audit
from core.errors import Refusal
from core.issuer import Issuer
from core.limits import require
from core.lockout import Lockout
from core.messages import Context, Identity, OscoreKnown, OscoreQuestion, Preshared, PresharedQuestion, ProvenLogin
from core.model import EventKind
from core.named import named
from core.oscore_contexts import OscoreContexts
from core.ports import Repository
from core.preshared import PresharedKeys

Q = TypeVar("Q")
A = TypeVar("A", Preshared, OscoreKnown | None)


class Handshakes(msgspec.Struct, frozen=True):
    """The use case. `failures` are those of logins: whoever guesses keys in handshakes guesses no more at logins either."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Lockout

    async def preshared(self, question: PresharedQuestion, context: Context) -> Preshared:
        """Return the key of a PSK identity; of one that is not known, a key that nobody has.

        Raises `Refusal`, recorded as an event: TOO_MANY after too many wrong keys from one source, UNAVAILABLE.
        """
        return await self._ask(PresharedKeys(self.repository, self.issuer).find, question, context)

    async def security_context(self, question: OscoreQuestion, context: Context) -> OscoreKnown | None:
        """Return an OSCORE context, None where there is none. Raises `Refusal` as `preshared` does."""
        return await self._ask(OscoreContexts(self.repository, self.issuer).find, question, context)

    def mistrust(self, context: Context, identity: Identity | None = None) -> None:
        """Count a key that was wrong against its source, whose address must have been verified: others could name it too.

        `identity` is the device whose key it should have been.
        """
        if self.failures.wrong(context.stranger, _name(identity), self.issuer.clock.monotonic()):
            self.audit.alarm()

    async def _ask(self, find: Callable[[Q], Awaitable[A]], question: Q, context: Context) -> A:
        try:
            found = await find(question)
            # Afterwards, as what is asked for names nobody yet; so guesses made side by side get no further than one by one.
            name = "" if found is None else _name(found.identity)
            require(self.failures.wait(context.stranger, name, self.issuer.clock.monotonic()), "limit.login")
            return found
        except Refusal as refusal:
            await self.audit.refused(EventKind.LOGIN_REFUSED, context, refusal)
            raise


def _name(identity: Identity | None) -> str:
    """Return what the login that follows a handshake is counted by."""
    return "" if identity is None else named(ProvenLogin(identity)).known
