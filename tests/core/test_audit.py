from collections.abc import Callable

import pytest

from core.audit import Audit
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import Rate
from core.messages import Context
from core.model import DEFAULT_TENANT, DeviceId, EventKind, ProfileId
from core.ports import Changes
from tests.core.faulty import FaultyRepository, unavailable
from tests.core.registry import CONTEXT, OTHER_TENANT, Registry

REFUSAL = Refusal(Reason.UNAUTHENTICATED, "the claim key and its secret are not known", check="claim.secret")


def test_an_event_says_where_its_request_came_from() -> None:
    registry = Registry()
    context = Context("c", "coap", "thingsboard", "2001:db8::7", actor="alice")
    event = registry.audit.event(
        EventKind.DEVICE_CHANGED,
        context,
        tenant=OTHER_TENANT,
        profile=ProfileId("p"),
        device=DeviceId("d"),
        device_name="meter-0042",
        check="a.check",
        detail="a detail",
    )
    assert (event.kind, event.at, event.tenant) == (EventKind.DEVICE_CHANGED, registry.clock.now(), OTHER_TENANT)
    assert (event.correlation, event.protocol, event.dialect) == ("c", "coap", "thingsboard")
    assert (event.source, event.actor) == ("2001:db8::7", "alice")
    assert (event.profile, event.device, event.device_name) == ("p", "d", "meter-0042")
    assert (event.check, event.detail) == ("a.check", "a detail")


def test_an_event_of_nobody_is_the_default_tenants() -> None:
    event = Registry().audit.event(EventKind.REQUEST_REFUSED, CONTEXT)
    assert (event.tenant, event.profile, event.device, event.device_name) == (DEFAULT_TENANT, None, None, "")


def test_a_strangers_name_is_cut_to_what_a_name_can_be() -> None:
    assert len(Registry().audit.event(EventKind.REQUEST_REFUSED, CONTEXT, device_name="x" * 10_000).device_name) == 255


async def test_a_refusal_is_recorded_with_what_is_known() -> None:
    registry = Registry()
    await registry.tenant()
    profile = await registry.profile(tenant=OTHER_TENANT)
    device = await registry.device(profile, "meter-0042")
    await registry.audit.refused(EventKind.LOGIN_REFUSED, CONTEXT, REFUSAL, profile=profile, device=device)
    (event,) = await registry.events(OTHER_TENANT)
    assert (event.kind, event.check, event.detail) == (EventKind.LOGIN_REFUSED, "claim.secret", REFUSAL.detail)
    assert (event.profile, event.device, event.device_name) == (profile.id, device.id, "meter-0042")


async def test_a_name_that_was_given_stands_where_no_device_is_known() -> None:
    registry = Registry()
    await registry.audit.refused(EventKind.PROVISION_REFUSED, CONTEXT, REFUSAL, device_name="stranger")
    await registry.audit.refused(EventKind.REQUEST_REFUSED, CONTEXT, REFUSAL)
    assert [event.device_name for event in await registry.events()].count("stranger") == 1


async def test_refusals_beyond_the_budget_are_not_written() -> None:
    registry = Registry(refusals=Rate(1.0, 2.0))
    for _ in range(5):
        await registry.audit.refused(EventKind.REQUEST_REFUSED, CONTEXT, REFUSAL)
    assert len(await registry.events()) == 2
    registry.clock.advance(1.0)
    await registry.audit.refused(EventKind.REQUEST_REFUSED, CONTEXT, REFUSAL)
    assert len(await registry.events()) == 3


async def test_the_budget_is_one_for_all_sources() -> None:
    registry = Registry(refusals=Rate(1.0, 1.0))
    for source in ("192.0.2.1", "192.0.2.2"):
        context = Context("c", "http", "", source)
        await registry.audit.refused(EventKind.REQUEST_REFUSED, context, REFUSAL)
    assert len(await registry.events()) == 1


async def test_what_a_flood_is_told_leaves_room_for_what_others_are_told() -> None:
    registry = Registry(refusals=Rate(200.0, 300.0))
    flood, other = (Context("c", "http", "", source) for source in ("192.0.2.1", "192.0.2.2"))
    too_many = Refusal(Reason.TOO_MANY, "too many attempts, try again later", check="limit.bootstrap")
    for _ in range(1_000):
        await registry.audit.refused(EventKind.BOOTSTRAP_REFUSED, flood, too_many)
    assert len(await registry.events()) == 3
    await registry.audit.refused(EventKind.BOOTSTRAP_REFUSED, other, REFUSAL)
    await registry.audit.refused(EventKind.BOOTSTRAP_REFUSED, other, too_many)
    assert len(await registry.events()) == 5
    registry.clock.advance(0.5)
    await registry.audit.refused(EventKind.BOOTSTRAP_REFUSED, flood, too_many)
    await registry.audit.refused(EventKind.BOOTSTRAP_REFUSED, flood, too_many)
    assert len(await registry.events()) == 6


async def test_who_records_without_a_limit_records_floods_too() -> None:
    registry = Registry()
    too_many = Refusal(Reason.TOO_MANY, "too many attempts, try again later", check="limit.bootstrap")
    for _ in range(10):
        await registry.audit.refused(EventKind.BOOTSTRAP_REFUSED, CONTEXT, too_many)
    assert len(await registry.events()) == 10


def conflicting(_changes: Changes) -> Exception | None:
    return Conflict(Guard.VERSION)


@pytest.mark.parametrize("fault", [unavailable, conflicting])
async def test_a_registry_that_cannot_take_the_event_changes_nothing(fault: Callable[[Changes], Exception | None]) -> None:
    registry = Registry()
    repository = FaultyRepository(fault)
    audit = Audit(repository, registry.clock, registry.entropy, Rate(0.0, 1.0))
    await audit.refused(EventKind.REQUEST_REFUSED, CONTEXT, REFUSAL)


async def test_what_the_registry_itself_failed_at_is_not_tried_on_it_again() -> None:
    commits: list[Changes] = []
    audit = Registry(FaultyRepository(commits.append)).audit  # remembers, and lets everything through
    refusal = Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed")
    await audit.refused(EventKind.PROVISION_REFUSED, CONTEXT, refusal)
    assert commits == []
    await audit.refused(EventKind.PROVISION_REFUSED, CONTEXT, REFUSAL)
    assert len(commits) == 1
