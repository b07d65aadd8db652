import os
import re
from pathlib import Path

import pytest

from adapters import bootstrap_key
from adapters.config import SettingError, describe, from_environment
from adapters.settings import Address
from core.limits import Rate
from core.model import Secret


def test_defaults_listen_on_loopback_and_keep_everything_in_data():
    config = from_environment({})
    assert config.http == (Address("127.0.0.1", 8080),)
    assert config.coap == (Address("127.0.0.1", 5683),)
    assert config.mqtt == (Address("127.0.0.1", 1883),)
    assert config.database == "sqlite:data/firstlight.db"
    assert config.warnings == ()


def test_every_kind_of_setting_is_read():
    config = from_environment(
        {
            "FIRSTLIGHT_HTTP": "127.0.0.1:80, [::1]:81",
            "FIRSTLIGHT_MQTT": "",
            "FIRSTLIGHT_DATA": "/srv/fl",
            "FIRSTLIGHT_DIALECTS": "thingsboard",
            "FIRSTLIGHT_LOG_LEVEL": "DEBUG",
            "FIRSTLIGHT_LIMIT_SOURCE": "5:20",
            "FIRSTLIGHT_LIMIT_CLAIM_KEY": "0",
            "FIRSTLIGHT_DEVICE_LIMIT": "7",
            "FIRSTLIGHT_COAP_REQUIRE_ECHO": "true",
            "FIRSTLIGHT_HTTP_MAX_BODY_BYTES": "1000",
            "FIRSTLIGHT_MQTT_CONNECT_SECONDS": "2.5",
            "FIRSTLIGHT_REQUESTS_RETRY_SECONDS": "2-4",
            "FIRSTLIGHT_MASTER_KEY": "ab" * 32,
            "OTHER": "ignored",
        }
    )
    assert config.http == (Address("127.0.0.1", 80), Address("::1", 81))
    assert str(config.http[1]) == "[::1]:81"
    assert config.mqtt == ()
    assert config.data == Path("/srv/fl")
    assert config.database == "sqlite:/srv/fl/firstlight.db"
    assert config.log_level == "debug"
    assert config.limit_source == Rate(5, 20)
    assert config.limit_claim_key.per_second == 0
    assert config.device_limit == 7
    assert config.coap_bounds.require_echo is True
    assert config.http_bounds.max_body_bytes == 1000
    assert config.mqtt_bounds.connect_seconds == 2.5
    assert config.requests.retry_seconds == (2, 4)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HTTP", "8080", "write HOST:PORT"),
        ("HTTP", "127.0.0.1:99999", "write HOST:PORT"),
        ("HTTP", "127.0.0.1:80=azure", "names an unknown dialect"),
        ("HTTP", "127.0.0.1:80=", "names an unknown dialect"),
        ("COAP", "127.0.0.1:80=mainflux:mf-cooked", "mainflux:mf-raw"),
        ("MAINFLUX_FLAVOUR", "mg-client", "mf-thing, mf-raw, mg-thing"),
        ("BOOTSTRAP_KEY_FORMAT", "base64", "raw, hex"),
        ("PLAIN", "some", "everything, challenge, nothing"),
        ("PLAIN", "azure=nothing", "thingsboard"),
        ("PLAIN", "nothing=thingsboard", "DIALECT=WORD"),
        ("PROVISION_LAYOUT", "/nonexistent", "cannot be read"),
        ("HTTPS", "127.0.0.1:8443", "there is no certificate to serve with"),
        ("DATABASE", "postgresql:x/y", "names no database"),
        ("DATABASE", "mysql:x", "use sqlite:PATH, postgresql://USER@HOST/NAME or memory:"),
        ("ADMIN_TOKEN", "short", "at least 20"),
        ("MASTER_KEY", "short", "openssl rand -hex 32"),
        ("MASTER_KEY", "AAAA", "32 bytes in hex or base64"),
        ("DIALECTS", "thingsboard,azure", "thingsboard"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("EVENTS_KEEP", "0", "1 or more"),
        ("EVENTS_KEEP", "many", "whole number"),
        ("DRAIN_SECONDS", "-1", "0 or more"),
        ("DRAIN_SECONDS", "x", "not a number"),
        ("DRAIN_SECONDS", "nan", "0 or more"),
        ("LIMIT_SOURCE", "1:x", "PER_SECOND:BURST"),
        ("REQUESTS_RETRY_SECONDS", "5-1", "ends before it begins"),
        ("REQUESTS_RETRY_SECONDS", "a-b", "LEAST-MOST"),
        ("COAP_REQUIRE_ECHO", "yes", "true, false"),
        ("COAP_BLOCK_SIZE_EXPONENT", "9", "block_size_exponent"),
        ("MASTER_KEY_FILE", "/nonexistent", "No such file"),
        ("PLAIN", "challenge,nothing", "says twice what all dialects may do"),
        ("PLAIN", "enos=nothing,enos=everything", "says twice what enos may do"),
        ("COAP_TCP_RUNNING", "0", "tcp_running"),
        ("COAP_OSCORE_CONTEXTS", "0", "oscore_contexts"),
    ],
)
def test_a_wrong_setting_is_told_by_name_fault_and_mend(name, value, says):
    with pytest.raises(SettingError) as error:
        from_environment({f"FIRSTLIGHT_{name}": value})
    message = str(error.value)
    assert "\n" not in message
    assert says in message
    assert message.startswith("FIRSTLIGHT_" + re.split("BLOCK|TCP|OSCORE", name)[0].removesuffix("_"))


