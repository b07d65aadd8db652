"""What an exception of PostgreSQL's means to the caller whose request met it."""

import asyncpg

from core.errors import Conflict, Guard, Refusal
from storage import refusals

# https://www.postgresql.org/docs/15/errcodes-appendix.html
_UNIQUE = {
    "device_name": Guard.DEVICE_NAME,
    "device_unique_serial": Guard.DEVICE_SERIAL,
    "credential_lookup": Guard.CREDENTIAL_LOOKUP,
    "oscore_state_pkey": Guard.OSCORE_CONTEXT,
    "issued_pkey": Guard.CERTIFICATE_SERIAL,
    "pending_claim_pkey": Guard.CLAIM_DEVICE,
    "pending_claim_lookup": Guard.CLAIM_LOOKUP,
    "entry_login": Guard.ENTRY_LOGIN,
    "entry_own_name": Guard.ENTRY_NAME,
    "entry_lookup": Guard.CREDENTIAL_LOOKUP,
    "profile_name": Guard.PROFILE_NAME,
    "profile_key": Guard.PROVISION_KEY,
    "token_name": Guard.TOKEN_NAME,
    "token_lookup": Guard.CREDENTIAL_LOOKUP,
    "tenant_pkey": Guard.TENANT_ID,
    "approval_name": Guard.APPROVAL_NAME,
    "config_pkey": Guard.CONFIG_DEVICE,
    "config_external_id": Guard.EXTERNAL_ID,
    "config_name": Guard.CONFIG_NAME,
}
_OF_ONE_REQUEST = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.exceptions.DataError,  # of class 22, and what the driver cannot send
    asyncpg.ProgramLimitExceededError,  # an index takes no key of many kilobytes
    UnicodeError,
    OverflowError,
    TypeError,
)
_UNDONE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)


def breaks_all(error: Exception) -> bool:
    """Tell whether the database or the way to it failed, rather than the values of one request."""
    of_database = asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError
    return isinstance(error, of_database) and not isinstance(error, _OF_ONE_REQUEST)


def ends_connection(error: Exception) -> bool:
    """Tell whether the connection is not to be used again: it broke, or what it waits for may still come, or it moved away."""
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):  # a primary that is one no longer
        return True
    if isinstance(error, asyncpg.PostgresError):
        return getattr(error, "severity_en", None) in ("FATAL", "PANIC")
    return isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError)


def is_undone(error: Exception) -> bool:
    """Tell whether the database undid a transaction for the sake of others, so that doing it again may well succeed."""
    return isinstance(error, _UNDONE)


def outcome(error: Exception) -> Exception:
    """Return what the caller of the request is to get."""
    if isinstance(error, Conflict | Refusal):
        return error
    guard = guard_of(error)
    if guard is not None:
        return Conflict(guard)
    if breaks_all(error):
        return refusals.failed(error)
    if isinstance(error, _OF_ONE_REQUEST):
        return refusals.unfit(error)
    return error


def guard_of(error: Exception) -> Guard | None:
    """Return the guard that a constraint stands for; None where the error is of no constraint that has one."""
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return Guard.REFERENCE
    if isinstance(error, asyncpg.UniqueViolationError):
        return _UNIQUE.get(error.constraint_name or "", Guard.VERSION)
    return None
