"""Associate: which devices wait to be given an owner, by what they are found, and what they are once they have one."""

from collections.abc import Sequence

import msgspec

from core import lifecycle
from core.configuration import is_let_in
from core.crypto.tokens import Alphabet
from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.model import Device, DeviceId, DeviceState, Lookup, PendingClaim, Profile, Secret
from core.ports import Changes, Delete, Entity, Entropy

CODE_CHARACTERS = 12
CODE_ALPHABET = "BCDFGHJKMNPQRSTVWXYZ23456789"  # none looks like another in most typefaces, and no code spells a word
DEFAULT_SECONDS = 24 * 3_600
LEAST_SECONDS = 60
MOST_SECONDS = 30 * 24 * 3_600
_CODES = Alphabet(CODE_ALPHABET)
_BETWEEN_CHARACTERS = str.maketrans("", "", " -\t\r\n")
_SECOND = 1_000


class ClaimingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor calls that which decides about announcements: a profile's option, and members of a device's metadata.

    Devices of a profile with the option `closed` may be claimed only where their metadata says true under `allowed`. Under
    `announced` an operator may write an announcement for a device: an object with the text `secret` and the time `expires_at`,
    in milliseconds since the Unix epoch. A `gateway` is marked by true; `gateway_id` names the one that a device is behind.
    """

    closed: str
    allowed: str
    announced: str
    secret: str
    expires_at: str
    gateway: str
    gateway_id: str


def draw_code(entropy: Entropy) -> Secret:
    """Draw a code that people can read to each other: 12 characters (57 bits)."""
    return Secret(_CODES.draw(CODE_CHARACTERS, entropy))


def code_lookup(code: Secret, vault: Vault) -> Lookup:
    """Return where a code is found that somebody typed: its case, blanks and dashes do not count."""
    return vault.lookup("association code", _fold(code))


def is_code(code: Secret) -> bool:
    """Tell whether what somebody typed looks like a code at all: twelve letters and digits, be they in codes or not."""
    folded = _fold(code)
    return len(folded) == CODE_CHARACTERS and folded.isascii() and folded.isalnum()


def _fold(code: Secret) -> str:
    return code.reveal().translate(_BETWEEN_CHARACTERS).upper()


def announced_lookup(device: DeviceId, secret: Secret, vault: Vault) -> Lookup:
    """Return where what a device announced is found: many devices may have one secret."""
    return vault.lookup("claim", f"{device}\0{secret.reveal()}")


def lifetime(duration_ms: int | None) -> int:
    """Return how long an announcement lasts, in milliseconds: as long as the device wishes within bounds, by default a day."""
    if duration_ms is None or duration_ms <= 0:
        return DEFAULT_SECONDS * _SECOND
    return min(duration_ms, MOST_SECONDS * _SECOND)


def is_owned(device: Device) -> bool:
    """Tell whether a device belongs to somebody already."""
    return bool(device.owner) or device.state is DeviceState.ASSOCIATED


def waiting(claim: PendingClaim, before: PendingClaim | None) -> Changes:
    """Return the changes that let a device wait for its owner by this claim, in place of one it has."""
    if before is None:
        return Changes(insert=(claim,))
    return Changes(replace=(msgspec.structs.replace(claim, created_at=before.created_at, version=before.version + 1),))


def associate(device: Device, owner: str, now: int, *, announced: bool = False) -> Device:
    """Return the device as its owner's; one that has an owner passes to this one.

    A defined device has not come yet, unless somebody announced it: itself, or the gateway that it is behind.

    Raises `Refusal` UNPROCESSABLE.
    """
    if device.state is DeviceState.ASSOCIATED:
        return msgspec.structs.replace(lifecycle.renew(device, now), owner=owner)
    version = device.version + 1
    if announced and device.state is DeviceState.DEFINED:
        device = lifecycle.advance(device, DeviceState.PROVISIONED, now)
    if not is_let_in(device) or device.state is DeviceState.DEFINED:
        raise not_associable()
    return msgspec.structs.replace(lifecycle.advance(device, DeviceState.ASSOCIATED, now), owner=owner, version=version)


def not_associable() -> Refusal:
    """Make the refusal of a device that is in no state to be given an owner."""
    detail = "a device that has not come yet, or is shut out, cannot be associated"
    return Refusal(Reason.UNPROCESSABLE, detail, check="association.state")


def require_announceable(device: Device, profile: Profile, terms: ClaimingTerms) -> None:
    """Check that a device may wait for an owner at its own word. Raises `Refusal` CONFLICT or FORBIDDEN."""
    if is_owned(device):
        raise Refusal(Reason.CONFLICT, "the device has its owner already", check="announcement.owned")
    if terms.closed in profile.options and device.metadata.get(terms.allowed) is not True:
        raise Refusal(Reason.FORBIDDEN, "the device is not allowed to be claimed", check="announcement.not_allowed")


def is_behind(device: Device, gateway: Device, terms: ClaimingTerms) -> bool:
    """Tell whether a gateway may speak for a device.

    It may for itself, for those that name it, and for those of its own profile that name no gateway and never came by
    themselves: any device that was let in can say of itself that it is a gateway.
    """
    if device.id == gateway.id:
        return True
    named = device.metadata.get(terms.gateway_id)
    if named is not None:
        return bool(named == gateway.id)
    return device.profile == gateway.profile and device.connected_at is None


class Written(msgspec.Struct, frozen=True):
    """An announcement that an operator wrote into a device's metadata."""

    secret: Secret
    expires_at: int


def written(device: Device, terms: ClaimingTerms) -> Written | None:
    """Return the announcement in a device's metadata, None where there is none that can be read."""
    found = device.metadata.get(terms.announced)
    if not isinstance(found, dict):
        return None
    secret, expires_at = found.get(terms.secret, ""), found.get(terms.expires_at)
    if not isinstance(secret, str) or type(expires_at) is not int:
        return None
    return Written(Secret(secret), expires_at)


def without(device: Device, members: Sequence[str]) -> Device:
    """Return a device without some members of its metadata."""
    kept = {name: value for name, value in device.metadata.items() if name not in members}
    return msgspec.structs.replace(device, metadata=kept)


def removal(claim: PendingClaim | None) -> tuple[Delete, ...]:
    """Return the removal of a claim, where there is one."""
    return () if claim is None else (Delete(claim),)


def merged(parts: Sequence[Changes]) -> Changes:
    """Return several changes as one."""
    insert: tuple[Entity, ...] = tuple(entity for part in parts for entity in part.insert)
    return Changes(
        insert=insert,
        replace=tuple(entity for part in parts for entity in part.replace),
        events=tuple(event for part in parts for event in part.events),
    )
