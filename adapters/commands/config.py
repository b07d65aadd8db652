"""`firstlight config`: what devices fetch when they start."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import api, configuring_view
from adapters.commands.configuring_api import Config, ConfigChange, NewConfig
from adapters.commands.failure import Failure, UsageError
from adapters.commands.file_input import read_file, read_given
from adapters.commands.listing import add_all, listed
from adapters.commands.parsing import Operation, add_group, add_operation
from adapters.commands.secret_input import add_secret, ask, read_secret
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_BY_EXTERNAL_ID = "external:"
_CONFIG = f"its id, or {_BY_EXTERNAL_ID} and the device's external id"
_KEY_CHARACTERS = 20
_CREATE_EPILOG = """\
The device fetches its configuration by its external id and external key (firstlight bootstrap shows how). Without
--device a device is made for it; without --key-file, --key-stdin or --key-prompt an external key is drawn. The
configuration begins inactive: it is given to the device, whose channels are not open and whose client secret is refused
at logins until it is active.

examples:
  firstlight config create 24:0a:c4:00:be:ef --channel up --channel down --content @pump.json
  firstlight config create pump-17 --key-file pump-17.key --client-cert pump-17.pem --client-key pump-17-key.pem
  firstlight config state external:pump-17 active
"""
_STATE_EPILOG = """\
An active configuration lets its device log in with its client secret and use its channels. Making it inactive (state 0)
takes both: logins are refused and open connections that were made with the secret end at once. The device still fetches
its configuration, and its other credentials stay good.

example:
  firstlight config state external:pump-17 inactive
"""
_SHOW_EPILOG = """\
That somebody saw the secrets is recorded as an event.

example:
  firstlight config show external:pump-17 --content > pump-17.json
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "config", "what devices fetch when they start: channels, content, certificates")
    _add_create(group)
    show = _add_single(group, "show", _show, "show one configuration with its secrets", _SHOW_EPILOG)
    show.add_argument("--content", action="store_true", help="print its content alone, as it is")
    _add_list(group)
    update = _add_single(group, "update", _update, "change a configuration's name or content")
    update.add_argument("--name", help="a new name")
    _add_content(update)
    certs = _add_single(group, "certs", _certs, "replace a configuration's certificates, all three together")
    _add_certs(certs)
    certs.add_argument("--none", action="store_true", help="remove all three")
    channels = _add_single(group, "channels", _channels, "replace a configuration's channels")
    channels.add_argument("channels", metavar="CHANNEL", nargs="*", help="ids, in the order in which the device gets them")
    channels.add_argument("--none", action="store_true", help="remove all of them")
    state = _add_single(group, "state", _state, "open a configuration's channels to its device, or close them", _STATE_EPILOG)
    state.add_argument("state", choices=("active", "inactive"))
    _add_single(group, "remove", _remove, "remove a configuration; its device stays")
    unknown = add_operation(group, "unknown", _unknown, "list external ids that devices asked for and no configuration has")
    unknown.add_argument("--limit", type=int, default=100, metavar="N", help="how many at most (default: 100)")
    unknown.add_argument("--offset", type=int, default=0, metavar="N", help="how many to pass over")


def _add_create(group: "Commands") -> None:
    create = add_operation(group, "create", _create, "make the configuration of a device", _CREATE_EPILOG)
    create.add_argument("external_id", metavar="EXTERNAL_ID", help="what the device calls itself")
    add_secret(create, "key", "the device's external key", prompt=True)
    create.add_argument("--device", metavar="ID", help="the id of a device that gets it, not its name (default: one is made)")
    create.add_argument("--channel", action="append", default=[], metavar="ID", help="a channel; may be repeated")
    create.add_argument("--name", default="", help="what people call it; unique")
    _add_content(create)
    _add_certs(create)


def _add_list(group: "Commands") -> None:
    listing = add_operation(group, "list", _list, "list configurations in the order of their ids, without their secrets")
    listing.add_argument("--external-id", metavar="ID", help="the one of this external id")
    listing.add_argument("--name", metavar="PART", help="those with this in their name, whatever the case")
    listing.add_argument("--state", choices=("active", "inactive"), help="those in one state")
    add_all(listing)


