"""Queries by serial, by certificate, and for pending claims and entries of the directory, answered by the memory store."""

from core.model import Approval, Device, DirectoryEntry, PendingClaim, Profile, ProfileId, Tombstone
from core.queries import (
    AnchorsQuery,
    ApprovalQuery,
    ApprovalsQuery,
    DeviceClaimQuery,
    DeviceSnapshot,
    EnrolQuery,
    EnrolSnapshot,
    EntryLoginQuery,
    EntryQuery,
    EntrySecretQuery,
    NamedApprovalsQuery,
    PendingClaimQuery,
    PendingClaimSnapshot,
    SerialsQuery,
    SignedDevicesQuery,
    TombstoneQuery,
)
from storage.bounds import ALIKE, ALIKE_APPROVALS, ANCHORED
from storage.recall import named, snapshot
from storage.shelves import Shelves
from storage.uniques import Unique


def enrolment(shelves: Shelves, query: EnrolQuery) -> EnrolSnapshot:
    """Answer for a device that signs."""
    profile = shelves.profile(shelves.holder(Unique("profile_key", query.provision_key)))
    if profile is None:
        return EnrolSnapshot()
    device = _numbered(shelves, profile.id, query.serial)
    return EnrolSnapshot(
        tenant=shelves.tenant(profile.tenant),
        profile=profile,
        device=device,
        credentials=shelves.credentials(device.id) if device is not None else (),
        names_taken=frozenset(name for name in query.names if named(shelves, profile.tenant, name) is not None),
        tombstone=shelves.tombstone(shelves.holder(Unique("tombstone_serial", (profile.id, query.serial)))),
    )


def tombstone(shelves: Shelves, query: TombstoneQuery) -> Tombstone | None:
    """Answer for one tombstone: by id, else by name."""
    by_id = shelves.tombstone(query.id_or_name)
    if by_id is not None and by_id.tenant == query.tenant:
        return by_id
    return shelves.tombstone(shelves.holder(Unique("tombstone_name", (query.tenant, query.id_or_name))))


def signed_devices(shelves: Shelves, query: SignedDevicesQuery) -> tuple[DeviceSnapshot, ...]:
    """Answer for devices of a name or serial."""
    signed = [device for device in shelves.of(Device) if device.unique_serial]
    by_name = sorted((device for device in signed if device.name == query.serial), key=lambda device: device.id)
    # An empty serial is none.
    of_serial = [device for device in signed if query.serial and device.serial == query.serial]
    by_serial = sorted(of_serial, key=lambda device: device.profile)
    picked = {device.id: device for device in (*by_name[:ALIKE], *by_serial[:ALIKE])}
    found = (snapshot(shelves, device) for device in picked.values())
    return tuple(one for one in found if one is not None)


def serials(shelves: Shelves, query: SerialsQuery) -> tuple[DeviceSnapshot | None, ...]:
    """Answer for a profile's devices by serial, in the order of the serials."""
    return tuple(snapshot(shelves, _numbered(shelves, query.profile, serial)) for serial in query.serials)


def anchored(shelves: Shelves, query: AnchorsQuery) -> tuple[tuple[Profile, ...], ...]:
    """Answer for the profiles of certificates and then of names, in their order."""
    by_anchor: dict[str, list[Profile]] = {anchor: [] for anchor in query.anchors}
    by_name: dict[str, list[Profile]] = {name: [] for name in query.names}
    for profile in sorted(shelves.of(Profile), key=lambda profile: profile.id):
        if profile.chain is not None:
            by_anchor.get(profile.chain.anchor, []).append(profile)
            by_name.get(profile.chain.anchor_name, []).append(profile)
    found = (*(by_anchor[anchor] for anchor in query.anchors), *(by_name[name] for name in query.names))
    return tuple(tuple(some[:ANCHORED]) for some in found)


def pending_claim(shelves: Shelves, query: PendingClaimQuery) -> PendingClaimSnapshot | None:
    """Answer for the pending claim of a lookup."""
    claim = shelves.claim(shelves.holder(Unique("claim_lookup", query.lookup)))
    device = shelves.device(claim.id) if claim is not None else None
    return None if claim is None or device is None else PendingClaimSnapshot(claim=claim, device=device)


def device_claim(shelves: Shelves, query: DeviceClaimQuery) -> PendingClaim | None:
    """Answer for the pending claim of a device."""
    found = shelves.claim(query.device)
    return found if found is not None and found.tenant == query.tenant else None


def approval(shelves: Shelves, query: ApprovalQuery) -> Approval | None:
    """Answer for what a device waits for."""
    return shelves.approval(shelves.holder(Unique("approval_name", (query.profile, query.name))))


def approvals(shelves: Shelves, query: ApprovalsQuery) -> tuple[Approval | None, ...]:
    """Answer for entries of a queue by id, in the order of the ids."""
    found = map(shelves.approval, query.ids)
    return tuple(each if each is not None and each.tenant == query.tenant else None for each in found)


def named_approvals(shelves: Shelves, query: NamedApprovalsQuery) -> tuple[Approval, ...]:
    """Answer for entries of a queue by name."""
    named = (each for each in shelves.of(Approval) if (each.tenant, each.name) == (query.tenant, query.name))
    return tuple(sorted(named, key=lambda each: each.id)[:ALIKE_APPROVALS])


def entry(shelves: Shelves, query: EntryQuery) -> DirectoryEntry | None:
    """Answer for one entry."""
    found = shelves.entry(query.id)
    return found if found is not None and found.tenant == query.tenant else None


def entry_login(shelves: Shelves, query: EntryLoginQuery) -> DirectoryEntry | None:
    """Answer for the user who logs in with something."""
    return shelves.entry(shelves.holder(Unique("entry_login", (query.tenant, query.login))))


def entry_secret(shelves: Shelves, query: EntrySecretQuery) -> DirectoryEntry | None:
    """Answer for the user of a secret."""
    return shelves.entry(shelves.holder(Unique("entry_lookup", query.lookup)))


def _numbered(shelves: Shelves, profile: ProfileId, serial: str) -> Device | None:
    return shelves.device(shelves.holder(Unique("device_serial", (profile, serial))))
