"""Several credentials of one device, each with its own end, and the kinds that a profile allows."""

from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AccessToken, ClientSecret, CredentialValue, Lwm2m, MqttBasic, TokenLogin, Triple
from core.model import CredentialKind, DeviceState, EventKind, Role, Secret, Strategy
from core.operate.credentials import DAY_SECONDS, MOST
from core.operate.messages import (
    AddCredential,
    CreateProfile,
    ImportDevices,
    ImportRow,
    ProposedBasic,
    ProposedCertificate,
    ProposedCredential,
    ProposedSecret,
    ProposedToken,
    ProposedTriple,
    ReadCredentials,
    RevokeCredential,
    RotateCredentials,
    ShowDevice,
    SignedRules,
)
from core.operate.results import ShownCredential
from core.ports import Changes
from tests.operating import DEVICE_CONTEXT, Desk

HOUR = 3_600


async def desk_with_device(**fields: Any) -> Desk:
    desk = Desk()
    await desk.profile(**fields)
    await desk.device(credential=None if fields else ProposedToken(Secret("T0")))
    return desk


async def shown(desk: Desk) -> tuple[ShownCredential, ...]:
    found: tuple[ShownCredential, ...] = (await desk(ReadCredentials("meter-1"))).items
    return found


async def values(desk: Desk) -> list[CredentialValue | None]:
    return [each.value for each in await shown(desk) if not each.expired]


def token(text: str) -> AccessToken:
    return AccessToken(Secret(text))


async def lets_in(desk: Desk, text: str) -> bool:
    try:
        await desk.authenticate(TokenLogin(Secret(text)), DEVICE_CONTEXT)
    except Refusal:
        return False
    return True


async def test_a_rotation_with_an_overlap_keeps_the_old_one_for_a_while() -> None:
    desk = await desk_with_device()
    now = desk.clock.now()
    (new,) = (await desk(RotateCredentials("meter-1", ProposedToken(Secret("T1")), HOUR))).items
    assert (new.value, new.credential.expires_at) == (token("T1"), None)
    old, _ = await shown(desk)
    assert old.credential.expires_at == now + 1 + HOUR * 1000
    assert (old.credential.version, old.expired) == (2, False)
    assert (await desk.last_event(EventKind.CREDENTIAL_ROTATED)).detail == "access_token"
    assert [await lets_in(desk, text) for text in ("T0", "T1")] == [True, True]
    desk.clock.advance(HOUR)
    assert [await lets_in(desk, text) for text in ("T0", "T1")] == [False, True]
    old, new = await shown(desk)
    assert (old.value, old.expired, new.expired) == (token("T0"), True, False)


async def test_a_shorter_overlap_counts_and_a_longer_one_does_not() -> None:
    desk = await desk_with_device()
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T1")), HOUR))
    first_end = (await shown(desk))[0].credential.expires_at
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T2")), 2 * HOUR))
    ends = [each.credential.expires_at for each in await shown(desk)]
    assert ends[0] == first_end
    assert ends[1] is not None
    assert ends[1] > (first_end or 0)
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T3")), 1))
    ends = [each.credential.expires_at for each in await shown(desk)]
    assert ends == [desk.clock.now() - 1 + 1_000] * 3 + [None]
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T4"))))
    assert await values(desk) == [token("T4")]


async def test_a_rotation_clears_away_what_has_expired() -> None:
    desk = await desk_with_device()
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T1")), 1))
    desk.clock.advance(2)
    assert len(await shown(desk)) == 2
    await desk(RotateCredentials("meter-1", ProposedToken(Secret("T2")), HOUR))
    assert [each.value for each in await shown(desk)] == [token("T1"), token("T2")]


@pytest.mark.parametrize("seconds", [-1, 366 * DAY_SECONDS + 1])
async def test_an_overlap_has_bounds(seconds: int) -> None:
    desk = await desk_with_device()
    refusal = await desk.refused(RotateCredentials("meter-1", overlap_seconds=seconds))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "overlap_seconds.bounds")
    assert await values(desk) == [token("T0")]


async def test_a_device_may_have_eight_credentials_that_are_good_at_once() -> None:
    desk = await desk_with_device()
    for number in range(1, MOST):
        (added,) = (await desk(AddCredential(ref="meter-1", expires_in_seconds=number))).items
        assert added.credential.expires_at == desk.clock.now() + number * 1000
    for command in (AddCredential(ref="meter-1"), RotateCredentials("meter-1", overlap_seconds=1)):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential.count")
    desk.clock.advance(2)
    await desk(AddCredential(ref="meter-1", credential=ProposedToken(Secret("T9"))))
    assert len(await shown(desk)) <= MOST
    assert token("T9") in await values(desk)
    assert await lets_in(desk, "T0")
    assert (await desk.last_event(EventKind.CREDENTIAL_ISSUED)).detail == "access_token"


@pytest.mark.parametrize("seconds", [0, -5, 3_660 * DAY_SECONDS + 1])
async def test_an_end_has_bounds(seconds: int) -> None:
    desk = await desk_with_device()
    refusal = await desk.refused(AddCredential(ref="meter-1", expires_in_seconds=seconds))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "expires_in_seconds.bounds")


