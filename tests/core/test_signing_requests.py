"""Requests for certificates, as real devices' tools make them and as nobody should."""

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from core.crypto.signing_requests import (
    COMMON_NAME_BYTES,
    EC_P256,
    RSA_2048,
    NotASigningRequest,
    common_name,
    make_private_key,
    private_key_pem,
    read_request,
    request_of,
)
from tests.core.openssl import public_key, request
from tests.core.signing import NO_ENCRYPTION


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519"])
def test_what_devices_send_is_read(tmp_path: Path, kind: str) -> None:
    pem = request(tmp_path, kind)
    found = read_request(pem)
    assert found.public_key == public_key(tmp_path)
    for form in (found.der, base64.encodebytes(found.der), base64.b64encode(found.der), b"\r\n" + pem.replace(b"\n", b"\r\n")):
        assert read_request(form) == found
    old = pem.replace(b"BEGIN CERT", b"BEGIN NEW CERT").replace(b"END CERT", b"END NEW CERT")
    assert read_request(old) == found


@pytest.mark.parametrize("kind", ["rsa1024", "p521", "ed448"])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(NotASigningRequest, match="P-256"):
        read_request(request(tmp_path, kind))


def test_a_key_that_would_take_long_is_refused() -> None:
    exponent = (1 << 1_000) + 1
    primes = rsa.generate_private_key(65_537, 2_048).private_numbers()
    private = pow(exponent, -1, (primes.p - 1) * (primes.q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=primes.p,
        q=primes.q,
        d=private,
        dmp1=rsa.rsa_crt_dmp1(private, primes.p),
        dmq1=rsa.rsa_crt_dmq1(private, primes.q),
        iqmp=primes.iqmp,
        public_numbers=rsa.RSAPublicNumbers(exponent, primes.public_numbers.n),
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "d")])
    signed = x509.CertificateSigningRequestBuilder(subject).sign(numbers.private_key(), SHA256())
    with pytest.raises(NotASigningRequest, match="P-256"):
        read_request(signed.public_bytes(Encoding.DER))


def test_whoever_has_not_the_key_is_refused(tmp_path: Path) -> None:
    der = read_request(request(tmp_path)).der
    with pytest.raises(NotASigningRequest, match="its own key"):
        read_request(der.replace(b"whatever", b"whenever"))


def test_a_weak_signature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotASigningRequest, match="SHA-256"):
        read_request(request(tmp_path, "p256", "d", "-sha1"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\x30\x82",
        b"A",
        b"AAAA",
        b"=",
        b"-----BEGIN CERTIFICATE REQUEST-----\nA\n-----END CERTIFICATE REQUEST-----\n",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        b"-----BEGIN CERTIFICATE REQUEST-----\n\n-----END CERTIFICATE REQUEST-----\n",
        b"\x30" * 20_000,
    ],
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(NotASigningRequest):
        read_request(content)


def test_whatever_is_cut_off_or_altered_is_refused_or_still_one(tmp_path: Path) -> None:
    der = read_request(request(tmp_path)).der
    for place in range(len(der)):
        with pytest.raises(NotASigningRequest):
            read_request(der[:place])
        altered = der[:place] + bytes([der[place] ^ 0x55]) + der[place + 1 :]
        with pytest.raises(NotASigningRequest):
            read_request(altered)


@pytest.mark.parametrize("algorithm", [EC_P256, RSA_2048])
def test_a_key_that_is_made_here_has_a_request(algorithm: str) -> None:
    key = make_private_key(algorithm)
    made = request_of(key, "meter-1")
    assert read_request(made.der) == made
    pem = private_key_pem(key).reveal().encode()
    assert load_pem_private_key(pem, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NO_ENCRYPTION) == key


def test_a_key_of_another_kind_has_no_request() -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NO_ENCRYPTION)
    with pytest.raises(ValueError, match="neither"):
        request_of(key, "meter-1")


def test_a_certificate_calls_a_device_by_its_name_or_else_by_its_id() -> None:
    assert common_name("Zähler 1", "id") == "Zähler 1"
    assert common_name("ä" * 33, "id") == "id"
    assert common_name("", "id") == "id"
    assert common_name("a\nb", "id") == "id"
    assert common_name("\ud800", "id") == "id"
    drawn = common_name("x" * 65, "y" * 65)
    assert len(drawn) == COMMON_NAME_BYTES
    assert drawn != common_name("x" * 65, "z" * 65)
