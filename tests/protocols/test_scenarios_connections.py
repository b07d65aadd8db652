"""What a provisioning connection over MQTT may do, packet by packet, with paho against the whole gateway."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from adapters.app import Running
from tests.protocols.scenario_clients import Login
from tests.protocols.scenario_mqtt_clients import REQUEST, RESPONSE, TELEMETRY, Talk
from tests.protocols.scenarios import message, protobuf_claim
from tests.protocols.world import METERS

GUEST = Login(username="provision")
CLASSIC, MODERN = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
both = pytest.mark.parametrize("version", [CLASSIC, MODERN], ids=["3.1.1", "5"])


async def talk(gateway: Running, version: MQTTProtocolVersion, say: Callable[[Talk], None], login: Login = GUEST) -> None:
    """Run a conversation, which blocks, beside the gateway."""

    def work() -> None:
        with Talk(gateway.listening, version, login) as conversation:
            assert not conversation.refused
            say(conversation)

    await asyncio.to_thread(work)


def ask(conversation: Talk, **fields: Any) -> Any:
    """Publish a request and return the answer."""
    conversation.client.publish(REQUEST, json.dumps(METERS.claim(**fields)), 1)
    return json.loads(conversation.wait("answered")[1])


@both
async def test_row_29_a_request_without_a_subscription_is_answered_at_qos_1(
    gateway: Running, version: MQTTProtocolVersion
) -> None:
    def say(conversation: Talk) -> None:
        assert ask(conversation, deviceName="new-1")["status"] == "SUCCESS"
        (answer,) = conversation.messages
        assert (answer.topic, answer.qos, answer.retain) == (RESPONSE, 1, False)

    await talk(gateway, version, say)


@both
async def test_the_answer_has_the_qos_of_the_subscription(gateway: Running, version: MQTTProtocolVersion) -> None:
    def say(conversation: Talk) -> None:
        conversation.client.subscribe(RESPONSE, 0)
        assert conversation.wait("subscribed")[1] == [0]
        ask(conversation, deviceName="new-1")
        conversation.client.subscribe(RESPONSE, 2)
        assert conversation.wait("subscribed")[1] == [1]
        ask(conversation, deviceName="new-2")
        assert [answer.qos for answer in conversation.messages] == [0, 1]

    await talk(gateway, version, say)


@both
async def test_row_30_a_guest_subscribes_to_nothing_else(gateway: Running, version: MQTTProtocolVersion) -> None:
    refused = 0x8F if version is MODERN else 0x80

    def say(conversation: Talk) -> None:
        for topic_filter in ("#", "+/+", "/provision/#", "/provision/+", REQUEST, "$SYS/#", "v1/devices/me/attributes"):
            conversation.client.subscribe(topic_filter, 1)
            assert conversation.wait("subscribed")[1] == [refused]
        assert ask(conversation)["status"] == "SUCCESS"
        assert len(conversation.messages) == 1

    await talk(gateway, version, say)


@both
async def test_row_31_a_guest_that_publishes_elsewhere_is_shown_out(gateway: Running, version: MQTTProtocolVersion) -> None:
    def say(conversation: Talk) -> None:
        conversation.client.publish(TELEMETRY, b"{}", 1)
        if version is MODERN:
            assert conversation.wait("acknowledged")[1].value == 0x90
            assert conversation.wait("closed")[1].value == 0x90
        else:
            conversation.wait("acknowledged")
            conversation.wait("closed")

    await talk(gateway, version, say)


@both
async def test_row_33_client_id_provision_wins_over_a_valid_token(gateway: Running, version: MQTTProtocolVersion) -> None:
    def say(conversation: Talk) -> None:
        assert ask(conversation)["status"] == "SUCCESS"

    await talk(gateway, version, say, Login(username="stored-token-of-pump-1", client_id="provision", password="any"))


@both
async def test_several_requests_and_unsubscribing_are_fine(gateway: Running, version: MQTTProtocolVersion) -> None:
    def say(conversation: Talk) -> None:
        conversation.client.subscribe(RESPONSE, 1)
        assert ask(conversation, deviceName="new-1")["status"] == "SUCCESS"
        for known in (True, False):
            conversation.client.unsubscribe(RESPONSE)
            codes = [code.value for code in conversation.wait("unsubscribed")[1]]
            assert codes == ([] if version is CLASSIC else [0x00 if known else 0x11])
        assert ask(conversation, deviceName="new-1")["status"] == "FAILURE"
        assert ask(conversation, deviceName="new-2")["status"] == "SUCCESS"

    await talk(gateway, version, say)


async def test_version_5_stays_after_a_body_that_cannot_be_read(gateway: Running) -> None:
    def say(conversation: Talk) -> None:
        conversation.client.publish(REQUEST, b"hello", 1)
        assert conversation.wait("acknowledged")[1].value == 0x99
        assert ask(conversation)["status"] == "SUCCESS"

    await talk(gateway, MODERN, say)


@both
async def test_version_5_at_qos_0_and_older_ones_are_closed(gateway: Running, version: MQTTProtocolVersion) -> None:
    def say(conversation: Talk) -> None:
        conversation.client.publish(REQUEST, b"hello", 0)
        conversation.wait("closed")

    await talk(gateway, version, say)


@both
async def test_an_answer_in_protobuf_stays_so_on_its_connection(gateway: Running, version: MQTTProtocolVersion) -> None:
    def say(conversation: Talk) -> None:
        conversation.client.publish(REQUEST, message((1, b"new-1"), protobuf_claim(*METERS)), 1)
        assert conversation.wait("answered")[1].startswith(b"\x08\x01\x1a\x14")
        conversation.client.publish(REQUEST, b"", 1)
        assert conversation.wait("answered")[1] == b"\x08\x02"

    await talk(gateway, version, say)
