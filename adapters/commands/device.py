"""`firstlight device`: define, find, switch and remove devices, and renew what they prove themselves with."""

import argparse
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import (
    api,
    configuring_api,
    configuring_view,
    device_credential,
    device_export,
    device_import,
    device_issue,
    device_leave,
    device_owner,
    device_view,
)
from adapters.commands.credential_options import CREDENTIAL_EPILOG, add_credential_options, credential_from
from adapters.commands.durations import add_overlap
from adapters.commands.listing import add_all, listed
from adapters.commands.metadata_options import add_metadata, metadata_from
from adapters.commands.parsing import Operation, add_group, add_operation
from adapters.commands.show import Screen
from core.model import DeviceState

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_STATES = [state.value for state in DeviceState]
_DEFINE_EPILOG = (
    CREDENTIAL_EPILOG
    + """
examples:
  firstlight device define meter-0042 --profile meters
  firstlight device define meter-0042 --profile meters --token-file meter-0042.token --metadata batch=7
"""
)
_LIST_EPILOG = """\
examples:
  firstlight device list --name meter- --state defined
  firstlight device list --all --json
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "device", "the devices of the registry")
    _add_define(group)
    _add_list(group)
    show = _add_single(group, "show", _show, "show one device")
    show.add_argument("--credentials", action="store_true", help="its credentials too; this is recorded as an event")
    device_import.add(group)
    device_issue.add(group)
    device_export.add(group)
    _add_single(group, "disable", _change(api.DeviceChange(enabled=False)), "refuse a device until it is enabled again")
    _add_single(group, "enable", _change(api.DeviceChange(enabled=True)), "let a disabled device in again")
    reset = _change(api.DeviceChange(state=DeviceState.DEFINED.value))
    _add_single(group, "reset", reset, "put a device back to defined, so that a pre_provisioned profile lets it in once more")
    _add_single(group, "revoke", _revoke, "remove all credentials of a device")
    rotate = _add_single(group, "rotate", _rotate, "give a device a new credential in place of the old ones", CREDENTIAL_EPILOG)
    add_credential_options(rotate)
    add_overlap(rotate)
    device_credential.add(group)
    device_owner.add(group)
    device_leave.add(group)
    _add_single(group, "channels", _channels, "list the channels that a device may use now")
    _add_single(group, "delete", _delete, "delete a device and its credentials")


def _add_single(group: "Commands", name: str, operation: Operation, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    parser = add_operation(group, name, operation, summary, epilog)
    parser.add_argument("device", metavar="DEVICE", help="its id or exact name")
    return parser


def _add_define(group: "Commands") -> None:
    define = add_operation(group, "define", _define, "define a device before it comes", _DEFINE_EPILOG)
    define.add_argument("name", metavar="NAME")
    define.add_argument("--profile", required=True, metavar="P", help="name or id of its profile")
    add_credential_options(define)
    add_metadata(define, "a note")


def _add_list(group: "Commands") -> None:
    listing = add_operation(group, "list", _list, "list devices in the order of their making", _LIST_EPILOG)
    listing.add_argument("--name", metavar="PREFIX", help="those whose name begins so")
    listing.add_argument("--profile", metavar="P", help="those of one profile (name or id)")
    listing.add_argument("--state", choices=_STATES, help="those in one state")
    add_all(listing)


async def _define(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    device = api.NewDevice(name=args.name, profile=args.profile, credential=credential_from(args), metadata=metadata_from(args))
    body = await gateway.send("POST", "devices", body=device)
    if screen.json:
        screen.document(body)
        return
    defined = api.decode(body, api.Device)
    device_view.show_device(defined, screen)
    device_view.show_credentials(defined.credentials, screen)


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    query = {"name": args.name, "profile": args.profile, "state": args.state}
    bodies = await listed("devices", query, args, gateway, screen)
    if screen.json:
        screen.documents(bodies)
    else:
        device_view.show_devices([api.decode(body, api.Device) for body in bodies], await _profile_names(gateway), screen)


async def _profile_names(gateway: "Gateway") -> dict[str, str]:
    from adapters.commands.client import Refused

    try:
        bodies = [body async for page in gateway.pages("profiles") for body in page]
    except Refused:
        return {}  # who may list devices and not profiles sees their ids
    profiles = (api.decode(body, api.Profile) for body in bodies)
    return {profile.id: profile.name for profile in profiles}


async def _show(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    device = await gateway.get("devices", args.device)
    if not args.credentials:
        device_view.present(device, screen)
        return
    credentials = await gateway.get("devices", args.device, "credentials")
    if screen.json:
        screen.document(device_view.join(device, credentials))
        return
    device_view.present(device, screen)
    device_view.show_credentials(api.decode(credentials, api.Page[api.Credential]).items, screen)


def _change(change: api.DeviceChange) -> Operation:
    async def operation(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
        device_view.present(await gateway.send("PATCH", "devices", args.device, body=change), screen)

    return operation


async def _revoke(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "devices", args.device, "credentials")
    screen.done("device", args.device, "revoked")


async def _rotate(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    query = {"overlap_seconds": args.overlap}
    answer = await gateway.request("POST", "devices", args.device, "credentials", query=query, body=credential_from(args))
    device_view.present_credentials(answer.body, screen)


async def _channels(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.get("devices", args.device, "channels")
    if screen.json:
        screen.documents(api.decode(body, api.Page[msgspec.Raw]).items)
        return
    channels = api.decode(body, api.Page[configuring_api.Channel]).items
    configuring_view.show_channels(channels, screen)
    if not channels:
        screen.remark("a device may use the channels of its configuration while that is active: firstlight config list")


async def _delete(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "devices", args.device)
    screen.done("device", args.device, "deleted")
