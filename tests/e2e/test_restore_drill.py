"""The day that backups are for: a gateway and its disk are gone, and devices go on with what was put back."""

import asyncio
import contextlib
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiocoap
import aiohttp
import pytest

from adapters.app import Running
from adapters.listeners import Listening
from core.model import EventKind
from storage import backup as storage_backup
from storage import restoring
from storage.restoring import LEAP
from tests.e2e.drilling import begin, command, connects, log_in
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.load import Fleet
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Served
from tests.e2e.test_trust_oscore import again, is_replay, report
from tests.e2e.trusting import READING, TELEMETRY
from tests.oscore.devices import OSCORE, SHARED, Protecting
from tests.postgres_server import PostgresServer
from tests.protocols.world import ROTATING, SAME
from tests.storage.entities import an_event

OTHER_KEY = "a9" * 32


async def require_logins(where: Listening, tokens: dict[str, str]) -> None:
    """Prove that every device comes back over HTTP, and some over MQTT."""
    for name, token in tokens.items():
        assert await log_in(where, token) == 200, name
    for token in list(tokens.values())[-3:]:
        assert await connects(where, token)


class Field:
    """Devices that provision as fast as they are answered, and what an operator does to some of them."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.fleet = Fleet(SAME, "meter")
        self._load: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Make profiles, and let devices come until some have been answered."""
        async with self.operator() as operator:
            for name, known, reprovision in (("same", SAME, "same"), ("rotating", ROTATING, "rotate")):
                body = {"name": name, "provision_key": known.key, "provision_secret": known.secret}
                await operator.post("/v1/profiles", {**body, "reprovision": reprovision})
        self._load = asyncio.create_task(self.fleet.provision(self.served.listening))
        await self.answered(12)

    async def answered(self, more: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.fleet.answered) + more
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.fleet.answered) < wanted:  # noqa: ASYNC110 - the fleet tells nobody
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Kill the gateway in the middle of it."""
        assert self._load is not None
        self.served.kill()
        await self.served.ended()
        self._load.cancel()
        await asyncio.wait({self._load}, timeout=PATIENCE_SECONDS)

    async def provision(self, name: str) -> str:
        """Ask for a token under the profile that gives a new one each time, and use it once."""
        where = self.served.listening
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{where.http[0]}/api/v1/provision", json=ROTATING.claim(deviceName=name)) as answer,
        ):
            token: str = (await answer.json(content_type=None))["credentialsValue"]
        assert await log_in(where, token) == 200
        return token

    def operator(self) -> Operator:
        return Operator(self.served.listening.http[0], ADMIN_TOKEN)


class Past(NamedTuple):
    """What a restored registry is to know: tokens by devices that are there, and those that were changed after the backup."""

    tokens: dict[str, str]
    revoked: str
    rotated: tuple[str, str]
    late: str


async def live(field: Field, back_up: Callable[[], Awaitable[None]]) -> Past:
    """Lead a life with a backup in the middle: before it devices come, after it one is revoked, one rotates, one is late."""
    await field.begin()
    tokens = dict(field.fleet.answered)
    revoked, before = next(iter(tokens)), await field.provision("rotating-1")
    await back_up()
    await field.answered(3)
    after = await field.provision("rotating-1")
    late = await field.provision("late-1")
    async with field.operator() as operator:
        device = await operator.device(revoked)
        assert device is not None
        assert (await operator.ask("DELETE", f"/v1/devices/{device['id']}/credentials")).status < 300
    assert await log_in(field.served.listening, tokens[revoked]) == 401
    assert await log_in(field.served.listening, before) == 401
    await field.end()
    return Past(tokens, revoked, (before, after), late)


async def require_past(served: Served, past: Past) -> None:
    """Prove that everything is as it was at the backup, and nothing else: this is what a restore means."""
    where = served.listening
    await require_logins(where, past.tokens)  # the revoked one among them: it is good again
    before, after = past.rotated
    assert await log_in(where, before) == 200
    assert await log_in(where, after) == 401
    assert await log_in(where, past.late) == 401
    async with Operator(where.http[0], ADMIN_TOKEN) as operator:
        events = await operator.all("/v1/events?kind=registry.restored")
        assert len(events) == 1
        device = await operator.device(past.revoked)
        assert device is not None
        assert (await operator.ask("DELETE", f"/v1/devices/{device['id']}/credentials")).status < 300
    assert await log_in(where, past.tokens[past.revoked]) == 401


async def test_an_sqlite_registry_comes_back_from_a_backup_that_was_made_under_load(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    backups = tmp_path / "backups"
    backups.mkdir()
    made: list[Any] = []

    async def back_up() -> None:
        made.append((await command(lost, "backup", "--to", str(backups), "--json")).json())

    async with Served(lost) as served:
        past = await live(Field(served), back_up)
    (backup,) = made
    assert backup["rows"]["device"] >= len(past.tokens)
    assert [path.name for path in backups.iterdir()] == [Path(backup["file"]).name]
    shutil.rmtree(lost)
    found = tmp_path / "found"
    found.mkdir()
    refused = await command(found, "restore", "--from", backup["file"], MASTER_KEY=OTHER_KEY)
    assert refused.status == 2
    assert "the registry was sealed with another master key" in refused.err
    assert list((found / "data").glob("*.db")) == []
    done = (await command(found, "restore", "--from", backup["file"], "--json")).json()
    assert done["rows"]["device"] == backup["rows"]["device"]
    async with Served(found) as served:
        await require_past(served, past)


async def test_a_postgres_registry_comes_back_from_a_dump_that_was_made_under_load(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    lost, found = postgres.make_database(), postgres.make_database()
    dump = postgres.folder / "registry.dump"

    async def back_up() -> None:
        await asyncio.to_thread(postgres.run, "pg_dump", "-Fc", "-f", dump, "-d", postgres.url(lost))

    async with Served(tmp_path / "lost", DATABASE=postgres.url(lost)) as served:
        past = await live(Field(served), back_up)
    postgres.sql("postgres", f"DROP DATABASE {lost} WITH (FORCE)")
    await asyncio.to_thread(postgres.run, "pg_restore", "--exit-on-error", "--no-owner", "-d", postgres.url(found), dump)
    folder = tmp_path / "found"
    folder.mkdir()
    marked = await command(folder, "restore", "--in-place", "--json", DATABASE=postgres.url(found))
    assert marked.json()["contexts"] == 0
    async with Served(folder, DATABASE=postgres.url(found)) as served:
        await require_past(served, past)


async def challenged(device: Protecting, datagram: bytes) -> int:
    """Send a datagram that the gateway cannot tell from an old one; return the number that its challenge is protected with."""
    answer = await device.ask(datagram)
    value = answer.options[OSCORE]  # RFC 8613, section 6.1: how long the number is stands in the first byte
    length = value[0] & 7
    assert (answer.dotted, length > 0) == ("2.04", True), answer.payload
    return int.from_bytes(value[1 : 1 + length], "big")


@pytest.mark.parametrize("used", [True, False])
async def test_no_oscore_number_is_used_again_and_nothing_that_was_heard_since_the_backup_counts(
    tmp_path: Path, used: bool
) -> None:
    """Whether the context was in use at the backup or came into use after it."""
    folder = tmp_path / "gateway"
    async with opened(folder / "data") as running:
        await make_context(running)
        device = Protecting(running.listening.coap[0].port, SHARED)
        if used:
            assert device.opened((await device.ask(report(device))).raw).code == aiocoap.CREATED
        copied = await asyncio.to_thread(
            storage_backup.back_up, folder / "data/firstlight.db", tmp_path / "copy.db", lambda done, total: None
        )
        heard = report(device)
        assert device.opened((await device.ask(heard)).raw).code == aiocoap.CREATED
    with restoring.staged(Path(copied.file), folder / "data/firstlight.db", "before", lambda done, total: None) as staged:
        assert staged.put(an_event(kind=EventKind.REGISTRY_RESTORED)).contexts == 1
    async with opened(folder / "data") as running:
        device = back(running, device)
        assert await challenged(device, again(heard, 0x7001)) >= LEAP
        assert device.opened((await device.ask(report(device))).raw).code == aiocoap.UNAUTHORIZED
        challenge = device.opened((await device.ask(report(device))).raw)
        proved = device.request(TELEMETRY, aiocoap.POST, payload=READING.encode(), echo=challenge.opt.echo)
        assert device.opened((await device.ask(proved)).raw).code == aiocoap.CREATED
        assert is_replay(await device.ask(again(heard, 0x7002)))
        assert device.opened((await device.ask(report(device))).raw).code == aiocoap.CREATED
        device.close()


async def make_context(running: Running) -> None:
    """Define a device with the context of the tests."""
    shared = {name: getattr(SHARED, name) for name in ("device_id", "server_id", "salt", "id_context")}
    credential = {"type": "oscore", "secret": SHARED.secret.reveal(), **shared}
    async with Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "meters"})
        await operator.post("/v1/devices", {"name": "m-1", "profile": "meters", "credential": credential})


def back(running: Running, before: Protecting) -> Protecting:
    """Return a device that comes again, with the numbers that it had."""
    before.close()
    device = Protecting(running.listening.coap[0].port, SHARED)
    device.keys, device.mid, device.asked = before.keys, before.mid + 1_000, before.asked
    return device


async def test_backups_that_are_killed_leave_nothing_that_looks_like_one(tmp_path: Path) -> None:
    folder, backups = tmp_path / "gateway", tmp_path / "backups"
    backups.mkdir()
    chance = random.Random(20_261_123)
    async with opened(folder / "data") as running:
        async with Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/profiles", {"name": "meters"})
        for _ in range(3):
            process = await begin(folder, "backup", "--to", str(backups), "--json")
            await asyncio.sleep(chance.uniform(0.2, 0.7))
            if process.returncode is None:
                process.kill()
            await process.communicate()
        last = (await command(folder, "backup", "--to", str(backups), "--json")).json()
    left = sorted(path for path in backups.iterdir())
    assert Path(last["file"]) in left
    for path in left:  # those that were killed before they had made one, and left something, are gone by now
        with contextlib.closing(storage_backup.open_to_read(path)) as copy:
            storage_backup.require_whole(copy)
            assert storage_backup.row_counts(copy)["profile"] == 1


async def test_restores_that_are_killed_leave_the_former_registry_or_the_restored_one(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    chance = random.Random(20_261_124)
    async with opened(folder / "data") as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "meters"})
        made = (await command(folder, "backup", "--to", str(tmp_path / "copy.db"), "--json")).json()
        await operator.post("/v1/profiles", {"name": "pumps"})
    seen: set[tuple[str, ...]] = set()
    for _ in range(3):
        process = await begin(folder, "restore", "--from", made["file"])
        await asyncio.sleep(chance.uniform(0.2, 0.8))
        if process.returncode is None:
            process.kill()
        await process.communicate()
        async with opened(folder / "data") as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            seen.add(tuple(sorted(each["name"] for each in await operator.all("/v1/profiles"))))
    assert seen <= {("meters", "pumps"), ("meters",)}
