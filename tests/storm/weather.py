"""What happens to a cluster while its devices come in: one gateway dies, and another, the database and the broker restart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.storm.cluster import Cluster
from tests.storm.devices import Fleet

_DOWN_SECONDS = 1.0


class Blow(NamedTuple):
    """Something that happens when so much of the fleet is in, and what it is called."""

    share: float
    name: str
    strike: Callable[[Cluster], Awaitable[None]]


async def _kill_gateway(cluster: Cluster) -> None:
    cluster.gateways[0].kill()
    await cluster.gateways[0].ended()


async def _restart_gateway(cluster: Cluster) -> None:
    gateway = cluster.gateways[1]
    gateway.stop()
    await gateway.ended()
    await gateway.start()


async def _restart_database(cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.postgres.stop)
    await asyncio.sleep(_DOWN_SECONDS)
    await asyncio.to_thread(cluster.postgres.start)


async def _restart_broker(cluster: Cluster) -> None:
    await cluster.broker.stop()
    await asyncio.sleep(_DOWN_SECONDS)
    await cluster.broker.start()


async def _revive_gateway(cluster: Cluster) -> None:
    await cluster.gateways[0].start()


BLOWS = (
    Blow(0.15, "gateway 1 is killed (SIGKILL)", _kill_gateway),
    Blow(0.30, "gateway 2 is restarted", _restart_gateway),
    Blow(0.50, "the database is restarted", _restart_database),
    Blow(0.70, "the broker is restarted", _restart_broker),
    Blow(0.85, "gateway 1 comes back", _revive_gateway),
)


async def strike(cluster: Cluster, fleet: Fleet, devices: int, told: Callable[[str], None]) -> None:
    """Let each blow fall at its time."""
    for blow in BLOWS:
        await fleet.reached(int(blow.share * devices))
        told(f"{len(fleet.acknowledged):>7} devices are in: {blow.name}")
        await blow.strike(cluster)
