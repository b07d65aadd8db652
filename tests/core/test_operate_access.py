"""Who may give which command, and what becomes of those who may not."""

from typing import get_args

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import AccessToken
from core.model import (
    DEFAULT_TENANT,
    CredentialId,
    CredentialKind,
    EntryKind,
    EventKind,
    Role,
    Secret,
    Tenant,
    TenantId,
    Verdict,
)
from core.operate import (
    allocating,
    approving,
    associating,
    certifying,
    claim_rules,
    configuring,
    directing,
    issuing,
    messages,
    updating,
)
from core.operate.access import ALLOWED
from core.operate.messages import Command
from core.ports import Changes
from core.queries import Query, S
from tests.core.approving import an_approval
from tests.core.associating import CODE, WORD, stock_owned
from tests.core.directing import stock
from tests.core.self_signed import DAY_MS, pem_of, self_signed
from tests.fakes import START
from tests.operating import ADMIN, ContendedRepository, Desk
from tests.serials import add_group

CERTIFICATE = pem_of(self_signed("meter", START - DAY_MS, START + DAY_MS))
LAYOUT = configuring.Layout(clients=(configuring.LayoutPart(),), channels=(configuring.LayoutPart(),))
COMMANDS: tuple[Command, ...] = (
    messages.CreateProfile(name="new"),
    messages.ListProfiles(),
    messages.ShowProfile("meters"),
    messages.ChangeProfile(ref="meters", name="gauges"),
    messages.RotateProfile("meters"),
    messages.DeleteProfile("empty"),
    messages.DefineDevice(name="new", profile="meters"),
    messages.ListDevices(),
    messages.ExportDevices(),
    messages.ShowDevice("meter-1"),
    messages.ChangeDevice(ref="meter-1", enabled=False),
    messages.DeleteDevice("meter-1"),
    messages.ReadCredentials("meter-1"),
    messages.RotateCredentials("meter-1"),
    messages.RevokeCredentials("meter-1"),
    messages.ImportDevices((messages.ImportRow(line=1, name="new", profile="meters"),)),
    messages.ListEvents(),
    messages.CreateToken("new", Role.FACTORY),
    messages.ListTokens(),
    messages.DeleteToken("spare"),
    configuring.CreateTenant(id="new", name="new"),
    configuring.ListTenants(),
    configuring.CreateChannels((configuring.NewChannel(),)),
    configuring.ListChannels(),
    configuring.ShowChannel("channel"),
    configuring.ChangeChannel(id="channel", name="new"),
    configuring.DeleteChannel(id="channel"),
    configuring.CreateClients((configuring.NewClient(),)),
    configuring.ListClients(),
    configuring.ShowClient("client"),
    configuring.ChangeClient(id="client", label="new"),
    configuring.DeleteClient(id="client"),
    configuring.CreateConfig(external_id="new", external_key=Secret("hidden-secret")),
    configuring.ShowConfig("client"),
    configuring.ListConfigs(),
    configuring.ChangeConfig(id="client", name="new"),
    configuring.DeleteConfig(id="client"),
    configuring.ListUnknown(),
    configuring.ListPermitted("client"),
    configuring.CreateMapping(external_id="new", external_key=Secret("hidden-secret"), layout=LAYOUT),
    configuring.ShowMapping(LAYOUT),
    directing.CreateEntry(kind=EntryKind.ORGANIZATION, name="new"),
    directing.ListEntries(kind=EntryKind.ORGANIZATION),
    directing.ShowEntry(kind=EntryKind.ORGANIZATION, id="north"),
    directing.ChangeEntry(kind=EntryKind.ORGANIZATION, id="north", name="new"),
    directing.DeleteEntry(kind=EntryKind.ORGANIZATION, id="north"),
    directing.CreateTemplate(name="new", credential_kind=CredentialKind.CLIENT_SECRET),
    directing.ListTemplates(),
    directing.ShowTemplate("template"),
    directing.ChangeTemplate(id="template", name="new"),
    directing.RegisterDevice(template="template", serial="new"),
    directing.SearchDevices(),
    directing.ViewDevice("templated"),
    directing.EditDevice(id="templated", label="new"),
    directing.RemoveDevice(id="templated"),
    directing.IssueSecret("templated"),
    directing.RegisterCertificate("templated", CERTIFICATE),
    directing.IssueUserSecret(kind=EntryKind.ACCOUNT_USER, id="ann"),
    associating.OfferDevice(ref="meter-1"),
    associating.WithdrawOffer("meter-1"),
    associating.AssociateByCode(code=CODE),
    associating.ClaimDevice(name="announced", secret=WORD),
    associating.GiveUpDevice("owned"),
    updating.SetFirmware(holder=updating.Holder.PROFILE, ref="meters", firmware=None),
    updating.ListFirmware(),
    messages.AddCredential(ref="meter-1"),
    messages.RevokeCredential("meter-1", "spare"),
    issuing.IssueBatch(profile="meters", rows=(issuing.SerialRow(line=1, serial="new"),)),
    certifying.CertifyDevice(ref="meter-1", request="a request"),
    allocating.CreateSerials(group="QK7M2A"),
    allocating.ShowSerial("SN-1"),
    allocating.SearchSerials(),
    allocating.UpdateSerial("SN-1", allocating.MasterData(label="new")),
    allocating.AllocateSerial("SN-1"),
    allocating.ResetAllocations("QK7M2A", ("SN-1",)),
    allocating.ReplaceSerial("SN-1", "SN-2"),
    allocating.DeleteSerials("QK7M2A", ("SN-1",)),
    claim_rules.BurnProfile("meters"),
    claim_rules.GiveLeave("revoked"),
    claim_rules.ListTombstones(),
    approving.ListApprovals(),
    approving.DecideApproval(ref="waiting", verdict=Verdict.GRANTED),
    approving.DecideApprovals((approving.DecideApproval(ref="waiting", verdict=Verdict.REFUSED),)),
)


