"""How PostgreSQL carries out the store's statements: by an index each, on tables of any size, whatever it knows of them."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from core.model import DEFAULT_TENANT, ChannelId, DeviceId, ProfileId
from core.queries import (
    ApprovalQuery,
    BootstrapQuery,
    ChannelPage,
    ClaimQuery,
    ConfigQuery,
    DeviceQuery,
    EntrySecretQuery,
    LabelledPage,
    LoginQuery,
    ProfileQuery,
    Query,
    SignedDevicesQuery,
    TenantQuery,
    TombstonePage,
    UnknownPage,
)
from storage import (
    answers,
    approvals,
    configurations,
    counted,
    directory,
    enrolment,
    firmware,
    migration,
    pages,
    reading,
    searching,
    stored,
    tombstones,
    trust,
)
from storage.bounds import page_size
from storage.postgres.connections import Connection, connect
from storage.postgres.foreseen import FORESEEN, answer
from storage.postgres.reading import answer_each, answer_together, carry_out, run, snapshot
from storage.postgres.repository import BY_KEY, OF_OPERATORS
from storage.postgres.spelling import spell, spell_group
from storage.statements import BY_INDEX, Grouped, Statement
from storage.steps import Steps
from tests.postgres_server import PostgresServer
from tests.storage.asked_pages import (
    ORDERED,
    approval_pages,
    config_pages,
    device_pages,
    entry_pages,
    event_pages,
    narrowest,
    profile_searches,
    searches,
)
from tests.storage.entities import a_lookup

FEW = 60
ROWS = 10_000
# Two tenants that came one after the other: the rows of the second are all behind those of the first.
FILL = """
SET session_replication_role = replica;
INSERT INTO tenant SELECT name, '', NULL, 0, 1, 1, 1 FROM unnest(ARRAY['default', 'first']) AS name ON CONFLICT DO NOTHING;
CREATE TEMPORARY TABLE n AS SELECT i, CASE WHEN i < :rows * 3 / 4 THEN 'first' ELSE 'default' END AS tenant,
    'x' || lpad(i::text, 8, '0') AS id, decode(md5(i::text), 'hex') AS lookup FROM generate_series(1, :rows) AS i;
INSERT INTO profile (id, tenant, name, strategy, reprovision, provision_key, provision_secret, options, created_at, updated_at,
    version, anchor, anchor_name)
    SELECT id, tenant, id, 'create_new', 'deny', id, 's', '[]', 1, 1, 1, id, id FROM n WHERE i % 100 = 0;
INSERT INTO device SELECT id, tenant, 'p' || i % 10, id, (ARRAY['defined', 'connected'])[i % 2 + 1], 1, NULL, 1, i, 1, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, 's' || i, 1, 'o' || i % 20, 'r' || i % 5 FROM n;
INSERT INTO credential SELECT id, id, 'access_token', lookup, 'v', NULL, 1, 1, NULL, NULL FROM n;
INSERT INTO event (id, tenant, at, kind, correlation, protocol, dialect, source, actor, profile, device, device_name, "check",
    detail) SELECT id, tenant, 1, (ARRAY['bootstrap.refused', 'provision.succeeded'])[i % 2 + 1], id, '', '', '', '',
    'p' || i % 10, id, id, '', '' FROM n;
