"""The same random commits on every store: the same guards fail and the same rows are there afterwards."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Conflict, Guard
from core.model import (
    DEFAULT_TENANT,
    ApprovalId,
    ChannelId,
    ClaimPolicy,
    CredentialId,
    Device,
    DeviceId,
    DeviceState,
    EntryId,
    EntryKind,
    Event,
    EventKind,
    ProfileId,
    TenantId,
    Verdict,
)
from core.ports import Changes, Delete, Entity, Repository
from core.queries import (
    AnchorsQuery,
    ApprovalPage,
    ApprovalQuery,
    ApprovalsQuery,
    BootstrapQuery,
    ChannelPage,
    ChannelsQuery,
    ClaimQuery,
    ConfigPage,
    ConfigQuery,
    DeviceClaimQuery,
    DevicePage,
    DeviceQuery,
    DeviceSearch,
    EnrolQuery,
    EnrolSnapshot,
    EntryLoginQuery,
    EntryPage,
    EntryQuery,
    EntrySecretQuery,
    EventPage,
    ExternalKeyQuery,
    FirmwareCountsQuery,
    IssuedPage,
    LabelledPage,
    LoginQuery,
    NamedApprovalsQuery,
    Order,
    OscoreQuery,
    PendingClaimQuery,
    ProfilePage,
    ProfileQuery,
    ProfileSearch,
    SignedDevicesQuery,
    TenantPage,
    TenantQuery,
    TokenPage,
    TombstonePage,
    TombstoneQuery,
    UnknownPage,
)
from storage import open_repository
from tests.storage.entities import (
    a_chain,
    a_channel,
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_tenant,
    a_token,
    a_tombstone,
    a_user,
    an_approval,
    an_entry,
    an_event,
    an_issued,
    an_organization,
    an_oscore_state,
)
from tests.thorough import often

TENANTS = (DEFAULT_TENANT, TenantId("tenant-0001"))
SMALL = st.integers(1, 3)
PLACED = ("entry", "organization", "member", "owned", "field")
"""Entries of the directory, and devices that are an organisation's."""


QUEUED = ("waiting", "tried")
"""Devices that wait for an operator's approval, and credentials on trial."""

LIMITED = ("limited", "stone", "born")
"""Claim keys with limits, tombstones, and devices that the key of the first profile makes."""

TRUSTED = ("chained", "context", "issued")
"""What stands behind a protected wire: profiles of chains, OSCORE contexts, certificates."""


