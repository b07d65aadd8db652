from typing import Any

import pytest

from core.enrol import Enrol
from core.errors import Reason, Refusal
from core.fetch_triple import FetchTriple
from core.limits import Buckets
from core.messages import ConnectRequest, EnrolRequest
from core.model import DeviceState, EventKind, Profile
from core.ports import HookAnswer
from tests.core.hooked import HOST, TellingHooks, hook
from tests.core.registry import CONTEXT, UNLIMITED
from tests.core.signing_fleet import GROUP, SERIAL, Fleet, connection, enrolment


async def hooked(answer: HookAnswer, **policy: Any) -> tuple[Fleet, TellingHooks, Profile]:
    fleet, hooks = Fleet(), TellingHooks(answer)
    stands_on = (fleet.repository, fleet.issuer, fleet.audit, Buckets(UNLIMITED), Buckets(UNLIMITED), hooks)
    fleet.enrol, fleet.fetch = Enrol(*stands_on), FetchTriple(*stands_on)
    return fleet, hooks, await hook(fleet, await fleet.group(**policy))


async def refused(fleet: Fleet, request: EnrolRequest | ConnectRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await (fleet.enrol(request, CONTEXT) if isinstance(request, EnrolRequest) else fleet.fetch(request, CONTEXT))
    return refusal.value


async def test_a_hook_is_asked_about_devices_that_sign() -> None:
    fleet, hooks, _ = await hooked(HookAnswer(allow=True, name="pump 7", metadata={"seen": 1}))
    given = await fleet.enrol(enrolment(metadata={"site": "Ulm"}), CONTEXT)
    assert (given.device.name, given.device.metadata) == ("pump 7", {"site": "Ulm", "seen": 1})
    assert (hooks.questions[0].serial, hooks.questions[0].device) == (SERIAL, None)
    (event,) = await fleet.events()
    assert (event.device_name, event.detail) == ("pump 7", f"register; hook {HOST} name, metadata")
    again = await fleet.enrol(enrolment(), CONTEXT)
    fetched = await fleet.fetch(connection(), CONTEXT)
    assert again == fetched == given
    assert hooks.decisions == ["create", "repeat", "repeat"]
    assert hooks.questions[-1].device == given.device.id


async def test_a_hook_that_says_no_writes_nothing() -> None:
    fleet, hooks, _ = await hooked(HookAnswer(allow=False, reason="stolen"))
    refusal = await refused(fleet, enrolment())
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "hook.refused")
    assert await fleet.devices() == ()
    hooks.says = HookAnswer(allow=True)
    await fleet.enrol(enrolment(), CONTEXT)
    hooks.says = HookAnswer(allow=False, reason="stolen")
    assert (await refused(fleet, enrolment())).check == "hook.refused"
    assert (await refused(fleet, connection())).check == "hook.refused"
    events = [event for event in await fleet.events() if event.kind is EventKind.PROVISION_REFUSED]
    assert {(event.check, event.detail) for event in events} == {("hook.refused", f"{HOST}: stolen")}
    assert len(events) == 3


async def test_a_hook_is_asked_before_a_device_waits_for_its_allocation() -> None:
    fleet, hooks, _ = await hooked(HookAnswer(allow=True, name="pump 7"), auto_activation=False)
    assert (await refused(fleet, enrolment())).check == "device.not_allocated"
    assert hooks.decisions == ["define"]
    (device,) = await fleet.devices()
    assert (device.name, device.state) == ("pump 7", DeviceState.DEFINED)
    (event,) = [event for event in await fleet.events() if event.kind is EventKind.DEVICE_DEFINED]
    assert (event.device_name, event.detail) == ("pump 7", f"register; hook {HOST} name")


async def test_a_hook_is_asked_about_expected_devices_whose_name_stays() -> None:
    fleet, hooks, group = await hooked(HookAnswer(allow=True, name="pump 7", profile=f"group {GROUP}"))
    device = await fleet.expect(group)
    given = await fleet.enrol(enrolment(), CONTEXT)
    assert (hooks.decisions, given.device.id, given.device.name) == (["activate"], device.id, SERIAL)


async def test_a_device_that_signs_stays_in_its_group() -> None:
    fleet, _, _ = await hooked(HookAnswer(allow=True, profile="group B"))
    await fleet.group("B")
    refusal = await refused(fleet, enrolment())
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "hook.profile")


async def test_a_name_that_another_device_has_is_none() -> None:
    fleet, _, group = await hooked(HookAnswer(allow=True, name="pump 7"))
    await fleet.expect(group, "SN-0002", "pump 7")
    refusal = await refused(fleet, enrolment())
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "hook.name_taken")
    assert len(await fleet.devices()) == 1
