"""Logins by an id and its secret, credentials whose time is over, and users."""

import msgspec
import pytest

from core.crypto import session_tokens
from core.crypto.session_tokens import Audience, Session
from core.errors import Reason, Refusal, WrongSecret
from core.messages import AccessToken, ClientSecret, CredentialValue, Identity, MqttLogin, Report, TokenLogin
from core.model import (
    DEFAULT_TENANT,
    CredentialId,
    DeviceId,
    DeviceState,
    DirectoryEntry,
    EntryId,
    EntryKind,
    EventKind,
    Role,
    Secret,
)
from core.mqtt_names import SESSION_USER
from core.ports import Changes
from core.report import TakeReport
from tests.core.registry import CONTEXT, Registry

SECRET = "q0V3l2mJc1s9yYb0m1Jx7c5mPq2Zr8f0K3nTt6u1h4E="
OWN = ClientSecret(Secret(SECRET))
TOKEN = AccessToken(Secret("Zk3vQ0pR7uWnT1xYb2Lc"))
USER = EntryId("01938a4e-0000-7000-8000-00000000beef")


def mqtt(client_id: str = "", username: str = "", password: str = SECRET) -> MqttLogin:
    return MqttLogin(client_id, username, Secret(password))


async def with_device(value: CredentialValue = OWN) -> tuple[Registry, DeviceId]:
    registry = Registry()
    await registry.device(await registry.profile(), "m1", value, state=DeviceState.PROVISIONED)
    return registry, (await registry.known("m1")).device.id


async def refused(registry: Registry, login: MqttLogin | TokenLogin) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.authenticate(login, CONTEXT)
    return refusal.value


# An id and its secret


async def test_the_id_is_user_name_or_client_id_or_both() -> None:
    registry, device = await with_device()
    random = "8f14e45f-ceea-467f-a0e6-0242ac120002"
    for login in (mqtt(device, device), mqtt("", device), mqtt(device), mqtt(random, device), mqtt("xi_client_77", device)):
        assert (await registry.authenticate(login, CONTEXT)).device == device


async def test_two_ids_that_differ_are_refused() -> None:
    registry, device = await with_device()
    refusal = await refused(registry, mqtt("01938a4e-0000-7000-8000-000000000001", device))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "login.two_devices")


@pytest.mark.parametrize("place", ["username", "client_id"])
async def test_a_wrong_secret_and_an_unknown_id_are_called_the_same(place: str) -> None:
    registry, device = await with_device()
    for identity in (device, "01938a4e-0000-7000-8000-000000000001"):
        refusal = await refused(registry, MqttLogin(**{place: identity}, password=Secret("wrong")))
        assert isinstance(refusal, WrongSecret)
        assert refusal.check == "login.user"
    assert not isinstance(await refused(registry, mqtt("", "a user name", "wrong")), WrongSecret)
    assert not isinstance(await refused(registry, mqtt("", device, "")), WrongSecret)


# Time


async def expire(registry: Registry, at: int) -> None:
    (credential,) = (await registry.known("m1")).credentials
    changed = msgspec.structs.replace(credential, expires_at=at, version=credential.version + 1)
    await registry.repository.commit(Changes(replace=(changed,)))


async def test_a_credential_whose_time_is_over_is_worth_nothing() -> None:
    registry, _ = await with_device(TOKEN)
    identity = await registry.authenticate(TokenLogin(TOKEN.token), CONTEXT)
    end = registry.clock.now() + 1_000
    await expire(registry, end)
    standing = await registry.authenticate.holds(identity)
    assert (standing.holds, standing.until) == (True, end)
    assert await registry.authenticate(TokenLogin(TOKEN.token), CONTEXT) == msgspec.structs.replace(identity, until=end)
    registry.clock.advance(1)
    assert (await registry.authenticate.holds(identity)).holds is False
    assert (await refused(registry, TokenLogin(TOKEN.token))).check == "login.token"
    assert (await refused(registry, mqtt("", TOKEN.token.reveal(), ""))).check == "login.user"


# Users


