"""The key rings of the stores that have a disk: everything sealed is walked, and replaced where nobody else has changed it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from core.admission import hook_row
from core.attestation import secret_row
from core.configuration import config_row
from core.crypto.key_ring import MasterKeys, RingKey
from core.crypto.vault import SealBroken, Vault
from core.errors import Reason, Refusal
from core.issuer import credential_row
from core.model import DEFAULT_TENANT, CredentialId, EventKind, Sealed, Secret
from core.ports import Changes, Repository
from core.queries import BootstrapQuery, BootstrapSnapshot, EventPage, LoginQuery, ProfilePage, TokenQuery
from core.resealing import KeyRing, SealedPlace, SealedRow, require_opens
from storage import open_repository
from storage.key_rings import open_key_ring
from tests.fakes import SeededEntropy
from tests.storage.entities import a_credential, a_device, a_lookup, a_token, an_event
from tests.storage.sealed_world import BOTH, NEW, OLD, filled, opened, rotate

DEVICES = 250  # more than a batch


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres_url")
        return found
    return f"sqlite:{tmp_path / 'registry.db'}"


@pytest.fixture
async def repository(url: str) -> AsyncIterator[Repository]:
    async with open_repository(url) as found:
        yield found


@pytest.fixture
async def ring(url: str, repository: Repository) -> AsyncIterator[KeyRing]:
    async with open_key_ring(url) as found:
        yield found


async def config_of(repository: Repository, number: int) -> BootstrapSnapshot:
    found = await repository.read(BootstrapQuery(f"external-{number:04}"))
    assert found is not None
    return found


async def test_everything_is_sealed_again_and_found_as_before(repository: Repository, ring: KeyRing) -> None:
    await filled(repository, ring, DEVICES)
    done = await rotate(ring, await opened(ring, BOTH))
    credentials = sum(1 for number in range(1, DEVICES + 1) if number % 3)
    documents = sum(1 for number in range(1, DEVICES + 1) if number % 3 or number % 2)
    assert done.resealed == 2 + credentials + DEVICES + documents
    assert done.retired == 1
    vault = await opened(ring, NEW)
    whole, plain = await repository.read(ProfilePage(DEFAULT_TENANT))
    row = secret_row(whole.id)
    assert whole.previous_secret is not None
    assert whole.hook is not None
    assert vault.open(whole.provision_secret, row) == Secret("secret")
    assert vault.open(whole.previous_secret, row) == Secret("before")
    assert vault.open(whole.hook.secret, hook_row(whole.id)) == Secret("hook")
    assert whole.hook.url == 'https://hooks.example/?"secret":"x"'
    assert (whole.version, plain.hook, plain.previous_secret) == (1, None, None)
    for number in (1, 2, 3, DEVICES):
        config = (await config_of(repository, number)).config
        assert vault.open(config.external_key, config_row(config.id, "external key")) == Secret(f"key-{number}")
        assert config.version == 1
    logins = await repository.read(LoginQuery(tuple(a_lookup(number) for number in range(1, DEVICES + 1))))
    for number, login in enumerate(logins, 1):
        assert login is not None
        sealed = login.credential.sealed
        assert (sealed is not None) == bool(number % 3)
        assert sealed is None or vault.open(sealed, credential_row(login.credential.id)) == Secret(f"token-{number}")
    (event,) = await repository.read(EventPage(tenant=DEFAULT_TENANT, kind=EventKind.KEYS_ROTATED))
    assert event.detail == f"{done.resealed} rows"


async def test_it_is_counted_how_much_there_is(repository: Repository, ring: KeyRing) -> None:
    await filled(repository, ring, 9)
    assert [await ring.count(place) for place in SealedPlace] == [2, 6, 9, 9]


async def test_digests_stay(repository: Repository, ring: KeyRing) -> None:
    lookup = (await opened(ring, OLD)).lookup("operator token", "bearer")
    await repository.commit(Changes(insert=(a_token(lookup=lookup),)))
    await opened(ring, BOTH)
    await rotate(ring, await opened(ring, BOTH))
    assert await repository.read(TokenQuery((await opened(ring, NEW)).lookup("operator token", "bearer"))) is not None


async def test_rows_that_change_meanwhile_are_left_and_found_again(repository: Repository, ring: KeyRing) -> None:
    await filled(repository, ring, 3)
    vault = await opened(ring, BOTH)
    (row,) = await ring.batch(SealedPlace.CONFIGS, "device-0002", 1)
    config = (await config_of(repository, 3)).config
    changed = vault.seal(Secret("changed"), config_row(config.id, "external key"))
    await repository.commit(Changes(replace=(msgspec.structs.replace(config, external_key=changed, version=2),)))
    late = SealedRow(row.id, (Sealed(b"late"),))
    assert await ring.replace(SealedPlace.CONFIGS, [(row, late)]) == 0
    found = (await config_of(repository, 3)).config
    assert vault.open(found.external_key, config_row(found.id, "external key")) == Secret("changed")


@pytest.mark.parametrize("column", [0, 1, 2])
async def test_a_profile_is_replaced_whole_or_not_at_all(repository: Repository, ring: KeyRing, column: int) -> None:
    await filled(repository, ring, 1)
    (row,) = await ring.batch(SealedPlace.PROFILES, "", 1)
    other = list(row.values)
    other[column] = Sealed(b"something else")
    after = SealedRow(row.id, (Sealed(b"1"), Sealed(b"2"), Sealed(b"3")))
    assert await ring.replace(SealedPlace.PROFILES, [(SealedRow(row.id, tuple(other)), after)]) == 0
    assert await ring.batch(SealedPlace.PROFILES, "", 1) == [row]
    assert await ring.replace(SealedPlace.PROFILES, [(row, after)]) == 1
    assert await ring.batch(SealedPlace.PROFILES, "", 1) == [after]


async def test_a_hook_that_came_or_went_meanwhile(repository: Repository, ring: KeyRing) -> None:
    await filled(repository, ring, 1)
    whole, plain = await ring.batch(SealedPlace.PROFILES, "", 2)
    without = SealedRow(whole.id, (*whole.values[:2], None))
    assert await ring.replace(SealedPlace.PROFILES, [(without, without)]) == 0
    with_hook = SealedRow(plain.id, (*plain.values[:2], Sealed(b"hook")))
    assert await ring.replace(SealedPlace.PROFILES, [(with_hook, with_hook)]) == 0
    assert await ring.replace(SealedPlace.PROFILES, [(plain, plain), (whole, whole)]) == 2


async def test_a_gateway_goes_on_writing(repository: Repository, ring: KeyRing) -> None:
    """Configurations are replaced as gateways do, from what was read: what they put back is sealed again."""
    await filled(repository, ring, 60)
    vault = await opened(ring, BOTH)
    started, stopped = asyncio.Event(), asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not stopped.is_set():
            for number in range(1, 61):
                config = (await config_of(repository, number)).config
                await asyncio.sleep(0)
                changed = msgspec.structs.replace(config, name=f"named {written}", version=config.version + 1)
                await repository.commit(Changes(replace=(changed,)))
                written += 1
                started.set()

    async def stop(_: float) -> None:
        stopped.set()
        await writer

    writer = asyncio.create_task(write())
    await started.wait()
    await rotate(ring, vault, stop)
    new = await opened(ring, NEW)
    for number in range(1, 61):
        config = (await config_of(repository, number)).config
        assert new.open(config.external_key, config_row(config.id, "external key")) == Secret(f"key-{number}")


async def test_a_new_device_of_a_gateway_that_has_the_old_key_first(repository: Repository, ring: KeyRing) -> None:
    await filled(repository, ring, 1)
    vault = await opened(ring, BOTH)
    old = await opened(ring, MasterKeys(OLD.sealing, NEW.sealing))
    sealed = old.seal(Secret("token"), credential_row(CredentialId("credential-0777")))

    async def join(_: float) -> None:
        if not await ring.batch(SealedPlace.CREDENTIALS, "credential-0776", 1):
            await repository.commit(Changes(insert=(a_device(777), a_credential(777, sealed=sealed))))

    assert (await rotate(ring, vault, join)).resealed == 6
    await require_opens(ring, await opened(ring, NEW))


async def test_keys_are_added_once_and_retired_together(repository: Repository, ring: KeyRing) -> None:
    first, again = (RingKey(id="00000001", sealed=Sealed(text), created_at=number) for number, text in enumerate((b"1", b"2")))
    await ring.add(first)
    await ring.add(again)
    await ring.add(RingKey(id="00000002", sealed=Sealed(b"3"), created_at=3))
    assert [key.sealed for key in await ring.keys()] == [b"1", b"3"]
    assert await ring.retire("00000002", an_event()) == 1
    assert [key.id for key in await ring.keys()] == ["00000002"]


async def test_a_wrong_key_is_found_out(repository: Repository, ring: KeyRing) -> None:
    await filled(repository, ring, 1)
    with pytest.raises(SealBroken):
        await require_opens(ring, Vault(bytes(32), SeededEntropy()))


async def test_a_registry_that_fails(repository: Repository, ring: KeyRing) -> None:
    row = SealedRow("credential-0001", (Sealed(b"x"), Sealed(b"y")))
    with pytest.raises(Refusal) as refusal:
        await ring.replace(SealedPlace.CREDENTIALS, [(row, row)])
    assert (refusal.value.reason, refusal.value.check) == (Reason.UNAVAILABLE, "storage.failed")


async def test_a_registry_in_memory_has_nothing_on_its_ring(tmp_path: Path) -> None:
    async with open_key_ring("memory:") as ring:
        vault = await opened(ring, OLD)
        await require_opens(ring, vault)
        row = SealedRow("credential-0001", (Sealed(b"x"),))
        assert [await ring.count(place) for place in SealedPlace] == [0, 0, 0, 0]
        assert await ring.replace(SealedPlace.CREDENTIALS, [(row, row)]) == 0
        assert await ring.retire(OLD.id, an_event()) == 0
        assert await ring.keys() == ()


async def test_a_url_of_no_store() -> None:
    with pytest.raises(ValueError, match="no store is named 'mysql'"):
        open_key_ring("mysql://localhost/registry")


@pytest.mark.parametrize("url", ["sqlite:/nowhere/registry.db", "postgresql://nobody@127.0.0.1:1/nothing"])
async def test_a_registry_that_is_not_there(url: str) -> None:
    with pytest.raises(Refusal, match="cannot be opened"):
        async with open_key_ring(url):
            pass


async def test_a_file_of_an_older_version(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    async with open_repository(f"sqlite:{path}"):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 5")
    with pytest.raises(Refusal, match="start the gateway with it first"):
        async with open_key_ring(f"sqlite:{path}"):
            pass