class Step(msgspec.Struct, frozen=True):
    """One operation: on which kind and number of entity, made of which values, how far from the version that is stored."""

    verb: str
    kind: str
    number: int
    tenant: TenantId
    owner: int
    value: int
    other: int
    stale: bool

    def make(self) -> Entity:
        number, tenant = self.number, self.tenant
        if self.kind in (*PLACED, *TRUSTED, *QUEUED, *LIMITED):
            return self._make_otherwise()
        if self.kind == "tenant":
            return a_tenant(1, name=f"name {self.value}", device_limit=self.other)
        if self.kind == "profile":
            return a_profile(number, tenant=tenant, name=f"profile {self.value}", provision_key=f"key-{self.other}")
        if self.kind == "device":
            state = DeviceState.CONNECTED if self.other == 1 else DeviceState.DEFINED
            return a_device(number, tenant=tenant, profile=f"profile-000{self.owner}", name=f"sensor-{self.value}", state=state)
        if self.kind == "signed":
            known = {"serial": f"serial-{self.value}", "unique_serial": self.other > 1, "runs": ("", "1", "2")[self.other - 1]}
            owner, profile = ("", "owner")[number % 2], f"profile-000{self.owner}"
            return a_device(number, tenant=tenant, profile=profile, name=f"sensor-{number}", owner=owner, **known)
        if self.kind == "credential":
            return a_credential(number, device=f"device-000{self.owner}", lookup=a_lookup(self.value))
        if self.kind == "channel":
            return a_channel(number, tenant=tenant, name=f"name {self.value}")
        if self.kind == "config":
            listed = ((), dict.fromkeys((self.owner, self.value)), (2, 1, 3))[self.other - 1]
            external_id, name = f"external-{(number + self.value) % 4}", f"name {self.other}"
            return a_config(number, *listed, tenant=tenant, external_id=external_id, name=name, unique_name=self.value > 1)
        if self.kind == "claim":
            return a_claim(number, tenant=tenant, lookup=a_lookup(3000 + self.value), announced=self.other == 1)
        return a_token(number, tenant=tenant, name=f"operator {self.value}", lookup=a_lookup(1000 + self.other))

    def _make_trusted(self) -> Entity:
        number = self.number
        if self.kind == "chained":
            chain = None if self.other == 3 else a_chain(self.other)
            return a_profile(number, tenant=self.tenant, name=f"profile {number}", provision_key=f"key-{number}", chain=chain)
        if self.kind == "context":
            return an_oscore_state(number, sequence=self.value, window=(self.owner, self.other) if self.other > 1 else None)
        return an_issued(number, tenant=self.tenant, lookup=a_lookup(self.value), not_after=self.other, created_at=self.value)

    def _make_otherwise(self) -> Entity:
        if self.kind in QUEUED:
            return self._make_queued()
        if self.kind in LIMITED:
            return self._make_limited()
        return self._make_placed() if self.kind in PLACED else self._make_trusted()

    def _make_queued(self) -> Entity:
        number, owner = self.number, self.owner
        if self.kind == "tried":
            return a_credential(number, device=f"device-000{owner}", lookup=a_lookup(self.value), trial=self.other > 1)
        profile, verdict = f"profile-000{owner}", list(Verdict)[self.other - 1]
        return an_approval(number, tenant=self.tenant, profile=profile, name=f"sensor-{self.value}", verdict=verdict)

    def _make_limited(self) -> Entity:
        number, tenant = self.number, self.tenant
        if self.kind == "limited":
            claims = (None, ClaimPolicy(budget=self.value), ClaimPolicy(burned_at=1))[self.other - 1]
            return a_profile(number, tenant=tenant, name=f"profile {number}", provision_key=f"key-{number}", claims=claims)
        if self.kind == "born":
            return a_device(number, tenant=tenant, profile=f"profile-000{self.owner}", name=f"sensor-{self.value}")
        serial = ("", "serial-1", "serial-2")[self.other - 1]
        return a_tombstone(
            number, tenant=tenant, profile=f"profile-000{self.owner}", name=f"sensor-{self.value}", serial=serial
        )

    def _make_placed(self) -> Entity:
        number, tenant = self.number, self.tenant
        if self.kind == "entry":
            login, lookup = ("", "one", "two")[self.value - 1], (None, a_lookup(4001), a_lookup(4002))[self.other - 1]
            return an_entry(number, tenant=tenant, name=f"name {self.other}", login=login, lookup=lookup)
        if self.kind == "organization":
            above = ("", "above-1", "above-2", "above-3")[self.value - self.stale]
            return an_organization(f"above-{number}", tenant=tenant, parent=above)
        if self.kind == "member":
            return a_user(number + 3, tenant=tenant, parent=f"above-{self.owner}")
        if self.kind == "owned":
            return a_device(number, tenant=tenant, name=f"sensor-{number}", owner=f"above-{self.owner}")
        name, kind = f"name {self.value}", (EntryKind.DEVICE_FIELD, EntryKind.CHANNEL_TEMPLATE)[self.other == 3]
        return an_entry(number + 6, tenant=tenant, kind=kind, name=name, parent=f"profile-000{self.owner}")


# Mostly what devices do, in one tenant: otherwise hardly a commit would pass.
VERBS = st.sampled_from(["insert"] * 3 + ["replace", "delete"])
KINDS = st.sampled_from(
    ["device"] * 4 + ["credential"] * 3 + ["config"] * 3 + ["channel"] * 3 + ["profile"] * 2 + ["token", "tenant"]
)
HERE = st.sampled_from([TENANTS[0]] * 4 + [TENANTS[1]])
RARELY = st.sampled_from([False] * 5 + [True])
STEPS = st.builds(Step, VERBS, KINDS, SMALL, HERE, SMALL, SMALL, SMALL, RARELY)
PLANS = st.lists(st.lists(st.tuples(st.lists(STEPS, max_size=3), SMALL), min_size=1, max_size=4), min_size=1, max_size=6)

