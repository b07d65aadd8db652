"""What devices may use at the broker: their own topics and channels and nothing else, from one moment to the next."""

from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.brokers.fronted import Fronted, fronted
from tests.brokers.paho_device import NOT_AUTHORIZED, V5, V311, VERSIONS, Device
from tests.brokers.waiting import until, until_so

TELEMETRY = "v1/devices/me/telemetry"
REFUSED = {V311: 0x80, V5: NOT_AUTHORIZED}
ALIAS_INVALID = 0x94
NOT_FOUND = 0x92
ACKNOWLEDGED_5 = (0, NOT_AUTHORIZED, NOT_FOUND)  # paho does not look at what a PUBREC says and releases what was refused
# `{own}` and `{other}` are devices, `{mine}` is a channel that the device is connected to and `{theirs}` is not.
ELSEWHERE = (
    "v1/devices/{other}/up/telemetry",
    "v1/devices/{other}/down/rpc/request/1",
    "v1/devices/{own}/up/telemetry",
    "v1/devices/{own}/down/rpc/request/1",
    "v1/devices/ME/telemetry",
    "v1/devices//me/telemetry",
    "/v1/devices/me/telemetry",
    "v1/devices/mean",
    "v1/devices",
    "v1/gateway/telemetry",
    "v1/devices/{own}/gateway/up/telemetry",
    "v2x/t",
    "channels/{theirs}/messages",
    "channels/{theirs}/messages/{mine}",
    "channels//messages",
    "channels/{mine}",
    "channels/{mine}/message",
    "channels/{mine}//messages",
    "/channels/{mine}/messages",
    "channels/{mine} /messages",
    "channels/{mine}\u200b/messages",
    "m/default/c/{theirs}",
    "m/other/c/{mine}",
    "m//c/{mine}",
    "xi/blue/v1/default/d/{other}/temperature",
    "xi/blue/v1/default/d/{own}temperature",
    "xi/ctrl/v1/{other}/svc",
    "/sys/pk/dk/thing/measurepoint/post",
    "anything",
    "/",
    " ",
)
FILTERS = (
    "#",
    "/#",
    "+",
    "+/#",
    "+/+/+/+",
    "v1/#",
    "v1/devices/+/telemetry",
    "v1/devices/+/up/#",
    "v1/devices/{other}/#",
    "channels/#",
    "channels/+/messages",
    "channels/+/messages/#",
    "+/{mine}/messages",
    "m/+/c/{mine}",
    "m/default/c/+",
    "xi/blue/v1/default/d/+/#",
    "$share/group/#",
    "$share/group/channels/{theirs}/messages",
    "$share/group/channels/{mine}/messages",
    "$share/group/v1/devices/{other}/up/#",
    "$SYS/#",
    "$SYS/broker/version",
    "$CONTROL/dynamic-security/v1",
)


async def reaches_broker(world: Fronted, device: Device, topic: str) -> bool:
    """Tell whether what a device says is heard at the broker."""
    payload = f"said for the {len(world.watcher.heard)}th time".encode()
    await device.say(topic, payload)
    await world.settled()
    return any(heard == payload for _, heard in world.watcher.heard)


