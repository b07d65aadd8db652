"""`firstlight firmware`: which firmware devices should run, and which they run."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import api, associating_api
from adapters.commands.failure import UsageError
from adapters.commands.parsing import add_group, add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_NOUNS = {"device": "devices", "config": "configs", "profile": "profiles"}
_SET_EPILOG = """\
What is said of a device counts before what its configuration says, and that before its profile. The image is kept where
the URL points; size and digest tell the device that it arrived whole.

examples:
  firstlight firmware set profile meters --version 1.3.0 --url https://images.example/meter-1.3.0.bin --file meter-1.3.0.bin
  firstlight firmware set device meter-0042 --version 1.3.1 --url coap://images.example/1.3.1 --size 81920 --sha256 9f86d0...
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "firmware", "which firmware devices should run, and which they run")
    change = add_operation(group, "set", _set, "say which firmware is to run", _SET_EPILOG)
    _add_holder(change)
    change.add_argument("--version", required=True, metavar="V", help="what devices call it when they run it")
    change.add_argument("--url", required=True, help="where the image is, without user and password")
    change.add_argument("--file", metavar="IMAGE", help="the image, to take its size and digest from")
    change.add_argument("--size", type=int, metavar="BYTES", help="the size of the image")
    change.add_argument("--sha256", metavar="HEX", help="the SHA-256 digest of the image")
    _add_holder(add_operation(group, "show", _show, "show which firmware is said to run"))
    _add_holder(add_operation(group, "clear", _clear, "say of no firmware that it is to run"))
    listing = add_operation(group, "list", _list, "count devices by profile and by the version that they said they run")
    listing.add_argument("--profile", metavar="P", help="those of one profile (name or id)")


def _add_holder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("holder", choices=list(_NOUNS), help="of what it is said")
    parser.add_argument("name", metavar="NAME", help="its id or name; that of a configuration is its device's")


async def _set(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    size, sha256 = _measured(args)
    firmware = api.Firmware(version=args.version, url=args.url, size=size, sha256=sha256)
    body = await gateway.send("PUT", _NOUNS[args.holder], args.name, "firmware", body=firmware)
    if screen.json:
        screen.document(body)
    else:
        _present(api.decode(body, api.Firmware), screen)


async def _show(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    said = api.decode(await gateway.get(_NOUNS[args.holder], args.name), associating_api.FirmwareHolder).firmware
    if screen.json:
        screen.document(msgspec.json.encode(said))
    elif said is None:
        screen.line(f"{args.holder} {args.name} says nothing of firmware")
    else:
        _present(said, screen)


async def _clear(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", _NOUNS[args.holder], args.name, "firmware")
    screen.done(args.holder, args.name, "cleared")


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.get("firmware", query={"profile": args.profile})
    if screen.json:
        screen.documents(api.decode(body, api.Page[msgspec.Raw]).items)
        return
    overview = api.decode(body, associating_api.FirmwareOverview)
    screen.table(
        ("PROFILE", "RUNS", "DEVICES"),
        [(each.profile_name or each.profile, each.version or "not known", f"{each.devices:,}") for each in overview.items],
    )
    if not overview.complete:
        screen.remark("there are more; --profile shows those of one profile")


def _present(said: api.Firmware, screen: Screen) -> None:
    screen.fields([("version", said.version), ("url", said.url), ("size", f"{said.size:,} bytes"), ("sha256", said.sha256)])


def _measured(args: argparse.Namespace) -> tuple[int, str]:
    """Return size and digest, as they are given or as the file has them. Raises `UsageError`."""
    if args.file is None:
        if args.size is None or args.sha256 is None:
            raise UsageError("give --file, or both --size and --sha256")
        return args.size, args.sha256
    if args.size is not None or args.sha256 is not None:
        raise UsageError("--file says what --size and --sha256 say: give one or the other")
    try:
        with Path(args.file).open("rb") as image:
            digest = hashlib.file_digest(image, "sha256").hexdigest()
            return image.tell(), digest
    except OSError as fault:
        raise UsageError(f"--file: cannot read {args.file}: {fault.strerror}") from fault
