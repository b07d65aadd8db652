import asyncio
import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.certificate_logins import NAME_CHARACTERS, device_name
from core.chain_paths import MOST_AUTHORITIES
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import Rate
from core.messages import AccessToken, Certificate, CertificateLogin, Identity, Provisioned
from core.model import (
    DEFAULT_TENANT,
    ChainPolicy,
    DeviceState,
    EventKind,
    IssuedCertificate,
    Profile,
    Reprovision,
    Secret,
    Strategy,
    TenantId,
)
from core.ports import Changes, Delete
from core.queries import DeviceSnapshot
from tests.core.authorities import Holder, authority, issue, sent
from tests.core.faulty import Conflicting, FaultyRepository, RacedRepository, no_fault
from tests.core.registry import CONTEXT, KEY, OTHER_TENANT, Registry, claim
from tests.fakes import START

ROOT = authority("root")
ANCHOR = authority("field", ROOT)
PUMP = issue("pump7.example.com", ANCHOR)
ALONE = issue("alone")
CROSSED = authority("crossed", ROOT)
DAY_SECONDS = 86_400
DAY_MS = 86_400_000
PATTERN = r"(.*)\.example\.com"


def policy(anchor: Holder = ANCHOR, pattern: str = PATTERN, *, create: bool = True, lax: bool = False) -> ChainPolicy:
    authorities = (anchor.credential.text,)
    return ChainPolicy(
        anchor=anchor.id, anchor_name=anchor.name, authorities=authorities, pattern=pattern, create=create, lax=lax
    )


async def chained(
    registry: Registry, chain: ChainPolicy | None = None, key: str = KEY, tenant: TenantId = DEFAULT_TENANT
) -> Profile:
    return await registry.profile(Strategy.CERTIFICATE_CHAIN, key=key, tenant=tenant, chain=chain or policy())


async def let_in(registry: Registry, *chain: Holder) -> Identity:
    return await registry.authenticate(CertificateLogin(sent(*chain)), CONTEXT)


async def refused(registry: Registry, *chain: Holder, check: str, reason: Reason = Reason.UNAUTHENTICATED) -> None:
    with pytest.raises(Refusal) as refusal:
        await let_in(registry, *chain)
    assert (refusal.value.reason, refusal.value.check) == (reason, check)
    if reason is Reason.UNAUTHENTICATED:
        assert refusal.value.detail == "the credentials are not known"
    assert check in {event.check for event in await registry.events()}


async def kinds(registry: Registry) -> Counter[EventKind]:
    return Counter(event.kind for event in await registry.events())


# A certificate that a device is known by


async def test_a_certificate_tells_its_device_and_needs_no_authority() -> None:
    registry = Registry()
    device = await registry.device(await registry.profile(), "m1", ALONE.credential, state=DeviceState.PROVISIONED)
    identity = await let_in(registry, ALONE)
    (credential,) = (await registry.known("m1")).credentials
    assert identity == Identity(DEFAULT_TENANT, device.id, "m1", credential.id)
    assert (await registry.known("m1")).device.state is DeviceState.CONNECTED
    assert (await registry.authenticate.holds(identity)).holds


@pytest.mark.parametrize(("begins", "ends", "check"), [(-10, -1, "certificate.expired"), (1, 10, "certificate.early")])
async def test_a_certificate_that_is_known_has_its_time(begins: int, ends: int, check: str) -> None:
    registry = Registry()
    holder = issue("m1", begins=begins, ends=ends)
    await registry.device(await registry.profile(), "m1", holder.credential)
    await refused(registry, holder, check=check)


async def test_certificates_that_nobody_has_let_nobody_in() -> None:
    registry = Registry()
    await registry.device(await registry.profile(), "m1", ALONE.credential)
    await refused(registry, issue("alone"), check="certificate.unknown")
    await refused(registry, PUMP, ANCHOR, check="chain.anchor")
    await refused(registry, check="chain.size")
    assert await kinds(registry) == {EventKind.LOGIN_REFUSED: 3}


async def test_only_a_certificate_is_one() -> None:
    registry = Registry()
    await registry.device(await registry.profile(), "m1", AccessToken(Secret(ALONE.id)))
    await refused(registry, ALONE, check="certificate.unknown")


