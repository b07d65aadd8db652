"""Devices come in over three protocols while what they come in by breaks, one thing after the other: a small storm."""

from pathlib import Path

from tests.storm.cluster import cluster
from tests.storm.proof import prove_each_exists_once, prove_each_logs_in, storm

DEVICES = 400
CONNECTIONS = 16


async def test_every_acknowledged_device_exists_exactly_once(tmp_path: Path) -> None:
    """`python -m tests.bench.storm` does the same with 20,000."""
    async with cluster(tmp_path) as standing:
        told: list[str] = []
        acknowledged = await storm(standing, DEVICES, CONNECTIONS, told.append)
        assert len(acknowledged) == DEVICES
        assert {device.protocol for device in acknowledged} == {"http", "coap", "mqtt", "broker"}
        assert max(device.tries for device in acknowledged) > 1  # somebody met a gateway that was away
        prove_each_exists_once(standing, acknowledged)
        await prove_each_logs_in(standing, acknowledged)
