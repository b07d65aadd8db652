"""A file of each former schema, with rows in it, opens, takes the steps it lacks and is as good as a new one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from core.model import (
    DEFAULT_TENANT,
    CredentialKind,
    Device,
    DeviceState,
    IssuingPolicy,
    Plain,
    Reprovision,
    Sealed,
    SignedPolicy,
    Strategy,
)
from core.ports import Changes
from core.queries import (
    AnchorsQuery,
    BootstrapQuery,
    BootstrapSnapshot,
    ClaimQuery,
    DevicePage,
    DeviceQuery,
    DeviceSearch,
    EnrolQuery,
    EntryQuery,
    EventPage,
    FirmwareCount,
    FirmwareCountsQuery,
    IssuedPage,
    IssuedSnapshot,
    LabelledPage,
    LoginQuery,
    LoginSnapshot,
    Order,
    OscoreQuery,
    PendingClaimQuery,
    PendingClaimSnapshot,
    TenantQuery,
    TokenQuery,
)
from storage import migration, open_repository
from tests.storage.entities import (
    a_chain,
    a_channel,
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_signed,
    a_token,
    a_user,
    an_event,
    an_issued,
    an_organization,
    an_oscore_state,
    some_firmware,
)

NAMES = ("sensor-0001", "Sensor-0002", "STRASSE", "Straße", "ÄRGER", "日本", "İ", "a\x00B", "")

SCHEMA_1 = """
    INSERT INTO tenant VALUES ('default', 'default', NULL, 9, 1, 1);
    INSERT INTO profile VALUES ('profile-0001', 'default', 'profile 1', 'create_new', 'deny', 'key-1', x'7365616c65642031',
        '["one","two"]', 1, 1, 1);
    INSERT INTO credential VALUES ('credential-0001', 'device-0001', 'access_token',
        x'0000000000000000000000000000000000000000000000000000000000000001', x'', x'007365616c6564', 1, 1);
    INSERT INTO event VALUES (1, 'event-0001', 'default', 1, 'provision.succeeded', 'request-1', 'coap', 'thingsboard',
        '192.0.2.7', '', NULL, NULL, 'sensor-0001', '', 'größer');
"""
DEVICE = "INSERT INTO device VALUES (?, 'default', 'profile-0001', ?, 'connected', 0, '{\"floor\":1}', ?, 7, 3)"


def old_device(number: int, name: str) -> Device:
    return a_device(
        number, name=name, state=DeviceState.CONNECTED, enabled=False, metadata={"floor": 1}, updated_at=7, version=3
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Make a file of schema 1 by its one step, as the versions did that knew no other."""
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migration.use_log(connection)
        migration.migrate(connection, migration.steps()[:1])
        connection.executescript(SCHEMA_1)
        connection.executemany(DEVICE, [(f"device-{number:04}", name, number) for number, name in enumerate(NAMES, 1)])
        assert connection.execute("PRAGMA user_version").fetchall() == [(1,)]
    return path


async def test_what_was_in_a_file_of_schema_1_is_there(old: Path) -> None:
    devices = tuple(old_device(number, name) for number, name in enumerate(NAMES, 1))
    async with open_repository(f"sqlite:{old}") as repository:
        assert await repository.read(DevicePage(DEFAULT_TENANT)) == devices
        (login,) = await repository.read(LoginQuery((a_lookup(1),)))
        assert login is not None
        assert (login.credential, login.device, login.profile) == (a_credential(), devices[0], a_profile())
        assert await repository.read(EventPage(DEFAULT_TENANT)) == (an_event(),)
        claim = await repository.read(ClaimQuery("key-1", "Straße"))
        assert claim.device == devices[3]
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        assert tenant.devices == len(NAMES)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(len(migration.steps()),)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_devices_of_schema_1_are_found_by_a_part_of_their_name(old: Path) -> None:
    async with open_repository(f"sqlite:{old}") as repository:
        for part in ("SENSOR", "strasse", "ß", "ärger", "本", "i̇", "A\x00b", "", "label"):
            found = await repository.read(LabelledPage(DEFAULT_TENANT, part))
            assert [item.device.name for item in found.items] == [name for name in NAMES if part.casefold() in name.casefold()]


async def test_a_file_of_schema_1_takes_what_a_new_one_takes(old: Path) -> None:
    async with open_repository(f"sqlite:{old}") as repository:
        device = old_device(2, "Sensor-0002")
        labelled = msgspec.structs.replace(device, label="Größe", version=4)
        await repository.commit(Changes(insert=(a_channel(), a_config(1, 1)), replace=(labelled,)))
    async with open_repository(f"sqlite:{old}") as repository:
        found = await repository.read(DeviceQuery(DEFAULT_TENANT, device.id))
        assert found is not None
        assert found.device == labelled


