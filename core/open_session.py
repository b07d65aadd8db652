"""Open a session: a device logs in once and is given a token that stands for that login for a while."""

import re

import msgspec

from core.authenticate import Authenticate
from core.crypto import session_tokens
from core.crypto.session_tokens import Audience, Session
from core.errors import Reason, Refusal
from core.logins import session_mark
from core.messages import Context, OpenSession, SessionOpened

LIFETIME_MS = 86_400_000
"""The longest session: a day."""

_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class OpenSessions(msgspec.Struct, frozen=True):
    """The use case. The token is kept nowhere; it ends with its time, and with the credential that it was opened with."""

    authenticate: Authenticate

    async def __call__(self, request: OpenSession, context: Context) -> SessionOpened:
        """Return the token of a session. Raises `Refusal` MALFORMED for a lifetime that is none, and as `Authenticate` does."""
        lifetime = _lifetime(request.login.lifetime)
        identity = await self.authenticate(request.login, context)
        issuer = self.authenticate.issuer
        session = Session(
            subject=identity.device,
            tenant=identity.tenant,
            mark=session_mark(identity.credential) if identity.credential else "",
            expires_at=(issuer.clock.now() + lifetime) // 1000 + 1,
        )
        return SessionOpened(identity, session_tokens.sign(session, Audience.DEVICE, issuer.vault), lifetime)


def _lifetime(text: str) -> int:
    """Return milliseconds, at most a day of them."""
    if _DIGITS.fullmatch(text) is None or not int(text):
        raise Refusal(Reason.MALFORMED, "the lifetime is no number of milliseconds", check="session.lifetime")
    return min(int(text), LIFETIME_MS)
