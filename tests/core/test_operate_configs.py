"""What operators do with configurations."""

import asyncio
from typing import Any

import pytest

from core.errors import Conflict, Guard, Reason
from core.messages import AccessToken, ClientCertificates
from core.model import DEFAULT_TENANT, ChannelId, EventKind, Role, Secret
from core.operate.clients import PROFILE
from core.operate.configs import CERTIFICATE_CHARACTERS, CHANNELS, CONTENT_CHARACTERS, TEXT_CHARACTERS
from core.operate.configuring import (
    ChangeConfig,
    CountedPage,
    CreateClients,
    CreateConfig,
    CreateTenant,
    DeleteChannel,
    DeleteClient,
    DeleteConfig,
    ListConfigs,
    ListPermitted,
    ListUnknown,
    NewClient,
    ShowClient,
    ShowConfig,
    ShownConfig,
)
from core.operate.messages import ChangeDevice, ReadCredentials, RevokeCredentials, ShowDevice, ShowProfile
from core.operate.results import Done
from tests.operating import Desk

CERTIFICATES = ClientCertificates("cert", Secret("key"), "ca")


async def test_a_configuration_brings_its_client_and_the_profile_of_clients() -> None:
    desk = Desk()
    channels = await desk.channels("control", "data")
    made = await desk.config(name="Pump 17", label="Client {id}", content="{}", certificates=CERTIFICATES, channels=channels)
    assert (made.device.name, made.device.label) == ("aa:bb", f"Client {made.device.id}")
    assert made.config.id == made.device.id
    assert made.secret is not None
    assert [channel.id for channel in made.channels] == list(channels)
    assert (made.config.active, made.config.version) == (False, 1)
    assert (await desk(ShowProfile(PROFILE))).id == made.device.profile
    assert await desk(ShowConfig(made.config.id)) == made
    event = await desk.last_event(EventKind.CONFIG_CREATED)
    assert (event.device, event.detail) == (made.device.id, "aa:bb")


async def test_nothing_of_a_configuration_that_is_secret_is_stored_in_clear() -> None:
    desk = Desk()
    made = await desk.config(content="content-text", certificates=CERTIFICATES)
    stored = repr(made.config)
    for secret in ("external key", "content-text", "'key'", "'cert'"):
        assert secret not in stored


async def test_a_client_that_exists_keeps_its_secret() -> None:
    desk = Desk()
    (client,) = await desk(CreateClients((NewClient(id="thing-1", secret=Secret("thing key")),)))
    made = await desk.config(client="thing-1")
    assert (made.device, made.secret) == (client.device, Secret("thing key"))


async def test_a_device_of_another_kind_is_given_a_client_secret() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    made = await desk.config(client=device.id)
    values = [shown.value for shown in (await desk(ReadCredentials(device.id))).items]
    assert isinstance(values[0], AccessToken)
    assert made.secret == values[1].secret


@pytest.mark.parametrize(("external_id", "named"), [("free", True), ("aa:bb", False), ("<a>", False)])
async def test_a_client_is_named_by_the_external_id_where_that_can_be(external_id: str, named: bool) -> None:
    desk = Desk()
    await desk.profile()
    await desk.device("aa:bb")
    made = await desk.config(external_id)
    assert made.device.name == (external_id if named else made.device.id)


@pytest.mark.parametrize(
    ("fields", "reason", "check"),
    [
        ({"client": "nobody"}, Reason.NOT_FOUND, "config.client_unknown"),
        ({"channels": ("nowhere",)}, Reason.MALFORMED, "config.channel_unknown"),
        ({"channels": ("",)}, Reason.MALFORMED, "config.channel_unknown"),
        ({"external_id": ""}, Reason.MALFORMED, "config.length"),
        ({"external_id": "x" * 256}, Reason.MALFORMED, "config.length"),
        ({"external_id": "a\x00"}, Reason.MALFORMED, "config.characters"),
        ({"external_key": Secret("")}, Reason.MALFORMED, "config.length"),
        ({"external_key": Secret("x" * (TEXT_CHARACTERS + 1))}, Reason.MALFORMED, "config.length"),
        ({"name": "x" * (TEXT_CHARACTERS + 1)}, Reason.MALFORMED, "config.length"),
        ({"label": "x" * (TEXT_CHARACTERS + 1)}, Reason.MALFORMED, "config.length"),
        ({"content": "x" * (CONTENT_CHARACTERS + 1)}, Reason.MALFORMED, "config.length"),
        ({"certificates": ClientCertificates(ca_cert="x" * (CERTIFICATE_CHARACTERS + 1))}, Reason.MALFORMED, "config.length"),
        ({"channels": ("c",) * (CHANNELS + 1)}, Reason.MALFORMED, "config.length"),
    ],
)
async def test_what_cannot_be_a_configuration_is_refused(fields: dict[str, Any], reason: Reason, check: str) -> None:
    desk = Desk()
    command = CreateConfig(**{"external_id": "aa:bb", "external_key": Secret("k"), **fields})
    refusal = await desk.refused(command)
    assert (refusal.reason, refusal.check) == (reason, check)


