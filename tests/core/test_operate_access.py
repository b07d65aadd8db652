"""Who may give which command, and what becomes of those who may not."""

from typing import get_args

import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.model import DEFAULT_TENANT, EventKind, Role, Secret, Tenant, TenantId
from core.operate import configuring, messages
from core.operate.access import ALLOWED
from core.operate.messages import Command
from core.ports import Changes
from tests.operating import ADMIN, Desk

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
)
TYPES = tuple(map(type, COMMANDS))
OPEN = {
    Role.ADMIN: set(TYPES),
    Role.OPERATOR: {command for command in TYPES if not command.__name__.endswith(("Token", "Tokens", "Tenant", "Tenants"))},
    Role.FACTORY: {TYPES[place] for place in (6, 7, 9, 12, 15)},
    Role.AUDITOR: {TYPES[place] for place in (1, 2, 7, 8, 9, 16, 18)}
    | {
        command for command in TYPES[20:] if command.__name__.startswith(("List", "Show")) and "Tenants" not in command.__name__
    },
}
SECRETS = ("the admin token", "hidden-password", "hidden-token", "hidden-secret")


def _id(command: object) -> str:
    return command.value if isinstance(command, Role) else type(command).__name__


@pytest.mark.parametrize("role", Role, ids=_id)
@pytest.mark.parametrize("command", COMMANDS, ids=_id)
async def test_each_role_may_do_what_the_table_says(command: Command, role: Role) -> None:
    desk = Desk()
    await desk.profile()
    await desk.profile("empty")
    await desk.device()
    await desk.token(Role.AUDITOR, "spare")
    await desk(configuring.CreateChannels((configuring.NewChannel(id="channel"),)))
    await desk(configuring.CreateClients((configuring.NewClient(id="client"),)))
    await desk.config(client="client")
    bearer = await desk.token(role, "bearer")
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
