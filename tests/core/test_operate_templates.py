"""What operators do with profiles as templates."""

from typing import Any

import pytest

from core.attestation import secret_row
from core.errors import Reason, Refusal
from core.limits import Buckets, Rate
from core.messages import ProvisionRequest, SharedSecret
from core.model import DEFAULT_TENANT, CredentialKind, DirectoryEntry, EntryId, EntryKind, EventKind, Strategy
from core.operate.directing import ChangeTemplate, CreateTemplate, ListTemplates, ShowTemplate
from core.operate.messages import Command
from core.ports import Changes
from core.provision import Provision
from tests.core.directing import LOGIN_CONTEXT, Reception


async def test_a_template_is_made_shown_and_changed() -> None:
    desk = Reception()
    command = CreateTemplate(
        name=" Lamps ", credential_kind=CredentialKind.X509_CERTIFICATE, attributes={"default": False, "maker": "Ann"}
    )
    made = await desk(command)
    profile = made.profile
    assert (profile.name, profile.strategy, profile.version) == ("Lamps", Strategy.DISABLED, 1)
    assert profile.credential_kind is CredentialKind.X509_CERTIFICATE
    assert profile.metadata == {"default": False, "maker": "Ann"}
    assert (made.fields, made.channels) == ((), ())
    assert await desk(ShowTemplate(profile.id)) == made
    changed = (await desk(ChangeTemplate(id=profile.id, version=1, name="Bulbs", attributes={"maker": "Bob"}))).profile
    assert (changed.name, changed.metadata, changed.version) == ("Bulbs", {"default": False, "maker": "Bob"}, 2)
    assert changed.provision_key == profile.provision_key
    assert (await desk(ChangeTemplate(id=profile.id))).profile.version == 3
    refusal = await desk.refused(ChangeTemplate(id=profile.id, version=2, name="x"))
    assert (refusal.reason, refusal.check) == (Reason.STALE, "version.mismatch")
    assert (await desk.last_event(EventKind.PROFILE_CREATED)).detail == "Lamps"
    first, second = await desk.events(EventKind.PROFILE_CHANGED)
    assert (first.detail, second.detail) == ("name, metadata", "")


async def test_a_template_lets_nobody_in() -> None:
    desk = Reception()
    profile = (await desk.template()).profile
    never = Buckets(Rate(0, 0))
    provision = Provision(desk.repository, desk.issuer, desk.audit, never, never)
    secret = desk.vault.open(profile.provision_secret, secret_row(profile.id))
    request = ProvisionRequest(evidence=SharedSecret(profile.provision_key, secret), device_name="lamp-1")
    with pytest.raises(Refusal) as caught:
        await provision(request, LOGIN_CONTEXT)
    assert caught.value.check == "profile.disabled"


@pytest.mark.parametrize(
    ("command", "check"),
    [
        (CreateTemplate(name="", credential_kind=CredentialKind.CLIENT_SECRET), "name.length"),
        (CreateTemplate(name="lamps", credential_kind=CredentialKind.CLIENT_SECRET), "profile_name"),
        (
            CreateTemplate(name="x", credential_kind=CredentialKind.CLIENT_SECRET, attributes={"x": "x" * 20_000}),
            "metadata.size",
        ),
        (ShowTemplate("lamps"), "profile.unknown"),
        (ShowTemplate("nothing"), "profile.unknown"),
        (ChangeTemplate(id="nothing", name="x"), "profile.unknown"),
    ],
)
async def test_what_cannot_be_is_refused(command: Command, check: str) -> None:
    desk = Reception()
    await desk.template("lamps")
    assert (await desk.refused(command)).check == check


@pytest.mark.parametrize("change", [{"name": " "}, {"name": "meters"}, {"attributes": {"x": "x" * 20_000}}])
async def test_a_change_that_cannot_be_changes_nothing(change: dict[str, Any]) -> None:
    desk = Reception()
    await desk.profile("meters")
    made = await desk.template()
    await desk.refused(ChangeTemplate(id=made.profile.id, **change))
    assert await desk(ShowTemplate(made.profile.id)) == made


async def test_a_template_carries_its_fields_and_channels_and_those_of_all() -> None:
    desk = Reception()
    lamps, bulbs = (await desk.template("lamps")).profile, (await desk.template("bulbs")).profile
    common = await desk.entry(EntryKind.DEVICE_FIELD, name="place")
    color = await desk.entry(EntryKind.DEVICE_FIELD, name="color", parent=lamps.id)
    channel = await desk.entry(EntryKind.CHANNEL_TEMPLATE, name="light", parent=bulbs.id)
    first, second = (await desk(ListTemplates())).items
    assert (first.profile.id, first.fields, first.channels) == (lamps.id, (common, color), ())
    assert (second.profile.id, second.fields, second.channels) == (bulbs.id, (common,), (channel,))


async def test_all_profiles_are_listed() -> None:
    desk = Reception()
    meters = await desk.profile("meters")
    lamps = (await desk.template("lamps")).profile
    page = await desk(ListTemplates(limit=1))
    assert ([each.profile.id for each in page.items], page.total, page.limit) == ([meters.id], 2, 1)
    page = await desk(ListTemplates(offset=1))
    assert ([each.profile.id for each in page.items], page.offset) == ([lamps.id], 1)
    assert [each.profile.id for each in (await desk(ListTemplates(descending=True))).items] == [lamps.id, meters.id]
    assert [each.profile.id for each in (await desk(ListTemplates(name="lamps"))).items] == [lamps.id]
    assert (await desk(ListTemplates(name="lamp"))).items == ()


async def test_entries_beyond_one_reading_are_all_there() -> None:
    desk = Reception()
    profiles = [(await desk.template(f"p{place}")).profile for place in range(12)]
    fields = [
        DirectoryEntry(
            id=EntryId(f"{profile.name} {place}"),
            tenant=DEFAULT_TENANT,
            kind=EntryKind.DEVICE_FIELD,
            name=f"f{place}",
            parent=profile.id,
            created_at=1,
            updated_at=1,
        )
        for profile in profiles
        for place in range(100)
    ]
    await desk.repository.commit(Changes(insert=tuple(fields)))
    assert [len(each.fields) for each in (await desk(ListTemplates())).items] == [100] * 12
