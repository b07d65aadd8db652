"""What every store promises of what stands behind a protected wire: chains, OSCORE contexts, certificates made here."""

import time
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.model import (
    DEFAULT_TENANT,
    CredentialKind,
    DeviceId,
    IssuingPolicy,
    OscoreState,
    Plain,
    Profile,
    SignedPolicy,
    Strategy,
)
from core.ports import Changes, Delete, Entity, Repository
from core.queries import (
    AnchorsQuery,
    ClaimQuery,
    DeviceQuery,
    IssuedPage,
    IssuedSnapshot,
    LoginQuery,
    OscoreQuery,
    ProfilePage,
    ProfileQuery,
)
from tests.storage.entities import (
    a_chain,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_tenant,
    an_event,
    an_issued,
    an_oscore_state,
)

THERE = a_tenant().id


async def guard_of(repository: Repository, changes: Changes) -> Guard:
    with pytest.raises(Conflict) as caught:
        await repository.commit(changes)
    return caught.value.guard


async def insert(repository: Repository, *entities: Entity) -> None:
    await repository.commit(Changes(insert=entities))


async def anchored(repository: Repository, *anchors: str) -> list[list[str]]:
    """Return the numbers of the profiles that chains to these certificates may belong to."""
    found = await repository.read(AnchorsQuery(anchors))
    return _numbers(found)


async def named(repository: Repository, *names: str) -> list[list[str]]:
    """Return the numbers of the profiles whose certificates have these names."""
    return _numbers(await repository.read(AnchorsQuery(names=names)))


def _numbers(found: tuple[tuple[Profile, ...], ...]) -> list[list[str]]:
    return [[profile.name.removeprefix("profile ") for profile in some] for some in found]


async def state_of(repository: Repository, number: int = 1) -> OscoreState | None:
    return await repository.read(OscoreQuery(a_credential(number).id))


async def issued(repository: Repository, **fields: Any) -> list[tuple[int, bool]]:
    """Return the numbers of certificates, and whether they live."""
    found = await repository.read(IssuedPage(**{"until": 0} | fields))
    return [(int(each.certificate.id, 16), each.live) for each in found]


PROFILES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a chain": {"strategy": Strategy.CERTIFICATE_CHAIN, "chain": a_chain()},
    "a chain of its own": {"chain": a_chain(authorities=("ü",), pattern="^(\\d+)\x00ü$", create=False, lax=True)},
    "another chain": {"chain": a_chain(2)},
    "certificates from here": {"issuing": IssuingPolicy(lifetime_s=1)},
    "keys from here": {"issuing": IssuingPolicy(lifetime_s=86_400, key_pairs=True)},
    **{f"plain: {plain.value}": {"plain": plain} for plain in Plain},
    "everything": {
        "chain": a_chain(3),
        "issuing": IssuingPolicy(lifetime_s=7),
        "plain": Plain.CHALLENGE,
        "signed": SignedPolicy(product_key="pk"),
        "credential_kind": CredentialKind.OSCORE,
        "metadata": {"a": 1},
    },
}


@pytest.mark.parametrize("fields", PROFILES.values(), ids=PROFILES.keys())
async def test_a_profile_is_read_back_as_it_was_written_and_as_it_became(repository: Repository, fields: Any) -> None:
    made = a_profile(2, **fields)
    await insert(repository, made)
    for version, then in enumerate((*PROFILES.values(), fields), 2):
        assert await repository.read(ProfileQuery(DEFAULT_TENANT, "profile 2")) == made
        assert (await repository.read(ClaimQuery("key-2", ""))).profile == made
        assert (await repository.read(ProfilePage(DEFAULT_TENANT)))[1] == made
        anchors = [name for name in ("anchor-1", "anchor-2", "anchor-3") if await anchored(repository, name) == [["2"]]]
        assert anchors == ([made.chain.anchor] if made.chain is not None else [])
        names = [name for name in ("name-1", "name-2", "name-3") if await named(repository, name) == [["2"]]]
        assert names == ([made.chain.anchor_name] if made.chain is not None else [])
        made = a_profile(2, **then, version=version)
        await repository.commit(Changes(replace=(made,)))


