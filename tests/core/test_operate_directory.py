"""What operators do with the directory: organisations, users, fields and channels."""

import asyncio
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Reason, Refusal
from core.model import DEFAULT_TENANT, EntryKind, EventKind, Role, Secret, TenantId
from core.operate.access import Actor
from core.operate.directing import ChangeEntry, CreateEntry, DeleteEntry, EditDevice, ListEntries, ShowEntry
from core.operate.directory import Directory, own_organization
from core.operate.entry_places import DEPTH, OF_A_KIND
from core.operate.entry_search import VALUES
from core.operate.messages import Command
from core.operate.registry import Registry, Scope
from core.ports import Changes, Delete
from tests.core.directing import LOGIN_CONTEXT, PASSWORD, Reception

OWN = own_organization(DEFAULT_TENANT)
ORGANIZATION = EntryKind.ORGANIZATION


def test_the_own_organization_has_an_id_of_the_usual_form() -> None:
    assert OWN == own_organization(TenantId("default")) != own_organization(TenantId("acme"))
    assert [len(part) for part in OWN.split("-")] == [8, 4, 4, 4, 12]
    assert OWN[14] == OWN[19] == "8"
    assert OWN.lower() == OWN


async def test_an_organization_is_made_shown_changed_and_removed() -> None:
    desk = Reception()
    template = await desk.entry(EntryKind.ORGANIZATION_TEMPLATE, name="site")
    north = await desk.organization(" North ", parent=OWN, template=template.id, attributes={"city": "Oslo", "floor": 1})
    assert (north.name, north.parent, north.template, north.version) == ("North", "", template.id, 1)
    assert await desk(ShowEntry(kind=ORGANIZATION, id=north.id)) == north
    changed = await desk(
        ChangeEntry(kind=ORGANIZATION, id=north.id, version=1, name="Far north", attributes={"floor": None, "new": [1]})
    )
    assert (changed.name, changed.version, changed.created_at) == ("Far north", 2, north.created_at)
    assert changed.attributes == {"city": "Oslo", "floor": None, "new": [1]}
    assert changed.updated_at > north.updated_at
    again = await desk(ChangeEntry(kind=ORGANIZATION, id=north.id))
    assert again.version == 3
    assert await desk(DeleteEntry(kind=ORGANIZATION, id=north.id, version=3)) == again
    assert (await desk.refused(ShowEntry(kind=ORGANIZATION, id=north.id))).reason is Reason.NOT_FOUND
    assert (await desk.last_event(EventKind.ENTRY_CREATED)).detail == f"organization {north.id} North"
    first, second = await desk.events(EventKind.ENTRY_CHANGED)
    assert first.detail == f"organization {north.id} Far north: name, attributes"
    assert second.detail == f"organization {north.id} Far north"
    assert (await desk.last_event(EventKind.ENTRY_DELETED)).actor == "admin"


async def test_only_what_was_seen_is_changed_or_removed() -> None:
    desk = Reception()
    north = await desk.organization()
    await desk(ChangeEntry(kind=ORGANIZATION, id=north.id, name="South"))
    commands: tuple[Command, ...] = (
        ChangeEntry(kind=ORGANIZATION, id=north.id, version=1, name="East"),
        DeleteEntry(kind=ORGANIZATION, id=north.id, version=1),
        DeleteEntry(kind=ORGANIZATION, id=north.id, version=0),
    )
    for command in commands:
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.STALE, "version.mismatch")
    assert (await desk(ShowEntry(kind=ORGANIZATION, id=north.id))).name == "South"


