"""What a gateway answered to a device, shown to whoever tries it out."""

import re

import msgspec

from adapters.commands.carriers import Reply, Server
from adapters.commands.show import Screen
from core.model import EventKind

_CORRELATION = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)


def show_answer(reply: Reply, screen: Screen) -> None:
    """Print the answer's bytes as they came, or made harmless where they would reach a terminal.

    For programs, print one line of JSON in any case: what is no JSON comes as a string.
    """
    if screen.json:
        screen.record(_document(reply.body))
    elif reply.body and screen.out.isatty():
        screen.verbatim(reply.body.decode("utf-8", "backslashreplace"))
    elif reply.body:
        screen.out.flush()
        screen.out.buffer.write(reply.body + b"\n")
        screen.out.buffer.flush()


def refusal(server: Server, reply: Reply) -> str:
    """Say no more than a device may know, and where the operator sees more."""
    status = f" ({reply.status})" if reply.status else ""
    # It comes from a stranger, and is about to be copied into a shell.
    named = _CORRELATION.fullmatch(reply.correlation)
    command = f"explain {reply.correlation}" if named else f"event list --kind {EventKind.PROVISION_REFUSED.value}"
    return f"firstlight: refused by {server}{status}; the operator sees why: firstlight {command}"


def _document(body: bytes) -> bytes:
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or nested without end
        return msgspec.json.encode(body.decode("utf-8", "backslashreplace"))
    return body
