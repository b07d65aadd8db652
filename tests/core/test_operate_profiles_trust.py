"""Profiles whose devices come with a chain, get certificates here, or may speak on unprotected wires; and OSCORE contexts."""

import base64
import datetime
import re
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.authenticate import Authenticate
from core.certificate_logins import NAME_CHARACTERS, device_name
from core.crypto.authorities import MOST_CHARACTERS
from core.crypto.chains import MOST_BYTES, MOST_CERTIFICATES
from core.errors import Conflict, Guard, Reason
from core.limits import Buckets, Rate
from core.messages import CertificateLogin, Oscore
from core.model import ChainPolicy, CredentialKind, EventKind, IssuingPolicy, Plain, Profile, Secret, Strategy
from core.operate.issuing import IssueBatch, SerialRow
from core.operate.messages import (
    AddCredential,
    ChangeProfile,
    CreateProfile,
    ProposedOscore,
    ProposedToken,
    ReadCredentials,
    RotateCredentials,
    ShowProfile,
    SignedRules,
)
from core.operate.patterns import EVERYTHING, PATTERN_CHARACTERS, require_pattern
from core.operate.trust_rules import ChainRules, IssuingRules
from core.provision import Provision
from tests.core.authorities import Holder, authority, issue, sent, usage
from tests.operating import DEVICE_CONTEXT, Desk

DAY = 86_400
CHAIN = Strategy.CERTIFICATE_CHAIN
ROOT = authority("root")
ANCHOR = authority("factory", ROOT)
OTHER = authority("other")


def pem(*holders: Holder) -> str:
    return "".join(each.certificate.public_bytes(Encoding.PEM).decode() for each in holders)


def chain(*holders: Holder, **rules: Any) -> ChainRules:
    return ChainRules(certificate=pem(*(holders or (ANCHOR,))), **rules)


def crooked(name: str) -> str:
    """Return the certificate of an authority whose name is no text."""
    text = bytes([len(name)]) + name.encode()
    der = authority(name).der.replace(b"\x0c" + text, b"\x02" + text)
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


async def chained(desk: Desk, name: str = "pumps", rules: ChainRules | None = None, **fields: Any) -> Profile:
    return await desk.profile(name, strategy=CHAIN, chain=rules or chain(), **fields)


async def test_a_chain_has_its_certificates_and_its_key_is_the_hash_of_the_first() -> None:
    desk = Desk()
    made = await chained(desk, rules=chain(ANCHOR, ROOT))
    texts = (ANCHOR.credential.text, ROOT.credential.text)
    expected = ChainPolicy(anchor=ANCHOR.id, anchor_name=ANCHOR.name, authorities=texts, pattern="(.*)", create=True, lax=False)
    assert made.chain == expected
    assert made.provision_key == ANCHOR.id
    assert await desk(ShowProfile("pumps")) == made


