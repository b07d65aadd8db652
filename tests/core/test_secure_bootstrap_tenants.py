"""Secure bootstrap, inherited from Mainflux: tenants have it that were there before, or that were made with it."""

import pytest

from core.crypto.cfb import Envelope
from core.errors import Reason
from core.messages import BootstrapRequest, EncryptedKey, PlainKey
from core.model import EventKind, Secret, TenantId
from core.operate.configuring import CreateConfig, CreateTenant, ListTenants
from core.queries import EventPage
from tests.operating import Desk


async def with_tenant(**fields: bool) -> Desk:
    desk = Desk()
    await desk(CreateTenant(name="North", id="north", **fields))
    await desk(CreateConfig(external_id="aa:bb", external_key=Secret("external key")), tenant="north")
    return desk


def encrypted(desk: Desk, key: str = "external key", external_id: str = "aa:bb") -> BootstrapRequest:
    message = Envelope(desk.shared_key or b"", bytes(16)).close(key.encode())
    return BootstrapRequest(external_id=external_id, proof=EncryptedKey(message.hex()))


async def test_the_first_tenant_has_it_and_new_ones_have_it_where_they_are_made_with_it() -> None:
    desk = await with_tenant()
    await desk(CreateTenant(name="South", id="south", secure_bootstrap=True))
    found = {tenant.id: tenant.secure_bootstrap for tenant in (await desk(ListTenants())).items}
    assert found == {"default": True, "north": False, "south": True}


async def test_a_tenant_made_with_it_has_it() -> None:
    desk = await with_tenant(secure_bootstrap=True)
    assert (await desk.bootstrap(encrypted(desk))).envelope is not None


@pytest.mark.parametrize("key", ["external key", "wrong"])
async def test_without_it_a_device_is_told_what_an_unknown_one_is_told(key: str) -> None:
    desk = await with_tenant()
    refusal = await desk.bootstrap_refused(encrypted(desk, key))
    unknown = await desk.bootstrap_refused(encrypted(desk, external_id="nobody"))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "bootstrap.secure_tenant")
    assert (unknown.reason, unknown.detail, unknown.check) == (refusal.reason, refusal.detail, "bootstrap.unknown")
    (event,) = await desk.repository.read(EventPage(TenantId("north"), kind=EventKind.BOOTSTRAP_REFUSED))
    assert (event.check, event.device_name) == ("bootstrap.secure_tenant", "aa:bb")


async def test_without_it_the_other_ways_are_open() -> None:
    desk = await with_tenant()
    assert (await desk.bootstrap(BootstrapRequest(external_id="aa:bb", proof=PlainKey(Secret("external key"))))).config
