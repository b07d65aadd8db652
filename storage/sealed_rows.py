"""Sealed values and the keys of the ring as rows of a database and back, and how they are asked for.

A hook's value is within a JSON text. PostgreSQL takes the statements as `storage.postgres.spelling` spells them.
"""

from typing import Any

import msgspec

from core.crypto.key_ring import RingKey
from core.model import Hook, Sealed
from core.resealing import SealedPlace, SealedRow
from storage.rows import Row

KEYS = "SELECT id, purpose, sealed, created_at FROM key_ring ORDER BY id, purpose"
COUNT = {
    SealedPlace.PROFILES: "SELECT count(*) FROM profile",
    SealedPlace.CREDENTIALS: "SELECT count(sealed) FROM credential",
    SealedPlace.CONFIGS: "SELECT count(*) FROM config",
    SealedPlace.DOCUMENTS: "SELECT count(*) FROM config_document",
}
BATCH = {
    SealedPlace.PROFILES: "SELECT id, provision_secret, previous_secret, hook FROM profile WHERE id > ? ORDER BY id LIMIT ?",
    SealedPlace.CREDENTIALS: "SELECT id, sealed FROM credential WHERE id > ? AND sealed IS NOT NULL ORDER BY id LIMIT ?",
    SealedPlace.CONFIGS: "SELECT id, external_key FROM config WHERE id > ? ORDER BY id LIMIT ?",
    SealedPlace.DOCUMENTS: """SELECT config, content, certificates FROM config_document
        WHERE config > ? ORDER BY config LIMIT ?""",
}


def ring_key(row: Row) -> RingKey:
    """Return the key of a row."""
    return RingKey(id=row[0], purpose=row[1], sealed=row[2], created_at=row[3])


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
