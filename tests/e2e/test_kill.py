"""Gateways killed again and again, each over one registry: whoever was told SUCCESS is there, and nobody is there by half."""

import asyncio
import random
import stat
from pathlib import Path

import aiohttp

from adapters.listeners import Listening
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.load import Fleet, over_http
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Served, Unmeasured
from tests.e2e.registry_file import names_of_a_whole_registry
from tests.protocols.world import SAME
from tests.thorough import often

ROUNDS = often(6, 25)  # of each gateway
GATEWAYS = 2  # side by side, since one waits for its next start most of the time
EARLY_EVERY = often(3, 10)  # every so many rounds the gateway is killed while it starts
LOGINS_AT_ONCE = 32


async def log_in(where: Listening, tokens: dict[str, str]) -> None:
    """Prove that every device's token works."""
    waiting = list(tokens.items())

    async def some(session: aiohttp.ClientSession) -> None:
        while waiting:
            name, token = waiting.pop()
            async with session.get(f"http://{where.http[0]}/api/v1/{token}/attributes") as response:
                assert response.status == 200, name

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(LOGINS_AT_ONCE):
            group.create_task(some(session))


async def retry(where: Listening, fleet: Fleet) -> None:
    """Let the devices that got no answer ask again, as devices do: the profile gives the same credentials once more."""
    async with over_http(where) as ask:
        for name in sorted(fleet.asked - fleet.answered.keys()):
            fleet.keep(name, await ask(fleet.request(name)))


async def killed_under_load(served: Served, fleet: Fleet, seconds: float) -> None:
    """Run a fleet against a gateway and kill it in the middle."""
    load = asyncio.create_task(fleet.provision(served.listening))
    await asyncio.sleep(seconds)
    assert not load.done(), load.exception()
    served.kill()
    await served.ended()
    load.cancel()
    await asyncio.wait({load}, timeout=PATIENCE_SECONDS)
    if not load.cancelled() and (error := load.exception()):
        raise error


async def test_kills_lose_nothing_that_was_answered(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(GATEWAYS):
            group.create_task(killed_again_and_again(tmp_path / f"{number}", random.Random(20_261_121 + number)))


async def killed_again_and_again(folder: Path, chance: random.Random) -> None:
    """Kill a gateway once in each round, and show each time that everything it answered is there."""
    served = Unmeasured(folder / "gateway")
    profile = {"name": "same", "provision_key": SAME.key, "provision_secret": SAME.secret, "reprovision": "same"}
    answered: dict[str, str] = {}
    async with served:
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/profiles", profile)
        for number in range(ROUNDS):
            fleet = Fleet(SAME, f"round-{number}")
            await killed_under_load(served, fleet, chance.uniform(0.02, 0.4))
            if number % EARLY_EVERY == EARLY_EVERY - 1:
                await killed_at_the_start(served, chance.uniform(0.1, 0.5))
            there = names_of_a_whole_registry(folder / "gateway/data", folder / "copy")
            assert fleet.answered.keys() | answered.keys() <= there
            await served.start()
            await retry(served.listening, fleet)
            await log_in(served.listening, fleet.answered)
            answered |= fleet.answered
        await log_in(served.listening, answered)
    assert len(answered) > ROUNDS


async def killed_at_the_start(served: Served, seconds: float) -> None:
    await served.spawn()
    await asyncio.sleep(seconds)
    served.kill()
    await served.ended()


async def test_kills_during_the_first_start_leave_a_folder_that_starts(tmp_path: Path) -> None:
    chance = random.Random(20_261_122)
    served = Unmeasured(tmp_path / "gateway", ADMIN_TOKEN=None, MASTER_KEY=None)
    for _ in range(often(5, 10)):
        await killed_at_the_start(served, chance.uniform(0.15, 0.45))
    async with served:
        data = tmp_path / "gateway/data"
        for secret, characters in (("master-key", 64), ("admin-token", 40)):
            assert len((data / secret).read_text().strip()) == characters
            assert stat.S_IMODE((data / secret).stat().st_mode) == 0o600
        async with Operator(served.listening.http[0], (data / "admin-token").read_text().strip()) as operator:
            assert (await operator.post("/v1/profiles", {"name": "meters"}))["provision_secret"]
    assert names_of_a_whole_registry(data, tmp_path / "copy") == set()
