"""What every store promises of devices with a serial, of pending claims and of the directory: all values, guards, deletions."""

import asyncio
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.model import (
    DEFAULT_TENANT,
    BootstrapConfig,
    CredentialKind,
    Device,
    DeviceState,
    DirectoryEntry,
    PendingClaim,
    Profile,
    Reallocation,
    Sealed,
    SignedPolicy,
    Strategy,
)
from core.ports import Changes, Delete, Entity, Repository
from core.queries import (
    BootstrapQuery,
    DeviceClaimQuery,
    DeviceQuery,
    EnrolQuery,
    EntryLoginQuery,
    EntryPage,
    EntryQuery,
    EntrySecretQuery,
    LoginQuery,
    PendingClaimQuery,
    ProfileQuery,
    SerialsQuery,
    TenantQuery,
)
from tests.storage.entities import (
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_signed,
    a_tenant,
    a_user,
    an_entry,
    an_event,
    an_organization,
    some_firmware,
)

THERE = a_tenant().id
ELSEWHERE: tuple[Entity, ...] = (a_tenant(), a_profile(9, tenant=THERE), a_device(9, tenant=THERE, profile=a_profile(9).id))
"""A tenant beside the default one, with a device."""


async def guard_of(repository: Repository, changes: Changes) -> Guard:
    with pytest.raises(Conflict) as caught:
        await repository.commit(changes)
    return caught.value.guard


async def insert(repository: Repository, *entities: Entity) -> None:
    await repository.commit(Changes(insert=entities))


async def device_of(repository: Repository, number: int = 1) -> Device | None:
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, a_device(number).id))
    return None if found is None else found.device


async def claim_of(repository: Repository, number: int = 1) -> PendingClaim | None:
    """Return a pending claim, having read it by both of its keys."""
    found = await repository.read(DeviceClaimQuery(DEFAULT_TENANT, a_device(number).id))
    if found is not None:
        snapshot = await repository.read(PendingClaimQuery(found.lookup))
        assert snapshot is not None
        assert (snapshot.claim, snapshot.device) == (found, await device_of(repository, number))
    return found


async def entry_of(repository: Repository, number: int = 1) -> DirectoryEntry | None:
    """Return an entry, having read it by each of its keys."""
    found = await repository.read(EntryQuery(DEFAULT_TENANT, an_entry(number).id))
    if found is not None and found.login:
        assert await repository.read(EntryLoginQuery(DEFAULT_TENANT, found.login)) == found
    if found is not None and found.lookup is not None:
        assert await repository.read(EntrySecretQuery(found.lookup)) == found
    return found


def next_version(entity: Any, **fields: object) -> Any:
    return msgspec.structs.replace(entity, version=entity.version + 1, **fields)


REACHED = {"provisioned_at": 11, "connected_at": 12, "associated_at": 13, "discarded_at": 14}
DEVICES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "everything": {
        "label": "Größe",
        "serial": "S\x00N",
        "unique_serial": True,
        "owner": "organization",
        "firmware": some_firmware(),
        "runs": "1.2",
        **REACHED,
    },
    "a serial": {"serial": "serial"},
    "a unique serial that is empty": {"unique_serial": True},
    "an owner": {"owner": "\U0001f600"},
    "firmware": {"firmware": some_firmware(2)},
    "what it runs": {"runs": "\x00"},
    **{name: {name: number} for name, number in REACHED.items()},
    "time zero": {"provisioned_at": 0},
}


@pytest.mark.parametrize("fields", DEVICES.values(), ids=DEVICES.keys())
async def test_a_device_is_read_back_as_it_was_written_and_as_it_became(repository: Repository, fields: Any) -> None:
    await insert(repository, an_organization("\U0001f600"))
    await insert(repository, a_device(**fields))
    assert await device_of(repository) == a_device(**fields)
    for version, then in enumerate((*DEVICES.values(), fields), 2):
        changed = a_device(**then, version=version)
        await repository.commit(Changes(replace=(changed,)))
        assert await device_of(repository) == changed


async def test_devices_with_and_without_extras_may_come_together(repository: Repository) -> None:
    await insert(repository, an_organization("\U0001f600"))
    made = [a_device(number, **fields, name=f"name-{number}") for number, fields in enumerate(DEVICES.values())]
    plain = [a_device(100 + number) for number in range(5)]
    await asyncio.gather(*(insert(repository, device) for device in (*plain[:2], *made, *plain[2:])))
    for device in (*made, *plain):
        found = await repository.read(DeviceQuery(DEFAULT_TENANT, device.id))
        assert found is not None
        assert found.device == device


