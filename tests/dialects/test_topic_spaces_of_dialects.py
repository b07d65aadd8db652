"""The topic spaces of all dialects together: two devices that have everything there is, and users beside them."""

import asyncio
import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialects import device_api, operator, thingsboard, xively
from adapters.dialects.enos import device as enos
from adapters.dialects.mainflux import device as mainflux
from core.configuration import Seals
from core.messages import AccessToken, Identity, Triple
from core.model import (
    BootstrapConfig,
    Channel,
    ChannelId,
    CredentialId,
    Device,
    DeviceId,
    DirectoryEntry,
    EntryId,
    EntryKind,
    Role,
    Sealed,
    Secret,
    TenantId,
)
from core.mqtt_names import SESSION_USER
from core.operate.directing import IssueUserSecret
from core.permit import Permit
from core.ports import Changes
from core.topic_spaces import Action, Grants, Holder
from core.topics import covers, matches, valid_name
from tests.core.directing import Reception
from tests.core.registry import OTHER_TENANT, Registry

TOPICS = tuple(space for each in (thingsboard, xively, enos, mainflux, device_api, operator) for space in each.TOPICS)
TENANT = TenantId("default")
WAYS = ("telemetry", "attributes", "rpc/request/1", "up", "down", "gateway/telemetry", "v2/fw", "", "_set/fields", "../x")
IDS = ("me", "up", "down", "d", "gateway", "v2", "messages", "a", "a1", "aa", "$SYS", "svc", "cln", "blue", "0199a9d4-6c7f")


class Stock:
    """A registry with devices that have all that a dialect may ask for."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.permit = Permit(self.registry.repository, self.registry.issuer)
        self._number = 0

    async def device(self, identity: str, channels: tuple[str, ...] = (), tenant: TenantId = TENANT) -> Identity:
        """Put a gateway with a token, a triple and an active configuration into the registry."""
        self._number += 1
        number, registry, now = self._number, self.registry, self.registry.clock.now()
        profile = await registry.profile(tenant=tenant, key=f"k{number}")
        values = (AccessToken(Secret(f"token {number}")), Triple("pk", f"dk{number}", Secret("s")))
        device = Device(
            id=DeviceId(identity),
            tenant=tenant,
            profile=profile.id,
            name=f"device {number}",
            metadata={"gateway": True},
            created_at=now,
            updated_at=now,
        )
        config = Seals(registry.vault).with_external_key(
            BootstrapConfig(
                id=device.id,
                tenant=tenant,
                external_id=identity,
                external_key=Sealed(b""),
                channels=tuple(map(ChannelId, channels)),
                active=True,
                created_at=now,
                updated_at=now,
            ),
            Secret("external key"),
        )
        credentials = [await registry.issuer.issue(value, device.id, keep=True) for value in values]
        await registry.repository.commit(Changes(insert=(device, *credentials, config)))
        return Identity(tenant, device.id, device.name, credentials[0].id)

    async def channels(self, *identities: str, tenant: TenantId = TENANT) -> None:
        """Put channels into the registry."""
        now = self.registry.clock.now()
        made = (Channel(id=ChannelId(each), tenant=tenant, created_at=now, updated_at=now) for each in identities)
        await self.registry.repository.commit(Changes(insert=tuple(made)))

    async def user(self, role: Role, identity: str = "ann", tenant: TenantId = TENANT) -> Identity:
        """Put an account user into the registry."""
        now = self.registry.clock.now()
        entry = DirectoryEntry(
            id=EntryId(identity), tenant=tenant, kind=EntryKind.ACCOUNT_USER, role=role, created_at=now, updated_at=now
        )
        await self.registry.repository.commit(Changes(insert=(entry,)))
        return Identity(tenant, DeviceId(identity), identity, CredentialId("c"), user=True)

    async def grants(self, identity: Identity) -> Grants:
        """Return what somebody may do, in all dialects."""
        return await self.permit(identity, TOPICS)


async def two(one: str, other: str, own: str = "c1", others: str = "c2", shared: str = "common") -> tuple[Grants, Grants]:
    """Return the grants of two devices of two tenants that have a channel of the first in common where one is named."""
    stock = Stock()
    await stock.registry.tenant()
    await stock.channels(*(each for each in dict.fromkeys((own, others, shared)) if each))
    found = (
        await stock.device(one, tuple(filter(None, (own, shared)))),
        await stock.device(other, tuple(filter(None, (others, shared)))),
    )
    return await stock.grants(found[0]), await stock.grants(found[1])


def upstreams(grants: Grants, action: Action) -> set[str]:
    return {grant.upstream for grant in grants.grants if action in grant.actions}


def lies_in(topic: str, upstream: str) -> bool:
    return topic == upstream or topic.startswith(f"{upstream}/")


def shared_with(one: Grants, other: Grants) -> set[str]:
    return upstreams(one, Action.PUBLISH) & upstreams(other, Action.PUBLISH)


def foreign(one: Grants, other: Grants) -> set[str]:
    """Return what is the other one's alone."""
    return (upstreams(other, Action.PUBLISH) | upstreams(other, Action.SUBSCRIBE)) - shared_with(one, other)


