"""Certificates that strangers choose so that others are kept out or looking at them takes long, and old ones that are not."""

from math import gcd

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID

from core.crypto import chains
from core.crypto.chains import BrokenChain
from core.errors import Refusal
from core.messages import CertificateLogin, Identity
from core.model import ChainPolicy, Strategy
from tests.core.authorities import Holder, authority, issue, sent
from tests.core.registry import CONTEXT, Registry

ROOT = authority("root")
HOUSE = authority("house", ROOT)
LEAF = issue("pump9.example.com", HOUSE)
SEQUENCE, BITS, VERSION_3 = 0x30, 0x03, bytes.fromhex("a003020102")


async def chained(registry: Registry, anchor: Holder, *, lax: bool = False) -> None:
    """Make a profile that this authority's devices get into."""
    authorities, pattern = (anchor.credential.text,), r"(.*)\.example\.com"
    chain = ChainPolicy(anchor=anchor.id, anchor_name=anchor.name, authorities=authorities, pattern=pattern, lax=lax)
    await registry.profile(Strategy.CERTIFICATE_CHAIN, chain=chain)


async def let_in(registry: Registry, *chain: bytes) -> Identity:
    """Come with these certificates."""
    return await registry.authenticate(CertificateLogin(chain), CONTEXT)


@pytest.mark.parametrize("lax", [False, True])
@pytest.mark.parametrize("stolen", [ROOT, HOUSE], ids=["anchor", "between"])
async def test_an_authority_that_somebody_made_a_credential_signs_all_the_same(stolen: Holder, lax: bool) -> None:
    registry = Registry()
    await chained(registry, ROOT, lax=lax)
    await registry.device(await registry.profile(key="other"), "thief", stolen.credential)
    assert (await let_in(registry, *sent(LEAF, HOUSE, ROOT))).device_name == "pump9"


async def test_an_anchor_without_a_flag_that_somebody_made_a_credential_signs_for_the_lax() -> None:
    registry, anchor = Registry(), issue("old root")
    await chained(registry, anchor, lax=True)
    await registry.device(await registry.profile(key="other"), "thief", anchor.credential)
    assert (await let_in(registry, *sent(issue("pump9.example.com", anchor), anchor))).device_name == "pump9"


def test_what_cannot_be_read_is_no_authoritys() -> None:
    twice = x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"\xff")
    assert not chains.is_authority(issue("odd", extensions=((twice, False),)).certificate)
    assert not chains.is_authority(LEAF.certificate)
    assert chains.is_authority(HOUSE.certificate)


def exponent_of_all_its_bits(bits: int) -> rsa.RSAPrivateKey:
    """Make a key of RSA with which a signature takes long to check."""
    numbers = rsa.generate_private_key(65_537, bits).private_numbers()
    p, q = numbers.p, numbers.q
    public = (1 << (bits - 1)) + 1
    while gcd(public, (p - 1) * (q - 1)) != 1:
        public += 2
    private = pow(public, -1, (p - 1) * (q - 1))
    halves = rsa.rsa_crt_dmp1(private, p), rsa.rsa_crt_dmq1(private, q), numbers.iqmp
    slow = rsa.RSAPrivateNumbers(p, q, private, *halves, rsa.RSAPublicNumbers(public, numbers.public_numbers.n))
    return slow.private_key(unsafe_skip_rsa_key_validation=True)


async def test_keys_that_take_long_are_not_tried() -> None:
    slow = authority("slow", key=exponent_of_all_its_bits(2_048))
    with pytest.raises(Refusal) as refused:
        await let_in(Registry(), *sent(issue("pump1.example.com", slow), slow))
    assert refused.value.check == "chain.key"


def of_version_1(holder: Holder, issuer: Holder) -> bytes:
    """Return a certificate without extensions as X.509 version 1 has it, signed anew, as DER."""
    content = _content(holder.certificate.tbs_certificate_bytes)
    assert content.startswith(VERSION_3)
    inside = _element(SEQUENCE, content.removeprefix(VERSION_3))
    signed = issuer.key.sign(inside, ec.ECDSA(SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256 (RFC 5758, section 3.2)
    return _element(SEQUENCE, inside + algorithm + _element(BITS, b"\0" + signed))


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (octets if size < 128 else bytes([0x80 | len(octets)]) + octets) + content


def _content(element: bytes) -> bytes:
    assert element[0] == SEQUENCE
    return element[2 + (element[1] & 0x7F if element[1] >= 128 else 0) :]


@pytest.mark.parametrize("between", [(), (HOUSE,)], ids=["anchor alone", "one between"])
async def test_a_certificate_of_version_1_is_a_devices(between: tuple[Holder, ...]) -> None:
    registry, issuer = Registry(), (*between, ROOT)[0]
    await chained(registry, ROOT)
    leaf = of_version_1(issue("pump9.example.com", issuer), issuer)
    assert x509.load_der_x509_certificate(leaf).version is x509.Version.v1
    assert (await let_in(registry, leaf, *sent(*between, ROOT))).device_name == "pump9"


async def test_a_certificate_of_version_1_signs_no_others_and_needs_a_signature() -> None:
    registry, stranger, device = Registry(), authority("root"), issue("device", ROOT)
    await chained(registry, ROOT)
    forged = of_version_1(issue("pump9.example.com", ROOT), stranger)
    below = of_version_1(issue("pump9.example.com", device), device)
    for sent_with, check in (
        ((forged, ROOT.der), "chain.signature"),
        ((below, device.der, ROOT.der), "chain.authority"),
        ((below, of_version_1(device, ROOT), ROOT.der), "chain.authority"),
    ):
        with pytest.raises(Refusal) as refused:
            await let_in(registry, *sent_with)
        assert refused.value.check == check


async def test_where_an_authority_may_not_give_every_name_version_1_is_refused() -> None:
    names = x509.NameConstraints([x509.DNSName("example.org")], None)
    bound = authority("bound", ROOT, extensions=((names, True),))
    chain = chains.read_chain((of_version_1(issue("pump9.example.com", bound), bound), *sent(bound, ROOT)))
    with pytest.raises(BrokenChain) as broken:
        chains.require_valid_path(chain, 2, chain.not_before + 1)
    assert broken.value.check == "chain.invalid"


async def test_what_is_above_a_certificate_of_version_1_is_judged_by_the_library() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
    house = authority("house", ROOT, extensions=((odd, True),))
    chain = chains.read_chain((of_version_1(issue("pump9.example.com", house), house), *sent(house, ROOT)))
    with pytest.raises(BrokenChain) as broken:
        chains.require_valid_path(chain, 2, chain.not_before + 1)
    assert broken.value.check == "chain.invalid"
