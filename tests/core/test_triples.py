"""Logins with a triple: the vendor's digests, client ids taken apart, and who gets in."""

import hashlib

import msgspec
import pytest

from core.crypto import signatures
from core.errors import Reason, Refusal, WrongSecret
from core.messages import MqttLogin, OpenSession, TokenLogin, Triple, TripleLogin
from core.model import CredentialId, CredentialKind, DeviceState, Secret, TenantId
from core.open_session import LIFETIME_MS, OpenSessions
from core.ports import Changes, Delete
from core.triples import WEAK_SIGN_METHODS, Keys, SignedClientId, keys_of, signed_client_id
from tests.core.registry import CONTEXT, Registry

TRIPLE = Triple("pk000001", "dk000001", Secret("ds-secret-0001"))
OWN = Triple("pk000001", "dk000001", Secret("dssecret0001"))
USERNAME = "dk000001&pk000001"


def password(client_id: str = "dk000001", timestamp: str = "1", method: str = "sha256", triple: Triple = OWN) -> str:
    return signatures.mqtt_password(client_id, triple.device_key, triple.product_key, timestamp, triple.secret, method)


def login(client_id: str, secret: str, username: str = USERNAME) -> MqttLogin:
    return MqttLogin(client_id, username, Secret(secret))


async def registered(**fields: object) -> Registry:
    registry = Registry()
    await registry.device(await registry.profile(**fields), "SN-1", OWN, state=DeviceState.PROVISIONED)  # type: ignore[arg-type] # a table
    return registry


async def refused(registry: Registry, attempt: MqttLogin | TokenLogin | TripleLogin) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.authenticate(attempt, CONTEXT)
    return refusal.value


@pytest.mark.parametrize(
    ("client_id", "timestamp", "digest"),
    [
        ("dk000001", "1700000000000", "507b60e8c5733cba4ab8007aef35f16ddf8e673708bc4ab9dca873b35ea2bfb9"),
        ("GW-77", "1700000000000.25", "1741511a35b388997b79a4ef56adcf8190914ee40b7ade797c12e127abbb9cf1"),
        ("dk000001", "1795216836858.7854", "a8a588ae1936e6cc4794c6a871d911d1e115f76fb18fdbb1088e4eae1397318a"),
    ],
)
def test_the_vendors_mqtt_passwords(client_id: str, timestamp: str, digest: str) -> None:
    assert password(client_id, timestamp, triple=TRIPLE) == digest
    assert password(client_id, timestamp, "hmacsha256", TRIPLE) == digest


def test_the_vendors_http_signature() -> None:
    digest = signatures.http_session("dk000001", "pk000001", "300000", TRIPLE.secret)
    assert digest == "065f073f7e120546ef61da2ed1cb71d02f9d75a09e2313f268194cc5d1b1a808"


@pytest.mark.parametrize(
    ("serial", "timestamp", "secret", "digest"),
    [
        ("deviceSn", "1649147455506", "group-secret-1", "5e21bba7d4a069def7cb84d2b2eab84335de9193772cef2a0f19198f7e6c8d82"),
        ("SN-0001", "1700000000000", "Pa55word", "383bca78acc293014a3b5f2052880bf5fcd466f2846a14c807c88207340e76e4"),
        ("SN-0002", "1700000000000", "Pa55word", "c940c47f1af247d1e9308276abed3d3f6225001eb80f073bb6f2dd614ec1e165"),
        ("MTR-9", "1700000000500", "Pa55word", "8c1e544b85dc5552980ad4df77f8dc3e726d25d8c3c10de7ea6b0550c2f90233"),
        ("传感器-7", "1700000000001", "s3cret", "ad66549002b62dbf0ce6bc2da48322906971a0ea80643316aa280a6e90ead11e"),
        ("A B&C=1", "0", "x", "159c11439c090048663bdae36a9a6a1a35861ece8481df919863f744677c071b"),
    ],
)
def test_the_vendors_enrolment_signatures(serial: str, timestamp: str, secret: str, digest: str) -> None:
    assert signatures.enrolment(serial, timestamp, Secret(secret)) == digest
    assert signatures.equal(digest, digest.upper())


def test_the_other_order_is_not_taken() -> None:
    wrong = "23efcd515f196e43aa9544b4a36aa874cd5c472c2de0725709d04afb98f51d4c"
    assert hashlib.sha256(b"Pa55wordSN-00011700000000000").hexdigest() == wrong
    assert not signatures.equal(signatures.enrolment("SN-0001", "1700000000000", Secret("Pa55word")), wrong)