def user(registry: Registry, **fields: object) -> DirectoryEntry:
    entry = DirectoryEntry(
        id=USER,
        tenant=DEFAULT_TENANT,
        kind=EntryKind.ACCOUNT_USER,
        login="joe@example.com",
        role=Role.OPERATOR,
        verifier=b"salted",
        lookup=registry.issuer.lookup_id(f"client secret\0{SECRET}"),
        created_at=1,
        updated_at=1,
    )
    return msgspec.structs.replace(entry, **fields)


async def with_user(**fields: object) -> Registry:
    registry = Registry()
    await registry.repository.commit(Changes(insert=(user(registry, **fields),)))
    return registry


def session(registry: Registry, mark: str | None = None) -> Secret:
    verifier = registry.vault.digest("password mark", b"salted")[:8].hex()
    made = Session(subject=USER, tenant=DEFAULT_TENANT, mark=mark or verifier, expires_at=registry.clock.now() // 1000 + 60)
    return session_tokens.sign(made, Audience.OPERATOR, registry.vault)


async def test_a_user_logs_in_with_its_secret() -> None:
    registry = await with_user()
    identity = await registry.authenticate(mqtt("", USER), CONTEXT)
    assert (identity.user, str(identity.device), identity.device_name) == (True, str(USER), "joe@example.com")
    assert (await registry.authenticate.holds(identity)).holds
    changed = user(registry, lookup=registry.issuer.lookup_id("another"), version=2)
    await registry.repository.commit(Changes(replace=(changed,)))
    assert not (await registry.authenticate.holds(identity)).holds
    assert isinstance(await refused(registry, mqtt("", USER)), WrongSecret)


async def test_a_secret_is_good_for_its_own_user_alone() -> None:
    registry = await with_user()
    other = "01938a4e-0000-7000-8000-000000000001"
    assert isinstance(await refused(registry, mqtt("", other)), WrongSecret)


async def test_a_user_without_a_name_to_log_in_with_is_called_by_its_own() -> None:
    registry = await with_user(login="", name="Joe")
    assert (await registry.authenticate(mqtt("", USER), CONTEXT)).device_name == "Joe"


async def test_a_user_logs_in_with_its_session() -> None:
    registry = await with_user(lookup=None)
    identity = await registry.authenticate(MqttLogin("", SESSION_USER, session(registry)), CONTEXT)
    assert identity.user
    assert (await registry.authenticate.holds(identity)).holds
    registry.clock.advance(61)
    assert (await refused(registry, MqttLogin("", SESSION_USER, session(registry, "x")))).check == "login.session"
    await registry.repository.commit(Changes(replace=(user(registry, lookup=None, verifier=b"new", version=2),)))
    assert not (await registry.authenticate.holds(identity)).holds


@pytest.mark.parametrize("fields", [{"role": None}, {"id": EntryId("another")}, {"verifier": b"new"}])
async def test_sessions_that_are_over(fields: dict[str, object]) -> None:
    registry = await with_user(**fields)
    for token in (session(registry), Secret("a.b.c"), Secret("")):
        refusal = await refused(registry, MqttLogin("", SESSION_USER, token))
        assert (isinstance(refusal, WrongSecret), refusal.check) == (True, "login.session")  # CONNACK 4: a bad password


async def test_a_user_who_is_gone_is_not_held() -> None:
    registry = await with_user()
    gone = Identity(DEFAULT_TENANT, DeviceId("gone"), "gone", CredentialId("x"), user=True)
    assert not (await registry.authenticate.holds(gone)).holds


async def test_users_report_nothing() -> None:
    registry = await with_user()
    identity = await registry.authenticate(mqtt("", USER), CONTEXT)
    with pytest.raises(Refusal) as refusal:
        await TakeReport(registry.authenticate)(Report(identity, "telemetry"), CONTEXT)
    assert (refusal.value.reason, refusal.value.check) == (Reason.FORBIDDEN, "identity.user")


async def test_a_login_that_no_device_makes_counts_as_any_other_refused_one() -> None:
    registry, device = await with_device()
    await refused(registry, mqtt("01938a4e-0000-7000-8000-000000000001", device))
    assert [event.kind for event in await registry.events()] == [EventKind.LOGIN_REFUSED]
