import asyncio
from typing import Any

import pytest

from core.credentials import credential_id
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import Rate
from core.messages import AccessToken, Certificate, CredentialValue, Login, Lwm2m, MqttBasic, MqttLogin, TokenLogin
from core.model import DeviceState, EventKind, Secret, Strategy
from tests.core.faulty import Conflicting, FaultyRepository, RacedRepository, no_fault, unavailable
from tests.core.registry import CONTEXT, OTHER_TENANT, SOURCE, UNLIMITED, Registry

TEXT = "Zk3vQ0pR7uWnT1xYb2Lc"
TOKEN = AccessToken(Secret(TEXT))


def token(text: str = TEXT) -> TokenLogin:
    return TokenLogin(Secret(text))


def mqtt(client_id: str = "", username: str = "", password: str = "") -> MqttLogin:
    return MqttLogin(client_id, username, Secret(password))


async def with_device(
    value: CredentialValue | None = TOKEN,
    state: DeviceState = DeviceState.CONNECTED,
    *,
    enabled: bool = True,
    failures: Rate = UNLIMITED,
) -> Registry:
    registry = Registry(failures=failures)
    await registry.device(await registry.profile(), "m1", value, state=state, enabled=enabled)
    return registry


async def refused(registry: Registry, login: Login) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.authenticate(login, CONTEXT)
    return refusal.value


# Whose credential it is


async def test_a_token_tells_its_device() -> None:
    registry = await with_device()
    found = await registry.known("m1")
    identity = await registry.authenticate(token(), CONTEXT)
    assert (identity.device, identity.device_name, identity.tenant) == (found.device.id, "m1", found.device.tenant)
    assert identity.credential == found.credentials[0].id


@pytest.mark.parametrize(
    ("stored", "login"),
    [
        (TOKEN, mqtt(username=TEXT)),
        (TOKEN, mqtt("anything", TEXT)),
        (TOKEN, mqtt("anything", TEXT, "anything")),
        (MqttBasic("c", "u", Secret("p")), mqtt("c", "u", "p")),
        (MqttBasic("c", "u"), mqtt("c", "u")),
        (MqttBasic("c", "u"), mqtt("c", "u", "anything")),
        (MqttBasic("", "u", Secret("p")), mqtt("", "u", "p")),
        (MqttBasic("", "u", Secret("p")), mqtt("anything", "u", "p")),
        (MqttBasic("", "u"), mqtt("anything", "u")),
        (MqttBasic("c"), mqtt("c")),
        (MqttBasic("c"), mqtt("c", "", "anything")),
    ],
)
async def test_mqtt_logins_that_get_in(stored: CredentialValue, login: MqttLogin) -> None:
    registry = await with_device(stored)
    assert (await registry.authenticate(login, CONTEXT)).device_name == "m1"


@pytest.mark.parametrize(
    ("stored", "login", "check"),
    [
        (TOKEN, mqtt(TEXT), "login.user"),
        (TOKEN, mqtt(TEXT, "u"), "login.user"),
        (TOKEN, mqtt("anything", TEXT.lower()), "login.user"),
        (TOKEN, mqtt(), "login.user"),
        (TOKEN, mqtt("", "", TEXT), "login.user"),
        (MqttBasic("c", "u", Secret("p")), mqtt("c", "u", "q"), "login.password"),
        (MqttBasic("c", "u", Secret("p")), mqtt("c", "u"), "login.password"),
        (MqttBasic("c", "u", Secret("p")), mqtt("d", "u", "p"), "login.user"),
        (MqttBasic("c", "u", Secret("p")), mqtt("", "u", "p"), "login.user"),
        (MqttBasic("c", "u", Secret("p")), mqtt("c", "", "p"), "login.user"),
        (MqttBasic("", "u", Secret("p")), mqtt("c", "u", "q"), "login.password"),
        (MqttBasic("c"), mqtt("c", "u"), "login.user"),
        (AccessToken(Secret(credential_id(MqttBasic("c")))), mqtt("c"), "login.user"),
        (AccessToken(Secret(credential_id(MqttBasic("c", "u")))), mqtt("c", "u"), "login.user"),
        (Certificate("u"), mqtt("", credential_id(Certificate("u"))), "login.user"),
        (Certificate("c"), mqtt("c"), "login.user"),
        (Certificate("c|u"), mqtt("c", "u"), "login.user"),
        (Lwm2m("u"), mqtt("", "u"), "login.user"),
    ],
)
async def test_mqtt_logins_that_do_not(stored: CredentialValue, login: MqttLogin, check: str) -> None:
    registry = await with_device(stored)
    refusal = await refused(registry, login)
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, check)