class Down(ContendedRepository):
    """A registry that cannot be asked."""

    async def read(self, _query: Query[S]) -> S:
        """Refuse as a store does that is down."""
        raise Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed", retry_after=5)


TYPES = tuple(map(type, COMMANDS))
OPEN: dict[Role, set[type]] = {
    Role.ADMIN: set(TYPES),
    Role.OPERATOR: {command for command in TYPES if not command.__name__.endswith(("Token", "Tokens", "Tenant", "Tenants"))}
    - {directing.IssueUserSecret},
    Role.FACTORY: {
        messages.DefineDevice,
        messages.ImportDevices,
        messages.ReadCredentials,
        issuing.IssueBatch,
        certifying.CertifyDevice,
    }
    | {directing.RegisterDevice, directing.IssueSecret, directing.RegisterCertificate},
    Role.CUSTOMER: {directing.ViewDevice}
    | {associating.AssociateByCode, associating.ClaimDevice, associating.GiveUpDevice}
    | {directing.ListEntries, directing.ShowEntry, directing.SearchDevices, directing.IssueUserSecret},
    Role.AUDITOR: {TYPES[place] for place in (1, 2, 7, 8, 9, 16, 18)}
    | {
        command
        for command in TYPES[20:]
        if command.__name__.startswith(("List", "Show", "Search", "View")) and "Tenants" not in command.__name__
    },
}
SECRETS = ("the admin token", "hidden-password", "hidden-token", "hidden-secret")


def _id(command: object) -> str:
    return command.value if isinstance(command, Role) else type(command).__name__


