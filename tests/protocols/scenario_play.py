"""How a scenario is played by a client: step by step, with the operator looking on."""

import re
from typing import Any

import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_cast import CAST
from tests.protocols.scenario_clients import Client
from tests.protocols.scenarios import SCENARIOS, Scenario, Step
from tests.protocols.world import DEVICES


def cases(*speaks: str) -> pytest.MarkDecorator:
    """Give a test every scenario over every client that speaks so."""
    every = [
        pytest.param(actor.client, scenario, id=f"{actor.name}-{scenario.name}", marks=actor.marks())
        for actor in CAST
        for scenario in SCENARIOS
        if actor.client.speaks in speaks and actor.client.speaks in scenario.only
    ]
    assert every
    return pytest.mark.parametrize(("client", "scenario"), every)


async def play(gateway: Running, operator: Operator, client: Client, scenario: Scenario) -> None:
    """Prove the answer to each step, the operator's event, and what is registered in the end."""
    for step in scenario.steps:
        await _take(gateway, operator, client, step)
    for name, members in scenario.then.items():
        assert _part(await operator.device(name), members) == members
    assert len(await operator.all("/v1/devices")) == len(DEVICES) + scenario.made


async def _take(gateway: Running, operator: Operator, client: Client, step: Step) -> None:
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
