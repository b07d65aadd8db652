"""`firstlight explain`: why a request was refused, and what to do about it."""

import argparse
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import api
from adapters.commands.event_words import EVENT_WORDS
from adapters.commands.explanations import explanation
from adapters.commands.failure import Failure
from adapters.commands.parsing import add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_EPILOG = """\
Correlation ids are in the gateway's log, in `firstlight event list` and, over HTTP, in the X-Request-ID header of
every answer.

example:
  firstlight explain 019aa3f2-7c1e-7b6a-9d3e-2f4c8a1b5e60
"""


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = add_operation(commands, "explain", _explain, "say why a request was refused and what to do about it", _EPILOG)
    parser.add_argument("correlation", metavar="CORRELATION")


async def _explain(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    pages = gateway.pages("events", query={"correlation": args.correlation})
    bodies = [body async for page in pages for body in page]
    if not bodies:
        raise Failure(
            f"nothing is known of {args.correlation}: it is another gateway's or mistyped, its events are forgotten already,"
            " or there were more refusals at that moment than are recorded; the gateway's log may still have it"
        )
    if screen.json:
        screen.documents([_explained(body) for body in bodies])
        return
    for body in bodies:
        _show(api.decode(body, api.Event), screen)


def _explained(body: msgspec.Raw) -> bytes:
    event = api.decode(body, api.Event)
    document = api.decode(body, dict[str, msgspec.Raw])
    if not event.check:
        return bytes(body)
    known = explanation(event.check, event.detail or "", event.dialect or "", event.actor or "")
    return msgspec.json.encode({**document, "meaning": known.meaning, "remedy": known.remedy})


def _show(event: api.Event, screen: Screen) -> None:
    known = explanation(event.check, event.detail or "", event.dialect or "", event.actor or "") if event.check else None
    pairs = [
        ("what", event.kind),
        ("in words", EVENT_WORDS.get(event.kind)),
        ("at", event.at),
        ("device", event.device_name or event.device),
        ("over", "/".join(filter(None, (event.protocol, event.dialect)))),
        ("from", event.source),
        ("by", event.actor),
        ("check", event.check),
        ("detail", event.detail),
        ("meaning", known and known.meaning),
        ("to do", known and known.remedy),
    ]
    screen.fields([(name, value) for name, value in pairs if value])
