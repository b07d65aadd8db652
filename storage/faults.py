"""What an exception of the database means to the caller whose request met it."""

import sqlite3

from core.errors import Conflict, Guard
from storage import refusals

# SQLite names the columns of a constraint, not its index: https://www.sqlite.org/rescode.html#constraint_unique
_UNIQUE = {
    "device.tenant, device.name": Guard.DEVICE_NAME,
    "device.serial, device.profile": Guard.DEVICE_SERIAL,
    "credential.lookup": Guard.CREDENTIAL_LOOKUP,
    "oscore_state.id": Guard.OSCORE_CONTEXT,
    "issued.id": Guard.CERTIFICATE_SERIAL,
    "pending_claim.id": Guard.CLAIM_DEVICE,
    "pending_claim.lookup": Guard.CLAIM_LOOKUP,
    "entry.tenant, entry.login": Guard.ENTRY_LOGIN,
    "entry.tenant, entry.kind, entry.parent, entry.name": Guard.ENTRY_NAME,
    "entry.lookup": Guard.CREDENTIAL_LOOKUP,
    "profile.tenant, profile.name": Guard.PROFILE_NAME,
    "profile.tenant, profile.id": Guard.VERSION,
    "profile.provision_key": Guard.PROVISION_KEY,
    "token.tenant, token.name": Guard.TOKEN_NAME,
    "token.tenant, token.id": Guard.VERSION,
    "token.lookup": Guard.CREDENTIAL_LOOKUP,
    "tenant.id": Guard.TENANT_ID,
    "approval.profile, approval.name": Guard.APPROVAL_NAME,
    "config.id": Guard.CONFIG_DEVICE,
    "config.external_id": Guard.EXTERNAL_ID,
    "config.tenant, config.name": Guard.CONFIG_NAME,
    "event.tenant, event.id": Guard.VERSION,
}
_OF_ONE_REQUEST = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)


def breaks_all(error: Exception) -> bool:
    """Tell whether the database failed, rather than the values of one request."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OF_ONE_REQUEST)


def outcome(error: Exception) -> Exception:
    """Return what the caller of the request is to get."""
    if isinstance(error, sqlite3.IntegrityError):
        guard = _guard(error)
        return Conflict(guard) if guard is not None else refusals.unfit(error)
    if breaks_all(error):
        return refusals.failed(error)
    if isinstance(error, sqlite3.Error | UnicodeError | OverflowError | TypeError):
        return refusals.unfit(error)
    return error


def _guard(error: sqlite3.IntegrityError) -> Guard | None:
    if error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY":
        return Guard.REFERENCE
    taken = _UNIQUE.get(str(error).removeprefix("UNIQUE constraint failed: "))
    return Guard.VERSION if taken is None and error.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY" else taken
