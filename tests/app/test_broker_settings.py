"""Settings about the user's broker: what they read, what stops the start, what is warned of."""

from pathlib import Path

import pytest

from adapters import config
from adapters.brokers.address import BrokerAddress
from adapters.config import Config, SettingError

LONG = "x" * 24


def read(**given: str) -> Config:
    return config.from_environment({f"FIRSTLIGHT_{name}": value for name, value in given.items()})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mqtt://broker:1883", BrokerAddress("broker", 1883)),
        ("mqtt://gate%20way@[::1]:1884", BrokerAddress("::1", 1884, "gate way")),
        ("mqtts://joe@broker:8883", BrokerAddress("broker", 8883, "joe", secure=True)),
        ("", None),
    ],
)
def test_where_a_broker_is(text: str, address: BrokerAddress | None) -> None:
    settings = read(MQTT_UPSTREAM=text, BROKER=text)
    assert settings.mqtt_upstream == address
    assert settings.broker == address


def test_an_address_is_shown_as_it_is_written() -> None:
    assert str(BrokerAddress("::1", 1, "joe")) == "mqtt://joe@[::1]:1"
    assert str(BrokerAddress("broker", 1)) == "mqtt://broker:1"
    assert str(BrokerAddress("broker", 1, secure=True)) == "mqtts://broker:1"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("BROKER", "broker:1883", "write mqtt://HOST:PORT"),
        ("BROKER", "mqtt://broker", "write mqtt://HOST:PORT"),
        ("BROKER", "mqtt://broker:99999", "write mqtt://HOST:PORT"),
        ("BROKER", "mqtt://broker:1883/x", "write mqtt://HOST:PORT"),
        ("BROKER", "mqtts://broker", "mqtts:// for TLS"),
        ("MQTT_UPSTREAM", "mqtt://joe:secret@broker:1883", "ends in _PASSWORD"),
        ("MQTT_UPSTREAM", "mqtt://127.0.0.1:1883", "is where this gateway listens itself"),
        ("MQTT_UPSTREAM_CLIENT_ID", "both", "device, joined, client"),
        ("BROKER_FOR", "events,nothing", "events, requests, dynamic-security"),
        ("BROKER_PREFIX", "a/b", "one level"),
        ("BROKER_PREFIX", "$SYS", "one level"),
        ("BROKER_SECRET", "short", "too short"),
        ("RABBITMQ_API", "broker:15672", "write http://USER@HOST:PORT"),
        ("RABBITMQ_API", "http://[broker:15672", "write http://USER@HOST:PORT"),
        ("RABBITMQ_API", "http://joe:secret@broker:15672", "ends in _PASSWORD"),
    ],
)
def test_what_stops_the_start(name: str, text: str, told: str) -> None:
    with pytest.raises(SettingError) as stopped:
        read(**{name: text})
    assert str(stopped.value).startswith(f"FIRSTLIGHT_{name}: ")
    assert told in str(stopped.value)


def test_a_broker_beside_the_gateway_is_another_one() -> None:
    assert read(MQTT_UPSTREAM="mqtt://127.0.0.1:1883", MQTT="127.0.0.1:1884").mqtt_upstream is not None
    assert read(MQTT_UPSTREAM="mqtt://127.0.0.1:1883", MQTT="").mqtt_upstream is not None


def test_secrets_are_secrets() -> None:
    settings = read(BROKER_SECRET=LONG, BROKER_PASSWORD="b", MQTT_UPSTREAM_PASSWORD="u", RABBITMQ_PASSWORD="r")
    given = {
        f"FIRSTLIGHT_{name}" for name in ("BROKER_SECRET", "BROKER_PASSWORD", "MQTT_UPSTREAM_PASSWORD", "RABBITMQ_PASSWORD")
    }
    assert {name for name, value in config.describe(settings) if value == "(set)"} == given
    assert LONG not in repr(settings)


def test_links_in_the_clear_and_settings_of_no_use_are_warned_of() -> None:
    warnings = read(BROKER="mqtt://10.0.0.1:1883", RABBITMQ_API="http://joe@localhost:15672/").warnings
    assert warnings == (
        "FIRSTLIGHT_BROKER: mqtt://10.0.0.1:1883 carries passwords and messages in the clear beyond this machine; use mqtts://",
        "FIRSTLIGHT_RABBITMQ_API does nothing without FIRSTLIGHT_BROKER_SECRET",
    )
    assert read(BROKER="mqtt://127.0.0.1:1884", BROKER_SECRET=LONG, RABBITMQ_API="http://localhost:15672").warnings == ()


@pytest.mark.parametrize("name", ["BROKER", "MQTT_UPSTREAM"])
def test_authorities_that_cannot_be_read_stop_the_start(name: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    for file, told in ((tmp_path / "ca.pem", "holds no certificate"), (tmp_path / "none.pem", "No such file")):
        with pytest.raises(SettingError, match=rf"^FIRSTLIGHT_{name}_CA: .*{told}"):
            read(**{name: "mqtts://broker:8883", f"{name}_CA": str(file)})


def test_links_over_tls_are_not_warned_of_and_authorities_of_no_use_are() -> None:
    assert read(BROKER="mqtts://10.0.0.1:8883", MQTT_UPSTREAM="mqtts://10.0.0.1:8883").warnings == ()
    assert read(BROKER="mqtt://127.0.0.1:1884", BROKER_CA="ca.pem").warnings == (
        "FIRSTLIGHT_BROKER_CA does nothing for mqtt://127.0.0.1:1884; write mqtts:// in FIRSTLIGHT_BROKER",
    )
    assert read(BROKER_CA="ca.pem").warnings == ("FIRSTLIGHT_BROKER_CA does nothing without FIRSTLIGHT_BROKER",)
