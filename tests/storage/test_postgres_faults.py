"""What PostgreSQL and the way to it can do to a commit: undo it, end it, hang, go away, move."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT
from core.ports import Changes, Delete, Repository
from core.queries import DevicePage, LoginQuery, TenantQuery
from storage.postgres import faults
from storage.postgres.connections import Connection, Patience, connect, hosts, shown
from storage.postgres.repository import PostgresRepository, PostgresSettings, open_postgres
from tests.postgres_server import PostgresServer, postgres_server
from tests.storage.entities import a_channel, a_credential, a_device, a_lookup, a_profile, an_event
from tests.storage.freezing import freezing

DEADLINE = 60
SHORT = Patience(connect=1.0, command=1.0, statement=0.8, lock=0.6, idle=0.5)
# Numbers that a sequence gives are not given back when a transaction is undone.
FAILS_AT_FIRST = """
    CREATE SEQUENCE times;
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF nextval('times') <= {times} THEN {how}; END IF; RETURN NEW; END $$;
    CREATE TRIGGER fails BEFORE INSERT ON device FOR EACH ROW EXECUTE FUNCTION fail()"""


@pytest.fixture
async def repository(fresh_postgres_url: str) -> AsyncIterator[PostgresRepository]:
    async with open_postgres(fresh_postgres_url, PostgresSettings(devices=SHORT)) as opened:
        await opened.commit(Changes(insert=(a_profile(),)))
        yield opened


@pytest.fixture
async def aside(fresh_postgres_url: str) -> AsyncIterator[Connection]:
    """Somebody else's connection to the same database."""
    connection = await connect(fresh_postgres_url, name="aside")
    yield connection
    connection.terminate()


