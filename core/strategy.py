"""What a profile's strategy and re-provisioning policy make of a device whose evidence is right. Pure."""

import re
from typing import assert_never

import msgspec

from core.credentials import has_control_characters
from core.departures import require_welcome
from core.errors import Reason, Refusal
from core.model import CredentialKind, Device, DeviceState, Profile, Reprovision, Strategy, Tenant
from core.queries import ClaimSnapshot

NAME_CHARACTERS = 255
APPROVE_NEW = "approve-new"
"""The option of a profile whose new devices an operator has to approve first, whatever those get that are known."""

_MARKUP = re.compile(r"<[a-zA-Z/!?]")


class Create(msgspec.Struct, frozen=True):
    """A new device gets a new credential."""


class Activate(msgspec.Struct, frozen=True):
    """A defined device gets the credential it has."""

    device: Device


class Repeat(msgspec.Struct, frozen=True):
    """A provisioned device gets the same credential again."""

    device: Device


class Rotate(msgspec.Struct, frozen=True):
    """A provisioned device gets a new credential, which takes the place of its old ones once it is used."""

    device: Device


class Renew(msgspec.Struct, frozen=True):
    """A device's certificates give way to the one it came with; what else it has stays."""

    device: Device


class Await(msgspec.Struct, frozen=True):
    """An operator has to grant it first; then this is done, once."""

    then: Create | Rotate


Decision = Create | Activate | Repeat | Rotate | Renew | Await


def require_name(name: str | None) -> str:
    """Return a device's name without the white space around it, empty where none was given.

    Raises `Refusal` FORBIDDEN for a name of nothing but white space.
    """
    trimmed = (name or "").strip()
    if name and not trimmed:
        raise Refusal(Reason.FORBIDDEN, "the device name is blank", check="device.name_blank")
    return trimmed


def decide(
    name: str,
    credential_taken: bool,
    profile: Profile,
    known: ClaimSnapshot,
    *,
    proved: bool = False,
    leave: bool = False,
) -> Decision:
    """Decide what becomes of a request whose evidence is right.

    `credential_taken` says that another device has the credential this one proposes, `proved` that the device proved to have a
    credential or key of its own still, `leave` that an operator lets it come back after it was deleted or revoked.
    Raises `Refusal` FORBIDDEN or CONFLICT.
    """
    if leave and known.device is not None and not known.credentials:
        _require_usable(profile, known.device)
        decision: Decision = Rotate(known.device)
    elif profile.strategy is Strategy.PRE_PROVISIONED:
        return _decide_pre_provisioned(name, profile, known, proved)
    elif profile.strategy is Strategy.CERTIFICATE_CHAIN:
        decision = _decide_by_chain(name, profile, known, leave)
    else:
        decision = (
            _decide_new(name, profile, known, leave)
            if known.device is None
            else _decide_known(profile, known.device, known, proved, "device.exists")
        )
    if credential_taken and not isinstance(decision, Repeat):
        raise Refusal(Reason.CONFLICT, "the credential is in use already", check="credential.taken")
    return decision


def keeps_credentials(profile: Profile) -> bool:
    """Tell whether the profile may have to give a credential again, so that it must be sealed and not only digested.

    Certificates of chains are no secret, and are looked at when another one comes to take their place.
    """
    kept = (Strategy.PRE_PROVISIONED, Strategy.CERTIFICATE_CHAIN)
    return profile.strategy in kept or profile.reprovision is Reprovision.SAME


def _decide_new(name: str, profile: Profile, known: ClaimSnapshot, leave: bool) -> Decision:
    require_writable(name)
    if not leave:
        require_welcome(known.tombstone, profile)
    require_room(known.tenant)
    if APPROVE_NEW not in profile.options:
        return Create()
    if not name:  # nobody could tell whom they approve
        raise Refusal(Reason.FORBIDDEN, "the device did not give its name", check="device.name_missing")
    return Await(Create())


def _decide_pre_provisioned(name: str, profile: Profile, known: ClaimSnapshot, proved: bool) -> Decision:
    device = known.device
    if not name:
        raise Refusal(Reason.FORBIDDEN, "the device did not give its name", check="device.name_missing")
    if device is None:
        raise Refusal(Reason.FORBIDDEN, "no device of this name is expected", check="device.unknown")
    if device.state is DeviceState.DEFINED:
        _require_usable(profile, device)
        _require_credentials(known)
        return Activate(device)
    return _decide_known(profile, device, known, proved, "device.already_provisioned")


def _decide_by_chain(name: str, profile: Profile, known: ClaimSnapshot, leave: bool) -> Decision:
    """Decide as ThingsBoard does: a device that has certificates has the one it came with from now on."""
    if known.device is None:
        if not name or profile.chain is None or not profile.chain.create:
            raise Refusal(Reason.FORBIDDEN, "no device of this name is expected", check="device.unknown")
        return _decide_new(name, profile, known, leave)
    _require_usable(profile, known.device)
    _require_credentials(known)
    if all(credential.kind is not CredentialKind.X509_CERTIFICATE for credential in known.credentials):
        raise Refusal(Reason.FORBIDDEN, "the device has credentials of another kind", check="device.no_certificate")
    return Renew(known.device)


def _decide_known(profile: Profile, device: Device, known: ClaimSnapshot, proved: bool, denied: str) -> Decision:
    _require_usable(profile, device)
    if profile.reprovision is Reprovision.DENY:
        raise _provisioned_already(denied)
    _require_credentials(known)
    match profile.reprovision:
        case Reprovision.SAME:
            return Repeat(device)
        case Reprovision.ROTATE:
            return Rotate(device)
        case Reprovision.APPROVE:
            return Await(Rotate(device))
        case Reprovision.PROVE:
            if not proved:
                raise _provisioned_already("reprovision.unproved")
            return Rotate(device)
        case _:
            assert_never(profile.reprovision)


def _provisioned_already(check: str) -> Refusal:
    return Refusal(Reason.CONFLICT, "the device has been provisioned already", check=check)


def _require_usable(profile: Profile, device: Device) -> None:
    if device.profile != profile.id:
        raise Refusal(Reason.CONFLICT, "a device of this name belongs to another profile", check="device.other_profile")
    if not device.enabled:
        raise Refusal(Reason.FORBIDDEN, "the device is disabled", check="device.disabled")
    if device.state is DeviceState.DISCARDED:
        raise Refusal(Reason.FORBIDDEN, "the device is discarded", check="device.discarded")


def _require_credentials(known: ClaimSnapshot) -> None:
    """Keep a device out whose credentials an operator has revoked: no policy undoes that."""
    if not known.credentials:
        raise Refusal(Reason.FORBIDDEN, "the device's credentials are revoked", check="credential.revoked")


def require_writable(name: str) -> None:
    """Check the name of a device that is to be made. Raises `Refusal` FORBIDDEN."""
    if len(name) > NAME_CHARACTERS:
        raise Refusal(Reason.FORBIDDEN, f"a device name has at most {NAME_CHARACTERS} characters", check="device.name_length")
    if has_control_characters(name) or _MARKUP.search(name):
        raise Refusal(Reason.FORBIDDEN, "the device name holds control characters or markup", check="device.name_characters")


def require_room(tenant: Tenant | None) -> None:
    """Check that a tenant may have another device. Raises `Refusal` FORBIDDEN."""
    if tenant is not None and tenant.device_limit is not None and tenant.devices >= tenant.device_limit:
        raise Refusal(Reason.FORBIDDEN, "the tenant has all the devices it may have", check="tenant.device_limit")
