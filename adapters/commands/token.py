"""`firstlight token`: who may operate the gateway."""

import argparse
from typing import TYPE_CHECKING

from adapters.commands import api
from adapters.commands.parsing import add_group, add_operation
from adapters.commands.show import Screen
from core.model import Role

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_EPILOG = """\
roles:
  admin     everything
  operator  everything but tokens and tenants
  factory   defines and imports devices and fetches their credentials, nothing else
  auditor   reads everything but credentials
  customer  claims devices and gives them up, as an end user's application does

The token is shown once.

example:
  firstlight token create line-3 --role factory
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "token", "the tokens of operators, factories and auditors")
    create = add_operation(group, "create", _create, "make a token and show it", _EPILOG)
    create.add_argument("name", metavar="NAME")
    create.add_argument("--role", required=True, choices=[role.value for role in Role])
    add_operation(group, "list", _list, "list all tokens, without the tokens themselves")
    revoke = add_operation(group, "revoke", _revoke, "make a token worthless")
    revoke.add_argument("token", metavar="NAME", help="its name or id")


async def _create(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.send("POST", "tokens", body=api.NewToken(args.name, args.role))
    if screen.json:
        screen.document(body)
        return
    token = api.decode(body, api.Token)
    screen.fields([("name", token.name), ("role", token.role), ("id", token.id), ("token", token.token or "")])
    screen.remark("the token is not shown again")


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    bodies = [body async for page in gateway.pages("tokens") for body in page]
    if screen.json:
        screen.documents(bodies)
        return
    tokens = [api.decode(body, api.Token) for body in bodies]
    screen.table(("NAME", "ROLE", "CREATED", "ID"), [(each.name, each.role, each.created_at, each.id) for each in tokens])


async def _revoke(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "tokens", args.token)
    screen.done("token", args.token, "revoked")