@pytest.mark.parametrize("presented", ["", "é", "\ud800", "0" * 64])
def test_what_is_no_digest_is_not_equal(presented: str) -> None:
    assert not signatures.equal("1" * 64, presented)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("dk|securemode=2,signmethod=sha256,timestamp=17|", SignedClientId("dk", "2", "sha256", "17")),
        ("dk|securemode=2, signmethod=sha256, timestamp=17.5|", SignedClientId("dk", "2", "sha256", "17.5")),
        ("dk|timestamp=17,securemode=3,signmethod=SHA256,x=1|", SignedClientId("dk", "3", "sha256", "17")),
        (
            "dk{ip=10.0.0.5,version=0.2.7}|securemode=2,signmethod=sha256,timestamp=1|",
            SignedClientId("dk{ip=10.0.0.5,version=0.2.7}", "2", "sha256", "1"),
        ),
        ("|securemode=2,signmethod=sha256,timestamp=|", SignedClientId("", "2", "sha256", "")),
        ("dk", None),
        ("dk|securemode=2,signmethod=sha256,timestamp=17", None),
        ("dk|securemode=2,signmethod=sha256|", None),
        ("dk|securemode=2,signmethod=sha256,timestamp|", None),
        ("dk|securemode=2,securemode=3,signmethod=sha256,timestamp=1|", None),
        ("dk||", None),
        ("", None),
    ],
)
def test_client_ids_taken_apart(text: str, parts: SignedClientId | None) -> None:
    assert signed_client_id(text) == parts


@pytest.mark.parametrize("text", ["", "dk", "&pk", "dk&", "dk&pk&x", "d k&pk", "dk&pk\n", "é&pk", "a" * 65 + "&pk"])
def test_user_names_that_are_no_keys(text: str) -> None:
    assert keys_of(text) is None


def test_user_names_that_are_keys() -> None:
    assert keys_of(USERNAME) == Keys("dk000001", "pk000001")


@pytest.mark.parametrize("method", ["sha256", "hmacsha256"])
@pytest.mark.parametrize("client_id", ["dk000001", "any other", "dk{ip=10.0.0.5}"])
async def test_a_device_logs_in_with_its_triple(client_id: str, method: str) -> None:
    registry = await registered()
    full = f"{client_id}|securemode=2,signmethod={method},timestamp=17.25|"
    for secret in (password(client_id, "17.25"), password(client_id, "17.25").upper()):
        identity = await registry.authenticate(login(full, secret), CONTEXT)
        assert identity.device_name == "SN-1"
    assert (await registry.known("SN-1")).device.state is DeviceState.CONNECTED


@pytest.mark.parametrize(
    ("client_id", "secret", "reason", "check"),
    [
        ("dk000001", password(), Reason.MALFORMED, "login.client_id"),
        ("", password(), Reason.MALFORMED, "login.client_id"),
        ("d|securemode=3,signmethod=sha256,timestamp=1|", password("d"), Reason.FORBIDDEN, "login.secure_mode"),
        ("d|securemode=2,signmethod=sha1,timestamp=1|", password("d", "1", "sha1"), Reason.FORBIDDEN, "login.sign_method"),
        ("d|securemode=2,signmethod=md5,timestamp=1|", password("d", "1", "md5"), Reason.FORBIDDEN, "login.sign_method"),
        ("d|securemode=2,signmethod=sha256,timestamp=1|", password("e"), Reason.UNAUTHENTICATED, "login.password"),
        ("d|securemode=2,signmethod=sha256,timestamp=1|", "dssecret0001", Reason.UNAUTHENTICATED, "login.password"),
        ("d|securemode=2,signmethod=sha256,timestamp=1|", "", Reason.UNAUTHENTICATED, "login.password"),
    ],
)
async def test_logins_with_a_known_triple_that_are_refused(client_id: str, secret: str, reason: Reason, check: str) -> None:
    refusal = await refused(await registered(), login(client_id, secret))
    assert (refusal.reason, refusal.check) == (reason, check)
    assert isinstance(refusal, WrongSecret) is (check == "login.password")


async def test_an_unknown_triple_is_not_told_from_any_other_unknown_user() -> None:
    registry = await registered()
    full = "d|securemode=2,signmethod=sha256,timestamp=1|"
    refusal = await refused(registry, login(full, password("d"), "dk000009&pk000001"))
    assert (refusal.reason, refusal.check, isinstance(refusal, WrongSecret)) == (Reason.UNAUTHENTICATED, "login.user", False)


@pytest.mark.parametrize("method", ["sha1", "hmacsha1", "md5", "hmacmd5"])
async def test_old_ways_of_signing_can_be_switched_on(method: str) -> None:
    registry = await registered(options=(WEAK_SIGN_METHODS,))
    full = f"d|securemode=2,signmethod={method},timestamp=1|"
    assert (await registry.authenticate(login(full, password("d", "1", method)), CONTEXT)).device_name == "SN-1"


