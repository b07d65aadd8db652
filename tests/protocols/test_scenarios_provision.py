"""Every scenario over every client of HTTP, against the whole gateway: the answer, the event, and what is registered."""

import re

import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_cast import EVERYBODY
from tests.protocols.scenario_clients import Client
from tests.protocols.scenario_play import cases, play
from tests.protocols.scenarios import Scenario
from tests.protocols.world import DEVICES, METERS


@cases("http")
async def test_a_scenario_over_a_client(gateway: Running, operator: Operator, client: Client, scenario: Scenario) -> None:
    await play(gateway, operator, client, scenario)


@pytest.mark.parametrize("client", EVERYBODY)
async def test_a_device_without_a_name_is_given_one(gateway: Running, operator: Operator, client: Client) -> None:
    await client.provision(gateway.listening, b'{"provisionDeviceKey":"%b","provisionDeviceSecret":"%b"}' % _encoded(METERS))
    (named,) = {device["name"] for device in await operator.all("/v1/devices")} - set(DEVICES)
    assert re.fullmatch("[A-Za-z0-9]{20}", named)


def _encoded(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(map(str.encode, texts))
