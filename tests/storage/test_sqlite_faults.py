"""What the SQLite store makes of trouble: unforeseen errors, unfit values, a locked or a full file, long queues."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT, EntryKind
from core.ports import Changes, Delete, Entity, Repository
from core.queries import ClaimQuery, DeviceNamesQuery, DevicePage, EventPage, LoginQuery, Query, TenantQuery
from storage import faults, migration, open_repository, tables
from storage.grouping import Group
from storage.sqlite import SqliteRepository, SqliteSettings, open_sqlite
from storage.writing import transact
from tests.storage.entities import (
    a_channel,
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_signed,
    a_tenant,
    a_token,
    a_user,
    an_approval,
    an_entry,
    an_event,
)

Outcome = Guard | str | None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
async def repository(path: Path) -> AsyncIterator[SqliteRepository]:
    async with open_sqlite(path, SqliteSettings(busy_seconds=0.05)) as opened:
        await opened.commit(Changes(insert=(a_profile(),)))
        yield opened


def a_provision(number: int, **device: Any) -> Changes:
    return Changes(insert=(a_device(number, **device), a_credential(number)), events=(an_event(number),))


async def outcomes(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Outcome]:
    """Make the calls at once and return what each got: a guard, the check of a refusal, or None."""
    found: list[Outcome] = []
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, Conflict):
            found.append(outcome.guard)
        elif isinstance(outcome, Refusal):
            found.append(outcome.check)
        else:
            assert not isinstance(outcome, BaseException), outcome
            found.append(None)
    return found


async def require(repository: Repository, *numbers: int) -> None:
    """Require these devices and no others, with their credentials and events, and all of them counted."""
    devices = await repository.read(DevicePage(DEFAULT_TENANT, limit=1_000))
    assert [device.created_at for device in devices] == list(numbers)
    events = await repository.read(EventPage(DEFAULT_TENANT, limit=1_000))
    assert [event.at for event in events] == list(numbers)
    logins = await repository.read(LoginQuery(tuple(a_lookup(number) for number in numbers)))
    assert [login and login.device.created_at for login in logins] == list(numbers)
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert tenant.devices == len(numbers)


def plant(path: Path, statement: str) -> None:
    """Put something into the file as any other program could."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)


async def test_a_row_that_the_database_refuses_fails_its_own_caller(path: Path, repository: SqliteRepository) -> None:
    plant(
        path,
        """CREATE TRIGGER planted BEFORE INSERT ON device WHEN NEW.name = 'sensor-0003'
        BEGIN SELECT RAISE(ABORT, 'planted'); END""",
    )
    found = await outcomes([repository.commit(a_provision(number)) for number in range(1, 6)])
    assert found == [None, None, "storage.value", None, None]
    await require(repository, 1, 2, 4, 5)


async def test_what_only_the_commit_finds_fails_its_own_caller(path: Path, repository: SqliteRepository) -> None:
    plant(
        path,
        """CREATE TRIGGER planted AFTER INSERT ON credential WHEN NEW.id = 'credential-0003'
        BEGIN UPDATE credential SET device = 'nowhere' WHERE id = NEW.id; END""",
    )
    found = await outcomes([repository.commit(a_provision(number)) for number in range(1, 6)])
    assert found == [None, None, Guard.REFERENCE, None, None]
    await require(repository, 1, 2, 4, 5)


async def test_a_constraint_that_fails_behind_the_guards_is_told_by_its_guard(path: Path, repository: SqliteRepository) -> None:
    plant(
        path,
        """CREATE TRIGGER planted AFTER INSERT ON device WHEN NEW.id = 'device-0002'
        BEGIN UPDATE device SET name = 'sensor-0001' WHERE id = NEW.id; END""",
    )
    found = await outcomes([repository.commit(a_provision(number)) for number in range(1, 4)])
    assert found == [None, Guard.DEVICE_NAME, None]
    await require(repository, 1, 3)