def test_a_wrong_secret_is_not_shown():
    with pytest.raises(SettingError) as error:
        from_environment({"FIRSTLIGHT_MASTER_KEY": "do-not-show-me"})
    assert "do-not-show-me" not in str(error.value)


@pytest.mark.parametrize("name", ["CA_URL", "BROKER", "MQTT_UPSTREAM", "RABBITMQ_API"])
def test_a_password_in_an_address_is_not_shown(name):
    for password in ("do-not-show-me", "do-not/show-me", "do-not@show-me"):
        with pytest.raises(SettingError) as error:
            from_environment({f"FIRSTLIGHT_{name}": f"https://joe:{password}@host.example/x"})
        assert "show-me" not in str(error.value)
        assert "joe:...@host.example" in str(error.value)


def test_secrets_leave_the_environment_and_come_from_files_too(tmp_path):
    (tmp_path / "token").write_text("a" * 30 + "\n")
    environ = {"FIRSTLIGHT_ADMIN_TOKEN_FILE": str(tmp_path / "token"), "FIRSTLIGHT_MASTER_KEY": "00" * 32}
    config = from_environment(environ)
    assert config.admin_token is not None
    assert config.admin_token.reveal() == "a" * 30
    assert "FIRSTLIGHT_MASTER_KEY" not in environ
    assert "00000000" not in repr(config)
    assert ("FIRSTLIGHT_MASTER_KEY", "(set)") in describe(config)


def test_a_secret_given_twice_is_refused(tmp_path):
    (tmp_path / "key").write_text("00" * 32)
    with pytest.raises(SettingError, match="not both"):
        from_environment({"FIRSTLIGHT_MASTER_KEY": "00" * 32, "FIRSTLIGHT_MASTER_KEY_FILE": str(tmp_path / "key")})


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "key").write_bytes(os.urandom(3) + b"\xff\xfe\x00\xd8")
    with pytest.raises(SettingError, match="FIRSTLIGHT_MASTER_KEY_FILE"):
        from_environment({"FIRSTLIGHT_MASTER_KEY_FILE": str(tmp_path / "key")})


def test_what_an_operator_should_know_is_warned_of():
    config = from_environment({"FIRSTLIGHT_HTPP": "x", "FIRSTLIGHT_COAP": "0.0.0.0:5683", "FIRSTLIGHT_DATABASE": "memory:"})
    assert config.warnings == (
        "FIRSTLIGHT_HTPP is not a setting; did you mean FIRSTLIGHT_HTTP?",
        "FIRSTLIGHT_COAP: 0.0.0.0:5683 carries secrets in the clear beyond this machine; use FIRSTLIGHT_COAPS",
        "FIRSTLIGHT_DATABASE: memory: forgets every device when the gateway stops",
    )


