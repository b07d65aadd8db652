"""VerneMQ's hooks, with the example payloads of its documents and the answers that these describe.

Source: https://docs.vernemq.com/plugin-development/webhookplugins, "Webhook specs".
"""

from typing import Any

import pytest

from core.messages import MqttBasic
from core.model import EventKind, Secret
from tests.core.test_logins import session
from tests.dialects.brokers_server import SECRET, USER_ID, Broker, serving

NOT_ALLOWED = {"result": {"error": "not_allowed"}}
JOE = MqttBasic("", "username", Secret("password"))


async def ask(broker: Broker, hook: str, **payload: Any) -> Any:
    """Call a hook; whatever the answer, the status is 200, and nothing may be cached."""
    answer = await broker.json("vernemq", payload, vernemq_hook=hook)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    return answer.document


def register(**changed: Any) -> dict[str, Any]:
    payload = {
        "peer_addr": "127.0.0.1",
        "peer_port": 8888,
        "username": "username",
        "password": "password",
        "mountpoint": "",
        "client_id": "clientid",
        "clean_session": False,
    }
    return payload | changed


@pytest.mark.parametrize("five", ["", "_m5"])
async def test_a_connection_goes_on_under_the_id_of_its_device(five: str) -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=JOE)
        more = {"clean_start": True, "properties": {"p_session_expiry_interval": 5}} if five else {}
        assert await ask(broker, f"auth_on_register{five}", **register(**more)) == {
            "result": "ok",
            "modifiers": {"mountpoint": "", "client_id": device.id},
        }
        answer = await ask(broker, f"auth_on_register{five}", **register(mountpoint="there"))
        assert answer["modifiers"]["mountpoint"] == "there"
        assert (
            await ask(broker, f"auth_on_register{five}", **register(password="wrong", peer_addr="203.0.113.9")) == NOT_ALLOWED
        )
        (event,) = [each for each in await broker.fleet.registry.events() if each.kind is EventKind.LOGIN_REFUSED]
        assert event.source == "203.0.113.9"
        assert await ask(broker, f"auth_on_register{five}", **register(username=None, password=None)) == NOT_ALLOWED
        assert await ask(broker, f"auth_on_register{five}", **register(peer_addr=None)) != NOT_ALLOWED


async def test_two_devices_with_one_client_id_are_two_clients() -> None:
    async with serving() as broker:
        names = [f"user-{number}" for number in range(2)]
        devices = [await broker.fleet.device(name, MqttBasic("", name, Secret("password"))) for name in names]
        answers = [await ask(broker, "auth_on_register", **register(username=name)) for name in names]
        assert [answer["modifiers"]["client_id"] for answer in answers] == [device.id for device in devices]


async def test_the_secret_may_be_in_the_url() -> None:
    async with serving() as broker:
        await broker.fleet.device(value=JOE)
        broker.headers = {}
        answer = await broker.json(f"vernemq?secret={SECRET}", register(), vernemq_hook="auth_on_register")
        assert answer.document["result"] == "ok"


async def test_what_is_published_is_told_apart_by_its_device() -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=JOE)
        message = {"username": "username", "client_id": device.id, "mountpoint": "", "qos": 1, "payload": "aGVsbG8="}
        for five in ("", "_m5"):
            asked = {**message, "topic": "v1/devices/me/telemetry", "retain": False, "properties": {}}
            assert await ask(broker, f"auth_on_publish{five}", **asked) == {
                "result": "ok",
                "modifiers": {"topic": f"v1/devices/{device.id}/up/telemetry"},
            }
            for topic in ("a/b", "v1/devices/+/x", "", "v1/devices/01938a4e-0000-7000-8000-000000000001/up"):
                assert await ask(broker, f"auth_on_publish{five}", **asked | {"topic": topic}) == NOT_ALLOWED
        assert await ask(broker, "auth_on_publish", **message | {"client_id": "clientid", "topic": "a/b"}) == NOT_ALLOWED