# A file of schema 2, each row as its versions wrote it: the device `a_device(1)` has a label, a configuration and a channel.
SCHEMA_2 = f"""
    INSERT INTO tenant VALUES ('default', 'default', 5, 2, 1, 3);
    INSERT INTO profile VALUES ('profile-0001', 'default', 'profile 1', 'create_new', 'rotate', 'key-1',
        x'7365616c65642031', '["one","two"]', 1, 1, 1);
    INSERT INTO device VALUES ('device-0001', 'default', 'profile-0001', 'sensor-0001', 'defined', 1,
        '{{"floor":1,"tags":["a","ü"]}}', 1, 1, 1, 'Größe', 'grösse');
    INSERT INTO device (id, tenant, profile, name, state, enabled, metadata, created_at, updated_at, version)
        VALUES ('device-0002', 'default', 'profile-0001', 'sensor-0002', 'defined', 1, NULL, 2, 2, 1);
    INSERT INTO credential VALUES ('credential-0001', 'device-0001', 'access_token', x'{a_lookup(1).hex()}', x'',
        x'007365616c6564', 1, 1);
    INSERT INTO channel VALUES ('channel-0001', 'default', 'Channel 1', '{{"floor":1,"tags":["a","ü"]}}', 1, 1, 1, 'channel 1');
    INSERT INTO config VALUES ('device-0001', 'default', 'external-0001', x'7365616c6564206b65792031', 'Config 1', 0,
        NULL, 0, 1, 1, 1, 'config 1');
    INSERT INTO config_document VALUES ('device-0001', x'00636f6e74656e74', NULL);
    INSERT INTO config_channel VALUES ('device-0001', 0, 'channel-0001');
    INSERT INTO token VALUES ('token-0001', 'default', 'operator 1', 'operator',
        x'{a_token().lookup.hex()}', 1, 1);
    INSERT INTO event VALUES (7, 'event-0001', 'default', 1, 'provision.succeeded', 'request-1', 'coap', 'thingsboard',
        '192.0.2.7', '', NULL, NULL, 'sensor-0001', '', 'größer');
"""
DEVICE_2 = a_device(label="Größe")
PROFILE_2 = a_profile(reprovision=Reprovision.ROTATE)
CONFIG_2 = a_config(1, 1, certificates=None, client_key=None)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Make a file of schema 2 by its two steps, as the versions did that knew no other."""
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migration.use_log(connection)
        migration.migrate(connection, migration.steps()[:2])
        connection.executescript(SCHEMA_2)
        assert connection.execute("PRAGMA user_version").fetchall() == [(2,)]
    return path


async def test_what_was_in_a_file_of_schema_2_is_there(second: Path) -> None:
    async with open_repository(f"sqlite:{second}") as repository:
        assert await repository.read(BootstrapQuery("external-0001")) == BootstrapSnapshot(
            config=CONFIG_2, device=DEVICE_2, credentials=(a_credential(),), channels=(a_channel(),)
        )
        (login,) = await repository.read(LoginQuery((a_lookup(1),)))
        assert login == LoginSnapshot(credential=a_credential(), device=DEVICE_2, profile=PROFILE_2)
        assert await repository.read(DevicePage(DEFAULT_TENANT)) == (DEVICE_2, a_device(2))
        assert await repository.read(TokenQuery(a_token().lookup)) == a_token()
        assert await repository.read(EventPage(DEFAULT_TENANT)) == (an_event(),)
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        assert (tenant.devices, tenant.device_limit, tenant.version) == (2, 5, 3)
        for order in Order:
            found = await repository.read(DeviceSearch(tenant=DEFAULT_TENANT, order=order))
            assert found.total == 2
        counted = await repository.read(FirmwareCountsQuery(DEFAULT_TENANT))
        assert counted == (FirmwareCount(a_profile().id, "", 2),)
    with closing(sqlite3.connect(second)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(len(migration.steps()),)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_of_schema_2_takes_what_a_new_one_takes(second: Path) -> None:
    signed = msgspec.structs.replace(DEVICE_2, serial="s", unique_serial=True, owner="organization", runs="1", version=2)
    profile = msgspec.structs.replace(PROFILE_2, signed=SignedPolicy(product_key="pk"), metadata={"a": 1}, version=2)
    config = msgspec.structs.replace(CONFIG_2, firmware=some_firmware(), version=2)
    credential = a_credential(expires_at=7, version=2)
    async with open_repository(f"sqlite:{second}") as repository:
        await repository.commit(
            Changes(replace=(signed, profile, config, credential), insert=(an_organization(), a_claim(), a_user()))
        )
    async with open_repository(f"sqlite:{second}") as repository:
        found = await repository.read(EnrolQuery("key-1", "s", ()))
        assert (found.device, found.profile, found.credentials) == (signed, profile, (credential,))
        assert await repository.read(PendingClaimQuery(a_claim().lookup)) == PendingClaimSnapshot(a_claim(), signed)
        assert await repository.read(EntryQuery(DEFAULT_TENANT, a_user().id)) == a_user()
        bootstrap = await repository.read(BootstrapQuery("external-0001"))
        assert bootstrap is not None
        assert bootstrap.config == config


# A file of schema 3, each row as its versions wrote it: a profile whose devices sign, with one that did.
SCHEMA_3 = f"""
    INSERT INTO tenant VALUES ('default', 'default', NULL, 1, 1, 1);
    INSERT INTO profile VALUES ('profile-0001', 'default', 'profile 1', 'signed', 'deny', 'key-1', x'7365616c65642031',
        '["one","two"]', 1, 1, 1, x'6265666f7265', 9, '{{"product_key":"pk"}}', 'device_secret', NULL, '{{"a":1}}');
    INSERT INTO device (id, tenant, profile, name, state, enabled, metadata, created_at, updated_at, version, serial,
        unique_serial) VALUES ('device-0001', 'default', 'profile-0001', 'sensor-0001', 'defined', 1,
        '{{"floor":1,"tags":["a","ü"]}}', 1, 1, 1, 'serial-0001', 1);
    INSERT INTO credential VALUES ('credential-0001', 'device-0001', 'access_token', x'{a_lookup(1).hex()}', x'',
        x'007365616c6564', 1, 1, 9);
    INSERT INTO pending_claim VALUES ('device-0001', 'default', x'{a_claim().lookup.hex()}', 1, 101, 1, 1);