async def reaches_device(world: Fronted, device: Device, topic: str, other: str, qos: int = 1) -> bool:
    """Tell whether a device hears what is said on a topic at the broker; it does hear `other`."""
    payload = f"said for the {len(world.watcher.heard)}th time".encode()
    world.watcher.send(topic, payload, qos)
    world.watcher.send(other, payload, qos)
    await device.hears(other, payload)
    return (topic, payload) in device.heard


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_other_spelling_leads_elsewhere(tmp_path: Path, version: MQTTProtocolVersion) -> None:
    async with fronted(tmp_path) as world:
        mine, theirs = [await world.channel(name) for name in ("mine", "theirs")]
        own, secret = await world.thing("aa", mine)
        other, _ = await world.thing("bb", theirs)
        names = {"own": own, "other": other, "mine": mine, "theirs": theirs}
        topics = [topic.format(**names) for topic in ELSEWHERE]
        filters = [topic.format(**names) for topic in FILTERS] + topics
        said, heard = f"channels/{mine}/messages/up", f"channels/{mine}/messages/down"
        async with Device(world.port, own, secret, version=version, filters=(heard,)) as device:
            codes = [await device.subscribe(*filters[start : start + 20]) for start in range(0, len(filters), 20)]
            assert [code for some in codes for code in some] == [REFUSED[version]] * len(filters)
            for topic in topics:
                world.watcher.send(topic, b"for others")
            sent = {device.send(topic, b"from here", qos, retain=qos == 1): qos for topic in topics for qos in range(3)}
            await until(lambda: sent.keys() <= device.acknowledged.keys())
            for message, qos in sent.items():
                assert device.acknowledged[message] == (ACKNOWLEDGED_5[qos] if version is V5 else 0)
            assert await reaches_broker(world, device, said)
            assert await reaches_device(world, device, heard, heard)
            assert [topic for topic, payload in world.watcher.heard if payload == b"from here"] == []
            assert [topic for topic, _ in device.heard if topic != heard] == []
            assert device.goodbyes == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_device_of_thingsboard_is_me_and_nobody_else(tmp_path: Path, version: MQTTProtocolVersion) -> None:
    async with fronted(tmp_path) as world:
        (own, token), (other, other_token) = [await world.device(name) for name in ("one", "other")]
        rpc = "v1/devices/me/rpc/request/1"
        async with (
            Device(world.port, token, version=version, filters=(rpc, "v1/devices/me/#")) as device,
            Device(world.port, other_token, version=version, filters=(rpc,)) as beside,
        ):
            for place, each in enumerate((own, other)):
                world.watcher.send(f"v1/devices/{each}/down/rpc/request/1", str(place).encode())
            await device.hears(rpc, b"0")
            await beside.hears(rpc, b"1")
            await beside.say(TELEMETRY, b"of the other")
            await world.watcher.hears(f"v1/devices/{other}/up/telemetry", b"of the other")
            assert not await reaches_broker(world, device, f"v1/devices/{other}/up/telemetry")
            assert {payload for _, payload in device.heard} == {b"0"}
            assert {payload for _, payload in beside.heard} == {b"1"}


async def test_a_gateway_speaks_for_others_as_long_as_it_is_marked_as_one(tmp_path: Path) -> None:
    async with fronted(tmp_path) as world:
        identity, token = await world.device("gateway")
        said, there = "v1/gateway/telemetry", f"v1/devices/{identity}/gateway/up/telemetry"
        async with Device(world.port, token, filters=("v1/devices/me/#",)) as device:
            assert await device.may_say("v2/t/1", b"v2")
            await world.watcher.hears(f"v1/devices/{identity}/v2/up/t/1", b"v2")
            for _ in range(2):
                assert not await device.may_say(said)
                assert not await device.may_hear("v1/gateway/#")
                world.watcher.send(f"v1/devices/{identity}/gateway/down/rpc", b"for a gateway")
                await world.operator.patch(f"/v1/devices/{identity}", {"metadata": {"gateway": True}})
                await until_so(lambda: device.may_say(said, b"as a gateway"))
                await world.watcher.hears(there, b"as a gateway")
                assert await device.may_hear("v1/gateway/rpc")
                world.watcher.send(f"v1/devices/{identity}/gateway/down/rpc", b"now it is one")
                await device.hears("v1/gateway/rpc", b"now it is one")
                await world.operator.patch(f"/v1/devices/{identity}", {"metadata": {"gateway": "true"}})
                await until_so(lambda: device.may_not_say(said))
            world.watcher.send(f"v1/devices/{identity}/gateway/down/rpc", b"not any more")
            world.watcher.send(f"v1/devices/{identity}/down/rpc", b"as any device")
            await device.hears("v1/devices/me/rpc", b"as any device")
            assert [topic for topic, _ in device.heard] == ["v1/gateway/rpc"] * 2 + ["v1/devices/me/rpc"]
            assert device.goodbyes == []


