"""A process that writes to a registry in PostgreSQL until it is killed: run as `python -P postgres_child.py URL`."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run by path, the project is not on it

from core.errors import Refusal
from core.ports import Changes
from core.queries import ClaimQuery
from storage import open_repository
from tests.storage.entities import a_credential, a_device, a_lookup, an_event

CALLERS = 20


async def provision(url: str) -> None:
    """Commit without end, from many callers, and say the number of each commit that returned."""
    numbers = iter(range(2, 10**6))

    async with open_repository(url) as repository:

        async def caller() -> None:
            for number in numbers:
                event = an_event(number, device=f"device-{number:04}")
                changes = Changes(insert=(a_device(number), a_credential(number)), events=(event,))
                try:
                    await repository.read(ClaimQuery("key-1", f"sensor-{number:04}", a_lookup(number)))
                    await repository.commit(changes)
                except Refusal as refusal:
                    print(refusal.check, flush=True)
                    await asyncio.sleep(0.05)
                else:
                    print(number, flush=True)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(provision(sys.argv[1]))
