"""A network namespace of its own for a gateway (ip-netns(8)), with one cable to this one, which can be pulled."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from typing import NamedTuple

HERE, THERE = "10.213.7.1", "10.213.7.2"
NETWORK = IPv4Network("10.213.7.0/30")


class Done(NamedTuple):
    """How a program ended and what it printed."""

    status: int
    out: str


class Namespace:
    """The namespace: what runs in it reaches this machine as `HERE` and nothing else."""

    def __init__(self) -> None:
        self.name = f"firstlight-{os.getpid()}"
        self._cable = f"fl{os.getpid()}"
        self.within = ("ip", "netns", "exec", self.name)

    def lay(self) -> None:
        """Make it, and the cable."""
        there = f"{self._cable}t"
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", there, "netns", self.name)
        _ip("address", "add", f"{HERE}/{NETWORK.prefixlen}", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        for command in (
            ("address", "add", f"{THERE}/{NETWORK.prefixlen}", "dev", there),
            ("link", "set", there, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", self.name, *command)

    def remove(self) -> None:
        """Take both away."""
        subprocess.run(("ip", "link", "delete", self._cable), check=False, capture_output=True)
        subprocess.run(("ip", "netns", "delete", self.name), check=False, capture_output=True)

    def pull(self) -> None:
        """Pull the cable: what is sent is lost, and nobody is told."""
        _ip("link", "set", self._cable, "down")

    def plug(self) -> None:
        """Put it back."""
        _ip("link", "set", self._cable, "up")

    async def run(self, *command: str) -> Done:
        """Run a program in there and return how it ended."""
        process = await asyncio.create_subprocess_exec(*self.within, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(errors="replace"))


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)


@contextlib.asynccontextmanager
async def namespace() -> AsyncIterator[Namespace]:
    """Lay a namespace. Wants root."""
    made = Namespace()
    try:
        made.lay()
        yield made
    finally:
        made.remove()
