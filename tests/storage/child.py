"""A process that opens a registry and is killed, or meets the end of its disk: run as `python -P child.py PART PATH`."""

import asyncio
import resource
import sqlite3
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run by path, the project is not on it

from core.errors import Refusal
from core.model import DEFAULT_TENANT
from core.ports import Changes, Repository
from core.queries import ClaimQuery, DevicePage
from storage import open_repository, tables, writing
from storage.guards import device_balance
from storage.hop import Hop
from tests.storage.entities import a_credential, a_device, a_lookup, a_profile, an_event

CALLERS = 32


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def a_provision(number: int) -> Changes:
    event = an_event(number, device=f"device-{number:04}")
    return Changes(insert=(a_device(number), a_credential(number)), events=(event,))


async def hold(path: str) -> None:
    """Keep the file open until killed."""
    async with open_repository(f"sqlite:{path}"):
        say("open")
        await asyncio.sleep(60)


async def provision(path: str) -> None:
    """Commit without end, from many callers, and say the number of each commit that returned; rotate some."""
    numbers = iter(range(2, 10**6))

    async def caller(repository: Repository) -> None:
        for number in numbers:
            await repository.read(ClaimQuery("key-1", f"sensor-{number:04}", a_lookup(number)))
            await repository.commit(a_provision(number))
            say(str(number))

    async with open_repository(f"sqlite:{path}") as repository:
        await asyncio.gather(*(caller(repository) for _ in range(CALLERS)))


async def pause(path: str) -> None:
    """Write in a transaction and stay there, before its commit."""

    def write(connection: sqlite3.Connection) -> None:
        tables.insert(connection, [a_provision(2)])
        tables.count(connection, device_balance(a_provision(2)))
        say("written")
        time.sleep(60)

    hop = await Hop.open(Path(path), 5.0)
    await hop.run(lambda connection: writing.transact(connection, lambda: write(connection)))


async def count(repository: Repository) -> int:
    devices = await repository.read(DevicePage(DEFAULT_TENANT, limit=10_000))
    return len(devices)


async def fill(path: str) -> None:
    """Commit until the file may not grow, then say what happens with the bound in place and when it is gone."""
    async with open_repository(f"sqlite:{path}") as repository:
        await repository.commit(Changes(insert=(a_profile(),)))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        written = 0
        refused: Refusal | None = None
        while refused is None:
            outcomes = await asyncio.gather(
                *(repository.commit(a_provision(10 + written + caller)) for caller in range(CALLERS)), return_exceptions=True
            )
            refused = next((outcome for outcome in outcomes if isinstance(outcome, Refusal)), None)
            assert refused is None or all(isinstance(outcome, Refusal) for outcome in outcomes)
            written += CALLERS if refused is None else 0
        say(f"{refused.reason.value} {refused.check} {type(refused.__cause__).__name__}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
        try:
            await repository.check()
        except Refusal as refusal:
            say(f"{refusal.reason.value} {refusal.check}")
        say(f"{await count(repository) == written}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await repository.check()
        await repository.commit(a_provision(5))
        say(f"{await count(repository) == written + 1}")


if __name__ == "__main__":
    parts = {"hold": hold, "provision": provision, "pause": pause, "fill": fill}
    asyncio.run(parts[sys.argv[1]](sys.argv[2]))
