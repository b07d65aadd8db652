"""mosquitto-go-auth's questions, as its back end `http` sends them (README, "HTTP"; backends/http.go of 2.1)."""

import json
from typing import Any

import pytest

from core.messages import MqttBasic
from core.model import Secret
from tests.dialects.brokers_server import SECRET, TOKEN, Answer, Broker, serving

READ, WRITE, SUBSCRIBE, UNSUBSCRIBE = 1, 2, 4, 8


async def ask(broker: Broker, question: str, mode: str, **fields: Any) -> Answer:
    """Ask in a params mode."""
    if mode == "form":
        return await broker.form(f"goauth/{question}", {name: str(value) for name, value in fields.items()})
    return await broker.json(f"goauth/{question}", fields)


def understood(answer: Answer) -> tuple[bool, bool]:
    """Return what the response modes `status` and `json` make of an answer; the names of members are any case's to it."""
    members = {name.lower(): value for name, value in answer.document.items()}
    granted = 200 <= answer.status < 300
    return granted, granted and members["ok"]


@pytest.mark.parametrize("mode", ["json", "form"])
async def test_a_device_logs_in_and_uses_its_topics(mode: str) -> None:
    async with serving() as broker:
        device = await broker.fleet.device(value=MqttBasic("", "joe", Secret("p")))
        names = {"username": "joe", "clientid": "sensor-7"}
        assert understood(await ask(broker, "user", mode, **names, password="p")) == (True, True)
        refused = await ask(broker, "user", mode, **names, password="wrong")
        assert (refused.status, refused.document) == (403, {"Ok": False, "Error": "the credentials are not known"})
        for topic, acc, expected in (
            ("v1/devices/me/telemetry", WRITE, True),
            ("v1/devices/me/telemetry", SUBSCRIBE, False),
            (f"v1/devices/{device.id}/down/#", SUBSCRIBE, True),
            (f"v1/devices/{device.id}/down/#", UNSUBSCRIBE, True),
            (f"v1/devices/{device.id}/down/rpc", READ, True),
            (f"v1/devices/{device.id}/down/rpc", WRITE, False),
            ("v1/devices/01938a4e-0000-7000-8000-000000000001/down", READ, False),
            ("#", SUBSCRIBE, False),
        ):
            answer = await ask(broker, "acl", mode, **names, topic=topic, acc=acc)
            assert understood(answer) == (expected, expected), topic
            assert answer.status == (200 if expected else 403)


async def test_nobody_is_a_superuser_and_that_is_no_event() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        answer = await ask(broker, "superuser", "json", username=TOKEN)
        assert (answer.status, answer.document) == (403, {"Ok": False, "Error": "nobody is a superuser"})
        assert await broker.fleet.registry.events() == ()


async def test_text_is_an_answer_of_its_own() -> None:
    async with serving() as broker:
        await broker.fleet.device()
        broker.headers = {}
        query = f"?secret={SECRET}&response_mode=text"
        login = {"username": TOKEN, "password": "", "clientid": ""}
        assert (await broker.json(f"goauth/user{query}", login))[::2] == (200, "ok")
        refused = await broker.json(f"goauth/user{query}", login | {"username": "x"})
        assert (refused.status, refused.body) == (403, "the credentials are not known")


@pytest.mark.parametrize("acc", [0, 3, 16, "read", None])
async def test_an_access_that_is_none_is_malformed(acc: object) -> None:
    async with serving() as broker:
        answer = await ask(broker, "acl", "json", username=TOKEN, clientid="c", topic="v1/devices/me/x", acc=acc)
        assert (answer.status, answer.document["Ok"]) == (400, False)


async def test_what_cannot_be_read_is_refused_without_repeating_it() -> None:
    async with serving() as broker:
        body = json.dumps({"username": "u", "password": ["hidden password"]}).encode()
        answer = await broker.send("POST", "goauth/user", body, Content_Type="application/json")
        assert answer.status == 400
        assert "hidden" not in answer.body
        assert (await broker.send("GET", "goauth/user")).status == 405
