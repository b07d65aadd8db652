"""Certificates and lists of revoked ones, as openssl reads them, and the check of those that others made."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from core.crypto import issuance
from core.crypto.bundles import write_pem
from core.crypto.issuance import (
    SKEW_MS,
    BadCertificate,
    arranged,
    check_issued,
    open_authority,
    serial_of,
    sign_certificate,
    sign_revocations,
)
from core.crypto.signing_requests import read_request
from core.model import DeviceId, Secret
from core.ports import Revocation, SigningRequest
from tests.core.openssl import openssl, request, verify
from tests.core.signing import DAY_MS, Key, authority, der, key_pem, made
from tests.fakes import START

NOW = START // 1000 * 1000
AUTHORITIES: dict[str, Callable[[], Key]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def asked(public_key: bytes, **fields: object) -> SigningRequest:
    """Return what an authority is to sign."""
    wanted = SigningRequest(
        request=b"",
        public_key=public_key,
        name="meter-1",
        device=DeviceId("id/1"),
        serial=serial_of(b"\xff" * 20),
        not_before=NOW,
        not_after=NOW + DAY_MS,
    )
    return msgspec.structs.replace(wanted, **fields)


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def device_key() -> bytes:
    """A device's public key."""
    return spki(ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize("kind", AUTHORITIES)
def test_openssl_takes_a_certificate(tmp_path: Path, kind: str) -> None:
    opened = authority(made(key=AUTHORITIES[kind]()))
    signed = sign_certificate(opened, asked(read_request(request(tmp_path)).public_key), "http://ca.example/crl")
    assert b"OK" in verify(tmp_path, write_pem((signed,)), write_pem(opened.certificates), NOW + 1000)


def test_a_certificate_says_what_was_asked_and_nothing_of_the_request(tmp_path: Path) -> None:
    opened = authority()
    key = read_request(request(tmp_path, "rsa2048", "someone else")).public_key
    found = x509.load_der_x509_certificate(sign_certificate(opened, asked(key), "http://ca.example/crl"))
    assert [each.value for each in found.subject] == ["meter-1"]
    assert found.serial_number == (1 << 159) - 1
    extensions = found.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:firstlight:device:id%2F1"]
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
    place = extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0].full_name
    assert place is not None
    assert [each.value for each in place] == ["http://ca.example/crl"]
    own = opened.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == own.digest


def test_an_authority_without_a_key_identifier_is_named_by_its_key(device_key: bytes) -> None:
    opened = authority(made(identified=False, usage=None))
    found = x509.load_der_x509_certificate(sign_certificate(opened, asked(device_key), ""))
    extensions = found.extensions
    expected = x509.SubjectKeyIdentifier.from_public_key(opened.key.public_key()).digest
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == expected
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.CRLDistributionPoints)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert not usage.key_encipherment


def test_no_certificate_is_made_for_another_kind_of_key() -> None:
    key = x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="no certificate is made"):
        sign_certificate(authority(), asked(key), "")


def test_openssl_takes_a_list_and_refuses_what_is_on_it(tmp_path: Path) -> None:
    opened = authority()
    key = read_request(request(tmp_path)).public_key
    signed = sign_certificate(opened, asked(key), "")
    pems = write_pem((signed,)), write_pem(opened.certificates)
    serial = x509.load_der_x509_certificate(signed).serial_number
    for revoked in ((), (Revocation(7, NOW), Revocation(serial, NOW))):
        crl = sign_revocations(opened, revoked, NOW, NOW + 3_600_000)
        (tmp_path / "crl.pem").write_bytes(openssl("crl", "-inform", "DER", given=crl))
        checked = ("-crl_check", "-CRLfile", str(tmp_path / "crl.pem"))
        if not revoked:
            assert b"OK" in verify(tmp_path, *pems, NOW + 1000, *checked)
            continue
        with pytest.raises(AssertionError, match="certificate revoked"):
            verify(tmp_path, *pems, NOW + 1000, *checked)
    read = x509.load_der_x509_crl(crl)
    assert [each.serial_number for each in read] == [7, serial]
    assert read.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == NOW


def opened_with(certificate: bytes, key: bytes, passphrase: str = "") -> None:
    open_authority((certificate,), key, Secret(passphrase) if passphrase else None)


