"""What stands behind a protected wire: profiles by certificate, OSCORE contexts, and certificates that were made here."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Sequence

from core.model import OscoreState, Profile
from core.queries import AnchorsQuery, IssuedPage, IssuedSnapshot, OscoreQuery
from storage import profile_rows, trust_rows
from storage.bounds import ANCHORED, page_size
from storage.statements import Grouped, Statement
from storage.steps import Steps


def _profiles_by(column: str, index: str) -> Grouped:
    """Make the statement for the profiles that have one of these in a column."""
    # CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
    return Grouped(
        f"""WITH asked (anchor) AS (VALUES {{rows}}) SELECT asked.anchor, {profile_rows.PROFILE} FROM asked
        CROSS JOIN profile ON profile.id IN (SELECT alike.id FROM profile AS alike INDEXED BY {index}
            WHERE alike.{column} = asked.anchor AND alike.{column} IS NOT NULL ORDER BY alike.id LIMIT {ANCHORED})""",
        width=1,
        postgres=f"""WITH asked (anchor) AS (VALUES {{rows}}) SELECT asked.anchor, {profile_rows.PROFILE} FROM asked
        CROSS JOIN LATERAL (SELECT * FROM profile AS alike WHERE alike.{column} = asked.anchor AND alike.{column} IS NOT NULL
            ORDER BY alike.id LIMIT {ANCHORED}) AS profile""",
    )


PROFILES_BY_ANCHOR = _profiles_by("anchor", "profile_anchor")
PROFILES_BY_NAME = _profiles_by("anchor_name", "profile_anchor_name")
OSCORE_BY_ID = Grouped(
    f"""WITH asked (id) AS (VALUES {{rows}}) SELECT {trust_rows.OSCORE} FROM asked
    CROSS JOIN oscore_state ON oscore_state.id = asked.id""",
    width=1,
)
_LIVE = "EXISTS (SELECT 1 FROM credential WHERE credential.lookup = issued.lookup)"
ISSUED = f"SELECT {trust_rows.ISSUED}, {_LIVE} FROM issued WHERE id > ? AND not_after > ? ORDER BY id LIMIT ?"
REVOKED = f"SELECT {trust_rows.ISSUED}, 0 FROM issued WHERE id > ? AND not_after > ? AND NOT {_LIVE} ORDER BY id LIMIT ?"


def anchored(queries: Sequence[AnchorsQuery]) -> Steps[list[tuple[tuple[Profile, ...], ...]]]:
    """Answer for the profiles of certificates and of names, all from the same moment."""
    by_anchor = yield from _found(PROFILES_BY_ANCHOR, {anchor for query in queries for anchor in query.anchors})
    by_name = yield from _found(PROFILES_BY_NAME, {name for query in queries for name in query.names})
    return [(*map(by_anchor.__getitem__, query.anchors), *map(by_name.__getitem__, query.names)) for query in queries]


def _found(statement: Grouped, asked: set[str]) -> Steps[dict[str, tuple[Profile, ...]]]:
    found: dict[str, list[Profile]] = {each: [] for each in asked}
    for row in (yield statement.asked([(each,) for each in asked])):
        found[row[0]].append(profile_rows.profile(row[1:]))
    return {each: tuple(sorted(some, key=lambda profile: profile.id)) for each, some in found.items()}


def oscore_states(queries: Sequence[OscoreQuery]) -> Steps[list[OscoreState | None]]:
    """Answer for OSCORE contexts, all from the same moment."""
    asked = {query.id for query in queries}
    states = map(trust_rows.oscore, (yield OSCORE_BY_ID.asked([(credential,) for credential in asked])))
    found = {state.id: state for state in states}
    return [found.get(query.id) for query in queries]


def issued(query: IssuedPage) -> Steps[tuple[IssuedSnapshot, ...]]:
    """Answer a page of certificates. Not bounded is the walk to the next revoked one where hardly any is."""
    statement = REVOKED if query.revoked else ISSUED
    found = yield Statement(statement, (query.after or "", query.until, page_size(query.limit)))
    return tuple(IssuedSnapshot(trust_rows.issued(row), live=bool(row[-1])) for row in found)
