"""Which command an application's request means, for each action."""

from adapters.dialects.enos import application_bodies as bodies
from adapters.dialects.enos.application_expression import read_expression
from adapters.dialects.enos.errors import InvalidArgument, missing
from adapters.exchange import Inbound
from core.errors import Reason, Refusal
from core.operate.allocating import (
    AllocateSerial,
    CreateSerials,
    DeleteSerials,
    MasterData,
    ReplaceSerial,
    ResetAllocations,
    SearchSerials,
    ShowSerial,
    UpdateSerial,
)


def create(inbound: Inbound) -> CreateSerials:
    """Read `create`. Raises `Refusal` MALFORMED."""
    body = bodies.read_body(inbound.body, bodies.Create)
    group = bodies.needed(body.group_id, "groupId")
    if body.count is None:
        raise missing("count")
    if not 1 <= body.count <= bodies.COUNT:
        raise Refusal(Reason.MALFORMED, f"count: 1 to {bodies.COUNT}", check="serial.count")
    data = bodies.read_data(body.device_data, body.desc, body.batch_tag)
    if data.serial is not None and body.count > 1:
        raise InvalidArgument("deviceData.deviceSn", "a serial is one device's, count says more", check="serial.shared")
    tag = data.metadata.get(bodies.BATCH_TAG)
    return CreateSerials(
        group=group,
        count=body.count,
        serial=data.serial,
        batch=tag[bodies.DEFAULT] if tag else "",
        label=data.label or "",
        metadata={name: value for name, value in data.metadata.items() if value is not None},
    )


def show(inbound: Inbound) -> ShowSerial:
    """Read `get`. Raises `Refusal` MALFORMED."""
    name = inbound.query.get("sn")
    if not name and inbound.body:
        name = bodies.read_body(inbound.body, bodies.Named).sn
    return ShowSerial(bodies.needed(name, "sn"))


def search(inbound: Inbound) -> SearchSerials:
    """Read `search`. Raises `Refusal` MALFORMED."""
    body = bodies.read_body(inbound.body, bodies.Search)
    filters, page = read_expression(body.expression or ""), bodies.read_page(body.pagination)
    return SearchSerials(
        groups=filters.groups,
        names=filters.names,
        serials=filters.serials,
        states=filters.states,
        members=filters.members,
        order=page.order,
        descending=page.descending,
        offset=(page.number - 1) * page.size,
        limit=page.size,
    )


def allocate(inbound: Inbound) -> AllocateSerial:
    """Read `allocate`. Raises `Refusal` MALFORMED."""
    return AllocateSerial(*_change(inbound))


def update(inbound: Inbound) -> UpdateSerial:
    """Read `update`. Raises `Refusal` MALFORMED."""
    return UpdateSerial(*_change(inbound))


def _change(inbound: Inbound) -> tuple[str, MasterData]:
    body = bodies.read_body(inbound.body, bodies.Change)
    return bodies.needed(body.sn, "sn"), bodies.read_data(body.device_data, body.desc, body.batch_tag)


def reset(inbound: Inbound) -> ResetAllocations:
    """Read `resetAllocationStatus`. Raises `Refusal` MALFORMED."""
    body = bodies.read_body(inbound.body, bodies.Named)
    group = bodies.needed(body.group_id, "groupId")
    return ResetAllocations(group, _names(body.sns, "sns"))


def replace(inbound: Inbound) -> ReplaceSerial:
    """Read `replace`. Raises `Refusal` MALFORMED."""
    body = bodies.read_body(inbound.body, bodies.Named)
    return ReplaceSerial(bodies.needed(body.sn, "sn"), bodies.needed(body.replacement_sn, "replacementSn"))


def delete(inbound: Inbound) -> DeleteSerials:
    """Read `delete`. Raises `Refusal` MALFORMED."""
    body = bodies.read_body(inbound.body, bodies.Named)
    group = bodies.needed(body.group_id, "groupId")
    return DeleteSerials(group, _names(body.sn_list, "snList"))


def _names(names: list[str] | None, field: str) -> tuple[str, ...]:
    if not names:
        raise missing(field)
    return tuple(names)
