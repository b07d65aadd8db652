"""Devices that sign and come again: those of a group that has them wait for an operator, or prove themselves."""

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import BranchRequest, ConnectRequest, Enrolled, EnrolRequest, Identity
from core.model import DEFAULT_TENANT, Approval, CredentialId, EventKind, Profile, Reprovision, Verdict
from core.ports import Changes
from core.queries import ApprovalPage
from core.registration import ATTEMPTS, Withheld
from core.strategy import APPROVE_NEW
from tests.core.faulty import Conflicting, FaultyRepository, no_fault, unavailable
from tests.core.registry import CONTEXT
from tests.core.signing_fleet import SERIAL, Fleet, connection, enrolment


async def group(reprovision: Reprovision, repository: FaultyRepository | None = None) -> tuple[Fleet, Profile]:
    """Return a fleet with a group, and in it a device that has its triple."""
    fleet = Fleet(repository)
    made = await fleet.group()
    await fleet.allocated(made)
    return fleet, await fleet.change_group(made, reprovision=reprovision)


async def queue(fleet: Fleet) -> tuple[Approval, ...]:
    return await fleet.repository.read(ApprovalPage(tenant=DEFAULT_TENANT))


async def grant(fleet: Fleet) -> None:
    """Grant what the only device waits for."""
    (entry,) = await queue(fleet)
    granted = msgspec.structs.replace(entry, verdict=Verdict.GRANTED, version=entry.version + 1)
    await fleet.repository.commit(Changes(replace=(granted,)))


async def ask(fleet: Fleet, request: EnrolRequest | ConnectRequest) -> Enrolled:
    return await (fleet.enrol(request, CONTEXT) if isinstance(request, EnrolRequest) else fleet.fetch(request, CONTEXT))


async def refused(fleet: Fleet, request: EnrolRequest | ConnectRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await ask(fleet, request)
    return refusal.value


async def proved(fleet: Fleet) -> Identity:
    """Return what the device's connection proves that logged in with its triple."""
    found = await fleet.found()
    assert found.device is not None
    return Identity(found.device.tenant, found.device.id, found.device.name, found.credentials[0].id)


both = pytest.mark.parametrize("request_", [enrolment(), connection()], ids=["enrol", "connect"])


@both
async def test_who_comes_again_waits_and_gets_its_triple_once(request_: EnrolRequest | ConnectRequest) -> None:
    fleet, _ = await group(Reprovision.APPROVE)
    refusal = await refused(fleet, request_)
    assert isinstance(refusal, Withheld)
    assert (refusal.reason, refusal.check, refusal.serial) == (Reason.CONFLICT, "approval.waiting", SERIAL)
    await grant(fleet)
    assert (await ask(fleet, request_)).device.serial == SERIAL
    assert await queue(fleet) == ()
    assert (await refused(fleet, request_)).check == "approval.waiting"
    told = [event.check for event in await fleet.events() if event.kind is EventKind.PROVISION_REFUSED]
    assert told == ["approval.waiting"] * 2


@both
async def test_who_comes_again_proves_by_its_connection_that_it_has_its_triple(
    request_: EnrolRequest | ConnectRequest,
) -> None:
    fleet, _ = await group(Reprovision.PROVE)
    refusal = await refused(fleet, request_)
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "reprovision.unproved")
    proof = await proved(fleet)
    assert (await ask(fleet, msgspec.structs.replace(request_, connection=proof))).device.serial == SERIAL
    by_key = msgspec.structs.replace(proof, credential=None)
    assert (await ask(fleet, msgspec.structs.replace(request_, connection=by_key))).device.serial == SERIAL
    gone = msgspec.structs.replace(proof, credential=CredentialId("gone"))
    assert (await refused(fleet, msgspec.structs.replace(request_, connection=gone))).check == "reprovision.unproved"


async def test_a_new_device_waits_under_its_serial() -> None:
    fleet = Fleet()
    await fleet.change_group(await fleet.group(), options=(APPROVE_NEW,))
    assert (await refused(fleet, enrolment())).check == "approval.waiting"
    (entry,) = await queue(fleet)
    assert (entry.name, entry.device) == (SERIAL, None)
    assert (await fleet.found()).device is None
    await grant(fleet)
    assert (await ask(fleet, enrolment())).device.serial == SERIAL


async def test_a_gateways_branch_waits_as_any_other() -> None:
    fleet = Fleet()
    made = await fleet.group(metadata={"gateway": True})
    await fleet.allocated(made)
    await fleet.change_group(made, options=(APPROVE_NEW,))
    refusal = await refused(fleet, connection(sub=BranchRequest(branch=3)))
    assert isinstance(refusal, Withheld)
    assert (refusal.check, refusal.serial) == ("approval.waiting", f"{SERIAL}_3")


async def test_an_entry_that_is_overtaken_is_made_anew_some_times_at_most() -> None:
    repository = FaultyRepository(no_fault)
    fleet, _ = await group(Reprovision.APPROVE, repository)
    repository.fault = Conflicting(Conflict(Guard.VERSION), 1)
    assert (await refused(fleet, connection())).check == "approval.waiting"
    await grant(fleet)
    repository.fault = Conflicting(Conflict(Guard.VERSION), ATTEMPTS)
    assert (await refused(fleet, connection())).check == "registry.conflict"
    assert (await ask(fleet, connection())).device.serial == SERIAL


@both
async def test_a_registry_that_cannot_enter_anybody_says_so(request_: EnrolRequest | ConnectRequest) -> None:
    repository = FaultyRepository(no_fault)
    fleet, _ = await group(Reprovision.APPROVE, repository)
    repository.fault = unavailable
    assert (await refused(fleet, request_)).reason is Reason.UNAVAILABLE
