"""How SQLite carries out the store's statements: by an index each, so that no request costs more as the registry grows."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType
from typing import Any

import pytest

from core.model import DEFAULT_TENANT, DeviceId, DeviceState, EventId, EventKind, ProfileId
from core.ports import Changes, DevicePage, EventPage, Repository
from storage import answers, migration, pages, stored, tables, writing
from storage.statements import MOST, Grouped
from tests.storage.entities import a_device

TABLES = ("tenant", "profile", "device", "credential", "token", "event")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        migration.migrate(opened, migration.steps())
        yield opened


def texts(value: Any) -> Iterator[str]:
    """Yield the SQL in a constant: in a text, a grouped statement, or a table of them."""
    if isinstance(value, Grouped):
        yield from value.texts
    elif isinstance(value, str) and value.lstrip().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
        yield value
    elif isinstance(value, dict):
        yield from texts(tuple(value.values()))
    elif isinstance(value, tuple):
        for part in value:
            yield from texts(part)


def constants(*modules: ModuleType) -> dict[str, str]:
    found = (
        (f"{module.__name__}.{name}", value) for module in modules for name, value in vars(module).items() if name.isupper()
    )
    return {f"{name}-{place}": text for name, value in found for place, text in enumerate(texts(value))}


STATEMENTS = {name: text for name, text in constants(answers, stored, tables, writing, pages).items() if "{" not in text}


def device_pages() -> Iterator[DevicePage]:
    for name, profile, state in itertools.product((None, "x"), (None, ProfileId("p")), (None, DeviceState.DEFINED)):
        yield DevicePage(DEFAULT_TENANT, name=name, profile=profile, state=state, after=DeviceId("d"))


def event_pages() -> Iterator[EventPage]:
    kinds = (None, EventKind.PROVISION_SUCCEEDED, EventKind.LOGIN_REFUSED)
    for correlation, device, profile, kind, after, newest in itertools.product(
        (None, "c"), (None, DeviceId("d")), (None, ProfileId("p")), kinds, (None, EventId("e")), (False, True)
    ):
        yield EventPage(DEFAULT_TENANT, correlation, device, profile, kind, after, newest)


def plan(connection: sqlite3.Connection, text: str) -> list[str]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {text}", (None,) * text.count("?")).fetchall()
    return [row[3] for row in rows]


def require_indexed(steps: list[str]) -> None:
    scanned = [step for step in steps if step.startswith("SCAN") and step.split()[1] in TABLES]
    assert not scanned, steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_there_are_statements_to_look_at() -> None:
    assert len(STATEMENTS) > 100
    assert {name.split(".")[1] for name in STATEMENTS} == {"answers", "stored", "tables", "writing", "pages"}


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
