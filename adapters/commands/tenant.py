"""`firstlight tenant`: whose devices they are."""

import argparse
from typing import TYPE_CHECKING

from adapters.commands import api, configuring_api
from adapters.commands.parsing import add_group, add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_EPILOG = """\
Devices, channels and configurations belong to one tenant each; there is one from the start, `default`. In
Magistrala's API the tenant's id is the domain of the path. It takes a token of the role admin.

examples:
  firstlight tenant create "Waterworks North" --id north
  FIRSTLIGHT_TENANT=north firstlight channel create up
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "tenant", "whose devices they are")
    create = add_operation(group, "create", _create, "make a tenant", _EPILOG)
    create.add_argument("name", metavar="NAME")
    create.add_argument("--id", metavar="ID", help="its id (default: the gateway makes one)")
    create.add_argument(
        "--secure-bootstrap",
        action="store_true",
        help="let its devices bootstrap under the AES key that all share, as old firmware does (default: no)",
    )
    add_operation(group, "list", _list, "list all tenants")


async def _create(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.send("POST", "tenants", body=configuring_api.NewTenant(args.name, args.id, args.secure_bootstrap))
    if screen.json:
        screen.document(body)
        return
    tenant = api.decode(body, configuring_api.Tenant)
    screen.fields([("name", tenant.name), ("created", tenant.created_at), ("id", tenant.id), *_secure(tenant)])


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    bodies = [body async for page in gateway.pages("tenants") for body in page]
    if screen.json:
        screen.documents(bodies)
        return
    tenants = [api.decode(body, configuring_api.Tenant) for body in bodies]
    screen.table(
        ("NAME", "DEVICES", "LIMIT", "CREATED", "ID"),
        [(each.name, f"{each.devices:,}", _limit(each.device_limit), each.created_at, each.id) for each in tenants],
    )


def _secure(tenant: configuring_api.Tenant) -> list[tuple[str, str]]:
    return [("secure bootstrap", "on")] if tenant.secure_bootstrap else []


def _limit(devices: int | None) -> str:
    return "-" if devices is None else f"{devices:,}"
