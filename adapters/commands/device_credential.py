"""`firstlight device credential`: several credentials of one device, each with its own end."""

import argparse
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import api, device_view
from adapters.commands.credential_options import CREDENTIAL_EPILOG, add_credential_options, credential_from
from adapters.commands.durations import duration
from adapters.commands.parsing import Operation, add_group, add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands


def add(group: "Commands") -> None:
    """Declare the commands of this noun, which belong to a device."""
    credentials = add_group(group, "credential", "the credentials of one device")
    adding = _add(credentials, "add", _give, "give a device one more credential", CREDENTIAL_EPILOG)
    add_credential_options(adding)
    adding.add_argument("--expires-in", type=duration, metavar="TIME", help="when it ends, such as 1h or 30d (default: never)")
    _add(credentials, "list", _list, "list all credentials of a device; this is recorded as an event")
    revoke = _add(credentials, "revoke", _revoke, "take one credential from a device")
    revoke.add_argument("credential", metavar="ID", help="the credential's id, as device credential list shows it")


def _add(group: "Commands", name: str, operation: Operation, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    parser = add_operation(group, name, operation, summary, epilog)
    parser.add_argument("device", metavar="DEVICE", help="its id or exact name")
    return parser


async def _give(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    query = {"expires_in_seconds": args.expires_in}
    answer = await gateway.request("POST", "devices", args.device, "credentials:add", query=query, body=credential_from(args))
    device_view.present_credentials(answer.body, screen)


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.get("devices", args.device, "credentials")
    if screen.json:
        screen.documents(api.decode(body, api.Page[msgspec.Raw]).items)
    else:
        device_view.present_credentials(body, screen)


async def _revoke(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "devices", args.device, "credentials", args.credential)
    screen.done("credential", args.credential, "revoked")
