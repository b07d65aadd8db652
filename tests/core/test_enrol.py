from collections import Counter
from typing import Any

import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.messages import AccessToken, Context, Enrolled, EnrolRequest, SignedSerial, Triple
from core.model import CredentialKind, DeviceState, EventKind, Secret, Strategy
from core.ports import Changes, Delete
from core.registration import Withheld
from tests.core.registry import CONTEXT, OTHER_TENANT
from tests.core.signing_fleet import GROUP, PASSWORD, PRODUCT_KEY, SERIAL, Fleet, enrolment, signed
from tests.fakes import START

SECOND = 1_000


async def fleet(**policy: Any) -> Fleet:
    made = Fleet()
    await made.group(**policy)
    return made


async def refused(fleet: Fleet, request: EnrolRequest, context: Context = CONTEXT) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await fleet.enrol(request, context)
    return refusal.value


async def told(fleet: Fleet) -> Counter[tuple[EventKind, str]]:
    return Counter((event.kind, event.check or event.detail) for event in await fleet.events())


async def test_an_unknown_serial_registers_itself_and_gets_a_triple() -> None:
    devices = await fleet()
    metadata = {"deviceName": {"defaultValue": "Pump 1"}, "timezone": "+08:00"}
    given = await devices.enrol(enrolment(label="Pump 1", metadata=metadata), CONTEXT)
    known = await devices.found()
    assert known.device == given.device
    assert (given.device.name, given.device.serial, given.device.unique_serial) == (SERIAL, SERIAL, True)
    assert (given.device.label, given.device.metadata) == ("Pump 1", metadata)
    assert (given.device.state, given.device.provisioned_at, given.device.version) == (DeviceState.PROVISIONED, START, 1)
    assert (given.triple.product_key, len(given.triple.device_key), len(given.triple.secret.reveal())) == (PRODUCT_KEY, 10, 32)
    assert [devices.issuer.reveal(credential) for credential in known.credentials] == [given.triple]
    (event,) = await devices.events()
    assert (event.kind, event.detail, event.device, event.device_name) == (
        EventKind.PROVISION_SUCCEEDED,
        "register",
        given.device.id,
        SERIAL,
    )


async def test_without_auto_activation_it_is_registered_and_waits_for_an_operator() -> None:
    devices = await fleet(auto_activation=False)
    for _ in range(2):
        refusal = await refused(devices, enrolment(label="Pump 1"))
        assert isinstance(refusal, Withheld)
        assert (refusal.reason, refusal.check, refusal.serial) == (Reason.CONFLICT, "device.not_allocated", SERIAL)
    (device,) = await devices.devices()
    assert (device.state, device.label, device.provisioned_at) == (DeviceState.DEFINED, "Pump 1", None)
    assert await told(devices) == {
        (EventKind.DEVICE_DEFINED, "register"): 1,
        (EventKind.PROVISION_REFUSED, "device.not_allocated"): 2,
    }


async def test_without_self_registration_only_expected_serials_are_taken() -> None:
    devices = Fleet()
    group = await devices.group(self_registration=False)
    refusal = await refused(devices, enrolment())
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "group.closed")
    assert await devices.devices() == ()
    expected = await devices.expect(group)
    assert (await devices.enrol(enrolment(), CONTEXT)).device.id == expected.id


async def test_a_defined_device_is_allocated_and_keeps_what_it_is_called() -> None:
    devices = Fleet()
    group = await devices.group()
    expected = await devices.expect(group, label="as defined", metadata={"a": 1})
    devices.clock.advance(1)
    given = await devices.enrol(enrolment(label="another", metadata={"b": 2}, at=devices.clock.now()), CONTEXT)
    assert (given.device.id, given.device.label, given.device.metadata) == (expected.id, "as defined", {"a": 1})
    assert (given.device.state, given.device.provisioned_at, given.device.version) == (
        DeviceState.PROVISIONED,
        START + SECOND,
        2,
    )
    assert await told(devices) == {(EventKind.PROVISION_SUCCEEDED, "allocate"): 1}


async def test_a_defined_device_waits_where_the_group_does_not_allocate() -> None:
    devices = Fleet()
    await devices.expect(await devices.group(auto_activation=False))
    assert (await refused(devices, enrolment())).check == "device.not_allocated"
    assert await told(devices) == {(EventKind.PROVISION_REFUSED, "device.not_allocated"): 1}


@pytest.mark.parametrize("auto_activation", [True, False])
async def test_a_triple_that_was_given_in_advance_is_the_devices(auto_activation: bool) -> None:
    devices = Fleet()
    device = await devices.expect(await devices.group(auto_activation=auto_activation))
    triple = Triple(PRODUCT_KEY, "k9fQ2xLw0p", Secret("0f3b0f3b0f3b0f3b0f3b0f3b0f3b0f3b"))
    await devices.repository.commit(Changes(insert=(await devices.issuer.issue(triple, device.id, keep=True),)))
    given = await devices.enrol(enrolment(), CONTEXT)
    assert (given.triple, given.device.state) == (triple, DeviceState.PROVISIONED)
    assert len((await devices.found()).credentials) == 1