SIGNED = SignedPolicy(
    auto_activation=False,
    self_registration=False,
    timestamp_tolerance_s=None,
    reallocation=Reallocation.INITIALIZE,
    product_key="pk1",
    mqtt_url="mqtt://192.0.2.1\x00",
    http_url="https://192.0.2.1",
)
PROFILES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "everything": {
        "strategy": Strategy.SIGNED,
        "previous_secret": Sealed(b"\x00before"),
        "previous_until": 77,
        "signed": SIGNED,
        "credential_kind": CredentialKind.DEVICE_SECRET,
        "firmware": some_firmware(),
        "metadata": {"floor": 1, "tags": ["\x00", "ü"]},
    },
    "a policy as it is by itself": {"signed": SignedPolicy(product_key="pk2")},
    "one kind of credential": {"credential_kind": CredentialKind.X509_CERTIFICATE},
    "a secret before": {"previous_secret": Sealed(b""), "previous_until": 0},
}


@pytest.mark.parametrize("fields", PROFILES.values(), ids=PROFILES.keys())
async def test_a_profile_is_read_back_as_it_was_written_and_as_it_became(repository: Repository, fields: Any) -> None:
    async def profile() -> Profile | None:
        found = await repository.read(EnrolQuery("key-2", "", ()))
        assert await repository.read(ProfileQuery(DEFAULT_TENANT, "profile 2")) == found.profile
        return found.profile

    await insert(repository, a_profile(2, **fields))
    assert await profile() == a_profile(2, **fields)
    for version, then in enumerate((*PROFILES.values(), fields), 2):
        await repository.commit(Changes(replace=(a_profile(2, **then, version=version),)))
        assert await profile() == a_profile(2, **then, version=version)


async def test_credentials_and_configurations_are_read_back_as_they_were(repository: Repository) -> None:
    held = (a_credential(1, expires_at=5), a_credential(2, device="device-0001", kind=CredentialKind.DEVICE_SECRET))
    config = a_config(firmware=some_firmware())
    await insert(repository, a_device(), *held, config)
    found = await repository.read(BootstrapQuery(config.external_id))
    assert found is not None
    assert (found.config, found.credentials) == (config, held)
    without = next_version(config, firmware=None)
    renewed = (next_version(held[0], expires_at=None), next_version(held[1], expires_at=0))
    await repository.commit(Changes(replace=(without, *renewed)))
    found = await repository.read(BootstrapQuery(config.external_id))
    assert found is not None
    assert (found.config, found.credentials) == (without, renewed)
    assert isinstance(found.config, BootstrapConfig)


LEFT_EMPTY_BY_DEVICES: tuple[dict[str, Any], ...] = (
    {"metadata": {}},
    {"metadata": {"floor": 1}},
    {"label": "Pump"},
    {"serial": "serial-0001"},
)
LEFT_EMPTY_BY_CREDENTIALS: tuple[dict[str, Any], ...] = (
    {},
    {"verifier": b"\x04verifier"},
    {"sealed": Sealed(b"\x00sealed")},
    {"expires_at": 0},
    {"trial": True},
)


async def test_devices_and_credentials_come_together_whatever_they_leave_empty(repository: Repository) -> None:
    devices = [a_device(number, **fields) for number, fields in enumerate(LEFT_EMPTY_BY_DEVICES, 1)]
    digest: dict[str, Any] = {"device": "device-0001", "sealed": None}
    held = tuple(a_credential(number, **digest | fields) for number, fields in enumerate(LEFT_EMPTY_BY_CREDENTIALS, 1))
    await insert(repository, *devices, *held)
    found = [await repository.read(DeviceQuery(DEFAULT_TENANT, device.id)) for device in devices]
    assert [each.device for each in found if each is not None] == devices
    assert found[0] is not None
    assert found[0].credentials == held
    logins = await repository.read(LoginQuery(tuple(each.lookup for each in held)))
    assert [each.credential for each in logins if each is not None] == list(held)


async def test_claims_and_entries_are_read_back_as_they_were(repository: Repository) -> None:
    claims, entries = (a_claim(1), a_claim(2)), (an_entry(1), a_user(2), an_entry(3, name="", lookup=a_lookup(9)))
    await insert(repository, a_device(1), a_device(2), *claims, *entries)
    assert [await claim_of(repository, number) for number in (1, 2)] == list(claims)
    assert [await entry_of(repository, number) for number in (1, 2, 3)] == list(entries)


