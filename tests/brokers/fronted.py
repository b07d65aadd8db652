"""A world with a front: a mosquitto that denies what its rules do not name, a gateway before it, and somebody at the broker."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from adapters.app import Running
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.paho_device import Device
from tests.brokers.ports import free_port
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

WATCHER = "watcher"
ONE_NAME = "front"
RULES = f"""
user {WATCHER}
topic readwrite #
user {ONE_NAME}
topic readwrite #
pattern write v1/devices/%u/up/#
pattern read v1/devices/%u/down/#
pattern write v1/devices/%u/+/up/#
pattern read v1/devices/%u/+/down/#
pattern readwrite channels/+/messages/#
pattern readwrite m/+/c/+/#
pattern readwrite /sys/+/+/#
pattern readwrite xi/blue/v1/+/d/%u/#
"""
"""For a broker that sees each device by its own id, or all under one name. Nothing else is allowed there."""


class Fronted:
    """The broker, the gateway before it, its operator, and `watcher`, who hears and may say everything at the broker."""

    def __init__(self, broker: Mosquitto, gateway: Running, operator: Operator, watcher: Device) -> None:
        self.broker = broker
        self.gateway = gateway
        self.operator = operator
        self.watcher = watcher
        self._marks = itertools.count()

    @property
    def port(self) -> int:
        """Return the port of devices."""
        return self.gateway.listening.mqtt[0].port

    async def named(self, name: str) -> str:
        """Return the id of a device."""
        found = await self.operator.device(name)
        assert found is not None
        return str(found["id"])

    async def settled(self) -> None:
        """Wait until the watcher has what the broker had before."""
        mark = f"mark {next(self._marks)}".encode()
        self.watcher.send("marks", mark)
        await self.watcher.hears("marks", mark)

    async def device(self, name: str, **fields: Any) -> tuple[str, str]:
        """Define a device with a token; returns its id and the token."""
        await self.profile()
        made = await self.operator.post("/v1/devices", {"name": name, "profile": "things", **fields})
        return made["id"], made["credentials"][0]["token"]

    async def profile(self) -> None:
        """Make the profile of devices that are defined, unless it is there."""
        await self.operator.ask("POST", "/v1/profiles", {"name": "things"})

    async def channel(self, name: str) -> str:
        """Make a channel; returns its id."""
        return str((await self.operator.post("/v1/channels", {"name": name}))["id"])

    async def thing(self, external_id: str, *channels: str) -> tuple[str, str]:
        """Make a configuration that is active; returns the id of its device and the secret."""
        body = {"external_id": external_id, "external_key": "key from the factory", "channels": list(channels)}
        made = await self.operator.post("/v1/configs", body)
        await self.operator.patch(f"/v1/configs/{made['id']}", {"active": True})
        return str(made["id"]), str((await self.operator.get(f"/v1/configs/{made['id']}"))["secret"])

    async def connect(self, device: str, *channels: str) -> None:
        """Give a device these channels and no others."""
        await self.operator.patch(f"/v1/configs/{device}", {"channels": list(channels)})


@contextlib.asynccontextmanager
async def broker_with_rules(folder: Path, **more: str) -> AsyncIterator[Mosquitto]:
    """Run a mosquitto with the rules."""
    config = [f"allow_anonymous true\nacl_file {_rules_in(folder)}", *(f"{name} {value}" for name, value in more.items())]
    async with mosquitto(folder, "\n".join(config)) as broker:
        yield broker


def _rules_in(folder: Path) -> Path:
    folder.mkdir()
    rules = folder / "rules.acl"
    rules.write_text(RULES)
    return rules


@contextlib.asynccontextmanager
async def fronted(folder: Path, username: str = "", **settings: str | None) -> AsyncIterator[Fronted]:
    """Run a broker, a gateway before it and a watcher; `username` is the one that all have at the broker."""
    async with (
        broker_with_rules(folder / "broker") as broker,
        before(folder, broker, username, **settings) as (gateway, operator),
        watcher(broker) as watching,
    ):
        yield Fronted(broker, gateway, operator, watching)


@contextlib.asynccontextmanager
async def before(
    folder: Path, broker: Mosquitto, username: str = "", **settings: str | None
) -> AsyncIterator[tuple[Running, Operator]]:
    """Run a gateway before a broker."""
    given = {"MQTT_UPSTREAM": str(broker.address(username)), **settings}
    async with opened(folder / "data", **given) as gateway, Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
        yield gateway, operator


def watcher(broker: Mosquitto) -> Device:
    """Return somebody who hears everything at the broker."""
    return Device(broker.port, WATCHER, filters=("#",))


def free_address() -> str:
    """Return an address that nobody listens on at this moment, for a gateway that comes back to it."""
    return f"127.0.0.1:{free_port()}"


def document(payload: bytes) -> Any:
    """Return what JSON says."""
    return json.loads(payload)
