"""Three gateways over one PostgreSQL and one mosquitto let 20,000 devices in while parts of it break.

`python -m tests.bench.storm [--devices N]` prints what happened when, and what was proved at the end. It fails where a device
that was told it is in is missing, is there twice, or cannot log in, and where anything hangs.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.storm.cluster import cluster
from tests.storm.devices import Acknowledged
from tests.storm.proof import prove_each_exists_once, prove_each_logs_in, storm


async def _run(folder: Path, devices: int, connections: int) -> None:
    async with cluster(folder) as standing:
        began = time.monotonic()
        acknowledged = await storm(standing, devices, connections, lambda line: print(line, flush=True))
        _report(acknowledged, time.monotonic() - began)
        prove_each_exists_once(standing, acknowledged)
        print("every acknowledged device exists, exactly once, and no other does")
        await prove_each_logs_in(standing, acknowledged)
        print("every one of them logs in with the token that it was given")


def _report(acknowledged: Sequence[Acknowledged], seconds: float) -> None:
    print(f"{len(acknowledged)} devices are in after {seconds:.0f} s")
    print(f"{'protocol':<10}{'devices':>10}{'asked again':>14}{'most tries':>12}")
    for protocol in sorted({device.protocol for device in acknowledged}):
        tries = [device.tries for device in acknowledged if device.protocol == protocol]
        print(f"{protocol:<10}{len(tries):>10}{sum(each > 1 for each in tries):>14}{max(tries):>12}")
    print(f"mean tries {statistics.mean(device.tries for device in acknowledged):.2f}")


def main() -> None:
    """Run the storm and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=48)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="firstlight-storm-") as folder:
        asyncio.run(_run(Path(folder), chosen.devices, chosen.connections))


if __name__ == "__main__":
    main()
