"""EMQX's questions, with the bodies that `deploy/brokers/emqx.conf` configures, and the answers of EMQX's documents.

Sources: https://docs.emqx.com/en/emqx/latest/access-control/authn/http.html, .../access-control/authz/http.html.
"""

from typing import Any

import pytest

from core.errors import Reason, Refusal
from core.messages import AccessToken, MqttBasic
from core.model import DeviceState, EventKind, Secret
from tests.core.faulty import FaultyRepository, no_fault
from tests.core.registry import OTHER_TENANT
from tests.dialects.brokers_server import TOKEN, USER_ID, USER_SECRET, Broker, Fleet, serving
from tests.fakes import START

DENY = {"result": "deny"}
ALLOW = {"result": "allow"}


async def authn(broker: Broker, **changed: Any) -> Any:
    """Ask as an authenticator does. No is said with 200: with anything else EMQX would ask the next one."""
    asked = {"clientid": "sensor-7", "username": TOKEN, "password": "", "peerhost": "203.0.113.9"} | changed
    return await decided(broker, "emqx/authn", asked)


async def authz(broker: Broker, action: str, topic: str, **changed: Any) -> Any:
    """Ask as an authorizer does."""
    asked = {"clientid": "sensor-7", "username": TOKEN, "topic": topic, "action": action} | changed
    return await decided(broker, "emqx/authz", asked)


async def decided(broker: Broker, path: str, asked: Any) -> Any:
    answer = await broker.json(path, asked)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.document


async def test_a_device_is_let_in_and_told_apart_by_its_attributes() -> None:
    async with serving() as broker:
        device = await broker.fleet.device(tenant=OTHER_TENANT)
        assert await authn(broker) == {
            "result": "allow",
            "is_superuser": False,
            "client_attrs": {"device": device.id, "tenant": "elsewhere"},
        }
        assert await authn(broker, username="another") == DENY


async def test_a_credential_that_ends_says_when_in_seconds() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        await broker.fleet.expire(START + 90_500)
        assert (await authn(broker))["expire_at"] == (START + 90_500) // 1000
        await broker.fleet.expire(2**62)
        assert (await authn(broker))["expire_at"] == 253_402_300_799
        await broker.fleet.expire(START)
        assert await authn(broker) == DENY


async def test_failures_are_counted_by_the_address_of_the_device() -> None:
    async with serving() as broker:
        await authn(broker, peerhost="2001:db8::1")
        await authn(broker, peerhost="")
        await authn(broker, peerhost=None, username=None, clientid=None, password=None)
        sources = {event.source for event in await broker.fleet.registry.events() if event.kind is EventKind.LOGIN_REFUSED}
        assert "2001:db8::1" in sources
        assert len(sources) == 3
        assert all(source.startswith("name:") and TOKEN not in source for source in sources - {"2001:db8::1"})


async def test_a_user_name_is_enough_or_a_client_id_or_both() -> None:
    async with serving() as broker:
        for number, value in enumerate(
            (
                MqttBasic("", "joe", Secret("p1")),
                MqttBasic("alone", ""),
                MqttBasic("both", "jim", Secret("p2")),
            )
        ):
            device = await broker.fleet.device(f"meter-{number}", value)
            names = {"clientid": value.client_id or "any", "username": value.username}
            answer = await authn(broker, **names, password=value.password.reveal())
            assert answer["client_attrs"]["device"] == device.id
            assert await authz(broker, "subscribe", f"v1/devices/{device.id}/down/#", **names) == ALLOW
            assert await authz(broker, "subscribe", f"v1/devices/{device.id}/down/#", **names | {"clientid": "other"}) == (
                DENY if value.client_id else ALLOW
            )


