"""The rows of the operator API's table for associations and firmware."""

from adapters.dialects.operator import associating_bodies as sent
from adapters.dialects.operator import associating_commands as commands
from adapters.dialects.operator import associating_objects as objects
from adapters.dialects.operator import associating_writing as writing
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.objects import Device, Firmware
from adapters.dialects.operator.writing import device
from adapters.exchange import Success
from core.errors import Reason

_CODE, _ASSOCIATION = "/v1/devices/{id}/association-code", "/v1/devices/{id}/association"

ASSOCIATING = (
    Endpoint(
        method="POST",
        path=_CODE,
        operation="offer_device",
        summary="Draw a code that associates a device once, in place of any it has.",
        read=commands.offer_device,
        body=sent.AssociationOffer,
        may_omit_body=True,
        write=writing.offer,
        answer=objects.Offer,
        success=Success.CREATED,
        refusals=(Reason.UNPROCESSABLE,),
    ),
    Endpoint(
        method="DELETE",
        path=_CODE,
        operation="withdraw_offer",
        summary="Make a device's code, or what it announced itself, worthless.",
        read=commands.withdraw_offer,
        success=Success.DELETED,
    ),
    Endpoint(
        method="POST",
        path="/v1/associations",
        operation="associate_device",
        summary="Associate the device of a code with its owner.",
        read=commands.associate_device,
        body=sent.Association,
        write=writing.associated,
        answer=Device,
        refusals=(Reason.NOT_FOUND, Reason.UNPROCESSABLE),
    ),
    Endpoint(
        method="DELETE",
        path=_ASSOCIATION,
        operation="give_up_device",
        summary="Make an associated device the tenant's own again.",
        read=commands.give_up_device,
        write=device,
        answer=Device,
    ),
    Endpoint(
        method="PUT",
        path="/v1/devices/{id}/firmware",
        operation="set_device_firmware",
        summary="Say which firmware a device should run, whatever its configuration and profile say.",
        read=commands.set_device_firmware,
        body=sent.NewFirmware,
        write=writing.firmware,
        answer=Firmware,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/devices/{id}/firmware",
        operation="clear_device_firmware",
        summary="Let a device's configuration or profile say which firmware it should run.",
        read=commands.clear_device_firmware,
        success=Success.DELETED,
    ),
    Endpoint(
        method="PUT",
        path="/v1/configs/{id}/firmware",
        operation="set_config_firmware",
        summary="Say which firmware the device of a configuration should run, whatever its profile says.",
        read=commands.set_config_firmware,
        body=sent.NewFirmware,
        write=writing.firmware,
        answer=Firmware,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/configs/{id}/firmware",
        operation="clear_config_firmware",
        summary="Let the profile say which firmware the device of a configuration should run.",
        read=commands.clear_config_firmware,
        success=Success.DELETED,
    ),
    Endpoint(
        method="PUT",
        path="/v1/profiles/{id}/firmware",
        operation="set_profile_firmware",
        summary="Say which firmware the devices of a profile should run.",
        read=commands.set_profile_firmware,
        body=sent.NewFirmware,
        write=writing.firmware,
        answer=Firmware,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/profiles/{id}/firmware",
        operation="clear_profile_firmware",
        summary="Say of no firmware that the devices of a profile should run it.",
        read=commands.clear_profile_firmware,
        success=Success.DELETED,
    ),
    Endpoint(
        method="GET",
        path="/v1/firmware",
        operation="list_firmware",
        summary="Count the devices by profile and by the version that they said they run.",
        read=commands.list_firmware,
        query=sent.FirmwareFilter,
        write=writing.overview,
        answer=objects.FirmwareOverview,
        refusals=(Reason.NOT_FOUND,),
    ),
)