async def test_profiles_are_found_by_the_certificate_of_their_chains(repository: Repository) -> None:
    await insert(repository, a_tenant())
    made = [a_profile(5, chain=a_chain()), a_profile(3, chain=a_chain()), a_profile(4, chain=a_chain(), tenant=THERE)]
    for profile in (*made, a_profile(6, chain=a_chain(2)), a_profile(7)):
        await insert(repository, profile)
    assert await anchored(repository, "anchor-1") == [["3", "4", "5"]]
    assert await anchored(repository, "anchor-2", "", "anchor-3", "anchor-1", "anchor-2") == [
        *(["6"], [], [], ["3", "4", "5"], ["6"])
    ]
    assert await anchored(repository) == []
    (found,) = await repository.read(AnchorsQuery(("anchor-1",)))
    assert found == (made[1], made[2], made[0])
    await repository.commit(Changes(delete=(Delete(made[2]),), replace=(a_profile(5, version=2),)))
    assert await anchored(repository, "anchor-1") == [["3"]]


async def test_of_many_profiles_of_one_certificate_the_oldest_are_found(repository: Repository) -> None:
    made: list[Profile] = [a_profile(number, chain=a_chain()) for number in range(2, 102)]
    await insert(repository, *reversed(made))
    assert await repository.read(AnchorsQuery(("anchor-1", "anchor-1"))) == (tuple(made[:64]),) * 2
    assert await repository.read(AnchorsQuery(names=("name-1", "name-1"))) == (tuple(made[:64]),) * 2


async def test_profiles_are_found_by_the_name_of_their_certificate(repository: Repository) -> None:
    await insert(repository, a_tenant())
    renewed = a_chain(anchor="anchor-9")
    made = [a_profile(5, chain=a_chain()), a_profile(3, chain=renewed), a_profile(4, chain=a_chain(), tenant=THERE)]
    for profile in (*made, a_profile(6, chain=a_chain(2)), a_profile(7)):
        await insert(repository, profile)
    assert await named(repository, "name-1") == [["3", "4", "5"]]
    assert await named(repository, "name-2", "", "anchor-1", "name-1", "name-2") == [["6"], [], [], ["3", "4", "5"], ["6"]]
    assert await repository.read(AnchorsQuery()) == ()
    found = await repository.read(AnchorsQuery(("anchor-1", "name-1"), ("name-1", "anchor-1")))
    assert found == ((made[2], made[0]), (), (made[1], made[2], made[0]), ())
    changed = a_profile(3, chain=a_chain(2), version=2)
    await repository.commit(Changes(delete=(Delete(made[2]),), replace=(changed, a_profile(5, version=2))))
    assert await named(repository, "name-1", "name-2") == [[], ["3", "6"]]


WINDOWS: dict[str, dict[str, Any]] = {
    "never used": {"sequence": 0},
    "in use": {"sequence": 2**40 - 1},
    "in good order": {"window": (0, 0)},
    "a wide window": {"window": (2**40 - 1, 2**200 - 1)},
}


@pytest.mark.parametrize("fields", WINDOWS.values(), ids=WINDOWS.keys())
async def test_an_oscore_state_is_read_back_as_it_was_written_and_as_it_became(repository: Repository, fields: Any) -> None:
    await insert(repository, a_device(), a_credential(), a_device(2), a_credential(2))
    assert await state_of(repository) is None
    made = an_oscore_state(**fields)
    await insert(repository, made)
    for version, then in enumerate((*WINDOWS.values(), fields), 2):
        assert await state_of(repository) == made
        assert await state_of(repository, 2) is None
        made = an_oscore_state(**then, version=version)
        await repository.commit(Changes(replace=(made,)))
    await repository.commit(Changes(delete=(Delete(made),)))
    assert await state_of(repository) is None


async def test_a_credential_has_one_oscore_state(repository: Repository) -> None:
    await insert(repository, a_device(), a_credential(), an_oscore_state())
    assert await guard_of(repository, Changes(insert=(an_oscore_state(sequence=5),))) is Guard.OSCORE_CONTEXT
    await insert(repository, a_credential(2, device="device-0001"))
    twice = Changes(insert=(an_oscore_state(2), an_oscore_state(2)))
    assert await guard_of(repository, twice) is Guard.OSCORE_CONTEXT
    assert await state_of(repository) == an_oscore_state()


