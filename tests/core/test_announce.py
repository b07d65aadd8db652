"""What devices and gateways announce about themselves, and what of it counts."""

import asyncio
from typing import Any

import pytest

from core.announce import NOTICES, SECRET_CHARACTERS
from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AnnounceClaims, ClaimNotice, Context, Identity, TokenLogin
from core.model import CredentialId, Device, DeviceState, EventKind, Secret
from core.operate.associating import AssociateByCode
from core.operate.messages import ChangeDevice, DeleteDevice, ProposedToken
from tests.core.associating import CLOSED, CONTEXT, WORD, Counter, counter
from tests.core.directing import Yielding

DAY, MONTH = 24 * 3_600_000, 30 * 24 * 3_600_000


async def named(desk: Counter, name: str = "meter-1", **fields: Any) -> Device:
    return await desk.device(name, credential=ProposedToken(Secret(name)), **fields)


async def gateway(desk: Counter, *notices: ClaimNotice) -> Device:
    device = await named(desk, "gate", metadata={"gateway": True})
    await desk.announce(*notices, token="gate")
    return device


async def refused(desk: Counter) -> list[str]:
    return [event.check for event in await desk.events(EventKind.ASSOCIATION_REFUSED)]


def notice(name: str | None = "meter-1", secret: Secret = WORD, duration_ms: int | None = None) -> ClaimNotice:
    return ClaimNotice(device_name=name, secret=secret, duration_ms=duration_ms)


async def test_an_announcement_is_kept_for_a_day() -> None:
    desk = await counter()
    device = await named(desk)
    told = await desk.announce()
    assert (told.identity.device, told.identity.device_name) == (device.id, "meter-1")
    claim = await desk.waiting()
    assert claim is not None
    assert (claim.announced, claim.expires_at, claim.version) == (True, desk.clock.now() + DAY, 1)
    event = await desk.last_event(EventKind.ASSOCIATION_OFFERED)
    assert (event.device, event.detail, event.actor, event.protocol) == (device.id, "announced", "", "mqtt")


@pytest.mark.parametrize(
    ("duration_ms", "kept_ms"),
    [(None, DAY), (0, DAY), (-5, DAY), (1, 1), (60_000, 60_000), (MONTH, MONTH), (MONTH + 1, MONTH), (10**30, MONTH)],
)
async def test_an_announcement_lasts_as_long_as_the_device_wishes_within_bounds(duration_ms: int | None, kept_ms: int) -> None:
    desk = await counter()
    await named(desk)
    await desk.announce(notice(None, duration_ms=duration_ms))
    claim = await desk.waiting()
    assert claim is not None
    assert claim.expires_at - desk.clock.now() == kept_ms


async def test_a_second_announcement_changes_nothing_until_the_first_is_over() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce(notice(None, duration_ms=60_000))
    first = await desk.waiting()
    await desk.announce(secret=Secret("another"))
    assert await desk.waiting() == first
    assert await refused(desk) == []
    desk.clock.advance(60.0)
    await desk.announce(secret=Secret("another"))
    second = await desk.waiting()
    assert first is not None
    assert second is not None
    assert (second.version, second.created_at) == (2, first.created_at)
    assert (await desk.claim(secret=Secret("another"))).state is DeviceState.ASSOCIATED


async def test_a_secret_may_be_empty() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce(notice(None, Secret("")))
    assert (await desk.claim(secret=Secret(""))).state is DeviceState.ASSOCIATED


async def test_two_devices_may_have_one_secret() -> None:
    desk = await counter()
    for name in ("m-1", "m-2"):
        await named(desk, name)
        await desk.announce(token=name)
    assert [(await desk.claim(name)).name for name in ("m-1", "m-2")] == ["m-1", "m-2"]


async def test_a_device_that_has_its_owner_is_refused_without_a_word() -> None:
    desk = await counter()
    await named(desk)
    await desk.alter(await desk.known(), owner=(await desk.organization()).id)
    await desk.announce()
    assert await desk.waiting() is None
    offer = await desk.offered()
    await desk.alter(await desk.known(), state=DeviceState.CONNECTED)
    await desk(AssociateByCode(code=offer.code))
    await desk.announce()
    assert await desk.waiting() is None
    assert await refused(desk) == ["announcement.owned", "announcement.owned"]
    assert (await desk.last_event(EventKind.ASSOCIATION_REFUSED)).device_name == "meter-1"


async def test_where_claiming_is_closed_nothing_is_kept() -> None:
    desk = await counter()
    await desk.profile("closed", options=(CLOSED,))
    await named(desk, "m", profile="closed")
    await desk.announce(token="m")
    assert await desk.waiting("m") is None
    assert await refused(desk) == ["announcement.not_allowed"]


