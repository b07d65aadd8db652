"""`firstlight enroll thingsboard`: provisions a device as ThingsBoard's firmware does."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from adapters.commands import thingsboard_device
from adapters.commands.carriers import Server
from adapters.commands.device_answer import refusal, show_answer
from adapters.commands.failure import REFUSED, UsageError
from adapters.commands.parsing import Environ, add_command
from adapters.commands.secret_input import add_secret, read_secret, read_text
from adapters.commands.server_options import add_json, add_server, server_from
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands

_EPILOG = """\
Prints the gateway's answer as it came. The exit status is 0 when the device got in, 1 when it was refused or there
was no answer, 2 when the command was wrong. No operator token is needed: a device has none.

examples:
  firstlight enroll thingsboard --over mqtt --name meter-0042 --key KEY --secret-file meters.secret
  firstlight enroll thingsboard --over coap --key KEY --secret SECRET --check
  firstlight enroll thingsboard --over http --key KEY --secret SECRET --credentials-type MQTT_BASIC \\
      --client-id meter-0042 --username field --password-file meter-0042.password
"""


def add(group: "Commands") -> None:
    """Declare the command."""
    parser = add_command(group, "thingsboard", "provision a device as ThingsBoard's firmware does", _EPILOG)
    parser.set_defaults(run=_run)
    add_server(parser, timeout_seconds=5.0)
    parser.add_argument("--name", help="the device's name (default: the gateway makes one)")
    parser.add_argument("--key", required=True, help="the profile's provision key")
    add_secret(parser, "secret", "the profile's provision secret", visible=True)
    parser.add_argument("--gateway", action="store_true", help="the device is a gateway for others")
    parser.add_argument("--check", action="store_true", help="log in with the new credentials over the same protocol")
    add_json(parser)
    _add_credentials(parser)


def _add_credentials(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the device's own credentials", "Without them the gateway makes an access token.")
    group.add_argument("--credentials-type", choices=thingsboard_device.CREDENTIALS_TYPES, help="(default: ACCESS_TOKEN)")
    group.add_argument("--token", help="an access token; anyone on this machine can see it while the command runs")
    group.add_argument("--client-id", metavar="ID", help="an MQTT client id")
    group.add_argument("--username", metavar="NAME", help="an MQTT user name")
    add_secret(group, "password", "an MQTT password", visible=True)
    group.add_argument("--certificate-file", metavar="FILE", help="a certificate (PEM)")


def _run(args: argparse.Namespace, environ: Environ) -> int:
    server = server_from(args)
    request = _request(args)
    wanted = args.credentials_type or "ACCESS_TOKEN"
    if args.check and not thingsboard_device.can_log_in(args.over, wanted):
        raise UsageError(f"--check: a device cannot log in over {args.over} with {wanted} credentials here")
    return asyncio.run(_enroll(server, request, args.check, Screen(sys.stdout, sys.stderr, args.json)))


def _request(args: argparse.Namespace) -> thingsboard_device.Request:
    secret = read_secret(args, "secret")
    if secret is None:
        raise UsageError("no secret: give --secret, --secret-file or --secret-stdin")
    return thingsboard_device.Request(
        device_name=args.name,
        provision_device_key=args.key,
        provision_device_secret=secret,
        credentials_type=args.credentials_type,
        token=args.token,
        client_id=args.client_id,
        username=args.username,
        password=read_secret(args, "password"),
        hash=read_text(args.certificate_file, "--certificate-file") if args.certificate_file else None,
        gateway=args.gateway,
    )


async def _enroll(server: Server, request: thingsboard_device.Request, check: bool, screen: Screen) -> int:
    reply = await thingsboard_device.provision(server, request)
    show_answer(reply, screen)
    enrolled = thingsboard_device.read(reply)
    if enrolled.status != "SUCCESS":
        screen.remark(refusal(server, reply))
        return REFUSED
    if check:
        await thingsboard_device.log_in(server, enrolled)
        screen.remark(f"logged in over {server.carrier} with the new credentials")
    return 0
