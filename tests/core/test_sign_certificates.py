"""Certificates for devices: who may have one, what is written of it, and how it is renewed."""

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from core.crypto.bundles import write_pem
from core.crypto.issuance import sign_certificate
from core.crypto.signing_requests import EC_P256
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import Rate
from core.messages import (
    AccessToken,
    Certificate,
    CertificateLogin,
    CertificateSigned,
    CredentialValue,
    Identity,
    SignRequest,
    TokenLogin,
)
from core.model import CredentialKind, EventKind, IssuingPolicy, Plain, Secret
from core.operate.credentials import MOST
from core.ports import Changes, Delete, SigningRequest
from tests.core.openssl import request, verify
from tests.core.registry import CONTEXT
from tests.core.signing import DAY_MS, LOGIN, SignedHere, SigningRegistry, authority, der, made
from tests.fakes import START
from tests.operating import ContendedRepository

DAY = 86_400


@pytest.fixture(scope="module")
def csr(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A device's request."""
    return request(tmp_path_factory.mktemp("device"))


async def by_certificate(registry: SigningRegistry, answer: CertificateSigned) -> Identity:
    """Log in with what was given."""
    registry.clock.advance(0.001)
    return await registry.authenticate(CertificateLogin(answer.chain), CONTEXT)


async def test_a_device_is_given_a_certificate_and_logs_in_with_it(csr: bytes, tmp_path: Path) -> None:
    registry = SigningRegistry()
    device = await registry.meter()
    answer = await registry.ask(csr)
    now = registry.clock.now()
    assert verify(tmp_path, write_pem(answer.chain[:1]), write_pem(answer.authorities), now).endswith(b"OK\n")
    assert (len(answer.chain), answer.private_key) == (1, None)
    assert answer.not_after // 1000 == now // 1000 + DAY
    found = await registry.known("meter-1")
    token, issued = found.credentials
    assert (token.kind, issued.kind) == (CredentialKind.ACCESS_TOKEN, CredentialKind.X509_CERTIFICATE)
    assert issued.expires_at == answer.not_after
    assert registry.issuer.reveal(issued) == Certificate(base64.b64encode(answer.chain[0]).decode())
    identity = await by_certificate(registry, answer)
    assert (identity.device, identity.credential) == (device.id, issued.id)


async def test_what_was_made_is_recorded_in_the_same_commit(csr: bytes) -> None:
    repository = ContendedRepository()
    registry = SigningRegistry(repository)
    device = await registry.meter()
    before = await registry.authenticate(LOGIN, CONTEXT)
    repository.commits.clear()
    answer = await registry.ask(csr, who=before)
    assert len(repository.commits) == 1
    (issued,) = await registry.issued()
    serial = x509.load_der_x509_certificate(answer.chain[0]).serial_number
    record = issued.certificate
    assert (record.id, record.device, record.name, issued.live) == (f"{serial:x}", device.id, "meter-1", True)
    event = (await registry.events())[-1]
    assert (event.kind, event.device, event.detail) == (EventKind.CERTIFICATE_ISSUED, device.id, record.id)
    assert (await registry.known("meter-1")).device.version == 3  # it connected, and has another credential


async def test_what_the_request_says_of_its_sender_does_not_count(tmp_path: Path) -> None:
    registry = SigningRegistry()
    device = await registry.meter("m" * 65)
    answer = await registry.ask(request(tmp_path, "p256", "meter-2", "-addext", "basicConstraints=CA:TRUE"))
    found = x509.load_der_x509_certificate(answer.chain[0])
    assert [each.value for each in found.subject] == [device.id]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


async def test_a_certificate_does_not_outlive_its_authority(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    registry.authority.opened = authority(made(days=1.5))
    answer = await registry.ask(csr)
    assert answer.not_after == (START - DAY_MS) // 1000 * 1000 + DAY_MS * 3 // 2
    registry.clock.advance(DAY)
    refusal = await registry.refused(csr)
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "issuing.authority_over")


async def test_an_authority_that_is_new_signs_nothing_before_its_own_time(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    registry.authority.opened = authority(made(begins=START - 60_000))
    found = x509.load_der_x509_certificate((await registry.ask(csr)).chain[0])
    assert round(found.not_valid_before_utc.timestamp() * 1000) == (START - 60_000) // 1000 * 1000


async def test_the_certificates_between_come_with_it_and_the_root_does_not(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    root = made("root")
    middle = made("middle", root)
    registry.authority.opened = authority(middle, root)
    answer = await registry.ask(csr)
    assert answer.chain[1:] == (der(middle[0]),)
    assert answer.authorities == (der(middle[0]), der(root[0]))


async def test_a_key_pair_is_made_where_the_profile_lets_it_and_given_once() -> None:
    registry = SigningRegistry()
    await registry.meter()
    answer = await registry.ask(key=EC_P256)
    assert answer.private_key is not None
    assert answer.private_key.reveal().startswith("-----BEGIN PRIVATE KEY-----")
    assert (await by_certificate(registry, answer)).device_name == "meter-1"
    kept = (await registry.known("meter-1")).credentials[-1]
    assert registry.issuer.reveal(kept) == Certificate(base64.b64encode(answer.chain[0]).decode())


async def test_who_may_have_none_is_refused(csr: bytes) -> None:
    registry = SigningRegistry()
    device = await registry.meter()
    profile = (await registry.known("meter-1")).profile
    await registry.allow(profile, None)
    refusal = await registry.refused(csr)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "issuing.off")
    event = (await registry.events())[-1]
    assert (event.kind, event.check, event.device) == (EventKind.CERTIFICATE_REFUSED, "issuing.off", device.id)
    assert registry.authority.asked == []


@pytest.mark.parametrize(
    ("how", "policy", "key", "reason", "check"),
    [
        ({"issues": False}, IssuingPolicy(lifetime_s=DAY), None, Reason.FORBIDDEN, "issuing.no_authority"),
        ({}, IssuingPolicy(lifetime_s=DAY), EC_P256, Reason.FORBIDDEN, "issuing.key_pairs"),
        ({"makes_keys": False}, IssuingPolicy(lifetime_s=DAY, key_pairs=True), EC_P256, Reason.FORBIDDEN, "issuing.key_pairs"),
        ({}, IssuingPolicy(lifetime_s=DAY, key_pairs=True), "dsa", Reason.MALFORMED, "issuing.key_algorithm"),
        ({}, IssuingPolicy(lifetime_s=DAY, key_pairs=True), None, Reason.MALFORMED, "issuing.key_algorithm"),
    ],
)
async def test_what_is_not_done_here_is_refused(
    csr: bytes, how: dict[str, bool], policy: IssuingPolicy, key: str | None, reason: Reason, check: str
) -> None:
    registry = SigningRegistry(**how)  # type: ignore[arg-type] # a table of switches
    await registry.meter(policy=policy)
    refusal = await registry.refused(csr if not how.get("issues", True) else None, key=key)
    assert (refusal.reason, refusal.check) == (reason, check)


async def test_what_is_no_request_is_refused() -> None:
    registry = SigningRegistry()
    await registry.meter()
    refusal = await registry.refused(b"no request")
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "issuing.request")
    assert await registry.issued() == ()


async def test_nobody_is_given_one_without_a_credential(csr: bytes) -> None:
    registry = SigningRegistry()
    device = await registry.meter()
    refusal = await registry.refused(csr, who=TokenLogin(Secret("wrong")))
    assert refusal.reason is Reason.UNAUTHENTICATED
    kinds = [event.kind for event in await registry.events()]
    assert kinds == [EventKind.LOGIN_REFUSED]
    by_external_key = Identity(device.tenant, device.id, device.name, None)
    assert (await registry.refused(csr, who=by_external_key)).check == "identity.bootstrap_only"


async def test_an_unprotected_wire_is_the_profiles_to_forbid(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    found = await registry.known("meter-1")
    identity = await registry.authenticate(LOGIN, CONTEXT)
    changed = msgspec.structs.replace(found.profile, plain=Plain.CHALLENGE, version=found.profile.version + 1)
    await registry.repository.commit(Changes(replace=(changed,)))
    refusal = await registry.refused(csr, who=identity)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "plain.refused")
    secure = msgspec.structs.replace(CONTEXT, secure=True)
    assert await registry.sign(SignRequest(who=identity, request=csr), secure)


# Renewal


async def test_both_certificates_work_after_a_renewal(csr: bytes, tmp_path: Path) -> None:
    registry = SigningRegistry()
    await registry.meter()
    first = await registry.ask(csr)
    second = await registry.ask(request(tmp_path), who=await by_certificate(registry, first))
    assert first.chain != second.chain
    for answer in (first, second, first):
        assert (await by_certificate(registry, answer)).device_name == "meter-1"


async def test_a_renewal_that_fails_leaves_what_was_there(csr: bytes) -> None:
    repository = ContendedRepository()
    registry = SigningRegistry(repository)
    await registry.meter()
    first = await registry.ask(csr)
    identity = await by_certificate(registry, first)
    repository.failures = [Refusal(Reason.UNAVAILABLE, "the disk is full", check="storage.full")]
    assert (await registry.refused(csr, who=identity)).check == "storage.full"
    assert (await by_certificate(registry, first)).credential == identity.credential


async def test_the_oldest_made_here_give_way_but_never_the_one_in_use(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    answers = [await registry.ask(csr) for _ in range(MOST - 1)]
    in_use = await by_certificate(registry, answers[0])
    last = await registry.ask(csr, who=in_use)
    assert len((await registry.known("meter-1")).credentials) == MOST
    assert (await by_certificate(registry, answers[0])).credential == in_use.credential
    for answer in (*answers[2:], last):
        assert await by_certificate(registry, answer)
    with pytest.raises(Refusal):
        await by_certificate(registry, answers[1])
    (gone,) = await registry.issued(revoked=True)
    assert int(gone.certificate.id, 16) == x509.load_der_x509_certificate(answers[1].chain[0]).serial_number


async def test_what_an_operator_gave_does_not_give_way(csr: bytes) -> None:
    registry = SigningRegistry()
    device = await registry.meter()
    others = [AccessToken(Secret(f"token-{number}")) for number in range(4)]
    strange = Certificate("not base64 !"), Certificate("AAAA"), Certificate(base64.b64encode(der(made()[0])).decode())
    values: list[CredentialValue] = [*others, *strange]
    for value in values:
        credential = await registry.issuer.issue(value, device.id, keep=value != others[0])
        await registry.repository.commit(Changes(insert=(credential,)))
    refusal = await registry.refused(csr)
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "issuing.room")
    assert len((await registry.known("meter-1")).credentials) == MOST


async def test_what_is_over_is_cleared_away(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    for _ in range(MOST - 1):
        await registry.ask(csr)
    registry.clock.advance(2 * DAY)
    await registry.ask(csr)
    assert len((await registry.known("meter-1")).credentials) == 2


# What happens at the same time


async def sign_after(registry: SigningRegistry, happens: Callable[[], Awaitable[object]]) -> None:
    """Let something happen while a certificate is being signed."""

    class Slow(SignedHere):
        async def sign(self, request: SigningRequest) -> tuple[bytes, ...]:
            await happens()
            return await super().sign(request)

    slow = Slow(registry.authority.opened)
    certifier = msgspec.structs.replace(registry.certifier, authority=slow)
    registry.sign = msgspec.structs.replace(registry.sign, certifier=certifier)


async def test_who_is_shut_out_meanwhile_is_given_nothing(csr: bytes) -> None:
    registry = SigningRegistry()
    device = await registry.meter()
    identity = await registry.authenticate(LOGIN, CONTEXT)

    async def disable() -> None:
        await registry.alter((await registry.known("meter-1")).device, enabled=False)

    await sign_after(registry, disable)
    assert (await registry.refused(csr, who=identity)).check == "identity.gone"
    assert len((await registry.known("meter-1")).credentials) == 1
    assert identity.device == device.id


async def test_whose_credential_is_revoked_meanwhile_is_given_nothing(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()

    async def revoke() -> None:
        found = await registry.known("meter-1")
        await registry.repository.commit(Changes(delete=tuple(map(Delete, found.credentials))))

    await sign_after(registry, revoke)
    assert (await registry.refused(csr)).check == "identity.gone"
    assert await registry.issued() == ()


async def test_whose_profile_issues_no_more_meanwhile_is_given_nothing(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()

    async def forbid() -> None:
        await registry.allow((await registry.known("meter-1")).profile, None)

    await sign_after(registry, forbid)
    assert (await registry.refused(csr)).check == "issuing.off"


async def test_a_change_at_the_same_time_is_decided_anew(csr: bytes) -> None:
    repository = ContendedRepository()
    registry = SigningRegistry(repository)
    await registry.meter()
    identity = await registry.authenticate(LOGIN, CONTEXT)
    repository.failures = [Conflict(Guard.VERSION), Conflict(Guard.VERSION)]
    await registry.ask(csr, who=identity)
    assert (len(registry.authority.asked), len(await registry.issued())) == (1, 1)
    repository.failures = [Conflict(Guard.VERSION)] * 3
    refusal = await registry.refused(csr, who=identity)
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "registry.conflict")


# Bounds, and authorities that do not do as they are asked


async def test_so_many_are_signed_for_a_device_and_for_a_source(csr: bytes) -> None:
    registry = SigningRegistry(devices=Rate(1.0, 2.0))
    await registry.meter()
    for _ in range(2):
        await registry.ask(csr)
    refusal = await registry.refused(csr)
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.signing_device")
    registry = SigningRegistry(signing=Rate(1.0, 2.0))
    await registry.meter()
    for _ in range(2):
        await registry.ask(csr)
    refusal = await registry.refused(csr, who=TokenLogin(Secret("wrong")))
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.signing_source")
    assert refusal.retry_after


async def test_an_authority_may_refuse(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    registry.authority.refusal = Refusal(Reason.UNAVAILABLE, "not now", check="issuing.authority")
    assert (await registry.refused(csr)).check == "issuing.authority"
    event = (await registry.events())[-1]
    assert (event.kind, event.check) == (EventKind.CERTIFICATE_REFUSED, "issuing.authority")


async def test_what_was_not_asked_for_is_not_given(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()
    registry.authority.answers = lambda _: (der(made("meter-1")[0]),)
    refusal = await registry.refused(csr)
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "issuing.answer")
    assert await registry.issued() == ()


async def test_a_certificate_that_is_good_for_longer_is_of_no_use_after_its_time(csr: bytes) -> None:
    registry = SigningRegistry()
    await registry.meter()

    def generous(request: SigningRequest) -> tuple[bytes, ...]:
        longer = msgspec.structs.replace(request, not_after=request.not_after + DAY_MS)
        return (sign_certificate(registry.authority.opened, longer, ""),)

    registry.authority.answers = generous
    answer = await registry.ask(csr)
    (issued,) = await registry.issued()
    assert issued.certificate.not_after // 1000 == answer.not_after // 1000 + DAY
    registry.clock.advance(DAY + 1)
    with pytest.raises(Refusal):
        await by_certificate(registry, answer)