def written(*grants: Grants) -> list[str]:
    """Return topics that somebody could try: all that there are, with all that could follow, and each in the place of each."""
    places = {text for each in grants for grant in each.grants for text in (grant.prefix, grant.upstream)}
    places |= {
        "v1/devices",
        "v1",
        "v2",
        "xi",
        "xi/blue/v1",
        "xi/blue/v1/default/d",
        "channels",
        "m/default/c",
        "/sys/pk",
        "/sys",
    }
    return [f"{place}{slash}{way}" for place in sorted(places) for slash, way in itertools.product(("/", "//", ""), WAYS)]


# What the spaces look like


def test_every_dialect_is_here() -> None:
    assert {space.holder for space in TOPICS} == set(Holder)
    assert len(TOPICS) >= 16


def test_no_space_begins_with_a_placeholder_or_where_brokers_keep_their_own() -> None:
    for space in TOPICS:
        for text in (space.prefix, space.upstream or space.prefix):
            assert valid_name(text)
            assert not text.startswith(("{", "$"))


def test_placeholders_are_whole_levels() -> None:
    for space in TOPICS:
        for level in f"{space.prefix}/{space.upstream}".split("/"):
            assert "{" not in level or (level[0], level[-1], level.count("{")) == ("{", "}", 1)


def test_spaces_that_are_common_to_all_have_a_place_of_each_at_a_broker() -> None:
    for space in TOPICS:
        named = space.upstream or space.prefix
        assert "{" in named
        if space.holder is Holder.DEVICE:
            assert "{device}" in named or "{channel}" in named or "{device_key}" in named


async def test_what_one_device_hears_at_a_broker_has_one_name() -> None:
    one, _ = await two("a", "b")
    for action in Action:
        held = [grant for grant in one.grants if action in grant.actions]
        assert len({grant.prefix for grant in held}) == len({grant.upstream for grant in held}) == len(held)


# Two devices


@pytest.mark.parametrize(
    ("one", "other"), [*itertools.permutations(("a", "a1", "me"), 2), ("up", "down"), ("d", "d1"), ("gateway", "v2")]
)
async def test_two_devices_that_have_everything_reach_each_other_by_shared_channels_alone(one: str, other: str) -> None:
    mine, theirs = await two(one, other)
    assert {text.split("/")[0] for text in shared_with(mine, theirs)} == {"channels", "m"}
    out_of_reach = foreign(mine, theirs)
    assert len(out_of_reach) == len(theirs.grants) - len(shared_with(mine, theirs))
    for topic in written(mine, theirs):
        found = [mine.publish(topic), mine.subscribe(topic)]
        found += [topic] if mine.may_publish(topic) or mine.may_subscribe(topic) else []
        assert not [each for each in found if each and any(lies_in(each, upstream) for upstream in out_of_reach)]
        if any(lies_in(topic, upstream) for upstream in out_of_reach):
            assert mine.deliver(topic) is None


async def test_no_filter_of_one_device_covers_or_meets_what_is_another_ones() -> None:
    mine, theirs = await two("a", "b")
    out_of_reach = foreign(mine, theirs)
    for topic in written(mine, theirs):
        levels = topic.split("/")
        for place in range(len(levels)):
            for bent in ("/".join((*levels[:place], "+", *levels[place + 1 :])), "/".join((*levels[:place], "#"))):
                found = [mine.subscribe(bent), bent if mine.may_subscribe(bent) else None]
                own = upstreams(mine, Action.SUBSCRIBE)
                for each in filter(None, found):
                    assert any(covers(f"{upstream}/#", each) for upstream in own)
                    assert not any(matches(each, f"{upstream}/telemetry") for upstream in out_of_reach)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(IDS) | st.text(min_size=1, max_size=3), min_size=5, max_size=5, unique=True),
    st.data(),
)
def test_whatever_ids_they_have(names: list[str], data: st.DataObject) -> None:
    one, other, own, others, shared = names
    mine, theirs = asyncio.run(two(one, other, own, others, shared))
    out_of_reach = foreign(mine, theirs)
    for topic in data.draw(st.lists(st.sampled_from(written(mine, theirs)), max_size=60)):
        found = [mine.publish(topic), mine.subscribe(topic)]
        found += [topic] if mine.may_publish(topic) or mine.may_subscribe(topic) else []
        assert not [each for each in found if each and any(lies_in(each, upstream) for upstream in out_of_reach)]


@pytest.mark.parametrize("identity", ["a/b", "+", "#", "a+", "*", "{device}"])
async def test_a_device_whose_id_is_no_level_has_the_topics_that_do_not_name_it(identity: str) -> None:
    mine, _ = await two(identity, "b")
    assert {grant.prefix.split("/")[0] for grant in mine.grants} == {"", "channels", "m"}


@pytest.mark.parametrize("channel", ["a/b", "+", "#", "c+", ">"])
async def test_a_channel_whose_id_is_no_level_is_no_topic(channel: str) -> None:
    mine, _ = await two("a", "b", own=channel)
    assert {grant.prefix for grant in mine.grants if grant.prefix.startswith(("channels", "m/"))} == {
        "channels/common/messages",
        "m/default/c/common",
    }


