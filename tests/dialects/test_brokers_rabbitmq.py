"""RabbitMQ's questions, as its back end `rabbitmq_auth_backend_http` 3.10.8 sends them for a client of its MQTT plug-in.

Parameters and their order: https://github.com/rabbitmq/rabbitmq-server/tree/v3.10.8/deps/rabbitmq_auth_backend_http, README,
and the module of that name, whose `q/1` writes a map as `variable_map.NAME`.
"""

from typing import Any
from urllib.parse import urlencode

import pytest

from core.messages import MqttBasic
from core.model import DeviceState, EventKind, Secret
from tests.dialects.brokers_server import SECRET, TOKEN, Broker, Fleet, serving

QUEUE = "mqtt-subscription-sensor-7qos1"


async def ask(broker: Broker, question: str, **fields: str) -> str:
    """Ask by POST; the answer has no line end, and is never anything but a success."""
    answer = await broker.form(f"rabbitmq/{question}", fields)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    return answer.body


def user(**changed: str) -> dict[str, str]:
    return {"username": TOKEN, "password": "", "vhost": "/", "client_id": "sensor-7"} | changed


def vhost(**changed: str) -> dict[str, str]:
    return {"username": TOKEN, "vhost": "/", "ip": "127.0.0.1", "tags": "", "client_id": "sensor-7"} | changed


def resource(name: str, permission: str, kind: str = "queue", **changed: str) -> dict[str, str]:
    fields = {"username": TOKEN, "vhost": "/", "resource": kind, "name": name, "permission": permission, "tags": ""}
    return fields | {"client_id": "sensor-7"} | changed


def topic(key: str, permission: str, **changed: str) -> dict[str, str]:
    return {
        "username": TOKEN,
        "vhost": "/",
        "resource": "topic",
        "name": "amq.topic",
        "permission": permission,
        "tags": "",
        "routing_key": key,
        "variable_map.client_id": "sensor-7",
        "variable_map.username": TOKEN,
        "variable_map.vhost": "/",
    } | changed


async def test_a_device_logs_in_and_is_told_of() -> None:
    async with serving() as broker:
        device = await broker.fleet.device()
        assert await ask(broker, "user", **user()) == "allow"
        assert await ask(broker, "vhost", **vhost()) == "allow"
        assert (await broker.fleet.registry.known("meter-1")).device.state is DeviceState.CONNECTED
        assert broker.fleet.access.admitted == [(device.id, TOKEN, "sensor-7")]
        assert await ask(broker, "user", **user(username="another")) == "deny"
        assert len(broker.fleet.access.admitted) == 1


async def test_a_password_is_looked_at() -> None:
    async with serving() as broker:
        await broker.fleet.device(value=MqttBasic("", "joe", Secret("the password of joe")))
        assert await ask(broker, "user", **user(username="joe", password="the password of joe")) == "allow"
        assert await ask(broker, "user", **user(username="joe", password="wrong")) == "deny"
        (event,) = [each for each in await broker.fleet.registry.events() if each.kind is EventKind.LOGIN_REFUSED]
        assert event.check == "login.password"
        assert event.source.startswith("name:")


async def test_its_default_way_of_asking_puts_everything_into_the_url() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        assert (await broker.send("GET", f"rabbitmq/user?{urlencode(user())}")).body == "allow"
        broker.headers = {}
        # The configured path has the secret in its query, and RabbitMQ appends its own with another question mark.
        assert (await broker.send("GET", f"rabbitmq/user?secret={SECRET}?{urlencode(user())}")).body == "allow"
        assert (await broker.send("GET", f"rabbitmq/topic?secret={SECRET}?{urlencode(topic('a', 'read'))}")).body == "deny"
        assert (await broker.form(f"rabbitmq/user?secret={SECRET}", user())).body == "allow"


@pytest.mark.parametrize("question", ["user", "vhost", "resource", "topic"])
async def test_other_virtual_hosts_are_not_for_devices(question: str) -> None:
    made = {"user": user(), "vhost": vhost(), "resource": resource(QUEUE, "read"), "topic": topic("v1.devices.me.x", "write")}
    async with serving() as broker:
        await broker.fleet.device()
        assert await ask(broker, question, **made[question]) == "allow"
        assert await ask(broker, question, **made[question] | {"vhost": "production"}) == "deny"


async def test_a_login_without_mqtt_has_neither_virtual_host_nor_client_id() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        assert await ask(broker, "user", username=TOKEN, password="x") == "allow"
        assert await ask(broker, "user", username="", password="") == "deny"