"""
PROFILE_3 = a_profile(
    strategy=Strategy.SIGNED,
    previous_secret=Sealed(b"before"),
    previous_until=9,
    signed=SignedPolicy(product_key="pk"),
    credential_kind=CredentialKind.DEVICE_SECRET,
    metadata={"a": 1},
)


@pytest.fixture
def third(tmp_path: Path) -> Path:
    """Make a file of schema 3 by its three steps, as the versions did that knew no other."""
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migration.use_log(connection)
        migration.migrate(connection, migration.steps()[:3])
        connection.executescript(SCHEMA_3)
        assert connection.execute("PRAGMA user_version").fetchall() == [(3,)]
    return path


async def test_what_was_in_a_file_of_schema_3_is_there(third: Path) -> None:
    credential = a_credential(expires_at=9)
    async with open_repository(f"sqlite:{third}") as repository:
        found = await repository.read(EnrolQuery("key-1", "serial-0001", ()))
        assert (found.device, found.profile, found.credentials) == (a_signed(), PROFILE_3, (credential,))
        assert await repository.read(PendingClaimQuery(a_claim().lookup)) == PendingClaimSnapshot(a_claim(), a_signed())
        assert await repository.read(AnchorsQuery(("anchor-1",))) == ((),)
        assert await repository.read(OscoreQuery(credential.id)) is None
        assert await repository.read(IssuedPage(until=0)) == ()
    with closing(sqlite3.connect(third)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(len(migration.steps()),)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_of_schema_3_takes_what_a_new_one_takes(third: Path) -> None:
    trusting = {"chain": a_chain(), "issuing": IssuingPolicy(lifetime_s=60), "plain": Plain.NOTHING}
    profile = msgspec.structs.replace(PROFILE_3, **trusting, version=2)
    async with open_repository(f"sqlite:{third}") as repository:
        await repository.commit(Changes(replace=(profile,), insert=(an_oscore_state(window=(7, 5)), an_issued())))
    async with open_repository(f"sqlite:{third}") as repository:
        assert await repository.read(AnchorsQuery(("anchor-1",))) == ((profile,),)
        assert await repository.read(OscoreQuery(a_credential().id)) == an_oscore_state(window=(7, 5))
        assert await repository.read(IssuedPage(until=0)) == (IssuedSnapshot(an_issued(), live=True),)


def test_a_new_file_and_a_migrated_one_have_the_same_schema(old: Path) -> None:
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    with (
        closing(sqlite3.connect(old, isolation_level=None)) as one,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as other,
    ):
        for connection in (one, other):
            migration.migrate(connection, migration.steps())
        assert one.execute(schema).fetchall() == other.execute(schema).fetchall()
