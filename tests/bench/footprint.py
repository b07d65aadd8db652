"""What a device takes: bytes in the file of SQLite, in the tables and indexes of PostgreSQL, and in the log of that.

`python -m tests.bench.footprint [--devices N]` provisions devices through the store, each with a token and the event of its
coming, a group of 256 to a commit; `deploy/scale.md` reckons with what it prints.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from adapters.app import build
from adapters.config import from_environment
from adapters.demo import ensure_profile
from adapters.system import SystemEntropy
from core.crypto.tokens import new_id
from core.model import Event, EventId, EventKind, Profile
from core.ports import Changes
from tests.bench.servers import BATCH, UNLIMITED, newcomer
from tests.postgres_server import postgres_server

_TABLES = ("device", "credential", "event")


async def fill(database: str, folder: Path, devices: int) -> None:
    """Provision so many devices."""
    settings = UNLIMITED | {"FIRSTLIGHT_DATA": str(folder), "FIRSTLIGHT_DATABASE": database}
    async with build(from_environment(settings)).running() as running:
        claim = await ensure_profile(running.repository, running.issuer)
        assert claim is not None
        for start in range(0, devices, BATCH):
            made = [_provisioned(claim[0], number) for number in range(start, min(start + BATCH, devices))]
            await asyncio.gather(*(running.repository.commit(changes) for changes in made))


def _provisioned(profile: Profile, number: int) -> Changes:
    device, credential = newcomer(profile, number)
    event = Event(
        id=EventId(new_id(device.created_at, SystemEntropy())),
        tenant=profile.tenant,
        at=device.created_at,
        kind=EventKind.PROVISION_SUCCEEDED,
        correlation=new_id(device.created_at, SystemEntropy()),
        protocol="coap",
        dialect="thingsboard",
        source="192.0.2.17",
        profile=profile.id,
        device=device.id,
        device_name=device.name,
    )
    return Changes(insert=(device, credential), events=(event,))


def sqlite(devices: int) -> None:
    """Print what SQLite takes."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        asyncio.run(fill(f"sqlite:{folder}/registry.db", Path(folder), devices))
        print(f"{'SQLite, the whole file':<34}{(Path(folder) / 'registry.db').stat().st_size / devices:>9.0f}")


def postgres(devices: int) -> None:
    """Print what PostgreSQL takes."""
    with postgres_server(durable=True) as server, tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        database = server.make_database()
        asyncio.run(fill(server.url(database), Path(folder), 0))
        before = server.sql(database, "SELECT pg_current_wal_lsn()").strip()
        asyncio.run(fill(server.url(database), Path(folder), devices))
        log = int(server.sql(database, f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn").partition(".")[0])
        for table in _TABLES:
            sizes = server.sql(database, f"SELECT pg_table_size('{table}'), pg_indexes_size('{table}')").strip()
            rows, indexes = map(int, sizes.split("|"))
            print(f"{f'PostgreSQL, {table}: rows, indexes':<34}{rows / devices:>9.0f}{indexes / devices:>9.0f}")
        print(f"{'PostgreSQL, write-ahead log':<34}{log / devices:>9.0f}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200_000)
    devices = parser.parse_args().devices
    print(f"bytes for each of {devices} devices")
    sqlite(devices)
    postgres(devices)


if __name__ == "__main__":
    main()
