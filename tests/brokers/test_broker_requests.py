"""Devices that reach nothing but their broker: what they are answered, and who else hears of it."""

import asyncio
import json
import shutil
from pathlib import Path

import aiomqtt
import pytest

from adapters.app import Running
from core.model import Secret
from tests.brokers.broker_devices import ACL, DEPLOY, PROVISION, RULES, device, document, properties, round_trip, serving
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST
from tests.e2e.operator_api import Operator
from tests.protocols.world import FACTORY, METERS


@pytest.fixture
async def broker(tmp_path: Path):
    """A broker with the rules that are shipped."""
    folder = tmp_path / "broker"
    folder.mkdir()
    async with mosquitto(folder, RULES) as running:
        yield running


@pytest.mark.parametrize("version", list(aiomqtt.ProtocolVersion), ids=lambda version: version.name)
async def test_a_device_is_provisioned_through_its_broker(
    gateway: Running, operator: Operator, broker: Mosquitto, version: aiomqtt.ProtocolVersion
) -> None:
    async with serving(gateway, broker), device(broker, "pump-1", version=version) as pump:
        answer = await pump.ask(PROVISION, METERS.claim(deviceName="new"))
    assert str(answer.topic) == "firstlight/devices/pump-1/-/provision/response"
    assert document(answer)["status"] == "SUCCESS"
    known = await operator.device("new")
    assert known is not None
    assert known["state"] == "provisioned"
    events = (await operator.get(f"/v1/events?device={known['id']}"))["items"]
    assert {event["source"] for event in events} == {"client/pump-1"}
    assert {event["protocol"] for event in events} == {"mqtt"}


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
async def test_mosquittos_own_client_is_answered(gateway: Running, broker: Mosquitto, version: str) -> None:
    own = "firstlight/devices/rr/-/provision"
    arguments = ("-V", version, "-i", "rr", "-t", f"{own}/request", "-e", f"{own}/response", "-W", "10", "-q", "1")
    async with serving(gateway, broker):
        process = await asyncio.create_subprocess_exec(
            *("mosquitto_rr", "-h", HOST, "-p", str(broker.port), *arguments),
            *("-m", json.dumps(METERS.claim(deviceName="rr"))),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    assert b'"status":"SUCCESS"' in out


async def test_a_configuration_is_fetched_and_every_dialect_answers(
    gateway: Running, operator: Operator, broker: Mosquitto
) -> None:
    await operator.post("/v1/configs", {"external_id": "aa:bb", "external_key": "key", "content": "hello"})
    async with serving(gateway, broker), device(broker, "c-1") as client:
        by_body = await client.ask("clients/bootstrap/aa:bb", {"authorization": "key"})
        assert document(by_body)["content"] == "hello"
        assert str(by_body.topic) == client.topic("clients/bootstrap/aa:bb/response")
        user = properties(UserProperty=[("Authorization", "key"), ("accept", "application/cbor")])
        as_cbor = await client.ask("things/bootstrap/aa:bb", b"", user)
        assert getattr(as_cbor.properties, "ContentType", "") == "application/cbor"
        refused = await client.ask("clients/bootstrap/aa:bb", {"authorization": "wrong"})
        assert "content" not in document(refused)
        version = await client.ask("clients/bootstrap/aa:bb/version", {"authorization": "key"})
        assert str(version.topic) == client.topic("clients/bootstrap/aa:bb/version/response")
        signed = await client.ask("dev/bootstrap", {"deviceSn": "1", "groupId": "none"})
        assert str(signed.topic) == client.topic("dev/bootstrap/response")


async def test_what_cannot_be_answered_by_its_dialect_is_not_answered(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as served, device(broker, "c-1") as client:
        await client.send(PROVISION, b"neither JSON nor protobuf")
        answer = await client.provision(METERS.claim(deviceName="next"))
        assert answer["status"] == "SUCCESS"
        assert len(client.heard) == 1
        assert served.meter.bounds == []


WIDE = ("#", "firstlight/#", "firstlight/devices/#", "firstlight/devices/victim/#", "+/devices/+/-/provision/response")
SHARED = ("$share/firstlight/firstlight/devices/+/-/+/request", "$share/x/firstlight/devices/#", "/provision/response")


@pytest.mark.parametrize("name", ["spy", "victim/provision", "victim/-", "victim/-/provision", "+", "#", "+/-"])
async def test_a_spy_hears_nothing_of_another(gateway: Running, broker: Mosquitto, name: str) -> None:
    async with (
        serving(gateway, broker),
        device(broker, name, *WIDE, *SHARED) as spy,
        device(broker, "victim") as victim,
        device(broker, "witness", "firstlight/devices/victim/#") as witness,
    ):
        for number in range(5):
            assert (await victim.provision(METERS.claim(deviceName=f"meter-{number}")))["status"] == "SUCCESS"
        if "+" not in name and "#" not in name:
            await spy.send(PROVISION, METERS.claim(deviceName="posing"))
        await spy.client.publish("firstlight/devices/victim/-/provision/request", b"{}", 1)
        await spy.client.publish("firstlight/devices/victim/-/provision/response", b"{}", 1)
        await witness.client.subscribe(witness.topic("#"))
        await round_trip(witness)
        assert (await victim.provision(METERS.claim(deviceName="last")))["status"] == "SUCCESS"
        assert len(victim.heard) == 6
        assert {str(message.topic) for message in spy.heard} <= {"firstlight/devices/spy/-/provision/response"}
        assert witness.heard == []


async def test_the_answer_goes_where_the_request_came_from(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as served, device(broker, "thief") as thief, device(broker, "victim") as victim:
        correlation = b"c-\x00\xff"
        aimed = properties(ResponseTopic=victim.topic("provision/response"), CorrelationData=correlation)
        answer = await thief.ask(PROVISION, METERS.claim(deviceName="mine"), aimed)
        assert str(answer.topic) == thief.topic("provision/response")
        assert getattr(answer.properties, "CorrelationData", b"") == correlation
        await round_trip(victim)
        assert victim.heard == []
        assert served.log.levels("response topic is not followed") == ["debug"]
        own = properties(ResponseTopic=thief.topic("provision/response"))
        plain = await thief.ask(PROVISION, METERS.claim(deviceName="another"), own)
        assert not hasattr(plain.properties, "CorrelationData")
        assert served.log.levels("response topic is not followed") == ["debug"]


async def test_a_retained_request_is_ignored(gateway: Running, operator: Operator, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as served, device(broker, "c-1") as client:
        await client.send(PROVISION, METERS.claim(deviceName="retained"), retain=True)
        assert (await client.provision(METERS.claim(deviceName="plain")))["status"] == "SUCCESS"
        assert served.meter.bounds == ["broker.retained"]
        assert served.log.levels("retained request") == ["warning"]
    async with serving(gateway, broker) as served, device(broker, "c-2") as other:
        assert (await other.provision(METERS.claim(deviceName="later")))["status"] == "SUCCESS"
        assert served.meter.bounds == []
    assert await operator.device("retained") is None


async def test_topics_that_all_devices_share_are_refused_in_words(
    gateway: Running, operator: Operator, broker: Mosquitto
) -> None:
    broker.config = "allow_anonymous true"  # no rules at all: where the mistake would be possible
    await broker.restart()
    async with (
        serving(gateway, broker) as served,
        device(broker, "c-1", "/provision/response", "firstlight/devices/c-1/-/#") as c,
    ):
        for number in range(3):
            await c.client.publish("/provision/request", json.dumps(METERS.claim(deviceName=f"shared-{number}")), 1)
        assert (await c.provision(METERS.claim(deviceName="own")))["status"] == "SUCCESS"
        assert [str(message.topic) for message in c.heard] == [c.topic("provision/response")]
        assert served.meter.bounds == ["broker.fixed_topic"] * 3
        (line,) = served.log.said("everyone could read")
        assert line["instead"] == "firstlight/devices/<client id>/-/provision/request"
    assert await operator.device("shared-0") is None


async def test_what_needs_a_login_is_not_served(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as served, device(broker, "c-1") as client:
        await client.send("v1/devices/me/firmware", {"running": "1"})
        await client.send("who/knows", {})
        await client.client.publish("firstlight/devices/c-1/-/request", b"", 1)
        await client.client.publish("firstlight/devices/c-1/-/one/two/three/four/five/six/request", b"", 1)
        await client.client.publish("firstlight/devices/c-1/-/provision/response", b"an answer of its own", 1)
        await client.client.publish("firstlight/devices/c-1/-/telemetry", b"{}", 1)
        answer = await client.ask(PROVISION, FACTORY.claim(deviceName="expected-token"))
        assert document(answer)["credentialsValue"] == "stored-token-of-expected"
        assert served.meter.bounds == ["broker.unproved", "broker.path"]
        (line,) = served.log.said("own login")
        assert line == {"count": 1, "topic": client.topic("v1/devices/me/firmware/request")}


async def test_tokens_stay_out_of_the_log(gateway: Running, broker: Mosquitto) -> None:
    async with serving(gateway, broker) as served, device(broker, "c-1") as client:
        answer = await client.provision(METERS.claim(deviceName="quiet"))
        assert answer["credentialsValue"] not in str(served.log.lines)
        assert METERS.secret not in str(served.log.lines)


async def test_the_shipped_configuration_is_one_that_works(gateway: Running, tmp_path: Path) -> None:
    shutil.copy(ACL, tmp_path)
    shipped = (DEPLOY / "mosquitto-requests.conf").read_text()
    lines = [line for line in shipped.splitlines() if not line.startswith(("listener", "set_tcp_nodelay"))]
    config = "\n".join(lines).replace("/etc/mosquitto", str(tmp_path)).replace("/var/lib/mosquitto", str(tmp_path))
    file = str(tmp_path / "firstlight.passwd")
    making = await asyncio.create_subprocess_exec("mosquitto_passwd", "-c", "-b", file, "firstlight", "secret")
    assert await making.wait() == 0
    async with (
        mosquitto(tmp_path, config) as broker,
        serving(gateway, broker, password=Secret("secret")),
        device(broker, "pump-1") as pump,
    ):
        assert (await pump.provision(METERS.claim(deviceName="shipped")))["status"] == "SUCCESS"
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(HOST, broker.port, username="firstlight"):
                pass
