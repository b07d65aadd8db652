"""Operators who write configurations through the vendors' paths, and what the registry must hold of what they were told."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import aiohttp

from adapters.settings import Address
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.process import Served

KEY = "external key"


class Flavour(NamedTuple):
    """Where one vendor's operators and devices go, and what the member is called that names the channels."""

    configs: str
    devices: str
    scheme: str
    channels: str


THINGS = Flavour("/things", "things", "Thing", "mainflux_channels")
CLIENTS = Flavour("/default/clients", "clients", "Client", "channels")


def places(served: Served, protocol: str) -> list[Address]:
    """Return every address of a protocol, as the log says it."""
    lines = map(json.loads, served.log().splitlines())
    (line,) = (line for line in lines if line["event"] == "listening")
    found = (address.partition("=")[0].rpartition(":") for address in line[protocol].split(","))
    return [Address(host, int(port)) for host, _, port in found]


class Vendor:
    """One vendor's operators at one address."""

    def __init__(self, address: Address, flavour: Flavour) -> None:
        self.flavour = flavour
        self._base = f"http://{address}"
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        self._session = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request; returns its status, and the body or else where the answer says that something was made."""
        content = None if body is None else json.dumps(body)
        async with self._session.request(method, self._base + path, data=content) as response:
            return response.status, await response.read() or response.headers.get("Location", "").encode()

    async def create(self, external_id: str, content: str, channels: tuple[str, ...]) -> tuple[int, str]:
        """Make a configuration; returns the status and the id."""
        body = {"external_id": external_id, "external_key": KEY, "content": content, "channels": channels}
        status, location = await self.ask("POST", f"{self.flavour.configs}/configs", body)
        return status, location.decode().rpartition("/")[2]

    async def fetch(self, external_id: str) -> tuple[int, bytes]:
        """Ask as the device does."""
        url = f"{self._base}/{self.flavour.devices}/bootstrap/{external_id}"
        async with self._session.get(url, headers={"Authorization": f"{self.flavour.scheme} {KEY}"}) as response:
            return response.status, await response.read()

    async def write(self, identity: str, content: str) -> int:
        """Give a configuration a content."""
        return (await self.ask("PUT", f"{self.flavour.configs}/configs/{identity}", {"content": content}))[0]

    async def connect(self, identity: str, channels: tuple[str, ...]) -> int:
        """Give a configuration its channels."""
        path = f"{self.flavour.configs}/configs/connections/{identity}"
        return (await self.ask("PUT", path, {"channels": channels}))[0]

    async def switch(self, identity: str, state: int) -> int:
        """Give a configuration its state."""
        return (await self.ask("PUT", f"{self.flavour.configs}/state/{identity}", {"state": state}))[0]


class Known(NamedTuple):
    """What an operator was told about a configuration."""

    external_id: str
    content: str
    channels: tuple[str, ...] = ()
    active: bool = False
    version: int = 1


class Writer:
    """One operator who makes a configuration, changes it in every way, and goes on to the next.

    `known` is what was answered. `underway` is what one configuration becomes when the request that was not answered was
    carried out all the same.
    """

    def __init__(self, vendor: Vendor, name: str, channels: tuple[str, ...]) -> None:
        self.known: dict[str, Known] = {}
        self.underway: dict[str, Known] = {}
        self.asked: set[str] = set()
        self._vendor = vendor
        self._name = name
        self._channels = channels

    async def work(self) -> None:
        """Write until the gateway is gone; what fails, fails because of that."""
        number = 0
        while True:
            number += 1
            external_id = f"{self._name}-{number}"
            self.asked.add(external_id)
            status, identity = await self._vendor.create(external_id, "made", self._channels[:1])
            assert (status, bool(identity)) == (201, True)
            self.known[identity] = Known(external_id, "made", self._channels[:1])
            for version, (changed, request) in enumerate(self._changes(identity), 2):
                self.underway = {identity: changed._replace(version=version)}
                assert await request == 200
                self.known |= self.underway
                self.underway = {}

    def _changes(self, identity: str) -> Iterator[tuple[Known, Any]]:
        """Yield what a configuration is to become, with the request for it."""
        vendor, channels = self._vendor, self._channels
        yield self.known[identity]._replace(content="changed"), vendor.write(identity, "changed")
        yield self.known[identity]._replace(active=True), vendor.switch(identity, 1)
        yield self.known[identity]._replace(channels=channels), vendor.connect(identity, channels)
        yield self.known[identity]._replace(channels=channels[1:]), vendor.connect(identity, channels[1:])
        yield self.known[identity]._replace(active=False), vendor.switch(identity, 0)
        yield self.known[identity]._replace(content="last"), vendor.write(identity, "last")


async def write_until_gone(writers: list[Writer]) -> None:
    """Let all of them write until they find nobody to write to."""

    async def one(writer: Writer) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await writer.work()

    async with asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(one(writer))