async def test_a_device_signs_nothing() -> None:
    registry = Registry()
    await chained(registry, policy(lax=True))
    await let_in(registry, PUMP, ANCHOR)
    await refused(registry, issue("pump8.example.com", PUMP), PUMP, ANCHOR, check="chain.device")


async def test_a_certificate_whose_chain_is_wrong_is_refused_though_it_is_known() -> None:
    registry = Registry()
    await registry.device(await registry.profile(), "m1", ALONE.credential)
    await refused(registry, ALONE, ROOT, check="chain.signature")


@pytest.mark.parametrize("changes", [{"enabled": False}, {"state": DeviceState.DISCARDED}])
async def test_a_device_that_is_kept_out_stays_out(changes: dict[str, Any]) -> None:
    registry = Registry()
    await chained(registry)
    await let_in(registry, PUMP, ANCHOR)
    await registry.alter((await registry.known("pump7")).device, **changes)
    newer = issue("pump7.example.com", ANCHOR)
    check = "device.disabled" if "enabled" in changes else "device.discarded"
    await refused(registry, PUMP, ANCHOR, check=check)
    await refused(registry, newer, ANCHOR, check=check)
    assert not await registry.is_taken(newer.credential)


async def test_without_provisioning_no_certificate_is_looked_at() -> None:
    registry = Registry()
    await registry.device(await registry.profile(), "m1", ALONE.credential)
    registry.authenticate = msgspec.structs.replace(registry.authenticate, provision=None)
    await refused(registry, ALONE, check="certificate.unknown")


# A chain that lets a device in


async def test_a_chain_makes_its_device_with_the_leaf_for_a_credential() -> None:
    registry = Registry()
    profile = await chained(registry)
    identity = await let_in(registry, PUMP, ANCHOR)
    found = await registry.known("pump7")
    assert (identity.device, identity.device_name, found.device.profile) == (found.device.id, "pump7", profile.id)
    assert found.device.state is DeviceState.CONNECTED
    assert [each.lookup for each in found.credentials] == [registry.issuer.lookup(PUMP.credential)]
    assert identity.until == found.credentials[0].expires_at == START // 1000 * 1000 + 100 * DAY_MS
    assert await kinds(registry) == {EventKind.PROVISION_SUCCEEDED: 1, EventKind.DEVICE_CONNECTED: 1}


async def test_a_device_that_came_before_is_known_by_its_leaf_alone() -> None:
    registry = Registry()
    await chained(registry)
    first = await let_in(registry, PUMP, ANCHOR, ROOT)
    assert await let_in(registry, PUMP, ANCHOR) == first
    assert await let_in(registry, PUMP) == first
    assert len(await registry.events()) == 2


async def test_a_new_certificate_takes_the_place_of_the_old_ones_alone() -> None:
    registry = Registry()
    await chained(registry)
    before = await let_in(registry, PUMP, ANCHOR)
    device = (await registry.known("pump7")).device
    token = await registry.issuer.issue(AccessToken(Secret("t" * 20)), device.id, keep=False)
    await registry.repository.commit(Changes(insert=(token,)))
    newer = issue("pump7.example.com", ANCHOR)
    identity = await let_in(registry, newer, ANCHOR)
    assert identity.device == before.device
    held = (await registry.known("pump7")).credentials
    assert {each.lookup for each in held} == {token.lookup, registry.issuer.lookup(newer.credential)}
    assert not (await registry.authenticate.holds(before)).holds
    told = await kinds(registry)
    assert (told[EventKind.PROVISION_SUCCEEDED], told[EventKind.CREDENTIAL_ROTATED], told.total()) == (1, 1, 3)
    assert not await registry.is_taken(PUMP.credential)


LATER = issue("pump7.example.com", ANCHOR, begins=-5)


async def test_a_certificate_that_gave_way_does_not_come_back() -> None:
    registry = Registry()
    await chained(registry)
    await let_in(registry, PUMP, ANCHOR)
    await let_in(registry, LATER, ANCHOR)
    await refused(registry, PUMP, ANCHOR, check="chain.superseded")
    await let_in(registry, LATER, ANCHOR)


