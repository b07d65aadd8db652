import pytest

from core.errors import Reason, Refusal
from core.messages import AccessToken, Identity, Report, Reported, TokenLogin
from core.model import Device, DeviceId, DeviceState, EventKind, Secret
from core.report import TakeReport
from tests.core.registry import CONTEXT, Registry

TOKEN = Secret("Zk3vQ0pR7uWnT1xYb2Lc")


async def known(registry: Registry) -> Device:
    return await registry.device(await registry.profile(), "m1", AccessToken(TOKEN), state=DeviceState.CONNECTED)


async def test_a_device_that_presents_its_token_reports() -> None:
    registry = Registry()
    device = await known(registry)
    reported = await TakeReport(registry.authenticate)(Report(TokenLogin(TOKEN), "telemetry"), CONTEXT)
    assert (reported.what, reported.identity.device, reported.identity.device_name) == ("telemetry", device.id, "m1")


async def test_a_connection_that_proved_itself_is_not_asked_again() -> None:
    registry = Registry()
    device = await known(registry)
    found = await registry.known("m1")
    identity = Identity(device.tenant, device.id, device.name, found.credentials[0].id)
    await registry.alter(device, enabled=False)
    assert await TakeReport(registry.authenticate)(Report(identity, "attributes"), CONTEXT) == Reported(identity, "attributes")


async def test_a_stranger_does_not() -> None:
    registry = Registry()
    with pytest.raises(Refusal) as refused:
        await TakeReport(registry.authenticate)(Report(TokenLogin(Secret("x")), "telemetry"), CONTEXT)
    assert refused.value.reason is Reason.UNAUTHENTICATED


async def test_who_proved_something_else_is_refused_and_recorded() -> None:
    registry = Registry()
    device = await known(registry)
    by_external_key = Identity(device.tenant, device.id, device.name, None)
    user = Identity(device.tenant, DeviceId("entry"), "joe", None, user=True)
    for identity, check, named in ((by_external_key, "identity.bootstrap_only", "m1"), (user, "identity.user", "")):
        with pytest.raises(Refusal) as refused:
            await TakeReport(registry.authenticate)(Report(identity, "telemetry"), CONTEXT)
        assert (refused.value.reason, refused.value.check) == (Reason.FORBIDDEN, check)
        event = (await registry.events())[-1]
        assert (event.kind, event.check, event.device_name) == (EventKind.REQUEST_REFUSED, check, named)