async def test_what_is_taken_is_refused_by_its_guard() -> None:
    desk = Desk()
    made = await desk.config(name="one", unique_name=True)
    again = await desk.refused(CreateConfig(external_id="aa:bb", external_key=Secret("k")))
    second = await desk.refused(CreateConfig(external_id="other", external_key=Secret("k"), client=made.device.id))
    named = await desk.refused(CreateConfig(external_id="other", external_key=Secret("k"), name="one", unique_name=True))
    assert [refusal.check for refusal in (again, second, named)] == ["external_id", "config_device", "config_name"]
    assert {refusal.reason for refusal in (again, second, named)} == {Reason.CONFLICT}
    await desk.config("other", name="one")
    assert (
        await desk.refused(ChangeConfig(id=made.device.id, name="", channels=("nowhere",)))
    ).check == "config.channel_unknown"


async def test_each_change_is_one_version_and_no_change_is_none() -> None:
    desk = Desk()
    one, two = await desk.channels("one", "two")
    identity = (await desk.config(channels=(one,))).config.id
    for fields, detail in (
        ({"name": "Pump"}, "name"),
        ({"content": "text"}, "content"),
        ({"certificates": CERTIFICATES}, "certificates"),
        ({"channels": (two, one, two)}, "channels"),
        ({"active": True}, "active"),
        ({"active": False}, "inactive"),
        ({"name": "", "content": ""}, "name, content"),
        ({"channels": ()}, "channels"),
    ):
        before = (await desk(ShowConfig(identity))).config.version
        after: ShownConfig = await desk(ChangeConfig(id=identity, **fields))
        assert after.config.version == before + 1
        assert (await desk.last_event(EventKind.CONFIG_CHANGED)).detail == f"aa:bb: {detail}"
        assert (await desk(ChangeConfig(id=identity, **fields))).config.version == before + 1
        assert await desk(ShowConfig(identity)) == after
    assert len(await desk.events(EventKind.CONFIG_CHANGED)) == 8


async def test_empty_channels_may_be_told_to_change_nothing() -> None:
    desk = Desk()
    (one,) = await desk.channels("one")
    identity = (await desk.config(channels=(one,))).config.id
    after = await desk(ChangeConfig(id=identity, channels=(), keep_channels_when_empty=True))
    assert [channel.id for channel in after.channels] == [one]


async def test_removal_leaves_the_client_and_the_external_id_is_free_again() -> None:
    desk = Desk()
    made = await desk.config()
    assert await desk(DeleteConfig(id=made.config.id)) == Done()
    assert await desk(DeleteConfig(id=made.config.id, missing_ok=True)) == Done()
    assert (await desk.refused(DeleteConfig(id=made.config.id))).check == "config.unknown"
    assert (await desk.refused(ShowConfig(made.config.id))).check == "config.unknown"
    assert (await desk.refused(ChangeConfig(id=made.config.id, name="x"))).check == "config.unknown"
    assert (await desk(ShowClient(made.device.id))).device == made.device
    assert (await desk.config()).device.id != made.device.id
    assert (await desk.last_event(EventKind.CONFIG_DELETED)).device == made.device.id


async def test_any_other_refusal_of_a_removal_is_told() -> None:
    desk = Desk()
    made = await desk.config()
    desk.repository.failures = [Conflict(Guard.VERSION)] * 200
    assert (await desk.refused(DeleteConfig(id=made.config.id, missing_ok=True))).check == "version"


async def test_pages_count_and_filter() -> None:
    desk = Desk()
    made = [await desk.config(f"ext-{number}", name=f"Pump {number}") for number in range(3)]
    await desk(ChangeConfig(id=made[1].config.id, active=True, certificates=CERTIFICATES))

    async def ids(**filters: Any) -> list[str]:
        page: CountedPage[ShownConfig] = await desk(ListConfigs(**filters))
        return [shown.config.external_id for shown in page.items]

    page = await desk(ListConfigs(offset=1, limit=1))
    assert ([shown.config.external_id for shown in page.items], page.total, page.offset, page.limit) == (["ext-1"], 3, 1, 1)
    assert await ids(after=made[0].config.id) == ["ext-1", "ext-2"]
    assert await ids(active=True) == ["ext-1"]
    assert await ids(name="PUMP 2") == ["ext-2"]
    assert await ids(external_id="ext-0") == ["ext-0"]
    assert await ids(id=made[2].config.id) == ["ext-2"]
    assert await ids(secret=made[2].secret) == ["ext-2"]
    assert await ids(client_key=Secret("key")) == ["ext-1"]
    assert await ids(client_key=Secret("other")) == []


