"""A device reads and sets its own fields."""

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.fields import ATTEMPTS, RESERVED, ReadFields, WriteFields
from core.messages import AccessToken, AskFields, FieldsAnswer, Identity, SetFields, TokenLogin
from core.model import DEFAULT_TENANT, CredentialId, DeviceId, DirectoryEntry, EntryId, EntryKind, Event, EventKind, Secret
from core.ports import Changes, Delete
from tests.core.faulty import FaultyRepository, no_fault
from tests.core.registry import CONTEXT, Registry

LOGIN = TokenLogin(Secret("Zk3vQ0pR7uWnT1xYb2Lc"))


async def with_device(*fields: str) -> Registry:
    registry = Registry(FaultyRepository(no_fault))
    profile = await registry.profile()
    await registry.device(profile, "m1", AccessToken(LOGIN.token))
    entries = [
        DirectoryEntry(
            id=EntryId(f"field {name}"),
            tenant=DEFAULT_TENANT,
            kind=EntryKind.DEVICE_FIELD,
            name=name,
            parent=parent,
            created_at=1,
            updated_at=1,
        )
        for name, parent in zip(fields, (profile.id, "", "another profile"), strict=False)
    ]
    await registry.repository.commit(Changes(insert=tuple(entries)))
    return registry


async def write(registry: Registry, **request: object) -> FieldsAnswer:
    use_case = WriteFields(registry.repository, registry.authenticate, registry.audit)
    return await use_case(SetFields(LOGIN, **request), CONTEXT)  # type: ignore[arg-type] # a table


async def refused(registry: Registry, **request: object) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await write(registry, **request)
    return refusal.value


async def changes(registry: Registry) -> list[Event]:
    return [event for event in await registry.events() if event.kind is EventKind.DEVICE_CHANGED]


async def read(registry: Registry) -> FieldsAnswer:
    return await ReadFields(registry.repository, registry.authenticate)(AskFields(LOGIN), CONTEXT)


async def test_a_device_sets_what_its_template_the_tenant_and_the_dialect_name() -> None:
    registry = await with_device("colour", "site", "foreign")
    before = await read(registry)
    answer = await write(
        registry, label="Pump", fields={"colour": "red", "site": {"row": 1}, "location": "here"}, always=frozenset({"location"})
    )
    assert answer.device.label == "Pump"
    assert answer.device.metadata == {"colour": "red", "site": {"row": 1}, "location": "here"}
    assert answer.etag != before.etag
    assert await read(registry) == answer
    (event,) = await changes(registry)
    assert (event.device_name, event.detail) == ("m1", "by the device itself")


async def test_a_field_is_taken_away_and_others_stay() -> None:
    registry = await with_device("colour", "site")
    await write(registry, fields={"colour": "red", "site": 1})
    assert (await write(registry, fields={"colour": None})).device.metadata == {"site": 1}


async def test_what_is_so_already_is_not_written() -> None:
    registry = await with_device("colour")
    first = await write(registry, fields={"colour": "red"})
    assert (await write(registry, fields={"colour": "red"})).device.version == first.device.version
    assert len(await changes(registry)) == 1


@pytest.mark.parametrize("name", ["size", "foreign", *sorted(RESERVED)])
async def test_what_is_not_its_own_to_set(name: str) -> None:
    registry = await with_device("gateway", "claimingAllowed", "foreign")
    refusal = await refused(registry, fields={name: True})
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "device.field")


@pytest.mark.parametrize("request_", [{"label": "x" * 1_025}, {"fields": {"colour": "x" * 20_000}}])
async def test_what_no_operator_could_set_either(request_: dict[str, object]) -> None:
    assert (await refused(await with_device("colour"), **request_)).reason is Reason.MALFORMED


async def test_a_device_that_is_gone_or_not_let_in() -> None:
    registry = await with_device("colour")
    answer = await read(registry)
    changed = msgspec.structs.replace(answer.device, enabled=False, version=answer.device.version + 1)
    await registry.repository.commit(Changes(replace=(changed,)))
    gone = Identity(DEFAULT_TENANT, DeviceId("gone"), "gone", CredentialId("c"))
    for identity in (answer.identity, gone):
        with pytest.raises(Refusal) as refusal:
            await ReadFields(registry.repository, registry.authenticate)(AskFields(identity), CONTEXT)
        assert refusal.value.check == "device.unknown"
    await registry.repository.commit(Changes(delete=(Delete(changed),)))


async def test_a_write_that_was_overtaken_is_decided_again() -> None:
    left = ATTEMPTS - 1

    def fault(changes: Changes) -> Exception | None:
        nonlocal left
        if not any(event.kind is EventKind.DEVICE_CHANGED for event in changes.events) or not left:
            return None
        left -= 1
        return Conflict(Guard.VERSION)

    registry = await with_device("colour")
    repository = registry.repository
    assert isinstance(repository, FaultyRepository)
    repository.fault = fault
    assert (await write(registry, fields={"colour": "red"})).device.metadata == {"colour": "red"}
    left = 99
    assert (await refused(registry, fields={"colour": "blue"})).check == "registry.conflict"