@pytest.mark.parametrize("role", Role, ids=_id)
@pytest.mark.parametrize("command", COMMANDS, ids=_id)
async def test_each_role_may_do_what_the_table_says(command: Command, role: Role) -> None:
    desk = Desk()
    made = await desk.profile()
    await desk.profile("empty")
    await desk.repository.commit(Changes(insert=(an_approval(made, "waiting"),)))
    device = await desk.device()
    await desk.device("revoked")
    await desk(messages.RevokeCredentials("revoked"))
    token = await desk.issuer.issue(AccessToken(Secret("hidden-token")), device.id, keep=False)
    await desk.repository.commit(Changes(insert=(msgspec.structs.replace(token, id=CredentialId("spare")),)))
    await desk.token(Role.AUDITOR, "spare")
    await desk(configuring.CreateChannels((configuring.NewChannel(id="channel"),)))
    await desk(configuring.CreateClients((configuring.NewClient(id="client"),)))
    await desk.config(client="client")
    await stock(desk)
    await stock_owned(desk)
    await add_group(desk.repository, desk.issuer, "QK7M2A")
    for serial in ("SN-1", "SN-2"):
        await desk(allocating.CreateSerials(group="QK7M2A", serial=serial))
    bearer = await desk.token(role, "bearer")
    if isinstance(command, certifying.CertifyDevice) and type(command) in OPEN[role]:
        assert (await desk.refused(command, bearer)).check == "issuing.off"
        return
    # A token is no user of the directory, so nothing is its own.
    if role is Role.CUSTOMER and isinstance(command, directing.ViewDevice | directing.ShowEntry | directing.IssueUserSecret):
        assert (await desk.refused(command, bearer)).reason is Reason.NOT_FOUND
        return
    if role is Role.CUSTOMER and isinstance(command, directing.ListEntries | directing.SearchDevices):
        assert (await desk(command, bearer)).total == 0
        return
    if type(command) in OPEN[role]:
        await desk(command, bearer)
        return
    refusal = await desk.refused(command, bearer)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role")
    (event,) = await desk.events(EventKind.REQUEST_REFUSED)
    assert (event.actor, event.check) == ("bearer", "role")


def test_every_command_is_in_the_tables() -> None:
    assert set(TYPES) == set(ALLOWED) == set(get_args(messages.Command))


@pytest.mark.parametrize("bearer", ["", "wrong", "the admin token of these test"])
async def test_a_wrong_bearer_is_refused_and_recorded(bearer: str) -> None:
    desk = Desk()
    refusal = await desk.refused(messages.DefineDevice(name="meter-7", profile="x"), Secret(bearer))
    assert refusal.reason is Reason.UNAUTHENTICATED
    (event,) = await desk.events()
    assert (event.kind, event.actor, event.device_name) == (EventKind.REQUEST_REFUSED, "", "")
    assert event.check == ("bearer.unknown" if bearer else "bearer.missing")


async def test_wrong_bearers_shut_their_source_out_for_a_while() -> None:
    desk = Desk(failures=Rate(0.1, 2))
    for _ in range(2):
        assert (await desk.refused(messages.ListProfiles(), Secret("guess"))).reason is Reason.UNAUTHENTICATED
    refusal = await desk.refused(messages.ListProfiles())
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.bearer")
    assert refusal.retry_after is not None
    desk.clock.advance(refusal.retry_after + 0.1)
    await desk(messages.ListProfiles())


async def test_right_bearers_and_missing_ones_count_for_nothing() -> None:
    desk = Desk(failures=Rate(0.1, 1))
    for _ in range(5):
        await desk(messages.ListProfiles())
        assert (await desk.refused(messages.ListProfiles(), Secret(""))).check == "bearer.missing"


async def test_a_registry_that_is_down_counts_against_nobody() -> None:
    desk = Desk(failures=Rate(0.1, 1), repository=Down())
    for _ in range(2):
        refusal = await desk.refused(messages.ListProfiles(), Secret("whatever"))
        assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "storage.failed")


async def test_a_revoked_token_is_worthless() -> None:
    desk = Desk()
    bearer = await desk.token(Role.OPERATOR, "night-shift")
    await desk(messages.ListProfiles(), bearer)
    await desk(messages.DeleteToken("night-shift"))
    assert (await desk.refused(messages.ListProfiles(), bearer)).reason is Reason.UNAUTHENTICATED