async def test_who_reads_secrets_is_recorded_and_an_auditor_does_not_see_them() -> None:
    desk = Desk()
    made = await desk.config(content="text", certificates=CERTIFICATES)
    await desk(ShowConfig(made.config.id))
    await desk(ListConfigs())
    assert [event.detail for event in await desk.events(EventKind.CREDENTIAL_READ)] == ["aa:bb", "1 configurations"]
    (closed,) = (await desk(ListConfigs(opened=False))).items
    assert (closed.secret, closed.content) == (None, "")
    auditor = await desk.token(Role.AUDITOR)
    (listed,) = (await desk(ListConfigs(), auditor)).items
    for shown in (await desk(ShowConfig(made.config.id), auditor), listed):
        assert (shown.secret, shown.external_key, shown.content) == (None, Secret(""), "")
        assert shown.certificates == ClientCertificates()
    assert (await desk(ShowClient(made.device.id), auditor)).secret is None
    assert len(await desk.events(EventKind.CREDENTIAL_READ)) == 2
    assert (await desk.refused(ChangeConfig(id=made.config.id, active=True), auditor)).check == "role"


async def test_another_tenant_neither_sees_nor_touches_a_configuration() -> None:
    desk = Desk()
    made = await desk.config()
    await desk(CreateTenant(id="other", name="Other"))
    assert (await desk.refused(ShowConfig(made.config.id), tenant="other")).check == "config.unknown"
    assert await desk(DeleteConfig(id=made.config.id, missing_ok=True), tenant="other") == Done()
    assert (await desk(ListConfigs(), tenant="other")).total == 0
    taken = await desk.refused(CreateConfig(external_id="aa:bb", external_key=Secret("k")), tenant="other")
    assert taken.check == "external_id"
    assert (await desk(ShowConfig(made.config.id))) == made


async def test_a_device_may_use_all_channels_or_none_and_the_answer_changes_at_once() -> None:
    desk = Desk()
    one, two, three = await desk.channels("one", "two", "three")
    made = await desk.config(channels=(one, two))
    identity = made.config.id

    async def usable() -> list[str]:
        listed = [channel.id for channel in await desk(ListPermitted(identity))]
        for channel in (one, two, three):
            assert await desk.permit.channel(DEFAULT_TENANT, identity, ChannelId(channel)) == (channel in listed)
        return listed

    assert await usable() == []
    await desk(ChangeConfig(id=identity, active=True))
    assert await usable() == [one, two]
    await desk(ChangeConfig(id=identity, channels=(three, one)))
    assert await usable() == [three, one]
    await desk(DeleteChannel(id=three))
    assert [channel.id for channel in await desk(ListPermitted(identity))] == [one]
    await desk(ChangeDevice(ref=identity, enabled=False))
    assert [channel.id for channel in await desk(ListPermitted(identity))] == []
    await desk(ChangeDevice(ref=identity, enabled=True))
    await desk(RevokeCredentials(identity))
    assert [channel.id for channel in await desk(ListPermitted(identity))] == []
    await desk(DeleteConfig(id=identity))
    assert [channel.id for channel in await desk(ListPermitted(identity))] == []
    assert not await desk.permit.channel(DEFAULT_TENANT, identity, ChannelId(one))
    assert (await desk.refused(ListPermitted("nobody"))).check == "device.unknown"


async def test_with_the_client_goes_its_configuration() -> None:
    desk = Desk()
    made = await desk.config()
    await desk(DeleteClient(id=made.device.id))
    assert (await desk.refused(ShowConfig(made.config.id))).check == "config.unknown"
    assert (await desk.refused(ShowDevice(made.device.id))).check == "device.unknown"


async def test_fifty_writers_lose_no_update_and_versions_only_grow() -> None:
    desk = Desk()
    channels = await desk.channels(*map(str, range(50)))
    identity = (await desk.config()).config.id

    async def write(number: int) -> ShownConfig:
        await asyncio.sleep(0)
        shown: ShownConfig = await desk(ChangeConfig(id=identity, content=f"writer {number}", channels=(channels[number],)))
        return shown

    written = await asyncio.gather(*map(write, range(50)))
    versions = sorted(shown.config.version for shown in written)
    assert versions == list(range(2, 52))
    last = max(written, key=lambda shown: shown.config.version)
    assert await desk(ShowConfig(identity)) == last


async def test_unknown_ids_are_listed() -> None:
    desk = Desk()
    assert await desk(ListUnknown()) == ()


async def test_a_name_that_is_taken_meanwhile_gives_way_to_the_id() -> None:
    desk = Desk()
    await desk.config("first")
    desk.repository.failures = [Conflict(Guard.DEVICE_NAME)]
    assert (await desk.config("second")).device.name == "second"