async def test_in_a_lax_profile_it_does_as_with_thingsboard() -> None:
    registry = Registry()
    await chained(registry, policy(lax=True))
    for leaf in (PUMP, LATER, PUMP):
        await let_in(registry, leaf, ANCHOR)
    (credential,) = (await registry.known("pump7")).credentials
    assert credential.lookup == registry.issuer.lookup(PUMP.credential)


@pytest.mark.parametrize(("text", "keep"), [("bm90IG9uZQ==", True), ("not base64", True), (LATER.credential.text, False)])
async def test_a_certificate_that_cannot_be_read_counts_from_when_it_was_registered(text: str, keep: bool) -> None:
    registry = Registry()
    profile = await chained(registry)
    await registry.device(profile, "pump7", Certificate(text), keep=keep)
    await refused(registry, PUMP, ANCHOR, check="chain.superseded")
    await let_in(registry, issue("pump7.example.com", ANCHOR, begins=0), ANCHOR)


async def test_a_defined_device_with_a_certificate_is_the_one_that_comes() -> None:
    registry = Registry()
    profile = await chained(registry, policy(create=False))
    device = await registry.device(profile, "pump7", ALONE.credential)
    assert (await let_in(registry, PUMP, ANCHOR)).device == device.id
    assert (await registry.known("pump7")).device.state is DeviceState.CONNECTED


async def test_a_device_that_is_not_expected_is_not_made() -> None:
    registry = Registry()
    await chained(registry, policy(create=False))
    await refused(registry, PUMP, ANCHOR, check="device.unknown")
    assert await kinds(registry) == {EventKind.PROVISION_REFUSED: 1, EventKind.LOGIN_REFUSED: 1}


async def test_other_credentials_stay_and_keep_the_certificate_out() -> None:
    registry = Registry()
    await registry.device(await chained(registry), "pump7", AccessToken(Secret("t" * 20)))
    await refused(registry, PUMP, ANCHOR, check="device.no_certificate")


async def test_a_device_whose_credentials_were_revoked_does_not_come_back() -> None:
    registry = Registry()
    await chained(registry)
    await let_in(registry, PUMP, ANCHOR)
    await registry.repository.commit(Changes(delete=tuple(map(Delete, (await registry.known("pump7")).credentials))))
    await refused(registry, PUMP, ANCHOR, check="credential.revoked")


async def test_a_name_of_another_profile_is_taken() -> None:
    registry = Registry()
    await chained(registry)
    await registry.device(await registry.profile(key="other"), "pump7", ALONE.credential)
    await refused(registry, PUMP, ANCHOR, check="device.other_profile")


async def test_a_leaf_that_another_device_has_is_that_devices() -> None:
    registry = Registry()
    await chained(registry)
    other = await registry.device(await registry.profile(key="other"), "m1", PUMP.credential)
    assert (await let_in(registry, PUMP, ANCHOR)).device == other.id
    assert await registry.snapshot("pump7") is None


async def test_no_key_and_secret_get_into_a_chains_profile() -> None:
    registry = Registry()
    await chained(registry)
    with pytest.raises(Refusal) as refusal:
        await registry.provision(claim("pump7"), CONTEXT)
    assert (refusal.value.reason, refusal.value.check) == (Reason.UNAUTHENTICATED, "profile.chain")


@pytest.mark.parametrize("serial", [0x1A0, 0x1A1, 0x1AA, 0xA, 1 << 158])
async def test_a_certificate_that_was_made_here_and_revoked_does_not_come_back_by_its_chain(serial: int) -> None:
    registry = Registry()
    await chained(registry)
    leaf = issue("pump7.example.com", ANCHOR, serial=serial)
    await let_in(registry, leaf, ANCHOR)
    found = await registry.known("pump7")
    records = [
        issued(found, id=f"{number:x}", lookup=each.credential)
        for number, each in ((serial, leaf), (serial - 1, ALONE), (serial + 1, PUMP), (serial * 16, ROOT))
    ]
    await registry.repository.commit(Changes(insert=tuple(records)))
    await let_in(registry, leaf, ANCHOR)
    newer = issue("pump7.example.com", ANCHOR)
    await let_in(registry, newer, ANCHOR)
    await refused(registry, leaf, ANCHOR, check="certificate.revoked")
    await let_in(registry, newer, ANCHOR)