INSERT INTO channel SELECT id, tenant, id, NULL, 1, 1, 1, NULL FROM n;
INSERT INTO config SELECT id, tenant, id, 'k', id, 0, set_byte('c', 0, i % 20), i % 2, 1, 1, 1, NULL, NULL FROM n;
INSERT INTO config_document SELECT id, NULL, NULL FROM n;
INSERT INTO config_channel SELECT id, 0, id FROM n;
INSERT INTO pending_claim SELECT id, tenant, lookup, 1, 1, 1, 1 FROM n;
INSERT INTO entry SELECT id, tenant, 'end_user', id, 'o' || i % 20, '', id, NULL, 'v', lookup, NULL, 1, 1, 1 FROM n;
INSERT INTO oscore_state SELECT id, 1, NULL, 1 FROM n;
INSERT INTO issued SELECT id, tenant, id, id, lookup, i, NULL, 1, 1 FROM n;
INSERT INTO approval SELECT id, tenant, 'p' || i % 10, id, NULL, 'waiting', 's', 's' || i % 20, '', '', 1, 1, 1, 1 FROM n;
INSERT INTO tombstone SELECT id, tenant, 'p' || i % 10, id, id, id, 'deleted', NULL, 1, 1 FROM n;
INSERT INTO token SELECT id, tenant, id, 'admin', lookup, 1, 1 FROM n;
"""
UNWATCHED = """DO $$ DECLARE name text; BEGIN FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = off)', name); END LOOP; END $$"""


@pytest.fixture(scope="module")
def databases(postgres: PostgresServer, empty_registry: str) -> dict[str, str]:
    """The URLs of databases that hold nothing, little and much, and of which nothing is known, or all ("analysed")."""
    names = {"empty": postgres.make_database(empty_registry)}
    postgres.sql(names["empty"], UNWATCHED)
    for state, rows in (("few", FEW), ("large", ROWS)):
        names[state] = postgres.make_database(names["empty"])
        postgres.sql(names[state], FILL.replace(":rows", str(rows)))
    for state in ("few", "large"):
        names[f"{state} analysed"] = postgres.make_database(names[state])
        postgres.sql(names[f"{state} analysed"], "ANALYZE")
    return {state: postgres.url(name) for state, name in names.items()}


STATES = pytest.mark.parametrize("state", ["empty", "few", "few analysed", "large", "large analysed"])
LARGE = pytest.mark.parametrize("state", ["large", "large analysed"])


