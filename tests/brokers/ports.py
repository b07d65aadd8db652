"""Ports for servers that other programs start: free at this moment, and nobody's by chance a moment later."""

import contextlib
import random
import socket

HOST = "127.0.0.1"
_BELOW_EPHEMERAL = range(20_000, 32_000)  # what the system hands out by itself begins at 32,768


def free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens on at this moment."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = random.choice(_BELOW_EPHEMERAL)
            taken = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                taken.bind((HOST, port))
                found.append(port)
    return found


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    return free_ports(1)[0]
