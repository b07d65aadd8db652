"""Devices that fetch their configuration again, of a profile that has those who come again wait for an operator."""

import msgspec

from core.messages import BootstrapRequest, Identity, PlainKey
from core.model import DEFAULT_TENANT, CredentialId, Device, EventKind, Reprovision, Secret, Verdict
from core.operate.approving import DecideApproval, ListApprovals
from core.ports import Changes
from core.queries import ApprovalPage
from tests.operating import Desk

BY_KEY = BootstrapRequest(external_id="aa:bb", proof=PlainKey(Secret("external key")))


async def fetched(reprovision: Reprovision = Reprovision.APPROVE) -> tuple[Desk, Device]:
    """Return a desk whose only device has fetched its configuration once."""
    desk = Desk()
    await desk.profile("meters", reprovision=reprovision)
    device = await desk.device("meter-1")
    await desk.config(client=device.id)
    await desk.bootstrap(BY_KEY)
    return desk, (await desk.bootstrap(msgspec.structs.replace(BY_KEY, version_only=True))).device


async def test_the_first_time_nothing_is_asked() -> None:
    desk, _ = await fetched()
    assert (await desk(ListApprovals())).items == ()


async def test_who_comes_again_by_its_key_waits_and_is_let_through_once() -> None:
    desk, device = await fetched()
    for _ in range(2):
        refusal = await desk.bootstrap_refused(BY_KEY)
        assert (refusal.check, refusal.reason.value) == ("approval.waiting", "forbidden")
    (entry,) = (await desk(ListApprovals())).items
    assert (entry.name, entry.device, entry.dialect) == ("meter-1", device.id, "mainflux")
    await desk(DecideApproval(ref="meter-1", verdict=Verdict.GRANTED))
    assert (await desk.bootstrap(BY_KEY)).device.id == device.id
    assert (await desk.bootstrap_refused(BY_KEY)).check == "approval.waiting"


async def test_who_has_what_there_is_or_asks_for_the_version_alone_is_given_nothing_and_waits_for_nothing() -> None:
    desk, _ = await fetched()
    version = await desk.bootstrap(msgspec.structs.replace(BY_KEY, version_only=True))
    assert (await desk.bootstrap(msgspec.structs.replace(BY_KEY, held=(version.etag,)))).unchanged


async def test_who_proved_a_credential_is_served_and_who_proved_the_external_key_waits() -> None:
    desk, device = await fetched()
    for _ in range(2):
        assert (await desk.bootstrap(by(device, "of its own"))).device.id == device.id
    assert (await desk.bootstrap_refused(by(device, None))).check == "approval.waiting"


def by(device: Device, credential: str | None) -> BootstrapRequest:
    """Return what a device asks whose connection proved this."""
    proved = None if credential is None else CredentialId(credential)
    return BootstrapRequest(external_id="aa:bb", proof=Identity(device.tenant, device.id, device.name, proved))


async def test_waiting_is_no_guess() -> None:
    desk, _ = await fetched()
    for _ in range(100):
        assert (await desk.bootstrap_refused(BY_KEY)).check == "approval.waiting"
    assert {event.check for event in await desk.events(EventKind.BOOTSTRAP_REFUSED)} == {"approval.waiting"}


async def test_an_answer_that_changes_meanwhile_is_looked_at_again() -> None:
    desk, _ = await fetched()
    await desk.bootstrap_refused(BY_KEY)
    await desk(DecideApproval(ref="meter-1", verdict=Verdict.GRANTED))
    (entry,) = await desk.repository.read(ApprovalPage(tenant=DEFAULT_TENANT))
    rival = msgspec.structs.replace(entry, verdict=Verdict.REFUSED, version=entry.version + 1)
    desk.repository.overtaking = [Changes(replace=(rival,))]
    assert (await desk.bootstrap_refused(BY_KEY)).check == "approval.refused"


async def test_with_any_other_policy_a_configuration_is_fetched_as_often_as_a_device_likes() -> None:
    for reprovision in set(Reprovision) - {Reprovision.APPROVE}:
        desk, device = await fetched(reprovision)
        assert (await desk.bootstrap(BY_KEY)).device.id == device.id