# And what operators do with channels and configurations, who mostly know what is there.
CONFIG_VERBS = st.sampled_from(["put"] * 6 + ["insert", "delete", "delete"])
CONFIG_KINDS = st.sampled_from(["config"] * 6 + ["channel"] * 3 + ["device"])
NEARLY_ALWAYS_HERE = st.sampled_from([TENANTS[0]] * 19 + [TENANTS[1]])
CONFIG_STEPS = st.builds(Step, CONFIG_VERBS, CONFIG_KINDS, SMALL, NEARLY_ALWAYS_HERE, SMALL, SMALL, SMALL, RARELY)
CONFIG_PLANS = st.lists(
    st.lists(st.tuples(st.lists(CONFIG_STEPS, min_size=1, max_size=2), SMALL), min_size=1, max_size=2), min_size=1, max_size=12
)

# And what becomes of devices that sign and are claimed, with the users who claim them.
LATER_VERBS = st.sampled_from(["put"] * 6 + ["insert", "delete"])
LATER_KINDS = st.sampled_from(["signed"] * 5 + ["device"] + ["claim"] * 4 + ["entry"] * 3 + ["profile"])
LATER_STEPS = st.builds(Step, LATER_VERBS, LATER_KINDS, SMALL, NEARLY_ALWAYS_HERE, st.just(1) | SMALL, SMALL, SMALL, RARELY)
LATER_PLANS = st.lists(
    st.lists(st.tuples(st.lists(LATER_STEPS, min_size=1, max_size=2), SMALL), min_size=1, max_size=3), min_size=1, max_size=10
)

# And what becomes of organisations, with those who are in them and what is theirs.
PLACE_VERBS = st.sampled_from(["put"] * 6 + ["delete"] * 3)
PLACE_KINDS = st.sampled_from(["organization"] * 5 + ["member"] * 2 + ["owned"] * 2 + ["field"] * 3)
PLACE_STEPS = st.builds(Step, PLACE_VERBS, PLACE_KINDS, SMALL, NEARLY_ALWAYS_HERE, SMALL, SMALL, SMALL, RARELY)
PLACE_PLANS = st.lists(
    st.lists(st.tuples(st.lists(PLACE_STEPS, min_size=1, max_size=3), SMALL), min_size=1, max_size=3), min_size=1, max_size=12
)


# And what becomes of what stands behind a protected wire.
TRUST_KINDS = st.sampled_from(["context"] * 4 + ["credential"] * 4 + ["issued"] * 3 + ["chained"] * 2 + ["device"])
TRUST_STEPS = st.builds(Step, LATER_VERBS, TRUST_KINDS, SMALL, NEARLY_ALWAYS_HERE, st.just(1) | SMALL, SMALL, SMALL, RARELY)
TRUST_PLANS = st.lists(
    st.lists(st.tuples(st.lists(TRUST_STEPS, min_size=1, max_size=2), SMALL), min_size=1, max_size=3), min_size=1, max_size=10
)


# And what becomes of claim keys that have limits, and of those who do not come back by them.
LIMITED_KINDS = st.sampled_from(["limited"] * 4 + ["born"] * 6 + ["stone"] * 4 + ["device"])
LIMITED_STEPS = st.builds(Step, LATER_VERBS, LIMITED_KINDS, SMALL, NEARLY_ALWAYS_HERE, st.just(1) | SMALL, SMALL, SMALL, RARELY)
LIMITED_PLANS = st.lists(
    st.lists(st.tuples(st.lists(LIMITED_STEPS, min_size=1, max_size=2), SMALL), min_size=1, max_size=3), min_size=1, max_size=10
)


# And what becomes of devices that come again.
QUEUE_KINDS = st.sampled_from(["waiting"] * 6 + ["tried"] * 4 + ["profile"] * 2 + ["device"])
QUEUE_STEPS = st.builds(Step, LATER_VERBS, QUEUE_KINDS, SMALL, NEARLY_ALWAYS_HERE, st.just(1) | SMALL, SMALL, SMALL, RARELY)
QUEUE_PLANS = st.lists(
    st.lists(st.tuples(st.lists(QUEUE_STEPS, min_size=1, max_size=2), SMALL), min_size=1, max_size=3), min_size=1, max_size=10
)