async def test_an_oscore_state_needs_its_credential(repository: Repository) -> None:
    assert await guard_of(repository, Changes(insert=(an_oscore_state(),))) is Guard.REFERENCE
    await insert(repository, a_device(), a_credential())
    gone = Changes(insert=(an_oscore_state(),), delete=(Delete(a_credential()),))
    assert await guard_of(repository, gone) is Guard.REFERENCE
    assert await state_of(repository) is None


async def test_an_oscore_state_may_come_with_its_credential(repository: Repository) -> None:
    await insert(repository, a_device())
    await insert(repository, an_oscore_state(), a_credential())
    assert await state_of(repository) == an_oscore_state()


async def test_of_two_who_take_an_oscore_state_on_one_is_late(repository: Repository) -> None:
    await insert(repository, a_device(), a_credential(), an_oscore_state())
    await repository.commit(Changes(replace=(an_oscore_state(sequence=100, version=2),)))
    assert await guard_of(repository, Changes(replace=(an_oscore_state(sequence=200, version=2),))) is Guard.VERSION
    assert await guard_of(repository, Changes(replace=(an_oscore_state(2, version=2),))) is Guard.VERSION
    assert await guard_of(repository, Changes(delete=(Delete(an_oscore_state()),))) is Guard.VERSION
    assert await state_of(repository) == an_oscore_state(sequence=100, version=2)


@pytest.mark.parametrize("gone", [a_credential(), a_device()], ids=["its credential", "its device"])
async def test_an_oscore_state_goes_with(repository: Repository, gone: Entity) -> None:
    others = (a_device(2), a_credential(2), an_oscore_state(2))
    await insert(repository, a_device(), a_credential(), an_oscore_state(), *others)
    await repository.commit(Changes(delete=(Delete(gone),)))
    assert await state_of(repository) is None
    assert await state_of(repository, 2) == an_oscore_state(2)
    assert await guard_of(repository, Changes(replace=(an_oscore_state(version=2),))) is Guard.VERSION
    device = () if isinstance(gone, type(a_credential())) else (a_device(),)
    await insert(repository, *device, a_credential())
    assert await state_of(repository) is None
    await insert(repository, an_oscore_state(sequence=9))
    assert await state_of(repository) == an_oscore_state(sequence=9)


async def test_a_credential_may_be_replaced_by_one_of_its_id_with_a_state_of_its_own(repository: Repository) -> None:
    await insert(repository, a_device(), a_credential(), an_oscore_state(sequence=7))
    renewed = Changes(delete=(Delete(a_credential()),), insert=(a_credential(), an_oscore_state(sequence=0)))
    await repository.commit(renewed)
    assert await state_of(repository) == an_oscore_state(sequence=0)


async def test_a_changed_credential_keeps_its_oscore_state(repository: Repository) -> None:
    await insert(repository, a_device(), a_credential(), an_oscore_state())
    await repository.commit(Changes(replace=(a_credential(expires_at=9, version=2),)))
    assert await state_of(repository) == an_oscore_state()


CERTIFICATES: dict[str, dict[str, Any]] = {
    "plain": {},
    "revoked": {"revoked_at": 7},
    "of nobody": {"tenant": "nobody", "device": DeviceId("nobody"), "name": "\x00ü"},
}


@pytest.mark.parametrize("fields", CERTIFICATES.values(), ids=CERTIFICATES.keys())
async def test_a_certificate_is_read_back_as_it_was_written_and_as_it_became(repository: Repository, fields: Any) -> None:
    await insert(repository, made := an_issued(**fields))
    assert await repository.read(IssuedPage(until=0)) == (IssuedSnapshot(made, live=False),)
    for version in (2, 3):
        made = msgspec.structs.replace(made, revoked_at=version, version=version)
        await repository.commit(Changes(replace=(made,)))
        assert await repository.read(IssuedPage(until=0)) == (IssuedSnapshot(made, live=False),)
    await repository.commit(Changes(delete=(Delete(made),)))
    assert await repository.read(IssuedPage(until=0)) == ()


