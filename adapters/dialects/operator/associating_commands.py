"""From what operators sent about associations and firmware to the core's commands: one function each."""

from adapters.dialects.operator import associating_bodies as sent
from adapters.dialects.operator import bodies
from core.model import Firmware
from core.operate import associating, updating
from core.operate.updating import Holder


def offer_device(ref: str, _query: bodies.Scoped, body: sent.AssociationOffer | None) -> associating.OfferDevice:
    """POST /v1/devices/{id}/association-code."""
    return associating.OfferDevice(ref=ref, seconds=body.seconds if body else None)


def withdraw_offer(ref: str, _query: bodies.Scoped, _body: None) -> associating.WithdrawOffer:
    """DELETE /v1/devices/{id}/association-code."""
    return associating.WithdrawOffer(ref)


def associate_device(_ref: str, _query: bodies.Scoped, body: sent.Association) -> associating.AssociateByCode:
    """POST /v1/associations."""
    return associating.AssociateByCode(code=body.code, organization=body.organization, user=body.user)


def give_up_device(ref: str, _query: bodies.Scoped, _body: None) -> associating.GiveUpDevice:
    """DELETE /v1/devices/{id}/association."""
    return associating.GiveUpDevice(ref)


def set_device_firmware(ref: str, _query: bodies.Scoped, body: sent.NewFirmware) -> updating.SetFirmware:
    """PUT /v1/devices/{id}/firmware."""
    return updating.SetFirmware(holder=Holder.DEVICE, ref=ref, firmware=_firmware(body))


def clear_device_firmware(ref: str, _query: bodies.Scoped, _body: None) -> updating.SetFirmware:
    """DELETE /v1/devices/{id}/firmware."""
    return updating.SetFirmware(holder=Holder.DEVICE, ref=ref, firmware=None)


def set_config_firmware(ref: str, _query: bodies.Scoped, body: sent.NewFirmware) -> updating.SetFirmware:
    """PUT /v1/configs/{id}/firmware."""
    return updating.SetFirmware(holder=Holder.CONFIG, ref=ref, firmware=_firmware(body))


def clear_config_firmware(ref: str, _query: bodies.Scoped, _body: None) -> updating.SetFirmware:
    """DELETE /v1/configs/{id}/firmware."""
    return updating.SetFirmware(holder=Holder.CONFIG, ref=ref, firmware=None)


def set_profile_firmware(ref: str, _query: bodies.Scoped, body: sent.NewFirmware) -> updating.SetFirmware:
    """PUT /v1/profiles/{id}/firmware."""
    return updating.SetFirmware(holder=Holder.PROFILE, ref=ref, firmware=_firmware(body))


def clear_profile_firmware(ref: str, _query: bodies.Scoped, _body: None) -> updating.SetFirmware:
    """DELETE /v1/profiles/{id}/firmware."""
    return updating.SetFirmware(holder=Holder.PROFILE, ref=ref, firmware=None)


def list_firmware(_ref: str, query: sent.FirmwareFilter, _body: None) -> updating.ListFirmware:
    """GET /v1/firmware."""
    return updating.ListFirmware(profile=query.profile or None)


def _firmware(body: sent.NewFirmware) -> Firmware:
    return Firmware(version=body.version, url=body.url, size=body.size, sha256=body.sha256.lower())