SERIALS_TAKEN = {
    "of its profile": (a_signed(2, serial="serial-0001"), Guard.DEVICE_SERIAL),
    "name before serial": (a_signed(2, name="sensor-0001", serial="serial-0001"), Guard.DEVICE_NAME),
    "of another profile": (a_signed(2, serial="serial-0001", profile="profile-0002"), None),
    "in another case": (a_signed(2, serial="SERIAL-0001"), None),
    "by a device that does not mind": (a_device(2, serial="serial-0001"), None),
    "of a device that does not mind": (a_signed(2, serial="shared"), None),
    "empty": (a_signed(2, serial=""), None),
}


@pytest.mark.parametrize(("device", "guard"), SERIALS_TAKEN.values(), ids=SERIALS_TAKEN.keys())
async def test_a_serial_is_given_once(repository: Repository, device: Device, guard: Guard | None) -> None:
    present = (
        *(a_profile(2), a_signed(1), a_signed(3, serial="")),
        *(a_device(4, serial="shared"), a_device(5, serial="shared")),
    )
    if guard is not None:
        assert await guard_of(repository, Changes(insert=(*present, device))) is guard
    await insert(repository, *present)
    new = Changes(insert=(device, a_credential(2)), events=(an_event(),))
    if guard is not None:
        assert await guard_of(repository, new) is guard
        assert await repository.read(LoginQuery((a_lookup(2),))) == (None,)
    else:
        await repository.commit(new)
    assert await device_of(repository, 2) == (device if guard is None else None)


async def test_a_replacement_cannot_take_a_serial_but_may_give_its_own_up(repository: Repository) -> None:
    await insert(repository, a_signed(1), a_signed(2), a_profile(2), a_signed(3, profile=a_profile(2).id, serial="serial-0001"))
    for taking in (
        next_version(a_signed(2), serial="serial-0001"),
        next_version(a_signed(3), serial="serial-0001", profile=a_profile().id),
    ):
        assert await guard_of(repository, Changes(replace=(taking,))) is Guard.DEVICE_SERIAL
    await repository.commit(Changes(replace=(next_version(a_signed(1)),)))  # its own serial stays its own
    given_up = a_signed(1, unique_serial=False, version=3)
    taken_over = next_version(a_signed(2), serial="serial-0001")
    await repository.commit(Changes(replace=(given_up, taken_over), insert=(a_signed(4, serial="serial-0002"),)))
    found = await repository.read(SerialsQuery(a_profile().id, ("serial-0001", "serial-0002")))
    assert [one and one.device for one in found] == [taken_over, a_signed(4, serial="serial-0002")]
    await repository.commit(Changes(delete=(Delete(taken_over),), insert=(a_signed(5, serial="serial-0001"),)))
    assert await guard_of(repository, Changes(replace=(a_signed(1, version=4),))) is Guard.DEVICE_SERIAL


CLAIMS_REFUSED = {
    "the device has one": (a_claim(1, lookup=a_lookup(9)), Guard.CLAIM_DEVICE),
    "the device has it": (a_claim(1), Guard.CLAIM_DEVICE),
    "the lookup": (a_claim(2, lookup=a_claim(1).lookup), Guard.CLAIM_LOOKUP),
    "the lookup in another tenant": (a_claim(9, lookup=a_claim(1).lookup, tenant=THERE), Guard.CLAIM_LOOKUP),
    "no such device": (a_claim(3), Guard.REFERENCE),
    "a device of another tenant": (a_claim(9), Guard.REFERENCE),
    "another tenant than the device's": (a_claim(2, tenant=THERE), Guard.REFERENCE),
}


@pytest.mark.parametrize(("claim", "guard"), CLAIMS_REFUSED.values(), ids=CLAIMS_REFUSED.keys())
async def test_a_claim_is_of_one_device_and_one_secret(repository: Repository, claim: PendingClaim, guard: Guard) -> None:
    present = (*ELSEWHERE, a_device(1), a_device(2), a_claim(1))
    assert await guard_of(repository, Changes(insert=(*present, claim))) is guard
    await insert(repository, *present)
    assert await guard_of(repository, Changes(insert=(claim,))) is guard
    assert (await claim_of(repository, 1), await claim_of(repository, 2)) == (a_claim(1), None)