async def test_who_is_overtaken_between_reading_and_writing_decides_again() -> None:
    desk = Reception()
    north = await desk.organization()
    rival = msgspec.structs.replace(north, name="Rival", version=2)
    desk.repository.overtaking.append(Changes(replace=(rival,)))
    refusal = await desk.refused(ChangeEntry(kind=ORGANIZATION, id=north.id, version=1, name="Mine"))
    assert (refusal.reason, refusal.check) == (Reason.STALE, "version.mismatch")
    desk.repository.overtaking.append(Changes(replace=(msgspec.structs.replace(rival, name="Again", version=3),)))
    after = await desk(ChangeEntry(kind=ORGANIZATION, id=north.id, attributes={"floor": 1}))
    assert (after.name, after.attributes, after.version) == ("Again", {"floor": 1}, 4)


async def test_of_many_who_saw_the_same_one_alone_changes_it() -> None:
    desk = Reception()
    north = await desk.organization()
    commands = [ChangeEntry(kind=ORGANIZATION, id=north.id, version=1, name=f"N{place}") for place in range(20)]
    found = await asyncio.gather(*(desk(command) for command in commands), return_exceptions=True)
    lost = [each for each in found if isinstance(each, Refusal)]
    assert len(lost) == 19
    assert {each.check for each in lost} == {"version.mismatch"}
    assert (await desk(ShowEntry(kind=ORGANIZATION, id=north.id))).version == 2


async def test_those_who_looked_at_nothing_all_change_it() -> None:
    desk = Reception()
    north = await desk.organization()
    commands = [ChangeEntry(kind=ORGANIZATION, id=north.id, attributes={f"m{place}": place}) for place in range(20)]
    await asyncio.gather(*map(desk, commands))
    shown = await desk(ShowEntry(kind=ORGANIZATION, id=north.id))
    assert (shown.version, len(shown.attributes)) == (21, 20)


async def test_the_own_organization_is_there_and_stays() -> None:
    desk = Reception()
    own = await desk(ShowEntry(kind=ORGANIZATION, id=OWN))
    assert (own.id, own.name, own.parent, own.version) == (OWN, DEFAULT_TENANT, "", 1)
    for command in (ChangeEntry(kind=ORGANIZATION, id=OWN, name="x"), DeleteEntry(kind=ORGANIZATION, id=OWN)):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "entry.own")
    assert (await desk.refused(ShowEntry(kind=EntryKind.END_USER, id=OWN))).check == "entry.unknown"


@pytest.mark.parametrize("descending", [False, True])
async def test_the_own_organization_is_listed_as_the_oldest(descending: bool) -> None:
    desk = Reception()
    expected = [OWN] + [(await desk.organization(f"o{place}")).id for place in range(4)]
    if descending:
        expected.reverse()
    for limit in range(7):
        for offset in range(7):
            page = await desk(ListEntries(kind=ORGANIZATION, offset=offset, limit=limit, descending=descending))
            assert [each.id for each in page.items] == expected[offset : offset + limit]
            assert (page.total, page.offset, page.limit) == (5, offset, limit)


async def test_entries_are_filtered() -> None:
    desk = Reception()
    north = await desk.organization()
    below = await desk.organization("Below", parent=north.id)
    ann = await desk.user(parent=below.id)
    top = await desk(ListEntries(kind=ORGANIZATION, parents=(OWN,)))
    assert [each.id for each in top.items] == [north.id]
    assert [each.id for each in (await desk(ListEntries(kind=ORGANIZATION, parents=(north.id,)))).items] == [below.id]
    assert [each.id for each in (await desk(ListEntries(kind=ORGANIZATION, name="default"))).items] == [OWN]
    assert [each.id for each in (await desk(ListEntries(kind=ORGANIZATION, name="Below"))).items] == [below.id]
    assert (await desk(ListEntries(kind=ORGANIZATION, parents=()))).total == 0
    assert (await desk(ListEntries(kind=EntryKind.ACCOUNT_USER))).items == (ann,)
    assert (await desk(ListEntries(kind=EntryKind.END_USER))).total == 0