@pytest.mark.parametrize(
    ("name", "permission", "kind", "expected"),
    [
        (QUEUE, "configure", "queue", "allow"),
        (QUEUE, "write", "queue", "allow"),
        (QUEUE, "read", "queue", "allow"),
        ("mqtt-subscription-sensor-7qos0", "configure", "queue", "allow"),
        ("mqtt-subscription-sensor-7qos2", "configure", "queue", "deny"),
        ("mqtt-subscription-sensor-8qos1", "read", "queue", "deny"),
        ("mqtt-subscription-qos1", "read", "queue", "deny"),
        ("orders", "read", "queue", "deny"),
        ("amq.topic", "write", "exchange", "allow"),
        ("amq.topic", "read", "exchange", "allow"),
        ("amq.topic", "configure", "exchange", "deny"),
        ("amq.topic", "read", "queue", "deny"),
        ("amq.direct", "write", "exchange", "deny"),
        ("", "write", "exchange", "deny"),
        (QUEUE, "read", "exchange", "deny"),
    ],
)
async def test_a_client_has_its_own_queues_and_the_exchange(name: str, permission: str, kind: str, expected: str) -> None:
    async with serving() as broker:
        await broker.fleet.device()
        assert await ask(broker, "resource", **resource(name, permission, kind)) == expected
        assert await ask(broker, "resource", **resource(name, permission, kind, username="another")) == "deny"
        assert await broker.fleet.registry.events() == ()


async def test_a_client_without_an_id_has_no_queue() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        assert await ask(broker, "resource", **resource("mqtt-subscription-qos1", "read", client_id="")) == "deny"


OWN = "v1.devices.{id}.down"


@pytest.mark.parametrize(
    ("key", "permission", "expected"),
    [
        ("v1.devices.me.telemetry", "write", "allow"),
        ("v1.devices.me", "write", "allow"),
        ("v1.devices.{id}.up.telemetry", "write", "allow"),
        ("v1.devices.{id}.up", "read", "deny"),
        ("v1.devices.{id}.down.rpc.request.*", "read", "allow"),
        ("v1.devices.{id}.down.#", "read", "allow"),
        ("v1.devices.{id}.down.#.x", "read", "deny"),
        ("v1.devices.{id}.down.x", "write", "deny"),
        ("v1.devices.{id}.down.x", "configure", "deny"),
        ("v1.devices.me.attributes", "read", "deny"),
        ("v1.devices.01938a4e-0000-7000-8000-000000000001.up", "write", "deny"),
        ("v1.devices.*.down", "read", "deny"),
        ("v1.devices.#", "read", "deny"),
        ("v1.devices.me.tele*metry", "write", "deny"),
        ("v1.devices.me.*", "write", "deny"),
        ("v1.devices.me.#", "write", "deny"),
        ("#", "read", "deny"),
        ("*", "read", "deny"),
        ("", "read", "deny"),
        ("", "write", "deny"),
        (".", "write", "deny"),
        ("v1.devices..me", "write", "deny"),
        ("v1.devices.me.", "write", "allow"),
        ("$share.group.v1.devices.{id}.down", "read", "deny"),
        ("$SYS.x", "read", "deny"),
        ("a\0b", "write", "deny"),
    ],
)
async def test_topics_come_as_routing_keys(key: str, permission: str, expected: str) -> None:
    async with serving() as broker:
        device = await broker.fleet.device()
        assert await ask(broker, "topic", **topic(key.format(id=device.id), permission)) == expected
        assert await broker.fleet.registry.events() == ()


async def test_topics_of_another_exchange_are_not_for_devices() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        assert await ask(broker, "topic", **topic("v1.devices.me.telemetry", "write", name="mine")) == "deny"


async def test_what_is_revoked_is_refused_with_the_next_question() -> None:
    questions: list[tuple[str, dict[str, str]]] = [
        ("user", user()),
        ("vhost", vhost()),
        ("resource", resource(QUEUE, "read")),
        ("topic", topic("v1.devices.me.telemetry", "write")),
    ]
    async with serving() as broker:
        await broker.fleet.device()
        assert [await ask(broker, name, **fields) for name, fields in questions] == ["allow"] * 4
        await broker.fleet.revoke()
        assert [await ask(broker, name, **fields) for name, fields in questions] == ["deny"] * 4


@pytest.mark.parametrize(
    ("question", "body"),
    [
        ("user", b"username=%ff&password=x"),
        ("user", b"\xff\xfe"),
        ("vhost", b"username=x"),
        ("vhost", b""),
        ("resource", b"username=x&vhost=/&resource=queue&name=q&permission=own"),
        ("topic", b"username=x&vhost=/&name=amq.topic&permission=read"),
        ("topic", b"&".join(b"f%d=1" % number for number in range(100))),
        ("topic", b'{"username":"x"}'),
    ],
)
async def test_what_cannot_be_read_is_denied_and_recorded(question: str, body: bytes) -> None:
    async with serving() as broker:
        form: dict[str, Any] = {"Content_Type": "application/x-www-form-urlencoded"}
        answer = await broker.send("POST", f"rabbitmq/{question}", body, **form)
        assert (answer.status, answer.body) == (200, "deny")
        (event,) = await broker.fleet.registry.events()
        assert (event.kind, event.check, event.dialect) == (EventKind.REQUEST_REFUSED, "broker.question", "brokers")


async def test_a_name_that_is_as_long_as_mqtt_allows_is_read_and_a_longer_one_is_not() -> None:
    async with serving(Fleet()) as broker:
        assert await ask(broker, "user", **user(username="x" * 65_535, password="y" * 65_535)) == "deny"
        assert await ask(broker, "user", **user(username="x" * 65_536)) == "deny"
        checks = {event.check for event in await broker.fleet.registry.events()}
        assert checks == {"login.user", "broker.question"}
