"""Whoever watches what grants were read from is told whenever they may be others."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from adapters import watching
from adapters.watching import WatchedRepository, Watches
from core.messages import Identity
from core.model import DEFAULT_TENANT, CredentialId, Device, DeviceId, DeviceState, DirectoryEntry, EntryKind, Role, Strategy
from core.notices import names_of, session_key
from core.operate.associating import AssociateByCode, GiveUpDevice, OfferDevice
from core.operate.configuring import ChangeClient, ChangeConfig, DeleteChannel, DeleteConfig, ShownConfig
from core.operate.directing import ChangeEntry, DeleteEntry, EditDevice, IssueUserSecret, RegisterDevice, RemoveDevice
from core.operate.messages import (
    AddCredential,
    ChangeDevice,
    CreateProfile,
    DeleteDevice,
    ProposedTriple,
    RevokeCredentials,
    RotateCredentials,
    SignedRules,
)
from core.permit import ANY_DEVICE, NAMED_DEVICES, OWNED_DEVICES, owner_part
from core.ports import Changes
from core.queries import DeviceQuery
from core.topic_spaces import Action, Grants, Holder, TopicSpace
from tests.core.directing import Reception
from tests.operating import ContendedRepository

SPACES = (
    TopicSpace(prefix="own/{tenant}/{device}"),
    TopicSpace(prefix="/sys/{product_key}/{device_key}"),
    TopicSpace(prefix="channels/{channel}"),
    TopicSpace(prefix="gateway", upstream="gateway/{device}", marked="gateway"),
    TopicSpace(prefix="own/{tenant}/{device}", holder=Holder.END_USER),
    TopicSpace(prefix="own/{tenant}", holder=Holder.ACCOUNT_USER),
    TopicSpace(prefix="own/{tenant}", holder=Holder.ACCOUNT_AUDITOR, actions=frozenset({Action.SUBSCRIBE})),
)


class Hall(Reception):
    """Operators at work on a registry that is watched, and connections that have their grants."""

    def __init__(self) -> None:
        self.watches = Watches()
        super().__init__(repository=WatchedRepository(ContendedRepository(), self.watches))

    async def connect(self, who: Device | DirectoryEntry) -> "Connection":
        """Return a connection of a device or user that has what it may have now."""
        is_user = isinstance(who, DirectoryEntry)
        identity = Identity(who.tenant, DeviceId(who.id), who.name, CredentialId("c"), user=is_user)
        connection = Connection(self, identity)
        await connection.ask()
        return connection


class Connection:
    """Keeps the grants of one device or user, and asks for them again when it is told to."""

    def __init__(self, hall: Hall, identity: Identity) -> None:
        self._hall = hall
        self._identity = identity
        self._leave: Callable[[], None] = _nothing
        self.grants = Grants()
        self.told = False

    async def ask(self) -> None:
        """Read the grants and watch what they were read from."""
        self._leave()
        self.told = False
        self.grants = await self._now()
        self._leave = self._hall.watches.watch("\n".join(self.grants.parts), self._changed)

    async def changed_by(self, command: Any) -> bool:
        """Tell whether a command changes the grants, after making sure that whoever is to know of it is told."""
        await self.ask()
        await self._hall(command)
        now = await self._now()
        changed = now.grants != self.grants.grants or now.withheld != self.grants.withheld
        assert self.told or not changed
        return changed

    async def _now(self) -> Grants:
        return await self._hall.permit(self._identity, SPACES)

    def _changed(self) -> None:
        self.told = True


def _nothing() -> None:
    return None


# Devices


async def configured(hall: Hall) -> tuple[ShownConfig, tuple[str, ...]]:
    """Make an active configuration with two channels, and one channel beside it."""
    channels = await hall.channels("one", "two", "three")
    made = await hall.config(channels=channels[:2])
    await hall(ChangeConfig(id=made.config.id, active=True))
    return made, channels


async def test_channels_that_are_connected_disconnected_or_deleted() -> None:
    hall = Hall()
    made, (one, two, three) = await configured(hall)
    device = await hall.connect(made.device)
    for command in (
        ChangeConfig(id=made.config.id, channels=(one, two, three)),
        ChangeConfig(id=made.config.id, channels=(two, three)),
        DeleteChannel(id=two),
        ChangeConfig(id=made.config.id, active=False),
        ChangeConfig(id=made.config.id, active=True),
        RevokeCredentials(made.device.id),
        RotateCredentials(made.device.id),
        DeleteConfig(id=made.config.id),
    ):
        assert await device.changed_by(command), command


async def test_a_channel_of_very_many() -> None:
    hall = Hall()
    channels = await hall.channels(*(f"channel {number}" for number in range(watching._NAMES + 10)))
    made = await hall.config(channels=channels)
    await hall(ChangeConfig(id=made.config.id, active=True))
    device = await hall.connect(made.device)
    for command in (
        DeleteChannel(id=channels[-1]),
        ChangeConfig(id=made.config.id, channels=channels[:-2]),
        ChangeConfig(id=made.config.id, active=False),
    ):
        assert await device.changed_by(command), command


@pytest.mark.parametrize(
    "command",
    [
        ChangeDevice(ref="meter-1", enabled=False),
        ChangeDevice(ref="meter-1", state=DeviceState.DISCARDED),
        ChangeDevice(ref="meter-1", metadata={"gateway": True}),
        RotateCredentials("meter-1", overlap_seconds=60),
        RotateCredentials("meter-1"),
        RevokeCredentials("meter-1"),
        AddCredential(ref="meter-1", credential=ProposedTriple()),
        DeleteDevice("meter-1"),
    ],
    ids=repr,
)
async def test_what_concerns_the_device_itself(command: Any) -> None:
    hall = Hall()
    await hall(CreateProfile(name="meters", strategy=Strategy.SIGNED, signed=SignedRules(product_key="pk")))
    device = await hall.connect(await hall.device())
    assert await device.changed_by(command)


async def test_what_is_taken_back() -> None:
    hall = Hall()
    await hall.profile()
    device = await hall.connect(await hall.device())
    for command in (
        ChangeDevice(ref="meter-1", enabled=False),
        ChangeDevice(ref="meter-1", enabled=True),
        ChangeDevice(ref="meter-1", state=DeviceState.DISCARDED),
        ChangeDevice(ref="meter-1", state=DeviceState.DEFINED),
        ChangeDevice(ref="meter-1", metadata={"gateway": True}),
        ChangeDevice(ref="meter-1", metadata={"gateway": "true"}),
    ):
        assert await device.changed_by(command), command


async def test_what_concerns_others_is_not_told() -> None:
    hall = Hall()
    made, (_, _, three) = await configured(hall)
    device = await hall.connect(made.device)
    other = await hall.config("other", channels=(three,))
    for command in (
        ChangeConfig(id=other.config.id, active=True),
        DeleteChannel(id=three),
        ChangeClient(id=other.device.id, label="other"),
        DeleteDevice(other.device.name),
    ):
        assert not await device.changed_by(command)
        assert not device.told


# Users


async def test_devices_that_change_hands_are_told_to_the_users_before_and_after() -> None:
    hall = Hall()
    template = await hall.template()
    north, south = [await hall.organization(name) for name in ("North", "South")]
    users = [await hall.entry(EntryKind.END_USER, name=each.name, parent=each.id) for each in (north, south)]
    one, other = [await hall.connect(user) for user in users]
    device = (await hall.register(template)).device
    for command, ones, others in (
        (EditDevice(id=device.id, owner=north.id), True, False),
        (EditDevice(id=device.id, owner=south.id), True, True),
        (EditDevice(id=device.id, owner=""), False, True),
        (EditDevice(id=device.id, owner=south.id), False, True),
        (ChangeDevice(ref=device.name, enabled=False), False, True),
        (ChangeDevice(ref=device.name, enabled=True), False, True),
        (EditDevice(id=device.id, owner=north.id), True, True),
        (RemoveDevice(id=device.id), True, False),
        (RegisterDevice(template=template.profile.id, serial="sn-2", owner=south.id), False, True),
    ):
        for connection in (one, other):
            await connection.ask()
        before = one.grants.grants, other.grants.grants
        await hall(command)
        told = one.told, other.told
        for connection in (one, other):
            await connection.ask()
        changed = one.grants.grants != before[0], other.grants.grants != before[1]
        assert changed == (ones, others), command
        assert told[0] >= ones, command
        assert told[1] >= others, command


async def test_devices_that_are_claimed_and_given_up() -> None:
    hall = Hall()
    template = await hall.template()
    north = await hall.organization()
    user = await hall.connect(await hall.entry(EntryKind.END_USER, name="Ann", parent=north.id))
    device = (await hall.register(template)).device
    await advance(hall, device.id)
    offered = await hall(OfferDevice(ref=device.name))
    assert await user.changed_by(AssociateByCode(code=offered.code, organization=north.id))
    assert await user.changed_by(GiveUpDevice(device.name))


async def advance(hall: Hall, identity: str) -> None:
    """Let a device have come once, as only those may be claimed."""
    found = await hall.repository.read(DeviceQuery(DEFAULT_TENANT, DeviceId(identity)))
    assert found is not None
    changed = msgspec.structs.replace(found.device, state=DeviceState.CONNECTED, version=found.device.version + 1)
    await hall.repository.commit(Changes(replace=(changed,)))


@pytest.mark.parametrize("count", [NAMED_DEVICES, NAMED_DEVICES + 1, OWNED_DEVICES + 5])
async def test_of_however_many_devices_each_is_watched(count: int) -> None:
    hall = Hall()
    template = await hall.template()
    north = await hall.organization()
    user = await hall.connect(await hall.entry(EntryKind.END_USER, name="Ann", parent=north.id))
    first = (await hall.register(template, "sn-0", owner=north.id)).device
    more = [
        msgspec.structs.replace(first, id=DeviceId(f"f{number:05}"), name=f"n{number}", serial=f"n{number}", version=1)
        for number in range(1, count)
    ]
    await hall.repository.commit(Changes(insert=tuple(more)))
    assert await user.changed_by(EditDevice(id=first.id, owner=""))
    assert await user.changed_by(EditDevice(id=more[10].id, owner=""))
    assert await user.changed_by(ChangeDevice(ref=more[11].name, enabled=False))
    assert await user.changed_by(DeleteDevice(more[12].name))


async def test_a_device_that_moves_up_when_one_that_is_not_let_in_leaves() -> None:
    """Of more devices than count, those that are not let in take a place all the same."""
    hall = Hall()
    template = await hall.template()
    north = await hall.organization()
    user = await hall.connect(await hall.entry(EntryKind.END_USER, name="Ann", parent=north.id))
    first = (await hall.register(template, "sn-0", owner=north.id)).device
    more = [
        msgspec.structs.replace(
            first, id=DeviceId(f"f{number:05}"), name=f"n{number}", serial=f"n{number}", enabled=number > 990, version=1
        )
        for number in range(1, OWNED_DEVICES + 5)
    ]
    await hall.repository.commit(Changes(insert=tuple(more)))
    assert await user.changed_by(DeleteDevice(more[5].name))


async def test_a_user_that_is_moved_changed_or_removed() -> None:
    hall = Hall()
    template = await hall.template()
    north, south = [await hall.organization(name) for name in ("North", "South")]
    for owner in (north, south):
        await hall.register(template, f"sn {owner.name}", owner=owner.id)
    ann = await hall.entry(EntryKind.END_USER, name="Ann", parent=north.id)
    user = await hall.connect(ann)
    assert await user.changed_by(ChangeEntry(kind=EntryKind.END_USER, id=ann.id, parent=south.id))
    assert await user.changed_by(ChangeEntry(kind=EntryKind.END_USER, id=ann.id, parent=""))
    assert await user.changed_by(ChangeEntry(kind=EntryKind.END_USER, id=ann.id, parent=north.id))
    await hall(IssueUserSecret(kind=EntryKind.END_USER, id=ann.id))
    assert user.told
    assert await user.changed_by(DeleteEntry(kind=EntryKind.END_USER, id=ann.id))
    assert user.grants.parts[0] == ann.id


async def test_a_user_whose_role_is_changed() -> None:
    hall = Hall()
    joe = await hall.user()
    user = await hall.connect(joe)
    for role in (Role.AUDITOR, Role.FACTORY, Role.ADMIN):
        assert await user.changed_by(ChangeEntry(kind=EntryKind.ACCOUNT_USER, id=joe.id, role=role)), role
    assert await user.changed_by(DeleteEntry(kind=EntryKind.ACCOUNT_USER, id=joe.id))


# Names


def test_no_user_has_more_names_than_are_watched_one_by_one() -> None:
    """A key of more names is watched by the first of them and all channels, which a user has none of."""
    assert 2 + NAMED_DEVICES <= watching._NAMES


async def test_a_device_is_told_under_its_owners_name_and_that_of_all() -> None:
    hall = Hall()
    north = await hall.organization()
    device = (await hall.register(await hall.template(), owner=north.id)).device
    names = names_of(Changes(replace=(device,)))
    assert names == {device.id, session_key(device.id), owner_part(north.id), ANY_DEVICE}