async def test_each_subscription_is_decided_and_keeps_its_quality_of_service() -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=JOE)
        topics = [
            {"topic": "v1/devices/me/rpc/request/+", "qos": 1},
            {"topic": "c/d", "qos": 2},
            {"topic": "$share/g/v1/devices/me/attributes", "qos": 0},
        ]
        asked = {"client_id": device.id, "mountpoint": "", "username": "username", "topics": topics}
        assert await ask(broker, "auth_on_subscribe", **asked) == {
            "result": "ok",
            "topics": [
                {"topic": f"v1/devices/{device.id}/down/rpc/request/+", "qos": 1},
                {"topic": "c/d", "qos": 128},
                {"topic": "$share/g/v1/devices/me/attributes", "qos": 128},
            ],
        }
        assert await ask(broker, "auth_on_subscribe", **asked | {"topics": topics[1:]}) == NOT_ALLOWED


async def test_the_options_of_mqtt_5_stay_as_they_are() -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=JOE)
        options = {"no_local": True, "rap": False, "retain_handling": "dont_send"}
        topics = [{"topic": "v1/devices/me/attributes", "qos": 1, **options}, {"topic": "forbidden/topic", "qos": 2}]
        asked = {"username": "username", "mountpoint": "", "client_id": device.id, "topics": topics, "properties": {}}
        assert await ask(broker, "auth_on_subscribe_m5", **asked) == {
            "result": "ok",
            "modifiers": {
                "topics": [
                    {"topic": f"v1/devices/{device.id}/down/attributes", "qos": 1, **options},
                    {"topic": "forbidden/topic", "qos": 135},
                ]
            },
        }


async def test_who_unsubscribes_from_what_was_rewritten_is_understood() -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=JOE)
        asked = {
            "username": "username",
            "client_id": device.id,
            "mountpoint": "",
            "topics": ["v1/devices/me/attributes", "c/d"],
        }
        topics = [f"v1/devices/{device.id}/down/attributes", "c/d"]
        assert await ask(broker, "on_unsubscribe", **asked) == {"result": "ok", "topics": topics}
        assert await ask(broker, "on_unsubscribe_m5", **asked) == {"result": "ok", "modifiers": {"topics": topics}}


@pytest.mark.parametrize("five", ["", "_m5"])
async def test_what_is_delivered_has_the_name_that_the_device_knows(five: str) -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=JOE)
        asked = {"username": "username", "client_id": device.id, "mountpoint": "", "payload": "aGVsbG8="}
        delivered = await ask(broker, f"on_deliver{five}", **asked, topic=f"v1/devices/{device.id}/down/rpc/request/7")
        assert delivered == {"result": "ok", "modifiers": {"topic": "v1/devices/me/rpc/request/7"}}
        assert await ask(broker, f"on_deliver{five}", **asked, topic="a/b") == {"result": "ok"}
        await broker.fleet.revoke()
        assert await ask(broker, f"on_deliver{five}", **asked, topic="a/b") == NOT_ALLOWED


async def test_a_user_of_a_session_is_known_by_the_given_id() -> None:
    async with serving() as broker:
        await broker.fleet.user(lookup=None)
        token = session(broker.fleet.registry).reveal()
        answer = await ask(broker, "auth_on_register", **register(username="Auth:JWT", password=token))
        assert answer["modifiers"]["client_id"] == USER_ID
        topics = [{"topic": "xi/blue/v1/default/d/01938a4e-0000-7000-8000-000000000001/x", "qos": 0}]
        assert (await ask(broker, "auth_on_subscribe", client_id=USER_ID, topics=topics))["topics"] == topics


@pytest.mark.parametrize(
    ("hook", "payload"),
    [
        ("", {}),
        ("on_register", register()),
        ("auth_on_register", {}),
        ("auth_on_register", {"client_id": 7}),
        ("auth_on_subscribe", {"client_id": "c", "topics": []}),
        ("auth_on_subscribe", {"client_id": "c", "topics": [{"topic": "a", "qos": 0}] * 257}),
        ("auth_on_subscribe", {"client_id": "c", "topics": ["a"]}),
        ("auth_on_subscribe_m5", {"client_id": "c", "topics": [{"topic": "a"}]}),
        ("auth_on_publish", {"topic": "a"}),
        ("on_unsubscribe", {"client_id": "c", "topics": [{"topic": "a", "qos": 0}]}),
        ("on_deliver", {"client_id": None, "topic": "a"}),
    ],
)
async def test_what_cannot_be_read_is_not_allowed(hook: str, payload: Any) -> None:
    async with serving() as broker:
        assert await ask(broker, hook, **payload) == NOT_ALLOWED
        (event,) = await broker.fleet.registry.events()
        assert event.check == "broker.question"
