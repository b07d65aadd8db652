"""Layouts whose clients have certificates."""

import base64

import msgspec
import pytest

from core.certifying import Certifier
from core.crypto.bundles import read_bundle
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import Rate
from core.lockout import Lockout
from core.messages import BootstrapRequest, Certificate, PlainKey
from core.model import CredentialKind, DeviceId, EventKind, Secret, TenantId
from core.operate import Operate, bearer_lookup
from core.operate.configuring import CreateMapping, Layout, LayoutCertificates, LayoutPart, ShowConfig
from core.queries import DeviceQuery, IssuedPage
from tests.core.signing import KeysHere, SignedHere
from tests.operating import ADMIN, OPTION, Desk

LAYOUT = Layout(
    clients=(LayoutPart(name="gateway", metadata={"external_id": "placeholder"}), LayoutPart(name="helper")),
    channels=(LayoutPart(name="data-channel", metadata={"type": "data"}),),
    certificates=LayoutCertificates(lifetime_s=3_600, key_algorithm="ec-p256"),
)
MAPPING = CreateMapping(external_id="gw-9", external_key=Secret("gw-key"), layout=LAYOUT, name="gw 9")


class Works(Desk):
    """Operators' commands with a certificate authority."""

    def __init__(self, *, makes_keys: bool = True) -> None:
        super().__init__()
        self.authority = SignedHere()
        certifier = Certifier(self.issuer, self.authority, KeysHere() if makes_keys else None)
        base = (self.repository, self.issuer, self.audit, bearer_lookup(self.vault, ADMIN), Lockout(Rate(0, 0)))
        self.operate = Operate(*base, frozenset({OPTION}), certifier=certifier)


async def test_each_client_has_one_and_its_configuration_carries_it() -> None:
    desk = Works()
    made = await desk(MAPPING)
    assert len(desk.repository.commits) == 1
    gateway, helper = made.certificates
    assert gateway.client_cert != helper.client_cert
    got = await desk.bootstrap(BootstrapRequest(external_id="gw-9", proof=PlainKey(Secret("gw-key"))))
    assert got.certificates == gateway
    assert (await desk(ShowConfig(made.clients[0].device.id))).certificates == gateway
    assert read_bundle(gateway.ca_cert.encode()) == desk.authority.authorities
    for client, held in zip(made.clients, made.certificates, strict=True):
        found = await desk.repository.read(DeviceQuery(TenantId("default"), DeviceId(client.device.id)))
        assert found is not None
        (certificate,) = [each for each in found.credentials if each.kind is CredentialKind.X509_CERTIFICATE]
        text = base64.b64encode(read_bundle(held.client_cert.encode())[0]).decode()
        assert desk.issuer.reveal(certificate) == Certificate(text)
        assert held.client_key.reveal().startswith("-----BEGIN PRIVATE KEY-----")
    issued = await desk.repository.read(IssuedPage(until=desk.clock.now()))
    assert {each.certificate.device for each in issued if each.live} == {client.device.id for client in made.clients}
    assert len(await desk.events(EventKind.CERTIFICATE_ISSUED)) == 2


async def test_without_a_layout_that_says_so_nobody_has_one() -> None:
    desk = Works()
    made = await desk(msgspec.structs.replace(MAPPING, layout=msgspec.structs.replace(LAYOUT, certificates=None)))
    assert (made.certificates, desk.authority.asked) == ((), [])


async def test_a_conflict_is_decided_anew() -> None:
    desk = Works()
    desk.repository.failures = [Conflict(Guard.DEVICE_NAME)]
    assert len((await desk(MAPPING)).certificates) == 2


@pytest.mark.parametrize(("makes_keys", "check"), [(True, "issuing.authority"), (False, "issuing.key_pairs")])
async def test_where_there_is_no_certificate_there_is_nothing(makes_keys: bool, check: str) -> None:
    desk = Works(makes_keys=makes_keys)
    desk.authority.refusal = Refusal(Reason.UNAVAILABLE, "not now", check="issuing.authority")
    assert (await desk.refused(MAPPING)).check == check
    assert desk.repository.commits[-1].insert == ()


async def test_without_an_authority_it_is_refused() -> None:
    desk = Desk()
    refusal = await desk.refused(MAPPING)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "issuing.no_authority")