def _add_single(group: "Commands", name: str, operation: Operation, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    parser = add_operation(group, name, operation, summary, epilog)
    parser.add_argument("config", metavar="CONFIG", help=_CONFIG)
    return parser


def _add_content(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--content", metavar="TEXT|@FILE|-", help="any text; from a file, or from standard input")


def _add_certs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client-cert", metavar="FILE", help="the device's certificate")
    parser.add_argument("--client-key", metavar="FILE", help="the private key that goes with it")
    parser.add_argument("--ca-cert", metavar="FILE", help="the certificate of the authority that the device trusts")


async def _create(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    if args.key_stdin and args.content == "-":
        raise UsageError("--key-stdin and --content -: only one of them can come from standard input")
    key = ask("external key: ", "--key-prompt") if args.key_prompt else read_secret(args, "key")
    config = NewConfig(
        external_id=args.external_id,
        external_key=key or _draw(),
        device=args.device,
        name=args.name,
        content=_content(args) or "",
        channels=tuple(args.channel),
        client_cert=_file(args, "client_cert"),
        client_key=_file(args, "client_key"),
        ca_cert=_file(args, "ca_cert"),
    )
    body = await gateway.send("POST", "configs", body=config)
    configuring_view.present_config(body, screen)
    made = api.decode(body, Config).device
    if args.device is None and made != args.external_id:
        screen.remark(f"another device is called {args.external_id} already; the new one is called {made}")
    if not key:
        screen.remark("the external key was drawn; the device needs it")


def _draw() -> str:
    from adapters.system import SystemEntropy
    from core.crypto.tokens import LOWER_AND_DIGITS

    return LOWER_AND_DIGITS.draw(_KEY_CHARACTERS, SystemEntropy())


async def _show(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    with _naming(args.config):
        body = await gateway.get("configs", await _id(args, gateway))
    if args.content:
        screen.verbatim(api.decode(body, Config).content or "")
    else:
        configuring_view.present_config(body, screen)


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    active = args.state and str(args.state == "active").lower()
    query = {"external_id": args.external_id, "name": args.name, "active": active}
    bodies = await listed("configs", query, args, gateway, screen)
    if screen.json:
        screen.documents(bodies)
    else:
        configuring_view.show_configs([api.decode(body, Config) for body in bodies], screen)


async def _update(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    if args.name is None and args.content is None:
        raise UsageError("nothing to change: give --name or --content")
    await _change(ConfigChange(name=args.name, content=_content(args)), args, gateway, screen)


async def _certs(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    cert, key, ca = _file(args, "client_cert"), _file(args, "client_key"), _file(args, "ca_cert")
    if args.none == bool(cert or key or ca):
        raise UsageError("give --client-cert, --client-key or --ca-cert, or --none to remove all three")
    await _change(ConfigChange(client_cert=cert, client_key=key, ca_cert=ca), args, gateway, screen)


async def _channels(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    if args.none == bool(args.channels):
        raise UsageError("give the channels that are to be there, or --none to remove all of them")
    await _change(ConfigChange(channels=tuple(args.channels)), args, gateway, screen)


async def _state(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await _change(ConfigChange(active=args.state == "active"), args, gateway, screen)


async def _remove(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    with _naming(args.config):
        await gateway.send("DELETE", "configs", await _id(args, gateway))
    screen.done("config", args.config, "removed")


async def _unknown(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.get("configs:unknown", query={"offset": args.offset, "limit": args.limit})
    if screen.json:
        screen.documents(api.decode(body, api.Page[msgspec.Raw]).items)
        return
    for external_id in api.decode(body, api.Page[str]).items:
        screen.line(external_id)


async def _change(change: ConfigChange, args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    with _naming(args.config):
        body = await gateway.send("PATCH", "configs", await _id(args, gateway), body=change)
    configuring_view.present_config(body, screen)


@contextlib.contextmanager
def _naming(config: str) -> Iterator[None]:
    """Where no configuration has this id, say how an external id is written."""
    from adapters.commands.client import Refused

    try:
        yield
    except Refused as refused:
        if refused.check != "config.unknown" or config.startswith(_BY_EXTERNAL_ID):
            raise
        raise Failure(f"{refused}; if it is an external id, write {_BY_EXTERNAL_ID}{config}") from refused


async def _id(args: argparse.Namespace, gateway: "Gateway") -> str:
    """Return the id of the configuration that is meant."""
    if not args.config.startswith(_BY_EXTERNAL_ID):
        return str(args.config)
    external_id = args.config.removeprefix(_BY_EXTERNAL_ID)
    if not external_id:
        raise UsageError(f"an external id is needed behind {_BY_EXTERNAL_ID}")
    page = await gateway.page("configs", query={"external_id": external_id, "limit": 1})
    if not page.items:
        raise Failure(f"there is no configuration of the external id {external_id}")
    return api.decode(page.items[0], Config).id


def _content(args: argparse.Namespace) -> str | None:
    return None if args.content is None else read_given(args.content, "--content", sys.stdin.buffer)


def _file(args: argparse.Namespace, name: str) -> str:
    path = getattr(args, name)
    return read_file(path, f"--{name.replace('_', '-')}") if path else ""
