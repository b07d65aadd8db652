import contextlib

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import AccessToken, Certificate, CredentialValue, MqttBasic, ProvisionRequest
from core.model import Event, EventKind, Reprovision, Secret, Strategy
from tests.core.faulty import FaultyRepository, unavailable
from tests.core.registry import CONTEXT, OTHER_TENANT, SECRET, SOURCE, Registry, claim

NAME = "meter-0042"
TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
BASIC = MqttBasic("meter-0042", "field", Secret("pw-0042"))
CERTIFICATE = Certificate("MIIBszCCAVmgAwIBAgIU")
OWN: list[CredentialValue] = [TOKEN, BASIC, MqttBasic("", "field"), MqttBasic("meter-0042"), CERTIFICATE]


async def refused(registry: Registry, request: ProvisionRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.provision(request, CONTEXT)
    return refusal.value


def hides(events: tuple[Event, ...], *secrets: str) -> bool:
    text = msgspec.json.encode(events).decode()
    return not any(secret in text for secret in secrets)


# Events


async def test_a_granted_request_is_recorded_with_its_decision() -> None:
    registry = Registry()
    profile = await registry.profile(reprovision=Reprovision.SAME)
    given = await registry.provision(claim(), CONTEXT)
    registry.clock.advance(1.0)
    await registry.provision(claim(), CONTEXT)
    events = await registry.events()
    assert [event.detail for event in events] == ["create", "repeat"]
    for event in events:
        assert (event.kind, event.correlation) == (EventKind.PROVISION_SUCCEEDED, CONTEXT.correlation)
        assert (event.profile, event.device, event.device_name) == (profile.id, given.device.id, NAME)
        assert (event.protocol, event.dialect, event.source) == ("http", "thingsboard", SOURCE)


async def test_activation_and_rotation_are_recorded() -> None:
    registry = Registry()
    await registry.device(await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.ROTATE), NAME, TOKEN)
    await registry.provision(claim(), CONTEXT)
    registry.clock.advance(1.0)
    await registry.provision(claim(), CONTEXT)
    assert [event.detail for event in await registry.events()] == ["activate", "rotate"]


async def test_a_refused_request_is_recorded_with_its_check_and_what_is_known() -> None:
    registry = Registry()
    profile = await registry.profile()
    given = await registry.provision(claim(), CONTEXT)
    registry.clock.advance(1.0)
    await refused(registry, claim(f" {NAME} "))
    _, event = await registry.events()
    assert (event.kind, event.check) == (EventKind.PROVISION_REFUSED, "device.exists")
    assert (event.profile, event.device, event.device_name) == (profile.id, given.device.id, NAME)


async def test_a_request_with_an_unknown_key_is_recorded_in_the_default_tenant() -> None:
    registry = Registry()
    await refused(registry, claim(key="unknown"))
    (event,) = await registry.events()
    assert (event.check, event.profile, event.device, event.device_name) == ("claim.key", None, None, NAME)


async def test_a_refusal_in_another_tenant_is_recorded_there() -> None:
    registry = Registry()
    await registry.tenant()
    await registry.profile(tenant=OTHER_TENANT)
    await refused(registry, claim(secret="wrong"))
    assert await registry.events() == ()
    assert [event.check for event in await registry.events(OTHER_TENANT)] == ["claim.secret"]


async def test_no_event_holds_a_secret() -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.ROTATE)
    shown = []
    for number, value in enumerate([None, *OWN]):
        given = await registry.provision(claim(f"m{number}", value), CONTEXT)
        if isinstance(given.credential, AccessToken):
            shown.append(given.credential.token.reveal())
    for request in (claim(secret="wrong-secret"), claim(key="x"), claim("  "), claim("other", TOKEN), claim("m0", BASIC)):
        with contextlib.suppress(Refusal):
            await registry.provision(request, CONTEXT)
    events = await registry.events()
    assert len(events) == 11
    assert hides(events, SECRET, "wrong-secret", "pw-0042", CERTIFICATE.text, *shown)


async def test_nothing_is_answered_that_could_not_be_written() -> None:
    repository = FaultyRepository(unavailable)
    registry = Registry(repository)
    await Registry(repository.inner).profile()
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "storage.failed")
    assert await registry.devices() == ()


# Limits


async def test_a_source_may_only_try_so_often() -> None:
    registry = Registry(sources=Rate(1.0, 2.0))
    await registry.profile()
    await registry.provision(claim("m1"), CONTEXT)
    await refused(registry, claim(key="unknown"))
    refusal = await refused(registry, claim("m2"))
    assert (refusal.reason, refusal.check, refusal.retry_after) == (Reason.TOO_MANY, "limit.source", 1.0)
    await registry.provision(claim("m2"), msgspec.structs.replace(CONTEXT, source="192.0.2.8"))
    registry.clock.advance(1.0)
    await registry.provision(claim("m3"), CONTEXT)
    assert "limit.source" in {event.check for event in await registry.events()}


async def test_a_claim_key_may_only_be_tried_so_often_from_all_sources_together() -> None:
    registry = Registry(claim_keys=Rate(1.0, 1.0))
    await registry.profile()
    await registry.profile(key="other")
    await refused(registry, claim(secret="wrong"))
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.claim_key")
    await registry.provision(claim(key="other"), CONTEXT)


async def test_long_keys_that_begin_alike_share_one_count() -> None:
    registry = Registry(claim_keys=Rate(1.0, 1.0))
    await refused(registry, claim(key="k" * 255 + "a"))
    assert (await refused(registry, claim(key="k" * 255 + "b"))).check == "limit.claim_key"