async def test_neither_alias_nor_response_topic_nor_will_leads_elsewhere(tmp_path: Path) -> None:
    async with fronted(tmp_path) as world:
        (own, token), (other, _) = [await world.device(name) for name in ("one", "other")]
        elsewhere = f"v1/devices/{other}/down/rpc/request/1"
        async with Device(world.port, token, insists=False) as device:
            asking = Properties(PacketTypes.PUBLISH)
            asking.ResponseTopic = elsewhere
            assert await device.say(TELEMETRY, b"answer there", properties=asking) == NOT_AUTHORIZED
            alias = Properties(PacketTypes.PUBLISH)
            alias.TopicAlias = 1
            device.send(TELEMETRY, b"by alias", properties=alias)
            assert await device.ended() == ALIAS_INVALID
        for version in VERSIONS:
            device = Device(world.port, token, version=version, insists=False)
            device.client.will_set(elsewhere, b"last words", 1)
            async with device:
                assert device.connacks == [NOT_AUTHORIZED]
            device = Device(world.port, token, version=version, insists=False)
            device.client.will_set(TELEMETRY, b"last words", 1)
            async with device:
                assert device.is_in
                await world.operator.patch(f"/v1/devices/{own}", {"enabled": False})
                await device.ended()
            await world.watcher.hears(f"v1/devices/{own}/up/telemetry", b"last words")
            await world.operator.patch(f"/v1/devices/{own}", {"enabled": True})
            world.watcher.heard.clear()
        await world.settled()
        assert {topic for topic, _ in world.watcher.heard} == {"marks"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_channel_that_is_taken_away_is_silent_at_once_and_the_connection_stays(
    tmp_path: Path, version: MQTTProtocolVersion
) -> None:
    async with fronted(tmp_path) as world:
        first, second = [await world.channel(name) for name in ("first", "second")]
        thing, secret = await world.thing("aa", first, second)
        lost, kept = [f"channels/{channel}/messages/x" for channel in (first, second)]

        async def works() -> bool:
            heard = await reaches_device(world, device, lost, kept)
            return heard and await reaches_broker(world, device, lost)

        async def is_silent() -> bool:
            heard = await reaches_device(world, device, lost, kept)
            return not heard and not await reaches_broker(world, device, lost)

        async with Device(world.port, thing, secret, version=version, filters=(lost, kept)) as device:
            assert await works()
            await world.connect(thing, second)
            await until_so(is_silent)
            assert await device.subscribe(lost, kept) == [REFUSED[version], 1]
            assert await reaches_broker(world, device, kept)
            await world.connect(thing, second, first)
            await until_so(lambda: device.may_hear(lost))
            assert await works()
            assert device.goodbyes == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_from_before_is_delivered_nothing_that_is_not_permitted_any_more(
    tmp_path: Path, version: MQTTProtocolVersion
) -> None:
    async with fronted(tmp_path) as world:
        first, second = [await world.channel(name) for name in ("first", "second")]
        thing, secret = await world.thing("aa", first, second)
        lost, kept = [f"channels/{channel}/messages/x" for channel in (first, second)]
        session: dict[str, Any] = {"version": version, "client_id": "mine", "clean": False}
        async with Device(world.port, thing, secret, filters=(lost, kept), **session) as device:
            assert await reaches_device(world, device, lost, kept)
        await world.connect(thing, second)
        for number in range(30):  # more than the broker lets be unacknowledged
            world.watcher.send(lost, str(number).encode(), 1 + number % 2)
        world.watcher.send(kept, b"while it was away", 2)
        await world.settled()
        async with Device(world.port, thing, secret, **session) as device:
            await device.hears(kept, b"while it was away")
            assert not await reaches_device(world, device, lost, kept, qos=2)
            assert {topic for topic, _ in device.heard} == {kept}
        async with Device(world.port, thing, secret, **session) as device:
            assert not await reaches_device(world, device, lost, kept)
            assert len(device.heard) == 1
