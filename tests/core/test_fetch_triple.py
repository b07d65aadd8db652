from typing import Any

import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import BranchRequest, ConnectRequest, SignedSerial
from core.model import DEFAULT_TENANT, DeviceState, EventKind, Strategy
from core.ports import Changes, Delete
from core.registration import Withheld
from tests.core.registry import CONTEXT, OTHER_TENANT
from tests.core.signing_fleet import GROUP, PASSWORD, SERIAL, Fleet, connection, enrolment, signed

GATEWAY = {"gateway": True}


async def refused(fleet: Fleet, request: ConnectRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await fleet.fetch(request, CONTEXT)
    return refusal.value


async def gateway(**policy: Any) -> Fleet:
    """Return a fleet with one device, a gateway that has its triple."""
    devices = Fleet()
    await devices.allocated(await devices.group(**policy), metadata=GATEWAY)
    return devices


async def test_an_allocated_device_gets_its_triple_again() -> None:
    devices = Fleet()
    await devices.group()
    given = await devices.enrol(enrolment(), CONTEXT)
    for state in (None, DeviceState.CONNECTED, DeviceState.ASSOCIATED):
        if state is not None:
            await devices.move(SERIAL, state)
        again = await devices.fetch(connection(), CONTEXT)
        assert again.triple == given.triple
        assert again.device == (await devices.found()).device
    assert {event.detail for event in await devices.events()} == {"register", "repeat"}


async def test_a_device_is_found_by_its_name_before_its_serial() -> None:
    devices = Fleet()
    for group in ("A", "B"):
        await devices.group(group, f"secret of {group}")
    first, second = [
        await devices.enrol(enrolment(group=group, password=f"secret of {group}"), CONTEXT) for group in ("A", "B")
    ]
    assert (await devices.fetch(connection(password="secret of A"), CONTEXT)).triple == first.triple
    named = connection(f"B_{SERIAL}", password="secret of B")
    assert (await devices.fetch(named, CONTEXT)).triple == second.triple
    assert (await refused(devices, connection(password="secret of B"))).check == "signature.wrong"


async def test_a_serial_that_one_device_alone_has_is_enough() -> None:
    devices = Fleet()
    given = await devices.allocated(await devices.group(), name="pump of the north")
    assert (await devices.fetch(connection(), CONTEXT)).triple == given.triple


async def test_a_serial_that_several_tenants_have_is_told_by_its_signature() -> None:
    devices = Fleet()
    await devices.tenant()
    given = {
        group: await devices.allocated(
            await devices.group(group, f"secret of {group}", tenant=tenant), password=f"secret of {group}"
        )
        for tenant, group in ((OTHER_TENANT, "A"), (DEFAULT_TENANT, "B"))
    }
    for group, expected in given.items():
        assert (await devices.fetch(connection(password=f"secret of {group}"), CONTEXT)).triple == expected.triple
    refusal = await refused(devices, connection(password="secret of nobody"))
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "signature.wrong")


async def test_a_serial_of_two_groups_of_a_tenant_is_nobodys() -> None:
    devices = Fleet()
    for group in ("A", "B"):
        await devices.allocated(await devices.group(group), name=f"pump of {group}")
    assert (await refused(devices, connection())).check == "group.unknown"


async def test_one_that_guesses_at_a_tenants_device_does_not_keep_out_anothers() -> None:
    devices = Fleet(sources=Rate(0.001, 1_000.0), groups=Rate(0.001, 3.0))
    await devices.tenant()
    for tenant, group in ((OTHER_TENANT, "A"), (DEFAULT_TENANT, "B")):
        made = await devices.group(group, f"secret of {group}", tenant=tenant)
        await devices.allocated(made, password=f"secret of {group}")
    for _ in range(3):  # at the bootstrap of A alone
        with pytest.raises(Refusal):
            await devices.enrol(enrolment(group="A", password="wrong"), CONTEXT)
    assert await devices.fetch(connection(password="secret of B"), CONTEXT)
    assert (await refused(devices, connection(password="secret of A"))).check == "signature.wrong"
    for _ in range(3):
        await refused(devices, connection(password="wrong"))
    assert (await refused(devices, connection(password="secret of B"))).reason is Reason.TOO_MANY


@pytest.mark.parametrize(
    ("request_", "check"),
    [
        (connection("SN-0002"), "group.unknown"),
        (connection(password="wrong"), "signature.wrong"),
        (connection(at=0), "signature.time"),
        (ConnectRequest(proof=SignedSerial(SERIAL, "0", "")), "signature.wrong"),
    ],
)
async def test_whatever_is_wrong_with_a_proof_is_told_alike_and_costs_the_same(request_: ConnectRequest, check: str) -> None:
    devices = Fleet()
    await devices.allocated(await devices.group())
    devices.vault.opened = 0
    refusal = await refused(devices, request_)
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, check)
    assert refusal.detail == "the group and the signature are not known together"
    assert devices.vault.opened == 2
    (event,) = [event for event in await devices.events() if event.check]
    assert (event.kind, event.check, event.device_name) == (EventKind.PROVISION_REFUSED, check, request_.proof.serial)


async def test_a_device_of_a_group_that_is_switched_off_is_told_so() -> None:
    devices = Fleet()
    group = await devices.group()
    await devices.allocated(group)
    await devices.change_group(group, strategy=Strategy.DISABLED)
    assert (await refused(devices, connection())).check == "group.disabled"


