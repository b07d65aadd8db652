"""The settings of TLS: what starts when, and what stops the start."""

from pathlib import Path

import pytest

from adapters.config import Config, SettingError, describe, from_environment
from adapters.settings import Address
from tests.tls.tls_parties import Place


def given(home: Place, **more: str | Path) -> dict[str, str]:
    values = {"TLS_CERT": home.certificate, "TLS_KEY": home.key, **more}
    return {f"FIRSTLIGHT_{name}": str(value) for name, value in values.items()}


def test_without_a_certificate_nothing_listens_for_tls() -> None:
    for config in (Config(), from_environment({}), from_environment({"FIRSTLIGHT_TLS_CERT": "", "FIRSTLIGHT_TLS_KEY": ""})):
        assert (config.https, config.mqtts, config.coaps, config.coap_tcp, config.coaps_tcp) == ((), (), (), (), ())
        assert config.tls_cert is None
        assert config.warnings == ()


def test_with_a_certificate_three_start_on_loopback(home: Place) -> None:
    config = from_environment(given(home, TLS_CLIENT_CA=home.authority, TLS_RELOAD_SECONDS="2.5"))
    assert config.https == (Address("127.0.0.1", 8443),)
    assert config.mqtts == (Address("127.0.0.1", 8883),)
    assert config.coaps == (Address("127.0.0.1", 5684),)
    assert (config.coap_tcp, config.coaps_tcp) == ((), ())
    assert (config.tls_cert, config.tls_key, config.tls_client_ca) == (home.certificate, home.key, home.authority)
    assert config.tls_bounds.reload_seconds == 2.5
    assert config.warnings == ()
    shown = dict(describe(config))
    assert shown["FIRSTLIGHT_HTTPS"] == "127.0.0.1:8443"
    assert shown["FIRSTLIGHT_TLS_KEY"] == str(home.key)
    assert shown["FIRSTLIGHT_TLS_HANDSHAKE_BYTES"] == "131072"
    assert shown["FIRSTLIGHT_COAPS_TCP"] == "(off)"


def test_each_can_be_moved_and_switched_off(home: Place) -> None:
    config = from_environment(
        given(home, HTTPS="0.0.0.0:443=thingsboard", MQTTS="", COAPS_TCP="[::]:5684", COAP_TCP="[::1]:5683")
    )
    assert config.https == (Address("0.0.0.0", 443, ("thingsboard",)),)
    assert config.mqtts == ()
    assert config.coaps_tcp == (Address("::", 5684),)
    assert config.warnings == ()


def test_dtls_does_without_a_certificate_when_it_is_asked_for() -> None:
    assert from_environment({"FIRSTLIGHT_COAPS": "127.0.0.1:5684"}).coaps == (Address("127.0.0.1", 5684),)


@pytest.mark.parametrize("name", ["HTTPS", "MQTTS", "COAPS_TCP"])
def test_others_do_not(name: str) -> None:
    with pytest.raises(SettingError, match=rf"^FIRSTLIGHT_{name}: there is no certificate .*firstlight tls init"):
        from_environment({f"FIRSTLIGHT_{name}": "127.0.0.1:8443"})


def test_half_of_it_is_not_enough(home: Place) -> None:
    for name, missing in (("CERT", "KEY"), ("KEY", "CERT")):
        with pytest.raises(SettingError, match=rf"^FIRSTLIGHT_TLS_{missing}: not set"):
            from_environment({f"FIRSTLIGHT_TLS_{name}": str(home.certificate)})


@pytest.mark.parametrize("name", ["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"])
def test_a_file_that_cannot_be_used_is_told_by_its_variable(home: Place, name: str) -> None:
    with pytest.raises(SettingError, match=rf"^FIRSTLIGHT_{name}: cannot read /nonexistent: No such file") as error:
        from_environment(given(home, **{name: "/nonexistent"}))
    assert "\n" not in str(error.value)


def test_a_pair_that_does_not_fit_is_told(home: Place, own: Place) -> None:
    with pytest.raises(SettingError, match=r"^FIRSTLIGHT_TLS_KEY: .* is not the key of the first certificate"):
        from_environment(given(home, TLS_KEY=own.key))


def test_what_is_in_the_clear_is_warned_of_with_its_mend(home: Place) -> None:
    plain = {"FIRSTLIGHT_HTTP": "0.0.0.0:80", "FIRSTLIGHT_COAP": "0.0.0.0:5683"}
    assert from_environment(dict(plain)).warnings[:2] == (
        "FIRSTLIGHT_HTTP: 0.0.0.0:80 carries secrets in the clear beyond this machine; "
        "set FIRSTLIGHT_TLS_CERT and FIRSTLIGHT_TLS_KEY, and use FIRSTLIGHT_HTTPS",
        "FIRSTLIGHT_COAP: 0.0.0.0:5683 carries secrets in the clear beyond this machine; use FIRSTLIGHT_COAPS",
    )
    with_tls = from_environment(given(home, HTTP="0.0.0.0:80", COAP_TCP="0.0.0.0:1")).warnings
    assert [warning.partition("; ")[2] for warning in with_tls[:2]] == ["use FIRSTLIGHT_HTTPS", "use FIRSTLIGHT_COAPS_TCP"]


def test_authorities_that_nobody_asks_for_are_warned_of(home: Place) -> None:
    config = from_environment({"FIRSTLIGHT_TLS_CLIENT_CA": str(home.authority)})
    assert config.warnings == ("FIRSTLIGHT_TLS_CLIENT_CA does nothing without FIRSTLIGHT_TLS_CERT and FIRSTLIGHT_TLS_KEY",)


def test_what_says_nothing_about_who_signs_is_warned_of(home: Place) -> None:
    alone = {"CA_CERT": str(home.authority), "CA_KEY_PASSPHRASE": "x", "CA_PASSWORD": "y"}
    config = from_environment({f"FIRSTLIGHT_{name}": value for name, value in alone.items()})
    assert config.warnings == (
        "FIRSTLIGHT_CA_KEY_PASSPHRASE does nothing without FIRSTLIGHT_CA_KEY",
        "FIRSTLIGHT_CA_PASSWORD does nothing without FIRSTLIGHT_CA_URL",
        "FIRSTLIGHT_CA_CERT does nothing without one of FIRSTLIGHT_CA_KEY, FIRSTLIGHT_CA_COMMAND and FIRSTLIGHT_CA_URL",
    )


@pytest.mark.parametrize(("url", "warned"), [("http://ca.example/x", 1), ("https://ca.example/x", 0), ("http://[::1]:1/x", 0)])
def test_requests_in_the_clear_to_who_signs_are_warned_of(home: Place, url: str, warned: int) -> None:
    config = from_environment({"FIRSTLIGHT_CA_CERT": str(home.authority), "FIRSTLIGHT_CA_URL": url})
    assert sum("FIRSTLIGHT_CA_URL carries" in warning for warning in config.warnings) == len(config.warnings) == warned


def test_nothing_but_tls_is_something(home: Place) -> None:
    config = from_environment(given(home, HTTP="", COAP="", MQTT=""))
    assert not any("nothing is served" in warning for warning in config.warnings)


def test_the_broker_behind_is_not_this_gateway_over_tls(home: Place) -> None:
    with pytest.raises(SettingError, match=r"FIRSTLIGHT_MQTT_UPSTREAM: .* is where this gateway listens itself"):
        from_environment(given(home, MQTTS="127.0.0.1:8884", MQTT_UPSTREAM="mqtt://127.0.0.1:8884"))