async def test_a_constraint_that_is_not_ours_is_no_conflict(path: Path, repository: SqliteRepository) -> None:
    plant(path, "CREATE UNIQUE INDEX planted ON device (created_at)")
    found = await outcomes([repository.commit(c) for c in (a_provision(1), a_provision(2, created_at=1), a_provision(3))])
    assert found == [None, "storage.value", None]
    await require(repository, 1, 3)


async def test_a_database_that_breaks_while_a_bad_row_is_sought_fails_them_all(
    path: Path, repository: SqliteRepository
) -> None:
    plant(
        path,
        """CREATE TRIGGER planted BEFORE INSERT ON device WHEN NEW.name = 'sensor-0003'
        BEGIN SELECT RAISE(ABORT, 'planted'); END""",
    )
    plant(path, "CREATE TRIGGER planted_too AFTER INSERT ON event BEGIN DELETE FROM nowhere; END")
    found = await outcomes([repository.commit(a_provision(number)) for number in range(1, 4)])
    assert found == ["storage.failed"] * 3
    plant(path, "DROP TRIGGER planted_too")
    assert await outcomes([repository.commit(a_provision(number)) for number in range(1, 4)]) == [None, None, "storage.value"]
    await require(repository, 1, 2)


def test_a_transaction_that_was_left_open_is_undone_first() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE kept (x)")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO kept VALUES (1)")
        transact(connection, lambda: connection.execute("INSERT INTO kept VALUES (2)"))
        assert connection.execute("SELECT x FROM kept").fetchall() == [(2,)]
        assert not connection.in_transaction


async def test_an_id_that_is_taken_fails_its_own_caller(repository: SqliteRepository) -> None:
    await repository.commit(a_provision(1))
    taken = (
        Changes(events=(an_event(1),)),
        Changes(insert=(a_device(1, name="another"),)),
        Changes(insert=(a_credential(1, lookup=a_lookup(50)),)),
    )
    neighbours = (a_provision(2), *taken, a_provision(3), a_provision(3, name="another"), a_provision(4))
    found = await outcomes([repository.commit(changes) for changes in neighbours])
    assert found == [None, Guard.VERSION, Guard.VERSION, Guard.VERSION, None, Guard.CREDENTIAL_LOOKUP, None]
    await require(repository, 1, 2, 3, 4)


A_FIELD = an_entry(3, kind=EntryKind.DEVICE_FIELD, name="field")
BEHIND_THE_GUARDS = {
    "device name": (a_device(4, name="sensor-0001"), Guard.DEVICE_NAME),
    "device id": (a_device(1, name="another"), Guard.VERSION),
    "credential lookup": (a_credential(2, lookup=a_lookup(1)), Guard.CREDENTIAL_LOOKUP),
    "profile id": (a_profile(1, name="another", provision_key="another"), Guard.VERSION),
    "token id": (a_token(1, name="another", lookup=a_lookup(9)), Guard.VERSION),
    "profile name": (a_profile(2, name="profile 1"), Guard.PROFILE_NAME),
    "provision key": (a_profile(2, provision_key="key-1"), Guard.PROVISION_KEY),
    "token name": (a_token(2, name="operator 1"), Guard.TOKEN_NAME),
    "token lookup": (a_token(2, lookup=a_token().lookup), Guard.CREDENTIAL_LOOKUP),
    "reference": (a_device(4, profile="nowhere"), Guard.REFERENCE),
    "tenant id": (a_tenant(1, id=DEFAULT_TENANT), Guard.TENANT_ID),
    "channel id": (a_channel(), Guard.VERSION),
    "channel of no tenant": (a_channel(2, tenant="nowhere"), Guard.REFERENCE),
    "serial": (a_signed(4, serial="serial-0003"), Guard.DEVICE_SERIAL),
    "second claim of a device": (a_claim(lookup=a_lookup(9)), Guard.CLAIM_DEVICE),
    "lookup of a claim": (a_claim(2, lookup=a_claim().lookup), Guard.CLAIM_LOOKUP),
    "claim of no device": (a_claim(9), Guard.REFERENCE),
    "entry id": (an_entry(), Guard.VERSION),
    "login": (a_user(2, login=a_user().login), Guard.ENTRY_LOGIN),
    "name of a field": (an_entry(2, kind=EntryKind.DEVICE_FIELD, name="field"), Guard.ENTRY_NAME),
    "secret of a user": (a_user(2, lookup=a_user().lookup), Guard.CREDENTIAL_LOOKUP),
    "entry of no tenant": (an_entry(2, tenant="nowhere"), Guard.REFERENCE),
    "name of one who waits": (an_approval(2, name="sensor-0001"), Guard.APPROVAL_NAME),
    "approval id": (an_approval(1, name="another"), Guard.VERSION),
    "approval of no profile": (an_approval(2, profile="nowhere"), Guard.REFERENCE),
    "second configuration of a device": (a_config(external_id="another"), Guard.CONFIG_DEVICE),
    "external id": (a_config(2, external_id="external-0001"), Guard.EXTERNAL_ID),
    "name of a configuration": (a_config(2, name="Config 1", unique_name=True), Guard.CONFIG_NAME),
    "configuration of no device": (a_config(4), Guard.REFERENCE),
    "configuration with no such channel": (a_config(2, 1, 2), Guard.REFERENCE),
}


