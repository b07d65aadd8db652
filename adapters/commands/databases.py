"""Databases as commands name them that work on one directly, without a gateway."""

import contextlib
from collections.abc import Iterator

from adapters.commands.failure import Failure, UsageError
from adapters.commands.parsing import Environ


def configured(environ: Environ) -> str:
    """Return the database that the gateway would use with these settings. Raises `UsageError` where one of them is wrong."""
    from adapters.config import SettingError, from_environment

    try:
        return from_environment(environ).database_url
    except SettingError as fault:
        raise UsageError(str(fault)) from fault


@contextlib.contextmanager
def refused_in_one_line() -> Iterator[None]:
    """Turn what a store refuses into one line for the operator, and a URL that names no store into wrong usage."""
    from core.errors import Refusal

    try:
        yield
    except Refusal as refusal:
        raise Failure(refusal.detail) from refusal
    except ValueError as fault:
        raise UsageError(str(fault)) from fault