async def test_an_admin_may_name_another_tenant() -> None:
    desk = Desk()
    await desk.repository.commit(Changes(insert=(Tenant(id=TenantId("acme"), name="acme", created_at=1),)))
    await desk(messages.CreateProfile(name="meters"), tenant="acme")
    assert not (await desk(messages.ListProfiles())).items
    assert [each.tenant for each in (await desk(messages.ListProfiles(), tenant="acme")).items] == ["acme"]
    refusal = await desk.refused(messages.ListProfiles(), tenant="nobody")
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "tenant.unknown")


async def test_others_may_name_their_own_tenant_alone() -> None:
    desk = Desk()
    await desk.repository.commit(Changes(insert=(Tenant(id=TenantId("acme"), name="acme", created_at=1),)))
    made = await desk(messages.CreateToken("acme-operator", Role.OPERATOR), tenant="acme")
    await desk(messages.CreateProfile(name="meters"), made.text)
    assert [each.name for each in (await desk(messages.ListProfiles(), made.text, "acme")).items] == ["meters"]
    refusal = await desk.refused(messages.ListProfiles(), made.text, DEFAULT_TENANT)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "tenant.other")


async def test_no_secret_is_in_events_or_in_what_is_printed() -> None:
    desk = Desk()
    commands: list[Command] = [
        messages.CreateProfile(name="meters", provision_secret=Secret("hidden-secret")),
        messages.RotateProfile("meters", Secret("hidden-secret-2")),
        messages.DefineDevice(
            name="a", profile="meters", credential=messages.ProposedBasic("c", "u", Secret("hidden-password"))
        ),
        messages.RotateCredentials("a", messages.ProposedToken(Secret("hidden-token"))),
        messages.RotateCredentials("a", messages.ProposedToken(Secret("hidden-token"))),
        messages.ReadCredentials("a"),
        messages.CreateToken("spare", Role.AUDITOR),
        messages.CreateProfile(name="again", provision_secret=Secret("hidden-secret" * 100)),
        messages.DefineDevice(name="b", profile="meters", credential=messages.ProposedToken(Secret("hidden-token"))),
        messages.DefineDevice(name="c", profile="meters", credential=messages.ProposedToken(Secret("hidden-token\n"))),
    ]
    seen = []
    for command in commands:
        seen.append(repr(messages.Operation(ADMIN, None, command)))
        try:
            result = await desk(command)
            drawn = getattr(result, "text", None)
            seen.append(repr(result))
            assert drawn is None or drawn.reveal() not in repr(result)
        except Refusal as refusal:
            seen.append(repr(refusal))
    seen += map(repr, await desk.events())
    assert len(await desk.events(EventKind.REQUEST_REFUSED)) == 3
    for text in SECRETS:
        assert not [line for line in seen if text in line]


async def test_a_refusal_is_recorded_once_and_changes_carry_the_actor() -> None:
    desk = Desk()
    bearer = await desk.token(Role.OPERATOR, "night-shift")
    await desk(messages.CreateProfile(name="meters"), bearer)
    await desk.refused(messages.ShowProfile("gone"), bearer)
    made, created, refused = await desk.events()
    assert [made.actor, created.actor, refused.actor] == ["admin", "night-shift", "night-shift"]
    assert [created.kind, refused.kind] == [EventKind.PROFILE_CREATED, EventKind.REQUEST_REFUSED]
    assert (created.correlation, created.source, created.dialect) == ("correlation-1", "192.0.2.1", "operator")


async def test_what_cannot_be_read_is_told_to_operators_alone() -> None:
    desk = Desk()
    unreadable = messages.Unreadable(Refusal(Reason.MALFORMED, "limit: expected int", check="query.limit"))
    stranger = await desk.refused(unreadable, bearer=Secret("nobody's"))
    assert (stranger.reason, "limit" in stranger.detail) == (Reason.UNAUTHENTICATED, False)
    known = await desk.refused(unreadable)
    assert (known.reason, known.detail) == (Reason.MALFORMED, "limit: expected int")
    events = await desk.events(EventKind.REQUEST_REFUSED)
    assert [(event.check, event.actor) for event in events] == [("bearer.unknown", ""), ("query.limit", "admin")]
