"""The files that TLS is made of: what is wrong with them is told, and what changes is read again."""

import asyncio
import base64
import datetime
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from adapters.tls.config import TlsConfig
from adapters.tls.founding import found
from adapters.tls.material import CERTIFICATE, CLIENT_AUTHORITIES, KEY, Material, MaterialError, read
from tests.tls.tls_parties import Place, signed, until


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def foldered(own: Place) -> None:
    own.key.unlink()
    own.key.mkdir()


def encrypted(own: Place) -> None:
    openssl("pkey", "-in", own.key, "-aes256", "-passout", "pass:secret", "-out", own.folder / "encrypted.pem")
    os.replace(own.folder / "encrypted.pem", own.key)


def short_curve(own: Place) -> None:
    words = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime192v1", "-nodes", "-subj", "/CN=x")
    openssl("req", "-x509", *words, "-keyout", own.key, "-out", own.certificate)


def twice_the_same(own: Place) -> None:
    """Write a certificate that has an extension twice, which is found out only when they are looked at."""
    twice = [word for part in ("1.2.3.4=ASN1:NULL", "1.2.3.5=ASN1:NULL") for word in ("-addext", part)]
    openssl("req", "-x509", "-new", "-key", own.key, "-subj", "/CN=x", *twice, "-outform", "DER", "-out", own.certificate)
    der = own.certificate.read_bytes().replace(b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04")
    own.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n")


FAULTS: dict[str, tuple[Callable[[Place], object], str, str]] = {
    "no certificate file": (lambda own: own.certificate.unlink(), CERTIFICATE, "No such file"),
    "no key file": (lambda own: own.key.unlink(), KEY, "No such file"),
    "a folder": (foldered, KEY, "directory"),
    "no PEM": (lambda own: own.certificate.write_text("hello"), CERTIFICATE, "BEGIN CERTIFICATE"),
    "a key for a certificate": (
        lambda own: own.certificate.write_bytes(own.key.read_bytes()),
        CERTIFICATE,
        "BEGIN CERTIFICATE",
    ),
    "a certificate for a key": (lambda own: own.key.write_bytes(own.certificate.read_bytes()), KEY, "BEGIN PRIVATE KEY"),
    "a broken certificate": (
        lambda own: own.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        CERTIFICATE,
        "no certificate that can be read",
    ),
    "far too much": (lambda own: own.certificate.write_bytes(bytes(2_000_000)), CERTIFICATE, "larger than"),
    "another's key": (lambda own: own.key.write_bytes(signed("other").key_pem), KEY, "is not the key of the first certificate"),
    "a key that OpenSSL finds too short": (short_curve, CERTIFICATE, "key too small"),
    "an extension twice": (twice_the_same, CERTIFICATE, "no certificate that can be read"),
    "an encrypted key": (encrypted, KEY, "openssl pkey"),
    "a short RSA key": (lambda own: openssl("genrsa", "-out", own.key, "1024"), KEY, "2048 or more"),
    "a key for something else": (
        lambda own: openssl("genpkey", "-algorithm", "x25519", "-out", own.key),
        KEY,
        "give an EC, Ed25519 or RSA key",
    ),
    "no authorities": (lambda own: (own.folder / "clients.pem").write_text(""), CLIENT_AUTHORITIES, "BEGIN CERTIFICATE"),
}


@pytest.mark.parametrize(("harm", "part", "says"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong_is_told_in_one_line(own: Place, harm: Callable[[Place], object], part: str, says: str) -> None:
    clients = own.folder / "clients.pem"
    clients.write_bytes(own.authority.read_bytes())
    harm(own)
    with pytest.raises(MaterialError) as error:
        read(own.certificate, own.key, clients)
    assert error.value.part == part
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_keys_of_every_kind_are_read_and_not_shown(own: Place) -> None:
    for words in (["rsa:2048"], ["ed25519"], ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]):
        openssl("req", "-x509", "-newkey", *words, "-nodes", "-subj", "/CN=x", "-keyout", own.key, "-out", own.certificate)
        material = read(own.certificate, own.key, own.certificate)
        assert repr(material) == "ServerMaterial(1 certificates, 1 client authorities)"


async def test_a_renewed_certificate_is_told_and_a_faulty_one_is_not(own: Place) -> None:
    material = Material(own.certificate, own.key, own.authority, seconds=0.01)
    first, told = material.current, []
    material.subscribe(lambda: told.append(material.current))
    watching = asyncio.create_task(material.run())
    with structlog.testing.capture_logs() as lines:
        key = own.key.read_bytes()
        own.key.write_text("hello")
        await until(lambda: lines)
        own.key.write_bytes(key)  # the same again: nothing to tell
        material.look()
        assert material.current is first
        other = signed("other")
        aside = own.folder / "aside"
        aside.write_bytes(other.pem)
        own.key.write_bytes(other.key_pem)
        os.replace(aside, own.certificate)
        await until(lambda: told)
    watching.cancel()
    assert material.current.chain == (other.der,)
    assert lines[0]["event"] == "the new TLS certificate cannot be used, the old one stays"
    assert lines[0]["part"] == KEY
    assert lines[-1]["event"] == "the TLS certificate was read again"


def test_a_file_that_is_away_for_a_moment_does_no_harm(own: Place) -> None:
    material = Material(own.certificate, own.key)
    content = own.certificate.read_bytes()
    own.certificate.unlink()
    material.look()
    own.certificate.write_bytes(content)
    material.look()
    assert len(material.current.chain) == 1


@pytest.mark.parametrize(
    ("days_ago", "event"),
    [(40, "the TLS certificate has expired"), (-5, "the TLS certificate is not valid yet"), (0, None)],
)
def test_a_certificate_out_of_its_time_is_warned_of(own: Place, days_ago: int, event: str | None) -> None:
    founded = found(["localhost"], 30, datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days_ago))
    own.certificate.write_bytes(founded.certificate)
    own.key.write_text(founded.key.reveal())
    with structlog.testing.capture_logs() as lines:
        own.material()
    assert [line["event"] for line in lines] == ([event] if event else [])


@pytest.mark.parametrize(
    "bounds",
    [{"reload_seconds": 0.0}, {"handshake_bytes": 1_000}, {"handshakes_per_second": -1.0}, {"burst_handshakes": 0}],
)
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TlsConfig(**bounds)
