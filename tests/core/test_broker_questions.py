"""What brokers are told about logins and topics, and whose a name is when there is no password to show."""

from typing import Any

import msgspec
import pytest

from core.acquaintance import GivenId
from core.broker_questions import AskDelivery, AskLogin, AskTopics
from core.errors import Reason, Refusal, WrongSecret
from core.messages import AccessToken, Certificate, ClientSecret, CredentialValue, MqttBasic, MqttLogin, Triple
from core.model import BootstrapConfig, Device, DeviceState, EntryKind, EventKind, Sealed, Secret
from core.mqtt_names import MqttNames
from core.ports import Changes
from core.topic_spaces import Action, Holder, TopicSpace
from tests.core.registry import CONTEXT, OTHER_TENANT
from tests.core.signing_fleet import PRODUCT_KEY
from tests.core.test_logins import session
from tests.dialects.brokers_server import TOKEN, USER_ID, USER_SECRET, Fleet

SPACES = (
    TopicSpace(prefix="me/up", actions=frozenset({Action.PUBLISH}), upstream="d/{device}/up"),
    TopicSpace(prefix="me/down", actions=frozenset({Action.SUBSCRIBE}), upstream="d/{device}/down"),
    TopicSpace(prefix="all", holder=Holder.ACCOUNT_USER),
)
OWN = ClientSecret(Secret("3b6b9f0e-1f6c-4b57-9f31-6f2c9e2f6a10"))
BASIC = MqttBasic("", "joe", Secret("p"))
TRIPLE = Triple(PRODUCT_KEY, "Kq3vR7uWnT", Secret("s" * 32))
SOURCE = "203.0.113.9"


def fleet() -> Fleet:
    return Fleet(spaces=SPACES)


def login(username: str = "", password: str = "", client_id: str = "", **fields: Any) -> AskLogin:
    return AskLogin(MqttLogin(client_id, username, Secret(password)), **fields)


async def refused(fleet: Fleet, asked: AskLogin | AskTopics | AskDelivery) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await answered(fleet, asked)
    return refusal.value


async def answered(fleet: Fleet, asked: AskLogin | AskTopics | AskDelivery) -> Any:
    match asked:
        case AskLogin():
            return await fleet.questions.login(asked, CONTEXT)
        case AskTopics():
            return await fleet.questions.topics(asked, CONTEXT)
        case AskDelivery():
            return await fleet.questions.delivery(asked, CONTEXT)


async def whose(fleet: Fleet, username: str = "", client_id: str = "") -> str:
    """Return the id of whoever has these names, empty where nobody has."""
    try:
        return (await fleet.acquaintances.named(username, client_id)).device
    except Refusal as refusal:
        return "" if (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "broker.name") else refusal.check


async def given(fleet: Fleet, identity: str) -> str:
    try:
        return (await fleet.acquaintances.find(GivenId(identity))).device
    except Refusal as refusal:
        return "" if refusal.check == "broker.name" else refusal.check


async def configured(fleet: Fleet, device: Device, *, active: bool) -> BootstrapConfig:
    sealed = fleet.registry.vault.seal(Secret("the external key"), f"config:{device.id}:external key".encode())
    config = BootstrapConfig(
        id=device.id,
        tenant=device.tenant,
        external_id="aa:bb",
        external_key=Sealed(sealed),
        active=active,
        created_at=1,
        updated_at=1,
    )
    await fleet.registry.repository.commit(Changes(insert=(config,)))
    return config


# Logins


async def test_a_login_marks_the_first_connection_and_tells_the_broker_who_it_is() -> None:
    made = fleet()
    device = await made.device()
    admitted = await answered(made, login(TOKEN, source=SOURCE))
    assert (admitted.identity.device, admitted.identity.tenant) == (device.id, device.tenant)
    assert (await made.registry.known("meter-1")).device.state is DeviceState.CONNECTED
    (event,) = await made.registry.events()
    assert (event.kind, event.source) == (EventKind.DEVICE_CONNECTED, SOURCE)
    assert made.access.admitted == []
    await answered(made, login(TOKEN, client_id="c", lasting=True))
    assert made.access.admitted == [(device.id, TOKEN, "c")]


async def test_a_broker_without_access_may_let_in_for_good_too() -> None:
    made = fleet()
    await made.device()
    questions = msgspec.structs.replace(made.questions, access=None)
    assert (await questions.login(login(TOKEN, lasting=True), CONTEXT)).identity.device_name == "meter-1"


async def test_a_login_that_is_refused_is_recorded_with_the_devices_address_or_a_digest_of_its_name() -> None:
    made = fleet()
    await made.device(value=BASIC)
    await refused(made, login("joe", "wrong", source=SOURCE))
    first = await refused(made, login("joe", "wrong", "c1"))
    await refused(made, login("joe", "wrong", "c2"))
    await refused(made, login("jim", "wrong"))
    assert first.check == "login.password"
    sources = [event.source for event in await made.registry.events()]
    assert SOURCE in sources
    assert len(sources) == 4
    assert len(set(sources)) == 3
    assert not [source for source in sources if "joe" in source]


