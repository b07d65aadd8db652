"""What a device or user is given once to log in with, and what becomes of what it had."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from core.credentials import certificate, secret_id
from core.crypto.certificates import NotACertificate, read_certificate
from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT, Credential, CredentialKind, DeviceId, DeviceState, EntryKind, EventKind, Role
from core.operate.directing import IssuedSecret, IssueSecret, IssueUserSecret, RegisterCertificate, RegisterDevice, ViewDevice
from core.operate.messages import ChangeDevice, Command, ProposedToken, ReadCredentials, RotateCredentials
from core.queries import DeviceQuery, EntrySecretQuery
from storage import open_repository
from tests.core.directing import Reception, Yielding
from tests.core.self_signed import DAY_MS, pem_of, self_signed
from tests.fakes import START

X509 = CredentialKind.X509_CERTIFICATE
GOOD = self_signed("lamp", START - DAY_MS, START + DAY_MS)


async def _credentials(desk: Reception, device: DeviceId) -> tuple[Credential, ...]:
    found = await desk.repository.read(DeviceQuery(DEFAULT_TENANT, device))
    assert found is not None
    return found.credentials


async def test_a_secret_is_shown_once_and_logs_in() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    issued = await desk(IssueSecret(device.id))
    text = issued.secret.reveal()
    assert (len(text), len(base64.b64decode(text, validate=True))) == (44, 32)
    assert (issued.device.state, issued.device.version) == (DeviceState.PROVISIONED, 2)
    assert issued.device.provisioned_at == issued.device.updated_at
    assert issued.credential.sealed is None
    shown = (await desk(ReadCredentials(device.id))).items
    assert [each.value for each in shown] == [None]
    assert text not in repr(issued)
    identity = await desk.login(device.id, text)
    assert (identity.device, identity.credential) == (device.id, issued.credential.id)
    assert (await desk.last_event(EventKind.CREDENTIAL_ISSUED)).detail == "client_secret"


async def test_another_secret_makes_the_first_worthless() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    first, second = await desk(IssueSecret(device.id)), await desk(IssueSecret(device.id))
    assert (second.device.state, second.device.version) == (DeviceState.PROVISIONED, 3)
    with pytest.raises(Refusal):
        await desk.login(device.id, first.secret.reveal())
    await desk.login(device.id, second.secret.reveal())
    third = await desk(IssueSecret(device.id))
    assert third.device.state is DeviceState.CONNECTED
    assert len(await desk.events(EventKind.CREDENTIAL_ROTATED)) == 2


async def test_all_that_a_device_had_goes() -> None:
    desk = Reception()
    await desk.profile()
    device = await desk.device()
    await desk(RotateCredentials(device.id, ProposedToken()))
    issued = await desk(IssueSecret(device.id))
    assert await _credentials(desk, device.id) == (issued.credential,)


@pytest.fixture(params=["memory", "sqlite"])
async def busy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reception]:
    """A desk where many work at once."""
    if request.param == "memory":
        yield Reception(repository=Yielding())
        return
    async with open_repository(f"sqlite:{tmp_path / 'registry.db'}") as repository:
        yield Reception(repository=repository)


async def test_of_many_secrets_at_once_the_last_is_valid_and_no_other(busy: Reception) -> None:
    device = (await busy.register(await busy.template())).device
    issued: list[IssuedSecret] = await asyncio.gather(*(busy(IssueSecret(device.id)) for _ in range(20)))
    assert sorted(each.device.version for each in issued) == list(range(2, 22))
    last = max(issued, key=lambda each: each.device.version)
    assert await _credentials(busy, device.id) == (last.credential,)
    valid = []
    for each in issued:
        try:
            await busy.login(device.id, each.secret.reveal())
        except Refusal:
            continue
        valid.append(each)
    assert valid == [last]


async def test_a_secret_is_for_a_device_that_is_there_and_may_log_in() -> None:
    desk = Reception()
    refusal = await desk.refused(IssueSecret("nobody"))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "device.unknown")
    device = (await desk.register(await desk.template(), "by name")).device
    assert (await desk.refused(IssueSecret("by name"))).check == "device.unknown"
    for change, check in (({"enabled": False}, "device.disabled"), ({"state": DeviceState.DISCARDED}, "device.discarded")):
        await desk(ChangeDevice(ref=device.id, **change))
        refusal = await desk.refused(IssueSecret(device.id))
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, check)
        await desk(ChangeDevice(ref=device.id, enabled=True))
    assert await _credentials(desk, device.id) == ()


@pytest.mark.parametrize(
    "text",
    [
        lambda pem: pem,
        lambda pem: f"\n {pem}\r\n",
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", "\n" * 900),
    ],
)
async def test_a_certificate_is_registered(text: Callable[[str], str]) -> None:
    desk = Reception()
    device = (await desk.register(await desk.template(kind=X509))).device
    pem = text(pem_of(GOOD))
    issued = await desk(RegisterCertificate(device.id, pem))
    assert issued.fingerprint == hashlib.sha256(GOOD.public_bytes(Encoding.DER)).hexdigest()
    assert issued.pem == pem
    assert issued.device.state is DeviceState.PROVISIONED
    assert issued.credential.lookup == desk.issuer.lookup(certificate(pem_of(GOOD)))
    assert issued.credential.expires_at == (START + DAY_MS) // 1000 * 1000
    again = await desk(RegisterCertificate(device.id, pem))
    assert again.device.version == 3
    assert await _credentials(desk, device.id) == (again.credential,)


async def test_a_certificate_is_one_device_s() -> None:
    desk = Reception()
    template = await desk.template(kind=X509)
    first, second = [(await desk.register(template, serial)).device for serial in ("1", "2")]
    await desk(RegisterCertificate(first.id, pem_of(GOOD)))
    refusal = await desk.refused(RegisterCertificate(second.id, pem_of(GOOD)))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential_lookup")
    assert (await desk(ViewDevice(second.id))).device.state is DeviceState.DEFINED


@pytest.mark.parametrize(("begins", "ends"), [(START - 2 * DAY_MS, START - DAY_MS), (START + DAY_MS, START + 2 * DAY_MS)])
async def test_a_certificate_is_valid_now_or_refused(begins: int, ends: int) -> None:
    desk = Reception()
    device = (await desk.register(await desk.template(kind=X509))).device
    refusal = await desk.refused(RegisterCertificate(device.id, pem_of(self_signed("lamp", begins, ends))))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "certificate.expired")
    assert await _credentials(desk, device.id) == ()


async def test_a_template_decides_between_secret_and_certificate() -> None:
    desk = Reception()
    by_secret = (await desk.register(await desk.template("a"), "1")).device
    by_certificate = (await desk.register(await desk.template("b", X509), "2")).device
    for command in (IssueSecret(by_certificate.id), RegisterCertificate(by_secret.id, pem_of(GOOD))):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "credential.kind")


NOT_ONE = [
    "",
    "no certificate",
    pem_of(GOOD) * 2,
    "bag\n" + pem_of(GOOD),
    pem_of(GOOD).replace("CERTIFICATE", "PRIVATE KEY"),
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----",
    "-----BEGIN CERTIFICATE-----\n \n-----END CERTIFICATE-----",
    pem_of(GOOD)[:-40],
    pem_of(GOOD).replace("MII", "MIJ", 1),
    "\ud800" + pem_of(GOOD),
]


@pytest.mark.parametrize("text", NOT_ONE)
async def test_what_is_not_one_certificate_is_refused(text: str) -> None:
    desk = Reception()
    device = (await desk.register(await desk.template(kind=X509))).device
    refusal = await desk.refused(RegisterCertificate(device.id, text))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "credential.certificate")
    with pytest.raises(NotACertificate):
        read_certificate(text)


async def test_a_text_that_is_too_long_is_not_even_read() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template(kind=X509))).device
    refusal = await desk.refused(RegisterCertificate(device.id, " " * 20_000))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "credential.length")


async def test_a_factory_arms_new_devices_alone() -> None:
    desk = Reception()
    factory = await desk.token(Role.FACTORY)
    template, by_certificate = await desk.template("a"), await desk.template("b", X509)
    device = (await desk(RegisterDevice(template=template.profile.id, serial="1"), factory)).device
    await desk(IssueSecret(device.id), factory)
    issued = await desk(IssueSecret(device.id), factory)
    other = (await desk(RegisterDevice(template=by_certificate.profile.id, serial="2"), factory)).device
    await desk(RegisterCertificate(other.id, pem_of(GOOD)), factory)
    assert (await desk.refused(ViewDevice(device.id), factory)).check == "role"
    await desk.login(device.id, issued.secret.reveal())
    commands: tuple[Command, ...] = (IssueSecret(device.id), RegisterCertificate(device.id, pem_of(GOOD)))
    for command in commands:
        refusal = await desk.refused(command, factory)
        assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role.factory")
    await desk(ChangeDevice(ref=device.id, state=DeviceState.DEFINED))
    assert (await desk.refused(IssueSecret(device.id), factory)).check == "role.factory"
    await desk.login(device.id, issued.secret.reveal())
    await desk(ChangeDevice(ref=other.id, state=DeviceState.DISCARDED))
    assert (await desk.refused(IssueSecret(other.id), factory)).check == "role.factory"
    await desk(IssueSecret(device.id))


async def test_a_user_gets_a_secret_in_place_of_the_last() -> None:
    desk = Reception()
    for kind in (EntryKind.ACCOUNT_USER, EntryKind.END_USER):
        user = await desk.entry(kind, name="Ann")
        first, second = await desk(IssueUserSecret(kind=kind, id=user.id)), await desk(IssueUserSecret(kind=kind, id=user.id))
        assert (second.entry.id, second.entry.version) == (user.id, 3)
        lookups = [desk.issuer.lookup_id(secret_id(each.secret.reveal())) for each in (first, second)]
        assert [await desk.repository.read(EntrySecretQuery(each)) for each in lookups] == [None, second.entry]
        assert (await desk.login(user.id, second.secret.reveal())).user
        assert (await desk.last_event(EventKind.ENTRY_CHANGED)).detail == f"{kind.value} {user.id} Ann: secret"


async def test_of_many_secrets_of_a_user_the_last_is_valid() -> None:
    desk = Reception(repository=Yielding())
    user = await desk.entry(EntryKind.END_USER, name="Ann")
    command = IssueUserSecret(kind=EntryKind.END_USER, id=user.id)
    issued = await asyncio.gather(*(desk(command) for _ in range(20)))
    last = max(issued, key=lambda each: each.entry.version)
    assert last.entry.version == 21
    await desk.login(user.id, last.secret.reveal())


async def test_only_users_have_secrets() -> None:
    desk = Reception()
    user, north = await desk.entry(EntryKind.END_USER), await desk.organization()
    refusal = await desk.refused(IssueUserSecret(kind=EntryKind.ORGANIZATION, id=north.id))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "entry.kind")
    refusal = await desk.refused(IssueUserSecret(kind=EntryKind.ACCOUNT_USER, id=user.id))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "entry.unknown")


async def test_who_gives_users_their_secrets() -> None:
    desk = Reception()
    end_user, account_user = await desk.entry(EntryKind.END_USER), await desk.entry(EntryKind.ACCOUNT_USER)
    to_end_user = IssueUserSecret(kind=EntryKind.END_USER, id=end_user.id)
    to_account_user = IssueUserSecret(kind=EntryKind.ACCOUNT_USER, id=account_user.id)
    operator = await desk.token(Role.OPERATOR)
    await desk(to_end_user, operator)
    factory, auditor = await desk.token(Role.FACTORY), await desk.token(Role.AUDITOR)
    for command, bearer in (
        (to_account_user, operator),
        (IssueUserSecret(kind=EntryKind.ACCOUNT_USER, id="nobody"), operator),
        *((each, bearer) for each in (to_end_user, to_account_user) for bearer in (factory, auditor)),
    ):
        refusal = await desk.refused(command, bearer)
        assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role")


@pytest.mark.parametrize("role", Role)
async def test_a_user_gives_itself_a_secret(role: Role) -> None:
    desk = Reception()
    ann = await desk.user("ann@example.com", role)
    bearer = (await desk.open("ann@example.com")).token
    issued = await desk(IssueUserSecret(kind=ann.kind, id=ann.id), bearer)
    assert (await desk.login(ann.id, issued.secret.reveal())).user
    again = await desk(IssueUserSecret(kind=ann.kind, id=ann.id), bearer)
    assert again.entry.version == 3


async def test_to_a_customer_nobody_else_is_there() -> None:
    desk = Reception()
    north = await desk.organization()
    ann = await desk.user("ann@example.com", Role.CUSTOMER, parent=north.id)
    bob = await desk.user("bob@example.com", Role.CUSTOMER, parent=north.id)
    bearer = (await desk.open("ann@example.com")).token
    for kind in EntryKind:
        for each in (bob.id, north.id, "nobody", *([ann.id] if kind is not ann.kind else [])):
            refusal = await desk.refused(IssueUserSecret(kind=kind, id=each), bearer)
            assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "entry.unknown")
    assert (await desk(IssueUserSecret(kind=ann.kind, id=ann.id), bearer)).entry.id == ann.id


async def test_a_secret_that_cannot_be_written_is_not_given() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    first = await desk(IssueSecret(device.id))
    desk.repository.failures.append(Conflict(Guard.CREDENTIAL_LOOKUP))
    refusal = await desk.refused(IssueSecret(device.id))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential_lookup")
    await desk.login(device.id, first.secret.reveal())
