"""Certificates that operators and factories fetch for devices."""

import base64

import msgspec
import pytest

from core.certifying import Certifier
from core.errors import Conflict, Guard, Reason
from core.limits import Rate
from core.lockout import Lockout
from core.messages import Certificate
from core.model import EventKind, IssuingPolicy, Profile, Role
from core.operate import Operate, bearer_lookup
from core.operate.certifying import CertifyDevice
from core.operate.credentials import MOST
from core.operate.messages import ProposedToken, ReadCredentials
from core.ports import Changes
from core.queries import IssuedPage
from tests.core.openssl import request
from tests.core.signing import SignedHere
from tests.operating import ADMIN, OPTION, Desk


@pytest.fixture(scope="module")
def csr(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A device's request."""
    return request(tmp_path_factory.mktemp("device")).decode()


class Works(Desk):
    """Operators' commands with a certificate authority, and a device."""

    def __init__(self) -> None:
        super().__init__()
        self.authority = SignedHere()
        base = (self.repository, self.issuer, self.audit, bearer_lookup(self.vault, ADMIN), Lockout(Rate(0, 0)))
        self.operate = Operate(*base, frozenset({OPTION}), certifier=Certifier(self.issuer, self.authority))

    async def allow(self, profile: Profile) -> None:
        """Let the devices of a profile have certificates."""
        policy = IssuingPolicy(lifetime_s=3_600)
        changed = msgspec.structs.replace(profile, issuing=policy, version=profile.version + 1)
        await self.repository.commit(Changes(replace=(changed,)))


async def works() -> Works:
    """Return one that knows a device with a token."""
    desk = Works()
    await desk.allow(await desk.profile())
    await desk.device(credential=ProposedToken())
    return desk


async def test_a_device_is_given_its_first_certificate(csr: str) -> None:
    desk = await works()
    made = await desk(CertifyDevice(ref="meter-1", request=csr), await desk.token(Role.FACTORY))
    assert made.authorities == desk.authority.authorities
    shown = await desk(ReadCredentials("meter-1"))
    assert shown.items[-1].value == Certificate(base64.b64encode(made.chain[0]).decode())
    assert shown.items[-1].credential.expires_at == made.not_after
    (issued,) = await desk.repository.read(IssuedPage(until=desk.clock.now()))
    event = await desk.last_event(EventKind.CERTIFICATE_ISSUED)
    assert (event.detail, event.device, event.actor) == (issued.certificate.id, made.device.id, "factory")


async def test_who_may_have_none_is_refused(csr: str) -> None:
    desk = await works()
    assert (await desk.refused(CertifyDevice(ref="nobody", request=csr))).reason is Reason.NOT_FOUND
    malformed = await desk.refused(CertifyDevice(ref="meter-1", request="\ud800"))
    assert (malformed.reason, malformed.check) == (Reason.MALFORMED, "issuing.request")
    await desk.profile("others")
    await desk.device("other", "others")
    off = await desk.refused(CertifyDevice(ref="other", request=csr))
    assert (off.reason, off.check) == (Reason.FORBIDDEN, "issuing.off")
    assert (await desk.refused(CertifyDevice(ref="meter-1", request=csr), await desk.token(Role.AUDITOR))).check == "role"


async def test_a_factory_is_not_asked_about_devices_in_the_field(csr: str) -> None:
    desk = await works()
    device = await desk.device("meter-2", credential=ProposedToken())
    changed = msgspec.structs.replace(device, connected_at=desk.clock.now(), version=device.version + 1)
    await desk.repository.commit(Changes(replace=(changed,)))
    refusal = await desk.refused(CertifyDevice(ref="meter-2", request=csr), await desk.token(Role.FACTORY))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role.factory")
    assert await desk(CertifyDevice(ref="meter-2", request=csr))


async def test_without_an_authority_it_is_refused(csr: str) -> None:
    desk = await works()
    base = (desk.repository, desk.issuer, desk.audit, bearer_lookup(desk.vault, ADMIN), Lockout(Rate(0, 0)))
    desk.operate = Operate(*base, frozenset({OPTION}))
    assert (await desk.refused(CertifyDevice(ref="meter-1", request=csr))).check == "issuing.no_authority"


async def test_a_change_at_the_same_time_is_decided_anew_and_the_oldest_give_way(csr: str) -> None:
    desk = await works()
    desk.repository.failures = [Conflict(Guard.VERSION)]
    for _ in range(MOST):
        await desk(CertifyDevice(ref="meter-1", request=csr))
    assert len((await desk(ReadCredentials("meter-1"))).items) == MOST
    gone = await desk.repository.read(IssuedPage(until=desk.clock.now(), revoked=True))
    assert len(gone) == 1
