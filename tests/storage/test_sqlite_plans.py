"""How SQLite carries out the store's statements: by an index each, so that no request costs more as the registry grows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from core import queries
from core.model import (
    DEFAULT_TENANT,
    ChannelId,
    ProfileId,
)
from core.ports import Changes, Entity, Repository
from core.queries import (
    AnchorsQuery,
    ApprovalQuery,
    BootstrapQuery,
    ChannelPage,
    DevicePage,
    DeviceSearch,
    EnrolQuery,
    LabelledPage,
    Order,
    Query,
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
    tables,
    tombstones,
    trust,
    writing,
)
from storage.statements import MOST, Grouped
from tests.storage.asked_pages import (
    ORDERED,
    approval_pages,
    config_pages,
    constants,
    device_pages,
    entry_pages,
    event_pages,
    narrowest,
    profile_searches,
    searches,
)
from tests.storage.entities import (
    a_chain,
    a_channel,
    a_config,
    a_credential,
    a_device,
    a_profile,
    a_signed,
    an_approval,
)

TABLES = (
    *("tenant", "profile", "device", "credential", "token", "event"),
    *("channel", "config", "config_document", "config_channel"),
    *("pending_claim", "entry", "oscore_state", "issued", "approval", "tombstone"),
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        migration.migrate(opened, migration.steps())
        yield opened


MODULES = (
    *(answers, approvals, configurations, counted, directory, enrolment, firmware, stored, tables, tombstones),
    *(trust, writing, pages),
)
STATEMENTS = {name: text for name, text in constants(*MODULES).items() if "{" not in text}


def plan(connection: sqlite3.Connection, text: str) -> list[str]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {text}", (None,) * text.count("?")).fetchall()
    return [row[3] for row in rows]


def require_indexed(steps: list[str]) -> None:
    scanned = [step for step in steps if step.startswith("SCAN") and step.split()[1] in TABLES]
    assert not scanned, steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_every_query_there_is_has_an_answer() -> None:
    asked = {kind for kind in vars(queries).values() if isinstance(kind, type) and Query in kind.__mro__[1:]}
    assert asked == reading.TOGETHER.keys() | reading.EACH.keys()
    assert not reading.TOGETHER.keys() & reading.EACH.keys()


def test_there_are_statements_to_look_at() -> None:
    assert len(STATEMENTS) > 200
    assert {name.rsplit("-")[0].rpartition(".")[0] for name in STATEMENTS} == {module.__name__ for module in MODULES}


def test_every_statement_uses_an_index(connection: sqlite3.Connection) -> None:
    for text in STATEMENTS.values():
        require_indexed(plan(connection, text))


def test_every_page_begins_where_an_index_says(connection: sqlite3.Connection) -> None:
    statements = [pages.devices_in_order(page) for page in device_pages()]
    statements += [pages.events_in_order(page) for page in event_pages()]
    for statement in statements:
        steps = plan(connection, statement.text)
        require_indexed(steps)
        searched = [step for step in steps if step.startswith("SEARCH")]
        assert searched
        if "id > ?" in statement.text or "id < ?" in statement.text:
            assert all("id>?" in step or "id<?" in step for step in searched), steps


def test_every_page_of_configurations_uses_the_index_of_its_narrowest_filter(connection: sqlite3.Connection) -> None:
    for query in config_pages():
        filtered = counted.filtered_configs(query)
        for statement in (counted.page(filtered, query), counted.total(filtered)):
            steps = plan(connection, statement.text)
            require_indexed(steps)
            (searched,) = [step for step in steps if step.startswith("SEARCH config")]
            if query.external_id is not None or query.id is not None or query.secret is not None:
                assert "PRIMARY KEY (id=?)" in searched or "config_external_id (external_id=?)" in searched, steps
            elif query.client_key is not None:
                assert "INDEX config_client_key (tenant=? AND client_key=?" in searched, steps
            else:
                assert "INDEX config_tenant (tenant=?" in searched, steps
                assert query.name is not None or "COVERING" in searched, steps


def test_every_page_of_channels_and_labels_walks_an_index_in_its_order(connection: sqlite3.Connection) -> None:
    for name in (None, "n"):
        channels = ChannelPage(DEFAULT_TENANT, name, ChannelId("c"), 1)
        filtered = counted.filtered_channels(channels)
        labels = LabelledPage(DEFAULT_TENANT, name, 1)
        for statement in (
            counted.page(filtered, channels),
            counted.total(filtered),
            counted.labelled_devices(labels),
            counted.labelled_total(labels),
        ):
            steps = plan(connection, statement.text)
            require_indexed(steps)
            assert any(step.startswith("SEARCH") for step in steps)
            if name is None:
                assert all("COVERING" in step or "PRIMARY KEY" in step for step in steps if step.startswith("SEARCH")), steps
        (walk,) = [step for step in plan(connection, counted.page(filtered, channels).text) if step.startswith("SEARCH")]
        assert "(tenant=? AND id>?)" in walk


def test_unknown_ids_are_sought_in_a_bounded_number_of_events(connection: sqlite3.Connection) -> None:
    steps = plan(connection, counted.unknown_names(UnknownPage(DEFAULT_TENANT)).text)
    assert any("SEARCH event USING INDEX event_kind (tenant=? AND kind=?)" in step for step in steps), steps
    assert any("SEARCH config USING COVERING INDEX config_external_id (external_id=?)" in step for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in TABLES], steps


def test_a_channel_finds_those_who_list_it(connection: sqlite3.Connection) -> None:
    steps = [step for text in STATEMENTS.values() if "version = version + 1" in text for step in plan(connection, text)]
    assert any("SEARCH config USING PRIMARY KEY (id=?)" in step for step in steps), steps
    assert any("SEARCH config_channel USING COVERING INDEX config_channel_channel (channel=?)" in step for step in steps), steps


@pytest.mark.parametrize("table", TABLES)
def test_what_follows_a_foreign_key_has_an_index_for_it(connection: sqlite3.Connection, table: str) -> None:
    indexes = [
        [column for _, _, column in connection.execute(f"PRAGMA index_info({index[1]})").fetchall()]
        for index in connection.execute(f"PRAGMA index_list({table})").fetchall()
    ]
    references: dict[int, list[str]] = {}
    for number, _, _, column, *_ in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
        references.setdefault(number, []).append(column)
    for columns in references.values():
        assert any(index[: len(columns)] == columns for index in indexes), (columns, indexes)


def test_devices_that_bootstrap_together_are_answered_by_a_fixed_number_of_statements(connection: sqlite3.Connection) -> None:
    migration.found(connection)
    numbers = range(1, 65)
    everything: tuple[Entity, ...] = (
        a_profile(),
        *map(a_device, numbers),
        *map(a_credential, numbers),
        *map(a_channel, (1, 2, 3)),
        *(a_config(number, 1 + number % 3) for number in numbers),
    )
    tables.insert(connection, [Changes(insert=everything)])
    executed: list[int] = []
    for some in (numbers[:1], numbers):
        texts: list[str] = []
        connection.set_trace_callback(texts.append)
        asked = [BootstrapQuery(f"external-{number:04}") for number in some]
        found = reading.answer_together(connection, asked)
        connection.set_trace_callback(None)
        assert [snapshot.config.created_at for snapshot in found] == list(some)
        assert [snapshot.channels for snapshot in found] == [(a_channel(1 + number % 3),) for number in some]
        executed.append(len(texts))
    assert executed == [6, 6]  # with the beginning and the end of the transaction


def test_devices_that_enrol_together_are_answered_by_a_fixed_number_of_statements(connection: sqlite3.Connection) -> None:
    migration.found(connection)
    numbers = range(1, 65)
    enrolled = Changes(insert=(a_profile(), *map(a_signed, numbers), *map(a_credential, numbers)))
    tables.insert(connection, [enrolled])
    executed: list[int] = []
    for some in (numbers[:1], numbers):
        texts: list[str] = []
        connection.set_trace_callback(texts.append)
        asked = [EnrolQuery("key-1", f"serial-{number:04}", (f"sensor-{number:04}", "free")) for number in some]
        found = reading.answer_together(connection, asked)
        connection.set_trace_callback(None)
        assert [snapshot.device for snapshot in found] == list(map(a_signed, some))
        assert [snapshot.names_taken for snapshot in found] == [{f"sensor-{number:04}"} for number in some]
        executed.append(len(texts))
    assert executed == [6, 6]  # with the beginning and the end of the transaction


def test_devices_that_are_added_together_cost_a_fixed_number_of_statements(connection: sqlite3.Connection) -> None:
    migration.found(connection)
    tables.insert(connection, [Changes(insert=(a_profile(),))])
    executed: list[int] = []
    for some in (range(1), range(1, 65)):
        for made, serials in ((a_device, 0), (a_signed, 100)):
            group = [Changes(insert=(made(serials + n, serial=str(n)), a_credential(serials + n, sealed=None))) for n in some]
            texts: list[str] = []
            connection.set_trace_callback(texts.append)
            assert writing.write(connection, group) == [None] * len(group)
            connection.set_trace_callback(None)
            executed.append(len(texts))
    assert executed == [8, 9, 8, 9]  # a serial that must be unique takes one more


def test_chains_that_come_together_are_answered_by_one_statement(connection: sqlite3.Connection) -> None:
    migration.found(connection)
    numbers = range(1, 65)
    tables.insert(connection, [Changes(insert=tuple(a_profile(number, chain=a_chain(number)) for number in numbers))])
    executed: list[int] = []
    for some in (numbers[:1], numbers):
        texts: list[str] = []
        connection.set_trace_callback(texts.append)
        found = reading.answer_together(connection, [AnchorsQuery((f"anchor-{number}", "none")) for number in some])
        connection.set_trace_callback(None)
        assert found == [((a_profile(number, chain=a_chain(number)),), ()) for number in some]
        executed.append(len(texts))
        texts.clear()
        connection.set_trace_callback(texts.append)
        found = reading.answer_together(connection, [AnchorsQuery(names=(f"name-{number}", "none")) for number in some])
        connection.set_trace_callback(None)
        assert found == [((a_profile(number, chain=a_chain(number)),), ()) for number in some]
        executed.append(len(texts))
    assert executed == [3, 3, 3, 3]  # with the beginning and the end of the transaction


def test_devices_that_wait_together_are_answered_by_one_statement(connection: sqlite3.Connection) -> None:
    migration.found(connection)
    numbers = range(1, 65)
    tables.insert(connection, [Changes(insert=(a_profile(), *map(an_approval, numbers)))])
    for some in (numbers[:1], numbers):
        texts: list[str] = []
        connection.set_trace_callback(texts.append)
        asked = [ApprovalQuery(ProfileId("profile-0001"), f"sensor-{number:04}") for number in some]
        found = reading.answer_together(connection, asked)
        connection.set_trace_callback(None)
        assert found == list(map(an_approval, some))
        assert len(texts) == 3  # with the beginning and the end of the transaction


def test_every_page_of_a_queue_begins_where_an_index_says(connection: sqlite3.Connection) -> None:
    for query in approval_pages():
        steps = plan(connection, approvals.in_order(query).text)
        require_indexed(steps)
        assert ["(tenant=? AND id>?" in step for step in steps if step.startswith("SEARCH")] == [True], steps


def test_a_search_goes_by_the_index_of_its_narrowest_filter(connection: sqlite3.Connection) -> None:
    for query in searches():
        for statement in (searching.devices_total(query), searching.sorted_devices(query, 5)):
            steps = plan(connection, statement.text)
            assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in TABLES], steps
            searched = [step for step in steps if step.startswith("SEARCH device")]
            assert all(narrowest(query) in step for step in searched), (query, steps)
            assert searched or statement.text == counted.DEVICES


def test_a_search_sorts_only_where_no_index_has_its_order(connection: sqlite3.Connection) -> None:
    for query in searches():
        index = narrowest(query).split()[0]
        walked = ORDERED if index == "device_state" else {Order.CREATED}
        if index == "device_profile" and query.profiles != (ProfileId("p"),):
            walked = set()
        if index != "device_name" and query.order in walked:  # which is of one device at most
            many = pages.NARROW + 1
            require_indexed(plan(connection, searching.sorted_devices(query, many).text))
    everything = DeviceSearch(tenant=DEFAULT_TENANT)
    (counting,) = plan(
        connection, searching.devices_total(DeviceSearch(tenant=DEFAULT_TENANT, profiles=(ProfileId("p"),))).text
    )
    assert "COVERING INDEX device_profile" in counting
    assert searching.devices_total(everything).text == counted.DEVICES


def test_pages_of_profiles_and_entries_walk_an_index_in_its_order(connection: sqlite3.Connection) -> None:
    for profiles in profile_searches():
        found = searching.filtered_profiles(profiles)
        require_indexed(plan(connection, searching.profiles_in_order(found, profiles).text))
    for entries in entry_pages():
        filtered = directory.filtered_entries(entries)
        steps = plan(connection, directory.entries_in_order(filtered, entries).text)
        if entries.parents is None or entries.name is not None or len(entries.parents) == 1:
            require_indexed(steps)
        index = "name" if entries.name is not None else "parent" if entries.parents is not None else "kind"
        assert f"entry_{index} (tenant=? AND kind=?" in steps[0], steps


def test_a_page_by_prefix_sorts_no_more_than_a_counted_few(connection: sqlite3.Connection) -> None:
    for page in device_pages():
        if page.name is None:
            continue
        counted = plan(connection, pages.prefix_size(page).text)
        assert any("COVERING INDEX device_name (tenant=? AND name>? AND name<?)" in step for step in counted)
        picked = plan(connection, pages.named_devices(page).text)
        assert any("INDEX device_name (tenant=? AND name>? AND name<?)" in step for step in picked)


async def test_pages_by_a_prefix_of_many_and_of_few(repository: Repository) -> None:
    many = [a_device(number, name=f"many-{number:05}", metadata={}) for number in range(pages.NARROW + 1)]
    few = [a_device(number, name=f"few-{number:05}", metadata={}) for number in range(9_000, 9_010)]
    await repository.commit(Changes(insert=(*many, *few)))
    for prefix, expected in (("many", many), ("many-00", many[:1000]), ("few", few), ("", many + few)):
        whole = await repository.read(DevicePage(DEFAULT_TENANT, name=prefix, limit=10_000))
        assert whole == tuple(expected)
        after = expected[len(expected) // 2].id
        half = await repository.read(DevicePage(DEFAULT_TENANT, name=prefix, after=after, limit=3))
        assert half == tuple(expected[len(expected) // 2 + 1 :][:3])


def test_a_grouped_statement_takes_any_number_of_rows(connection: sqlite3.Connection) -> None:
    echo = Grouped("WITH asked (a, b) AS (VALUES {rows}) SELECT a, b FROM asked WHERE a IS NOT NULL", width=2)
    for size in (0, 1, 2, 3, 4, 5, 63, 64, 65, MOST - 1, MOST, MOST + 1, 3 * MOST + 7):
        given = [(number, f"text {number}") for number in range(size)]
        assert echo.run(connection, given) == given