async def stored(repository: Repository, entity: Entity) -> Entity | None:
    """Return what is stored under an entity's id."""
    kind = type(entity).__name__
    if kind == "Tenant":
        return await repository.read(TenantQuery(TenantId(entity.id)))
    if kind == "OscoreState":
        return await repository.read(OscoreQuery(CredentialId(entity.id)))
    if kind == "Approval":
        queued = [await repository.read(ApprovalsQuery(tenant, (ApprovalId(entity.id),))) for tenant in TENANTS]
        return next((approval for (approval,) in queued if approval is not None), None)
    if kind == "Tombstone":
        stones = [await repository.read(TombstoneQuery(tenant, entity.id)) for tenant in TENANTS]
        return next((stone for stone in stones if stone is not None), None)
    if kind == "IssuedCertificate":
        page = await repository.read(IssuedPage(until=0))
        return next((each.certificate for each in page if each.certificate.id == entity.id), None)
    for tenant in TENANTS:
        found = await _in_tenant(repository, kind, tenant, entity.id)
        if found is not None:
            return found
    return None


async def _in_tenant(repository: Repository, kind: str, tenant: TenantId, wanted: str) -> Entity | None:
    if kind == "Profile":
        return await repository.read(ProfileQuery(tenant, wanted))
    if kind == "DirectoryEntry":
        return await repository.read(EntryQuery(tenant, EntryId(wanted)))
    if kind == "PendingClaim":
        return await repository.read(DeviceClaimQuery(tenant, DeviceId(wanted)))
    if kind == "Channel":
        return (await repository.read(ChannelsQuery(tenant, (ChannelId(wanted),))))[0]
    if kind == "BootstrapConfig":
        snapshot = await repository.read(ConfigQuery(tenant, DeviceId(wanted)))
        return None if snapshot is None else snapshot.config
    if kind == "OperatorToken":
        tokens = await repository.read(TokenPage(tenant))
        return next((token for token in tokens if token.id == wanted), None)
    for number in range(1, 4):
        found = await repository.read(DeviceQuery(tenant, DeviceId(f"device-000{number}")))
        if found is None:
            continue
        held: tuple[Entity, ...] = (found.device, *found.credentials)
        if wanted in [entity.id for entity in held]:
            return next(entity for entity in held if entity.id == wanted)
    return None


async def changes_of(repository: Repository, steps: Sequence[Step], event: int) -> Changes:
    """Turn steps into changes as one makes them who has read the registry, now and then a stale copy."""
    insert: list[Entity] = []
    replace: list[Entity] = []
    delete: list[Delete] = []
    for step in steps:
        made = step.make()
        found = await stored(repository, made)
        if step.verb == "insert" or (step.verb == "put" and found is None):
            insert.append(made)
            continue
        version = (found.version if found is not None else 1) + step.stale
        if step.verb in ("replace", "put"):
            replace.append(msgspec.structs.replace(made, version=version + 1))
        else:
            delete.append(Delete(msgspec.structs.replace(found if found is not None else made, version=version)))
    made_by = ProfileId("profile-0001") if any(step.kind == "born" for step in steps) else None
    whole = Changes(insert=tuple(insert), replace=tuple(replace), delete=tuple(delete), events=(_event(event),))
    return msgspec.structs.replace(whole, made_by=made_by)


def _event(number: int) -> Event:
    kind = (EventKind.BOOTSTRAP_REFUSED, EventKind.PROVISION_SUCCEEDED)[number % 2]
    return an_event(number, kind=kind, check="bootstrap.unknown", device_name=f"external-{number % 5}")


async def outcomes(repository: Repository, group: Sequence[Changes]) -> list[Guard | None]:
    found = await asyncio.gather(*map(repository.commit, group), return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, Conflict) for outcome in found), found
    return [outcome.guard if isinstance(outcome, Conflict) else None for outcome in found]