def test_describe_names_every_bound():
    shown = dict(describe(from_environment({"FIRSTLIGHT_MQTT": "", "FIRSTLIGHT_LIMIT_SOURCE": "0"})))
    assert shown["FIRSTLIGHT_MQTT"] == "(off)"
    assert shown["FIRSTLIGHT_LIMIT_SOURCE"] == "0 (no limit)"
    assert shown["FIRSTLIGHT_HTTP_MAX_BODY_BYTES"] == "4194304"
    assert shown["FIRSTLIGHT_COAP_REQUIRE_ECHO"] == "false"
    assert shown["FIRSTLIGHT_REQUESTS_RETRY_SECONDS"] == "1-5"
    assert shown["FIRSTLIGHT_MASTER_KEY"] == "(not set)"


def test_an_address_may_say_what_it_serves():
    config = from_environment({"FIRSTLIGHT_HTTP": "127.0.0.1:80=operator+thingsboard, [::1]:8202=mainflux:mf-raw,127.0.0.1:81"})
    assert [address.dialects for address in config.http] == [("operator", "thingsboard"), ("mainflux:mf-raw",), ()]
    assert [str(address) for address in config.http] == [
        "127.0.0.1:80=operator+thingsboard",
        "[::1]:8202=mainflux:mf-raw",
        "127.0.0.1:81",
    ]


@pytest.mark.parametrize("prefix", ["FIRSTLIGHT", "MF", "MG", "SMQ"])
def test_secrets_of_bootstrap_are_known_by_their_old_names(prefix):
    environ = {f"{prefix}_BOOTSTRAP_ENCRYPT_KEY": "k" * 24, f"{prefix}_PROVISION_API_KEY": "t" * 20}
    config = from_environment(environ)
    assert config.bootstrap_encrypt_key == Secret("k" * 24)
    assert config.provision_api_key == Secret("t" * 20)
    assert environ == {}
    assert config.warnings == ("FIRSTLIGHT_PROVISION_API_KEY: whoever reaches /mapping can make devices without a token",)
    assert ("FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY", "(set)") in describe(config)


def test_old_names_may_name_files_too(tmp_path):
    (tmp_path / "key").write_text("k" * 16 + "\n")
    environ = {"MG_BOOTSTRAP_ENCRYPT_KEY_FILE": str(tmp_path / "key")}
    assert from_environment(environ).bootstrap_encrypt_key == Secret("k" * 16)
    assert environ == {}
    with pytest.raises(SettingError, match=r"^SMQ_BOOTSTRAP_ENCRYPT_KEY_FILE: cannot read /nonexistent"):
        from_environment({"SMQ_BOOTSTRAP_ENCRYPT_KEY_FILE": "/nonexistent"})


@pytest.mark.parametrize(
    ("key", "key_format", "warned"),
    [("0f" * 16, None, True), ("0f" * 16, "raw", False), ("0f" * 24, "hex", False), ("xy" * 16, None, False)],
)
def test_a_key_that_mainflux_read_as_hex_is_warned_of(key, key_format, warned):
    given = {"MF_BOOTSTRAP_ENCRYPT_KEY": key, "FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT": key_format}
    config = from_environment({name: value for name, value in given.items() if value is not None})
    assert any("reads this key as hex" in warning for warning in config.warnings) is warned


def test_a_gateway_that_serves_nothing_is_warned_of():
    config = from_environment({"FIRSTLIGHT_HTTP": "", "FIRSTLIGHT_COAP": "", "FIRSTLIGHT_MQTT": ""})
    assert config.warnings == ("FIRSTLIGHT_HTTP, FIRSTLIGHT_COAP and FIRSTLIGHT_MQTT are all off: nothing is served",)


def test_a_flavour_may_be_named_where_dialects_are():
    assert from_environment({"FIRSTLIGHT_DIALECTS": "mainflux:mf-raw"}).dialects == ("mainflux:mf-raw",)


def test_a_secret_under_two_names_must_be_the_same():
    same = {"MF_BOOTSTRAP_ENCRYPT_KEY": "k" * 16, "MG_BOOTSTRAP_ENCRYPT_KEY": "k" * 16}
    assert from_environment(same).bootstrap_encrypt_key == Secret("k" * 16)
    with pytest.raises(SettingError, match="differ; keep one"):
        from_environment({"MF_BOOTSTRAP_ENCRYPT_KEY": "k" * 16, "FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY": "l" * 16})
    with pytest.raises(SettingError, match="keep one"):
        from_environment({"MF_BOOTSTRAP_ENCRYPT_KEY": "k" * 16, "FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY_FILE": "/x"})


