"""Statements in PostgreSQL's spelling, made out of those that SQLite takes.

What is rewritten, and nothing else:

- `?` counts its place: `$1`, `$2`.
- `INDEXED BY name` goes: PostgreSQL takes no such word. What keeps it to the index is that nothing else is left to choose: a
  column that SQLite is told to leave alone by a sign (`+name = ?`) is no column of an index here either (`name || ''`).
- `CROSS JOIN table ON`, by which SQLite keeps the order of the tables, is a lateral subquery with an `OFFSET`, which is always
  carried out for each row before it. A join would be planned by how large the table was when the plan was made: while it is
  empty a walk along all of it costs nothing, and plans outlive that.
- `COLLATE BINARY` is `COLLATE "POSIX"`: see `storage.statements.BY_INDEX`.
- `IS NOT (...)` between rows is `IS DISTINCT FROM (...)`.
- `instr(text, part)` is `strpos`, held to whole characters: see `_WITHIN`.
- The `VALUES` of a grouped statement are `unnest` of one array for each column.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from itertools import count
from typing import Any

from storage.rows import Row
from storage.statements import Grouped

_KEPT = 1024
"""Spelled texts that are remembered; pages of many filters have the more of them."""

_INDEXED = re.compile(r"\s+INDEXED BY \w+")
_JOINED = re.compile(r"\bCROSS JOIN (\w+)(?: AS (\w+))?\s+ON\s+(.*?)(?=\s+(?:CROSS JOIN|WHERE)\b|$)", re.DOTALL)
_LEFT_ALONE = re.compile(r"(?<=[\s(])\+([a-z_.]+)")
_INSTR = re.compile(r"\binstr\(((?:[^()]|\([^()]*\))*), (\$\d+)\)")
_VALUES = "VALUES {rows}"

# U+0000 and U+0001 are stored as U+0001 and a second character, U+0001 or U+0002 (`storage.postgres.texts`), so a part that
# begins with one of these could be found in the middle of another character. Where it begins a match is told by what stands
# before it: characters that are whole.
_QUOTED = r"regexp_replace(\2, '[][(){}.*+?^$|\\\\]', '\\\\\\&', 'g')"
_WITHIN = rf"(strpos(\1, \2) > 0 AND (ascii(\2) > 2 OR \1 ~ (E'^(?:[^\\x01]|\\x01.)*' || {_QUOTED})))"


@lru_cache(maxsize=_KEPT)
def spell(text: str) -> str:
    """Return a statement as PostgreSQL takes it, with the parameters in the order that they have in SQLite's."""
    plain = _JOINED.sub(_lateral, _INDEXED.sub("", text))
    plain = plain.replace(") IS NOT (", ") IS DISTINCT FROM (").replace("COLLATE BINARY", 'COLLATE "POSIX"')
    plain = _LEFT_ALONE.sub(r"(\1 || '')", plain)
    return _INSTR.sub(_WITHIN, _numbered(plain))


def _lateral(join: re.Match[str]) -> str:
    table, alias, condition = join.groups()
    name = alias or table
    return f"CROSS JOIN LATERAL (SELECT * FROM {table} AS {name} WHERE {condition} OFFSET 0) AS {name}"  # noqa: S608 - constants


def _numbered(text: str) -> str:
    numbers = map("${}".format, count(1))
    return re.sub(r"\?", lambda _: next(numbers), text)


@lru_cache(maxsize=_KEPT)
def spell_group(statement: Grouped) -> str:
    """Return a grouped statement as PostgreSQL takes it: for each column of the rows one parameter, an array."""
    columns = ", ".join(f"${place}::{name}[]" for place, name in enumerate(statement.types, 1))
    return over(statement, f"SELECT * FROM unnest({columns})")  # noqa: S608 - constants alone


def over(statement: Grouped, source: str) -> str:
    """Return a grouped statement that takes its rows from a SELECT, the parameters of which are numbered already."""
    return spell(statement.template.replace(_VALUES, "{rows}")).replace("{rows}", spell(source))


def arrays(statement: Grouped, rows: Collection[Row]) -> tuple[str, list[list[Any]]]:
    """Return a grouped statement with the parameters for at least one row."""
    return spell_group(statement), [list(column) for column in zip(*rows, strict=True)]