async def test_no_two_certificates_have_one_serial_number(repository: Repository) -> None:
    await insert(repository, an_issued())
    assert await guard_of(repository, Changes(insert=(an_issued(name="other"),))) is Guard.CERTIFICATE_SERIAL
    assert await guard_of(repository, Changes(insert=(an_issued(2), an_issued(2)))) is Guard.CERTIFICATE_SERIAL
    assert await guard_of(repository, Changes(replace=(an_issued(tenant=THERE, version=2),))) is Guard.REFERENCE
    assert await guard_of(repository, Changes(replace=(an_issued(revoked_at=1, version=3),))) is Guard.VERSION
    await insert(repository, an_issued(2, lookup=a_lookup(1)))
    assert await issued(repository) == [(1, False), (2, False)]


async def test_a_certificate_lives_as_long_as_a_credential_has_its_lookup(repository: Repository) -> None:
    await insert(repository, a_device(), a_credential(), an_issued(), an_issued(2), a_device(3), a_credential(3), an_issued(3))
    assert await issued(repository) == [(1, True), (2, False), (3, True)]
    assert await issued(repository, revoked=True) == [(2, False)]
    await repository.commit(Changes(delete=(Delete(a_device()), Delete(a_credential(3)))))
    assert await issued(repository) == [(1, False), (2, False), (3, False)]
    assert await issued(repository, revoked=True) == [(1, False), (2, False), (3, False)]
    assert await repository.read(LoginQuery((a_lookup(1),))) == (None,)
    assert await repository.read(DeviceQuery(DEFAULT_TENANT, a_device().id)) is None


async def test_a_certificate_stays_when_its_tenant_goes(repository: Repository) -> None:
    await insert(repository, a_tenant(), a_profile(2, tenant=THERE))
    await insert(repository, made := an_issued(tenant=THERE))
    await repository.commit(Changes(delete=(Delete(a_profile(2, tenant=THERE)), Delete(a_tenant()))))
    noticed = msgspec.structs.replace(made, revoked_at=5, version=2)
    await repository.commit(Changes(replace=(noticed,)))
    assert await repository.read(IssuedPage(until=0)) == (IssuedSnapshot(noticed, live=False),)


async def test_certificates_come_in_pages(repository: Repository) -> None:
    await insert(repository, a_tenant(), a_device(), a_credential(1), a_credential(5, device="device-0001"))
    made = [an_issued(number, not_after=100 - number, tenant=(DEFAULT_TENANT, THERE)[number % 2]) for number in range(1, 8)]
    await insert(repository, *reversed(made))
    everything = [(number, number in (1, 5)) for number in range(1, 8)]
    assert await issued(repository) == everything
    assert await issued(repository, limit=3) == everything[:3]
    assert await issued(repository, after=made[2].id, limit=3) == everything[3:6]
    assert await issued(repository, until=95) == everything[:4]
    assert await issued(repository, until=99) == []
    assert await issued(repository, until=94, revoked=True, limit=2) == [(2, False), (3, False)]
    assert await issued(repository, revoked=True, after=made[3].id) == [(6, False), (7, False)]
    assert await issued(repository, limit=0) == []
    assert await issued(repository, limit=-1) == []


async def test_certificates_whose_time_has_long_been_over_are_forgotten_with_events(repository: Repository) -> None:
    now, day = time.time_ns() // 1_000_000, 86_400_000
    ends = {1: now - 30 * day, 2: now - 8 * day, 3: now - 6 * day, 4: now + day}
    made = [an_issued(number, not_after=end) for number, end in ends.items()]
    await repository.commit(Changes(insert=tuple(made), events=(an_event(1), an_event(2))))
    assert await repository.prune_events(1) == 1
    assert await issued(repository) == [(3, False), (4, False)]
    assert await repository.prune_events(1) == 0
    await insert(repository, made[0])
    assert await issued(repository) == [(1, False), (3, False), (4, False)]