@pytest.mark.parametrize(("entity", "guard"), BEHIND_THE_GUARDS.values(), ids=BEHIND_THE_GUARDS.keys())
def test_the_file_itself_keeps_what_the_guards_promise(entity: Entity, guard: Guard) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migration.migrate(connection, migration.steps())
        connection.execute("PRAGMA foreign_keys = ON")
        migration.found(connection)
        devices = (a_device(), a_device(2), a_signed(3), a_credential())
        beside = (a_channel(), a_config(1, 1, unique_name=True), a_token(), a_claim(), a_user(), A_FIELD, an_approval())
        transact(connection, lambda: tables.insert(connection, [Changes(insert=(a_profile(), *devices, *beside))]))
        with pytest.raises(sqlite3.IntegrityError) as caught:
            transact(connection, lambda: tables.insert(connection, [Changes(insert=(entity,))]))
        outcome = faults.outcome(caught.value)
    assert isinstance(outcome, Conflict)
    assert outcome.guard is guard


UNFIT = {
    "half a surrogate pair": {"name": "half \ud800"},
    "a number beyond 64 bits": {"updated_at": 2**64},
    "metadata that is no JSON": {"metadata": {"x": object()}},
    "another type": {"updated_at": 1.5},
    "no type of a database": {"name": ("a", "b")},
}


@pytest.mark.parametrize("device", UNFIT.values(), ids=UNFIT.keys())
async def test_a_value_that_no_database_takes_fails_its_own_caller(
    repository: SqliteRepository, device: dict[str, Any]
) -> None:
    found = await outcomes([repository.commit(c) for c in (a_provision(1), a_provision(2, **device), a_provision(3))])
    assert found == [None, "storage.value", None]
    await require(repository, 1, 3)


async def test_a_question_that_no_database_takes_fails_its_own_caller(repository: SqliteRepository) -> None:
    await repository.commit(a_provision(1))
    queries: list[Query[Any]] = [
        ClaimQuery("key-1", "sensor-0001"),
        ClaimQuery("\udfff", "sensor-0001"),
        ClaimQuery("key-1", "\udfff"),
        LoginQuery((a_lookup(1),)),
        DevicePage(DEFAULT_TENANT, name="\udfff"),
        DeviceNamesQuery(DEFAULT_TENANT, ("\udfff", "sensor-0001")),
        DevicePage(DEFAULT_TENANT),
    ]
    found = await outcomes([repository.read(query) for query in queries])
    assert found == [None, "storage.value", "storage.value", None, "storage.value", "storage.value", None]
    with pytest.raises(Refusal) as caught:
        await repository.read(queries[1])
    assert caught.value.reason is Reason.MALFORMED
    assert isinstance(caught.value.__cause__, UnicodeError)