async def test_a_gateway_announces_those_behind_it() -> None:
    desk = await counter()
    await desk.profile("others")
    gate = await gateway(desk)
    await desk.device("theirs", metadata={"behind": "another gateway"})
    await desk.device("mine", "others", metadata={"behind": gate.id})
    await desk.device("nobodys")
    await desk.device("far", "others")
    await desk.woken("came")
    await desk.device("shut", metadata={"behind": gate.id})
    await desk(ChangeDevice(ref="shut", enabled=False))
    names = ("mine", "nobodys", "gate", "theirs", "far", "came", "shut", "missing")
    await desk.announce(*map(notice, names), token="gate")
    kept = [name for name in names[:-1] if await desk.waiting(name) is not None]
    assert kept == ["mine", "nobodys", "gate"]
    assert await refused(desk) == ["announcement.device"]
    event = await desk.last_event(EventKind.ASSOCIATION_REFUSED)
    assert event.device_name == "theirs"
    claimed = await desk.claim("nobodys")
    assert (claimed.state, claimed.provisioned_at, claimed.connected_at) == (DeviceState.ASSOCIATED, desk.clock.now(), None)


async def test_what_is_no_gateway_announces_nobody_else() -> None:
    desk = await counter()
    await named(desk)
    await desk.device("meter-2")
    for metadata in ({}, {"gateway": "true"}):
        await desk(ChangeDevice(ref="meter-1", metadata=metadata))
        await desk.announce(notice("meter-2"))
    assert await desk.waiting("meter-2") is None
    assert await refused(desk) == ["announcement.not_gateway"] * 2


async def test_one_message_of_a_gateway_has_five_hundred_devices_at_most() -> None:
    desk = await counter()
    await gateway(desk)
    await desk.device("m-7")
    names = [f"m-{number}" for number in range(NOTICES)]
    await desk.announce(*map(notice, names), token="gate")
    assert await desk.waiting("m-7") is not None
    with pytest.raises(Refusal) as beyond:
        await desk.announce(*map(notice, [*names, "more"]), token="gate")
    assert (beyond.value.reason, beyond.value.check) == (Reason.MALFORMED, "announcement.count")


async def test_a_secret_has_255_characters_at_most() -> None:
    desk = await counter()
    await named(desk)
    with pytest.raises(Refusal) as beyond:
        await desk.announce(secret=Secret("x" * (SECRET_CHARACTERS + 1)))
    assert (beyond.value.reason, beyond.value.check) == (Reason.MALFORMED, "announcement.length")
    await desk.announce(secret=Secret("x" * SECRET_CHARACTERS))
    assert await desk.waiting() is not None


async def test_a_stranger_announces_nothing() -> None:
    desk = await counter()
    with pytest.raises(Refusal) as stranger:
        await desk.announce(token="nobody's")
    assert stranger.value.reason is Reason.UNAUTHENTICATED


async def test_an_external_key_and_a_user_announce_nothing() -> None:
    desk = await counter()
    device = await named(desk)
    for identity in (
        Identity(device.tenant, device.id, device.name, None),
        Identity(device.tenant, device.id, device.name, CredentialId("c"), user=True),
    ):
        with pytest.raises(Refusal) as refusal:
            await desk.announce_claims(AnnounceClaims(identity, (notice(None),)), CONTEXT)
        assert refusal.value.reason is Reason.FORBIDDEN


async def test_a_connection_of_a_device_that_is_gone_announces_nothing() -> None:
    desk = await counter()
    device = await named(desk)
    identity = await desk.authenticate(TokenLogin(Secret("meter-1")), CONTEXT)
    assert identity.device == device.id
    await desk(DeleteDevice("meter-1"))
    with pytest.raises(Refusal) as gone:
        await desk.announce_claims(AnnounceClaims(identity, (notice(None),)), CONTEXT)
    assert (gone.value.reason, gone.value.check) == (Reason.UNAUTHENTICATED, "identity.gone")


async def test_a_device_that_announces_itself_twice_at_once_waits_once() -> None:
    desk = await counter(repository=Yielding())
    await named(desk)
    context = Context("c", "http", "d", "192.0.2.8")
    await asyncio.gather(*(desk.announce(secret=Secret(str(number)), context=context) for number in range(3)))
    claim = await desk.waiting()
    assert claim is not None
    assert claim.version == 1


async def test_a_registry_that_is_overtaken_again_and_again_says_so() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce(token="meter-1", secret=WORD)
    desk.clock.advance(DAY / 1_000)
    desk.repository.failures = [Conflict(Guard.VERSION)] * 2
    await desk.announce()
    desk.clock.advance(DAY / 1_000)
    desk.repository.failures = [Conflict(Guard.VERSION)] * 3
    with pytest.raises(Refusal) as busy:
        await desk.announce()
    assert (busy.value.reason, busy.value.check) == (Reason.UNAVAILABLE, "registry.conflict")
