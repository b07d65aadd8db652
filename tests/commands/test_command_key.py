"""`firstlight key`: rotation beside running gateways, killed in the middle, over one file and over several replicas."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from adapters import upkeep
from adapters.app import Running
from adapters.config import SettingError
from tests.commands.conftest import Result
from tests.e2e.drilling import begin, command, log_in
from tests.e2e.gateways import ADMIN_TOKEN, MASTER_KEY, environment, opened
from tests.e2e.load import over_http
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS
from tests.postgres_server import PostgresServer
from tests.protocols.world import SAME

OLD, NEW = MASTER_KEY, "c3" * 32
BOTH = {"MASTER_KEY": NEW, "MASTER_KEY_PREVIOUS": OLD}
FIRST_STEP = {"MASTER_KEY": OLD, "MASTER_KEY_PREVIOUS": NEW}
QUICK = {"REQUESTS_SECONDS": "0.2"}  # so that a rotation waits no longer for the requests under way
FILES: dict[str, str | None] = {"MASTER_KEY": None}
DEVICES = 900


async def make_profile(running: Running) -> None:
    async with Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        body = {"name": "same", "provision_key": SAME.key, "provision_secret": SAME.secret, "reprovision": "same"}
        await operator.post("/v1/profiles", body)


async def import_devices(running: Running) -> dict[str, str]:
    """Define many devices and return their tokens by name."""
    tokens = {f"meter-{number:04}": f"token-of-meter-{number:04}" for number in range(DEVICES)}
    devices = [
        {"name": name, "profile": "same", "credential": {"type": "access_token", "token": token}}
        for name, token in tokens.items()
    ]
    async with Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        done = await operator.post("/v1/devices:import", {"devices": devices})
    assert done["created"] == DEVICES, done
    return tokens


async def ask_again(running: Running, name: str) -> str:
    """Let a device ask for its credentials, which it is given once more: what is sealed has to open."""
    async with over_http(running.listening) as ask:
        answer = json.loads(await ask(json.dumps(SAME.claim(deviceName=name)).encode()))
    assert answer["status"] == "SUCCESS", answer
    token: str = answer["credentialsValue"]
    return token


def key_ids(database: Path) -> set[str]:
    """Return the ids of the keys that credentials are sealed under."""
    with closing(sqlite3.connect(database)) as connection:
        return {identity for (identity,) in connection.execute("SELECT DISTINCT hex(substr(sealed, 2, 4)) FROM credential")}


async def test_a_rotation_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """The gateway made its key itself; the file of that gets the other name, and the gateway makes a new one."""
    data = tmp_path / "data"
    database = data / "firstlight.db"
    async with opened(data, **FILES) as running:
        await make_profile(running)
        tokens = await import_devices(running)
    (data / "master-key").rename(data / "master-key-previous")
    async with opened(data, **FILES) as running:
        killed = await begin(tmp_path, "key", "rotate", **FILES, **QUICK)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(key_ids(database)) == 1:  # noqa: ASYNC110 - another process is watched
                await asyncio.sleep(0.001)
        killed.kill()
        await killed.communicate()
        rotation = asyncio.create_task(command(tmp_path, "key", "rotate", "--json", **FILES, **QUICK))
        for name in list(tokens)[::20]:
            assert await ask_again(running, name) == tokens[name]
        done = (await rotation).json()
    assert (done["retired"], done["verified"], len(key_ids(database))) == (1, DEVICES + 1, 1)
    old = (data / "master-key-previous").read_text().strip()
    (data / "master-key-previous").unlink()
    with pytest.raises(SettingError, match="sealed with another master key"):
        async with opened(data, MASTER_KEY=old):
            pass
    async with opened(data, **FILES) as running:
        for name in list(tokens)[::100]:
            assert await log_in(running.listening, tokens[name]) == 200
            assert await ask_again(running, name) == tokens[name]
        assert await ask_again(running, "a-new-one")


async def test_replicas_are_given_the_new_key_one_by_one(tmp_path: Path, postgres: PostgresServer) -> None:
    """At every moment each of two replicas opens what the other one seals, whichever of two steps it has taken."""
    database = {"DATABASE": postgres.url(postgres.make_database())}
    tokens: dict[str, str] = {}

    async def both_serve(step: str, first: dict[str, str], second: dict[str, str]) -> None:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(opened(tmp_path / "one", **database, **first))
            two = await stack.enter_async_context(opened(tmp_path / "two", **database, **second))
            if not tokens:
                await make_profile(one)
            for here, there, name in ((one, two, f"{step} one"), (two, one, f"{step} two")):
                tokens[name] = await ask_again(here, name)
                assert await ask_again(there, name) == tokens[name]
                assert await log_in(there.listening, tokens[name]) == 200

    await both_serve("before", {}, {})
    await both_serve("half of the first step", FIRST_STEP, {})
    await both_serve("the first step", FIRST_STEP, FIRST_STEP)
    early = await command(tmp_path, "key", "rotate", **database, **BOTH)
    assert (early.status, "no gateway has been started with the new master key" in early.err) == (1, True)
    await both_serve("half of the second step", BOTH, FIRST_STEP)
    await both_serve("both steps", BOTH, BOTH)
    done = await command(tmp_path, "key", "rotate", **database, **BOTH, **QUICK)
    assert (done.status, "the previous key can go" in done.err) == (0, True)
    await both_serve("half of the third step", {"MASTER_KEY": NEW}, BOTH)
    async with opened(tmp_path / "one", **database, MASTER_KEY=NEW) as running:
        for name, token in tokens.items():
            assert await ask_again(running, name) == token
            assert await log_in(running.listening, token) == 200


async def test_a_rotation_that_came_too_early_is_noticed_by_the_gateway_that_was_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No gateway starts with the new key alone: what the one that was left behind seals would not open."""
    monkeypatch.setattr(upkeep, "PRUNE_SECONDS", 0.05)
    async with opened(tmp_path / "data"):
        pass
    async with opened(tmp_path / "data", **BOTH):
        pass
    async with opened(tmp_path / "data", **FIRST_STEP) as running:
        await make_profile(running)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await command(tmp_path, "key", "rotate", **BOTH, **QUICK)).status == 0
            while len((await command(tmp_path, "key", "list", "--json", **BOTH)).json()) == 1:  # noqa: ASYNC110 - it looks now and then
                await asyncio.sleep(0.05)
    with pytest.raises(SettingError, match="are sealed under another master key still"):
        async with opened(tmp_path / "data", MASTER_KEY=NEW):
            pass
    assert "the keys were rotated while this gateway seals under the one before" in capsys.readouterr().out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry that nobody uses."""
    folder = tmp_path_factory.mktemp("made")

    async def make() -> None:
        async with opened(folder):
            pass

    asyncio.run(make())
    return folder


@pytest.mark.parametrize(
    ("settings", "status", "sentence"),
    [
        ({"MASTER_KEY": NEW}, 2, "FIRSTLIGHT_MASTER_KEY: the registry was sealed with another master key"),
        ({"MASTER_KEY": None}, 2, "FIRSTLIGHT_MASTER_KEY: set it as for the gateway, or make "),
        ({"MASTER_KEY_PREVIOUS": "short"}, 2, "FIRSTLIGHT_MASTER_KEY_PREVIOUS: the key is not 32 bytes"),
        (BOTH, 1, "no gateway has been started with the new master key yet"),
        ({"DATABASE": "memory:"}, 1, "a registry in memory has no keys to rotate"),
        ({"DATABASE": "sqlite:/nowhere/registry.db"}, 1, "cannot be opened"),
    ],
)
def test_what_cannot_be_done(
    made: Path, run: Callable[..., Result], settings: dict[str, str | None], status: int, sentence: str
) -> None:
    done = run("key", "rotate", **environment(made, **settings))
    assert (done.status, sentence in done.err, done.out) == (status, True, ""), done
    assert len(done.err.splitlines()) == 1
    assert NEW not in done.err
    assert OLD not in done.err


def test_one_key_alone_is_looked_for_and_nothing_is_done(made: Path, run: Callable[..., Result]) -> None:
    done = run("key", "rotate", **environment(made))
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("sealed again: 0; looked at in the end, all under the key ")


def test_the_keys_are_listed(made: Path, run: Callable[..., Result]) -> None:
    head, line = run("key", "list", **environment(made)).out.splitlines()
    assert head.split() == ["ID", "USE", "SINCE"]
    assert line.split()[1] == "seals"
    for settings, use in (({"MASTER_KEY": NEW}, "not at hand"), (BOTH, "opens")):
        (key,) = run("key", "list", "--json", **environment(made, **settings)).json()
        assert key["use"] == use


def test_one_that_is_interrupted_says_what_became_of_it(
    made: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(coroutine: object) -> None:
        coroutine.close()  # type: ignore[attr-defined]  # a coroutine is given
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupt)
    done = run("key", "rotate", **environment(made))
    assert (done.status, "the same command does what is left" in done.err) == (130, True)
