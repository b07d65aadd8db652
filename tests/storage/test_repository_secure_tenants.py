"""Whether a tenant has secure bootstrap: kept by every store, and kept on where a registry is older than the question."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from core.model import DEFAULT_TENANT
from core.ports import Changes, Repository
from core.queries import TenantPage, TenantQuery
from storage import migration, open_repository
from tests.storage.entities import a_tenant


async def test_it_is_read_back_as_it_was_written(repository: Repository) -> None:
    tenants = a_tenant(1, secure_bootstrap=True), a_tenant(2)
    await repository.commit(Changes(insert=tenants))
    found = {each.id: each.secure_bootstrap for each in await repository.read(TenantPage())}
    assert found == {DEFAULT_TENANT: True, tenants[0].id: True, tenants[1].id: False}
    for tenant in tenants:
        changed = msgspec.structs.replace(tenant, secure_bootstrap=not tenant.secure_bootstrap, version=2)
        await repository.commit(Changes(replace=(changed,)))
        assert await repository.read(TenantQuery(tenant.id)) == changed


async def test_tenants_of_a_registry_of_schema_4_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migration.use_log(connection)
        migration.migrate(connection, migration.steps()[:4])
        row = "INSERT INTO tenant (id, name, device_limit, devices, created_at, version) VALUES (?, 'old', NULL, 0, 1, 1)"
        connection.executemany(row, [("default",), ("north",)])
    async with open_repository(f"sqlite:{path}") as repository:
        assert [each.secure_bootstrap for each in await repository.read(TenantPage())] == [True, True]
