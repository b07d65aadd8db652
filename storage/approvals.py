"""Devices that wait for an operator's approval, read through an SQLite connection on the connection's thread."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import sqlite3
from collections.abc import Sequence

from core.limits import APPROVALS, APPROVALS_OF_SOURCE
from core.model import Approval, TenantId
from core.queries import ApprovalPage, ApprovalQuery, ApprovalsQuery, NamedApprovalsQuery
from storage import approval_rows
from storage.bounds import ALIKE_APPROVALS, page_size
from storage.pages import Statement
from storage.statements import Grouped

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
APPROVALS_BY_NAME = Grouped(
    f"""WITH asked (profile, name) AS (VALUES {{rows}}) SELECT {approval_rows.APPROVAL} FROM asked
    CROSS JOIN approval ON approval.profile = asked.profile AND approval.name = asked.name""",
    width=2,
)
APPROVALS_BY_ID = Grouped(
    f"""WITH asked (id, tenant) AS (VALUES {{rows}}) SELECT {approval_rows.APPROVAL} FROM asked
    CROSS JOIN approval ON approval.id = asked.id AND approval.tenant = asked.tenant""",
    width=2,
)
NAMED = f"""SELECT {approval_rows.APPROVAL} FROM approval INDEXED BY approval_asked
    WHERE tenant = ? AND name = ? ORDER BY id LIMIT {ALIKE_APPROVALS}"""
OF_SOURCE = f"""SELECT count(*) FROM
    (SELECT 1 FROM approval INDEXED BY approval_stranger WHERE stranger = ? LIMIT {APPROVALS_OF_SOURCE})"""
OF_TENANT = f"SELECT count(*) FROM (SELECT 1 FROM approval INDEXED BY approval_tenant WHERE tenant = ? LIMIT {APPROVALS})"


def asked(connection: sqlite3.Connection, queries: Sequence[ApprovalQuery]) -> list[Approval | None]:
    """Answer for devices that ask, all from the same moment."""
    names = {(query.profile, query.name) for query in queries}
    approvals = map(approval_rows.approval, APPROVALS_BY_NAME.run(connection, list(names)))
    found = {(approval.profile, approval.name): approval for approval in approvals}
    return [found.get((query.profile, query.name)) for query in queries]


def of_ids(connection: sqlite3.Connection, query: ApprovalsQuery) -> tuple[Approval | None, ...]:
    """Answer for entries by id, in the order of the ids."""
    distinct = [(identity, query.tenant) for identity in dict.fromkeys(query.ids)]
    found = {row[0]: approval_rows.approval(row) for row in APPROVALS_BY_ID.run(connection, distinct)}
    return tuple(found.get(identity) for identity in query.ids)


def named(connection: sqlite3.Connection, query: NamedApprovalsQuery) -> tuple[Approval, ...]:
    """Answer for entries by name."""
    return tuple(map(approval_rows.approval, connection.execute(NAMED, (query.tenant, query.name)).fetchall()))


def page(connection: sqlite3.Connection, query: ApprovalPage) -> tuple[Approval, ...]:
    """Answer a page of a tenant's queue."""
    return tuple(map(approval_rows.approval, connection.execute(*in_order(query)).fetchall()))


def in_order(query: ApprovalPage) -> Statement:
    """Return the statement that walks a tenant's queue in the order of ids; filters are held against each row met."""
    where, parameters = ["tenant = ?", "id > ?", "expires_at > ?"], [query.tenant, query.after or "", query.now]
    if query.profile is not None:
        where.append("profile = ?")
        parameters.append(query.profile)
    if query.verdict is not None:
        where.append("verdict = ?")
        parameters.append(query.verdict.value)
    text = f"""SELECT {approval_rows.APPROVAL} FROM approval INDEXED BY approval_tenant
        WHERE {" AND ".join(where)} ORDER BY id LIMIT ?"""
    return Statement(text, (*parameters, page_size(query.limit)))


def counts(connection: sqlite3.Connection, tenant: TenantId, stranger: str) -> tuple[int, int]:
    """Return how many entries a source and a tenant have, each no further than it may be."""
    (of_source,) = connection.execute(OF_SOURCE, (stranger,)).fetchone()
    (of_tenant,) = connection.execute(OF_TENANT, (tenant,)).fetchone()
    return of_source, of_tenant