async def test_entries_are_found_by_id_and_template() -> None:
    desk = Reception()
    site = await desk.entry(EntryKind.ORGANIZATION_TEMPLATE, name="site")
    north = await desk.organization("North", template=site.id)
    below = await desk.organization("Below", parent=north.id)
    other = await desk.organization("Other", template=site.id)
    ann = await desk.user(parent=below.id)

    async def found(**filters: Any) -> list[str]:
        page = await desk(ListEntries(**{"kind": ORGANIZATION} | filters))
        assert page.total == len(page.items)
        return [each.id for each in page.items]

    assert await found(template=site.id) == [north.id, other.id]
    assert await found(template="") == [OWN, below.id]
    assert await found(template=site.id, name="Other", descending=True) == [other.id]
    assert await found(template="nothing") == []
    assert await found(ids=(other.id, "nobody", OWN, north.id, other.id, ann.id)) == [OWN, north.id, other.id]
    assert await found(ids=(other.id, OWN), descending=True) == [other.id, OWN]
    assert await found(ids=(other.id, OWN), parents=(OWN,)) == [other.id]
    assert await found(ids=(other.id, below.id, OWN), template=site.id) == [other.id]
    assert await found(ids=(below.id, OWN), name="default") == [OWN]
    assert await found(ids=()) == []
    assert await found(kind=EntryKind.ACCOUNT_USER, ids=(ann.id,)) == [ann.id]
    assert await found(kind=EntryKind.END_USER, ids=(ann.id, OWN)) == []
    page = await desk(ListEntries(kind=ORGANIZATION, ids=(OWN, north.id, below.id), offset=1, limit=1))
    assert ([each.id for each in page.items], page.total, page.offset, page.limit) == ([north.id], 3, 1, 1)
    assert await desk.events(EventKind.REQUEST_REFUSED) == ()


@pytest.mark.parametrize("name", ["ids", "parents"])
async def test_a_list_is_by_so_many_values_and_no_more(name: str) -> None:
    desk = Reception()
    most: dict[str, Any] = {name: ("x",) * VALUES}
    assert (await desk(ListEntries(kind=ORGANIZATION, **most))).total == 0
    more: dict[str, Any] = {name: ("x",) * (VALUES + 1)}
    refusal = await desk.refused(ListEntries(kind=ORGANIZATION, **more))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "entry.filters")


@pytest.mark.parametrize("within", [True, False])
async def test_a_customer_finds_itself_and_its_organization(within: bool) -> None:
    desk = Reception()
    north = await desk.organization("North")
    home = north.id if within else OWN
    ann = await desk.user("ann@example.com", Role.CUSTOMER, parent=home)
    bob = await desk.user("bob@example.com", Role.CUSTOMER, parent=home)
    eve = await desk.user("eve@example.com", Role.OPERATOR, parent=home)
    template = await desk.entry(EntryKind.END_USER_TEMPLATE, name="people")
    bearer = (await desk.open("ann@example.com")).token
    known = {ann.id: EntryKind.END_USER, home: ORGANIZATION}
    for identity in (ann.id, bob.id, eve.id, north.id, OWN, template.id, "nobody", ""):
        for kind in EntryKind:
            command = ShowEntry(kind=kind, id=identity)
            if known.get(identity) is kind:
                assert (await desk(command, bearer)).id == identity
                continue
            refusal = await desk.refused(command, bearer)
            assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "entry.unknown")
    for kind in EntryKind:
        expected = [identity for identity, what in known.items() if what is kind]
        for ids in (None, (ann.id, bob.id, eve.id, north.id, OWN)):
            page = await desk(ListEntries(kind=kind, ids=ids), bearer)
            assert ([each.id for each in page.items], page.total) == (expected, len(expected))
        assert (await desk(ListEntries(kind=kind, ids=(bob.id, template.id, "nobody")), bearer)).items == ()
    by_parent = await desk(ListEntries(kind=EntryKind.END_USER, parents=(home,)), bearer)
    assert [each.id for each in by_parent.items] == [ann.id]
    for parent in (north.id, OWN):
        assert (await desk(ListEntries(kind=ORGANIZATION, parents=(parent,)), bearer)).total == (within and parent == OWN)
    assert (await desk(ListEntries(kind=EntryKind.END_USER, name="Bob"), bearer)).total == 0