@pytest.mark.parametrize("auto_activation", [True, False])
@pytest.mark.parametrize(
    "states",
    [
        (),
        (DeviceState.CONNECTED,),
        (DeviceState.CONNECTED, DeviceState.ASSOCIATED),
    ],
)
async def test_the_same_triple_is_given_again(states: tuple[DeviceState, ...], auto_activation: bool) -> None:
    devices = Fleet()
    group = await devices.group()
    first = await devices.enrol(enrolment(), CONTEXT)
    device = await devices.move(SERIAL, *states) if states else first.device
    if not auto_activation:
        assert group.signed is not None
        await devices.change_group(group, signed=type(group.signed)(product_key="other", auto_activation=False))
    again = await devices.enrol(enrolment(label="another"), CONTEXT)
    assert (again.triple, again.device) == (first.triple, device)
    assert (await told(devices))[EventKind.PROVISION_SUCCEEDED, "repeat"] == 1


@pytest.mark.parametrize(
    ("fields", "check"),
    [({"state": DeviceState.DISCARDED}, "device.discarded"), ({"enabled": False}, "device.disabled")],
)
@pytest.mark.parametrize("state", [DeviceState.DEFINED, DeviceState.PROVISIONED])
async def test_a_device_out_of_service_is_told_so(fields: dict[str, Any], check: str, state: DeviceState) -> None:
    devices = Fleet()
    await devices.expect(await devices.group(), **({"state": state} | fields))
    refusal = await refused(devices, enrolment())
    assert isinstance(refusal, Withheld)
    assert (refusal.reason, refusal.check, refusal.serial) == (Reason.FORBIDDEN, check, SERIAL)


async def test_what_an_operator_revoked_is_not_given_anew() -> None:
    devices = await fleet()
    await devices.enrol(enrolment(), CONTEXT)
    known = await devices.found()
    await devices.repository.commit(Changes(delete=tuple(map(Delete, known.credentials))))
    refusal = await refused(devices, enrolment())
    assert isinstance(refusal, Withheld)
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential.revoked")


async def test_after_a_reset_there_is_a_new_triple() -> None:
    devices = await fleet()
    first = await devices.enrol(enrolment(), CONTEXT)
    known = await devices.found()
    await devices.repository.commit(Changes(delete=tuple(map(Delete, known.credentials))))
    await devices.alter(first.device, state=DeviceState.DEFINED)
    second = await devices.enrol(enrolment(), CONTEXT)
    assert second.device.id == first.device.id
    assert second.triple.secret != first.triple.secret


async def test_the_newest_triple_that_is_good_still_counts() -> None:
    devices = await fleet()
    first = await devices.enrol(enrolment(), CONTEXT)
    end = devices.clock.now() + SECOND
    ends = {"newer": None, "over": end}
    made: dict[str, Triple] = {}
    for key, expires_at in ends.items():
        devices.clock.advance(0.001)
        made[key] = Triple(PRODUCT_KEY, key, Secret("s"))
        credential = await devices.issuer.issue(made[key], first.device.id, keep=True, expires_at=expires_at)
        await devices.repository.commit(Changes(insert=(credential,)))
    token = await devices.issuer.issue(AccessToken(Secret("t")), first.device.id, keep=True)
    not_kept = await devices.issuer.issue(Triple(PRODUCT_KEY, "gone", Secret("s")), first.device.id, keep=False)
    await devices.repository.commit(Changes(insert=(token, not_kept)))
    assert not_kept.kind is CredentialKind.DEVICE_SECRET
    assert (await devices.enrol(enrolment(), CONTEXT)).triple == made["over"]
    devices.clock.advance(1)
    assert (await devices.enrol(enrolment(), CONTEXT)).triple == made["newer"]


async def test_the_tenant_has_no_room() -> None:
    devices = await fleet()
    await devices.limit_devices(1)
    await devices.enrol(enrolment(), CONTEXT)
    refusal = await refused(devices, enrolment("SN-0002"))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "tenant.device_limit")
    assert (await devices.enrol(enrolment(), CONTEXT)).device.serial == SERIAL


async def test_a_product_key_that_cannot_be_one_issues_nothing() -> None:
    devices = await fleet(product_key="a&b")
    assert (await refused(devices, enrolment())).check == "credential.triple"
    assert await devices.devices() == ()


async def named(*serials: tuple[str, str]) -> list[Enrolled]:
    devices = Fleet()
    for group in dict.fromkeys(group for group, _ in serials):
        await devices.group(group)
    return [await devices.enrol(enrolment(serial, group=group), CONTEXT) for group, serial in serials]


