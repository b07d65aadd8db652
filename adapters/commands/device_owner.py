"""`firstlight device offer, withdraw, associate, give-up`: who a device belongs to."""

import argparse
from typing import TYPE_CHECKING

from adapters.commands import api, associating_api, device_view
from adapters.commands.parsing import Operation, add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_OFFER_EPILOG = """\
Whoever has the code can associate the device once, until it ends. Another code takes the place of an older one.

examples:
  firstlight device offer meter-0042
  firstlight device offer meter-0042 --seconds 3600
"""
_ASSOCIATE_EPILOG = """\
Without an organization or user the device belongs to the tenant itself. Case, blanks and dashes of the code do not count.

examples:
  firstlight device associate 7KQX-MW3T-9ZRD
  firstlight device associate 7KQXMW3T9ZRD --organization 01a1fbf4-0e6d-7a14-acf0-d98a98e19661
"""


def add(group: "Commands") -> None:
    """Declare the commands."""
    offer = _add_single(group, "offer", _offer, "draw a code that associates a device with its owner", _OFFER_EPILOG)
    offer.add_argument("--seconds", type=int, metavar="N", help="how long the code is good (default: a day)")
    _add_single(group, "withdraw", _withdraw, "make a device's code, or what it announced itself, worthless")
    associate = add_operation(group, "associate", _associate, "give the device of a code to its owner", _ASSOCIATE_EPILOG)
    associate.add_argument("code", metavar="CODE")
    owner = associate.add_mutually_exclusive_group()
    owner.add_argument("--organization", metavar="ID", default="", help="the organization that is to own it")
    owner.add_argument("--user", metavar="ID", default="", help="the user whose organization is to own it")
    _add_single(group, "give-up", _give_up, "make an associated device the tenant's own again")


def _add_single(group: "Commands", name: str, operation: Operation, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    parser = add_operation(group, name, operation, summary, epilog)
    parser.add_argument("device", metavar="DEVICE", help="its id or exact name")
    return parser


async def _offer(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    body = await gateway.send("POST", "devices", args.device, "association-code", body=associating_api.NewOffer(args.seconds))
    if screen.json:
        screen.document(body)
        return
    offer = api.decode(body, associating_api.Offer)
    screen.fields([("device", offer.name), ("code", offer.code), ("good until", offer.expires_at)])


async def _withdraw(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "devices", args.device, "association-code")
    screen.done("device", args.device, "withdrawn")


async def _associate(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    association = associating_api.NewAssociation(code=args.code, organization=args.organization, user=args.user)
    device_view.present(await gateway.send("POST", "associations", body=association), screen)


async def _give_up(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    device_view.present(await gateway.send("DELETE", "devices", args.device, "association"), screen)
