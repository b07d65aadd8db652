"""How many statements, and so round trips, a commit takes: what devices do all day takes one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.errors import Conflict, Guard
from core.ports import Changes, Delete
from storage import open_repository
from storage.postgres.connections import Connection, connect
from storage.postgres.repository import BY_KEY
from storage.postgres.writing import write
from tests.storage.entities import (
    a_channel,
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_profile,
    a_token,
    an_approval,
    an_event,
    an_issued,
    an_oscore_state,
)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    present = (a_profile(), a_device(1), a_device(2), a_credential(1), a_credential(2), an_oscore_state(1), an_issued(1))
    async with open_repository(postgres_url) as repository:
        await repository.commit(Changes(insert=(*present, a_channel(1), a_claim(2))))
    opened = await connect(postgres_url, name="statements", settings=BY_KEY)
    await opened.fetch("SELECT $1::text[], $2::bigint[], $3::bytea[]", [], [], [])  # the driver asks about types once
    yield opened
    await opened.close()


async def statements(connection: Connection, *group: Changes) -> tuple[int, list[Exception | None]]:
    """Write a group and return how many statements that took, and what became of it."""
    said: list[str] = []
    connection.add_query_logger(lambda record: said.append(record.query))
    outcomes = await write(connection, group, "replica")
    await asyncio.sleep(0.01)  # the driver logs when the loop turns
    return len(said), outcomes


HOT = {
    "many new devices": tuple(
        Changes(insert=(a_device(n), a_credential(n)), events=(an_event(n),), made_by=a_profile().id) for n in range(10, 110)
    ),
    "a device that comes": (Changes(replace=(a_device(1, version=2, connected_at=5),), events=(an_event(),)),),
    "several at once": tuple(Changes(replace=(a_device(number, version=2),)) for number in (1, 2)),
    "a credential for another": (
        Changes(
            insert=(a_credential(3, device="device-0001"),),
            replace=(a_device(1, version=2),),
            delete=(Delete(a_credential(1)),),
            events=(an_event(),),
        ),
    ),
    "numbers of OSCORE": (Changes(replace=(an_oscore_state(1, sequence=500, version=2),)),),
    "a certificate revoked": (Changes(replace=(an_issued(1, revoked_at=7, version=2),), events=(an_event(),)),),
    "a configuration with new channels": (Changes(insert=(a_channel(2), a_config(1, 1, 2))),),
    "a claim that begins, and one that ends": (
        Changes(insert=(a_claim(1),)),
        Changes(delete=(Delete(a_claim(2)),)),
    ),
    "a token": (Changes(insert=(a_token(),)),),
}


@pytest.mark.parametrize("name", HOT)
async def test_one_statement_is_enough(connection: Connection, name: str) -> None:
    group = HOT[name]
    assert await statements(connection, *group) == (1, [None] * len(group))


async def test_one_at_fault_among_many_takes_a_few(connection: Connection) -> None:
    group = [Changes(insert=(a_device(number),)) for number in range(10, 74)]
    group[40] = Changes(insert=(a_device(1000, name="sensor-0001"),))
    took, outcomes = await statements(connection, *group)
    assert [each.guard for each in outcomes if isinstance(each, Conflict)] == [Guard.DEVICE_NAME]
    assert outcomes.count(None) == 63
    assert took < 25


async def test_what_is_held_against_counts_is_locked_first(connection: Connection) -> None:
    took, outcomes = await statements(connection, Changes(insert=(an_approval(),)))
    assert outcomes == [None]
    assert took < 12


async def test_a_tenants_row_is_locked_once_the_devices_are_in(connection: Connection, postgres_url: str) -> None:
    """Everybody's devices are counted there: while one statement puts its own in, others are not kept waiting."""
    another = await connect(postgres_url, name="another")
    try:
        held = another.transaction()
        await held.start()
        await another.execute(
            "INSERT INTO credential SELECT 'other', device, kind, $1, verifier, NULL, 1, 1 FROM credential LIMIT 1", b"same"
        )
        waiting = asyncio.create_task(
            write(connection, [Changes(insert=(a_device(9), a_credential(9, lookup=b"same")))], "replica")
        )
        async with asyncio.timeout(20):
            while not await another.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - of the database
                await asyncio.sleep(0.01)
        await another.execute("SELECT FROM tenant FOR UPDATE NOWAIT")
        await held.rollback()
        assert await waiting == [None]
    finally:
        await another.close()
