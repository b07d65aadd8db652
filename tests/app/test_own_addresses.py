"""Where EnOS devices are sent when nobody says it."""

import socket

import pytest

from adapters.config import SettingError, from_environment
from adapters.own_addresses import OwnAddresses, of
from adapters.settings import Address

PLACE = Address("127.0.0.1", 1883)
OTHERS = Address("127.0.0.1", 1884, ("thingsboard",))
OWN = Address("127.0.0.1", 1885, ("operator", "enos"))


@pytest.mark.parametrize(
    ("addresses", "found"),
    [((), None), ((OTHERS,), None), ((PLACE, OWN), PLACE), ((OTHERS, OWN, PLACE), OWN), ((OTHERS, PLACE), PLACE)],
)
def test_the_first_address_that_serves_them(addresses: tuple[Address, ...], found: Address | None) -> None:
    assert of(addresses) == found


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("gateway.example.net", "gateway.example.net"),
        ("0.0.0.0", socket.gethostname()),
        ("::", socket.gethostname()),
        ("::1", socket.gethostname()),
    ],
)
def test_what_devices_are_told(host: str, told: str) -> None:
    own = OwnAddresses()
    assert told_of(own, protected=False) == told_of(own, protected=True) == ("", "")
    plain = (Address(host, 8080),), (Address(host, 1883),)
    secured = (Address(host, 8443),), (Address(host, 8883),)
    own.are(*plain, *secured)
    assert told_of(own, protected=False) == (f"http://{told}:8080", f"tcp://{told}:1883")
    assert told_of(own, protected=True) == (f"https://{told}:8443", f"ssl://{told}:8883")
    own.are((), (), *secured)
    assert told_of(own, protected=False) == (f"https://{told}:8443", f"ssl://{told}:8883")
    own.are(*plain)
    assert told_of(own, protected=True) == (f"http://{told}:8080", f"tcp://{told}:1883")


def told_of(own: OwnAddresses, *, protected: bool) -> tuple[str, str]:
    return own.http_url(protected), own.mqtt_url(protected)


BY_NAME = "FIRSTLIGHT_ENOS_MQTT_URL: not set; EnOS devices are sent to this machine by its name"
NOWHERE = "FIRSTLIGHT_ENOS_MQTT_URL: not set, and FIRSTLIGHT_MQTT serves no EnOS devices: they are sent nowhere"


@pytest.mark.parametrize(
    ("given", "warnings"),
    [
        ({}, []),
        ({"MQTT": "0.0.0.0:1883"}, [BY_NAME]),
        ({"MQTT": "[::1]:1883"}, [BY_NAME]),
        ({"MQTT": "0.0.0.0:1883", "ENOS_MQTT_URL": "tcp://mqtt.example.net:1883"}, []),
        ({"MQTT": "0.0.0.0:1883", "DIALECTS": "thingsboard"}, []),
        ({"MQTT": ""}, [NOWHERE]),
        ({"MQTT": "127.0.0.1:1883=thingsboard"}, [NOWHERE]),
        ({"HTTP": "", "COAP": "", "MQTT": ""}, []),
    ],
)
def test_the_operator_is_told_what_devices_are_not(given: dict[str, str], warnings: list[str]) -> None:
    config = from_environment({f"FIRSTLIGHT_{name}": value for name, value in given.items()})
    assert [warning for warning in config.warnings if "_ENOS_" in warning] == warnings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENOS_MQTT_URL", "mqtt.example.net"),
        ("ENOS_MQTT_URL", "tcp://[::1]:1883"),
        ("ENOS_MQTT_URL", "tcp://mqtt.example.net"),
        ("ENOS_HTTP_URL", "http://example.net/"),
        ("ENOS_HTTP_URL", "ftp://example.net"),
    ],
)
def test_an_address_that_devices_cannot_read_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"FIRSTLIGHT_{name}: .* is no address for devices; write "):
        from_environment({f"FIRSTLIGHT_{name}": value})


def test_an_address_that_they_can_read_is_taken() -> None:
    given = {"FIRSTLIGHT_ENOS_MQTT_URL": "ssl://mqtt.example.net:8883", "FIRSTLIGHT_ENOS_HTTP_URL": "https://example.net"}
    config = from_environment(dict(given))
    assert [config.enos_mqtt_url, config.enos_http_url] == list(given.values())
