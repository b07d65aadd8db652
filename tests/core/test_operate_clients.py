"""What operators do with tenants, channels and clients, and how a client logs in."""

from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import ClientSecret, Report
from core.model import DEFAULT_TENANT, DeviceState, EventKind, Secret
from core.operate.channels import NAME_CHARACTERS
from core.operate.clients import AT_ONCE, PROFILE
from core.operate.configuring import (
    ChangeChannel,
    ChangeClient,
    CreateChannels,
    CreateClients,
    CreateTenant,
    DeleteChannel,
    DeleteClient,
    ListChannels,
    ListClients,
    ListTenants,
    NewChannel,
    NewClient,
    ShowChannel,
    ShowClient,
    ShowConfig,
)
from core.operate.messages import (
    ChangeDevice,
    DefineDevice,
    ListDevices,
    ProposedSecret,
    ReadCredentials,
    RotateCredentials,
    ShowDevice,
)
from core.operate.results import Done
from core.operate.values import LABEL_CHARACTERS
from core.ports import Changes
from core.queries import DeviceQuery
from core.report import TakeReport
from tests.operating import DEVICE_CONTEXT, Desk


async def test_a_tenant_is_made_under_an_id_of_its_own_or_a_drawn_one() -> None:
    desk = Desk()
    chosen = await desk(CreateTenant(id="factory-1", name=" Factory "))
    drawn = await desk(CreateTenant(name="Other"))
    assert (chosen.id, chosen.name) == ("factory-1", "Factory")
    page = await desk(ListTenants(limit=2))
    assert len(page.items) == 2
    rest = await desk(ListTenants(after=page.next))
    assert {tenant.id for tenant in (*page.items, *rest.items)} == {DEFAULT_TENANT, chosen.id, drawn.id}


@pytest.mark.parametrize(
    ("identity", "reason", "check"),
    [
        ("a b", Reason.MALFORMED, "tenant.id"),
        ("x" * 37, Reason.MALFORMED, "tenant.id"),
        ("a/b", Reason.MALFORMED, "tenant.id"),
        ("things", Reason.CONFLICT, "tenant.id_reserved"),
        ("default", Reason.CONFLICT, "tenant_id"),
    ],
)
async def test_some_ids_no_tenant_may_have(identity: str, reason: Reason, check: str) -> None:
    refusal = await Desk().refused(CreateTenant(id=identity, name="x"))
    assert (refusal.reason, refusal.check) == (reason, check)


async def test_channels_are_made_listed_changed_and_removed() -> None:
    desk = Desk()
    made = await desk(CreateChannels((NewChannel(id="c-1", name="up", metadata={"type": "data"}), NewChannel())))
    assert (made[0].id, made[0].name, made[0].metadata) == ("c-1", "up", {"type": "data"})
    assert len(made[1].id) == 36
    assert await desk(ShowChannel("c-1")) == made[0]
    page = await desk(ListChannels(limit=1))
    assert (len(page.items), page.total) == (1, 2)
    assert [each.id for each in (await desk(ListChannels(name="U"))).items] == ["c-1"]
    assert (await desk(ListChannels(after=page.items[0].id))).items != page.items
    changed = await desk(ChangeChannel(id="c-1", name="down"))
    assert (changed.name, changed.metadata, changed.version) == ("down", {"type": "data"}, 2)
    assert (await desk(ChangeChannel(id="c-1", name="down"))).version == 2
    assert (await desk(ChangeChannel(id="c-1", metadata={}))).metadata == {}
    assert await desk(DeleteChannel(id="c-1")) == Done()
    assert await desk(DeleteChannel(id="c-1", missing_ok=True)) == Done()
    for command in (DeleteChannel(id="c-1"), ShowChannel("c-1"), ChangeChannel(id="c-1", name="x")):
        assert (await desk.refused(command)).check == "channel.unknown"
    kinds = [event.kind for event in await desk.events() if event.kind.value.startswith("channel.")]
    assert kinds.count(EventKind.CHANNEL_CREATED) == 2
    assert (await desk.last_event(EventKind.CHANNEL_CHANGED)).detail == "c-1 down"
    assert (await desk.last_event(EventKind.CHANNEL_DELETED)).detail == "c-1 down"


