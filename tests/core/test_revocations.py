"""The public list of revoked certificates, and the authority's own certificates."""

from pathlib import Path

import pytest
from cryptography import x509

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AccessToken, AskAuthorities, AskRevocations, AuthoritiesAnswer, RevocationsAnswer
from core.model import DEFAULT_TENANT, Device
from core.ports import Changes, Delete
from core.queries import ProfilePage
from core.revocations import FRESH_SECONDS, RevocationList, TellAuthorities
from tests.core.openssl import request
from tests.core.registry import CONTEXT
from tests.core.signing import DAY_MS, TOKEN, SigningRegistry
from tests.operating import ContendedRepository

HOUR = 3_600


@pytest.fixture(scope="module")
def csr(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A device's request."""
    return request(tmp_path_factory.mktemp("device"))


class Fleet(SigningRegistry):
    """Devices with certificates, and the list of those that are revoked."""

    def __init__(self, repository: ContendedRepository | None = None, most: int = 100) -> None:
        super().__init__(repository)
        self.listing = RevocationList(self.repository, self.clock, self.authority, most=most, page=2)

    async def list(self) -> RevocationsAnswer:
        """Ask for the list."""
        return await self.listing(AskRevocations(), CONTEXT)

    async def serials(self) -> set[str]:
        """Return what is on the list."""
        return {f"{each.serial_number:x}" for each in x509.load_der_x509_crl((await self.list()).content)}

    async def remove(self, device: Device) -> None:
        """Delete a device."""
        found = await self.known(device.name)
        await self.repository.commit(Changes(delete=(Delete(found.device),)))


async def test_what_is_revoked_is_on_the_list_from_then_until_its_time_is_over(csr: bytes) -> None:
    fleet = Fleet()
    device = await fleet.meter()
    await fleet.ask(csr)
    (issued,) = await fleet.issued()
    assert await fleet.serials() == set()
    await fleet.remove(device)
    assert await fleet.serials() == set()  # seen a moment ago
    fleet.clock.advance(10)
    assert await fleet.serials() == {issued.certificate.id}
    (noted,) = await fleet.issued(revoked=True)
    assert noted.certificate.revoked_at == fleet.clock.now()
    fleet.clock.advance(HOUR)
    (entry,) = x509.load_der_x509_crl((await fleet.list()).content)
    assert round(entry.revocation_date_utc.timestamp()) == (noted.certificate.revoked_at or 0) // 1000
    fleet.clock.advance(DAY_MS // 1000)
    assert await fleet.serials() == set()


async def test_it_is_signed_anew_where_it_changed_and_when_half_of_its_life_is_over(csr: bytes) -> None:
    fleet = Fleet()
    first = await fleet.list()
    assert first.until == fleet.clock.now() + HOUR * 1000
    for seconds, lists in ((9, 1), (1, 1), (1_700, 1), (100, 2), (1, 2)):
        fleet.clock.advance(seconds)
        await fleet.list()
        assert fleet.authority.lists == lists
    device = await fleet.meter()
    await fleet.ask(csr)
    await fleet.remove(device)
    fleet.clock.advance(10)
    await fleet.list()
    assert fleet.authority.lists == 3


async def test_a_clock_that_is_put_back_does_not_keep_an_old_list(csr: bytes) -> None:
    fleet = Fleet()
    device = await fleet.meter()
    await fleet.ask(csr)
    assert await fleet.serials() == set()
    await fleet.remove(device)
    fleet.clock.advance(-60)
    (issued,) = await fleet.issued()
    assert await fleet.serials() == {issued.certificate.id}
    assert fleet.authority.lists == 2


async def test_more_than_a_page_is_read_and_more_than_may_be_is_refused(csr: bytes) -> None:
    fleet = Fleet(most=5)
    device = await fleet.meter()
    for _ in range(5):
        await fleet.ask(csr)
    await fleet.remove(device)
    assert len(await fleet.serials()) == 5
    other = await fleet.device((await fleet.repository.read(ProfilePage(DEFAULT_TENANT)))[0], "meter-2", AccessToken(TOKEN))
    await fleet.ask(csr)
    await fleet.remove(other)
    fleet.clock.advance(10)
    with pytest.raises(Refusal) as caught:
        await fleet.list()
    assert (caught.value.reason, caught.value.check) == (Reason.UNAVAILABLE, "issuing.crl_size")


async def test_what_another_replica_noted_meanwhile_is_on_the_list_all_the_same(csr: bytes) -> None:
    repository = ContendedRepository()
    fleet = Fleet(repository)
    device = await fleet.meter()
    await fleet.ask(csr)
    await fleet.remove(device)
    repository.failures = [Conflict(Guard.VERSION)]
    assert len(await fleet.serials()) == 1
    (seen,) = await fleet.issued(revoked=True)
    assert seen.certificate.revoked_at is None


async def test_where_nobody_signs_there_is_none() -> None:
    registry = SigningRegistry()
    with pytest.raises(Refusal) as caught:
        await RevocationList(registry.repository, registry.clock, None)(AskRevocations(), CONTEXT)
    assert (caught.value.reason, caught.value.check) == (Reason.NOT_FOUND, "issuing.no_crl")


async def test_everybody_may_know_the_authority(tmp_path: Path) -> None:
    registry = SigningRegistry()
    answer = await TellAuthorities(registry.authority)(AskAuthorities(), CONTEXT)
    assert answer == AuthoritiesAnswer(registry.authority.authorities)
    with pytest.raises(Refusal) as caught:
        await TellAuthorities(None)(AskAuthorities(), CONTEXT)
    assert caught.value.check == "issuing.no_authority"


async def test_what_is_revoked_through_one_gateway_is_on_the_list_of_another_within_seconds(csr: bytes) -> None:
    fleet = Fleet()
    device = await fleet.meter()
    await fleet.ask(csr)
    other = RevocationList(fleet.repository, fleet.clock, fleet.authority)
    assert not list(x509.load_der_x509_crl((await other(AskRevocations(), CONTEXT)).content))
    await fleet.remove(device)
    fleet.clock.advance(FRESH_SECONDS)
    assert len(list(x509.load_der_x509_crl((await other(AskRevocations(), CONTEXT)).content))) == 1
