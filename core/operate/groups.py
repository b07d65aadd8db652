"""What a serial may be, which names its device may have, and the group it belongs to."""

from core.errors import Reason, Refusal
from core.model import Profile, SignedPolicy, TenantId
from core.operate import values
from core.ports import Repository
from core.queries import EnrolQuery, EnrolSnapshot
from core.registration import serial_names

__all__ = ["find_group", "require_serial", "require_signed", "serial_names"]

SERIAL_CHARACTERS = 128


def require_serial(serial: str) -> None:
    """Check a maker's serial: 1 to 128 characters, no control characters. Raises `Refusal` MALFORMED."""
    values.require_text(serial, "serial")
    values.require_size(serial, "serial", SERIAL_CHARACTERS, of="serial")


async def find_group(
    repository: Repository, group: str, tenant: TenantId, names: tuple[str, ...] = ()
) -> tuple[Profile, EnrolSnapshot]:
    """Return a group of a tenant whose devices sign, with its tenant and which of some names are taken there.

    Raises `Refusal` NOT_FOUND, for another tenant's group too.
    """
    known = await repository.read(EnrolQuery(group, "", names))
    profile = known.profile
    if profile is None or profile.tenant != tenant or profile.signed is None:
        raise Refusal(Reason.NOT_FOUND, "there is no group of this id", check="profile.unknown")
    return profile, known


def require_signed(profile: Profile) -> SignedPolicy:
    """Return how devices of a group sign. Raises `Refusal` FORBIDDEN for a profile whose devices do not."""
    if profile.signed is None:
        raise Refusal(Reason.FORBIDDEN, "devices of this profile are not allocated", check="group.unsigned")
    return profile.signed
