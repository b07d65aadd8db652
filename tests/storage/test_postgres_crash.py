"""What is left when a gateway or its database is killed: all that was acknowledged, and nothing by half."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from core.model import DEFAULT_TENANT
from core.ports import Changes
from core.queries import LoginQuery, TenantQuery
from storage import open_repository
from tests.postgres_server import PostgresServer, postgres_server
from tests.storage.entities import a_device, a_lookup, a_profile

CHILD = Path(__file__).with_name("postgres_child.py")
DEADLINE = 60
WHOLE = """SELECT count(*) FROM device FULL JOIN credential ON credential.device = device.id FULL JOIN event
    ON event.device = device.id WHERE device.id IS NULL OR credential.id IS NULL OR event.id IS NULL"""
COUNTED = "SELECT (SELECT sum(devices) FROM tenant) - (SELECT count(*) FROM device)"


async def start(url: str) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
    async with open_repository(url) as repository:
        await repository.commit(Changes(insert=(a_profile(),)))
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", str(CHILD), url, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    return process, process.stdout


async def lines(output: asyncio.StreamReader, number: int) -> list[str]:
    return [(await asyncio.wait_for(output.readline(), DEADLINE)).decode().strip() for _ in range(number)]


async def require_all(url: str, said: list[str]) -> None:
    numbers = sorted(int(line) for line in said if line.isdigit())
    async with open_repository(url) as repository:
        found = await repository.read(LoginQuery(tuple(map(a_lookup, numbers))))
        assert [login and login.device.id for login in found] == [a_device(number).id for number in numbers]
        await repository.commit(Changes(insert=(a_device(900_000),)))
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        assert tenant.devices > len(numbers)


@pytest.mark.parametrize("acknowledged", [1, 300])
async def test_what_was_acknowledged_outlives_the_gateway(
    postgres: PostgresServer, postgres_url: str, shared_database: str, acknowledged: int
) -> None:
    process, output = await start(postgres_url)
    said = await lines(output, acknowledged)
    process.kill()
    said += (await asyncio.wait_for(output.read(), DEADLINE)).decode().split("\n")[:-1]
    await process.wait()
    alive = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'firstlight %'"
    while postgres.sql(shared_database, alive) != "0\n":  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.05)
    assert postgres.sql(shared_database, WHOLE) == "0\n"
    assert postgres.sql(shared_database, COUNTED) == "0\n"
    await require_all(postgres_url, said)


async def test_what_was_acknowledged_outlives_a_crash_of_the_database() -> None:
    with postgres_server(durable=True) as server:
        url = server.url(server.make_database())
        process, output = await start(url)
        said = await lines(output, 200)
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        await asyncio.to_thread(server.start)
        while not said[-1].isdigit() or "storage.failed" not in said:  # refused meanwhile, and then served again
            said += await lines(output, 1)
        said += await lines(output, 50)
        process.kill()
        said += (await asyncio.wait_for(output.read(), DEADLINE)).decode().split("\n")[:-1]
        await process.wait()
        assert server.sql(url.rpartition("/")[2], WHOLE) == "0\n"
        await require_all(url, said)
        assert server.sql(url.rpartition("/")[2], COUNTED) == "0\n"
