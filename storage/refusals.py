"""What a store says when it cannot serve."""

import secrets

from core.errors import Reason, Refusal

_RETRY_SECONDS = 5.0


def queue_full() -> Refusal:
    """More requests wait than the store lets wait; the hint is spread so that those refused do not return together."""
    hint = 1 + secrets.randbelow(2001) / 1000
    return Refusal(Reason.UNAVAILABLE, "the registry is busy, try again later", check="storage.queue", retry_after=hint)


def closed() -> Refusal:
    """The store has been closed or is closing."""
    return Refusal(Reason.UNAVAILABLE, "the registry is closed", check="storage.closed", retry_after=_RETRY_SECONDS)


def failed(cause: Exception) -> Refusal:
    """The store broke: disk full, input or output error, database locked. The cause is for the log."""
    refusal = Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed", retry_after=_RETRY_SECONDS)
    refusal.__cause__ = cause
    return refusal


def unfit(cause: Exception) -> Refusal:
    """A value has no place in a database, such as a text with half a surrogate pair."""
    refusal = Refusal(Reason.MALFORMED, "a value cannot be stored", check="storage.value")
    refusal.__cause__ = cause
    return refusal


def schema(sentence: str) -> Refusal:
    """The database file is not one that this version can use."""
    return Refusal(Reason.UNAVAILABLE, sentence, check="storage.schema")


def locked(path: str) -> Refusal:
    """Another process has the database file."""
    sentence = f"the database {path} is in use by another Firstlight process; stop that one first or give this one its own file"
    return Refusal(Reason.UNAVAILABLE, sentence, check="storage.lock")


def unopened(path: str, cause: Exception) -> Refusal:
    """The database file cannot be opened at all."""
    return Refusal(Reason.UNAVAILABLE, f"the database {path} cannot be opened: {cause}", check="storage.open")