async def test_what_a_customer_belongs_to_stays() -> None:
    desk = Reception()
    north = await desk.organization("North")
    await desk.user("ann@example.com", Role.CUSTOMER, parent=north.id)
    bearer = (await desk.open("ann@example.com")).token
    with pytest.raises(Conflict, match="reference"):
        await desk.repository.commit(Changes(delete=(Delete(north),)))
    assert (await desk(ListEntries(kind=ORGANIZATION), bearer)).items == (north,)


async def test_an_organization_that_is_in_use_stays() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    for kind in (ORGANIZATION, EntryKind.END_USER, EntryKind.ACCOUNT_USER):
        north = await desk.organization()
        used = await desk.entry(kind, name="x", parent=north.id)
        refusal = await desk.refused(DeleteEntry(kind=ORGANIZATION, id=north.id))
        assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "entry.in_use")
        await desk(ChangeEntry(kind=kind, id=used.id, parent=OWN))
        await desk(DeleteEntry(kind=ORGANIZATION, id=north.id))
    north = await desk.organization()
    await desk(EditDevice(id=device.id, owner=north.id))
    assert (await desk.refused(DeleteEntry(kind=ORGANIZATION, id=north.id))).check == "entry.in_use"


async def test_no_organization_is_within_itself() -> None:
    desk = Reception()
    chain = [await desk.organization("0")]
    for place in range(DEPTH + 1):
        chain.append(await desk.organization(str(place + 1), parent=chain[-1].id))
    for inner in (0, 1, 5, DEPTH):
        refusal = await desk.refused(ChangeEntry(kind=ORGANIZATION, id=chain[0].id, parent=chain[inner].id))
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "entry.circle")
    spare = await desk.organization()
    assert (await desk.refused(ChangeEntry(kind=ORGANIZATION, id=spare.id, parent=chain[-1].id))).check == "entry.circle"
    moved = await desk(ChangeEntry(kind=ORGANIZATION, id=spare.id, parent=chain[3].id))
    assert moved.parent == chain[3].id


async def test_what_is_above_stays() -> None:
    desk = Reception()
    above = await desk.organization()
    inner = await desk.organization(parent=above.id)
    spare = await desk.organization()
    with pytest.raises(Conflict, match="reference"):
        await desk.repository.commit(Changes(delete=(Delete(above),)))
    assert (await desk(ChangeEntry(kind=ORGANIZATION, id=spare.id, parent=inner.id))).parent == inner.id


async def test_fields_and_channels_belong_to_a_profile_or_to_all() -> None:
    desk = Reception()
    profile = (await desk.template()).profile
    field = await desk.entry(EntryKind.DEVICE_FIELD, name="color", parent=profile.id, attributes={"fieldType": "string"})
    assert field.parent == profile.id
    common = await desk.entry(EntryKind.DEVICE_FIELD, name="color")
    assert common.parent == ""
    refusal = await desk.refused(CreateEntry(kind=EntryKind.DEVICE_FIELD, name="color", parent=profile.id))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "entry.name_taken")
    other = await desk.entry(EntryKind.DEVICE_FIELD, name="size", parent=profile.id)
    changes: tuple[dict[str, Any], ...] = ({"name": "color"}, {"name": "color", "parent": ""})
    for change in changes:
        refusal = await desk.refused(ChangeEntry(kind=EntryKind.DEVICE_FIELD, id=other.id, **change))
        assert refusal.check == "entry.name_taken"
    same = await desk(ChangeEntry(kind=EntryKind.DEVICE_FIELD, id=other.id, name=" size "))
    assert same.name == "size"
    assert (await desk(ChangeEntry(kind=EntryKind.DEVICE_FIELD, id=other.id, name="length"))).name == "length"
    assert (await desk(ChangeEntry(kind=EntryKind.DEVICE_FIELD, id=other.id, parent=""))).parent == ""
    channel = await desk.entry(EntryKind.CHANNEL_TEMPLATE, name="_set/fields", parent=profile.id)
    assert channel.name == "_set/fields"
    for parent in (profile.name, "nowhere"):
        refusal = await desk.refused(CreateEntry(kind=EntryKind.CHANNEL_TEMPLATE, name="x", parent=parent))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "profile.unknown")


