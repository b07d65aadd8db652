"""Certificates as files and authorities give them."""

import pytest

from core.crypto.bundles import BUNDLE_BYTES, read_bundle, write_pem
from tests.core.openssl import openssl
from tests.core.signing import der, made


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, ...]:
    """Two certificates."""
    return der(made("one")[0]), der(made("two")[0])


def test_pem_is_what_openssl_writes(pair: tuple[bytes, ...]) -> None:
    assert write_pem(pair[:1]).encode() == openssl("x509", "-inform", "DER", given=pair[0])
    text = "a comment\n" + write_pem(pair)
    assert read_bundle(text.encode()) == pair
    assert read_bundle(text.replace("\n", "\r\n").encode()) == pair


def test_der_is_read(pair: tuple[bytes, ...]) -> None:
    assert read_bundle(pair[0]) == pair[:1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"AAAA",
        b"AAA",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----",
        b"A" * (BUNDLE_BYTES + 1),
    ],
)
def test_what_holds_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"certificate"):
        read_bundle(content)