@asynccontextmanager
async def connected(url: str, settings: dict[str, str]) -> AsyncIterator[Connection]:
    connection = await connect(url, name="plans", settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def explain(connection: Connection, text: str, parameters: Sequence[Any] | None = None) -> list[str]:
    """Return the plan of a statement; without parameters, the one that is made for all."""
    marks = max((int(number) for number in re.findall(r"\$(\d+)", text)), default=0)
    values = ", ".join(["NULL"] * marks if parameters is None else map(literal, parameters))
    await connection.execute(f"PREPARE looked_at AS {text}")
    rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE looked_at{f'({values})' if marks else ''}")
    await connection.execute("DEALLOCATE looked_at")
    return [row[0] for row in rows]


def literal(value: Any) -> str:
    return f"'\\x{value.hex()}'" if isinstance(value, bytes) else f"'{value}'"


async def explain_page(connection: Connection, statement: Statement) -> list[str]:
    own = statement.postgres or statement
    return await explain(connection, spell(own.text), own.parameters)


def sorts(lines: list[str]) -> bool:
    return any(re.search(r"\b(Sort|HashAggregate)\b(?! Key)", line) for line in lines)


def indexes(lines: list[str]) -> list[str]:
    return [found for line in lines for found in re.findall(r"Scan (?:Backward )?using (\w+)", line)]


def by_key() -> Iterator[tuple[str, str]]:
    """Yield what is asked by key: grouped statements, what guards ask, and what is asked at once."""
    for module in (answers, approvals, configurations, directory, enrolment, stored, tombstones, trust):
        for name, value in vars(module).items():
            if isinstance(value, Grouped):
                yield f"{module.__name__}.{name}", spell_group(value)
    tables = {kind.__name__: text for kind, (text, _) in stored.ENTITY.items()} | stored.HOLDER
    dependants = {f"{kind.__name__}-{of}": text for kind, some in stored.DEPENDANTS.items() for of, text in some}
    single = {name: getattr(answers, name) for name in ("TENANT", "PROFILE_BY_ID", "PROFILE_BY_NAME", "TOKEN")}
    others = {"ALLOWANCE": stored.ALLOWANCE, "EVENT": stored.EVENT, "LOGIN": directory.ENTRY_BY_LOGIN}
    for name, text in (tables | dependants | single | others).items():
        yield name, spell(text)
    for name in ("NAMED", "OF_SOURCE", "OF_TENANT"):
        yield name, spell(getattr(approvals, name))
    for name in ("BY_ID", "BY_NAME"):
        yield name, spell(getattr(tombstones, name))
    for kind, foreseen in FORESEEN.items():
        yield kind.__name__, foreseen.text


LEFT_TO_FILTER = r"\(tenant \|\| ''|unique_serial IS NOT NULL|login <> ''|name <> ''|unique_name = "
"""What need not be in an index: a tenant beside an id, and what indexes of some rows are about."""


@STATES
async def test_what_is_asked_by_key_is_found_by_an_index(databases: dict[str, str], state: str) -> None:
    looked_at = dict(by_key())
    assert len(looked_at) > 60
    at_once = {kind.__name__ for kind in FORESEEN}  # where what is asked is sorted, to be asked once
    rarely = {f"{kind.__name__}-{of}" for kind, some in stored.DEPENDANTS.items() for of, _ in some}
    async with connected(databases[state], BY_KEY) as connection:
        for name, text in looked_at.items():
            steps = await explain(connection, text)
            assert not [step for step in steps if "Seq Scan" in step], (name, steps)
            assert name in at_once or not sorts(steps), (name, steps)
            assert indexes(steps), (name, steps)
            if name not in rarely:
                left = [step for step in steps if "Filter: " in step and not re.search(LEFT_TO_FILTER, step)]
                assert not left, (name, steps)


def walks() -> Iterator[Statement]:
    """Yield the statements of pages that an index has the order of."""
    yield from map(pages.devices_in_order, device_pages())
    yield from map(pages.events_in_order, event_pages())
    yield from map(approvals.in_order, approval_pages())
    for config_page in config_pages():
        configs = counted.filtered_configs(config_page)
        if not configs.keyed:
            yield counted.page(configs, config_page)
    for name in (None, "n"):
        channel_page = ChannelPage(DEFAULT_TENANT, name, ChannelId("c"), 1)
        yield counted.page(counted.filtered_channels(channel_page), channel_page)
        yield counted.labelled_devices(LabelledPage(DEFAULT_TENANT, name, 1))
    for query in searches():
        index = narrowest(query).split()[0]
        if query.order in (ORDERED if index == "device_state" else set()) and query.states is None:
            yield searching.sorted_devices(query, pages.NARROW + 1)
    for entry_page in entry_pages():
        entries = directory.filtered_entries(entry_page)
        if not entries.keyed:
            yield directory.entries_in_order(entries, entry_page)
    yield Statement(tombstones.PAGE, (DEFAULT_TENANT, "", 100))
    yield Statement(pages.PROFILES, (DEFAULT_TENANT, "", 100))
    yield Statement(pages.TOKENS, (DEFAULT_TENANT, "", 100))
    yield Statement(pages.TENANTS, ("", 100))
    yield Statement(trust.ISSUED, ("", 1, 100))
    yield Statement(trust.REVOKED, ("", 1, 100))


def distinct(statements: Iterator[Statement]) -> list[Statement]:
    return list({statement.text: statement for statement in statements}.values())


@LARGE
async def test_pages_walk_an_index_that_has_their_order_and_their_tenant(databases: dict[str, str], state: str) -> None:
    looked_at = distinct(walks())
    assert len(looked_at) > 100
    async with connected(databases[state], OF_OPERATORS) as connection:
        for statement in looked_at:
            steps = await explain_page(connection, statement)
            assert not [step for step in steps if "Seq Scan" in step], (statement, steps)
            assert not sorts(steps), (statement, steps)
            if BY_INDEX in statement.text:
                assert not {"device_pkey", "channel_pkey", "config_pkey", "entry_pkey"} & set(indexes(steps)), steps
            if f"{BY_INDEX} > ?" in statement.text:
                assert re.search(r"id(\)::text)? > ", str(steps)), steps


def sought() -> Iterator[tuple[str, Statement]]:
    """Yield the statements of pages that are found by a narrow filter, with the index of that."""
    for query in searches():
        index = narrowest(query).split()[0]
        if index in ("device_name", "device_serial", "device_owner"):
            yield index, searching.sorted_devices(query, 5)
            yield index, searching.devices_total(query)
    for config_page in config_pages():
        configs = counted.filtered_configs(config_page)
        if configs.keyed:
            index = "config_external_id" if config_page.external_id is not None else "config_pkey"
            if config_page.id is None or config_page.external_id is None:
                yield index, counted.page(configs, config_page)
    for device_page in device_pages():
        if device_page.name:
            yield "device_name", pages.prefix_size(device_page)
            yield "device_name", pages.named_devices(device_page)


@LARGE
async def test_what_is_sought_goes_by_the_index_of_the_narrowest_filter(databases: dict[str, str], state: str) -> None:
    async with connected(databases[state], OF_OPERATORS) as connection:
        for index, statement in {statement.text: (index, statement) for index, statement in sought()}.values():
            steps = await explain_page(connection, statement)
            if not (index == "config_pkey" and "config_external_id" in str(steps)):
                assert index in indexes(steps), (index, statement, steps)
            assert not [step for step in steps if "Seq Scan" in step], steps


@LARGE
async def test_what_is_counted_and_sorted_is_met_by_an_index(databases: dict[str, str], state: str) -> None:
    profiles = [(searching.filtered_profiles(query), query) for query in profile_searches()]
    looked_at = [searching.profiles_in_order(filtered, query) for filtered, query in profiles]
    looked_at += [statement for query in searches() for statement in (searching.devices_total(query),)]
    looked_at += [Statement(text, (DEFAULT_TENANT,)) for text in (firmware.ALL, firmware.THAT_SAID)]
    looked_at += [
        Statement(firmware.DISCARDED, (DEFAULT_TENANT, "discarded")),
        counted.unknown_names(UnknownPage(DEFAULT_TENANT)),
    ]
    async with connected(databases[state], OF_OPERATORS) as connection:
        for statement in distinct(iter(looked_at)):
            steps = await explain_page(connection, statement)
            assert not [step for step in steps if "Seq Scan" in step], (statement, steps)
            assert indexes(steps), (statement, steps)


async def test_each_kind_that_devices_ask_is_one_statement_and_no_transaction(databases: dict[str, str]) -> None:
    asked: list[Query[Any]] = [
        ClaimQuery("x00000100", "x00000001", a_lookup(1)),
        ClaimQuery("none", "x00000001", None),
        LoginQuery((a_lookup(1), a_lookup(2))),
        BootstrapQuery("x00000001"),
        BootstrapQuery("none"),
        ConfigQuery(DEFAULT_TENANT, DeviceId("x00000001")),
        DeviceQuery(DEFAULT_TENANT, DeviceId("none")),
        SignedDevicesQuery("none"),
        ApprovalQuery(ProfileId("p1"), "x00000001"),
        EntrySecretQuery(a_lookup(1)),
    ]
    assert {type(query) for query in asked} <= reading.TOGETHER.keys()
    async with connected(databases["large analysed"], BY_KEY) as connection:
        await answer_together(connection, asked)  # the driver asks once what a row of several columns is made of
        texts: list[str] = []
        with connection.query_logger(lambda record: texts.append(record.query)):
            found = await answer_together(connection, asked)
            await asyncio.sleep(0)  # it is told of a statement a turn of the loop later
        assert not [each for each in found if isinstance(each, Exception)]
        assert len(texts) == len({type(query) for query in asked})
        assert not [text for text in texts if "BEGIN" in text]


def test_only_what_is_asked_in_groups_can_be_foreseen() -> None:
    def steps() -> Steps[None]:
        yield Statement("SELECT 1", ())

    with pytest.raises(TypeError):
        answer({}, steps())


async def test_one_that_cannot_be_asked_fails_alone(databases: dict[str, str]) -> None:
    async with connected(databases["large analysed"], BY_KEY) as connection:
        good, bad = ApprovalQuery(ProfileId("p1"), "x00000001"), ApprovalQuery(ProfileId("p1"), "\ud800")
        first, second, third = await answer_together(connection, [good, bad, good])
        assert first == third
        assert first is not None
        assert isinstance(second, Exception)
        assert await answer_together(connection, [good]) == [first]
        found, failed, page = await answer_each(
            connection, [TenantQuery(DEFAULT_TENANT), ProfileQuery(DEFAULT_TENANT, "\ud800"), TombstonePage(DEFAULT_TENANT)]
        )
        assert found.id == DEFAULT_TENANT
        assert isinstance(failed, Exception)
        assert not isinstance(page, Exception)


async def test_what_is_read_within_a_snapshot_is_from_one_moment(databases: dict[str, str]) -> None:
    counting = Statement("SELECT count(*) FROM probe WHERE count >= ?", (1,))
    url = databases["empty"]
    async with connected(url, OF_OPERATORS) as connection, connected(url, {}) as another:

        def steps() -> Steps[Any]:
            before = yield counting
            after = yield counting
            return [row[0] for row in (*before, *after)]

        async with snapshot(connection):
            assert await run(connection, counting) == [(0,)]
            await another.execute("UPDATE probe SET count = count + 1")
            assert await carry_out(connection, steps()) == [0, 0]
        assert await carry_out(connection, steps()) == [1, 1]


def test_a_page_is_no_larger_in_one_spelling_than_in_the_other() -> None:
    """What merges walks is told twice how far to go: the numbers must fit, however far that is."""
    for offset in (0, 7, 2**63 - 1):
        statement = pages.merged([Statement("SELECT id FROM device WHERE tenant = ?", ("t",))] * 2, page_size(5), offset)
        assert statement.postgres is not None
        assert statement.postgres.parameters == ("t", min(5 + offset, 2**63 - 1)) * 2 + (5, offset)


def test_every_text_is_spelled_without_what_sqlite_alone_knows() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        migration.migrate(opened, migration.steps())
        for statement in distinct(walks()):
            own = statement.postgres or statement
            assert not re.search(r"INDEXED BY|CROSS JOIN(?! LATERAL)|BINARY|instr|[ (]\+\w", spell(own.text))
            opened.execute(f"EXPLAIN {statement.text}", statement.parameters)


def test_statements_are_spelled() -> None:
    assert spell("SELECT a FROM t INDEXED BY t_a WHERE +a = ? AND b IN (?, ?) ORDER BY +id") == (
        "SELECT a FROM t WHERE (a || '') = $1 AND b IN ($2, $3) ORDER BY (id || '')"
    )
    assert spell("SELECT 1 FROM a CROSS JOIN b ON b.x = a.x CROSS JOIN LATERAL (SELECT 1) AS c") == (
        "SELECT 1 FROM a CROSS JOIN LATERAL (SELECT * FROM b AS b WHERE b.x = a.x OFFSET 0) AS b"
        " CROSS JOIN LATERAL (SELECT 1) AS c"
    )
    assert spell("UPDATE t SET a = a + ? WHERE (b, c) IS NOT (?, ?)") == (
        "UPDATE t SET a = a + $1 WHERE (b, c) IS DISTINCT FROM ($2, $3)"
    )
    grouped = Grouped("WITH asked (a, b) AS (VALUES {rows}) SELECT a, b FROM asked", width=2, types=("text", "bytea"))
    assert spell_group(grouped) == (
        "WITH asked (a, b) AS (SELECT * FROM unnest($1::text[], $2::bytea[])) SELECT a, b FROM asked"
    )
