"""What the provision service makes of a layout."""

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason
from core.messages import BootstrapRequest, PlainKey
from core.model import Secret
from core.operate.configuring import (
    CreateMapping,
    Layout,
    LayoutPart,
    ListChannels,
    ListClients,
    ListPermitted,
    ShowClient,
    ShowMapping,
)
from tests.operating import Desk

LAYOUT = Layout(
    clients=(LayoutPart(name="gateway", metadata={"external_id": "placeholder"}), LayoutPart(name="helper")),
    channels=(
        LayoutPart(name="control-channel", metadata={"type": "control"}),
        LayoutPart(name="data-channel", metadata={"type": "data"}),
    ),
    content='{"agent":{}}',
)


def mapping(layout: Layout = LAYOUT, **fields: object) -> CreateMapping:
    return CreateMapping(**{"external_id": "gw-9", "external_key": Secret("gw-key"), "layout": layout, **fields})  # type: ignore[arg-type] # a table of fields


async def test_one_commit_makes_everything_and_the_device_can_begin() -> None:
    desk = Desk()
    made = await desk(mapping(name="gw 9", prefixed=True))
    assert [client.device.label for client in made.clients] == ["gw 9", "gw 9"]
    assert made.clients[0].device.name == "gw-9"
    assert [channel.name for channel in made.channels] == ["gw 9_control-channel", "gw 9_data-channel"]
    assert made.active == (made.clients[0].device.id,)
    assert len(desk.repository.commits) == 1
    got = await desk.bootstrap(BootstrapRequest(external_id="gw-9", proof=PlainKey(Secret("gw-key"))))
    assert (got.content, got.channels, got.secret) == ('{"agent":{}}', made.channels, made.clients[0].secret)
    assert await desk(ListPermitted(made.active[0])) == made.channels
    stored = (await desk(ShowClient(made.active[0]))).device.metadata
    control, data = (channel.id for channel in made.channels)
    assert stored == {
        "external_id": "gw-9",
        "ctrl_channel_id": control,
        "data_channel_id": data,
        "cfg_id": made.active[0],
        "type": "gateway",
    }


async def test_without_a_name_the_layout_names() -> None:
    desk = Desk()
    made = await desk(mapping())
    assert [client.device.label for client in made.clients] == ["gateway", "helper"]
    assert [channel.name for channel in made.channels] == ["control-channel", "data-channel"]
    prefixed = await desk(mapping(external_id="gw-10", prefixed=True))
    assert prefixed.channels[0].name == "gateway_control-channel"


async def test_a_layout_may_leave_out_configurations_or_their_start() -> None:
    desk = Desk()
    bare = await desk(mapping(msgspec.structs.replace(LAYOUT, provision=False)))
    assert bare.active == ()
    assert bare.clients[0].device.metadata == {"external_id": "gw-9"}
    waiting = await desk(mapping(msgspec.structs.replace(LAYOUT, activate=False)))
    assert waiting.active == ()
    assert await desk(ListPermitted(waiting.clients[0].device.id)) == ()


@pytest.mark.parametrize(
    "layout",
    [
        msgspec.structs.replace(LAYOUT, clients=()),
        msgspec.structs.replace(LAYOUT, channels=()),
        msgspec.structs.replace(LAYOUT, clients=LAYOUT.clients * 2),
    ],
)
async def test_a_layout_that_cannot_work_is_refused(layout: Layout) -> None:
    refusal = await Desk().refused(mapping(layout))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "mapping.layout")


async def test_where_the_external_id_is_taken_nothing_is_made() -> None:
    desk = Desk()
    await desk.config("gw-9")
    before = (await desk(ListChannels())).total, (await desk(ListClients())).total
    refusal = await desk.refused(mapping())
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "external_id")
    assert ((await desk(ListChannels())).total, (await desk(ListClients())).total) == before
    assert (await desk.refused(mapping(external_key=Secret("")))).check == "config.length"


async def test_a_name_taken_meanwhile_is_decided_anew() -> None:
    desk = Desk()
    desk.repository.failures = [Conflict(Guard.DEVICE_NAME), Conflict(Guard.PROFILE_NAME)]
    assert (await desk(mapping())).active


async def test_the_layout_can_be_seen() -> None:
    assert await Desk()(ShowMapping(LAYOUT)) == LAYOUT