async def everything(repository: Repository) -> list[Any]:
    """Return all that can be read, by every way there is to read it."""
    tenants = await asyncio.gather(*(repository.read(TenantQuery(tenant)) for tenant in TENANTS))
    rows: list[Any] = [tenant and msgspec.structs.replace(tenant, created_at=0) for tenant in tenants]
    for tenant in TENANTS:
        rows += [await repository.read(page(tenant)) for page in _PAGES]
        rows += [await repository.read(DeviceQuery(tenant, DeviceId(f"device-000{number}"))) for number in range(1, 4)]
    claims = await asyncio.gather(
        *(
            repository.read(ClaimQuery(f"key-{key}", f"sensor-{name}", a_lookup(key)))
            for key in range(1, 4)
            for name in range(1, 4)
        )
    )
    rows += [(each.profile, each.device, each.credentials, each.lookup_taken, each.tombstone) for each in claims]
    rows += await asyncio.gather(*(repository.read(BootstrapQuery(f"external-{number}")) for number in range(4)))
    rows += await asyncio.gather(*(repository.read(ExternalKeyQuery(f"external-{number}")) for number in range(4)))
    rows += await asyncio.gather(*(repository.read(PendingClaimQuery(a_lookup(3000 + number))) for number in range(4)))
    rows += await asyncio.gather(*(repository.read(SignedDevicesQuery(f"serial-{number}")) for number in range(1, 3)))
    rows += await asyncio.gather(*(repository.read(EntrySecretQuery(a_lookup(4000 + number))) for number in range(3)))
    rows.append(await repository.read(AnchorsQuery(("anchor-2", "anchor-1"), ("name-1", "name-2"))))
    credentials = (CredentialId(f"credential-000{number}") for number in range(1, 4))
    rows += await asyncio.gather(*(repository.read(OscoreQuery(credential)) for credential in credentials))
    rows += await asyncio.gather(*(repository.read(IssuedPage(until=1, revoked=revoked)) for revoked in (False, True)))
    names = [(ProfileId(f"profile-000{profile}"), f"sensor-{name}") for profile in range(1, 3) for name in range(1, 4)]
    rows += await asyncio.gather(*(repository.read(ApprovalQuery(*name)) for name in names))
    rows += [(each.device, each.credentials, each.names_taken, each.tombstone) for each in await enrolments(repository)]
    rows += [msgspec.structs.replace(tenant, created_at=0) for tenant in await repository.read(TenantPage())]
    rows.append(await repository.read(LoginQuery(tuple(a_lookup(number) for number in range(1, 4)))))
    return rows


async def enrolments(repository: Repository) -> list[EnrolSnapshot]:
    """Return what there is to be known of devices that sign."""
    names = ("sensor-1", "sensor-2", "sensor-3")
    queries = [EnrolQuery(f"key-{key}", f"serial-{number}", names) for key in range(1, 4) for number in range(1, 3)]
    return await asyncio.gather(*map(repository.read, queries))


_PAGES: tuple[Callable[[TenantId], Any], ...] = (
    DevicePage,
    ProfilePage,
    TokenPage,
    EventPage,
    ConfigPage,
    ChannelPage,
    LabelledPage,
    UnknownPage,
    lambda tenant: ConfigPage(tenant, name="NAME 2", active=True),
    lambda tenant: ConfigPage(tenant, secret=a_lookup(2)),
    lambda tenant: ConfigPage(tenant, client_key=a_lookup(2001)),
    lambda tenant: ChannelsQuery(tenant, (ChannelId("channel-0002"), ChannelId("channel-0001"))),
    lambda tenant: LabelledPage(tenant, "R-3"),
    lambda tenant: DeviceClaimQuery(tenant, DeviceId("device-0002")),
    lambda tenant: EntryLoginQuery(tenant, "two"),
    lambda tenant: EntryPage(tenant=tenant, kind=EntryKind.END_USER, descending=True),
    lambda tenant: EntryPage(tenant=tenant, kind=EntryKind.END_USER, template=""),
    lambda tenant: EntryPage(tenant=tenant, kind=EntryKind.ORGANIZATION),
    lambda tenant: EntryPage(tenant=tenant, kind=EntryKind.DEVICE_FIELD),
    lambda tenant: EntryPage(tenant=tenant, kind=EntryKind.CHANNEL_TEMPLATE),
    lambda tenant: ProfileSearch(tenant=tenant, descending=True),
    lambda tenant: DeviceSearch(tenant=tenant, order=Order.SERIAL, owners=("",)),
    lambda tenant: DeviceSearch(tenant=tenant, order=Order.STATE, descending=True, serial="serial-1"),
    lambda tenant: DeviceSearch(tenant=tenant, order=Order.LABEL, runs="1"),
    FirmwareCountsQuery,
    TombstonePage,
    lambda tenant: ApprovalPage(tenant=tenant),
    lambda tenant: ApprovalPage(tenant=tenant, profile=ProfileId("profile-0001"), verdict=Verdict.GRANTED, limit=2),
    lambda tenant: ApprovalPage(tenant=tenant, now=10_000_000_000_001, after=ApprovalId("approval-0001")),
    lambda tenant: NamedApprovalsQuery(tenant, "sensor-1"),
    lambda tenant: DevicePage(tenant, name="sensor-2"),
    lambda tenant: DevicePage(tenant, profile=ProfileId("profile-0001")),
    lambda tenant: DevicePage(tenant, state=DeviceState.CONNECTED),
)