def issued(found: DeviceSnapshot, id: str, lookup: Certificate) -> IssuedCertificate:  # noqa: A002 - the field's own name
    return IssuedCertificate(
        id=id,
        tenant=found.device.tenant,
        device=found.device.id,
        name=found.device.name,
        lookup=Registry().issuer.lookup(lookup),
        not_after=START + 200 * DAY_MS,
        created_at=START,
    )


# A chain that ends below what its profile trusts


async def test_a_leaf_alone_makes_its_device_as_the_whole_chain_does() -> None:
    registry = Registry()
    profile = await chained(registry)
    identity = await let_in(registry, PUMP)
    found = await registry.known("pump7")
    assert (identity.device, found.device.profile) == (found.device.id, profile.id)
    assert identity.until == START // 1000 * 1000 + 100 * DAY_MS
    assert await let_in(registry, PUMP) == await let_in(registry, PUMP, ANCHOR) == await let_in(registry, PUMP, ANCHOR, ROOT)
    newer = await let_in(registry, issue("pump7.example.com", ANCHOR))
    assert newer.device == identity.device
    assert not (await registry.authenticate.holds(identity)).holds


async def test_a_root_need_not_be_sent() -> None:
    registry = Registry()
    await chained(registry, policy(ROOT))
    assert (await let_in(registry, PUMP, ANCHOR)).device_name == "pump7"
    assert (await let_in(registry, issue("pump8.example.com", ROOT))).device_name == "pump8"
    await refused(registry, issue("pump9.example.com", ANCHOR), check="certificate.unknown")
    other = authority("other", authority("else"))
    await refused(registry, issue("pump9.example.com", other), other, check="chain.anchor")


async def test_what_was_sent_comes_before_what_is_found_by_name() -> None:
    registry = Registry()
    above = await chained(registry, policy(ROOT), key="above")
    sent_too = await chained(registry, key="sent")
    await let_in(registry, PUMP, ANCHOR)
    assert (await registry.known("pump7")).device.profile == sent_too.id
    await registry.profile(Strategy.DISABLED, key="disabled", chain=policy(CROSSED))
    crossed = issue("pump8.example.com", CROSSED)
    await let_in(registry, crossed, CROSSED)
    assert (await registry.known("pump8")).device.profile == above.id


@pytest.mark.parametrize("lax", [False, True])
@pytest.mark.parametrize(
    "forge",
    [
        lambda: (issue("pump7.example.com", authority("field")),),
        lambda: (issue("pump7.example.com", authority("field", ROOT)),),
        lambda: (issue("field"),),
        lambda: (authority("field"),),
        lambda: (issue("pump7.example.com", fake := authority("middle", authority("field"))), fake),
    ],
    ids=["self-made", "of one root", "of itself", "an authority", "below"],
)
async def test_an_authority_of_the_same_name_fails_at_the_signature(forge: Any, lax: bool) -> None:
    registry = Registry()
    await chained(registry, policy(pattern="(.*)", lax=lax))
    await refused(registry, *forge(), check="chain.signature")
    assert not await registry.devices()


async def test_the_path_to_what_was_not_sent_is_valid_too() -> None:
    registry = Registry()
    over, narrow = authority("over", ends=-1), authority("narrow", path_length=0)
    flagless = issue("flagless")
    for signer in (over, narrow, flagless, ANCHOR):
        await chained(registry, policy(signer), key=signer.id)
    middle = authority("middle", narrow)
    for chain, check in (
        ((issue("pump7.example.com", over),), "chain.expired"),
        ((issue("pump7.example.com", middle), middle), "chain.path_length"),
        ((issue("pump7.example.com", flagless),), "chain.authority"),
        ((issue("pump7.example.com", ANCHOR, ends=-1),), "certificate.expired"),
        ((issue("pump7.example.com", ANCHOR, begins=1),), "certificate.early"),
        ((issue("pump7.example.org", ANCHOR),), "chain.name"),
        ((authority("pump7.example.com", ANCHOR),), "chain.leaf"),
        (forged()[:2], "chain.authority"),
    ):
        await refused(registry, *chain, check=check)
    assert not await registry.devices()