async def test_one_credential_is_revoked_and_the_others_stay() -> None:
    desk = await desk_with_device()
    (added,) = (await desk(AddCredential(ref="meter-1", credential=ProposedToken(Secret("T1"))))).items
    await desk(RevokeCredential("meter-1", added.credential.id))
    assert await values(desk) == [token("T0")]
    event = await desk.last_event(EventKind.DEVICE_REVOKED)
    assert event.detail == f"access_token {added.credential.id}"
    for unknown in (added.credential.id, "gone", ""):
        refusal = await desk.refused(RevokeCredential("meter-1", unknown))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "credential.unknown")


async def test_additions_and_revocations_beside_other_changes_are_decided_again() -> None:
    desk = await desk_with_device()
    desk.repository.failures = [Conflict(Guard.VERSION)]
    (added,) = (await desk(AddCredential(ref="meter-1"))).items
    desk.repository.failures = [Conflict(Guard.VERSION)]
    await desk(RevokeCredential("meter-1", added.credential.id))
    assert await values(desk) == [token("T0")]


async def test_a_factory_reads_credentials_until_the_device_has_connected() -> None:
    desk = await desk_with_device()
    factory = await desk.token(Role.FACTORY)
    assert len((await desk(ReadCredentials("meter-1"), factory)).items) == 1
    assert await lets_in(desk, "T0")
    refusal = await desk.refused(ReadCredentials("meter-1"), factory)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role.factory")
    assert await values(desk) == [token("T0")]


async def test_a_device_that_connected_before_its_time_was_kept_is_no_business_of_a_factory() -> None:
    desk = await desk_with_device()
    factory = await desk.token(Role.FACTORY)
    device = await desk(ShowDevice("meter-1"))
    connected = msgspec.structs.replace(device, state=DeviceState.CONNECTED, version=device.version + 1)
    await desk.repository.commit(Changes(replace=(connected,)))
    assert (await desk.refused(ReadCredentials("meter-1"), factory)).check == "role.factory"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (ProposedToken(), AccessToken),
        (ProposedSecret(), ClientSecret),
        (ProposedBasic("c-1", "u-1", Secret("p-1")), MqttBasic),
        (ProposedCertificate("TUlJQg=="), AccessToken),
        (Lwm2m("urn:dev:1"), AccessToken),
    ],
)
async def test_what_is_drawn_is_of_the_kind_that_the_device_has(given: ProposedCredential, kind: type) -> None:
    desk = Desk()
    await desk.profile()
    await desk.device(credential=given)
    for command in (AddCredential(ref="meter-1"), RotateCredentials("meter-1")):
        (drawn,) = (await desk(command)).items
        assert isinstance(drawn.value, kind)
    if isinstance(drawn.value, MqttBasic):
        assert drawn.value.username not in ("", "u-1")
        assert drawn.value.password.reveal()


async def test_devices_that_sign_get_triples() -> None:
    desk = await desk_with_device(strategy=Strategy.SIGNED, signed=SignedRules(product_key="pk1"))
    (first,) = await values(desk)
    (second,) = (await desk(RotateCredentials("meter-1"))).items
    for value in (first, second.value):
        assert isinstance(value, Triple)
        assert value.product_key == "pk1"
    assert first != second.value


@pytest.mark.parametrize("kind", [CredentialKind.ACCESS_TOKEN, CredentialKind.MQTT_BASIC, CredentialKind.CLIENT_SECRET])
async def test_a_profile_with_one_kind_has_that_drawn_and_refuses_others(kind: CredentialKind) -> None:
    desk = await desk_with_device(credential_kind=kind)
    (found,) = await shown(desk)
    assert found.credential.kind is kind
    other = ProposedSecret() if kind is CredentialKind.ACCESS_TOKEN else ProposedToken()
    commands = (
        AddCredential(ref="meter-1", credential=other),
        RotateCredentials("meter-1", other),
        RotateCredentials("meter-1", ProposedTriple()),
    )
    for command in commands:
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "credential.kind")
    refused = await desk(ImportDevices((ImportRow(line=1, name="meter-2", credential=other),), "meters"))
    assert refused.errors[0].reason == f"devices of this profile have credentials of the kind {kind.value} alone"
    (rotated,) = (await desk(RotateCredentials("meter-1"))).items
    assert rotated.credential.kind is kind


async def test_certificates_are_given_and_not_drawn() -> None:
    desk = Desk()
    await desk(CreateProfile(name="meters", credential_kind=CredentialKind.X509_CERTIFICATE))
    await desk.device(credential=ProposedCertificate("TUlJQg=="))
    refusal = await desk.refused(RotateCredentials("meter-1"))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "credential.kind")
    await desk(RotateCredentials("meter-1", ProposedCertificate("TUlJQw==")))


async def test_a_triple_needs_a_profile_whose_devices_sign() -> None:
    desk = await desk_with_device()
    refusal = await desk.refused(RotateCredentials("meter-1", ProposedTriple()))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "credential.kind")