Plan = Sequence[Sequence[tuple[Sequence[Step], int]]]


async def compare(plan: Plan, directory: str, *present: Entity) -> None:
    """Carry out a plan on both stores, which hold a little, and what is `present` beside it."""
    async with AsyncExitStack() as stack:
        urls = ("memory:", f"sqlite:{directory}/registry.db")
        memory, sqlite = [await stack.enter_async_context(open_repository(url)) for url in urls]
        for repository in (memory, sqlite):
            insert = (a_profile(), a_tenant(), a_profile(2, tenant=TENANTS[1]), a_device(1, name="sensor-1"), *present)
            room = 1 + sum(isinstance(entity, Device) for entity in insert)
            tenant = a_tenant(1, id=DEFAULT_TENANT, name="default", device_limit=room, version=2)
            await repository.commit(Changes(insert=insert, replace=(tenant,)))
        for number, steps in enumerate(plan):
            group = [await changes_of(memory, some, 10 * number + event) for some, event in steps]
            assert await outcomes(memory, group) == await outcomes(sqlite, group), group
            assert await everything(memory) == await everything(sqlite), group
        for name in TENANTS:
            found = await sqlite.read(TenantQuery(name))
            devices = await sqlite.read(DevicePage(name))
            assert len(devices) == (found.devices if found is not None else 0)


@settings(max_examples=often(15, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLANS)
def test_stores_agree(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory))


@settings(max_examples=often(15, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIG_PLANS)
def test_stores_agree_about_configurations(plan: Plan) -> None:
    devices = (a_device(2, name="sensor-2"), a_device(3, name="sensor-3"))
    present: tuple[Entity, ...] = (*devices, *map(a_channel, (1, 2, 3)), a_config(1, 3, 1, external_id="external-3"))
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory, *present))


@settings(max_examples=often(15, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LATER_PLANS)
def test_stores_agree_about_devices_that_sign_and_are_claimed(plan: Plan) -> None:
    present = (
        a_device(2, name="sensor-2"),
        a_device(3, name="sensor-3"),
        a_claim(1),
        an_entry(1, login="one"),
        an_organization("owner"),
    )
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory, *present))


@settings(max_examples=often(10, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TRUST_PLANS)
def test_stores_agree_about_what_stands_behind_a_protected_wire(plan: Plan) -> None:
    present = (a_device(2, name="sensor-2"), a_credential(1), a_credential(2), an_oscore_state(1), an_issued(1))
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory, *present))


@settings(max_examples=often(10, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(QUEUE_PLANS)
def test_stores_agree_about_devices_that_come_again(plan: Plan) -> None:
    present = (a_device(2, name="sensor-2"), a_credential(1), an_approval(1, name="sensor-1"), an_approval(2, name="sensor-2"))
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory, *present))


@settings(max_examples=often(10, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LIMITED_PLANS)
def test_stores_agree_about_claim_keys_with_limits(plan: Plan) -> None:
    present = (
        a_device(2, name="sensor-2"),
        a_credential(1),
        a_tombstone(1, name="sensor-1"),
        a_tombstone(2, serial="serial-1"),
    )
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory, *present))


@settings(max_examples=often(25, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLACE_PLANS)
def test_stores_agree_about_organizations_and_what_is_in_them(plan: Plan) -> None:
    present = (an_organization("above-1"), an_organization("above-2", parent="above-1"), an_organization("above-3"))
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, directory, *present))
