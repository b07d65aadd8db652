"""Log in: a user of the directory proves a password and is given a token to work with for a while."""

import msgspec

from core.audit import Audit
from core.crypto import session_tokens
from core.crypto.session_tokens import Audience, Session
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import require
from core.lockout import Lockout
from core.logins import Logins
from core.messages import Context
from core.model import DEFAULT_TENANT, DirectoryEntry, EventKind, TenantId
from core.operate.directing import LoggedIn, LogIn
from core.operate.entry_rules import fold_login
from core.ports import Changes, Repository
from core.queries import EntryLoginQuery

LIFETIME_SECONDS = 900


class OperatorLogin(msgspec.Struct, frozen=True):
    """The use case. Only refused logins count, as `Lockout` says.

    The token is kept nowhere; it ends after `lifetime_seconds`, and with the password that it was opened with.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Lockout
    lifetime_seconds: int = LIFETIME_SECONDS

    async def __call__(self, request: LogIn, context: Context) -> LoggedIn:
        """Return a bearer token for the operators' commands.

        Raises `Refusal`, recorded as an event: UNAUTHENTICATED, which tells nothing of what was wrong, TOO_MANY after too many
        wrong logins, UNAVAILABLE when too many passwords are being checked.
        """
        try:
            entry = await self._prove(request, context)
        except Refusal as refusal:
            await self.audit.refused(EventKind.LOGIN_REFUSED, context, refusal)
            raise
        context = msgspec.structs.replace(context, actor=entry.login)
        event = self.audit.event(
            EventKind.OPERATOR_LOGGED_IN, context, tenant=entry.tenant, detail=f"{entry.kind.value} {entry.id}"
        )
        await self.repository.commit(Changes(events=(event,)))
        return self._open(entry)

    async def _prove(self, request: LogIn, context: Context) -> DirectoryEntry:
        tenant, login = TenantId(request.tenant), fold_login(request.login)
        name = f"user {tenant}\0{login}"
        self._require_room(context.stranger, name)
        entry = await self.repository.read(EntryLoginQuery(tenant, login))
        verifier = b"" if entry is None or entry.role is None else entry.verifier
        matches = await self.issuer.password_matches(verifier, request.password)
        self._require_room(context.stranger, name)  # once more: many guesses may have waited for their keys together
        if not matches or entry is None:
            if self.failures.wrong(context.stranger, name, self.issuer.clock.monotonic()):
                await self.audit.guessed(context, login, DEFAULT_TENANT if entry is None else entry.tenant)
            raise Refusal(Reason.UNAUTHENTICATED, "account, login or password are not right", check="login.password")
        self.failures.right(context.stranger, name)
        return entry

    def _require_room(self, source: str, name: str) -> None:
        require(self.failures.wait(source, name, self.issuer.clock.monotonic()), "limit.login")

    def _open(self, entry: DirectoryEntry) -> LoggedIn:
        expires_at = self.issuer.clock.now() // 1000 + self.lifetime_seconds
        session = Session(
            subject=entry.id,
            tenant=entry.tenant,
            mark=Logins(self.repository, self.issuer).password_mark(entry),
            expires_at=expires_at,
        )
        return LoggedIn(session_tokens.sign(session, Audience.OPERATOR, self.issuer.vault), expires_at)