async def test_a_claim_is_offered_anew(repository: Repository) -> None:
    await insert(repository, a_device(1), a_device(2), a_claim(1), a_claim(2))
    assert await guard_of(repository, Changes(replace=(a_claim(1, expires_at=9),))) is Guard.VERSION
    taken = next_version(a_claim(2), lookup=a_claim(1).lookup)
    assert await guard_of(repository, Changes(replace=(taken,))) is Guard.CLAIM_LOOKUP
    anew = next_version(a_claim(1), lookup=a_lookup(9), announced=False, expires_at=2**40)
    await repository.commit(Changes(replace=(anew, taken)))
    assert (await claim_of(repository, 1), await claim_of(repository, 2)) == (anew, taken)
    await repository.commit(Changes(delete=(Delete(anew),), replace=(next_version(taken, lookup=a_lookup(9)),)))
    assert await claim_of(repository, 1) is None
    assert await guard_of(repository, Changes(delete=(Delete(anew),))) is Guard.VERSION
    again = a_claim(1, created_at=7)
    await insert(repository, again)
    assert await claim_of(repository, 1) == again


async def test_a_claim_goes_with_its_device(repository: Repository) -> None:
    await insert(repository, a_device(1), a_device(2), a_claim(1), a_claim(2))
    replaced = next_version(a_claim(1), announced=False)
    assert await guard_of(repository, Changes(delete=(Delete(a_device(1)),), replace=(replaced,))) is Guard.REFERENCE
    heir = a_claim(2, lookup=a_claim(1).lookup)
    await repository.commit(Changes(delete=(Delete(a_device(1)), Delete(a_device(2)), Delete(a_claim(2)))))
    await insert(repository, a_device(1), a_device(2), heir)
    assert (await claim_of(repository, 1), await claim_of(repository, 2)) == (None, heir)
    await repository.commit(Changes(delete=(Delete(a_device(2)),), insert=(a_device(2), a_claim(2, lookup=heir.lookup))))
    assert await claim_of(repository, 2) == heir


ENTRIES_REFUSED = {
    "the login": (a_user(2, login="user-1@example.org"), Guard.ENTRY_LOGIN),
    "the secret": (a_user(2, lookup=a_user(1).lookup), Guard.CREDENTIAL_LOOKUP),
    "the secret in another tenant": (a_user(2, lookup=a_user(1).lookup, parent="", tenant=THERE), Guard.CREDENTIAL_LOOKUP),
    "login before secret": (a_user(2, login="user-1@example.org", lookup=a_user(1).lookup), Guard.ENTRY_LOGIN),
    "no such tenant": (an_entry(2, tenant="nowhere"), Guard.REFERENCE),
    "the id": (an_entry(1), Guard.VERSION),
}


@pytest.mark.parametrize(("entry", "guard"), ENTRIES_REFUSED.values(), ids=ENTRIES_REFUSED.keys())
async def test_an_entry_has_its_own_login_and_secret(repository: Repository, entry: DirectoryEntry, guard: Guard) -> None:
    present = (*ELSEWHERE, a_user(1))
    assert await guard_of(repository, Changes(insert=(*present, entry))) is guard
    await insert(repository, *present)
    assert await guard_of(repository, Changes(insert=(entry,))) is guard
    assert (await entry_of(repository, 1), await entry_of(repository, 2)) == (a_user(1), None)


async def test_logins_are_unique_within_a_tenant_and_where_there_are_any(repository: Repository) -> None:
    there = a_user(2, tenant=THERE, parent="", login="user-1@example.org")
    alike = [an_entry(number, name="same", template="nowhere") for number in (3, 4)]
    await insert(repository, *ELSEWHERE, a_user(1), there, *alike, a_user(5, login="USER-1@example.org"))
    assert await repository.read(EntryLoginQuery(THERE, "user-1@example.org")) == there
    assert await entry_of(repository, 1) == a_user(1)
    assert await repository.read(EntryLoginQuery(DEFAULT_TENANT, "")) is None


