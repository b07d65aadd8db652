"""Every scenario over every client of CoAP, against the whole gateway: the answer, the event, and what is registered."""

from adapters.app import Running
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_clients import Client
from tests.protocols.scenario_play import cases, play
from tests.protocols.scenarios import Scenario


@cases("coap")
async def test_a_scenario_over_a_client(gateway: Running, operator: Operator, client: Client, scenario: Scenario) -> None:
    await play(gateway, operator, client, scenario)
