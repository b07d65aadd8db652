"""Where the questions of brokers are answered, as the settings say."""

import pytest

from adapters import spoken
from adapters.config import Config, SettingError, from_environment
from adapters.exchange import Carrier, Inbound, Peer
from adapters.own_addresses import OwnAddresses
from adapters.router import Match
from adapters.settings import Address
from core.model import Secret

SECRET = Secret("the-secret-of-the-broker")
OWN = OwnAddresses()


def answers(address: Address, config: Config, path: str = "/v1/broker/emqx/authn", method: str = "POST") -> bool:
    face = spoken.at("HTTP", address, config, OWN)
    return isinstance(face.find(Inbound(carrier=Carrier.HTTP, method=method, path=path, peer=Peer(""))), Match)


def test_where_everything_is_spoken_brokers_may_ask_once_they_have_a_secret() -> None:
    everything = Address("127.0.0.1", 8080)
    assert not answers(everything, Config())
    assert answers(everything, Config(broker_secret=SECRET))
    assert answers(everything, Config(broker_secret=SECRET), "/v1/profiles", "GET")


def test_an_address_may_be_set_aside_for_them() -> None:
    config = from_environment(
        {"FIRSTLIGHT_HTTP": "127.0.0.1:8080=operator,127.0.0.1:9000=brokers", "FIRSTLIGHT_BROKER_SECRET": SECRET.reveal()}
    )
    outer, inner = config.http
    assert (answers(outer, config), answers(inner, config)) == (False, True)
    assert not answers(inner, config, "/v1/profiles", "GET")
    assert str(inner) == "127.0.0.1:9000=brokers"


def test_an_address_for_brokers_without_a_secret_stops_the_start() -> None:
    config = from_environment({"FIRSTLIGHT_HTTP": "127.0.0.1:9000=brokers"})
    with pytest.raises(SettingError, match=r"^FIRSTLIGHT_BROKER_SECRET: not set, and an address serves brokers; set it to"):
        spoken.at("HTTP", config.http[0], config, OWN)


def test_brokers_are_no_dialect_of_devices() -> None:
    with pytest.raises(SettingError, match=r"^FIRSTLIGHT_DIALECTS: 'brokers' names something else"):
        from_environment({"FIRSTLIGHT_DIALECTS": "brokers"})


def test_topics_are_those_of_the_dialects_that_are_on() -> None:
    prefixes = {space.prefix for space in spoken.topic_spaces(Config())}
    assert {"v1/devices/me", "channels/{channel}/messages", "/sys/{product_key}/{device_key}"} <= prefixes
    some = {space.prefix for space in spoken.topic_spaces(Config(dialects=("mainflux", "magistrala", "mainflux:mf-raw")))}
    assert some < prefixes
    assert "v1/devices/me" not in some
    assert spoken.topic_spaces(Config(dialects=())) == ()