async def test_the_same_serial_in_two_groups_is_two_devices() -> None:
    first, second = await named(("A", SERIAL), ("B", SERIAL))
    assert (first.device.name, second.device.name) == (SERIAL, f"B_{SERIAL}")
    assert first.triple.device_key != second.triple.device_key


async def test_where_both_names_are_taken_one_is_drawn() -> None:
    *_, last = await named(("A", SERIAL), ("A", f"B_{SERIAL}"), ("B", SERIAL))
    assert last.device.name.startswith(f"B_{SERIAL}_")
    assert len(last.device.name) == len(f"B_{SERIAL}_") + 20


@pytest.mark.parametrize("serial", ["传感器-7", "A B&C=1", "a/b:c", "x" * 128])
async def test_a_serial_is_a_name_as_it_is(serial: str) -> None:
    (given,) = await named(("A", serial))
    assert (given.device.name, given.device.serial) == (serial, serial)


@pytest.mark.parametrize(("serial", "name"), [(" SN", "A_ SN"), ("SN ", ""), ("<script>", ""), (" ", "")])
async def test_a_serial_that_cannot_be_a_name_stays_as_it_is(serial: str, name: str) -> None:
    (given,) = await named(("A", serial))
    assert given.device.serial == serial
    assert given.device.name == name or (not name and given.device.name.isalnum())


async def test_a_name_that_is_drawn_is_not_too_long() -> None:
    group, serial = "g" * 64, "s" * 190
    *_, last = await named(("A", serial), ("A", f"{group}_{serial}"), (group, serial))
    assert len(last.device.name) == 255


async def test_a_group_of_another_tenant_lets_its_devices_in_there() -> None:
    devices = Fleet()
    await devices.tenant()
    await devices.group(tenant=OTHER_TENANT)
    assert (await devices.enrol(enrolment(), CONTEXT)).device.tenant == OTHER_TENANT


VECTORS = [
    ("deviceSn", 1649147455506, "group-secret-1", "5e21bba7d4a069def7cb84d2b2eab84335de9193772cef2a0f19198f7e6c8d82"),
    ("SN-0001", 1700000000000, "Pa55word", "383bca78acc293014a3b5f2052880bf5fcd466f2846a14c807c88207340e76e4"),
    ("SN-0002", 1700000000000, "Pa55word", "c940c47f1af247d1e9308276abed3d3f6225001eb80f073bb6f2dd614ec1e165"),
    ("MTR-9", 1700000000500, "Pa55word", "8c1e544b85dc5552980ad4df77f8dc3e726d25d8c3c10de7ea6b0550c2f90233"),
    ("传感器-7", 1700000000001, "s3cret", "ad66549002b62dbf0ce6bc2da48322906971a0ea80643316aa280a6e90ead11e"),
    ("A B&C=1", 0, "x", "159c11439c090048663bdae36a9a6a1a35861ece8481df919863f744677c071b"),
]


@pytest.mark.parametrize(("serial", "at", "password", "digest"), VECTORS)
async def test_published_signatures_are_right_in_either_case(serial: str, at: int, password: str, digest: str) -> None:
    devices = Fleet()
    await devices.group(password=password, timestamp_tolerance_s=None)
    for written in (digest, digest.upper()):
        assert await devices.enrol(EnrolRequest(group=GROUP, proof=SignedSerial(serial, str(at), written)), CONTEXT)


WRONG = "23efcd515f196e43aa9544b4a36aa874cd5c472c2de0725709d04afb98f51d4c"


@pytest.mark.parametrize(
    ("request_", "check"),
    [
        (EnrolRequest(group=GROUP, proof=SignedSerial(SERIAL, "1700000000000", WRONG)), "signature.wrong"),
        (enrolment(password="Pa55worD"), "signature.wrong"),
        (EnrolRequest(group=GROUP, proof=SignedSerial("SN-0002", str(START), signed().digest)), "signature.wrong"),
        (EnrolRequest(group=GROUP, proof=SignedSerial(SERIAL, str(START + 1), signed().digest)), "signature.wrong"),
        (EnrolRequest(group=GROUP, proof=SignedSerial(SERIAL, str(START), "\ud800")), "signature.wrong"),
        (enrolment(group="QK7M2B"), "group.unknown"),
        (enrolment(group="plain"), "group.not_signed"),
        (enrolment(group="odd"), "group.not_signed"),
        (enrolment(at=START - 900_001), "signature.time"),
        (enrolment(at=START + 900_001), "signature.time"),
        (enrolment(at=0), "signature.time"),
    ],
)
async def test_whatever_is_wrong_with_a_proof_is_told_alike_and_costs_the_same(request_: EnrolRequest, check: str) -> None:
    devices = await fleet()
    await devices.profile(key="plain", secret=PASSWORD)
    await devices.group("odd", strategy=Strategy.CREATE_NEW)
    devices.vault.opened = 0
    refusal = await refused(devices, request_)
    assert (refusal.reason, refusal.detail) == (
        Reason.UNAUTHENTICATED,
        "the group and the signature are not known together",
    )
    assert refusal.check == check
    assert devices.vault.opened == 2
    assert await devices.devices() == ()
    (event,) = await devices.events()
    assert (event.kind, event.check, event.device_name) == (EventKind.PROVISION_REFUSED, check, request_.proof.serial)