async def test_an_external_key_alone_is_not_enough_for_a_broker() -> None:
    made = fleet()
    await configured(made, await made.device(), active=True)
    refusal = await refused(made, login("aa:bb", "the external key", source=SOURCE))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "broker.external_key")
    (event,) = await made.registry.events()
    assert (event.kind, event.check, event.device_name) == (EventKind.LOGIN_REFUSED, "broker.external_key", "meter-1")


async def test_a_user_logs_in_with_its_secret() -> None:
    made = fleet()
    await made.user()
    assert (await answered(made, login(USER_ID, USER_SECRET))).identity.user
    assert isinstance(await refused(made, login(USER_ID, "wrong")), WrongSecret)


async def test_a_user_of_a_session_needs_a_broker_that_gives_it_a_name() -> None:

    made = fleet()
    await made.user()
    token = session(made.registry).reveal()
    assert (await refused(made, login("Auth:JWT", token))).check == "broker.name"
    (event,) = await made.registry.events()
    assert (event.check, event.device) == ("broker.name", None)
    assert (await answered(made, login("Auth:JWT", token, renaming=True))).identity.device == USER_ID


async def test_a_name_that_is_another_devices_id_is_not_enough() -> None:
    made = fleet()
    victim = await made.device("victim", OWN)
    attacker = await made.device("attacker", MqttBasic("", victim.id, Secret("p")))
    assert (await refused(made, login(victim.id, "p"))).check == "broker.name"
    assert (await answered(made, login(victim.id, "p", renaming=True))).identity.device == attacker.id
    assert (await answered(made, login(victim.id, OWN.secret.reveal()))).identity.device == victim.id
    await made.revoke("victim")
    assert (await refused(made, login(victim.id, "p"))).check == "broker.name"


async def test_a_name_that_is_a_users_id_is_not_enough() -> None:
    made = fleet()
    await made.user()
    await made.device("attacker", MqttBasic("", USER_ID, Secret("p")))
    assert (await refused(made, login(USER_ID, "p"))).check == "broker.name"


async def test_a_client_id_is_ones_own_or_nobodys() -> None:
    made = fleet()
    device, other = await made.device(), await made.device("other", OWN)
    for client_id in ("", "sensor-7", device.id, USER_ID):
        assert (await answered(made, login(TOKEN, client_id=client_id))).identity.device == device.id
    assert (await refused(made, login(TOKEN, client_id=other.id))).check == "broker.client_id"
    assert (await answered(made, login(TOKEN, client_id=other.id, renaming=True))).identity.device == device.id


# Names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (AccessToken(Secret(TOKEN)), [(TOKEN, ""), (TOKEN, "any")]),
        (BASIC, [("joe", ""), ("joe", "any")]),
        (MqttBasic("c", "joe", Secret("p")), [("joe", "c")]),
        (MqttBasic("c", ""), [("", "c")]),
        (TRIPLE, [(f"Kq3vR7uWnT&{PRODUCT_KEY}", ""), (f"Kq3vR7uWnT&{PRODUCT_KEY}", "c|securemode=2|")]),
    ],
    ids=["token", "user name", "both", "client id", "triple"],
)
async def test_a_device_is_known_by_what_finds_its_credential(value: CredentialValue, names: list[tuple[str, str]]) -> None:
    made = fleet()
    device = await made.device(value=value, tenant=OTHER_TENANT)
    for username, client_id in names:
        assert await whose(made, username, client_id) == device.id
    for username, client_id in (("joe ", "c"), ("", "joe"), ("", ""), ("c", ""), ("other", "C"), ("", TOKEN), ("\ud800", "")):
        assert await whose(made, username, client_id) == ""


async def test_a_device_with_a_secret_is_known_by_its_id() -> None:
    made = fleet()
    device = await made.device(value=OWN)
    assert await whose(made, device.id) == device.id
    assert await whose(made, "", device.id) == device.id
    assert await whose(made, "joe", device.id) == ""


async def test_its_own_id_may_be_what_an_operator_chose_for_a_user_name() -> None:
    made = fleet()
    device = await made.device(value=BASIC)
    chosen = await made.registry.issuer.issue(MqttBasic("", device.id, Secret("p")), device.id, keep=True)
    await made.registry.repository.commit(Changes(insert=(chosen,)))
    assert await whose(made, device.id) == device.id


async def test_what_does_not_log_in_over_mqtt_gives_no_name() -> None:
    made = fleet()
    device = await made.device(value=Certificate("TWFu"))
    assert await whose(made, device.id) == ""
    assert await given(made, device.id) == ""


async def test_where_two_could_be_meant_neither_is() -> None:
    made = fleet()
    first = await made.device("first", BASIC)
    await made.device("second", MqttBasic("c", "joe", Secret("q")))
    assert await whose(made, "joe", "c") == ""
    assert await whose(made, "joe", "d") == first.id


