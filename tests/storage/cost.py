"""What a provision costs the store: processor time of all threads, with few devices and with many in the file.

Run it as `python -P tests/storage/cost.py [callers]` from the top of the project.
"""

import asyncio
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))  # run by path, the project is not on it

from core.model import (
    DEFAULT_TENANT,
    Credential,
    CredentialId,
    CredentialKind,
    Device,
    DeviceId,
    DeviceState,
    Event,
    EventId,
    EventKind,
    Lookup,
    Profile,
    ProfileId,
    Sealed,
    Strategy,
)
from core.ports import Changes, Repository
from core.queries import ClaimQuery
from storage import open_repository

MEASURED = 12_800
FILLED_AT_ONCE = 250


class Fleet:
    """Makes devices that never came before, with ids in the order of time and lookups in none."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._random = random.Random(20261121)
        self.profile = Profile(
            id=ProfileId(self._id()),
            tenant=DEFAULT_TENANT,
            name="cost",
            strategy=Strategy.CREATE_NEW,
            provision_key="cost-provision-key-0",
            provision_secret=Sealed(b"sealed"),
            created_at=1,
            updated_at=1,
        )

    def provision(self) -> tuple[ClaimQuery, Changes]:
        """Return what the core asks and writes for one new device."""
        name = f"sensor-{self._random.randbytes(6).hex()}"
        lookup = Lookup(self._random.randbytes(32))
        device = Device(
            id=DeviceId(self._id()),
            tenant=DEFAULT_TENANT,
            profile=self.profile.id,
            name=name,
            state=DeviceState.PROVISIONED,
            created_at=1,
            updated_at=1,
        )
        credential = Credential(
            id=CredentialId(self._id()),
            device=device.id,
            kind=CredentialKind.ACCESS_TOKEN,
            lookup=lookup,
            sealed=Sealed(self._random.randbytes(60)),
            created_at=1,
        )
        event = Event(
            id=EventId(self._id()),
            tenant=DEFAULT_TENANT,
            at=1,
            kind=EventKind.PROVISION_SUCCEEDED,
            correlation=self._id(),
            protocol="http",
            dialect="thingsboard",
            source="192.0.2.17",
            profile=self.profile.id,
            device=device.id,
            device_name=name,
        )
        return ClaimQuery(self.profile.provision_key, name, lookup), Changes(insert=(device, credential), events=(event,))

    def _id(self) -> str:
        number = next(self._numbers)
        digits = f"{1_790_000_000_000 + number // 8:012x}7{number % 4096:03x}{self._random.getrandbits(62) | 1 << 63:016x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def fill(repository: Repository, fleet: Fleet, devices: int) -> None:
    for _ in range(devices // FILLED_AT_ONCE):
        made = [fleet.provision()[1] for _ in range(FILLED_AT_ONCE)]
        insert = tuple(entity for changes in made for entity in changes.insert)
        await repository.commit(Changes(insert=insert, events=tuple(event for changes in made for event in changes.events)))


async def measure(repository: Repository, fleet: Fleet, callers: int) -> tuple[float, float]:
    """Return microseconds of processor time and of the clock for one claim and its commit."""
    waiting = [fleet.provision() for _ in range(MEASURED)]

    async def caller() -> None:
        while waiting:
            query, changes = waiting.pop()
            await repository.read(query)
            await repository.commit(changes)

    processor, clock = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    return processor / MEASURED * 1e6, clock / MEASURED * 1e6


async def main(callers: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        fleet = Fleet()
        async with open_repository(f"sqlite:{directory}/registry.db") as repository:
            await repository.commit(Changes(insert=(fleet.profile,)))
            present = 0
            for devices in (1_000, 100_000):
                await fill(repository, fleet, devices - present)
                present = devices + MEASURED
                processor, clock = await measure(repository, fleet, callers)
                print(f"{devices:>7} devices, {callers} callers: {processor:6.1f} µs CPU, {clock:6.1f} µs clock a provision")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 64))
