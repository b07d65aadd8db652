"""What operators and users may ask for about associations of devices with their owners: commands and results."""

import msgspec

from core.model import Device, Secret


class OfferDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Draw a code that associates a device, in place of any it has: an `Offered`. `seconds` None: the registry's own."""

    ref: str
    seconds: int | None = None


class WithdrawOffer(msgspec.Struct, frozen=True):
    """Make a device's code, or what it announced itself, worthless: `Done`."""

    ref: str


class AssociateByCode(msgspec.Struct, frozen=True, kw_only=True):
    """Associate the device of a code: an `Associated`.

    Its owner is the organisation, or that of the user; with neither it is that of whoever asks.
    """

    code: Secret
    organization: str = ""
    user: str = ""


class ClaimDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Associate a device, by name, that announced it may be claimed with this secret: an `Associated`."""

    name: str
    secret: Secret = Secret("")


class GiveUpDevice(msgspec.Struct, frozen=True):
    """Make an associated device the tenant's own again: a `Device`."""

    ref: str


class Offered(msgspec.Struct, frozen=True):
    """A code and when it ends, in milliseconds since the Unix epoch."""

    device: Device
    code: Secret
    expires_at: int


class Associated(msgspec.Struct, frozen=True):
    """A device has its owner."""

    device: Device


AssociatingCommand = OfferDevice | WithdrawOffer | AssociateByCode | ClaimDevice | GiveUpDevice