async def test_tenants_are_apart() -> None:
    stock = Stock()
    await stock.registry.tenant()
    mine = await stock.grants(await stock.device("a"))
    theirs = await stock.grants(await stock.device("b", tenant=OTHER_TENANT))
    chief = await stock.grants(await stock.user(Role.ADMIN, tenant=OTHER_TENANT))
    own = "xi/blue/v1/default/d/a"
    assert mine.publish(own) == own
    assert theirs.publish(own) is chief.publish(own) is chief.subscribe(own) is None
    assert chief.publish("xi/blue/v1/elsewhere/d/b/x") is not None


# Gateways


@pytest.mark.parametrize(
    "topic", ["v1/gateway/telemetry", "v1/devices/a/up/gateway/telemetry", "v1/devices/me/gateway/telemetry"]
)
async def test_a_device_that_is_no_gateway_is_not_taken_for_one(topic: str) -> None:
    stock = Stock()
    identity = await stock.device("a")
    as_gateway = (await stock.grants(identity)).publish("v1/gateway/telemetry")
    assert as_gateway is not None
    found = await stock.registry.known("device 1")
    await stock.registry.alter(found.device, metadata={})
    grants = await stock.grants(identity)
    assert grants.publish(topic) != as_gateway
    assert grants.publish("v1/gateway/telemetry") is None
    assert not grants.may_publish(as_gateway)
    assert not grants.may_publish("v1/gateway/telemetry")
    assert grants.subscribe("v1/gateway/#") is None


# Users


@pytest.mark.parametrize(
    ("role", "said", "heard"),
    [(Role.ADMIN, True, True), (Role.OPERATOR, True, True), (Role.AUDITOR, False, True), (Role.FACTORY, False, False)],
)
async def test_account_users_have_their_accounts_devices(role: Role, said: bool, heard: bool) -> None:
    stock = Stock()
    grants = await stock.grants(await stock.user(role))
    topic = "xi/blue/v1/default/d/a/temperature"
    assert (grants.publish(topic) == topic) is said
    assert (grants.subscribe("xi/blue/v1/default/d/+/temperature") is not None) is heard
    assert (grants.deliver(topic) == topic) is heard
    for outside in ("xi/blue/v1/+/d/a", "xi/blue/v1/elsewhere/d/a", "xi/ctrl/v1/a/svc", "v1/devices/a/up", "#"):
        assert grants.publish(outside) is grants.subscribe(outside) is None
        assert not grants.may_publish(outside)
        assert not grants.may_subscribe(outside)


async def test_end_users_have_the_devices_of_their_organization() -> None:
    stock = Stock()
    identity = await stock.device("a")
    await stock.device("b")
    now = stock.registry.clock.now()
    north, ann = (
        DirectoryEntry(id=EntryId(name), tenant=TENANT, kind=kind, parent=parent, created_at=now, updated_at=now)
        for name, kind, parent in (("north", EntryKind.ORGANIZATION, ""), ("ann", EntryKind.END_USER, "north"))
    )
    await stock.registry.repository.commit(Changes(insert=(north, ann)))
    found = await stock.registry.known("device 1")
    await stock.registry.alter(found.device, owner="north")
    grants = await stock.grants(msgspec.structs.replace(identity, device=DeviceId("ann"), user=True))
    assert grants.publish("xi/blue/v1/default/d/a/x") == grants.subscribe("xi/blue/v1/default/d/a/x") is not None
    assert grants.publish("xi/blue/v1/default/d/b/x") is grants.subscribe("xi/blue/v1/default/d/b/x") is None
    assert grants.subscribe("xi/blue/v1/default/d/#") is grants.subscribe("xi/blue/v1/default/d/+/x") is None


@pytest.mark.parametrize("by", ["secret", "session"])
async def test_users_come_in_by_their_secret_or_their_session_with_the_rights_of_their_role(by: str) -> None:
    desk = Reception()
    north = await desk.organization()
    device = (await desk.register(await desk.template(), owner=north.id)).device
    own, others = f"xi/blue/v1/default/d/{device.id}/x", "xi/blue/v1/default/d/another/x"
    for role, login, said, heard in (
        (Role.OPERATOR, "joe@example.com", {own, others}, {own, others}),
        (Role.AUDITOR, "eve@example.com", set(), {own, others}),
        (Role.FACTORY, "line@example.com", set(), set()),
        (Role.CUSTOMER, "ann@example.com", {own}, {own}),
    ):
        user = await desk.user(login, role, parent=north.id)
        if by == "secret":
            issued = await desk(IssueUserSecret(kind=user.kind, id=user.id))
            identity = await desk.login(user.id, issued.secret.reveal())
        else:
            identity = await desk.login(SESSION_USER, (await desk.open(login)).token.reveal())
        assert (identity.user, str(identity.device)) == (True, user.id)
        grants = await desk.permit(identity, TOPICS)
        assert {topic for topic in (own, others) if grants.publish(topic)} == said
        assert {topic for topic in (own, others) if grants.subscribe(topic)} == heard
