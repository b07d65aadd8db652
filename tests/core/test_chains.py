import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID

from core.crypto.chains import (
    MOST_BYTES,
    MOST_CERTIFICATES,
    BrokenChain,
    common_name,
    issuer_name,
    read_chain,
    require_signed_in_order,
    require_valid_path,
    signed_by,
    subject_name,
)
from tests.core.authorities import Holder, authority, issue, sent, usage
from tests.fakes import START

ROOT = authority("root")
MIDDLE = authority("middle", ROOT)
LEAF = issue("pump7.example.com", MIDDLE)
DAY_MS = 86_400_000
ELSEWHERE = ((x509.NameConstraints([x509.DNSName("example.com")], None), True),)


def path_of(*chain: Holder, now: int = START) -> str:
    """Return what is wrong with a chain whose last certificate is trusted; empty: nothing."""
    read = read_chain(sent(*chain))
    try:
        require_valid_path(read, len(chain) - 1, now)
    except BrokenChain as broken:
        return broken.check
    return ""


def order_of(*chain: Holder) -> str:
    try:
        require_signed_in_order(read_chain(sent(*chain)))
    except BrokenChain as broken:
        return broken.check
    return ""


def extended(*purposes: x509.ObjectIdentifier) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return ((x509.ExtendedKeyUsage(purposes), False),)


def unknown(oid: str, content: bytes) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return ((x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), content), True),)


# Reading