async def test_client_id_and_user_name_together_come_before_the_user_name() -> None:
    registry = Registry()
    profile = await registry.profile()
    await registry.device(profile, "joint", MqttBasic("c", "u", Secret("p")), state=DeviceState.CONNECTED)
    await registry.device(profile, "by name", MqttBasic("", "u", Secret("q")), state=DeviceState.CONNECTED)
    assert (await registry.authenticate(mqtt("c", "u", "p"), CONTEXT)).device_name == "joint"
    assert (await registry.authenticate(mqtt("d", "u", "q"), CONTEXT)).device_name == "by name"
    assert (await refused(registry, mqtt("c", "u", "q"))).check == "login.password"


@pytest.mark.parametrize("stored", [MqttBasic("", TEXT), Certificate("x"), Lwm2m(TEXT), MqttBasic("c")])
async def test_only_a_token_is_a_token(stored: CredentialValue) -> None:
    registry = await with_device(stored)
    for text in (TEXT, credential_id(stored)):
        assert (await refused(registry, token(text))).check == "login.token"


@pytest.mark.parametrize("text", ["", "x", TEXT.lower(), TEXT + " ", "\ud800"])
async def test_an_unknown_token_is_nobodys(text: str) -> None:
    registry = await with_device()
    assert (await refused(registry, token(text))).check == "login.token"


@pytest.mark.parametrize("login", [token("x"), mqtt("", "x", "p"), mqtt("", "u", "wrong")])
async def test_all_strangers_are_told_the_same(login: Login) -> None:
    registry = await with_device(MqttBasic("", "u", Secret("p")))
    refusal = await refused(registry, login)
    assert (refusal.reason, refusal.detail) == (Reason.UNAUTHENTICATED, "the credentials are not known")


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_an_unknown_user_and_a_wrong_password_cost_the_same(password: str) -> None:
    registry = await with_device(MqttBasic("", "u", Secret("p")))
    work = []
    for username in ("u", "nobody"):
        before = registry.keys.stretched
        await refused(registry, mqtt("", username, password))
        work.append(registry.keys.stretched - before)
    assert work[0] == work[1]


# Devices that may not


@pytest.mark.parametrize(
    ("state", "enabled", "check"),
    [
        (DeviceState.CONNECTED, False, "device.disabled"),
        (DeviceState.PROVISIONED, False, "device.disabled"),
        (DeviceState.DISCARDED, True, "device.discarded"),
    ],
)
async def test_a_device_that_is_switched_off_does_not_get_in(state: DeviceState, enabled: bool, check: str) -> None:
    registry = await with_device(state=state, enabled=enabled)
    refusal = await refused(registry, token())
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, check)
    assert refusal.detail == "the credentials are not known"
    assert (await registry.known("m1")).device.state is state


# The first login


async def test_the_first_login_connects_the_device_once() -> None:
    registry = await with_device(state=DeviceState.PROVISIONED)
    for _ in range(3):
        await registry.authenticate(token(), CONTEXT)
    device = (await registry.known("m1")).device
    assert (device.state, device.version) == (DeviceState.CONNECTED, 2)
    (event,) = await registry.events()
    assert (event.kind, event.device, event.device_name) == (EventKind.DEVICE_CONNECTED, device.id, "m1")
    assert (event.correlation, event.source, event.profile) == (CONTEXT.correlation, SOURCE, device.profile)


async def test_any_later_login_changes_nothing() -> None:
    registry = await with_device(state=DeviceState.CONNECTED)
    await registry.authenticate(token(), CONTEXT)
    device = (await registry.known("m1")).device
    assert (device.state, device.version) == (DeviceState.CONNECTED, 1)
    assert await registry.events() == ()


async def test_a_defined_device_connects_with_what_an_operator_gave_it() -> None:
    registry = await with_device(state=DeviceState.DEFINED)
    await registry.authenticate(token(), CONTEXT)
    device = (await registry.known("m1")).device
    assert (device.state, device.connected_at) == (DeviceState.CONNECTED, registry.clock.now())


async def test_a_defined_device_that_has_still_to_fetch_its_credential_stays_defined() -> None:
    registry = Registry()
    profile = await registry.profile(Strategy.PRE_PROVISIONED)
    await registry.device(profile, "m1", TOKEN, state=DeviceState.DEFINED)
    await registry.authenticate(token(), CONTEXT)
    assert (await registry.known("m1")).device.state is DeviceState.DEFINED


