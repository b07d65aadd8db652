"""Who plays the scenarios: every client by name, and the program it needs."""

import shutil
from typing import NamedTuple

import pytest

from tests.protocols.scenario_clients import COAP_CLIENT, Aiocoap, Aiohttp, Client, Curl, Libcoap
from tests.protocols.scenario_mqtt_clients import Aiomqtt, Mosquitto, Paho


class Actor(NamedTuple):
    """A client; `program` is what must be installed for it, if anything."""

    name: str
    client: Client
    program: str = ""

    def marks(self) -> list[pytest.MarkDecorator]:
        """Leave its tests out where the program is missing."""
        return [needs(self.program)] if self.program else []


def needs(program: str) -> pytest.MarkDecorator:
    """Leave a test out where the program it needs is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


# A guest of MQTT is known by its user name or by its client id; the clients in the field do the one, the other or both.
CAST = (
    Actor("aiohttp", Aiohttp()),
    Actor("curl", Curl(), "curl"),
    Actor("aiocoap", Aiocoap()),
    Actor("libcoap", Libcoap(), COAP_CLIENT),
    Actor("paho-3.1.1", Paho("mqttv311", username="provision")),
    Actor("paho-5", Paho("mqttv5", client_id="provision")),
    Actor("aiomqtt-3.1", Aiomqtt()),
    Actor("mosquitto-3.1.1", Mosquitto("mqttv311"), "mosquitto_rr"),
    Actor("mosquitto-5", Mosquitto("mqttv5"), "mosquitto_rr"),
)

EVERYBODY = [pytest.param(actor.client, id=actor.name, marks=actor.marks()) for actor in CAST]
OVER_MQTT = [
    pytest.param(actor.client, id=actor.name, marks=actor.marks()) for actor in CAST if actor.client.speaks.startswith("mqtt")
]