async def test_a_key_that_another_profile_has_is_drawn_and_a_given_one_is_kept() -> None:
    desk = Desk()
    await chained(desk)
    assert re.fullmatch("[a-z0-9]{20}", (await chained(desk, "valves")).provision_key)
    assert (await chained(desk, "gauges", provision_key="mine")).provision_key == "mine"
    refusal = await desk.refused(CreateProfile(name="fans", strategy=CHAIN, chain=chain(), provision_key="mine"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "provision_key")


async def test_a_key_that_is_taken_at_the_same_moment_is_drawn() -> None:
    desk = Desk()
    desk.repository.failures = [Conflict(Guard.PROVISION_KEY)]
    assert (await chained(desk)).provision_key == ANCHOR.id
    assert len(desk.repository.commits) == 2


async def test_rules_that_are_given_are_kept() -> None:
    made = await chained(Desk(), rules=chain(pattern=r"^(.*)\.example\.com$", create=False, lax=True))
    assert made.chain is not None
    assert (made.chain.pattern, made.chain.create, made.chain.lax) == (r"^(.*)\.example\.com$", False, True)
    made = await chained(Desk(), rules=chain(pattern=""))
    assert made.chain is not None
    assert made.chain.pattern == EVERYTHING


async def test_a_device_gets_in_by_what_an_operator_said() -> None:
    desk = Desk()
    made = await chained(desk, rules=chain(ANCHOR, ROOT, pattern=r"^(.*)\.example\.com$"))
    pump = issue("pump7.example.com", ANCHOR)
    provision = Provision(desk.repository, desk.issuer, desk.audit, Buckets(Rate(0, 1)), Buckets(Rate(0, 1)))
    authenticate = Authenticate(desk.repository, desk.issuer, desk.audit, desk.failures, provision)
    identity = await authenticate(CertificateLogin(sent(pump, ANCHOR)), DEVICE_CONTEXT)
    assert identity.device_name == "pump7"
    identity = await authenticate(CertificateLogin(sent(issue("pump9.example.com", ANCHOR))), DEVICE_CONTEXT)
    assert identity.device_name == "pump9"
    assert (await desk.device("pump8", profile="pumps")).profile == made.id


KEY = ROOT.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
BAD_CERTIFICATES = {
    "nothing": "",
    "no PEM": "certificate",
    "bare base64": ANCHOR.credential.text,
    "a private key": KEY,
    "a private key beside it": pem(ANCHOR) + KEY,
    "half of one": pem(ANCHOR) + pem(ROOT)[:200],
    "no certificate": "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n",
    "no base64": "-----BEGIN CERTIFICATE-----\nTUlJQ\n-----END CERTIFICATE-----\n",
    "too many": pem(ROOT) * (MOST_CERTIFICATES + 1),
    "too long": pem(ROOT) + " " * MOST_CHARACTERS,
    "a name that cannot be read": crooked("factory"),
    "a long one": pem(
        authority(
            "long", extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.1"), bytes(MOST_BYTES)), False),)
        )
    ),
}


@pytest.mark.parametrize("text", BAD_CERTIFICATES.values(), ids=BAD_CERTIFICATES.keys())
async def test_what_is_no_certificate_is_refused_without_being_repeated(text: str) -> None:
    desk = Desk()
    rules = ChainRules(certificate=text, lax=True)
    await chained(desk, "pumps")
    for command in (CreateProfile(name="valves", strategy=CHAIN, chain=rules), ChangeProfile(ref="pumps", chain=rules)):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.chain_certificate")
        assert text[30:60] not in refusal.detail or not text[30:60].strip()


async def test_a_chain_needs_a_certificate() -> None:
    desk = Desk()
    for rules in (None, ChainRules(), ChainRules(pattern="(a)", lax=True)):
        refusal = await desk.refused(CreateProfile(name="pumps", strategy=CHAIN, chain=rules))
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.chain_certificate")


async def test_what_stands_around_certificates_explains_them() -> None:
    made = await chained(Desk(), rules=ChainRules(certificate=f"subject=CN=factory\n{pem(ANCHOR)}\nissuer:\r\n{pem(ROOT)} end"))
    assert made.chain is not None
    assert len(made.chain.authorities) == 2


UNTRUSTED = {
    "a device's": (issue("pump", ROOT),),
    "no CA flag": (issue("pump", ROOT, constraints=x509.BasicConstraints(False, None)),),
    "must not sign others": (authority("no signer", extensions=((usage(digital_signature=True), True),)),),
    "over": (authority("over", ends=-1),),
    "a short key": (authority("short", key=rsa.generate_private_key(65537, 1024)),),
    "another key": (authority("edwards", key=ed25519.Ed25519PrivateKey.generate()),),
    "another issuer behind it": (ANCHOR, OTHER),
    "not signed by the one behind it": (ANCHOR, authority("root")),
}


@pytest.mark.parametrize("holders", UNTRUSTED.values(), ids=UNTRUSTED.keys())
async def test_what_no_chain_could_rightly_come_to_is_for_lax_profiles_alone(holders: tuple[Holder, ...]) -> None:
    desk = Desk()
    await chained(desk, "pumps")
    for command in (
        CreateProfile(name="valves", strategy=CHAIN, chain=chain(*holders)),
        ChangeProfile(ref="pumps", chain=chain(*holders)),
    ):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.chain_authority")
    made = await chained(desk, "fans", rules=chain(*holders, lax=True))
    assert made.chain is not None
    assert made.chain.anchor == holders[0].id
    refusal = await desk.refused(ChangeProfile(ref="fans", chain=ChainRules(lax=False)))
    assert refusal.check == "profile.chain_authority"
    assert (await desk(ChangeProfile(ref="fans", chain=chain(lax=False)))).chain.lax is False


async def test_good_authorities() -> None:
    for signer in (
        authority("with usage", extensions=((usage(key_cert_sign=True), True),)),
        authority("rsa", key=rsa.generate_private_key(65537, 2048)),
        authority("to come", begins=10, ends=20),
    ):
        made = await chained(Desk(), rules=chain(signer))
        assert made.chain is not None
        assert made.chain.anchor == signer.id


async def test_a_chain_goes_with_its_strategy_alone() -> None:
    desk = Desk()
    await desk.profile("meters")
    await desk.profile("signers", strategy=Strategy.SIGNED)
    refusal = await desk.refused(CreateProfile(name="pumps", chain=chain()))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.chain")
    refusal = await desk.refused(ChangeProfile(ref="meters", chain=chain()))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.not_chain")
    refusal = await desk.refused(ChangeProfile(ref="meters", strategy=CHAIN))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.chain_certificate")
    refusal = await desk.refused(ChangeProfile(ref="signers", strategy=CHAIN, chain=chain()))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.strategy")
    await chained(desk)
    refusal = await desk.refused(ChangeProfile(ref="pumps", strategy=Strategy.SIGNED, signed=SignedRules()))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.strategy")


async def test_a_profile_becomes_one_of_chains_and_keeps_its_key() -> None:
    desk = Desk()
    before = await desk.profile("meters")
    after = await desk(ChangeProfile(ref="meters", strategy=CHAIN, chain=chain()))
    assert (after.strategy, after.chain.anchor, after.provision_key) == (CHAIN, ANCHOR.id, before.provision_key)
    assert (await desk.last_event(EventKind.PROFILE_CHANGED)).detail == "strategy, chain"
    disabled = await desk(ChangeProfile(ref="meters", strategy=Strategy.DISABLED))
    assert disabled.chain == after.chain
    looser = await desk(ChangeProfile(ref="meters", chain=ChainRules(create=False)))
    assert looser.chain.create is False
    back = await desk(ChangeProfile(ref="meters", strategy=CHAIN))
    assert (back.strategy, back.chain) == (CHAIN, looser.chain)


async def test_rules_are_changed_one_by_one() -> None:
    desk = Desk()
    made = await chained(desk)
    same = await desk(ChangeProfile(ref="pumps", chain=ChainRules(pattern="(.*)")))
    assert same == made
    changed = await desk(ChangeProfile(ref="pumps", chain=ChainRules(pattern="^pump-(.*)$")))
    assert changed.chain == ChainPolicy(
        anchor=ANCHOR.id, anchor_name=ANCHOR.name, authorities=(ANCHOR.credential.text,), pattern="^pump-(.*)$"
    )
    changed = await desk(ChangeProfile(ref="pumps", chain=chain(OTHER)))
    assert (changed.chain.anchor, changed.chain.pattern, changed.provision_key) == (OTHER.id, "^pump-(.*)$", ANCHOR.id)
    assert changed.chain.anchor_name == OTHER.name


async def test_an_authority_whose_time_ends_stays_with_its_profile() -> None:
    desk = Desk()
    await chained(desk, rules=chain(authority("soon", ends=1)))
    desk.clock.advance(datetime.timedelta(days=2).total_seconds())
    changed = await desk(ChangeProfile(ref="pumps", chain=ChainRules(create=False)))
    assert changed.chain.create is False


async def test_devices_with_a_chain_have_certificates() -> None:
    desk = Desk()
    made = await chained(desk, credential_kind=CredentialKind.X509_CERTIFICATE)
    assert made.credential_kind is CredentialKind.X509_CERTIFICATE
    given = CreateProfile(name="fans", strategy=CHAIN, chain=chain(), credential_kind=CredentialKind.ACCESS_TOKEN)
    refusal = await desk.refused(given)
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.credential_kind")
    await desk.profile("meters", credential_kind=CredentialKind.ACCESS_TOKEN)
    refusal = await desk.refused(ChangeProfile(ref="meters", strategy=CHAIN, chain=chain()))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.strategy")


GOOD_PATTERNS = [
    *("(.*)", r"(.*)\.example\.com", "([^@]+)", r"^(?:dev-)?(.+?)(?:\.example\.com)?$", "^.*-(.*)-.*$", "(.*)-(.*)"),
    *("(?i)^(SN\\d{6,12})$", "(?:ab)+(c)", "(x{1,300})", "((((a))))", "^(one|two|three)", "(.*).*", "(a|b)*", "\\b(\\w+)\\b"),
    *("^(.*).*.*x", "a{3}(b{3})", "(" * 127 + ")" * 127),
]
BAD_PATTERNS = [
    *("a", ".*", "(", "(a", "a)", "[", "(?P<1>a)", "(a{2,1})", "(a{99999999999})", "*(a)", "(?"),
    *("(a+)+", "(a*)*", "((a|ab)*)", "(ab|a)+", "(?:a{1,2}){3}(b)", "(?:){99}(a)", "(\\b*)", "(|a)*", "(a?){9}"),
    *("a?" * 30 + "(a)", "(.*).*.*x", "^(.*).*.*.*x", "(a|b|cd)" * 20, "(.*)" * 9, "(?:a|ab)" * 24 + "(c)"),
    *(r"(a)\1", "(?=a)(b)", "(?<=a)(b)", "(?!a)(b)", "(?>a)(b)", "(a*+)", "(a)?(?(1)b|c)"),
    "(" + "a" * PATTERN_CHARACTERS + ")",
]


@pytest.mark.parametrize("pattern", GOOD_PATTERNS)
def test_patterns_that_end_soon_are_taken(pattern: str) -> None:
    assert require_pattern(pattern) == pattern
    for letter in "ax-0.":
        device_name(pattern, letter * NAME_CHARACTERS)
        device_name(pattern, f"{letter}-" * (NAME_CHARACTERS // 2))


@pytest.mark.parametrize("pattern", BAD_PATTERNS)
async def test_other_patterns_are_refused(pattern: str) -> None:
    desk = Desk()
    for command in (
        CreateProfile(name="pumps", strategy=CHAIN, chain=chain(pattern=pattern)),
        CreateProfile(name="pumps", strategy=CHAIN, chain=chain(pattern=pattern, lax=True)),
    ):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.chain_pattern")


async def test_certificates_from_here_come_and_go() -> None:
    desk = Desk()
    made = await desk.profile("meters", issuing=IssuingRules())
    assert made.issuing == IssuingPolicy(lifetime_s=365 * DAY)
    assert (await desk.profile("fans")).issuing is None
    changed = await desk(ChangeProfile(ref="meters", issuing=IssuingRules(key_pairs=True)))
    assert changed.issuing == IssuingPolicy(lifetime_s=365 * DAY, key_pairs=True)
    changed = await desk(ChangeProfile(ref="meters", issuing=IssuingRules(lifetime_days=1)))
    assert changed.issuing == IssuingPolicy(lifetime_s=DAY, key_pairs=True)
    assert (await desk(ChangeProfile(ref="meters", name="gauges"))).issuing == changed.issuing
    assert (await desk(ChangeProfile(ref="gauges", issuing=None))).issuing is None
    assert (await desk(ChangeProfile(ref="gauges", issuing=IssuingRules(lifetime_days=3_660)))).issuing is not None


@pytest.mark.parametrize("days", [0, -1, 3_661, 10**30])
async def test_certificates_from_here_last_a_while(days: int) -> None:
    desk = Desk()
    refusal = await desk.refused(CreateProfile(name="meters", issuing=IssuingRules(lifetime_days=days)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.issuing_lifetime")


async def test_what_is_allowed_on_unprotected_wires_is_said_and_left_to_the_gateway_again() -> None:
    desk = Desk()
    assert (await desk.profile("fans")).plain is None
    assert (await desk.profile("meters", plain=Plain.NOTHING)).plain is Plain.NOTHING
    assert (await desk(ChangeProfile(ref="meters", plain=Plain.CHALLENGE))).plain is Plain.CHALLENGE
    assert (await desk(ChangeProfile(ref="meters", name="gauges"))).plain is Plain.CHALLENGE
    assert (await desk(ChangeProfile(ref="gauges", plain=None))).plain is None
    assert (await desk.last_event(EventKind.PROFILE_CHANGED)).detail == "plain"


SECRET = "0102030405060708090a0b0c0d0e0f10"
CONTEXT = Oscore("01", "", Secret(SECRET), "9e7c", "37cb")


async def values(desk: Desk, name: str = "meter-1") -> list[Any]:
    return [each.value for each in (await desk(ReadCredentials(name))).items]


async def test_an_oscore_context_is_drawn_where_it_is_not_given() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device(credential=ProposedOscore())
    (drawn,) = await values(desk)
    assert re.fullmatch("[0-9a-f]{8}", drawn.device_id)
    assert re.fullmatch("[0-9a-f]{32}", drawn.secret.reveal())
    assert (drawn.server_id, drawn.salt, drawn.id_context) == ("", "", "")
    given = ProposedOscore(device_id="01", secret=Secret(SECRET.upper()), salt="9E7C", id_context="37Cb")
    await desk.device("meter-2", credential=given)
    assert await values(desk, "meter-2") == [CONTEXT]


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        *(({name: text}, "credential.oscore") for name in ("device_id", "server_id", "salt") for text in ("0", "xy", "0 1")),
        ({"device_id": "00" * 8}, "credential.oscore"),
        ({"device_id": ""}, "credential.oscore"),
        ({"device_id": "01", "server_id": "01"}, "credential.oscore"),
        ({"secret": Secret("00" * 15)}, "credential.oscore"),
        ({"secret": Secret("")}, "credential.oscore"),
        ({"salt": "00" * 65}, "credential.oscore"),
        ({"salt": "00" * 128}, "credential.length"),
    ],
)
async def test_an_oscore_context_has_its_form(fields: dict[str, Any], check: str) -> None:
    desk = Desk()
    await desk.profile()
    await desk.device()
    refusal = await desk.refused(AddCredential(ref="meter-1", credential=ProposedOscore(**fields)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


async def test_an_oscore_context_is_not_begun_anew_with_the_same_keys() -> None:
    desk = Desk()
    await desk.profile()
    given = ProposedOscore(device_id="01", secret=Secret(SECRET))
    await desk.device(credential=given)
    for command in (
        RotateCredentials("meter-1", given),
        RotateCredentials("meter-1", ProposedOscore(device_id="02", secret=Secret(SECRET))),
        AddCredential(ref="meter-1", credential=given),
    ):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential.oscore_used")
    await desk(RotateCredentials("meter-1", ProposedOscore(device_id="01", secret=Secret(SECRET), salt="00")))
    await desk(AddCredential(ref="meter-1", credential=ProposedToken()))
    assert len(await values(desk)) == 2


async def test_a_rotation_without_a_word_draws_another_context() -> None:
    desk = Desk()
    await desk.profile(credential_kind=CredentialKind.OSCORE)
    await desk.device()
    (first,) = await values(desk)
    await desk(RotateCredentials("meter-1"))
    (second,) = await values(desk)
    assert isinstance(second, Oscore)
    assert second.device_id != first.device_id


async def test_two_devices_do_not_have_one_context() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device(credential=ProposedOscore(device_id="01", secret=Secret(SECRET)))
    await desk.device("meter-2")
    refusal = await desk.refused(AddCredential(ref="meter-2", credential=ProposedOscore(device_id="01")))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential_lookup")
    await desk(AddCredential(ref="meter-2", credential=ProposedOscore(device_id="01", id_context="00")))


async def test_a_batch_of_oscore_contexts() -> None:
    desk = Desk()
    await desk.profile()
    rows = tuple(SerialRow(line=number, serial=f"SN{number}") for number in (1, 2))
    batch = await desk(IssueBatch(profile="meters", rows=rows, kind=CredentialKind.OSCORE))
    issued = [line async for lines in batch.lines for line in lines]
    assert len({line.value.device_id for line in issued}) == 2