async def test_a_lax_profile_trusts_what_was_not_sent_by_its_signature_alone() -> None:
    registry = Registry()
    over = authority("over", ends=-1)
    await chained(registry, policy(over), key="strict")
    lax = await chained(registry, policy(over, lax=True), key="lax")
    identity = await let_in(registry, issue("pump7.example.com", over))
    assert identity.until is None
    assert (await registry.known("pump7")).device.profile == lax.id


async def test_authorities_of_one_name_are_told_apart_by_their_signatures() -> None:
    registry = Registry()
    holders = [authority("field", ends=100 + number) for number in range(MOST_AUTHORITIES)]
    profiles = [await chained(registry, policy(each), key=each.id) for each in holders]
    await registry.profile(Strategy.DISABLED, key="disabled", chain=policy())
    await chained(registry, policy(holders[0], pattern="(valve.*)"), key="valves")
    for number, holder in enumerate(holders):
        await let_in(registry, issue(f"fan{number}.example.com", holder))
        assert (await registry.known(f"fan{number}")).device.profile == profiles[number].id
    await refused(registry, PUMP, check="chain.signature")
    await chained(registry, key="one more")
    await refused(registry, PUMP, check="chain.authorities")
    await refused(registry, issue("pump9.example.com", holders[0]), check="chain.authorities")
    assert (await let_in(registry, PUMP, ANCHOR)).device_name == "pump7"
    assert (await let_in(registry, PUMP)).device_name == "pump7"


async def test_an_authority_that_was_renewed_with_its_key_is_found_in_either_form() -> None:
    registry = Registry()
    old = authority("field", key=ANCHOR.key, ends=-1)
    await chained(registry, policy(old), key="old")
    await refused(registry, PUMP, check="chain.expired")
    current = await chained(registry, key="current")
    await let_in(registry, PUMP)
    assert (await registry.known("pump7")).device.profile == current.id
    await chained(registry, policy(authority("field", key=ANCHOR.key)), key="next")
    assert (await let_in(registry, issue("pump7.example.com", ANCHOR))).device_name == "pump7"
    await refused(registry, issue("pump8.example.com", ANCHOR), check="chain.ambiguous")


async def test_a_leaf_alone_that_was_made_here_and_revoked_does_not_come_back() -> None:
    registry = Registry()
    await chained(registry)
    leaf = issue("pump7.example.com", ANCHOR, serial=0x1A0)
    await let_in(registry, leaf)
    record = issued(await registry.known("pump7"), id="1a0", lookup=leaf.credential)
    await registry.repository.commit(Changes(insert=(record,)))
    await let_in(registry, issue("pump7.example.com", ANCHOR))
    await refused(registry, leaf, check="certificate.revoked")


async def test_an_issuer_without_a_readable_name_is_nobodys() -> None:
    registry = Registry()
    await chained(registry)
    broken = PUMP.der.replace(b"\x0c\x05field", b"\x02\x05field")
    with pytest.raises(Refusal) as refusal:
        await registry.authenticate(CertificateLogin((broken,)), CONTEXT)
    assert (refusal.value.reason, refusal.value.check) == (Reason.UNAUTHENTICATED, "chain.certificate")


# Strict and lax


@pytest.mark.parametrize(
    ("chain", "check"),
    [
        ((issue("pump7.example.com", ANCHOR, ends=-1), ANCHOR), "certificate.expired"),
        ((issue("pump7.example.com", authority("field")), ANCHOR), "chain.signature"),
        ((issue("pump7.example.com", issue("m", ANCHOR)), issue("m", ANCHOR), ANCHOR), "chain.signature"),
        ((issue("pump7.example.com", authority("field", ROOT)), authority("field", ROOT), ROOT), "chain.signature"),
        ((PUMP, ANCHOR, authority("root")), "chain.signature"),
        ((ANCHOR, ROOT), "chain.leaf"),
    ],
)
async def test_a_strict_profile_refuses_what_proves_nothing(chain: Sequence[Holder], check: str) -> None:
    registry = Registry()
    await chained(registry)
    await refused(registry, *chain, check=check)
    assert not await registry.devices()


def forged() -> tuple[Holder, ...]:
    """Return a chain that a device made with its own key, whose certificate is no authority's."""
    thief = issue("pump8.example.com", ANCHOR)
    return issue("pump7.example.com", thief), thief, ANCHOR