def test_a_pair_that_cannot_sign_is_refused() -> None:
    certificate, key = made()
    other, other_key = made()
    old_kind = dsa.generate_private_key(2_048)
    leaf, leaf_key = made(ca=False)
    lame, lame_key = made(usage=(False, True))
    faults = [
        (der(certificate), b"nothing", "", "not a private key"),
        (der(certificate), key_pem(key, b"secret"), "", "passphrase"),
        (der(certificate), key_pem(key), "secret", "passphrase"),
        (der(certificate), key_pem(key, b"secret"), "wrong", "passphrase is wrong"),
        (der(certificate), key_pem(other_key), "", "not that of the first"),
        (der(certificate), key_pem(old_kind), "", "of a kind"),  # type: ignore[arg-type] # the kind that is not taken
        (der(leaf), key_pem(leaf_key), "", "not one of an authority"),
        (der(lame), key_pem(lame_key), "", "not one of an authority"),
    ]
    for first, private, passphrase, says in faults:
        with pytest.raises(ValueError, match=says):
            opened_with(first, private, passphrase)
    opened_with(der(certificate), key_pem(key, b"secret"), "secret")
    opened_with(der(other), key_pem(other_key))


def test_who_may_not_sign_lists_signs_none() -> None:
    assert authority().signs_lists
    assert authority(made(usage=None)).signs_lists
    assert not authority(made(usage=(True, False))).signs_lists


def test_what_was_asked_for_is_taken_from_an_authority_elsewhere(device_key: bytes) -> None:
    root = made("root")
    middle = made("middle", root)
    opened = authority(middle, root)
    signed = sign_certificate(opened, asked(device_key), "")
    for chain, trusted in (
        ((signed,), (der(middle[0]),)),
        ((signed, der(middle[0])), (der(root[0]),)),
        ((signed, der(middle[0]), der(root[0])), (der(root[0]), der(made()[0]))),
    ):
        found = check_issued(chain, trusted, asked(device_key), NOW)
        assert (found.serial, found.not_before, found.not_after) == (f"{(1 << 159) - 1:x}", NOW, NOW + DAY_MS)
    assert check_issued((signed,), (der(middle[0]),), asked(device_key), NOW - SKEW_MS)


def test_anything_else_is_refused(device_key: bytes) -> None:
    root = made("root")
    opened = authority(root)
    wanted, trusted = asked(device_key), (der(root[0]),)
    signed = sign_certificate(opened, wanted, "")
    sub = made("meter-1", root)
    strange, _ = made("meter-1", root, ed448.Ed448PrivateKey.generate(), ca=False)  # type: ignore[arg-type] # not taken
    leaf = made("leaf", root, ca=False)
    by_leaf = sign_certificate(issuance.Authority(leaf[0], leaf[1]), wanted, "")
    faults: list[tuple[tuple[bytes, ...], SigningRequest, int, str]] = [
        ((), wanted, NOW, "0 certificates"),
        ((signed,) * 9, wanted, NOW, "9 certificates"),
        ((b"\0",), wanted, NOW, "cannot be read"),
        ((signed, b"\0"), wanted, NOW, "cannot be read"),
        ((signed,), asked(spki(root[1])), NOW, "another key"),
        ((signed,), asked(device_key, name="meter-2"), NOW, "common name"),
        ((der(strange),), wanted, NOW, "another key"),
        ((der(sub[0]),), asked(spki(sub[1])), NOW, "may sign others"),
        ((signed,), wanted, NOW + DAY_MS, "not valid"),
        ((signed,), wanted, NOW - SKEW_MS - 1, "not valid"),
        ((sign_certificate(authority(), wanted, ""),), wanted, NOW, "does not come"),
        ((sign_certificate(authority(made("root")), wanted, ""),), wanted, NOW, "does not come"),
        ((by_leaf, der(leaf[0])), wanted, NOW, "does not come"),
    ]
    for chain, request_, now, says in faults:
        with pytest.raises(BadCertificate, match=says):
            check_issued(chain, trusted, request_, now)


def test_certificates_are_put_in_order(device_key: bytes) -> None:
    root = made("root")
    middle = made("middle", root)
    signed = sign_certificate(authority(middle), asked(device_key), "")
    chain = (signed, der(middle[0]), der(root[0]))
    assert arranged((chain[2], der(made("other")[0]), chain[1], chain[0]), device_key) == chain
    assert arranged((chain[0],), device_key) == chain[:1]
    with pytest.raises(BadCertificate, match="key of the request"):
        arranged(chain[1:], device_key)


def test_whose_certificate_it_is_can_be_told(device_key: bytes) -> None:
    root = made("root")
    signed = sign_certificate(authority(root), asked(device_key), "")
    assert issuance.is_issued_by(signed, (der(made("root")[0]), der(root[0])))
    assert not issuance.is_issued_by(signed, (der(made("root")[0]),))
    assert not issuance.is_issued_by(b"\0", (der(root[0]),))


def test_a_serial_number_is_positive() -> None:
    assert serial_of(bytes(20)) == 1
    assert serial_of(b"\xff" * 20).bit_length() == 159


def test_a_device_may_have_any_id() -> None:
    assert issuance.device_urn("0193-a_~.") == "urn:firstlight:device:0193-a_~."
    assert issuance.device_urn("ä:\ud800") == "urn:firstlight:device:%C3%A4%3A%ED%A0%80"
    assert NameOID.COMMON_NAME
