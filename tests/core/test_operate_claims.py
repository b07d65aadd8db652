"""Who a device belongs to: codes, announced secrets, and giving up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from core.associate import CODE_ALPHABET, DEFAULT_SECONDS, MOST_SECONDS
from core.errors import Conflict, Guard, Reason
from core.limits import Rate
from core.messages import ClaimNotice
from core.model import DEFAULT_TENANT, Device, DeviceState, EventKind, Role, Secret
from core.operate.associating import AssociateByCode, ClaimDevice, GiveUpDevice, OfferDevice, WithdrawOffer
from core.operate.configuring import CreateTenant
from core.operate.directory import own_organization
from core.operate.messages import ChangeDevice, DeleteDevice, ProposedToken
from core.operate.results import Done
from core.queries import DeviceClaimQuery, Query
from tests.core.associating import CLOSED, WORD, Counter, counter
from tests.core.directing import Yielding
from tests.operating import ADMIN

S = TypeVar("S")
WRONG = Secret("BBBBBBBBBBBB")


async def named(desk: Counter, name: str = "meter-1") -> Device:
    return await desk.device(name, credential=ProposedToken(Secret(name)))


async def test_a_code_associates_its_device_once() -> None:
    desk = await counter()
    await desk.woken()
    north = await desk.organization()
    offer = await desk.offered()
    assert len(offer.code.reveal()) == 12
    assert set(offer.code.reveal()) <= set(CODE_ALPHABET)
    assert not set(CODE_ALPHABET) & set("0O1IL")
    assert offer.expires_at == desk.clock.now() + DEFAULT_SECONDS * 1_000
    device = (await desk(AssociateByCode(code=offer.code, organization=north.id))).device
    assert (device.owner, device.state, device.associated_at) == (north.id, DeviceState.ASSOCIATED, desk.clock.now())
    assert device == await desk.known()
    assert await desk.waiting() is None
    event = await desk.last_event(EventKind.DEVICE_ASSOCIATED)
    assert (event.device, event.detail, event.actor) == (device.id, north.id, "admin")
    again = await desk.refused(AssociateByCode(code=offer.code, organization=north.id))
    assert (again.reason, again.check) == (Reason.NOT_FOUND, "association.code")


@pytest.mark.parametrize("typed", ["{0}", "{0} ", "\t{0}\r\n", "{1}"])
async def test_a_code_counts_as_people_type_it(typed: str) -> None:
    desk = await counter()
    await desk.woken()
    code = (await desk.offered()).code.reveal()
    text = typed.format(code.lower(), f" {code[:4]}-{code[4:8]} {code[8:]}")
    assert (await desk(AssociateByCode(code=Secret(text)))).device.state is DeviceState.ASSOCIATED


async def test_a_later_code_takes_the_place_of_an_earlier_one() -> None:
    desk = await counter()
    await desk.woken()
    first, second = await desk.offered(), await desk.offered(seconds=60)
    claim = await desk.waiting()
    assert claim is not None
    assert (claim.version, claim.announced, claim.expires_at) == (2, False, desk.clock.now() + 60_000)
    assert (await desk.refused(AssociateByCode(code=first.code))).check == "association.code"
    assert (await desk(AssociateByCode(code=second.code))).device.owner == ""
    assert [event.detail for event in await desk.events(EventKind.ASSOCIATION_OFFERED)] == [
        f"for {DEFAULT_SECONDS} seconds",
        "for 60 seconds",
    ]


@pytest.mark.parametrize("seconds", [-1, 0, 59, MOST_SECONDS + 1])
async def test_a_code_is_good_for_a_minute_to_thirty_days(seconds: int) -> None:
    desk = await counter()
    refusal = await desk.refused(OfferDevice(ref="meter-1", seconds=seconds))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "association.seconds")


async def test_used_over_unknown_and_another_tenants_code_are_told_alike() -> None:
    desk = await counter()
    await desk.woken()
    refusals = [await desk.refused(AssociateByCode(code=WRONG)), await desk.refused(AssociateByCode(code=Secret("")))]
    offer = await desk.offered(seconds=60)
    await desk(CreateTenant(name="else", id="else"))
    refusals.append(await desk.refused(AssociateByCode(code=offer.code), tenant="else"))
    desk.clock.advance(60.0)
    refusals.append(await desk.refused(AssociateByCode(code=offer.code)))
    for changes in ({"enabled": False}, {"enabled": True, "state": DeviceState.DISCARDED}):
        fresh = await desk.offered()
        await desk(ChangeDevice(ref="meter-1", **changes))
        refusals.append(await desk.refused(AssociateByCode(code=fresh.code)))
        await desk(ChangeDevice(ref="meter-1", enabled=True))
    gone = await desk.refused(OfferDevice(ref="meter-1"))
    assert (gone.reason, gone.check) == (Reason.UNPROCESSABLE, "association.state")
    await desk(DeleteDevice("meter-1"))
    refusals.append(await desk.refused(AssociateByCode(code=fresh.code)))
    assert {(each.reason, each.detail, each.check) for each in refusals} == {
        (Reason.NOT_FOUND, "there is no device with this code", "association.code")
    }


async def test_a_device_that_has_not_come_is_refused_and_its_code_stays_good() -> None:
    desk = await counter()
    device = await desk.device()
    offer = await desk.offered()
    refusal = await desk.refused(AssociateByCode(code=offer.code))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "association.state")
    await desk.alter(device, state=DeviceState.PROVISIONED)
    assert (await desk(AssociateByCode(code=offer.code))).device.state is DeviceState.ASSOCIATED


async def test_an_associated_device_passes_to_another_owner() -> None:
    desk = await counter()
    await desk.woken()
    north, south = await desk.organization("North"), await desk.organization("South")
    first = (await desk(AssociateByCode(code=(await desk.offered()).code, organization=north.id))).device
    second = (await desk(AssociateByCode(code=(await desk.offered()).code, organization=south.id))).device
    assert (second.owner, second.state, second.associated_at) == (south.id, first.state, first.associated_at)


async def test_the_owner_is_the_users_organization_or_the_tenants_own() -> None:
    desk = await counter()
    await desk.woken()
    north = await desk.organization()
    operator = await desk.user(parent=north.id)
    end_user, _ = await desk.customer("bob@example.com", north.id)
    bearer = (await desk.open()).token
    for command, who, owner in (
        ({"user": end_user.id}, ADMIN, north.id),
        ({"organization": own_organization(DEFAULT_TENANT)}, ADMIN, ""),
        ({"user": operator.id}, ADMIN, north.id),
        ({}, ADMIN, ""),
        ({}, bearer, north.id),
        ({"organization": own_organization(DEFAULT_TENANT)}, bearer, ""),
    ):
        offer = await desk.offered()
        assert (await desk(AssociateByCode(code=offer.code, **command), who)).device.owner == owner


async def test_an_owner_that_is_not_there_is_refused_and_nothing_is_used_up() -> None:
    desk = await counter()
    await desk.woken()
    north = await desk.organization()
    offer = await desk.offered()
    both = await desk.refused(AssociateByCode(code=offer.code, organization="a", user="b"))
    assert (both.reason, both.check) == (Reason.MALFORMED, "association.target")
    for fields in ({"organization": "nobody"}, {"user": "nobody"}, {"user": north.id}):
        refusal = await desk.refused(AssociateByCode(code=offer.code, **fields))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "entry.unknown")
    assert (await desk(AssociateByCode(code=offer.code, organization=north.id))).device.owner == north.id


async def test_a_customer_associates_to_itself_alone() -> None:
    desk = await counter()
    await desk.woken()
    north, south = await desk.organization("North"), await desk.organization("South")
    ann, bearer = await desk.customer(parent=north.id)
    bob, _ = await desk.customer("bob@example.com", north.id)
    offer = await desk.offered()
    for fields in ({"organization": south.id}, {"organization": own_organization(DEFAULT_TENANT)}, {"user": bob.id}):
        refusal = await desk.refused(AssociateByCode(code=offer.code, **fields), bearer)
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "entry.unknown")
    for fields in ({"organization": north.id}, {"user": ann.id}, {}):
        offer = await desk.offered()
        assert (await desk(AssociateByCode(code=offer.code, **fields), bearer)).device.owner == north.id
    assert (await desk.refused(OfferDevice(ref="meter-1"), bearer)).check == "role"
    assert (await desk.refused(WithdrawOffer("meter-1"), bearer)).check == "role"


async def test_a_factory_associates_nothing() -> None:
    desk = await counter()
    bearer = await desk.token(Role.FACTORY)
    for command in (OfferDevice(ref="m"), AssociateByCode(code=WRONG), ClaimDevice(name="m"), GiveUpDevice("m")):
        assert (await desk.refused(command, bearer)).check == "role"


async def test_a_customer_gives_up_what_its_organization_owns() -> None:
    desk = await counter()
    await desk.woken()
    north, south = await desk.organization("North"), await desk.organization("South")
    _, mine = await desk.customer(parent=north.id)
    _, theirs = await desk.customer("bob@example.com", south.id)
    _, nobodys = await desk.customer("eve@example.com")
    for bearer in (mine, nobodys):
        refusal = await desk.refused(GiveUpDevice("meter-1"), bearer)
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "association.device")
    await desk(AssociateByCode(code=(await desk.offered()).code), mine)
    assert (await desk.refused(GiveUpDevice("meter-1"), theirs)).check == "association.device"
    assert (await desk.refused(GiveUpDevice("meter-1"), nobodys)).check == "association.device"
    device = await desk(GiveUpDevice("meter-1"), mine)
    assert (device.owner, device.state, device.associated_at) == ("", DeviceState.CONNECTED, None)
    event = await desk.last_event(EventKind.DEVICE_GIVEN_UP)
    assert (event.detail, event.actor) == (north.id, "ann@example.com")


async def test_an_operator_gives_up_for_anybody() -> None:
    desk = await counter()
    await desk.woken()
    assert (await desk.refused(GiveUpDevice("meter-1"))).check == "device.not_associated"
    await desk(AssociateByCode(code=(await desk.offered()).code))
    assert (await desk(GiveUpDevice("meter-1"))).state is DeviceState.CONNECTED


async def test_a_withdrawn_code_is_worthless() -> None:
    desk = await counter()
    await desk.woken()
    assert await desk(WithdrawOffer("meter-1")) == Done()
    assert await desk.events(EventKind.DEVICE_CHANGED) == ()
    offer = await desk.offered()
    assert await desk(WithdrawOffer("meter-1")) == Done()
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "association withdrawn"
    assert (await desk.refused(AssociateByCode(code=offer.code))).check == "association.code"


async def test_too_many_wrong_codes_shut_their_source_and_account_out() -> None:
    desk = await counter(guesses=Rate(0.01, 3))
    await desk.woken()
    _, bearer = await desk.customer()
    offer = await desk.offered()
    for _ in range(3):
        assert (await desk.refused(AssociateByCode(code=WRONG), bearer)).check == "association.code"
    refusal = await desk.refused(AssociateByCode(code=offer.code), bearer)
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.association")
    assert refusal.retry_after == pytest.approx(100.0, abs=1.0)
    assert (await desk.refused(ClaimDevice(name="meter-1"), bearer)).check == "limit.association"
    desk.clock.advance(101.0)
    assert (await desk(AssociateByCode(code=offer.code), bearer)).device.state is DeviceState.ASSOCIATED


async def test_right_codes_and_other_refusals_do_not_count() -> None:
    desk = await counter(guesses=Rate(0.001, 2))
    await desk.woken()
    for _ in range(5):
        await desk(AssociateByCode(code=(await desk.offered()).code))
        assert (await desk.refused(AssociateByCode(code=WRONG, user="nobody"))).check == "entry.unknown"
    assert (await desk.refused(ClaimDevice(name="meter-1"))).check == "association.owned"
    assert (await desk.refused(ClaimDevice(name="meter-2"))).check == "association.device"
    assert (await desk.refused(AssociateByCode(code=WRONG))).check == "association.code"
    assert (await desk.refused(AssociateByCode(code=WRONG))).check == "limit.association"


async def test_of_twenty_users_with_one_code_exactly_one_gets_the_device() -> None:
    desk = await counter(repository=Yielding())
    await desk.woken()
    organizations = [await desk.organization(f"org {number}") for number in range(20)]
    bearers = [(await desk.customer(f"user-{number}@example.com", each.id))[1] for number, each in enumerate(organizations)]
    offer = await desk.offered()
    answers = await asyncio.gather(
        *(desk(AssociateByCode(code=offer.code), bearer) for bearer in bearers), return_exceptions=True
    )
    granted = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(granted) == 1
    assert {getattr(answer, "check", "") for answer in answers if isinstance(answer, BaseException)} <= {
        "association.code",
        "version",
    }
    assert (await desk.known()).owner == granted[0].device.owner
    assert len(await desk.events(EventKind.DEVICE_ASSOCIATED)) == 1


@pytest.mark.parametrize("guard", [Guard.CLAIM_LOOKUP, Guard.CLAIM_DEVICE, Guard.VERSION])
async def test_a_code_that_is_taken_is_drawn_again(guard: Guard) -> None:
    desk = await counter()
    await desk.woken()
    desk.repository.failures = [Conflict(guard)]
    offer = await desk.offered()
    assert (await desk(AssociateByCode(code=offer.code))).device.name == "meter-1"


async def test_an_announced_device_is_claimed_by_its_secret() -> None:
    desk = await counter()
    await named(desk)
    north = await desk.organization()
    _, bearer = await desk.customer(parent=north.id)
    await desk.announce()
    device = await desk.claim(bearer=bearer)
    assert (device.owner, device.state) == (north.id, DeviceState.ASSOCIATED)
    assert await desk.waiting() is None
    again = await desk.refused(ClaimDevice(name="meter-1", secret=WORD), bearer)
    assert (again.reason, again.check) == (Reason.CONFLICT, "association.owned")


class Overtaken(Yielding):
    """A registry in which somebody is faster between two reads of one claim."""

    faster: Callable[[], Awaitable[Device]] | None = None

    async def read(self, query: Query[S]) -> S:
        """Answer after the faster one."""
        faster, self.faster = (self.faster, None) if isinstance(query, DeviceClaimQuery) else (None, self.faster)
        if faster is not None:
            await faster()
        return await super().read(query)


async def test_who_is_a_moment_late_with_the_right_secret_is_told_that_it_is_claimed() -> None:
    registry = Overtaken()
    desk = await counter(repository=registry)
    await named(desk)
    await desk.announce()
    registry.faster = desk.claim
    refusal = await desk.refused(ClaimDevice(name="meter-1", secret=WORD))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "association.owned")
    assert len(await desk.events(EventKind.DEVICE_ASSOCIATED)) == 1


async def test_a_wrong_secret_drops_the_announcement() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce()
    refusal = await desk.refused(ClaimDevice(name="meter-1", secret=Secret("no")))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "association.secret")
    assert await desk.waiting() is None
    event = await desk.last_event(EventKind.ASSOCIATION_REFUSED)
    assert (event.detail, event.device_name) == ("the announcement is dropped", "meter-1")
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=WORD))).check == "association.secret"


async def test_an_announcement_that_is_over_is_dropped() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce(ClaimNotice(secret=WORD, duration_ms=60_000))
    desk.clock.advance(60.0)
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=WORD))).check == "association.secret"
    assert await desk.waiting() is None


async def test_a_code_is_no_announcement_and_no_guess_drops_it() -> None:
    desk = await counter()
    await desk.woken()
    offer = await desk.offered()
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=offer.code))).check == "association.secret"
    assert (await desk(AssociateByCode(code=offer.code))).device.name == "meter-1"


async def test_an_announced_secret_is_no_code() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce(secret=WRONG)
    assert (await desk.refused(AssociateByCode(code=WRONG))).check == "association.code"


async def test_a_code_stays_while_the_device_announces_itself_and_the_other_way_round() -> None:
    desk = await counter()
    await named(desk)
    offer = await desk.offered()
    await desk.announce()
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=WORD))).check == "association.secret"
    assert (await desk(AssociateByCode(code=offer.code))).device.state is DeviceState.ASSOCIATED
    await desk(GiveUpDevice("meter-1"))
    await desk.announce()
    replaced = await desk.offered()
    assert (await desk(AssociateByCode(code=replaced.code))).device.state is DeviceState.ASSOCIATED


async def test_a_device_that_is_shut_out_is_unknown() -> None:
    desk = await counter()
    await named(desk)
    await desk.announce()
    await desk(ChangeDevice(ref="meter-1", enabled=False))
    shut_out = await desk.refused(ClaimDevice(name="meter-1", secret=WORD))
    missing = await desk.refused(ClaimDevice(name="meter-2", secret=WORD))
    assert (shut_out.reason, shut_out.detail, shut_out.check) == (missing.reason, missing.detail, missing.check)


@pytest.mark.parametrize("metadata", [{}, {"allowed": False}, {"allowed": "true"}])
async def test_where_claiming_is_closed_metadata_has_to_allow_it(metadata: dict[str, object]) -> None:
    desk = await counter()
    await desk.profile("closed", options=(CLOSED,))
    await desk.device("m", "closed", credential=ProposedToken(Secret("m")), metadata=metadata)
    await desk.announce(token="m")
    assert await desk.waiting("m") is None
    await desk(ChangeDevice(ref="m", metadata={"allowed": True, "kept": 1}))
    await desk.announce(token="m")
    device = await desk.claim("m")
    assert device.metadata == {"kept": 1}


async def test_an_operator_writes_the_announcement_into_the_metadata() -> None:
    desk = await counter()
    until = desk.clock.now() + 60_000
    device = await desk.device(metadata={"announced": {"word": WORD.reveal(), "until": until}, "kept": 1})
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=Secret("no")))).check == "association.secret"
    claimed = await desk.claim()
    assert (claimed.id, claimed.metadata, claimed.state) == (device.id, {"kept": 1}, DeviceState.ASSOCIATED)
    assert claimed.version == device.version + 1


async def test_a_device_that_is_claimed_by_its_metadata_waits_no_longer() -> None:
    desk = await counter()
    await desk.device(metadata={"announced": {"word": WORD.reveal(), "until": 2**50}})
    offer = await desk.offered()
    await desk.claim()
    assert (await desk.refused(AssociateByCode(code=offer.code))).check == "association.code"


@pytest.mark.parametrize(
    "announced",
    ["open sesame", {"word": "open sesame"}, {"word": 7, "until": 2**50}, {"word": "open sesame", "until": True}, {"until": 7}],
)
async def test_what_is_no_announcement_opens_nothing(announced: object) -> None:
    desk = await counter()
    await desk.woken(metadata={"announced": announced})
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=WORD))).check == "association.secret"


async def test_without_terms_metadata_says_nothing() -> None:
    desk = await counter(terms=None)
    await named(desk)
    await desk(ChangeDevice(ref="meter-1", metadata={"announced": {"word": WORD.reveal(), "until": 2**50}}))
    assert (await desk.refused(ClaimDevice(name="meter-1", secret=WORD))).check == "association.secret"
    await desk.announce()
    assert "announced" in (await desk.claim()).metadata


async def test_an_owned_device_waits_for_nobody() -> None:
    desk = await counter()
    device = await named(desk)
    await desk.announce()
    await desk.alter(await desk.known(), owner=(await desk.organization()).id)
    refusal = await desk.refused(ClaimDevice(name="meter-1", secret=WORD))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "association.owned")
    assert (await desk.known()).id == device.id
