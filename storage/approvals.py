"""Devices that wait for an operator's approval: by name, by id, in pages and counted."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Sequence

from core.limits import APPROVALS, APPROVALS_OF_SOURCE
from core.model import Approval, TenantId
from core.queries import ApprovalPage, ApprovalQuery, ApprovalsQuery, NamedApprovalsQuery
from storage import approval_rows
from storage.bounds import ALIKE_APPROVALS, page_size
from storage.statements import BY_INDEX, Grouped, Statement
from storage.steps import Steps

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
APPROVALS_BY_NAME = Grouped(
    f"""WITH asked (profile, name) AS (VALUES {{rows}}) SELECT {approval_rows.APPROVAL} FROM asked
    CROSS JOIN approval ON approval.profile = asked.profile AND approval.name = asked.name""",
    width=2,
)
APPROVALS_BY_ID = Grouped(
    f"""WITH asked (id, tenant) AS (VALUES {{rows}}) SELECT {approval_rows.APPROVAL} FROM asked
    CROSS JOIN approval ON approval.id = asked.id AND +approval.tenant = asked.tenant""",
    width=2,
)
NAMED = f"""SELECT {approval_rows.APPROVAL} FROM approval INDEXED BY approval_asked
    WHERE tenant = ? AND name = ? ORDER BY id LIMIT {ALIKE_APPROVALS}"""
OF_SOURCE = f"""SELECT count(*) FROM
    (SELECT 1 FROM approval INDEXED BY approval_stranger WHERE stranger = ? LIMIT {APPROVALS_OF_SOURCE}) AS theirs"""
OF_TENANT = f"""SELECT count(*) FROM
    (SELECT 1 FROM approval INDEXED BY approval_tenant WHERE tenant = ? LIMIT {APPROVALS}) AS theirs"""


def asked(queries: Sequence[ApprovalQuery]) -> Steps[list[Approval | None]]:
    """Answer for devices that ask, all from the same moment."""
    names = {(query.profile, query.name) for query in queries}
    approvals = map(approval_rows.approval, (yield APPROVALS_BY_NAME.asked(names)))
    found = {(approval.profile, approval.name): approval for approval in approvals}
    return [found.get((query.profile, query.name)) for query in queries]


def of_ids(query: ApprovalsQuery) -> Steps[tuple[Approval | None, ...]]:
    """Answer for entries by id, in the order of the ids."""
    distinct = [(identity, query.tenant) for identity in dict.fromkeys(query.ids)]
    found = {row[0]: approval_rows.approval(row) for row in (yield APPROVALS_BY_ID.asked(distinct))}
    return tuple(found.get(identity) for identity in query.ids)


def named(query: NamedApprovalsQuery) -> Steps[tuple[Approval, ...]]:
    """Answer for entries by name."""
    return tuple(map(approval_rows.approval, (yield Statement(NAMED, (query.tenant, query.name)))))


def page(query: ApprovalPage) -> Steps[tuple[Approval, ...]]:
    """Answer a page of a tenant's queue."""
    return tuple(map(approval_rows.approval, (yield in_order(query))))


def in_order(query: ApprovalPage) -> Statement:
    """Return the statement that walks a tenant's queue in the order of ids; filters are held against each row met."""
    where, parameters = ["tenant = ?", f"{BY_INDEX} > ?", "expires_at > ?"], [query.tenant, query.after or "", query.now]
    if query.profile is not None:
        where.append("+profile = ?")
        parameters.append(query.profile)
    if query.verdict is not None:
        where.append("verdict = ?")
        parameters.append(query.verdict.value)
    text = f"""SELECT {approval_rows.APPROVAL} FROM approval INDEXED BY approval_tenant
        WHERE {" AND ".join(where)} ORDER BY {BY_INDEX} LIMIT ?"""
    return Statement(text, (*parameters, page_size(query.limit)))


def counts(tenant: TenantId, stranger: str) -> Steps[tuple[int, int]]:
    """Return how many entries a source and a tenant have, each no further than it may be."""
    ((of_source,),) = yield Statement(OF_SOURCE, (stranger,))
    ((of_tenant,),) = yield Statement(OF_TENANT, (tenant,))
    return of_source, of_tenant