@pytest.mark.parametrize(
    ("key", "key_format", "says"),
    [
        ("k" * 50, "raw", "50 bytes, read as raw"),
        ("0" * 20, "hex", "10 bytes, read as hex"),
        ("123", "hex", "not hex"),
        ("key" * 12, "hex", "not hex"),
    ],
)
def test_a_bootstrap_key_that_aes_does_not_take_stops_the_start(key, key_format, says):
    with pytest.raises(SettingError) as error:
        from_environment({"FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY": key, "FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT": key_format})
    assert says in str(error.value)
    assert str(error.value).startswith("FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY: ")
    assert key not in str(error.value)


@pytest.mark.parametrize(("key_format", "size"), [("raw", 32), ("hex", 16)])
def test_the_published_key_works_as_text_and_as_hex_and_is_warned_of(key_format, size):
    config = from_environment(
        {"MF_BOOTSTRAP_ENCRYPT_KEY": bootstrap_key.PUBLISHED.reveal(), "FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT": key_format}
    )
    key = bootstrap_key.parse(config.bootstrap_encrypt_key, config.bootstrap_key_format)
    assert key is not None
    assert len(key) == size
    assert "printed in public documents" in config.warnings[0]


def test_an_empty_bootstrap_key_switches_secure_bootstrap_off():
    config = from_environment({"FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY": ""})
    assert bootstrap_key.parse(config.bootstrap_encrypt_key, "raw") is None


def test_an_address_is_listened_on_once():
    with pytest.raises(SettingError, match="has an address twice"):
        from_environment({"FIRSTLIGHT_HTTP": "127.0.0.1:8080=thingsboard,127.0.0.1:8080=operator"})
    assert len(from_environment({"FIRSTLIGHT_HTTP": "127.0.0.1:0,127.0.0.1:0"}).http) == 2
    assert from_environment({"FIRSTLIGHT_HTTP": "127.0.0.1:1=operator+operator"}).http[0].dialects == ("operator",)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "everything"),
        ("nothing", "nothing"),
        ("challenge, thingsboard=everything,operator=nothing", "challenge,thingsboard=everything,operator=nothing"),
        ("enos=nothing", "everything,enos=nothing"),
    ],
)
def test_what_is_done_on_plain_wires(text: str, shown: str) -> None:
    config = from_environment({"FIRSTLIGHT_PLAIN": text})
    assert dict(describe(config))["FIRSTLIGHT_PLAIN"] == shown


def test_the_password_of_a_database_is_kept_apart() -> None:
    config = from_environment({"FIRSTLIGHT_DATABASE": "postgresql://fl:p%40ss@db1,db2:5433/registry?sslmode=require"})
    assert config.database == "postgresql://fl@db1,db2:5433/registry?sslmode=require"
    assert config.database_url == "postgresql://fl:p%40ss@db1,db2:5433/registry?sslmode=require"
    assert "p%40ss" not in repr(config)
    assert "p@ss" not in repr(config)


def test_a_databases_url_and_password_may_come_from_files(tmp_path: Path) -> None:
    url, password = tmp_path / "url", tmp_path / "password"
    url.write_text("postgresql://fl@db/registry\n")
    password.write_text("s/e:c@ret\n")
    environ = {"FIRSTLIGHT_DATABASE_FILE": str(url), "FIRSTLIGHT_DATABASE_PASSWORD_FILE": str(password)}
    assert from_environment(environ).database_url == "postgresql://fl:s%2Fe%3Ac%40ret@db/registry"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"DATABASE": "postgresql://fl:hunter1@db/registry", "DATABASE_PASSWORD": "hunter2"}, "holds a password too"),
        ({"DATABASE": "postgresql://db/registry", "DATABASE_PASSWORD": "hunter2"}, "names no user"),
        ({"DATABASE_PASSWORD": "hunter2"}, "names no user"),
        ({"DATABASE": "postgresql://fl@db/registry?password=hunter1"}, "behind its question mark"),
    ],
)
def test_a_password_that_has_no_place_is_told(given: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingError, match=fault) as raised:
        from_environment({f"FIRSTLIGHT_{name}": value for name, value in given.items()})
    assert "hunter2" not in str(raised.value)
    assert "hunter1" not in str(raised.value)