@pytest.mark.parametrize("value", [AccessToken(Secret(TOKEN)), OWN])
async def test_who_is_not_let_in_any_more_has_no_name(value: CredentialValue) -> None:
    made = fleet()
    device = await made.device(value=value)
    username = TOKEN if value is not OWN else device.id

    async def known() -> list[str]:
        return [await whose(made, username), await given(made, device.id)]

    assert await known() == [device.id] * 2
    device = await made.registry.alter(device, enabled=False)
    assert await known() == ["", ""]
    device = await made.registry.alter(device, enabled=True, state=DeviceState.DISCARDED)
    assert await known() == ["", ""]
    device = await made.registry.alter(device, state=DeviceState.CONNECTED)
    await made.expire(made.registry.clock.now() + 1)
    assert await known() == [device.id] * 2
    made.registry.clock.advance(0.001)
    assert await known() == ["", ""]
    await made.revoke()
    assert await known() == ["", ""]


async def test_a_secret_is_good_while_the_configuration_is_active() -> None:
    made = fleet()
    device = await made.device(value=OWN)
    config = await configured(made, device, active=False)
    assert [await whose(made, device.id), await given(made, device.id)] == ["", ""]
    active = msgspec.structs.replace(config, active=True, version=2)
    await made.registry.repository.commit(Changes(replace=(active,)))
    assert [await whose(made, device.id), await given(made, device.id)] == [device.id] * 2


async def test_a_user_is_known_by_its_id() -> None:
    made = fleet()
    entry = await made.user()
    assert [await whose(made, USER_ID), await whose(made, "", USER_ID), await given(made, USER_ID)] == [USER_ID] * 3
    assert await whose(made, "Auth:JWT", USER_ID) == ""
    # Without an MQTT secret there is the password, which a name alone does not stand for.
    entry = msgspec.structs.replace(entry, lookup=None, version=2)
    await made.registry.repository.commit(Changes(replace=(entry,)))
    assert [await whose(made, USER_ID), await given(made, USER_ID)] == ["", USER_ID]
    entry = msgspec.structs.replace(entry, role=None, version=3)
    await made.registry.repository.commit(Changes(replace=(entry,)))
    assert await given(made, USER_ID) == ""


async def test_an_entry_that_is_no_user_is_nobody() -> None:
    made = fleet()
    await made.user(kind=EntryKind.ORGANIZATION, login="", lookup=None, role=None, verifier=b"")
    assert [await whose(made, USER_ID), await given(made, USER_ID)] == ["", ""]


async def test_an_id_that_nobody_drew_is_nobodys() -> None:
    assert await given(fleet(), "sensor-7") == ""


# Topics


def topics(action: Action, *names: str, rewriting: bool = False, device: str = "") -> AskTopics:
    return AskTopics(GivenId(device) if device else MqttNames(TOKEN, "c"), action, names, rewriting)


async def test_topics_are_taken_as_they_are() -> None:
    made = fleet()
    device = await made.device()
    own = f"d/{device.id}"
    for action, topic in ((Action.PUBLISH, "me/up/x"), (Action.PUBLISH, f"{own}/up"), (Action.SUBSCRIBE, f"{own}/down/#")):
        assert (await answered(made, topics(action, topic))).topics == (topic,)
    for action, topic in (
        (Action.SUBSCRIBE, "me/down/#"),
        (Action.SUBSCRIBE, f"{own}/up"),
        (Action.PUBLISH, f"{own}/down"),
        (Action.PUBLISH, "d/another/up"),
    ):
        assert (await refused(made, topics(action, topic))).check == "broker.topic"
    assert await made.registry.events() == ()


async def test_topics_are_rewritten() -> None:
    made = fleet()
    device = await made.device()
    asked = topics(Action.PUBLISH, "me/up/x", rewriting=True, device=device.id)
    assert (await answered(made, asked)).topics == (f"d/{device.id}/up/x",)
    asked = topics(Action.SUBSCRIBE, "me/down/#", "a/b", rewriting=True, device=device.id)
    assert (await answered(made, asked)).topics == (f"d/{device.id}/down/#", None)
    asked = topics(Action.SUBSCRIBE, "a/b", "c", rewriting=True, device=device.id)
    assert (await refused(made, asked)).reason is Reason.FORBIDDEN
    assert (await answered(made, AskDelivery(GivenId(device.id), f"d/{device.id}/down/x"))).topics == ("me/down/x",)
    assert (await answered(made, AskDelivery(GivenId(device.id), "a/b"))).topics == (None,)
    assert (await refused(made, AskDelivery(GivenId("another"), "a/b"))).check == "broker.name"


async def test_without_topics_the_question_is_whether_somebody_is_let_in() -> None:
    made = fleet()
    assert (await refused(made, topics(Action.SUBSCRIBE))).check == "broker.name"
    await made.device()
    assert (await answered(made, topics(Action.SUBSCRIBE))).topics == ()


async def test_a_user_has_the_topics_of_users() -> None:
    made = fleet()
    await made.user()
    assert (await answered(made, topics(Action.SUBSCRIBE, "all/#", device=USER_ID))).topics == ("all/#",)
    assert (await refused(made, topics(Action.PUBLISH, "me/up", device=USER_ID))).check == "broker.topic"
