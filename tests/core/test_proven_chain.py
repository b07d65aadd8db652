import pytest

from core.errors import Reason, Refusal
from core.messages import ProvenChain, ProvisionRequest
from core.model import ChainPolicy, Strategy
from tests.core.authorities import authority, issue
from tests.core.registry import CONTEXT, KEY, Registry

ANCHOR = authority("field")
PUMP = issue("pump7", ANCHOR)
POLICY = ChainPolicy(anchor=ANCHOR.id, anchor_name=ANCHOR.name, authorities=(ANCHOR.credential.text,))


def proven(name: str | None = "pump7", until: int | None = None) -> ProvisionRequest:
    return ProvisionRequest(evidence=ProvenChain(KEY, until), device_name=name, credential=PUMP.credential)


async def refused(registry: Registry, request: ProvisionRequest) -> tuple[Reason, str]:
    with pytest.raises(Refusal) as refusal:
        await registry.provision(request, CONTEXT)
    return refusal.value.reason, refusal.value.check


async def test_a_proven_chain_is_for_a_profile_of_chains() -> None:
    registry = Registry()
    assert await refused(registry, proven()) == (Reason.UNAUTHENTICATED, "profile.no_chain")
    await registry.profile(Strategy.CREATE_NEW, chain=POLICY)
    assert await refused(registry, proven()) == (Reason.UNAUTHENTICATED, "profile.no_chain")


async def test_what_comes_of_a_chain_has_a_name_and_ends_when_it_says() -> None:
    registry = Registry()
    await registry.profile(Strategy.CERTIFICATE_CHAIN, chain=POLICY)
    assert await refused(registry, proven(None)) == (Reason.FORBIDDEN, "device.unknown")
    provisioned = await registry.provision(proven(until=7), CONTEXT)
    assert provisioned.credential == PUMP.credential
    (credential,) = (await registry.known("pump7")).credentials
    assert credential.expires_at == 7


async def test_a_profile_without_a_policy_makes_no_devices() -> None:
    registry = Registry()
    await registry.profile(Strategy.CERTIFICATE_CHAIN)
    assert await refused(registry, proven()) == (Reason.FORBIDDEN, "device.unknown")


async def test_the_same_certificate_is_renewed_once_its_time_as_a_credential_is_over() -> None:
    registry = Registry()
    await registry.profile(Strategy.CERTIFICATE_CHAIN, chain=POLICY)
    until = registry.clock.now() + 1000
    await registry.provision(proven(until=until), CONTEXT)
    before = (await registry.known("pump7")).credentials
    await registry.provision(proven(until=until), CONTEXT)
    assert (await registry.known("pump7")).credentials == before
    registry.clock.advance(1)
    await registry.provision(proven(), CONTEXT)
    (after,) = (await registry.known("pump7")).credentials
    assert (after.lookup, after.expires_at) == (before[0].lookup, None)


async def test_a_certificate_of_another_device_makes_no_second_one() -> None:
    registry = Registry()
    await registry.profile(Strategy.CERTIFICATE_CHAIN, chain=POLICY)
    await registry.provision(proven(), CONTEXT)
    assert await refused(registry, proven("pump8")) == (Reason.CONFLICT, "credential.taken")