async def test_the_first_login_of_an_associated_device_is_noted() -> None:
    registry = await with_device(state=DeviceState.ASSOCIATED)
    for _ in range(2):
        await registry.authenticate(token(), CONTEXT)
    device = (await registry.known("m1")).device
    assert (device.state, device.connected_at) == (DeviceState.ASSOCIATED, registry.clock.now())
    assert [event.kind for event in await registry.events()] == [EventKind.DEVICE_CONNECTED]


async def test_two_first_logins_at_once_both_get_in() -> None:
    registry = Registry(FaultyRepository(no_fault))
    await registry.device(await registry.profile(), "m1", TOKEN, state=DeviceState.PROVISIONED)
    identities = await asyncio.gather(*(registry.authenticate(token(), CONTEXT) for _ in range(2)))
    assert identities[0] == identities[1]
    assert len(await registry.events()) == 1


async def test_a_device_that_somebody_changes_meanwhile_gets_in() -> None:
    repository = RacedRepository()
    registry = Registry(repository)
    await registry.device(await registry.profile(), "m1", TOKEN, state=DeviceState.PROVISIONED)
    repository.fault = Conflicting(Conflict(Guard.VERSION), 1)
    assert (await registry.authenticate(token(), CONTEXT)).device_name == "m1"
    assert (await registry.known("m1")).device.state is DeviceState.PROVISIONED
    await registry.authenticate(token(), CONTEXT)
    assert (await registry.known("m1")).device.state is DeviceState.CONNECTED


async def test_a_first_login_that_cannot_be_written_is_refused() -> None:
    repository = FaultyRepository(no_fault)
    registry = Registry(repository)
    await registry.device(await registry.profile(), "m1", TOKEN, state=DeviceState.PROVISIONED)
    repository.fault = unavailable
    assert (await refused(registry, token())).reason is Reason.UNAVAILABLE


# Events and limits


async def test_a_refused_login_is_recorded_without_what_was_presented() -> None:
    registry = await with_device()
    await refused(registry, mqtt("client", "user", "hidden"))
    (event,) = await registry.events()
    assert (event.kind, event.check, event.device) == (EventKind.LOGIN_REFUSED, "login.user", None)
    assert "hidden" not in repr(event)


async def test_a_refused_device_is_named_in_its_tenant() -> None:
    registry = Registry()
    await registry.tenant()
    profile = await registry.profile(tenant=OTHER_TENANT)
    device = await registry.device(profile, "m1", TOKEN, state=DeviceState.CONNECTED, enabled=False)
    await refused(registry, token())
    (event,) = await registry.events(OTHER_TENANT)
    assert (event.check, event.device, event.device_name, event.profile) == ("device.disabled", device.id, "m1", profile.id)


async def test_a_source_may_only_fail_so_often() -> None:
    registry = await with_device(failures=Rate(1.0, 2.0))
    for _ in range(2):
        assert (await refused(registry, token("x"))).reason is Reason.UNAUTHENTICATED
    refusal = await refused(registry, token())
    assert (refusal.reason, refusal.check, refusal.retry_after) == (Reason.TOO_MANY, "limit.login", 1.0)
    assert "limit.login" in {event.check for event in await registry.events()}
    registry.clock.advance(1.0)
    assert await registry.authenticate(token(), CONTEXT)


async def test_a_registry_that_is_down_is_not_the_sources_failure() -> None:
    class Down(FaultyRepository):
        async def read(self, query: Any) -> Any:
            raise Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed")

    registry = Registry(Down(no_fault), failures=Rate(1.0, 1.0))
    assert [(await refused(registry, token())).reason for _ in range(3)] == [Reason.UNAVAILABLE] * 3


async def test_logins_that_get_in_do_not_count() -> None:
    registry = await with_device(failures=Rate(1.0, 1.0))
    for _ in range(5):
        await registry.authenticate(token(), CONTEXT)
    assert (await refused(registry, token("x"))).reason is Reason.UNAUTHENTICATED


async def test_a_source_that_is_turned_away_is_not_turned_away_for_longer() -> None:
    registry = await with_device(failures=Rate(1.0, 1.0))
    await refused(registry, token("x"))
    assert [(await refused(registry, token("x"))).retry_after for _ in range(3)] == [1.0] * 3


async def test_sources_do_not_share_their_failures() -> None:
    registry = await with_device(failures=Rate(1.0, 1.0))
    await refused(registry, token("x"))
    other = type(CONTEXT)(CONTEXT.correlation, "mqtt", "", "192.0.2.8")
    assert await registry.authenticate(token(), other)
