"""What operators do with the credentials of a device."""

import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AccessToken
from core.model import CredentialKind, DeviceState, EventKind, Secret
from core.operate.messages import (
    ListEvents,
    ProposedToken,
    ReadCredentials,
    RevokeCredentials,
    RotateCredentials,
    ShowDevice,
)
from core.ports import Changes
from core.queries import DeviceQuery, LoginQuery
from tests.operating import Desk


async def desk_with_device() -> Desk:
    desk = Desk()
    await desk.profile()
    await desk.device(credential=ProposedToken(Secret("T0")))
    return desk


async def test_reading_is_recorded_first() -> None:
    desk = await desk_with_device()
    (shown,) = (await desk(ReadCredentials("meter-1"))).items
    assert shown.value == AccessToken(Secret("T0"))
    event = await desk.last_event(EventKind.CREDENTIAL_READ)
    assert (event.device_name, event.actor) == ("meter-1", "admin")
    desk.repository.failures = [Refusal(Reason.UNAVAILABLE, "the store is full", check="storage.full")]
    assert (await desk.refused(ReadCredentials("meter-1"))).reason is Reason.UNAVAILABLE


async def test_a_value_that_was_not_kept_is_not_shown() -> None:
    desk = await desk_with_device()
    device = await desk(ShowDevice("meter-1"))
    credential = await desk.issuer.issue(AccessToken(Secret("T1")), device.id, keep=False)
    await desk.repository.commit(Changes(insert=(credential,)))
    values = {each.credential.id: each.value for each in (await desk(ReadCredentials("meter-1"))).items}
    assert len(values) == 2
    assert values[credential.id] is None


async def test_rotation_kills_every_old_credential() -> None:
    desk = await desk_with_device()
    page = await desk(RotateCredentials("meter-1"))
    (shown,) = page.items
    assert isinstance(shown.value, AccessToken)
    assert await desk.repository.read(LoginQuery((desk.issuer.lookup(AccessToken(Secret("T0"))),))) == (None,)
    assert (await desk(ReadCredentials("meter-1"))).items == page.items
    device = await desk(ShowDevice("meter-1"))
    assert (device.version, device.state) == (2, DeviceState.DEFINED)
    assert (await desk.last_event(EventKind.CREDENTIAL_ROTATED)).detail == CredentialKind.ACCESS_TOKEN.value


async def test_rotation_may_give_the_same_value_again_but_none_of_another_device() -> None:
    desk = await desk_with_device()
    await desk.device("meter-2", credential=ProposedToken(Secret("T2")))
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T0"))))
    refusal = await desk.refused(RotateCredentials("meter-1", ProposedToken(Secret("T2"))))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential_lookup")
    refusal = await desk.refused(RotateCredentials("meter-1", ProposedToken(Secret(""))))
    assert refusal.reason is Reason.MALFORMED
    assert (await desk(ReadCredentials("meter-1"))).items[0].value == AccessToken(Secret("T0"))


async def test_revocation_takes_all_and_may_be_repeated() -> None:
    desk = await desk_with_device()
    await desk(RevokeCredentials("meter-1"))
    assert (await desk(ReadCredentials("meter-1"))).items == ()
    await desk(RevokeCredentials("meter-1"))
    assert len(await desk.events(EventKind.DEVICE_REVOKED)) == 1
    await desk(RotateCredentials("meter-1"))
    assert len((await desk(ReadCredentials("meter-1"))).items) == 1


@pytest.mark.parametrize("command", [ReadCredentials("gone"), RotateCredentials("gone"), RevokeCredentials("gone")])
async def test_a_device_that_is_not_there_is_not_found(
    command: ReadCredentials | RotateCredentials | RevokeCredentials,
) -> None:
    assert (await Desk().refused(command)).check == "device.unknown"


async def test_a_rotation_beside_another_change_is_decided_again() -> None:
    desk = await desk_with_device()
    desk.repository.failures = [Conflict(Guard.VERSION)]
    (shown,) = (await desk(RotateCredentials("meter-1"))).items
    device = await desk(ShowDevice("meter-1"))
    found = await desk.repository.read(DeviceQuery(device.tenant, device.id))
    assert found is not None
    assert found.credentials == (shown.credential,)


async def test_events_are_found_by_what_they_tell_of() -> None:
    desk = await desk_with_device()
    device = await desk(ShowDevice("meter-1"))
    await desk(RevokeCredentials("meter-1"))
    kinds = [EventKind.DEVICE_DEFINED, EventKind.DEVICE_REVOKED]
    for ref in (device.id, "meter-1", "name:meter-1"):
        assert [event.kind for event in (await desk(ListEvents(device=ref))).items] == kinds
    newest = await desk(ListEvents(device=device.id, newest=True, limit=1))
    assert [event.kind for event in newest.items] == [EventKind.DEVICE_REVOKED]
    older = await desk(ListEvents(device=device.id, newest=True, limit=1, after=newest.next))
    assert [event.kind for event in older.items] == [EventKind.DEVICE_DEFINED]
    assert older.next is None
    for profile in (device.profile, "meters"):
        assert len((await desk(ListEvents(profile=profile))).items) == 3
    assert len((await desk(ListEvents(kind=EventKind.DEVICE_REVOKED))).items) == 1
    assert len((await desk(ListEvents(correlation="correlation-1"))).items) == 3
    for nothing in (ListEvents(device="gone"), ListEvents(profile="gone"), ListEvents(correlation="gone")):
        assert (await desk(nothing)).items == ()
