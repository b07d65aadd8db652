"""What devices and users are permitted, read from the registry as it is."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from core.messages import Identity, Triple
from core.model import (
    DEFAULT_TENANT,
    ChannelId,
    CredentialId,
    Device,
    DeviceId,
    DeviceState,
    DirectoryEntry,
    EntryId,
    EntryKind,
    ProfileId,
    Role,
    Secret,
    Strategy,
    TenantId,
)
from core.operate.configuring import ChangeConfig, DeleteChannel
from core.operate.messages import (
    AddCredential,
    ChangeDevice,
    CreateProfile,
    DeleteDevice,
    ProposedToken,
    ProposedTriple,
    ReadCredentials,
    RevokeCredentials,
    RotateCredentials,
    SignedRules,
)
from core.permit import ANY_DEVICE, NAMED_DEVICES, OWNED_DEVICES, owner_part
from core.ports import Changes
from core.topic_spaces import Action, Grants, Holder, TopicSpace
from tests.core.directing import Reception
from tests.operating import Desk

OWN = TopicSpace(prefix="own/{tenant}/{device}")
KEYS = TopicSpace(prefix="/sys/{product_key}/{device_key}")
CHANNEL = TopicSpace(prefix="channels/{channel}")
MARKED = TopicSpace(prefix="gateway", upstream="own/{tenant}/{device}/gateway", marked="gateway")
OWNED = TopicSpace(prefix="own/{tenant}/{device}", holder=Holder.END_USER)
ALL = TopicSpace(prefix="own/{tenant}", holder=Holder.ACCOUNT_USER)
SEEN = TopicSpace(prefix="own/{tenant}", holder=Holder.ACCOUNT_AUDITOR, actions=frozenset({Action.SUBSCRIBE}))
SPACES = (OWN, KEYS, CHANNEL, MARKED, OWNED, ALL, SEEN)


def of(device: Device | DirectoryEntry, **fields: Any) -> Identity:
    """Return the identity that a login of this device or user came to."""
    user = isinstance(device, DirectoryEntry)
    made = Identity(device.tenant, DeviceId(device.id), device.name, CredentialId("c"), user=user)
    return msgspec.structs.replace(made, **fields)


def prefixes(grants: Grants) -> list[str]:
    return [grant.prefix for grant in grants.grants]


async def permitted(desk: Desk, device: Device | DirectoryEntry, spaces: Iterable[TopicSpace] = SPACES) -> Grants:
    return await desk.permit(of(device), spaces)


# Devices


async def test_a_device_has_its_own_topics() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    found = await permitted(desk, device)
    assert prefixes(found) == [f"own/default/{device.id}"]
    assert found.parts == (device.id,)
    assert (await permitted(desk, device, iter(SPACES))) == found


@pytest.mark.parametrize("change", [{"enabled": False}, {"state": DeviceState.DISCARDED}])
async def test_a_device_that_is_not_let_in_has_nothing(change: dict[str, Any]) -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    await desk(ChangeDevice(ref=device.name, **change))
    found = await permitted(desk, device)
    assert (prefixes(found), found.parts) == ([], (device.id,))
    back = {"enabled": True} if "enabled" in change else {"state": DeviceState.DEFINED}
    await desk(ChangeDevice(ref=device.name, **back))
    assert prefixes(await permitted(desk, device))


async def test_a_device_that_is_gone_has_nothing() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    await desk(DeleteDevice(device.name))
    found = await permitted(desk, device)
    assert (prefixes(found), found.parts) == ([], (device.id,))


async def test_an_external_key_alone_gives_nothing() -> None:
    desk = Desk()
    (channel,) = await desk.channels("control")
    made = await desk.config(channels=(channel,))
    await desk(ChangeConfig(id=made.config.id, active=True))
    identity = await desk.login("aa:bb", "external key")
    assert identity.credential is None
    found = await desk.permit(identity, SPACES)
    assert (prefixes(found), found.parts) == ([], (made.device.id,))


async def test_another_tenants_device_is_nobodys() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    assert prefixes(await desk.permit(of(device, tenant=TenantId("elsewhere")), SPACES)) == []


async def test_channels_are_those_of_an_active_configuration() -> None:
    desk = Desk()
    one, two, other = await desk.channels("one", "two", "other")
    made = await desk.config(channels=(one, two))
    own = f"own/default/{made.device.id}"
    found = await permitted(desk, made.device)
    assert (prefixes(found), found.parts) == ([own], (made.device.id,))
    assert not await desk.permit.channel(DEFAULT_TENANT, made.device.id, ChannelId(one))
    await desk(ChangeConfig(id=made.config.id, active=True))
    found = await permitted(desk, made.device)
    assert prefixes(found) == [own, f"channels/{one}", f"channels/{two}"]
    assert found.parts == (made.device.id, one, two)
    for channel, usable in ((one, True), (two, True), (other, False), ("unknown", False)):
        assert await desk.permit.channel(DEFAULT_TENANT, made.device.id, ChannelId(channel)) is usable
    assert not await desk.permit.channel(TenantId("elsewhere"), made.device.id, ChannelId(one))
    await desk(DeleteChannel(id=one))
    assert prefixes(await permitted(desk, made.device)) == [own, f"channels/{two}"]
    await desk(ChangeConfig(id=made.config.id, active=False))
    assert prefixes(await permitted(desk, made.device)) == [own]


async def test_a_device_without_a_credential_has_no_channels() -> None:
    desk = Desk()
    (channel,) = await desk.channels("control")
    made = await desk.config(channels=(channel,))
    await desk(ChangeConfig(id=made.config.id, active=True))
    await desk(RevokeCredentials(made.device.id))
    assert (await permitted(desk, made.device, [CHANNEL])).grants == ()


async def test_a_device_without_a_configuration_has_no_channels() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    (channel,) = await desk.channels("one")
    assert not await desk.permit.channel(DEFAULT_TENANT, device.id, ChannelId(channel))


@pytest.mark.parametrize(("value", "marked"), [(True, True), (False, False), ("true", False), (1, False), (None, False)])
async def test_a_marked_space_is_for_those_whose_metadata_says_true(value: object, marked: bool) -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    await desk(ChangeDevice(ref=device.name, metadata={"gateway": value}))
    found = await permitted(desk, device, [OWN, MARKED])
    assert ("gateway" in prefixes(found)) is marked
    own = f"own/default/{device.id}"
    assert found.withheld == (frozenset() if marked else {f"{own}/gateway"})
    assert found.publish("gateway/x") == (f"{own}/gateway/x" if marked else None)
    assert found.publish(f"{own}/gateway/x") is None


# Triples


async def signing(desk: Desk) -> Device:
    await desk(CreateProfile(name="meters", strategy=Strategy.SIGNED, signed=SignedRules(product_key="pk")))
    return await desk.device()


async def key_prefixes(desk: Desk) -> list[str]:
    """Return the prefixes of the triples that the device has, the oldest first."""
    values = [each.value for each in (await desk(ReadCredentials("meter-1"))).items]
    return [f"/sys/pk/{value.device_key}" for value in values if isinstance(value, Triple)]


async def test_a_device_has_the_topics_of_its_triple() -> None:
    desk = Desk()
    device = await signing(desk)
    found = await permitted(desk, device, [KEYS])
    (own,) = await key_prefixes(desk)
    assert prefixes(found) == [own]
    assert found.publish(f"{own}/thing/event") == f"{own}/thing/event"


async def test_while_triples_overlap_each_has_its_own_topics() -> None:
    desk = Desk()
    device = await signing(desk)
    await desk(RotateCredentials("meter-1", overlap_seconds=60))
    old, new = await key_prefixes(desk)
    assert prefixes(await permitted(desk, device, [KEYS])) == [old, new]
    desk.clock.advance(61)
    assert prefixes(await permitted(desk, device, [KEYS])) == [new]


async def test_the_keys_of_two_triples_are_not_mixed() -> None:
    desk = Desk()
    device = await signing(desk)
    await desk(AddCredential(ref="meter-1", credential=ProposedTriple()))
    await desk(AddCredential(ref="meter-1", credential=ProposedToken(Secret("a token of twenty ch"))))
    turned = TopicSpace(prefix="/sys/{product_key}/{device_key}", upstream="up/{device_key}/{product_key}")
    found = await permitted(desk, device, [turned, OWN])
    one, two = await key_prefixes(desk)
    assert prefixes(found) == [one, two, f"own/default/{device.id}"]
    assert found.publish(f"{two}/x") == f"up/{two.rpartition('/')[2]}/pk/x"


async def test_a_device_without_a_triple_has_none_of_their_topics() -> None:
    desk = Desk()
    await desk.profile()
    assert (await permitted(desk, await desk.device(), [KEYS])).grants == ()


# Ids


@pytest.mark.parametrize("identity", ["me", "up", "d", "messages", "own", "$SYS", "é"])
async def test_ids_that_look_like_something_else_stand_for_themselves(identity: str) -> None:
    desk = Desk()
    device = await placed(desk, identity)
    assert prefixes(await permitted(desk, device, [OWN])) == [f"own/default/{identity}"]


@pytest.mark.parametrize("identity", ["a/b", "/", "+", "#", "a+", "a#b", "*", ">", "{tenant}"])
async def test_ids_that_are_no_level_have_no_topics(identity: str) -> None:
    desk = Desk()
    device = await placed(desk, identity)
    found = await permitted(desk, device)
    assert (found.grants, found.parts) == ((), (identity,))


async def test_ids_that_begin_alike_are_apart() -> None:
    desk = Desk()
    one, other = [await permitted(desk, await placed(desk, identity), [OWN]) for identity in ("a", "ab")]
    assert one.publish("own/default/ab/x") is other.publish("own/default/a/x") is None
    assert one.publish("own/default/a/b/x") == "own/default/a/b/x"


async def placed(desk: Desk, identity: str) -> Device:
    """Put a device of this id into the registry."""
    profile = await desk.profile(name=f"of {identity}")
    now = desk.clock.now()
    device = Device(
        id=DeviceId(identity), tenant=DEFAULT_TENANT, profile=profile.id, name=identity, created_at=now, updated_at=now
    )
    await desk.repository.commit(Changes(insert=(device,)))
    return device


# Users


@pytest.mark.parametrize(
    ("role", "said", "heard"),
    [
        (None, True, True),
        (Role.ADMIN, True, True),
        (Role.OPERATOR, True, True),
        (Role.AUDITOR, False, True),
        (Role.FACTORY, False, False),
        (Role.CUSTOMER, False, False),
    ],
)
async def test_account_users_have_all_devices_as_their_role_says(role: Role | None, said: bool, heard: bool) -> None:
    desk = Reception()
    user = await desk.entry(EntryKind.ACCOUNT_USER, name="Ann", role=role)
    found = await permitted(desk, user)
    assert found.parts == (user.id,)
    for topic in ("own/default/d/x", "own/default"):
        assert (found.publish(topic) is not None) is found.may_publish(topic) is said
        assert (found.subscribe(topic) is not None) is found.may_subscribe(topic) is heard
    assert (found.subscribe("own/default/#") is not None) is heard
    assert found.subscribe("own/#") is found.subscribe("own/other/d") is found.subscribe("own/+/d") is None


async def test_who_is_no_user_has_nothing() -> None:
    desk = Reception()
    organization = await desk.organization()
    found = await permitted(desk, organization)
    assert (found.grants, found.parts) == ((), (organization.id,))
    gone = Identity(DEFAULT_TENANT, DeviceId("gone"), "gone", CredentialId("c"), user=True)
    found = await desk.permit(gone, SPACES)
    assert (found.grants, found.parts) == ((), ("gone",))


async def test_a_user_is_not_taken_for_the_device_of_its_id() -> None:
    desk = Reception()
    user = await desk.entry(EntryKind.END_USER, name="Ann")
    device = await placed(desk, user.id)
    assert prefixes(await permitted(desk, user)) == []
    assert prefixes(await permitted(desk, device)) == [f"own/default/{user.id}"]


async def test_an_end_user_of_no_organization_has_nothing() -> None:
    desk = Reception()
    await desk.register(await desk.template())  # the tenant's own
    user = await desk.entry(EntryKind.END_USER, name="Ann")
    found = await permitted(desk, user)
    assert (found.grants, found.parts) == ((), (user.id,))


@pytest.mark.parametrize("count", [0, 1, NAMED_DEVICES, NAMED_DEVICES + 1, 40, OWNED_DEVICES + 1])
async def test_an_end_user_has_the_devices_of_its_organization(count: int) -> None:
    desk = Reception()
    north = await desk.organization("North")
    user = await desk.entry(EntryKind.END_USER, name="Ann", parent=north.id)
    await placed(desk, "not hers")
    devices = await owned(desk, north, count)
    found = await permitted(desk, user)
    assert prefixes(found) == [f"own/default/{device.id}" for device in devices[:OWNED_DEVICES]]
    names = [device.id for device in devices] if count <= NAMED_DEVICES else [ANY_DEVICE]
    assert found.parts == (user.id, owner_part(north.id), *names)
    assert found.subscribe("own/default/#") is found.subscribe("own/default/+/x") is None


async def test_devices_that_are_not_let_in_are_no_users_either_and_are_watched_still() -> None:
    desk = Reception()
    north = await desk.organization("North")
    user = await desk.entry(EntryKind.END_USER, name="Ann", parent=north.id)
    one, two, three = await owned(desk, north, 3)
    await desk(ChangeDevice(ref=one.name, enabled=False))
    await desk(ChangeDevice(ref=two.name, state=DeviceState.DISCARDED))
    found = await permitted(desk, user)
    assert prefixes(found) == [f"own/default/{three.id}"]
    assert found.parts == (user.id, owner_part(north.id), one.id, two.id, three.id)


async def test_spaces_are_their_holders_alone() -> None:
    desk = Reception()
    north = await desk.organization("North")
    user = await desk.entry(EntryKind.END_USER, name="Ann", parent=north.id)
    (device,) = await owned(desk, north, 1)
    assert prefixes(await permitted(desk, user, [OWN, ALL, SEEN, MARKED, CHANNEL, KEYS])) == []
    assert prefixes(await permitted(desk, device, [OWNED, ALL, SEEN])) == []


async def owned(desk: Desk, organization: DirectoryEntry, count: int) -> list[Device]:
    """Put devices of an organisation into the registry."""
    profile = await desk.profile(name="owned")
    now = desk.clock.now()
    devices = [
        Device(
            id=DeviceId(f"d{number:05}"),
            tenant=DEFAULT_TENANT,
            profile=ProfileId(profile.id),
            name=f"owned-{number}",
            owner=EntryId(organization.id),
            created_at=now,
            updated_at=now,
        )
        for number in range(count)
    ]
    await desk.repository.commit(Changes(insert=tuple(devices)))
    return devices
