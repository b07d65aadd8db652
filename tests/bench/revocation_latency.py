"""Prints how long after one gateway answers a revocation another one has closed the device's connection.

`python -m tests.bench.revocation_latency [--devices N]` runs two gateways over one PostgreSQL. Half of the devices are revoked
right after the database ended the sessions on which gateways hear of changes. It fails where one takes longer than a second.
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt

from tests.brokers.ports import HOST
from tests.e2e.operator_api import Operator
from tests.storm.cluster import Cluster, cluster

PROMISED_SECONDS = 1.0
_LISTENERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ILIKE '%LISTEN %' AND pid <> pg_backend_pid()"
)


class Session:
    """A device on a connection of the second gateway."""

    def __init__(self, identity: str, client: aiomqtt.Client) -> None:
        self.identity = identity
        self._client = client

    async def over(self) -> float:
        """Return when the connection is over."""
        with contextlib.suppress(aiomqtt.MqttError):
            async for _ in self._client.messages:
                pass
        return time.perf_counter()


@contextlib.asynccontextmanager
async def connected(standing: Cluster, operator: Operator, name: str) -> AsyncIterator[Session]:
    """Let a device in at the first gateway and connect it to the second."""
    made = await operator.post("/v1/devices", {"name": name, "profile": "storm"})
    token = made["credentials"][0]["token"]
    client = aiomqtt.Client(HOST, standing.ports[1].mqtt, username=token)
    await client.__aenter__()
    try:
        yield Session(made["id"], client)
    finally:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)


async def measure(devices: int) -> dict[str, list[float]]:
    """Revoke so many devices and return how long each was connected still, in seconds."""
    found: dict[str, list[float]] = {"told": [], "sessions ended": []}
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        async with cluster(Path(folder), 2) as standing, await standing.operator() as operator:
            for number in range(devices):
                name = "told" if number < devices / 2 else "sessions ended"
                async with connected(standing, operator, f"device-{number}") as session:
                    if name == "sessions ended":
                        standing.postgres.sql(standing.database, _LISTENERS)
                    found[name].append(await _revoked(operator, session))
    return found


async def _revoked(operator: Operator, session: Session) -> float:
    over = asyncio.create_task(session.over())
    answer = await operator.ask("DELETE", f"/v1/devices/{session.identity}/credentials")
    assert answer.status == 204
    answered = time.perf_counter()
    async with asyncio.timeout(60):
        return await over - answered


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100)
    found = asyncio.run(measure(parser.parse_args().devices))
    print(f"{'milliseconds after the answer':<32}{'median':>9}{'95 %':>9}{'worst':>9}")
    for name, seconds in found.items():
        ordered = sorted(1_000 * each for each in seconds)
        figures = (statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1])
        print(f"{name:<32}{''.join(f'{figure:>9.1f}' for figure in figures)}")
    assert max(map(max, found.values())) < PROMISED_SECONDS


if __name__ == "__main__":
    main()