async def test_a_locked_file_refuses_and_serves_again(path: Path, repository: SqliteRepository) -> None:
    await repository.commit(a_provision(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        calls = [repository.commit(a_provision(2)), repository.commit(a_provision(3)), repository.check()]
        assert await outcomes(calls) == ["storage.failed"] * 3
        assert await outcomes([repository.prune_events(0)]) == ["storage.failed"]
        await require(repository, 1)
        with pytest.raises(Refusal) as caught:
            await repository.commit(a_provision(2))
        assert caught.value.reason is Reason.UNAVAILABLE
        assert caught.value.retry_after is not None
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert "locked" not in caught.value.detail
    await repository.commit(a_provision(2))
    await repository.check()
    await require(repository, 1, 2)


async def test_a_full_file_refuses_and_takes_again_what_fits(path: Path) -> None:
    async with open_sqlite(path, SqliteSettings(max_pages=84)) as repository:
        await repository.commit(Changes(insert=(a_profile(),)))
        big = {"metadata": {"text": "x" * 20_000}}
        number = 0
        while (await outcomes([repository.commit(a_provision(number + 1, **big))])) == [None]:
            number += 1
        assert number > 0
        calls = [repository.commit(a_provision(50, **big)), repository.commit(a_provision(51, **big))]
        assert await outcomes(calls) == ["storage.failed"] * 2
        await require(repository, *range(1, number + 1))
        await repository.commit(Changes(delete=(Delete(a_device(1)),)))
        await repository.commit(Changes(insert=(a_device(number + 1, **big), a_credential(number + 1))))


async def test_a_table_that_is_gone_refuses_reads(path: Path, repository: SqliteRepository) -> None:
    await repository.commit(a_provision(1))
    plant(path, "ALTER TABLE device RENAME TO elsewhere")
    queries: list[Query[Any]] = [ClaimQuery("key-1", "sensor-0001"), ClaimQuery("", ""), DevicePage(DEFAULT_TENANT)]
    found = await outcomes([repository.read(query) for query in queries])
    assert found == ["storage.failed", "storage.failed", "storage.failed"]
    plant(path, "ALTER TABLE elsewhere RENAME TO device")
    await require(repository, 1)


async def test_a_query_of_no_known_kind_is_an_error(repository: SqliteRepository) -> None:
    with pytest.raises(KeyError):
        await repository.read(Query[None]())


async def test_beyond_the_queue_callers_are_refused_with_a_hint(path: Path) -> None:
    async with open_sqlite(path, SqliteSettings(queue=10, group=4)) as repository:
        await repository.commit(Changes(insert=(a_profile(),)))
        assert await outcomes([repository.commit(a_provision(n)) for n in range(30)]) == [None] * 10 + ["storage.queue"] * 20
        queries = [repository.read(ClaimQuery("key-1", "")) for _ in range(30)]
        assert await outcomes(queries) == [None] * 10 + ["storage.queue"] * 20
        pages = [repository.read(DevicePage(DEFAULT_TENANT)) for _ in range(12)]
        assert await outcomes(pages) == [None] * 10 + ["storage.queue"] * 2
        await require(repository, *range(10))
        refused = await asyncio.gather(*(repository.check() for _ in range(40)), return_exceptions=True)
        hints = [refusal.retry_after for refusal in refused if isinstance(refusal, Refusal)]
        assert len(hints) == 30
        assert all(hint is not None and 1 <= hint <= 3 for hint in hints)
        assert len(set(hints)) > 1


async def test_the_queue_is_a_setting(path: Path) -> None:
    async with open_repository(f"sqlite:{path}", queue=1) as repository:
        assert await outcomes([repository.commit(Changes()), repository.commit(Changes())]) == [None, "storage.queue"]


async def test_a_group_whose_service_fails_tells_everyone_and_goes_on() -> None:
    async def serve(group: list[int]) -> list[int]:
        if 2 in group:
            raise ZeroDivisionError
        return [number * 10 for number in group]

    group = Group(serve, size=3, queue=100)
    answers = await asyncio.gather(*map(group.ask, range(8)), return_exceptions=True)
    assert [type(answer) for answer in answers[:3]] == [ZeroDivisionError] * 3
    assert answers[3:] == [30, 40, 50, 60, 70]
    assert await group.ask(5) == 50
    await group.close()
