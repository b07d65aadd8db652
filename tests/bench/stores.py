"""What reads and commits cost over SQLite and over PostgreSQL, in one run: `python -m tests.bench.stores [--count 6000]`.

64 tasks ask at once, as in a gateway under load. What is measured is this process: PostgreSQL's own time comes on top.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable

from core.ports import Changes, Repository
from core.queries import ClaimQuery, LoginQuery
from storage import open_repository
from tests.postgres_server import postgres_server
from tests.storage.entities import a_credential, a_device, a_lookup, a_profile, an_event

TASKS = 64

Work = Callable[[Repository, int], Awaitable[object]]


def added(number: int) -> Changes:
    event = an_event(number, device=f"device-{number:04}")
    return Changes(insert=(a_device(number), a_credential(number)), events=(event,))


async def load(repository: Repository, work: Work, count: int) -> tuple[float, float]:
    """Do work so many times and return how often it is done in a second, and the process time of one in microseconds."""
    numbers = iter(range(1, count + 1))

    async def ask() -> None:
        for number in numbers:
            await work(repository, number)

    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask() for _ in range(TASKS)))
    return count / (time.perf_counter() - began), (time.process_time() - spent) / count * 1e6


async def measure(url: str, count: int) -> None:
    async def claim_and_add(repository: Repository, number: int) -> None:
        await repository.read(ClaimQuery("key-1", f"sensor-{number + count:04}", a_lookup(number + count)))
        await repository.commit(added(number + count))

    works: dict[str, Work] = {
        "a new device": lambda repository, number: repository.commit(added(number)),
        "a device that comes": lambda repository, number: repository.commit(Changes(replace=(a_device(number, version=2),))),
        "a login": lambda repository, number: repository.read(LoginQuery((a_lookup(number),))),
        "a claim": lambda repository, number: repository.read(ClaimQuery("key-1", f"new-{number}", a_lookup(number + count))),
        "a claim and a new device": claim_and_add,
    }
    async with open_repository(url) as repository:
        await repository.commit(Changes(insert=(a_profile(),)))
        for name, work in works.items():
            rate, cost = await load(repository, work, count)
            print(f"{url.partition(':')[0]:10} {name:25} {rate:8.0f} /s {cost:8.0f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=6000)
    count: int = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(f"sqlite:{folder}/registry.db", count))
    with postgres_server(durable=True) as server:
        asyncio.run(measure(server.url(server.make_database()), count))


if __name__ == "__main__":
    main()
