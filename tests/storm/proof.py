"""What must be true when the storm is over, asked of the database itself and of the gateways as devices ask."""

import asyncio
from collections.abc import Callable, Sequence

import aiohttp

from tests.brokers.ports import HOST
from tests.storm.cluster import Cluster
from tests.storm.devices import Acknowledged, fleet
from tests.storm.weather import strike

_LOGINS_AT_ONCE = 32


async def storm(cluster: Cluster, devices: int, connections: int, told: Callable[[str], None]) -> Sequence[Acknowledged]:
    """Let so many devices in through a storm and return all of them."""
    async with fleet(cluster, connections) as arriving:
        numbers = iter(range(devices))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(strike(cluster, arriving, devices, told))
            for _ in range(connections):
                tasks.create_task(arriving.provision(numbers))
        return arriving.acknowledged


def prove_each_exists_once(cluster: Cluster, acknowledged: Sequence[Acknowledged]) -> None:
    """Compare the names that were acknowledged with those in the table: none is missing, none is there twice, or for nobody."""
    names = sorted(device.name for device in acknowledged)
    assert len(set(names)) == len(names)
    stored = cluster.postgres.sql(cluster.database, "SELECT name FROM device ORDER BY name").split()
    assert stored == names
    assert cluster.count("credential") == len(names)
    assert cluster.count("tenant", f"devices = {len(names)}") == 1


async def prove_each_logs_in(cluster: Cluster, acknowledged: Sequence[Acknowledged]) -> None:
    """Send a reading of each device with the token that it was given, to every gateway in turn."""
    waiting = iter(enumerate(acknowledged))

    async def log_in(http: aiohttp.ClientSession) -> None:
        for number, device in waiting:
            port = cluster.ports[number % len(cluster.ports)].http
            async with http.post(f"http://{HOST}:{port}/api/v1/{device.token}/telemetry", json={"up": 1}) as response:
                assert response.status == 200, (device.name, response.status, await response.text())

    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        for _ in range(_LOGINS_AT_ONCE):
            tasks.create_task(log_in(http))