@pytest.mark.parametrize("at", [START - 900_000, START + 900_000])
async def test_within_the_tolerance_the_time_does_not_matter(at: int) -> None:
    assert await (await fleet()).enrol(enrolment(at=at), CONTEXT)


async def test_a_group_without_a_tolerance_looks_at_no_clock() -> None:
    assert await (await fleet(timestamp_tolerance_s=None)).enrol(enrolment(at=0), CONTEXT)


async def test_a_disabled_group_says_so_to_those_who_know_its_secret() -> None:
    devices = Fleet()
    await devices.group(strategy=Strategy.DISABLED)
    refusal = await refused(devices, enrolment())
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "group.disabled")
    assert (await refused(devices, enrolment(password="wrong"))).reason is Reason.UNAUTHENTICATED


async def test_the_secret_before_is_good_until_the_end_of_its_overlap() -> None:
    devices = Fleet()
    group = await devices.group(timestamp_tolerance_s=None)
    old, row = group.provision_secret, b"profile:" + group.id.encode()
    new = devices.vault.seal(Secret("n3w"), row)
    end = devices.clock.now() + SECOND
    await devices.change_group(group, provision_secret=new, previous_secret=old, previous_until=end)
    assert await devices.enrol(enrolment(), CONTEXT)
    assert await devices.enrol(enrolment(password="n3w"), CONTEXT)
    devices.clock.advance(1)
    assert (await refused(devices, enrolment())).check == "signature.wrong"
    assert await devices.enrol(enrolment(password="n3w"), CONTEXT)


WRONG_PROOFS = [enrolment(password="wrong"), enrolment(group="nobody's")]


@pytest.mark.parametrize("wrong", WRONG_PROOFS, ids=["signature", "group"])
async def test_wrong_proofs_are_limited_alike_and_do_not_keep_others_out(wrong: EnrolRequest) -> None:
    devices = Fleet(sources=Rate(1, 2))
    await devices.group()
    await devices.group("OTHER", "secret")
    assert [(await refused(devices, wrong)).reason for _ in range(4)] == [Reason.UNAUTHENTICATED] * 2 + [Reason.TOO_MANY] * 2
    refusal = await refused(devices, wrong)
    assert (refusal.check, refusal.retry_after) == ("limit.source", 1.0)
    for other in (enrolment(group="OTHER", password="wrong"), enrolment(group="nobody else's")):
        assert (await refused(devices, other)).reason is Reason.TOO_MANY
    assert await devices.enrol(enrolment(group="OTHER", password="secret"), CONTEXT)
    elsewhere = Context("c", "http", "enos", "192.0.2.8")
    assert await devices.enrol(enrolment(), elsewhere)
    devices.clock.advance(1)
    assert (await refused(devices, wrong)).reason is Reason.UNAUTHENTICATED


async def test_beyond_the_limit_even_a_right_guess_is_not_looked_at() -> None:
    devices = Fleet(sources=Rate(1, 2))
    await devices.group()
    for _ in range(2):
        await refused(devices, WRONG_PROOFS[0])
    devices.vault.opened = 0
    assert (await refused(devices, enrolment())).reason is Reason.TOO_MANY
    assert devices.vault.opened == 0


async def test_wrong_proofs_from_many_sources_are_limited_by_their_group_and_others_come_in() -> None:
    devices = Fleet(groups=Rate(1, 2))
    await devices.group()
    guessers = [Context("c", "http", "enos", f"192.0.2.{host}") for host in (1, 2)]
    for guesser in guessers:
        await refused(devices, WRONG_PROOFS[0], guesser)
    for guesser in guessers:
        refusal = await refused(devices, enrolment(), guesser)
        assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.claim_key")
    await devices.enrol(enrolment(), CONTEXT)


async def test_right_proofs_are_not_limited() -> None:
    devices = Fleet(sources=Rate(1, 2), groups=Rate(1, 2))
    await devices.group()
    for number in range(20):
        await devices.enrol(enrolment(f"SN-{number}"), CONTEXT)
    refusals = [await refused(devices, enrolment(at=0)) for _ in range(5)]
    assert {refusal.check for refusal in refusals} == {"signature.time"}
