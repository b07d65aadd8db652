"""How users of the directory log in, what their tokens are good for, and how guessing ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.crypto.session_tokens import Audience, Session, sign
from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import Context
from core.model import DEFAULT_TENANT, EntryKind, EventKind, Role, Secret, Tenant, TenantId
from core.operate import configuring, messages
from core.operate.directing import ChangeEntry, CreateEntry, DeleteEntry, ListEntries, ListTemplates, LoggedIn
from core.operate.messages import Command, Operation, Operations
from core.ports import Changes
from core.queries import EventPage
from tests.core.directing import PASSWORD, Reception
from tests.fakes import PlainKeys
from tests.operating import ADMIN

OTHER = Secret("another password")


async def test_a_user_logs_in_and_gives_commands() -> None:
    desk = Reception()
    ann = await desk.user("Ann@Example.com")
    opened = await desk.open(" ANN@example.COM")
    assert opened.expires_at == desk.clock.now() // 1000 + 900
    made = await desk(messages.CreateProfile(name="meters"), opened.token)
    assert made.profile.tenant == DEFAULT_TENANT
    created = await desk.last_event(EventKind.PROFILE_CREATED)
    assert created.actor == "ann@example.com"
    event = await desk.last_event(EventKind.OPERATOR_LOGGED_IN)
    assert (event.actor, event.detail, event.source) == ("ann@example.com", f"account_user {ann.id}", "192.0.2.9")
    assert PASSWORD.reveal() not in repr(event) + repr(opened)
    assert opened.token.reveal() not in repr(opened)


async def test_an_end_user_is_a_customer() -> None:
    desk = Reception()
    await desk.user(role=Role.CUSTOMER)
    bearer = (await desk.open()).token
    assert (await desk.refused(messages.ListProfiles(), bearer)).check == "role"


@pytest.mark.parametrize(
    ("login", "password", "tenant"),
    [
        ("ann@example.com", Secret("wrong"), "default"),
        ("ann@example.com", Secret(""), "default"),
        ("ann@example.com", Secret("\ud800"), "default"),
        ("bob@example.com", PASSWORD, "default"),
        ("ann@example.com", PASSWORD, "nowhere"),
        ("", PASSWORD, "default"),
        ("", Secret(""), ""),
        ("x" * 100_000, PASSWORD, "default"),
        ("roleless@example.com", PASSWORD, "default"),
        ("unarmed@example.com", Secret(""), "default"),
    ],
)
async def test_all_that_is_wrong_is_refused_alike(login: str, password: Secret, tenant: str) -> None:
    desk = Reception()
    await desk.user()
    account = EntryKind.ACCOUNT_USER
    await desk.entry(account, login="roleless@example.com", password=PASSWORD)
    await desk.entry(account, login="unarmed@example.com", role=Role.ADMIN)
    await desk.organization("nobody logs in as this")
    before = desk.keys.stretched
    refusal = await desk.shut_out(login, password, tenant)
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "login.password")
    assert refusal.detail == "account, login or password are not right"
    assert desk.keys.stretched == before + 1
    (event,) = await desk.events(EventKind.LOGIN_REFUSED)
    assert (event.check, event.actor) == ("login.password", "")


async def test_users_of_tenants_are_apart() -> None:
    desk = Reception()
    acme = TenantId("acme")
    await desk.repository.commit(Changes(insert=(Tenant(id=acme, name="acme", created_at=1),)))
    await desk.user()
    await desk(
        CreateEntry(kind=EntryKind.ACCOUNT_USER, login="ann@example.com", role=Role.ADMIN, password=OTHER), tenant="acme"
    )
    assert (await desk.shut_out(tenant="acme")).check == "login.password"
    bearer = (await desk.open(password=OTHER, tenant="acme")).token
    page = await desk(ListEntries(kind=EntryKind.ACCOUNT_USER), bearer)
    assert [each.tenant for each in page.items] == [acme]
    found = await desk.repository.read(EventPage(tenant=acme, kind=EventKind.OPERATOR_LOGGED_IN))
    assert len(found) == 1
    refusal = await desk.refused(ListTemplates(), bearer, DEFAULT_TENANT)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "tenant.other")
    assert (await desk(ListTemplates(), bearer, "acme")).total == 0


@pytest.mark.parametrize(
    "command",
    [
        configuring.CreateTenant(name="mine"),
        configuring.ListTenants(),
        messages.CreateToken("mine", Role.ADMIN),
    ],
)
async def test_no_user_reaches_beyond_its_tenant(command: Command) -> None:
    desk = Reception()
    await desk.user(role=Role.ADMIN)
    refusal = await desk.refused(command, (await desk.open()).token)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role.user")


async def test_wrong_logins_shut_out_their_source_for_a_while() -> None:
    desk = Reception(failures=Rate(0.1, 2))
    await desk.user()
    for _ in range(5):
        await desk.open()
    await desk.user("bob@example.com")
    for login in ("a", "b"):
        await desk.shut_out(login)
    refusal = await desk.shut_out("bob@example.com")
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.login")
    assert refusal.retry_after is not None
    await desk.open()  # who got in from there before is not kept out by others
    desk.clock.advance(refusal.retry_after + 0.1)
    await desk.open("bob@example.com")


async def test_wrong_passwords_shut_their_login_out_where_they_come_from() -> None:
    desk = Reception(logins=Rate(0.1, 2))
    await desk.user()
    await desk.user("bob@example.com")
    for login in ("ann@example.com", " ANN@example.com "):
        await desk.shut_out(login, OTHER)
    refusal = await desk.shut_out()
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.login")
    await desk.open("bob@example.com")
    desk.clock.advance((refusal.retry_after or 0) + 0.1)
    await desk.open()


class SlowKeys(PlainKeys):
    """Key derivation that lets other tasks run."""

    async def stretch(self, secret: bytes, salt: bytes) -> bytes:
        """Return the key after all others have asked for theirs."""
        await asyncio.sleep(0.01)
        return await super().stretch(secret, salt)


async def test_guessing_at_once_is_no_faster_than_one_by_one() -> None:
    desk = Reception(logins=Rate(0.1, 3))
    await desk.user()
    slow = msgspec.structs.replace(desk.issuer, keys=SlowKeys())
    desk.log_in = msgspec.structs.replace(desk.log_in, issuer=slow)
    guesses = [Secret(f"guess {place}") for place in range(19)]
    found = await asyncio.gather(*(desk.open(password=each) for each in (*guesses, PASSWORD)), return_exceptions=True)
    assert [getattr(each, "check", "") for each in found] == ["login.password"] * 3 + ["limit.login"] * 17


async def test_a_session_ends_with_its_time() -> None:
    desk = Reception(failures=Rate(0.001, 1))
    await desk.user()
    bearer = (await desk.open()).token
    desk.clock.advance(899)
    await desk(ListTemplates(), bearer)
    desk.clock.advance(1)
    refusal = await desk.refused(ListTemplates(), bearer)
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "bearer.expired")
    assert (await desk.refused(ListTemplates(), Secret("never seen"))).check == "limit.bearer"
    await desk(ListTemplates(), ADMIN)  # it came from there before


async def _password(desk: Reception, user: str) -> None:
    await desk(ChangeEntry(kind=EntryKind.ACCOUNT_USER, id=user, password=OTHER))


async def _deletion(desk: Reception, user: str) -> None:
    await desk(DeleteEntry(kind=EntryKind.ACCOUNT_USER, id=user))


@pytest.mark.parametrize("ends", [_password, _deletion])
async def test_a_session_ends_with_its_password_and_with_its_user(ends: Callable[[Reception, str], Any]) -> None:
    desk = Reception()
    ann = await desk.user()
    bearer = (await desk.open()).token
    await desk(ListTemplates(), bearer)
    await ends(desk, ann.id)
    refusal = await desk.refused(ListTemplates(), bearer)
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "bearer.unknown")


async def test_a_session_goes_on_through_other_changes_and_has_the_role_of_now() -> None:
    desk = Reception()
    ann = await desk.user()
    bearer = (await desk.open()).token
    await desk(ChangeEntry(kind=EntryKind.ACCOUNT_USER, id=ann.id, role=Role.AUDITOR, name="Ann"))
    assert (await desk.refused(messages.CreateProfile(name="meters"), bearer)).check == "role"
    await desk(ListTemplates(), bearer)


async def test_tokens_of_others_are_worthless() -> None:
    desk = Reception(failures=Rate(0.1, 10))
    roleless = await desk.entry(EntryKind.ACCOUNT_USER, login="ann@example.com", password=PASSWORD)
    mark = desk.vault.digest("password mark", roleless.verifier)[:8].hex()
    ends = desk.clock.now() // 1000 + 900
    session = Session(subject=roleless.id, tenant=DEFAULT_TENANT, mark=mark, expires_at=ends)
    for token in (
        sign(session, Audience.OPERATOR, desk.vault),
        sign(session, Audience.DEVICE, desk.vault),
        Secret("three.parts.and"),
    ):
        refusal = await desk.refused(ListTemplates(), token)
        assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "bearer.unknown")


async def test_a_lifetime_may_be_chosen() -> None:
    desk = Reception()
    await desk.user()
    desk.log_in = msgspec.structs.replace(desk.log_in, lifetime_seconds=5)
    opened: LoggedIn = await desk.open()
    assert opened.expires_at == desk.clock.now() // 1000 + 5


async def test_operations_are_carried_out_one_after_the_other_whatever_becomes_of_each() -> None:
    desk = Reception()
    bearer = await desk.token(Role.OPERATOR)
    items = (
        Operation(bearer, None, messages.CreateProfile(name="meters")),
        Operation(bearer, None, messages.CreateProfile(name="meters")),
        Operation(Secret("wrong"), None, messages.ListProfiles()),
        Operation(bearer, None, messages.Unreadable(Refusal(Reason.MALFORMED, "no", check="body.field"))),
        Operation(bearer, None, messages.ListProfiles()),
    )
    context = Context("correlation-9", "http", "somebody", "192.0.2.1")
    made, *refused, listed = await desk.operate.each(Operations(items), context)
    assert [each.check for each in refused] == ["profile_name", "bearer.unknown", "body.field"]
    assert listed.items == (made.profile,)
    events = await desk.events(EventKind.REQUEST_REFUSED)
    assert [each.correlation for each in events] == ["correlation-9"] * 3
    assert await desk.operate.each(Operations(()), context) == ()


async def test_a_bearer_that_is_refused_is_asked_about_once() -> None:
    desk = Reception(failures=Rate(0.1, 2))
    await desk.user()
    bearer = (await desk.open()).token
    context = Context("correlation-9", "http", "somebody", "192.0.2.1")
    listed, made = (Operation(bearer, None, each) for each in (messages.ListProfiles(), messages.CreateProfile(name="p")))
    desk.clock.advance(3600)
    for count in (1, 2):
        refused = await desk.operate.each(Operations((listed, made, *[listed] * 8)), context)
        assert [each.check for each in refused] == ["bearer.expired"] * 10
        assert len(await desk.events(EventKind.REQUEST_REFUSED)) == count
    refused = await desk.operate.each(Operations((listed, listed, listed)), context)
    assert [each.check for each in refused] == ["limit.bearer"] * 3
    assert await desk.events(EventKind.PROFILE_CREATED) == ()
