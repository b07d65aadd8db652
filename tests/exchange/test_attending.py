"""A connection is told when what it proved at its login is true no longer."""

import asyncio
import time

import msgspec
import pytest
from structlog.testing import capture_logs

from adapters import attending
from core.errors import Reason, Refusal
from core.messages import AccessToken, MqttLogin
from core.model import CredentialId, Secret
from core.notices import session_key
from core.operate.configuring import ChangeConfig, DeleteConfig
from core.operate.messages import ChangeDevice, DeleteDevice, RotateCredentials
from core.ports import Changes, Delete
from tests.core.registry import CONTEXT, Registry
from tests.exchange.answering_bench import DEADLINE, IDENTITY, PEER, Bench
from tests.operating import Desk


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def change(bench: Bench) -> None:
    """Tell the watchers of the device that something about it changed."""
    bench.watches.tell(frozenset({session_key(IDENTITY.device)}))


async def test_it_is_told_once_when_its_proof_holds_no_longer() -> None:
    bench = Bench()
    told: list[str] = []
    leave = bench.answering.attend(IDENTITY, PEER, lambda: told.append("ended"))
    change(bench)
    await settled()
    assert told == []
    bench.holds = False
    change(bench)
    change(bench)
    await settled()
    assert told == ["ended"]
    assert len(bench.watches) == 0
    leave()
    leave()


async def test_who_left_is_told_nothing() -> None:
    bench = Bench()
    told: list[str] = []
    leave = bench.answering.attend(IDENTITY, PEER, lambda: told.append("ended"))
    bench.holds = False
    change(bench)
    leave()
    await settled()
    assert told == []
    assert len(bench.watches) == 0


async def test_what_changes_while_it_is_asked_about_is_asked_about_again() -> None:
    bench = Bench()
    told: list[str] = []
    bench.answering.attend(IDENTITY, PEER, lambda: told.append("ended"))
    change(bench)
    await asyncio.sleep(0)
    bench.holds = False
    change(bench)
    await settled()
    assert told == ["ended"]


async def test_a_change_between_login_and_watch_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attending, "FIRST_LOOK_SECONDS", 0.01)
    bench = Bench()
    bench.holds = False
    ended = asyncio.Event()
    bench.answering.attend(IDENTITY, PEER, ended.set)
    async with asyncio.timeout(DEADLINE):
        await ended.wait()


async def test_it_is_asked_again_when_the_time_of_its_proof_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attending, "FIRST_LOOK_SECONDS", 0.01)
    bench = Bench()
    bench.until = int(time.time() * 1000) + 50
    ended = asyncio.Event()
    bench.answering.attend(IDENTITY, PEER, ended.set)
    await asyncio.sleep(0.03)
    bench.holds = False
    async with asyncio.timeout(DEADLINE):
        await ended.wait()


async def test_who_logs_in_just_before_its_time_is_over_stays_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attending, "FIRST_LOOK_SECONDS", 3_600.0)
    bench = Bench()
    bench.holds = False
    ended = asyncio.Event()
    late = msgspec.structs.replace(IDENTITY, until=int(time.time() * 1000) + 20)
    bench.answering.attend(late, PEER, ended.set)
    async with asyncio.timeout(DEADLINE):
        await ended.wait()


async def test_a_proof_that_holds_for_long_is_looked_at_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attending, "FAR_SECONDS", 0.01)
    bench = Bench()
    bench.until = int(time.time() * 1000) + 10**12
    ended = asyncio.Event()
    bench.answering.attend(IDENTITY, PEER, ended.set)
    change(bench)
    await settled()
    bench.holds = False
    async with asyncio.timeout(DEADLINE):
        await ended.wait()


@pytest.mark.parametrize(
    ("fault", "logged"),
    [(Refusal(Reason.UNAVAILABLE, "not now", check="storage.failed"), 0), (RuntimeError("a fault of our own"), 1)],
)
async def test_where_there_is_no_answer_it_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, logged: int
) -> None:
    monkeypatch.setattr(attending, "RETRY_SECONDS", 0.01)
    bench = Bench()
    bench.holds = fault
    ended = asyncio.Event()
    bench.answering.attend(IDENTITY, PEER, ended.set)
    with capture_logs() as logs:
        change(bench)
        await settled()
    assert len([line for line in logs if line["log_level"] == "error"]) == logged
    assert not ended.is_set()
    bench.holds = False
    async with asyncio.timeout(DEADLINE):
        await ended.wait()


@pytest.mark.parametrize(
    "command",
    [
        ChangeDevice(ref="aa:bb", enabled=False),
        DeleteDevice("aa:bb"),
        DeleteConfig(id="aa:bb"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_an_external_key_holds_as_long_as_its_configuration_and_its_device(command: object) -> None:
    desk = Desk()
    made = await desk.config()
    identity = await desk.login("aa:bb", "external key")
    assert (await desk.authenticate.holds(identity)).holds
    await desk(DeleteConfig(id=made.config.id) if isinstance(command, DeleteConfig) else command)  # type: ignore[arg-type] # a table
    assert not (await desk.authenticate.holds(identity)).holds


async def test_a_credential_holds_until_it_is_replaced() -> None:
    desk = Desk()
    made = await desk.config()
    assert made.secret is not None
    await desk(ChangeConfig(id=made.config.id, active=True))
    identity = await desk.login(made.device.id, made.secret.reveal())
    assert (await desk.authenticate.holds(identity)).holds
    await desk(RotateCredentials(made.device.id))
    assert not (await desk.authenticate.holds(identity)).holds


async def test_an_access_token_holds_until_it_is_revoked() -> None:
    registry = Registry()
    device = await registry.device(await registry.profile(), "m1", AccessToken(Secret("token-of-m1")))
    identity = await registry.authenticate(MqttLogin(username="token-of-m1"), CONTEXT)
    assert identity.credential != CredentialId("")
    assert (await registry.authenticate.holds(identity)).holds
    (credential,) = (await registry.known("m1")).credentials
    await registry.repository.commit(Changes(delete=(Delete(credential),)))
    assert not (await registry.authenticate.holds(identity)).holds
    assert device.name == identity.device_name