def late() -> tuple[Holder, ...]:
    """Return a chain with an authority whose time is over."""
    over = authority("over", ANCHOR, ends=-1)
    return issue("pump7.example.com", over), over, ANCHOR


@pytest.mark.parametrize(("make", "check"), [(forged, "chain.authority"), (late, "chain.expired")])
async def test_a_lax_profile_looks_at_signatures_and_the_leafs_time(make: Any, check: str) -> None:
    strict, lax = Registry(), Registry()
    await chained(strict)
    await chained(lax, policy(lax=True))
    chain = make()
    await refused(strict, *chain, check=check)
    identity = await let_in(lax, *chain)
    assert (identity.device_name, identity.until) == ("pump7", None)
    lax.clock.advance(101 * DAY_SECONDS)
    await refused(lax, *chain, check="certificate.expired")


async def test_a_chain_that_only_the_lax_take_goes_to_them() -> None:
    registry = Registry()
    await chained(registry, key="strict")
    lax = await chained(registry, policy(lax=True), key="lax")
    await let_in(registry, *late())
    assert (await registry.known("pump7")).device.profile == lax.id


async def test_a_connection_ends_with_the_certificate() -> None:
    registry = Registry()
    await chained(registry)
    identity = await let_in(registry, PUMP, ANCHOR)
    registry.clock.advance(101 * DAY_SECONDS)
    assert not (await registry.authenticate.holds(identity)).holds
    await refused(registry, PUMP, ANCHOR, check="certificate.expired")
    newer = issue("pump7.example.com", ANCHOR, begins=99, ends=200)
    await refused(registry, newer, ANCHOR, check="chain.expired")
    assert datetime.datetime.fromtimestamp(registry.clock.now() / 1000, datetime.UTC) > ANCHOR.certificate.not_valid_after_utc


# Which profile


@pytest.mark.parametrize(
    ("pattern", "common_name", "name"),
    [
        (PATTERN, "pump7.example.com", "pump7"),
        ("([^@]+)", "pump7@site-a", "pump7"),
        ("(.*)", "pump7", "pump7"),
        ("(.*)", " pump7 ", "pump7"),
        (r"at (\w+)", "it is at home", "home"),
        (PATTERN, "pump7.example.org", ""),
        (".*", "pump7", ""),
        ("(.*)", "", ""),
        ("(.*)", " ", ""),
        ("a|(b)", "a", ""),
        ("(", "pump7", ""),
        ("(.*)", "n" * NAME_CHARACTERS, "n" * NAME_CHARACTERS),
        ("(.*)", "n" * (NAME_CHARACTERS + 1), ""),
    ],
)
def test_the_name_is_what_the_patterns_first_group_finds(pattern: str, common_name: str, name: str) -> None:
    assert device_name(pattern, common_name) == name


async def test_a_name_that_no_pattern_finds_is_refused() -> None:
    registry = Registry()
    await chained(registry)
    await refused(registry, issue("pump7.example.org", ANCHOR), ANCHOR, check="chain.name")
    await refused(registry, issue("", ANCHOR), ANCHOR, check="chain.name")


async def test_profiles_of_one_authority_are_told_apart_by_their_patterns() -> None:
    registry = Registry()
    await chained(registry, policy(pattern="(pump.*)"), key="pumps")
    valves = await chained(registry, policy(pattern="(valve.*)"), key="valves")
    assert (await let_in(registry, issue("valve1", ANCHOR), ANCHOR)).device_name == "valve1"
    assert (await registry.known("valve1")).device.profile == valves.id


async def test_the_first_certificate_that_is_waited_for_counts() -> None:
    registry = Registry()
    await chained(registry, policy(ROOT), key="above")
    nearer = await chained(registry, key="nearer")
    await let_in(registry, PUMP, ANCHOR, ROOT)
    assert (await registry.known("pump7")).device.profile == nearer.id


@pytest.mark.parametrize("strategy", [Strategy.DISABLED, Strategy.CREATE_NEW])
async def test_a_profile_that_lets_in_otherwise_is_passed_over(strategy: Strategy) -> None:
    registry = Registry()
    await registry.profile(strategy, key="nearer", chain=policy())
    await refused(registry, PUMP, ANCHOR, ROOT, check="chain.anchor")
    above = await chained(registry, policy(ROOT), key="above")
    await let_in(registry, PUMP, ANCHOR, ROOT)
    assert (await registry.known("pump7")).device.profile == above.id