async def test_a_profile_has_so_many_channels_and_no_more() -> None:
    desk = Reception()
    profile = (await desk.template()).profile
    for place in range(OF_A_KIND):
        last = await desk.entry(EntryKind.CHANNEL_TEMPLATE, name=f"c{place}", parent=profile.id)
    refusal = await desk.refused(CreateEntry(kind=EntryKind.CHANNEL_TEMPLATE, name="x", parent=profile.id))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "entry.count")
    common = await desk.entry(EntryKind.CHANNEL_TEMPLATE, name="x")
    moved = ChangeEntry(kind=EntryKind.CHANNEL_TEMPLATE, id=common.id, parent=profile.id)
    assert (await desk.refused(moved)).check == "entry.count"
    assert (await desk(ChangeEntry(kind=EntryKind.CHANNEL_TEMPLATE, id=last.id, name="y"))).name == "y"


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"kind": ORGANIZATION}, "entry.length"),
        ({"kind": ORGANIZATION, "name": "  "}, "entry.length"),
        ({"kind": ORGANIZATION, "name": "x" * 256}, "entry.length"),
        ({"kind": ORGANIZATION, "name": "a\nb"}, "entry.characters"),
        ({"kind": EntryKind.CHANNEL_TEMPLATE, "name": "a/+/b"}, "entry.characters"),
        ({"kind": EntryKind.CHANNEL_TEMPLATE, "name": "#"}, "entry.characters"),
        ({"kind": ORGANIZATION, "name": "x", "login": "a@b"}, "entry.user"),
        ({"kind": ORGANIZATION, "name": "x", "role": Role.ADMIN}, "entry.user"),
        ({"kind": ORGANIZATION, "name": "x", "password": PASSWORD}, "entry.user"),
        ({"kind": ORGANIZATION, "name": "x", "template": "nowhere"}, "entry.unknown"),
        ({"kind": ORGANIZATION, "name": "x", "parent": "nowhere"}, "entry.unknown"),
        ({"kind": ORGANIZATION, "name": "x", "attributes": {"x": "x" * 20_000}}, "metadata.size"),
        ({"kind": EntryKind.ORGANIZATION_TEMPLATE, "name": "x", "parent": OWN}, "entry.parent"),
        ({"kind": EntryKind.ACCOUNT_USER, "template": "x"}, "entry.template"),
        ({"kind": EntryKind.ACCOUNT_USER, "login": "x" * 256}, "entry.length"),
        ({"kind": EntryKind.ACCOUNT_USER, "login": "a\x00b"}, "entry.characters"),
        ({"kind": EntryKind.ACCOUNT_USER, "login": "ADMIN"}, "entry.login"),
        ({"kind": EntryKind.ACCOUNT_USER, "password": PASSWORD}, "entry.login"),
        ({"kind": EntryKind.ACCOUNT_USER, "login": "a@b", "password": Secret("1234567")}, "password.length"),
        ({"kind": EntryKind.ACCOUNT_USER, "login": "a@b", "password": Secret("1234567\n8")}, "password.characters"),
        ({"kind": EntryKind.END_USER, "role": Role.OPERATOR}, "entry.role"),
    ],
)
async def test_what_cannot_be_is_refused(fields: dict[str, Any], check: str) -> None:
    desk = Reception()
    refusal = await desk.refused(CreateEntry(**fields))
    assert refusal.check == check
    assert refusal.reason is (Reason.NOT_FOUND if check == "entry.unknown" else Reason.MALFORMED)
    assert (await desk(ListEntries(kind=fields["kind"]))).total == (1 if fields["kind"] is ORGANIZATION else 0)