@pytest.mark.parametrize(
    ("command", "check"),
    [
        (CreateChannels((NewChannel(),) * 1001), "channel.count"),
        (CreateChannels((NewChannel(id="x" * 256),)), "channel.length"),
        (CreateChannels((NewChannel(name="x" * (NAME_CHARACTERS + 1)),)), "channel.length"),
        (CreateChannels((NewChannel(metadata={"x": "x" * 20_000}),)), "metadata.size"),
        (ChangeChannel(id="c", name="x" * (NAME_CHARACTERS + 1)), "channel.length"),
        (CreateChannels((NewChannel(id="taken"),)), "channel.id_taken"),
        (CreateChannels((NewChannel(id="twice"), NewChannel(id="twice"))), "channel.id_taken"),
        (CreateClients((NewClient(),) * (AT_ONCE + 1)), "client.count"),
        (CreateClients((NewClient(id="x" * 256),)), "client.length"),
        (CreateClients((NewClient(secret=Secret("")),)), "client.length"),
        (CreateClients((NewClient(label="x" * (LABEL_CHARACTERS + 1)),)), "client.length"),
        (CreateClients((NewClient(metadata={"x": "x" * 20_000}),)), "metadata.size"),
        (CreateClients((NewClient(id="thing-1"),)), "client.id_taken"),
        (CreateClients((NewClient(secret=Secret("thing key")),)), "credential_lookup"),
        (ChangeClient(id="thing-1", label="x" * (LABEL_CHARACTERS + 1)), "client.length"),
        (ChangeClient(id="nobody"), "client.unknown"),
        (ShowClient("nobody"), "client.unknown"),
        (DeleteClient(id="nobody"), "client.unknown"),
    ],
)
async def test_what_cannot_be_is_refused(command: Any, check: str) -> None:
    desk = Desk()
    await desk(CreateChannels((NewChannel(id="taken"),)))
    await desk(CreateClients((NewClient(id="thing-1", secret=Secret("thing key")),)))
    assert (await desk.refused(command)).check == check


async def test_any_other_refusal_of_a_removal_is_told() -> None:
    desk = Desk()
    await desk(CreateChannels((NewChannel(id="c"),)))
    await desk(CreateClients((NewClient(id="t"),)))
    for command in (DeleteChannel(id="c", missing_ok=True), DeleteClient(id="t", missing_ok=True)):
        desk.repository.failures = [Conflict(Guard.VERSION)] * 100
        assert (await desk.refused(command)).check == "version"


async def test_clients_are_made_listed_changed_and_removed() -> None:
    desk = Desk()
    made = await desk(
        CreateClients(
            (
                NewClient(id="thing-1", label="Pump", secret=Secret("thing key"), metadata={"a": 1}),
                NewClient(label="Pump"),
                NewClient(label=" "),
            )
        )
    )
    assert [each.device.name for each in made] == ["Pump", made[1].device.id, made[2].device.id]
    assert [each.device.label for each in made] == ["Pump", "Pump", " "]
    assert made[0].secret == Secret("thing key")
    assert made[1].secret is not None
    assert len(made[1].secret.reveal()) == 36
    assert await desk(ShowClient("thing-1")) == made[0]
    page = await desk(ListClients(label="pump", limit=1))
    assert ([each.device.id for each in page.items], page.total) == (["thing-1"], 2) or page.total == 2
    changed = await desk(ChangeClient(id="thing-1", label="Valve", metadata={"b": 2}))
    assert (changed.device.label, changed.device.metadata, changed.device.name) == ("Valve", {"b": 2}, "Pump")
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).device == "thing-1"
    rotated = await desk(ChangeClient(id="thing-1", secret=Secret("new key")))
    assert rotated.secret == Secret("new key")
    assert rotated.device.label == "Valve"
    assert (await desk.last_event(EventKind.CREDENTIAL_ROTATED)).device == "thing-1"
    assert await desk(DeleteClient(id="thing-1")) == Done()
    assert await desk(DeleteClient(id="thing-1", missing_ok=True)) == Done()
    assert {each.profile for each in (await desk(ListDevices(profile=PROFILE))).items} == {made[1].device.profile}