# Sessions


def opening(lifetime: str = "300000", triple: Triple = OWN) -> OpenSession:
    digest = signatures.http_session(triple.device_key, triple.product_key, lifetime, triple.secret)
    return OpenSession(TripleLogin(triple.product_key, triple.device_key, lifetime, digest))


async def test_a_session_stands_for_the_login_until_its_time_is_over() -> None:
    registry = await registered()
    opened = await OpenSessions(registry.authenticate)(opening(), CONTEXT)
    assert opened.lifetime == 300_000
    identity = await registry.authenticate(TokenLogin(opened.token), CONTEXT)
    assert identity == opened.identity
    registry.clock.advance(302)
    assert (await refused(registry, TokenLogin(opened.token))).check == "login.session"


async def test_a_session_fits_into_an_option_of_coap() -> None:
    registry = Registry()
    tenant = (await registry.tenant(TenantId("01938a4e-0000-7000-8000-000000000001"))).id
    await registry.device(await registry.profile(tenant=tenant), "SN-1", OWN, state=DeviceState.PROVISIONED)
    opened = await OpenSessions(registry.authenticate)(opening(), CONTEXT)
    assert len(f"auth={opened.token.reveal()}") <= 255


async def test_a_session_ends_with_its_credential() -> None:
    registry = await registered()
    opened = await OpenSessions(registry.authenticate)(opening(), CONTEXT)
    (credential,) = (await registry.known("SN-1")).credentials
    await registry.repository.commit(Changes(delete=(Delete(credential),)))
    assert (await refused(registry, TokenLogin(opened.token))).check == "login.session"
    await registry.repository.commit(Changes(delete=(Delete((await registry.known("SN-1")).device),)))
    assert (await refused(registry, TokenLogin(opened.token))).check == "login.session"


async def test_a_session_is_one_credentials_alone() -> None:
    registry = await registered()
    opened = await OpenSessions(registry.authenticate)(opening(), CONTEXT)
    (credential,) = (await registry.known("SN-1")).credentials
    older = await registry.issuer.issue(registry.issuer.new_triple("pk"), credential.device, keep=True)
    older = msgspec.structs.replace(older, id=CredentialId("0" + older.id[1:]))
    await registry.repository.commit(Changes(insert=(older,)))
    assert (await registry.authenticate(TokenLogin(opened.token), CONTEXT)).credential == credential.id


async def test_what_looks_like_a_session_and_is_none() -> None:
    assert (await refused(await registered(), TokenLogin(Secret("a.b.c")))).check == "login.session"


@pytest.mark.parametrize(("lifetime", "granted"), [("1", 1), ("99999999999", LIFETIME_MS)])
async def test_a_session_lasts_a_day_at_most(lifetime: str, granted: int) -> None:
    assert (await OpenSessions((await registered()).authenticate)(opening(lifetime), CONTEXT)).lifetime == granted


@pytest.mark.parametrize("lifetime", ["", "0", "-1", "1.5", "1e3", "٣", "9" * 16])
async def test_lifetimes_that_are_none(lifetime: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await OpenSessions((await registered()).authenticate)(opening(lifetime), CONTEXT)
    assert (refusal.value.reason, refusal.value.check) == (Reason.MALFORMED, "session.lifetime")


async def test_a_session_needs_the_right_signature_and_a_known_triple() -> None:
    registry = await registered()
    wrong = Triple(OWN.product_key, OWN.device_key, Secret("another"))
    assert (await refused(registry, opening(triple=wrong).login)).check == "login.password"
    unknown = Triple("pk000001", "dk000009", OWN.secret)
    assert (await refused(registry, opening(triple=unknown).login)).check == "login.user"


@pytest.mark.parametrize("part", ["pk-1", "é", ""])
async def test_triples_consist_of_letters_and_digits(part: str) -> None:
    from core.credentials import require_valid

    require_valid(OWN)
    for triple in (Triple(part, "dk", Secret("ds")), Triple("pk", part, Secret("ds")), Triple("pk", "dk", Secret(part))):
        with pytest.raises(Refusal):
            require_valid(triple)


async def test_a_drawn_triple_can_be_given_again() -> None:
    registry = await registered()
    triple = registry.issuer.new_triple("pk")
    assert (len(triple.device_key), len(triple.secret.reveal())) == (10, 32)
    device = (await registry.known("SN-1")).device
    credential = await registry.issuer.issue(triple, device.id, keep=True)
    assert credential.kind is CredentialKind.DEVICE_SECRET
    assert registry.issuer.reveal(credential) == triple