async def test_a_login_is_one_user_s_whatever_its_case() -> None:
    desk = Reception()
    ann = await desk.user(" Ann@Example.COM ")
    assert ann.login == "ann@example.com"
    refusal = await desk.refused(CreateEntry(kind=EntryKind.END_USER, login="ANN@example.com"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "entry_login")
    bob = await desk.entry(EntryKind.END_USER, login="bob@example.com", template="")
    assert bob.role is Role.CUSTOMER
    refusal = await desk.refused(ChangeEntry(kind=EntryKind.END_USER, id=bob.id, login="ann@example.com"))
    assert refusal.check == "entry_login"
    assert (await desk(ChangeEntry(kind=EntryKind.END_USER, id=bob.id, login=""))).login == ""
    refusal = await desk.refused(ChangeEntry(kind=EntryKind.ACCOUNT_USER, id=ann.id, login=""))
    assert refusal.check == "entry.login"


async def test_users_who_may_give_commands_are_the_admin_s_to_write() -> None:
    desk = Reception()
    operator = await desk.token(Role.OPERATOR)
    boss = await desk.user("boss@example.com", Role.ADMIN)
    plain = await desk(CreateEntry(kind=EntryKind.ACCOUNT_USER, login="plain@example.com"), operator)
    guest = await desk(CreateEntry(kind=EntryKind.END_USER, login="guest@example.com"), operator)
    account = EntryKind.ACCOUNT_USER
    commands: tuple[Command, ...] = (
        CreateEntry(kind=account, login="me@example.com", role=Role.FACTORY),
        CreateEntry(kind=account, login="me@example.com", password=PASSWORD),
        CreateEntry(kind=EntryKind.END_USER, login="me@example.com", password=PASSWORD),
        ChangeEntry(kind=account, id=boss.id, name="x"),
        ChangeEntry(kind=account, id=boss.id, password=PASSWORD),
        ChangeEntry(kind=account, id=plain.id, role=Role.AUDITOR),
        ChangeEntry(kind=account, id=plain.id, password=PASSWORD),
        ChangeEntry(kind=EntryKind.END_USER, id=guest.id, password=PASSWORD),
        DeleteEntry(kind=account, id=boss.id),
    )
    for command in commands:
        refusal = await desk.refused(command, operator)
        assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "role.users")
    assert (await desk(ChangeEntry(kind=account, id=plain.id, name="Plain"), operator)).name == "Plain"
    assert (await desk(ChangeEntry(kind=EntryKind.END_USER, id=guest.id, name="Guest"), operator)).name == "Guest"
    await desk(DeleteEntry(kind=account, id=plain.id), operator)
    promoted = await desk(ChangeEntry(kind=account, id=boss.id, role=Role.FACTORY, password=Secret("another password")))
    assert (promoted.role, promoted.verifier != boss.verifier) == (Role.FACTORY, True)
    event = await desk.last_event(EventKind.ENTRY_CHANGED)
    assert event.detail == f"account_user {boss.id}: role, password"


async def test_a_tenant_that_is_not_there_has_no_organization() -> None:
    desk = Reception()
    directory = Directory(Registry(desk.repository, desk.issuer, desk.audit))
    nowhere = TenantId("nowhere")
    scope = Scope(nowhere, LOGIN_CONTEXT, Actor("admin", Role.ADMIN, nowhere))
    with pytest.raises(Refusal) as caught:
        await directory.list(ListEntries(kind=ORGANIZATION), scope)
    assert caught.value.check == "tenant.unknown"


async def test_no_password_is_in_what_is_kept_or_printed() -> None:
    desk = Reception()
    ann = await desk.user()
    seen = [repr(ann), *map(repr, await desk.events()), repr(CreateEntry(kind=EntryKind.ACCOUNT_USER, password=PASSWORD))]
    assert not [line for line in seen if PASSWORD.reveal() in line]
