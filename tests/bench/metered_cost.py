"""Prints what counting its commits costs a registry in processor time: `python -m tests.bench.metered_cost`.

The same commits go to a registry that does nothing, with the counting and without, in turns; the difference of each pair is
what counts. Options: `--pairs`, `--commits`.
"""

import argparse
import asyncio
import statistics
import time

from adapters.metered import MeteredRepository
from adapters.metrics import PrometheusMeter
from adapters.system import SystemClock
from core.ports import Changes, Repository
from core.queries import Query, S
from storage.memory import MemoryRepository


class IdleRepository(MemoryRepository):
    """A registry whose commits cost nothing but the call."""

    async def commit(self, changes: Changes) -> None:
        """Keep nothing."""

    async def read(self, query: Query[S]) -> S:
        """Find nothing."""
        return None  # type: ignore[return-value]  # nobody looks at it


async def costs(pairs: int, commits: int) -> tuple[list[float], list[float]]:
    """Return by how many seconds of processor time a commit costs more with the counting, and a read, for each pair."""
    plain = IdleRepository()
    metered = MeteredRepository(plain, PrometheusMeter(), SystemClock())
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for differences, spend in zip(found, (_committing, _reading), strict=True):
            without = await spend(plain, commits)
            differences.append((await spend(metered, commits) - without) / commits)
    return found


async def _committing(repository: Repository, times: int) -> float:
    changes = Changes()
    started = time.process_time()
    for _ in range(times):
        await repository.commit(changes)
    return time.process_time() - started


async def _reading(repository: Repository, times: int) -> float:
    query: Query[object] = Query()
    started = time.process_time()
    for _ in range(times):
        await repository.read(query)
    return time.process_time() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=31)
    parser.add_argument("--commits", type=int, default=20_000)
    args = parser.parse_args()
    for name, found in zip(("commit", "read"), asyncio.run(costs(args.pairs, args.commits)), strict=True):
        low, middle, high = (1e6 * each for each in statistics.quantiles(found, n=4))
        print(f"a {name} costs {middle:.2f} µs more (quartiles {low:.2f} and {high:.2f})")


if __name__ == "__main__":
    main()
