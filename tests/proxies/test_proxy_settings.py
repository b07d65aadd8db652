"""The settings about proxies."""

import ipaddress

import pytest

from adapters.config import SettingError, describe, from_environment


def test_nobody_is_trusted_unless_it_is_said() -> None:
    config = from_environment({})
    assert config.trusted_proxies == ()
    assert config.forwarded_header == "x-forwarded-for"
    shown = dict(describe(config))
    assert shown["FIRSTLIGHT_TRUSTED_PROXIES"] == "(off)"
    assert shown["FIRSTLIGHT_PROXY_HEADER_SECONDS"] == "10"
    assert shown["FIRSTLIGHT_PROXY_PENDING"] == "10000"


def test_networks_and_bounds_are_read() -> None:
    config = from_environment(
        {
            "FIRSTLIGHT_TRUSTED_PROXIES": " 10.1.0.0/24, fd00:1::/64,192.0.2.7,10.1.0.0/24,",
            "FIRSTLIGHT_FORWARDED_HEADER": "Forwarded",
            "FIRSTLIGHT_PROXY_PENDING": "7",
        }
    )
    assert config.trusted_proxies == tuple(map(ipaddress.ip_network, ("10.1.0.0/24", "fd00:1::/64", "192.0.2.7/32")))
    assert config.forwarded_header == "forwarded"
    assert config.proxy_bounds.pending == 7
    assert dict(describe(config))["FIRSTLIGHT_TRUSTED_PROXIES"] == "10.1.0.0/24,fd00:1::/64,192.0.2.7/32"
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TRUSTED_PROXIES", "10.1.0.1/24", "write for example"),
        ("TRUSTED_PROXIES", "proxy.example", "write for example"),
        ("TRUSTED_PROXIES", "10.1.0.0/33", "write for example"),
        ("TRUSTED_PROXIES", "*", "write for example"),
        ("FORWARDED_HEADER", "x-real-ip", "x-forwarded-for, forwarded"),
        ("PROXY_HEADER_SECONDS", "0", "0.1 to 3600"),
        ("PROXY_PENDING", "0", "1 or more"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        from_environment({f"FIRSTLIGHT_{name}": value})
    assert f"FIRSTLIGHT_{name.partition('_')[0]}" in str(caught.value)


@pytest.mark.parametrize(
    ("network", "warned"), [("0.0.0.0/0", True), ("::/0", True), ("10.0.0.0/8", False), ("fc00::/7", False)]
)
def test_trusting_everybody_is_warned_of(network: str, warned: bool) -> None:
    warnings = from_environment({"FIRSTLIGHT_TRUSTED_PROXIES": f"192.0.2.1,{network}"}).warnings
    assert any(network in warning for warning in warnings) is warned