async def test_an_entry_is_changed_as_it_was_read(repository: Repository) -> None:
    await insert(repository, *ELSEWHERE, a_user(1), a_user(2))
    for changed, guard in (
        (next_version(a_user(2), login="user-1@example.org"), Guard.ENTRY_LOGIN),
        (next_version(a_user(2), lookup=a_user(1).lookup), Guard.CREDENTIAL_LOOKUP),
        (next_version(a_user(2), tenant=THERE, parent=""), Guard.REFERENCE),
        (a_user(2, version=3), Guard.VERSION),
    ):
        assert await guard_of(repository, Changes(replace=(changed,))) is guard
    swapped: tuple[DirectoryEntry, DirectoryEntry] = (
        next_version(a_user(1), login="", lookup=None, attributes={}, role=None),
        next_version(a_user(2), login="user-1@example.org", lookup=a_user(1).lookup, name="renamed"),
    )
    await repository.commit(Changes(replace=swapped))
    assert (await entry_of(repository, 1), await entry_of(repository, 2)) == swapped
    again = a_user(2, login="user-1@example.org")
    await repository.commit(Changes(delete=(Delete(swapped[1]),), insert=(again,)))
    assert await entry_of(repository, 2) == again


async def test_a_tenant_with_entries_stays(repository: Repository) -> None:
    own = an_entry(tenant=THERE)
    await insert(repository, a_tenant(), own)
    assert await guard_of(repository, Changes(delete=(Delete(a_tenant()),))) is Guard.REFERENCE
    await repository.commit(Changes(delete=(Delete(a_tenant()), Delete(own))))
    assert await repository.read(TenantQuery(THERE)) is None
    assert (await repository.read(EntryPage(tenant=THERE, kind=own.kind))).total == 0


async def test_a_tenant_goes_with_claims_and_entries(repository: Repository) -> None:
    own = (*ELSEWHERE, a_claim(9, tenant=THERE), an_organization("there", tenant=THERE), a_user(tenant=THERE, parent="there"))
    await insert(repository, *own)
    await repository.commit(Changes(delete=tuple(Delete(entity) for entity in own if not isinstance(entity, PendingClaim))))
    assert await repository.read(TenantQuery(THERE)) is None
    assert await repository.read(PendingClaimQuery(a_claim(9).lookup)) is None
    assert await repository.read(EntrySecretQuery(a_user().lookup or a_lookup(0))) is None


async def guards_of(repository: Repository, *group: Changes) -> list[Guard | None]:
    """Commit all at once and return, in order, the guard that failed each."""
    outcomes = await asyncio.gather(*map(repository.commit, group), return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, Conflict) for outcome in outcomes)
    return [outcome.guard if isinstance(outcome, Conflict) else None for outcome in outcomes]


async def test_one_of_fifty_devices_of_a_serial_wins(repository: Repository) -> None:
    enrolments = [Changes(insert=(a_signed(number, serial="same"), a_credential(number))) for number in range(50)]
    assert await guards_of(repository, *enrolments) == [None] + [Guard.DEVICE_SERIAL] * 49
    found = await repository.read(LoginQuery(tuple(a_lookup(number) for number in range(50))))
    assert [login is not None for login in found] == [True] + [False] * 49
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert tenant.devices == 1


async def test_one_of_fifty_claims_of_a_secret_wins(repository: Repository) -> None:
    await insert(repository, *map(a_device, range(50)))
    offers = [Changes(insert=(a_claim(number, lookup=a_lookup(1)),)) for number in range(50)]
    assert await guards_of(repository, *offers) == [None] + [Guard.CLAIM_LOOKUP] * 49
    again = [Changes(insert=(a_claim(1, lookup=a_lookup(100 + number)),)) for number in range(50)]
    assert await guards_of(repository, *again) == [None] + [Guard.CLAIM_DEVICE] * 49
    assert [await claim_of(repository, number) for number in (0, 1, 2)] == [
        a_claim(0, lookup=a_lookup(1)),
        a_claim(1, lookup=a_lookup(100)),
        None,
    ]


async def test_one_of_many_who_claim_a_device_gets_it(repository: Repository) -> None:
    owners = [an_organization(f"owner-{number}") for number in range(20)]
    await insert(repository, a_device(state=DeviceState.CONNECTED), a_claim(), *owners)
    associated = a_device(state=DeviceState.ASSOCIATED, version=2)
    claims = [
        Changes(replace=(msgspec.structs.replace(associated, owner=f"owner-{number}"),), delete=(Delete(a_claim()),))
        for number in range(20)
    ]
    assert await guards_of(repository, *claims) == [None] + [Guard.VERSION] * 19
    assert await device_of(repository) == msgspec.structs.replace(associated, owner="owner-0")
    assert await claim_of(repository) is None