def test_a_chain_is_read_in_the_order_it_was_sent() -> None:
    chain = read_chain(sent(LEAF, MIDDLE, ROOT))
    assert chain.texts == (LEAF.credential.text, MIDDLE.credential.text, ROOT.credential.text)
    assert common_name(chain) == "pump7.example.com"
    assert (chain.not_before, chain.not_after) == (START // 1000 * 1000 - 10 * DAY_MS, START // 1000 * 1000 + 100 * DAY_MS)
    assert (chain.is_early(chain.not_before - 1), chain.is_early(chain.not_before)) == (True, False)
    assert (chain.is_over(chain.not_after + 1), chain.is_over(chain.not_after)) == (True, False)


@pytest.mark.parametrize(
    ("chain", "check"),
    [
        ((), "chain.size"),
        ((LEAF.der,) * (MOST_CERTIFICATES + 1), "chain.size"),
        ((LEAF.der, b"\x30" * (MOST_BYTES + 1)), "chain.size"),
        ((b"\x30" * MOST_BYTES,), "chain.certificate"),
        ((b"",), "chain.certificate"),
        ((LEAF.der, b"no certificate"), "chain.certificate"),
        ((LEAF.der + b"\0",), "chain.certificate"),
    ],
)
def test_what_is_no_chain_is_not_read(chain: tuple[bytes, ...], check: str) -> None:
    with pytest.raises(BrokenChain) as broken:
        read_chain(chain)
    assert broken.value.check == check


# The library warns of serial numbers that are not positive: some old certificates have those.
@pytest.mark.filterwarnings("ignore:Parsed a serial number:cryptography.utils.CryptographyDeprecationWarning")
def test_mutated_certificates_break_the_chain_and_nothing_else() -> None:
    numbers = random.Random(7)
    for _ in range(1_500):
        mutated = bytearray(numbers.choice((LEAF, MIDDLE)).der)
        for _ in range(numbers.randint(1, 4)):
            mutated[numbers.randrange(len(mutated))] = numbers.randrange(256)
        for chain in ((bytes(mutated), MIDDLE.der, ROOT.der), (LEAF.der, bytes(mutated), ROOT.der)):
            assert chain == sent(LEAF, MIDDLE, ROOT) or fault_of(chain).startswith("chain.")


def fault_of(chain: tuple[bytes, ...]) -> str:
    try:
        read = read_chain(chain)
        common_name(read)
        signed_by(read, ROOT.credential.text)
        issuer_name(read)
        require_valid_path(read, len(chain) - 1, START)
        require_signed_in_order(read)
    except BrokenChain as broken:
        return broken.check
    return ""


def test_a_subject_without_a_readable_common_name_has_none() -> None:
    assert common_name(read_chain(sent(issue("")))) == ""
    broken = issue("ABCDEFGH").der.replace(b"ABCDEFGH", b"\xff" * 8)
    assert common_name(read_chain((broken,))) == ""


def test_an_issuer_has_the_name_that_its_own_certificate_says() -> None:
    assert issuer_name(read_chain(sent(LEAF))) == subject_name(MIDDLE.certificate) == authority("middle").name
    assert issuer_name(read_chain(sent(LEAF, MIDDLE))) == subject_name(ROOT.certificate)
    assert issuer_name(read_chain(sent(issue("")))) == issue("").name
    assert len({holder.name for holder in (LEAF, MIDDLE, ROOT, authority("Root"), issue(""))}) == 5


@pytest.mark.parametrize("tag", [b"\x02", b"\x03"])
def test_a_name_that_is_no_text_breaks_the_chain(tag: bytes) -> None:
    chain = read_chain((authority("factory").der.replace(b"\x0c\x07factory", tag + b"\x07factory"),))
    for digest in (lambda: issuer_name(chain), lambda: subject_name(chain.certificates[0])):
        with pytest.raises(BrokenChain) as broken:
            digest()
        assert broken.value.check == "chain.certificate"


# The order


def test_each_certificate_is_signed_by_the_next() -> None:
    assert order_of(LEAF) == ""
    assert order_of(LEAF, MIDDLE) == ""
    assert order_of(LEAF, MIDDLE, ROOT) == ""
    assert order_of(LEAF, ROOT) == "chain.signature"
    assert order_of(LEAF, ROOT, MIDDLE) == "chain.signature"
    assert order_of(LEAF, authority("middle")) == "chain.signature"
    assert order_of(LEAF, MIDDLE, issue("other")) == "chain.signature"


def test_signatures_are_all_that_the_order_is_about() -> None:
    old = issue("old", ROOT, ends=-1)
    assert order_of(issue("x", old), old, ROOT) == ""


def test_an_authority_that_signed_the_last_one_lengthens_the_chain() -> None:
    chain = read_chain(sent(LEAF))
    assert signed_by(chain, MIDDLE.credential.text) == read_chain(sent(LEAF, MIDDLE))
    assert signed_by(read_chain(sent(LEAF, MIDDLE)), ROOT.credential.text) == read_chain(sent(LEAF, MIDDLE, ROOT))
    for stranger in (ROOT, LEAF, authority("middle"), authority("middle", ROOT)):
        assert signed_by(chain, stranger.credential.text) is None


# The path


def test_a_path_is_valid_to_a_root_and_to_an_authority_below_it() -> None:
    assert path_of(LEAF, MIDDLE, ROOT) == ""
    assert path_of(LEAF, MIDDLE) == ""


def test_old_authorities_without_key_usage_and_new_ones_with_it_are_taken() -> None:
    newer = authority("newer", extensions=((usage(key_cert_sign=True, crl_sign=True), True),))
    client = (*extended(ExtendedKeyUsageOID.CLIENT_AUTH), (usage(digital_signature=True), True))
    assert path_of(issue("x", newer, extensions=client), newer) == ""
    assert path_of(issue("x", newer, extensions=((usage(key_agreement=True), True),)), newer) == ""
    assert path_of(issue("x", newer, extensions=extended(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)), newer) == ""


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1())],
)
def test_usual_keys_are_taken(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    root = authority("root", key=key, digest=SHA384())
    assert path_of(issue("x", root, key=key), root) == ""
    assert path_of(issue("x", root, key=ed25519.Ed25519PrivateKey.generate()), root) == ""


@pytest.mark.parametrize(
    ("chain", "check"),
    [
        ((issue("x", ROOT, ends=-1), ROOT), "chain.expired"),
        ((issue("x", ROOT, begins=1), ROOT), "chain.early"),
        ((ROOT,), "chain.leaf"),
        ((issue("alone"),), "chain.leaf"),
        ((MIDDLE, ROOT), "chain.leaf"),
        ((issue("x", ROOT, extensions=extended(ExtendedKeyUsageOID.SERVER_AUTH)), ROOT), "chain.usage"),
        ((issue("x", ROOT, extensions=((usage(key_encipherment=True), True),)), ROOT), "chain.usage"),
        ((issue("x", ROOT, key=ec.generate_private_key(ec.SECP224R1())), ROOT), "chain.key"),
        ((issue("x", ROOT, key=rsa.generate_private_key(65537, 1024)), ROOT), "chain.key"),
        ((issue("x", ROOT, digest=SHA224()), ROOT), "chain.digest"),
        ((issue("x", ROOT, extensions=unknown("1.2.3", b"\5\0")), ROOT), "chain.invalid"),
        ((issue("x", authority("root")), ROOT), "chain.invalid"),
        ((issue("x", ROOT, extensions=unknown("2.5.29.15", b"\1")), ROOT), "chain.certificate"),
    ],
)
def test_a_leaf_that_breaks_a_rule_breaks_the_path(chain: tuple[Holder, ...], check: str) -> None:
    assert path_of(*chain) == check


@pytest.mark.parametrize(
    ("signer", "check"),
    [
        (authority("m", ROOT, ends=-1), "chain.expired"),
        (authority("m", ROOT, begins=1), "chain.early"),
        (issue("m", ROOT), "chain.authority"),
        (issue("m", ROOT, constraints=x509.BasicConstraints(False, None)), "chain.authority"),
        (authority("m", ROOT, extensions=((usage(digital_signature=True), True),)), "chain.authority"),
        (authority("m", ROOT, key=rsa.generate_private_key(65537, 1024)), "chain.key"),
        (authority("m", ROOT, key=ed25519.Ed25519PrivateKey.generate()), "chain.key"),
        (authority("m", ROOT, extensions=ELSEWHERE), "chain.invalid"),
    ],
)
def test_an_authority_that_breaks_a_rule_breaks_the_path(signer: Holder, check: str) -> None:
    leaf = issue("x", signer, extensions=((x509.SubjectAlternativeName([x509.DNSName("pump.example.org")]), False),))
    assert order_of(leaf, signer, ROOT) == ""
    assert path_of(leaf, signer, ROOT) == check


def test_the_trusted_certificate_is_an_authority_in_its_time_as_well() -> None:
    flagless, over = issue("flagless"), authority("over", ends=-1)
    assert path_of(issue("x", flagless), flagless) == "chain.authority"
    assert path_of(issue("x", over), over) == "chain.expired"


def test_an_authority_has_no_more_authorities_below_it_than_it_may() -> None:
    none, one = authority("none", path_length=0), authority("one", path_length=1)
    for root, check in ((none, "chain.path_length"), (one, "")):
        middle = authority("middle", root)
        assert path_of(issue("x", middle), middle, root) == check
        assert path_of(issue("x", root), root) == ""


def test_time_is_looked_at_when_the_path_is() -> None:
    assert path_of(LEAF, MIDDLE, ROOT, now=START + 101 * DAY_MS) == "chain.expired"
    assert path_of(LEAF, MIDDLE, ROOT, now=START - 11 * DAY_MS) == "chain.early"
