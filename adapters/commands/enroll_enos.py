"""`firstlight enroll enos`: provisions a device as EnOS's firmware does, with a signed bootstrap."""

import argparse
import asyncio
import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import enos_device, enos_refusals
from adapters.commands.carriers import Reply, Server
from adapters.commands.device_answer import refusal, show_answer
from adapters.commands.enos_device import Answer, Device
from adapters.commands.failure import REFUSED, UsageError
from adapters.commands.parsing import Environ, add_command
from adapters.commands.secret_input import add_secret, find_secret
from adapters.commands.server_options import add_json, add_server, server_from
from adapters.commands.show import Screen
from core.model import Secret

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands

PASSWORD_VARIABLES = ("FIRSTLIGHT_GROUP_SECRET",)
_SERVICE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_EPILOG = """\
Prints the gateway's answer as it came: the triple (pk, dk, ds) and where it is used (murl, hurl). The exit status is 0 when
the device got in, 1 when it was refused or there was no answer, 2 when the command was wrong. No operator token is needed: a
device has none.

The group is a profile with the strategy signed: its id is the profile's key, its password the profile's secret. The password
is asked for on a terminal unless FIRSTLIGHT_GROUP_SECRET or FIRSTLIGHT_GROUP_SECRET_FILE is set.

examples:
  firstlight profile create pumps --strategy signed --key QK7M2A
  firstlight enroll enos --over http --group QK7M2A --serial SN-0001
  firstlight enroll enos --over mqtt --group QK7M2A --serial SN-0002 --password-file pumps.secret --login
  firstlight enroll enos --over coap --group QK7M2A --serial SN-0003 --name "Pump 3" --timezone +08:00
"""


def add(group: "Commands") -> None:
    """Declare the command."""
    parser = add_command(group, "enos", "provision a device as EnOS's firmware does", _EPILOG)
    parser.set_defaults(run=_run)
    add_server(parser, timeout_seconds=5.0)
    parser.add_argument("--group", required=True, metavar="ID", help="the registration group's id")
    parser.add_argument("--serial", required=True, metavar="SN", help="the device's serial, unique in its group")
    add_secret(parser, "password", "the group's password", visible=True)
    parser.add_argument("--name", metavar="TEXT", help="the device's name (default: its serial)")
    parser.add_argument("--timezone", default="+00:00", metavar="ZONE", help="an offset, or a zone's name (default: +00:00)")
    parser.add_argument(
        "--service", type=_service, default=enos_device.SERVICE, help="the first word of the path (default: dev)"
    )
    parser.add_argument("--login", action="store_true", help="log in over MQTT at murl with the new triple")
    add_json(parser)


def _service(text: str) -> str:
    if _SERVICE.fullmatch(text) is None or not text.strip("."):
        raise argparse.ArgumentTypeError(f"not the name of a service: {text}")
    return text


def _run(args: argparse.Namespace, environ: Environ) -> int:
    if not enos_device.is_served(args.service, args.over):
        raise UsageError("--service: over MQTT the service is called dev, preview, latest or stable")
    secret = Secret(find_secret(args, "password", environ, PASSWORD_VARIABLES))
    device = Device(args.group, args.serial, args.name or args.serial, args.timezone)
    screen = Screen(sys.stdout, sys.stderr, args.json)
    return asyncio.run(_enroll(server_from(args), args.service, device, secret, args.login, screen))


async def _enroll(server: Server, service: str, device: Device, secret: Secret, login: bool, screen: Screen) -> int:
    request = enos_device.sign(device, secret, _milliseconds())
    reply = await enos_device.bootstrap(server, service, request)
    show_answer(reply, screen)
    answer = enos_device.read(reply)
    if not answer.granted:
        _explain(server, reply, answer, device, screen)
        return REFUSED
    if login:
        await enos_device.log_in(answer, _milliseconds(), server.timeout_seconds)
        screen.remark(f"logged in over mqtt at {answer.murl} with the new triple")
    return 0


def _explain(server: Server, reply: Reply, answer: Answer, device: Device, screen: Screen) -> None:
    named = msgspec.structs.replace(reply, correlation=reply.correlation or answer.request_id)
    screen.remark(refusal(server, named))
    screen.remark(enos_refusals.meaning(answer, reply, device.serial))
    if difference := enos_refusals.clock_difference(answer, reply, datetime.now(UTC)):
        screen.remark(difference)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
