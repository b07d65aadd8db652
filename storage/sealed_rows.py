"""Sealed values as rows of a database and back; a hook's is within a JSON text."""

from typing import Any

import msgspec

from core.model import Hook, Sealed
from core.resealing import SealedPlace, SealedRow
from storage.rows import Row


def sealed_row(place: SealedPlace, row: Row) -> SealedRow:
    """Return the values of a row: its id, then its columns."""
    if place is SealedPlace.PROFILES:
        hook = None if row[3] is None else msgspec.json.decode(row[3], type=Hook).secret
        return SealedRow(row[0], (row[1], row[2], hook))
    return SealedRow(row[0], tuple(row[1:]))


def parameters(place: SealedPlace, before: SealedRow, after: SealedRow) -> tuple[Any, ...]:
    """Return what a statement needs that replaces values: the id, what they become, what they have to be."""
    if place is SealedPlace.PROFILES:
        *were, hook_was = before.values
        *become, hook_becomes = after.values
        return before.id, *become, _in_json(hook_becomes), *were, _in_json(hook_was)
    return before.id, *after.values, *before.values


def _in_json(sealed: Sealed | None) -> str | None:
    """Return a value as it stands in a JSON text, with its quotation marks, so that nothing else is like it."""
    return None if sealed is None else msgspec.json.encode(sealed).decode()
