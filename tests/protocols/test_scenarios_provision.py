"""Every scenario over every client, against the whole gateway: the answer, the operator's event, and what is registered."""

import re
from typing import Any

import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_cast import CAST, EVERYBODY
from tests.protocols.scenario_clients import Client
from tests.protocols.scenarios import SCENARIOS, Scenario, Step
from tests.protocols.world import DEVICES, METERS

CASES = [
    pytest.param(actor.client, scenario, id=f"{actor.name}-{scenario.name}", marks=actor.marks())
    for actor in CAST
    for scenario in SCENARIOS
    if actor.client.speaks in scenario.only
]


@pytest.mark.parametrize(("client", "scenario"), CASES)
async def test_a_scenario_over_a_client(gateway: Running, operator: Operator, client: Client, scenario: Scenario) -> None:
    for step in scenario.steps:
        await play(gateway, operator, client, step)
    for name, members in scenario.then.items():
        assert _part(await operator.device(name), members) == members
    assert len(await operator.all("/v1/devices")) == len(DEVICES) + scenario.made


async def play(gateway: Running, operator: Operator, client: Client, step: Step) -> None:
    wanted = getattr(step.expected, client.speaks)
    reply = await client.provision(gateway.listening, step.body)
    assert reply.said == wanted.said, reply
    assert re.fullmatch(wanted.body, reply.body, re.DOTALL), reply
    event = await operator.newest_event()
    assert event["protocol"] == client.speaks.rstrip("35")
    assert event["check"] == step.check
    assert (event["kind"] == "provision.succeeded") is not bool(step.check)


def _part(device: dict[str, Any] | None, members: Any) -> Any:
    if device is None or members is None:
        return device
    return {name: device[name] for name in members}


@pytest.mark.parametrize("client", EVERYBODY)
async def test_a_device_without_a_name_is_given_one(gateway: Running, operator: Operator, client: Client) -> None:
    await client.provision(gateway.listening, b'{"provisionDeviceKey":"%b","provisionDeviceSecret":"%b"}' % _encoded(METERS))
    (named,) = {device["name"] for device in await operator.all("/v1/devices")} - set(DEVICES)
    assert re.fullmatch("[A-Za-z0-9]{20}", named)


def _encoded(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(map(str.encode, texts))