@pytest.mark.parametrize(
    ("action", "topic", "expected"),
    [
        ("publish", "v1/devices/me/telemetry", ALLOW),
        ("publish", "v1/devices/{id}/up/telemetry", ALLOW),
        ("publish", "v1/devices/{id}/down/telemetry", DENY),
        ("publish", "v1/devices/{id}/up/#", DENY),
        ("publish", "v1/devices/+/up", DENY),
        ("publish", "v1/devices/me/../{id}", ALLOW),  # dots mean nothing in a topic
        ("publish", "v1/devices//me", DENY),
        ("publish", "/v1/devices/me", DENY),
        ("publish", "", DENY),
        ("publish", "\0", DENY),
        ("publish", "$SYS/brokers", DENY),
        ("subscribe", "v1/devices/{id}/down/rpc/request/+", ALLOW),
        ("subscribe", "v1/devices/{id}/down/#", ALLOW),
        ("subscribe", "v1/devices/{id}/#", DENY),
        ("subscribe", "v1/devices/me/attributes", DENY),
        ("subscribe", "v1/devices/+/down/#", DENY),
        ("subscribe", "#", DENY),
        ("subscribe", "+/#", DENY),
        ("subscribe", "$share/group/v1/devices/{id}/down", DENY),
        ("subscribe", "v1/devices/01938a4e-0000-7000-8000-000000000001/down", DENY),
    ],
)
async def test_topics_are_decided_as_they_are(action: str, topic: str, expected: Any) -> None:
    async with serving() as broker:
        device = await broker.fleet.device()
        assert await authz(broker, action, topic.format(id=device.id)) == expected
        assert await broker.fleet.registry.events() == ()


async def test_another_devices_topics_are_not_for_this_one() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        other = await broker.fleet.device("meter-2", AccessToken(Secret("another token of tests")))
        assert await authz(broker, "publish", f"v1/devices/{other.id}/up/telemetry") == DENY
        assert await authz(broker, "subscribe", f"v1/devices/{other.id}/down/#", clientid=other.id) == DENY


async def test_a_user_of_the_account_has_the_topics_of_its_role() -> None:
    async with serving() as broker:
        await broker.fleet.user()
        answer = await authn(broker, clientid="browser", username=USER_ID, password=USER_SECRET)
        assert answer["client_attrs"] == {"device": USER_ID, "tenant": "default"}
        topic = "xi/blue/v1/default/d/01938a4e-0000-7000-8000-000000000001/temperature"
        assert await authz(broker, "subscribe", topic, username=USER_ID) == ALLOW
        assert await authz(broker, "subscribe", topic.replace("default", "elsewhere"), username=USER_ID) == DENY


@pytest.mark.parametrize("fields", [{"enabled": False}, {"enabled": True, "discarded": True}])
async def test_who_is_kept_out_has_no_topics(fields: dict[str, bool]) -> None:
    state = DeviceState.DISCARDED if fields.get("discarded") else DeviceState.CONNECTED
    async with serving() as broker:
        await broker.fleet.device(enabled=fields["enabled"], state=state)
        assert await authn(broker) == DENY
        assert await authz(broker, "publish", "v1/devices/me/telemetry") == DENY


async def test_a_registry_that_cannot_answer_means_no() -> None:
    class Broken(FaultyRepository):
        broken = False

        async def read(self, query: Any) -> Any:
            if self.broken:
                raise Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed", retry_after=5)
            return await super().read(query)

    repository = Broken(no_fault)
    async with serving(Fleet(repository)) as broker:
        await broker.fleet.device()
        assert (await authn(broker))["result"] == "allow"
        repository.broken = True
        assert await authn(broker) == DENY
        assert await authz(broker, "publish", "v1/devices/me/telemetry") == DENY


@pytest.mark.parametrize("question", ["authn", "authz"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b'{"username":1}',
        b'{"clientid":["a"],"topic":"t","action":"publish"}',
        b'{"topic":"t"}',
        b'{"topic":"t","action":"connect","username":{}}',
        b'{"username":"\\ud800","topic":"\\ud800","action":"publish"}',
        b'{"a":' * 50_000,
        b'{"peerhost":"' + b"x" * 65 + b'","topic":7}',
        b'{"username":"' + b"x" * 70_000 + b'","topic":"t","action":"publish"}',
    ],
    ids=range(14),
)
async def test_what_cannot_be_read_is_denied(question: str, body: bytes) -> None:
    async with serving() as broker:
        answer = await broker.send("POST", f"emqx/{question}", body, Content_Type="application/json")
        assert (answer.status, answer.document) == (200, DENY)
        # A document without a name is a login without one.
        (event,) = await broker.fleet.registry.events()
        assert event.check in ("broker.question", "login.user")


async def test_another_method_is_denied_too() -> None:
    async with serving() as broker:
        answer = await broker.send("GET", "emqx/authz?topic=t&action=publish")
        assert (answer.status, answer.document) == (200, DENY)


async def test_a_form_is_read_too() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        answer = await broker.form("emqx/authz", {"username": TOKEN, "topic": "v1/devices/me/x", "action": "publish"})
        assert answer.document == ALLOW