@pytest.mark.parametrize(
    ("fields", "reason", "check"),
    [
        ({}, Reason.CONFLICT, "device.not_allocated"),
        ({"state": DeviceState.DISCARDED}, Reason.FORBIDDEN, "device.discarded"),
        ({"enabled": False}, Reason.FORBIDDEN, "device.disabled"),
        ({"state": DeviceState.PROVISIONED}, Reason.CONFLICT, "credential.revoked"),
    ],
)
async def test_nothing_is_allocated_here(fields: dict[str, Any], reason: Reason, check: str) -> None:
    devices = Fleet()
    device = await devices.expect(await devices.group(), **fields)
    refusal = await refused(devices, connection())
    assert isinstance(refusal, Withheld)
    assert (refusal.reason, refusal.check, refusal.serial) == (reason, check, SERIAL)
    assert await devices.devices() == (device,)
    (event,) = await devices.events()
    assert (event.check, event.device) == (check, device.id)


async def test_a_wrong_secret_is_limited() -> None:
    devices = Fleet(sources=Rate(1, 1))
    await devices.allocated(await devices.group())
    reasons = [(await refused(devices, connection(password="wrong"))).reason for _ in range(2)]
    assert reasons == [Reason.UNAUTHENTICATED, Reason.TOO_MANY]


@pytest.mark.parametrize("named_by_gateway", [True, False])
async def test_a_gateway_gets_the_triple_of_a_device_that_signed_for_itself(named_by_gateway: bool) -> None:
    devices = await gateway()
    await devices.group("OTHER", "secret")
    other = await devices.enrol(enrolment("MTR-9", group="OTHER", password="secret"), CONTEXT)
    proof = signed("MTR-9", password="secret")
    sub = BranchRequest(proof=proof, named_by_gateway=named_by_gateway)
    assert (await devices.fetch(connection(sub=sub), CONTEXT)).triple == other.triple
    numbered = BranchRequest(branch=1, proof=proof, named_by_gateway=False)
    assert (await devices.fetch(connection(sub=numbered), CONTEXT)).triple == other.triple


@pytest.mark.parametrize("proof", [None, signed("MTR-9"), signed("nobody's")])
async def test_a_device_behind_a_gateway_has_to_sign_with_its_own_groups_secret(proof: SignedSerial | None) -> None:
    devices = await gateway()
    await devices.group("OTHER", "secret")
    await devices.enrol(enrolment("MTR-9", group="OTHER", password="secret"), CONTEXT)
    refusal = await refused(devices, connection(sub=BranchRequest(proof=proof)))
    assert refusal.reason is Reason.UNAUTHENTICATED


async def test_a_gateways_branch_is_registered_once() -> None:
    devices = await gateway()
    first = await devices.fetch(connection(sub=BranchRequest(branch=3)), CONTEXT)
    again = await devices.fetch(connection(sub=BranchRequest(branch=3)), CONTEXT)
    assert first.triple == again.triple
    assert (first.device.serial, first.device.name, first.device.label) == (f"{SERIAL}_3",) * 3
    assert first.device.metadata == {"behind": SERIAL, "branch": 3}
    assert first.device.profile == first.profile.id
    assert first.profile.provision_key == GROUP
    assert len(await devices.devices()) == 2


async def test_a_groups_metadata_makes_gateways_of_its_devices() -> None:
    devices = Fleet()
    await devices.allocated(await devices.group(metadata=GATEWAY))
    assert (await devices.fetch(connection(sub=BranchRequest(branch=0)), CONTEXT)).device.serial == f"{SERIAL}_0"


@pytest.mark.parametrize(
    ("policy", "check", "states"),
    [
        ({"self_registration": False}, "group.closed", [DeviceState.PROVISIONED]),
        ({"auto_activation": False}, "device.not_allocated", [DeviceState.PROVISIONED, DeviceState.DEFINED]),
    ],
)
async def test_a_branch_is_let_in_as_the_group_says(policy: dict[str, Any], check: str, states: list[DeviceState]) -> None:
    devices = await gateway()
    group = (await devices.found()).profile
    assert group is not None
    assert group.signed is not None
    await devices.change_group(group, signed=type(group.signed)(product_key="p", **policy))
    refusal = await refused(devices, connection(sub=BranchRequest(branch=3)))
    assert refusal.check == check
    assert [device.state for device in await devices.devices()] == states


@pytest.mark.parametrize("metadata", [{}, {"gateway": False}, {"gateway": "true"}, {"gateway": 1}])
async def test_a_device_that_is_no_gateway_gets_nobody_elses_triple(metadata: dict[str, Any]) -> None:
    devices = Fleet()
    await devices.allocated(await devices.group(), metadata=metadata)
    for sub in (BranchRequest(branch=1), BranchRequest(proof=signed())):
        refusal = await refused(devices, connection(sub=sub))
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "sub.not_gateway")
    assert len(await devices.devices()) == 1


async def test_a_gateway_needs_a_triple_of_its_own() -> None:
    devices = Fleet()
    device = await devices.expect(await devices.group(), metadata=GATEWAY)
    assert (await refused(devices, connection(sub=BranchRequest(branch=1)))).check == "device.not_allocated"
    (event,) = await devices.events()
    assert event.device == device.id


async def test_a_branch_whose_triple_was_revoked_gets_no_other() -> None:
    devices = await gateway()
    await devices.fetch(connection(sub=BranchRequest(branch=3)), CONTEXT)
    known = await devices.found(f"{SERIAL}_3")
    await devices.repository.commit(Changes(delete=tuple(map(Delete, known.credentials))))
    refusal = await refused(devices, connection(sub=BranchRequest(branch=3)))
    assert isinstance(refusal, Withheld)
    assert (refusal.check, refusal.serial) == ("credential.revoked", f"{SERIAL}_3")


async def test_the_groups_password_is_the_same_whoever_asks() -> None:
    devices = await gateway()
    assert (await refused(devices, connection(password=f"{PASSWORD} "))).check == "signature.wrong"
