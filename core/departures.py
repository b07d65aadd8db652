"""Departures: which devices do not come back by a claim key of their tenant, and what it takes to let one of them in."""

from core.crypto.tokens import new_id
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.model import Departure, Device, Profile, Tombstone, TombstoneId
from core.ports import Delete


def keeps_out(profile: Profile) -> bool:
    """Tell whether a profile's devices stay away once they were deleted or revoked."""
    return profile.claims is None or profile.claims.tombstones


def mark(device: Device, departure: Departure, issuer: Issuer, *, leave_until: int | None = None) -> Tombstone:
    """Make the tombstone of a device."""
    now = issuer.clock.now()
    return Tombstone(
        id=TombstoneId(new_id(now, issuer.entropy)),
        tenant=device.tenant,
        profile=device.profile,
        device=device.id,
        name=device.name,
        serial=device.serial if device.unique_serial else "",
        departure=departure,
        leave_until=leave_until,
        created_at=now,
    )


def marks(device: Device, profile: Profile, departure: Departure, issuer: Issuer) -> tuple[Tombstone, ...]:
    """Return what is to be inserted as a device leaves, nothing where its profile lets devices come back."""
    return (mark(device, departure, issuer),) if keeps_out(profile) else ()


def has_leave(tombstone: Tombstone | None, now: int) -> bool:
    """Tell whether an operator lets a device come back at this time."""
    return tombstone is not None and tombstone.gives_leave(now)


def require_welcome(tombstone: Tombstone | None, profile: Profile) -> None:
    """Check that a device that has no leave may be made by a claim key. Raises `Refusal` FORBIDDEN."""
    if tombstone is not None and keeps_out(profile):
        raise Refusal(Reason.FORBIDDEN, "the device was removed and is not to come back by itself", check="device.tombstone")


def used(*tombstones: Tombstone | None) -> tuple[Delete, ...]:
    """Return the removal of tombstones as their device comes back, which spends the leave: it is good once."""
    if not any(tombstones):
        return ()
    return tuple({each.id: Delete(each) for each in tombstones if each is not None}.values())
