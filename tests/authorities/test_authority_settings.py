"""The settings that say who signs, and what is wrong with them."""

from pathlib import Path

import pytest

from adapters.authorities.command import CommandAuthority
from adapters.authorities.config import AuthorityConfig, AuthoritySettings, command, crl_url, endpoint
from adapters.authorities.embedded import EmbeddedAuthority
from adapters.authorities.endpoint import EndpointAuthority
from adapters.authorities.opening import Opened, opened
from core.crypto.bundles import read_bundle
from core.model import Secret
from tests.authorities.elsewhere import asked, openssl_authority, today
from tests.core.openssl import openssl, request
from tests.core.signing import der, key_pem, made
from tests.exchange.stand_in import RememberingMeter


def opening(settings: AuthoritySettings) -> Opened:
    return opened(settings, RememberingMeter())


def test_without_settings_nobody_signs() -> None:
    assert opening(AuthoritySettings()) == Opened()
    assert opening(AuthoritySettings(certificate=Path("nothing"))) == Opened()


async def test_a_key_beside_the_certificate_signs_here(tmp_path: Path) -> None:
    certificate = openssl_authority(tmp_path)
    found = opening(AuthoritySettings(certificate=tmp_path / "ca.pem", key=tmp_path / "ca.key"))
    assert isinstance(found.authority, EmbeddedAuthority)
    assert found.signer is found.authority
    assert found.authority.authorities == read_bundle(certificate)
    assert len(await found.authority.sign(asked(request(tmp_path)))) == 2


def test_a_key_may_have_a_passphrase_and_an_authority_no_right_to_sign_lists(tmp_path: Path) -> None:
    authority = today(usage=(True, False))
    (tmp_path / "ca.pem").write_bytes(openssl("x509", "-inform", "DER", given=authority.certificates[0]))
    (tmp_path / "ca.key").write_bytes(key_pem(authority.key, b"pass"))
    settings = AuthoritySettings(certificate=tmp_path / "ca.pem", key=tmp_path / "ca.key", passphrase=Secret("pass"))
    found = opening(settings)
    assert (found.authority is None, found.signer) == (False, None)


def test_a_command_or_an_address_signs_elsewhere(tmp_path: Path) -> None:
    openssl_authority(tmp_path)
    by_command = opening(AuthoritySettings(certificate=tmp_path / "ca.pem", command=("sh", "sign")))
    assert isinstance(by_command.authority, CommandAuthority)
    by_url = opening(
        AuthoritySettings(certificate=tmp_path / "ca.pem", url="https://ca.example/sign", trust=tmp_path / "ca.pem")
    )
    assert isinstance(by_url.authority, EndpointAuthority)
    assert (by_command.signer, by_url.signer) == (None, None)
    assert by_url.authority.authorities == by_command.authority.authorities


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"key": "ca.key", "command": ("sign",)}, r"FIRSTLIGHT_CA_KEY: FIRSTLIGHT_CA_COMMAND is set too"),
        ({"key": "ca.key", "certificate": None}, r"FIRSTLIGHT_CA_CERT: not set; FIRSTLIGHT_CA_KEY needs"),
        ({"key": "ca.key", "certificate": "nothing"}, r"FIRSTLIGHT_CA_CERT: .*No such file"),
        ({"key": "ca.key", "certificate": "ca.key"}, r"FIRSTLIGHT_CA_CERT: .*no certificates"),
        ({"key": "nothing"}, r"FIRSTLIGHT_CA_KEY: .*No such file"),
        ({"key": "ca.pem"}, r"FIRSTLIGHT_CA_KEY: .*not a private key"),
        ({"key": "other.key"}, r"FIRSTLIGHT_CA_KEY: .*not that of the first"),
        ({"command": ("no-such-program",)}, r"FIRSTLIGHT_CA_COMMAND: no-such-program is no program"),
        ({"url": "https://ca.example", "trust": "nothing"}, r"FIRSTLIGHT_CA_URL_TRUST: .*no certificates"),
        ({"url": "https://ca.example", "trust": "ca.key"}, r"FIRSTLIGHT_CA_URL_TRUST: .*no certificates"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, fields: dict[str, object], says: str) -> None:
    openssl_authority(tmp_path)
    certificate, key = made()
    (tmp_path / "other.key").write_bytes(key_pem(key))
    assert der(certificate)
    given: dict[str, object] = {"certificate": "ca.pem"} | fields
    placed = {name: tmp_path / value if isinstance(value, str) and name != "url" else value for name, value in given.items()}
    with pytest.raises(ValueError, match=says) as caught:
        opening(AuthoritySettings(**placed))  # type: ignore[arg-type] # a table of fields
    assert "\n" not in str(caught.value)


def test_settings_are_read() -> None:
    assert command("step ca sign 'a b'") == ("step", "ca", "sign", "a b")
    assert command("") == ()
    assert endpoint("https://user@ca.example:8443/.well-known/est/simpleenroll")
    assert (endpoint(""), crl_url("")) == ("", "")
    assert crl_url("http://ca.example/v1/ca/crl") == "http://ca.example/v1/ca/crl"


@pytest.mark.parametrize(
    "text", ["ca.example", "ftp://ca.example", "http://", "http://ca.example:99999", "http://ä", "http://[a"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        endpoint(text)
    with pytest.raises(ValueError, match="is no address"):
        crl_url(text)


@pytest.mark.parametrize("name", AuthorityConfig.__struct_fields__)
def test_a_bound_that_keeps_everything_out_is_none(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        AuthorityConfig(**{name: 0})


def test_a_password_has_a_place_of_its_own_and_a_command_an_end() -> None:
    with pytest.raises(ValueError, match="FIRSTLIGHT_CA_PASSWORD"):
        endpoint("https://user:hidden@ca.example")
    with pytest.raises(ValueError, match="quotation"):
        command("sign 'a")
