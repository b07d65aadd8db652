"""How operators empty the queue of devices that wait for their approval."""

import msgspec
import pytest

from core.approvals import WAITING_MS
from core.errors import Conflict, Guard, Reason, Refusal
from core.model import Approval, ApprovalId, EventKind, Profile, Verdict
from core.operate.approving import AT_ONCE, DecideApproval, DecideApprovals, ListApprovals
from core.operate.configuring import CreateTenant
from core.ports import Changes
from tests.core.approving import an_approval
from tests.operating import Desk


async def waiting(desk: Desk, *names: str, profile: str = "meters") -> tuple[Profile, list[Approval]]:
    """Have devices wait, of a profile that is made for them."""
    made = await desk.profile(profile)
    entries = [an_approval(made, name, id=ApprovalId(f"{profile} {name}")) for name in names]
    await desk.repository.commit(Changes(insert=tuple(entries)))
    return made, entries


def grant(ref: str, profile: str | None = None) -> DecideApproval:
    return DecideApproval(ref=ref, verdict=Verdict.GRANTED, profile=profile)


async def test_those_who_wait_come_in_pages() -> None:
    desk = Desk()
    _, (first, second, third) = await waiting(desk, "a", "b", "c")
    page = await desk(ListApprovals(limit=2))
    assert (page.items, page.next) == ((first, second), second.id)
    assert (await desk(ListApprovals(limit=2, after=page.next))).items == (third,)


async def test_a_list_is_of_one_profile_or_verdict() -> None:
    desk = Desk()
    _, (first,) = await waiting(desk, "a")
    _, (second,) = await waiting(desk, "a", profile="pumps")
    assert (await desk(ListApprovals(profile="pumps"))).items == (second,)
    granted = await desk(grant(first.id))
    assert (await desk(ListApprovals(verdict=Verdict.GRANTED))).items == (granted,)
    assert (await desk(ListApprovals(verdict=Verdict.REFUSED))).items == ()
    assert (await desk.refused(ListApprovals(profile="nowhere"))).check == "profile.unknown"


@pytest.mark.parametrize("verdict", [Verdict.GRANTED, Verdict.REFUSED])
async def test_an_answer_is_recorded_and_stands_for_a_while(verdict: Verdict) -> None:
    desk = Desk()
    _, (entry,) = await waiting(desk, "meter-1")
    desk.clock.advance(60)
    answered = await desk(DecideApproval(ref="meter-1", verdict=verdict))
    now = desk.clock.now()
    changed = {"verdict": verdict, "updated_at": now, "expires_at": now + WAITING_MS, "version": 2}
    assert answered == msgspec.structs.replace(entry, **changed)
    event = await desk.last_event(EventKind.APPROVAL_DECIDED)
    assert (event.device_name, event.detail, event.actor) == ("meter-1", verdict.value, "admin")
    assert await desk(DecideApproval(ref="meter-1", verdict=verdict)) == answered
    assert len(await desk.events(EventKind.APPROVAL_DECIDED)) == 1


async def test_an_answer_may_be_changed() -> None:
    desk = Desk()
    await waiting(desk, "meter-1")
    await desk(grant("meter-1"))
    assert (await desk(DecideApproval(ref="meter-1", verdict=Verdict.REFUSED))).verdict is Verdict.REFUSED


async def test_nobody_is_made_to_wait() -> None:
    desk = Desk()
    await waiting(desk, "meter-1")
    refusal = await desk.refused(DecideApproval(ref="meter-1", verdict=Verdict.WAITING))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "approval.verdict")


async def test_a_name_of_several_profiles_needs_one_of_them_and_an_id_does_not() -> None:
    desk = Desk()
    _, (first,) = await waiting(desk, "meter-1")
    _, (second,) = await waiting(desk, "meter-1", profile="pumps")
    refusal = await desk.refused(grant("meter-1"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "approval.ambiguous")
    assert (await desk(grant("meter-1", "pumps"))).id == second.id
    assert (await desk(grant(first.id))).id == first.id


async def test_an_id_is_meant_before_a_name_that_is_the_same() -> None:
    desk = Desk()
    made, (entry,) = await waiting(desk, "meter-1")
    await desk.repository.commit(Changes(insert=(an_approval(made, entry.id),)))
    assert (await desk(grant(entry.id))).id == entry.id


async def test_who_does_not_wait_cannot_be_answered() -> None:
    desk = Desk()
    made, _ = await waiting(desk, "meter-1")
    over = an_approval(made, "over", expires_at=desk.clock.now())
    await desk.repository.commit(Changes(insert=(over,)))
    for command in (grant("nobody"), grant("over"), grant(over.id)):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "approval.unknown")
    assert [each.name for each in (await desk(ListApprovals())).items] == ["meter-1"]


async def test_a_tenant_answers_its_own_alone() -> None:
    desk = Desk()
    await waiting(desk, "meter-1")
    await desk(CreateTenant(id="acme", name="acme"))
    assert (await desk.refused(grant("meter-1"), tenant="acme")).check == "approval.unknown"


async def test_good_answers_are_taken_whatever_the_bad_ones_are() -> None:
    desk = Desk()
    await waiting(desk, "a", "b")
    decisions = (grant("a"), grant("nobody"), DecideApproval(ref="b", verdict=Verdict.REFUSED), grant("a", "nowhere"))
    result = await desk(DecideApprovals(decisions))
    assert [(each.name, each.verdict) for each in result.decided] == [("a", Verdict.GRANTED), ("b", Verdict.REFUSED)]
    assert [(error.line, error.ref) for error in result.errors] == [(2, "nobody"), (4, "a")]
    assert result.errors[0].reason == "no device of this id or name waits for approval"


@pytest.mark.parametrize("count", [0, AT_ONCE + 1])
async def test_there_are_bounds_to_the_answers_of_one_command(count: int) -> None:
    desk = Desk()
    refusal = await desk.refused(DecideApprovals((grant("a"),) * count))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "approval.decisions")


async def test_answers_that_are_overtaken_are_given_anew() -> None:
    desk = Desk()
    _, (entry,) = await waiting(desk, "meter-1")
    rival = msgspec.structs.replace(entry, verdict=Verdict.REFUSED, version=2)
    desk.repository.overtaking = [Changes(replace=(rival,))]
    assert (await desk(grant("meter-1"))).version == 3


async def test_a_store_that_is_down_stops_them_all() -> None:
    desk = Desk()
    await waiting(desk, "a", "b")
    desk.repository.failures = [Refusal(Reason.UNAVAILABLE, "no", check="storage.failed")]
    assert (await desk.refused(DecideApprovals((grant("a"), grant("b"))))).reason is Reason.UNAVAILABLE
    desk.repository.failures = [Conflict(Guard.VERSION)] * 3
    assert [error.ref for error in (await desk(DecideApprovals((grant("a"), grant("b"))))).errors] == ["a"]