async def refusal(repository: Repository, changes: Changes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await repository.commit(changes)
    return caught.value


async def comes_back(repository: Repository, changes: Changes) -> None:
    """Commit as a device does that asks again as long as it is told to."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await repository.commit(changes)
            except Refusal as refused:
                if refused.reason is not Reason.UNAVAILABLE or refused.retry_after is None:
                    raise
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_what_the_database_undoes_for_others_is_done_again(
    repository: PostgresRepository, aside: Connection, code: str
) -> None:
    await aside.execute(FAILS_AT_FIRST.format(times=2, how=f"RAISE EXCEPTION 'undone' USING ERRCODE = '{code}'"))
    await repository.commit(Changes(insert=(a_device(1),)))
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(1),)


async def test_not_for_ever(repository: PostgresRepository, aside: Connection) -> None:
    await aside.execute(FAILS_AT_FIRST.format(times=1000, how="RAISE EXCEPTION 'undone' USING ERRCODE = '40001'"))
    refused = await refusal(repository, Changes(insert=(a_device(1),)))
    assert (refused.reason, refused.check) == (Reason.UNAVAILABLE, "registry.conflict")


async def test_a_deadlock_with_another_is_got_over(
    fresh_postgres_url: str, repository: PostgresRepository, aside: Connection
) -> None:
    await repository.commit(Changes(insert=(a_device(1), a_device(2))))
    transaction = aside.transaction()
    await transaction.start()
    await aside.execute("SELECT 1 FROM device WHERE id = 'device-0002' FOR UPDATE")
    async with open_postgres(fresh_postgres_url) as patient:
        both = Changes(replace=(a_device(1, version=2), a_device(2, version=2)))
        commit = asyncio.create_task(patient.commit(both))
        while not await aside.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            await asyncio.sleep(0.01)
            await aside.execute("SELECT pg_stat_clear_snapshot()")
        with contextlib.suppress(asyncpg.DeadlockDetectedError):  # of the two one is undone
            await aside.execute("SELECT 1 FROM device WHERE id = 'device-0001' FOR UPDATE")
        await transaction.rollback()
        await asyncio.wait_for(commit, DEADLINE)
        assert [device.version for device in await patient.read(DevicePage(DEFAULT_TENANT))] == [2, 2]


async def test_a_session_that_is_ended_refuses_one_request_and_comes_back(
    repository: PostgresRepository, aside: Connection
) -> None:
    ends = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5)"
    await aside.execute(FAILS_AT_FIRST.format(times=1, how=ends))
    refused = await refusal(repository, Changes(insert=(a_device(1),)))
    assert (refused.reason, refused.check) == (Reason.UNAVAILABLE, "storage.failed")
    await comes_back(repository, Changes(insert=(a_device(2),)))
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(2),)


async def test_every_session_that_is_ended_is_begun_again(repository: PostgresRepository, aside: Connection) -> None:
    for number in range(1, 4):
        await aside.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        await comes_back(repository, Changes(insert=(a_device(number),)))
        async with asyncio.timeout(DEADLINE):
            while True:
                with contextlib.suppress(Refusal):
                    await repository.read(LoginQuery((a_lookup(1),)))
                    await repository.read(TenantQuery(DEFAULT_TENANT))
                    break
                await asyncio.sleep(0.02)


async def test_a_value_without_a_place_fails_its_own_request_alone(repository: PostgresRepository) -> None:
    group = [
        Changes(insert=(a_device(1), a_credential(1))),
        Changes(insert=(a_device(2, name="\ud800"),)),
        Changes(insert=(a_device(3, created_at=2**70),)),
        Changes(insert=(a_device(4, name="".join(map(chr, range(256, 20_000)))),)),  # no index takes that
        Changes(insert=(a_device(5, profile="nowhere"),)),
        Changes(insert=(a_device(6, name="\x00\x01"), a_credential(6))),
    ]
    found = await asyncio.gather(*map(repository.commit, group), return_exceptions=True)
    said = [each.check if isinstance(each, Refusal) else each.guard if isinstance(each, Conflict) else each for each in found]
    assert said == [None, "storage.value", "storage.value", "storage.value", Guard.REFERENCE, None]
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(1), a_device(6, name="\x00\x01"))


async def test_a_lock_that_another_holds_is_not_waited_for_long(repository: PostgresRepository, aside: Connection) -> None:
    async with aside.transaction():
        await aside.execute("SELECT 1 FROM tenant FOR UPDATE")
        refused = await refusal(repository, Changes(insert=(a_device(1),)))
        assert (refused.check, type(refused.__cause__)) == ("storage.failed", asyncpg.LockNotAvailableError)
    await repository.commit(Changes(insert=(a_device(1),)))


@pytest.fixture
def primary(postgres: PostgresServer) -> Iterator[PostgresServer]:
    yield postgres
    take_writes(postgres, "RESET default_transaction_read_only")


def take_writes(server: PostgresServer, how: str) -> None:
    server.sql("postgres", f"ALTER SYSTEM {how}")
    server.sql("postgres", "SELECT pg_reload_conf()")


async def test_a_database_that_takes_no_writes_any_more_is_left(
    primary: PostgresServer, repository: PostgresRepository
) -> None:
    take_writes(primary, "SET default_transaction_read_only = on")
    async with asyncio.timeout(DEADLINE):
        refused = None
        while refused is None:
            with contextlib.suppress(Conflict):
                refused = await refusal(repository, Changes(insert=(a_device(1, profile="nowhere"),)))
    with pytest.raises(Refusal, match="cannot be used now"):
        await repository.check()
    take_writes(primary, "RESET default_transaction_read_only")
    await comes_back(repository, Changes(insert=(a_device(2),)))


async def test_a_way_that_is_cut_off_refuses_soon_and_at_once_and_comes_back(
    postgres: PostgresServer, fresh_postgres_url: str
) -> None:
    async with freezing(postgres.port) as way:
        url = fresh_postgres_url.replace(f":{postgres.port}/", f":{way.port}/")
        async with open_postgres(url, PostgresSettings(devices=SHORT, operators=SHORT)) as repository:
            await repository.commit(Changes(insert=(a_profile(),)))
            way.freeze()
            asked = (
                repository.commit(Changes(insert=(a_device(1),))),
                repository.read(LoginQuery((a_lookup(1),))),
                repository.read(TenantQuery(DEFAULT_TENANT)),
                repository.check(),
                repository.prune_events(1),
            )
            found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), DEADLINE)
            assert [each.check for each in found if isinstance(each, Refusal)] == ["storage.failed"] * 5
            for _ in range(100):
                assert (await refusal(repository, Changes(insert=(a_device(1),)))).retry_after is not None
            way.thaw()
            await comes_back(repository, Changes(insert=(a_device(2),)))
            way.freeze()  # with a transaction of several steps under way
            refused = await asyncio.wait_for(refusal(repository, Changes(insert=(a_channel(1),))), DEADLINE)
            assert refused.check == "storage.failed"
            way.thaw()
            await comes_back(repository, Changes(insert=(a_channel(2),)))


async def test_whoever_is_cut_off_while_holding_locks_is_let_go(
    postgres: PostgresServer, fresh_postgres_url: str, repository: PostgresRepository
) -> None:
    async with freezing(postgres.port) as way:
        url = fresh_postgres_url.replace(f":{postgres.port}/", f":{way.port}/")
        cut_off = await connect(url, name="cut off", patience=SHORT)
        await cut_off.transaction().start()
        await cut_off.execute("SELECT 1 FROM tenant FOR UPDATE")
        way.freeze()
        await comes_back(repository, Changes(insert=(a_device(1),)))
        cut_off.terminate()


async def test_another_server_takes_over() -> None:
    with postgres_server(durable=True) as first:
        database = first.make_database()
        with postgres_server() as second:
            await asyncio.to_thread(_follow, second, first)
            url = f"postgresql://postgres@127.0.0.1:{first.port},127.0.0.1:{second.port}/{database}"
            async with open_postgres(url) as repository:
                await repository.commit(Changes(insert=(a_profile(),)))
                for number in range(1, 21):
                    await repository.commit(
                        Changes(insert=(a_device(number), a_credential(number)), events=(an_event(number),))
                    )
                await asyncio.to_thread(first.stop, signal.SIGQUIT)
                assert (await refusal(repository, Changes(insert=(a_device(21),)))).check == "storage.failed"
                await asyncio.to_thread(second.run, "pg_ctl", "promote", "-w", "-D", second.data)
                await comes_back(repository, Changes(insert=(a_device(22),)))
                found = await repository.read(DevicePage(DEFAULT_TENANT))
                assert {device.id for device in found} >= {f"device-{number:04}" for number in range(1, 21)} | {"device-0022"}


def _follow(standby: PostgresServer, primary: PostgresServer) -> None:
    """Make a server the standby of another: a copy of it that goes on reading what is written there."""
    standby.stop()
    standby.data.rename(standby.folder / "before")
    source = primary.url("postgres")
    standby.run("pg_basebackup", "--no-sync", "-c", "fast", "-R", "-D", standby.data, "-d", source)
    standby.start()
    primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.sql("postgres", "SELECT pg_reload_conf()")


def test_a_url_of_several_hosts_is_one_of_each() -> None:
    assert hosts("postgresql://user:word@one:1,two/base?sslmode=require") == [
        "postgresql://user:word@one:1/base?sslmode=require",
        "postgresql://user:word@two/base?sslmode=require",
    ]
    assert hosts("postgresql:///base") == ["postgresql:///base"]
    assert shown("postgresql://user:word@one:1,two/base?password=word") == "one:1,two/base"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:ge#heim@127.0.0.1:1/base",
        "postgresql://user:ge/heim@127.0.0.1:1/base",
        "postgresql://user:geheim@127.0.0.1:99999/base",
        "postgresql://user:geheim@[::1/base",
        "postgresql://user:geheim@127.0.0.1:1/base?sslmode=nonsense",
        "postgresql://user:geheim@127.0.0.1:1/base?target_session_attrs=any",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Refusal, match="cannot be opened") as caught:
        async with open_postgres(url):
            pass
    assert "heim" not in str(caught.value)


def test_what_is_not_of_the_database_is_raised_as_it_is() -> None:
    error = ZeroDivisionError()
    assert faults.outcome(error) is error
    assert not faults.breaks_all(error)
    assert not faults.ends_connection(error)
    for known in (Conflict(Guard.VERSION), Refusal(Reason.UNAVAILABLE, "", check="")):
        assert faults.outcome(known) is known


async def test_a_deletion_goes_with_what_hangs_on_it(repository: PostgresRepository, aside: Connection) -> None:
    await repository.commit(Changes(insert=(a_device(1), a_credential(1))))
    await repository.commit(Changes(delete=(Delete(a_device(1)),)))
    assert await aside.fetchval("SELECT count(*) FROM credential") == 0
