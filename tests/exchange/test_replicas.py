"""Two gateways over one registry: what is changed through one ends sessions and changes rights on the other."""

import asyncio
from collections.abc import Callable

import pytest

from adapters.attending import Attendance
from adapters.watching import WatchedRepository, Watches
from core.authenticate import Authenticate
from core.limits import Rate
from core.lockout import Lockout
from core.messages import Identity, MqttLogin
from core.notices import EVENTS, session_key
from core.operate.configuring import ChangeConfig, ShownConfig
from core.operate.messages import ChangeDevice, Command, DeleteDevice, RevokeCredentials, RotateCredentials
from core.permit import Permit
from core.topic_spaces import TopicSpace
from tests.exchange.answering_bench import DEADLINE, PEER
from tests.operating import DEVICE_CONTEXT, ContendedRepository, Desk

Told = Callable[[frozenset[str]], None]
CHANNEL = TopicSpace(prefix="channels/{channel}")


class Wire:
    """What replicas tell each other through: each hears the others and not itself, from the loop and later."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.told: list[frozenset[str]] = []

    def end(self) -> "End":
        """Return the end of one more replica."""
        end = End(self)
        self.ends.append(end)
        return end


class End:
    """One replica's end. Satisfies `core.ports.Notifier`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._listeners: list[Told] = []

    def tell(self, names: frozenset[str]) -> None:
        """Let the others know."""
        self._wire.told.append(names)
        for other in self._wire.ends:
            if other is not self:
                other.hear(names)

    def hear(self, names: frozenset[str]) -> None:
        """Hand names on, as soon as the loop gets to it."""
        for told in self._listeners:
            asyncio.get_running_loop().call_soon(told, names)

    def listen(self, told: Told) -> Callable[[], None]:
        """Hand names on to this as well."""
        self._listeners.append(told)
        return lambda: self._listeners.remove(told)


class Replica:
    """One gateway: a watched registry, and what connections ask."""

    def __init__(self, repository: ContendedRepository, wire: Wire, desk: Desk | None = None) -> None:
        self.watches = Watches()
        self.notifier = wire.end()
        self.repository = WatchedRepository(repository, self.watches, self.notifier)
        self.desk = Desk(repository=self.repository)  # type: ignore[arg-type] # it counts no commits, which nobody asks here
        # Replicas have their master key, and here their clock, in common.
        parts = desk or self.desk
        failures = Lockout(Rate(0, 0))
        self.authenticate = Authenticate(self.repository, parts.issuer, parts.audit, failures)
        self.permit = Permit(self.repository, parts.issuer)

    async def login(self, made: ShownConfig) -> Identity:
        """Log in with the secret of a configuration."""
        assert made.secret is not None
        return await self.authenticate(MqttLogin("", made.device.id, made.secret), DEVICE_CONTEXT)

    def attend(self, identity: Identity) -> asyncio.Event:
        """Return what is set when the session of this identity is to end."""
        ended = asyncio.Event()
        Attendance(identity, PEER, self.authenticate.holds, ended.set, self.watches)
        return ended


async def pair() -> tuple[Replica, Replica, Wire, ShownConfig]:
    """Return two replicas and an active configuration."""
    wire, repository = Wire(), ContendedRepository()
    one = Replica(repository, wire)
    other = Replica(repository, wire, one.desk)
    (channel,) = await one.desk.channels("control")
    made = await one.desk.config(channels=(channel,))
    await one.desk(ChangeConfig(id=made.config.id, active=True))
    await _settled()
    return one, other, wire, made


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("what", ["revoke", "rotate", "disable", "delete", "state 0"])
async def test_what_is_taken_away_through_one_ends_the_session_on_the_other(what: str) -> None:
    one, other, _, made = await pair()
    commands: dict[str, Command] = {
        "revoke": RevokeCredentials(made.device.id),
        "rotate": RotateCredentials(made.device.id),
        "disable": ChangeDevice(ref=made.device.name, enabled=False),
        "delete": DeleteDevice(made.device.name),
        "state 0": ChangeConfig(id=made.config.id, active=False),
    }
    ended = other.attend(await other.login(made))
    bystander = other.attend(await other.login(await _another(one)))
    await one.desk(commands[what])
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    assert not bystander.is_set()
    assert len(other.watches) == 1


async def _another(replica: Replica) -> ShownConfig:
    made = await replica.desk.config("other")
    await replica.desk(ChangeConfig(id=made.config.id, active=True))
    return made


async def test_a_channel_that_is_taken_away_through_one_is_told_to_whoever_has_it_on_the_other() -> None:
    one, other, _, made = await pair()
    identity = await other.login(made)
    grants = await other.permit(identity, [CHANNEL])
    assert len(grants.grants) == 1
    told = asyncio.Event()
    other.watches.watch("\n".join(grants.parts), told.set)
    await one.desk(ChangeConfig(id=made.config.id, channels=()))
    async with asyncio.timeout(DEADLINE):
        await told.wait()
    assert (await other.permit(identity, [CHANNEL])).grants == ()


async def test_each_is_told_once_of_what_it_did_itself() -> None:
    one, other, wire, made = await pair()
    told: list[str] = []
    one.watches.watch(session_key(made.device.id), lambda: told.append("one"))
    other.watches.watch(session_key(made.device.id), lambda: told.append("other"))
    wire.told.clear()
    await one.desk(ChangeDevice(ref=made.device.name, enabled=False))
    assert told == ["one"]  # it has not to wait for the others
    await _settled()
    assert told == ["one", "other"]
    assert len(wire.told) == 1


async def test_followers_hear_of_events_on_the_other() -> None:
    one, other, _, made = await pair()
    heard: list[frozenset[str]] = []
    stop = other.watches.follow(heard.append)
    await one.desk(ChangeDevice(ref=made.device.name, enabled=False))
    await _settled()
    assert heard == [frozenset({EVENTS}) | heard[0]]
    assert session_key(made.device.id) in heard[0]
    stop()
    await one.desk(ChangeDevice(ref=made.device.name, enabled=True))
    await _settled()
    assert len(heard) == 1


async def test_what_arrives_late_twice_or_for_nothing_does_no_harm() -> None:
    _, other, _, made = await pair()
    ended = other.attend(await other.login(made))
    for names in (frozenset({session_key(made.device.id)}), frozenset({"unknown"}), frozenset[str](), frozenset({EVENTS})):
        for _ in range(2):
            other.notifier.hear(names)
            await _settled()
    assert not ended.is_set()
    assert len(other.watches) == 1
