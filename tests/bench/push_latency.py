"""Prints how long after the answer to a change its device has the next configuration, over MQTT and CoAP.

`python -m tests.bench.push_latency` runs a gateway over SQLite with one device for each protocol. Negative: the device knew
before the operator did. Option: `--changes`.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.e2e.bootstrap_fleet import Listener, Observer, Waiting
from tests.e2e.bootstrap_writers import CLIENTS, Vendor
from tests.e2e.process import Served

PATH = "clients/bootstrap/device"
PAUSE_SECONDS = 0.02  # so that every change is one of its own, and the pace of CoAP's notifications does not count


async def told_after(vendor: Vendor, identity: str, device: Waiting, number: int) -> float:
    """Return the seconds from the answer to a change until the device was told."""
    told = asyncio.create_task(_told(device, device.told))
    await vendor.write(identity, f"content {number}")
    answered = time.perf_counter()
    return await told - answered


async def _told(device: Waiting, told: int) -> float:
    await device.more_than(told)
    return time.perf_counter()


async def measure(changes: int) -> dict[str, list[float]]:
    """Change one configuration again and again, for each protocol in turn."""
    found: dict[str, list[float]] = {"mqtt": [], "coap": []}
    with tempfile.TemporaryDirectory() as folder:
        async with Served(Path(folder)) as served, Vendor(served.listening.http[0], CLIENTS) as vendor:
            _, channel = await vendor.ask("POST", "/default/channels", {"name": "data"})
            _, identity = await vendor.create("device", "first", (json.loads(channel)["id"],))
            mqtt, coap = Listener.at(served.listening.mqtt[0], PATH), Observer.at(served.listening.coap[0], PATH)
            for name, connected in (("mqtt", mqtt), ("coap", coap)):
                async with connected as device:
                    for number in range(changes):
                        found[name].append(await told_after(vendor, identity, device, number))
                        await asyncio.sleep(PAUSE_SECONDS)
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=200)
    chosen = parser.parse_args()
    print(f"{'milliseconds after the answer':<32}{'median':>9}{'95 %':>9}{'worst':>9}")
    for name, seconds in asyncio.run(measure(chosen.changes)).items():
        ordered = sorted(1_000 * each for each in seconds)
        figures = (statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1])
        print(f"{name.upper():<32}{''.join(f'{figure:>9.2f}' for figure in figures)}")


if __name__ == "__main__":
    main()