async def test_of_several_profiles_the_one_is_meant_that_has_the_device() -> None:
    registry = Registry()
    await registry.tenant()
    await chained(registry, key="a")
    has_it = await chained(registry, key="b")
    await refused(registry, PUMP, ANCHOR, check="chain.ambiguous")
    await registry.device(has_it, "pump7", ALONE.credential)
    await let_in(registry, PUMP, ANCHOR)
    assert (await registry.known("pump7")).device.profile == has_it.id


async def test_of_several_tenants_none_takes_a_device_that_another_would_make() -> None:
    registry = Registry()
    await registry.tenant()
    await chained(registry, key="a")
    sly = await chained(registry, policy(create=False), key="b", tenant=OTHER_TENANT)
    await registry.device(sly, "pump7", ALONE.credential)
    await refused(registry, PUMP, ANCHOR, check="chain.ambiguous")
    assert (await let_in(registry, issue("pump9.example.com", ANCHOR), ANCHOR)).tenant == DEFAULT_TENANT


# Several at once, limits, failures


async def test_two_connections_of_one_device_end_with_one_device() -> None:
    registry = Registry(FaultyRepository(no_fault))
    await chained(registry)
    one, other = await asyncio.gather(let_in(registry, PUMP, ANCHOR), let_in(registry, PUMP, ANCHOR))
    assert one == other
    (device,) = await registry.devices()
    assert len((await registry.known(device.name)).credentials) == 1
    assert (await kinds(registry))[EventKind.PROVISION_SUCCEEDED] == 1
    assert EventKind.CREDENTIAL_ROTATED not in await kinds(registry)


async def test_a_conflict_is_decided_again() -> None:
    registry = Registry(FaultyRepository(Conflicting(Conflict(Guard.DEVICE_NAME), 0)))
    await chained(registry)
    repository = registry.repository
    assert isinstance(repository, FaultyRepository)
    repository.fault = Conflicting(Conflict(Guard.DEVICE_NAME), 3)
    await refused(registry, PUMP, ANCHOR, check="registry.conflict", reason=Reason.UNAVAILABLE)
    assert (await let_in(registry, PUMP, ANCHOR)).device_name == "pump7"


async def test_a_certificate_that_is_taken_away_meanwhile_is_good_for_nothing() -> None:
    registry = Registry(RacedRepository())
    await chained(registry)

    class Undone:
        """Provisioning whose work is undone before anybody looks."""

        async def __call__(self, *_: Any) -> Provisioned | None:
            return None

    undone: Any = Undone()
    registry.authenticate = msgspec.structs.replace(registry.authenticate, provision=undone)
    await refused(registry, PUMP, ANCHOR, check="certificate.unknown")


async def test_wrong_certificates_count_as_wrong_logins_do() -> None:
    registry = Registry(failures=Rate(0.01, 2))
    await registry.device(await registry.profile(), "m1", ALONE.credential)
    for _ in range(2):
        await refused(registry, issue("alone"), check="certificate.unknown")
    await refused(registry, ALONE, check="limit.login", reason=Reason.TOO_MANY)


async def test_the_limits_of_provisioning_are_those_of_every_device() -> None:
    registry = Registry(claim_keys=Rate(0.01, 1))
    await chained(registry)
    await let_in(registry, PUMP, ANCHOR)
    await refused(registry, issue("pump8.example.com", ANCHOR), ANCHOR, check="limit.claim_key", reason=Reason.TOO_MANY)


async def test_a_leaf_in_a_profile_that_repeats_credentials_is_renewed_all_the_same() -> None:
    registry = Registry()
    await registry.profile(Strategy.CERTIFICATE_CHAIN, Reprovision.SAME, chain=policy())
    await let_in(registry, PUMP, ANCHOR)
    newer = issue("pump7.example.com", ANCHOR)
    await let_in(registry, newer, ANCHOR)
    (held,) = (await registry.known("pump7")).credentials
    assert registry.issuer.reveal(held) == newer.credential