async def test_a_device_of_another_kind_is_listed_without_a_client_secret() -> None:
    desk = Desk()
    await desk.profile()
    device = await desk.device()
    (shown,) = (await desk(ListClients())).items
    assert (shown.device, shown.secret) == (device, None)


async def test_a_client_logs_in_with_its_id_and_secret() -> None:
    desk = Desk()
    (made,) = await desk(CreateClients((NewClient(secret=Secret("thing key")),)))
    identity = await desk.login(made.device.id, "thing key", "any client id")
    assert (identity.device, identity.tenant) == (made.device.id, DEFAULT_TENANT)
    assert identity.credential is not None
    for username, password in (("other", "thing key"), (made.device.id, "wrong"), ("thing key", ""), (made.device.id, "")):
        with pytest.raises(Refusal, match="not known"):
            await desk.login(username, password)


async def test_the_first_login_after_bootstrap_connects_a_client() -> None:
    desk = Desk()
    (made,) = await desk(CreateClients((NewClient(secret=Secret("thing key")),)))
    device = msgspec.structs.replace(made.device, state=DeviceState.PROVISIONED, version=2)
    await desk.repository.commit(Changes(replace=(device,)))
    await desk.login(made.device.id, "thing key")
    found = await desk.repository.read(DeviceQuery(DEFAULT_TENANT, made.device.id))
    assert found is not None
    assert found.device.state is DeviceState.CONNECTED


async def test_external_id_and_key_are_a_login_that_is_good_for_bootstrap_alone() -> None:
    desk = Desk()
    made = await desk.config()
    identity = await desk.login("aa:bb", "external key")
    assert (identity.device, identity.credential) == (made.device.id, None)
    with pytest.raises(Refusal) as refused:
        await TakeReport(desk.authenticate)(Report(identity, "telemetry"), DEVICE_CONTEXT)
    assert refused.value.check == "identity.bootstrap_only"
    for username, password in (("aa:bb", "wrong"), ("aa:bb", ""), ("", "external key")):
        with pytest.raises(Refusal, match="not known"):
            await desk.login(username, password)
    await desk(ChangeDevice(ref="aa:bb", enabled=False))
    with pytest.raises(Refusal) as refused:
        await desk.login("aa:bb", "external key")
    assert refused.value.check == "device.disabled"


async def test_a_client_secret_is_rotated_to_another_one() -> None:
    desk = Desk()
    made = await desk.config()
    (shown,) = (await desk(RotateCredentials(made.device.id))).items
    assert isinstance(shown.value, ClientSecret)
    assert (await desk(ShowConfig(made.config.id))).secret == shown.value.secret != made.secret


async def test_a_device_may_be_defined_with_a_client_secret() -> None:
    desk = Desk()
    await desk.profile()
    await desk(DefineDevice(name="a", profile="meters", credential=ProposedSecret(Secret("chosen"))))
    await desk(DefineDevice(name="b", profile="meters", credential=ProposedSecret()))
    (chosen,) = (await desk(ReadCredentials("a"))).items
    assert chosen.value == ClientSecret(Secret("chosen"))
    assert (await desk.login((await desk(ShowDevice("a"))).id, "chosen")).device_name == "a"
    for text, check in (("", "credential.empty"), ("a\x00", "credential.characters"), ("x" * 256, "credential.length")):
        command = DefineDevice(name="c", profile="meters", credential=ProposedSecret(Secret(text)))
        assert (await desk.refused(command)).check == check
