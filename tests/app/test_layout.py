"""The layout of the provision service, as it is read from TOML."""

from pathlib import Path

import pytest

from adapters import layout
from adapters.config import SettingError, describe, from_environment
from core.operate.configuring import LayoutCertificates, LayoutPart

LAYOUT = """
file = "config.toml"

[bootstrap]
  autowhite_list = false
  provision = true
  x509_provision = false

  [bootstrap.content]
    [bootstrap.content.agent]
      log_level = "info"

[[things]]
  name = "thing"
  [things.metadata]
    external_id = "xxxxxx"

[[channels]]
  name = "control-channel"
  [channels.metadata]
    type = "control"

[[channels]]
  name = "data-channel"
  [channels.metadata]
    type = "data"
"""
CERTIFIED = LAYOUT.replace("x509_provision = false", "x509_provision = true")


def test_a_file_of_the_original_service_is_read(tmp_path: Path) -> None:
    file = tmp_path / "layout.toml"
    file.write_text(LAYOUT)
    config = from_environment({"FIRSTLIGHT_PROVISION_LAYOUT": str(file)})
    found = config.provision_layout
    assert found is not None
    assert found.clients == (LayoutPart(name="thing", metadata={"external_id": "xxxxxx"}),)
    assert [(part.name, part.metadata) for part in found.channels] == [
        ("control-channel", {"type": "control"}),
        ("data-channel", {"type": "data"}),
    ]
    assert (found.content, found.provision, found.activate) == ('{"agent":{"log_level":"info"}}', True, False)
    assert ("FIRSTLIGHT_PROVISION_LAYOUT", "clients: 1, channels: 2") in describe(config)


def test_clients_are_the_newer_word_and_everything_else_has_a_default(tmp_path: Path) -> None:
    file = tmp_path / "layout.toml"
    file.write_text('[[clients]]\nname = "c"\n[[channels]]\nname = "d"\n')
    found = layout.read(str(file))
    assert (found.clients, found.content, found.provision, found.activate) == ((LayoutPart(name="c"),), "", True, True)


@pytest.mark.parametrize(
    ("text", "certificates"),
    [
        (LAYOUT + '[cert]\nttl = "nonsense"\n', None),  # nobody asks for them
        (CERTIFIED, LayoutCertificates(lifetime_s=2_400 * 3_600, key_algorithm="rsa-2048")),
        (CERTIFIED + '[cert]\nttl = "1.5h30m1s"\n', LayoutCertificates(lifetime_s=7_201, key_algorithm="rsa-2048")),
        (CERTIFIED + '[cert]\nkey_type = "EC"\nkey_bits = 256\n', LayoutCertificates(key_algorithm="ec-p256")),
        (CERTIFIED + '[cert]\nkey_type = "rsa"\nkey_bits = 3072\n', LayoutCertificates(key_algorithm="rsa-3072")),
    ],
)
def test_clients_may_have_certificates(tmp_path: Path, text: str, certificates: LayoutCertificates | None) -> None:
    file = tmp_path / "layout.toml"
    file.write_text(text)
    assert layout.read(str(file)).certificates == certificates


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CERTIFIED + '[cert]\nttl = "soon"\n', "write 2400h"),
        (CERTIFIED + '[cert]\nttl = "0.5s"\n', "write 2400h"),
        (CERTIFIED + '[cert]\nttl = "99999999h"\n', "write 2400h"),
        (CERTIFIED + '[cert]\nkey_type = "dsa"\n', "keys of another kind"),
        (CERTIFIED + "[cert]\nkey_bits = 4096\n", "keys of another kind"),
        (LAYOUT.replace("[[things]]", "[[nothing]]").replace("[things.", "[nothing."), "no clients or no channels"),
        (LAYOUT + '\n[[clients]]\n[clients.metadata]\nexternal_id = ""\n', "more than one client"),
        ("[[things", "is not TOML"),
        ('things = "x"', "is no layout"),
    ],
)
def test_a_layout_that_cannot_work_stops_the_start(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "layout.toml"
    file.write_text(text)
    with pytest.raises(SettingError) as error:
        from_environment({"FIRSTLIGHT_PROVISION_LAYOUT": str(file)})
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "layout.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not TOML"):
        layout.read(str(file))
