"""Devices at a mosquitto whose dynamic security is kept in step with the registry."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from core.messages import ClientSecret, MqttBasic
from core.model import DeviceId, DeviceState, Secret
from core.operate.configuring import ChangeConfig, DeleteChannel
from core.operate.messages import (
    AddCredential,
    ChangeDevice,
    DeleteDevice,
    ProposedBasic,
    ProposedSecret,
    ProposedToken,
    ReadCredentials,
    RevokeCredentials,
    RotateCredentials,
)
from core.ports import Changes
from tests.brokers.security_world import (
    ADMIN,
    ADMIN_PASSWORD,
    CONSUMER,
    CONSUMER_PASSWORD,
    World,
    is_cut,
    may_subscribe,
    next_payload,
    security,
)
from tests.brokers.waiting import until, until_so

OPERATOR = (CONSUMER, CONSUMER_PASSWORD)
PASSWORD = "the password of meter"
BASIC = ProposedBasic(username="meter", password=Secret(PASSWORD))


async def heard_by_operator(world: World, device: aiomqtt.Client, topics: list[str]) -> list[str]:
    """Return which of these topics a device gets through with; the last one has to pass."""
    heard: list[str] = []
    await world.make_consumer()
    async with world.device(*OPERATOR) as operator:
        await operator.subscribe("#", qos=1)
        for topic in topics:
            await device.publish(topic, "x", qos=1)
        async with asyncio.timeout(20):
            async for message in operator.messages:
                heard.append(str(message.topic))
                if heard[-1] == topics[-1]:
                    break
    return heard


async def test_what_was_issued_works_and_reaches_its_own_topics_alone(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        one, other = await world.desk.channels("one", "other")
        thing, secret = await world.thing(channels=(one,))
        await world.desk.profile()
        meter = await world.desk.device(credential=BASIC)
        async with world.in_step(), world.device(thing, secret) as client, world.device("meter", PASSWORD) as tb:
            for allowed in (f"channels/{one}/messages/#", f"channels/{one}/messages", f"m/default/c/{one}/a/+"):
                assert await may_subscribe(client, allowed)
            for denied in (
                "#",
                "channels/#",
                "channels/+/messages",
                f"channels/{other}/messages",
                f"$share/g/channels/{one}/messages",
            ):
                assert not await may_subscribe(client, denied)
            sent = [
                f"channels/{other}/messages",
                f"channels/{one}/other",
                "$CONTROL/dynamic-security/v1",
                f"channels/{one}/messages/a",
            ]
            assert await heard_by_operator(world, client, sent) == sent[-1:]
            assert await may_subscribe(tb, f"v1/devices/{meter.id}/down/#")
            assert not await may_subscribe(tb, "v1/devices/me/#")
            assert not await may_subscribe(tb, f"v1/devices/{meter.id}/up/#")
            sent = ["v1/devices/other/up/telemetry", f"v1/devices/{meter.id}/down/x", f"v1/devices/{meter.id}/up/telemetry"]
            sent += ["v1/devices/me/telemetry"]
            assert await heard_by_operator(world, tb, sent) == sent[-2:]


async def test_what_changes_while_it_runs_is_there_at_once(tmp_path: Path) -> None:
    async with security(tmp_path) as world, world.in_step():
        thing, secret = await world.thing()
        await world.admitted(thing, secret)
        await world.desk.profile()
        await world.desk.device(credential=ProposedBasic(client_id="c1", username="u1", password=Secret("a password")))
        await until_so(lambda: world.lets_in("u1", "a password", "c1"))
        assert not await world.lets_in("u1", "a password", "c2")
        assert not await world.lets_in("u1", "another password", "c1")


async def test_channels_come_and_go_and_nobody_is_thrown_out(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        one, two, third = await world.desk.channels("one", "two", "third")
        thing, secret = await world.thing(channels=(one, third))
        await world.make_consumer()
        async with world.in_step():
            await world.broker.restart()  # what it read from its file it treats in another way than what it was told
            await world.admitted(thing, secret)
        async with world.in_step(), world.device(thing, secret) as client, world.device(*OPERATOR) as operator:
            for channel in (one, third):
                assert await may_subscribe(client, f"channels/{channel}/messages/#")
            await world.desk(ChangeConfig(id=thing, channels=(two, third)))
            await until_so(lambda: may_subscribe(client, f"channels/{two}/messages/#"))
            assert not await may_subscribe(client, f"channels/{one}/messages/#")
            await operator.publish(f"channels/{one}/messages", "subscribed once, connected no more", qos=1)
            await operator.publish(f"channels/{two}/messages", "connected", qos=1)
            assert await next_payload(client) == b"connected"
            await world.desk(DeleteChannel(id=third))

            async def is_gone() -> bool:
                return not await may_subscribe(client, f"channels/{third}/messages")

            await until_so(is_gone)
            await operator.publish(f"channels/{two}/messages", "still connected", qos=1)
            assert await next_payload(client) == b"still connected"


ENDS: dict[str, Callable[[str], Any]] = {
    "disabled": lambda thing: ChangeDevice(ref=thing, enabled=False),
    "discarded": lambda thing: ChangeDevice(ref=thing, state=DeviceState.DISCARDED),
    "revoked": RevokeCredentials,
    "rotated": RotateCredentials,
    "deleted": DeleteDevice,
    "made inactive": lambda thing: ChangeConfig(id=thing, active=False),
}


@pytest.mark.parametrize("end", ENDS)
async def test_what_ends_a_login_cuts_its_connection(tmp_path: Path, end: str) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing()
        async with world.in_step():
            async with world.device(thing, secret) as client:
                await world.desk(ENDS[end](thing))
                assert await is_cut(client)
            await world.refused(thing, secret)
            if end == "rotated":
                await world.admitted(thing, await world.secret(thing))
            elif end == "disabled":
                await world.desk(ChangeDevice(ref=thing, enabled=True))
                await world.admitted(thing, secret)
            elif end == "made inactive":
                await world.desk(ChangeConfig(id=thing, active=True))
                await world.admitted(thing, secret)
            elif end in ("revoked", "deleted", "discarded"):
                await until_so(lambda: is_clean(world))


async def is_clean(world: World) -> bool:
    return set(await world.clients()) == {ADMIN} and set(await world.roles()) == {"admin"}


async def test_a_credential_goes_when_its_time_is_over(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        await world.desk.profile()
        await world.desk.device(credential=BASIC)
        await world.desk(
            AddCredential(ref="meter-1", credential=ProposedBasic(username="guest", password=Secret("g")), expires_in_seconds=1)
        )
        async with world.in_step():
            async with world.device("guest", "g") as client:
                world.desk.clock.advance(1.1)
                assert await is_cut(client)
            await world.refused("guest", "g")
            assert await world.lets_in("meter", PASSWORD)


async def test_those_who_may_not_log_in_are_not_made_at_all(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing(active=False)
        async with world.in_step():
            assert await is_clean(world)
            await world.desk(ChangeConfig(id=thing, active=True))
            await world.admitted(thing, secret)


async def test_what_the_broker_cannot_check_is_counted_and_told_once(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        await world.desk.profile()
        await world.desk.device("token", credential=ProposedToken(Secret("T0")))
        await world.desk.device("name", credential=ProposedBasic(username="name", password=Secret("")))
        shown = await world.desk.device("shown", credential=ProposedSecret())
        await world.desk(RevokeCredentials("shown"))
        unsealed = await world.desk.issuer.issue(ClientSecret(Secret("shown once")), DeviceId(shown.id), keep=False)
        await world.desk.repository.commit(Changes(insert=(unsealed,)))
        older = await world.desk.device("older", credential=ProposedSecret(Secret("the older one")))
        await world.desk(AddCredential(ref="older", credential=ProposedSecret(Secret("the newer one"))))
        taken = await world.desk.device("taken", credential=ProposedBasic(username=ADMIN, password=Secret("p")))
        async with world.in_step(look_seconds=0.1):
            await until(lambda: world.log.said("left out"))
            (told,) = world.log.said("left out")
            assert told["no_password"].startswith("2 ")
            assert told["not_sealed"].startswith("1 ")
            assert told["superseded"].startswith("1 ")
            assert told["taken"].startswith("1 ")
            assert "FIRSTLIGHT_MQTT_UPSTREAM" in told["instead"]
            assert await world.lets_in(older.id, "the newer one")
            assert not await world.lets_in(older.id, "the older one")
            assert await world.lets_in(ADMIN, ADMIN_PASSWORD)
            assert not await world.lets_in(ADMIN, "p")
            await world.desk(DeleteDevice(taken.id))
            await until(lambda: len(world.log.said("left out")) == 2)
            assert "taken" not in world.log.said("left out")[-1]


async def test_an_id_is_its_devices_even_where_another_chose_it_first(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing()
        await world.desk.profile()
        squatter = await world.desk.device("squatter", credential=ProposedBasic(username=thing, password=Secret("squat")))
        async with world.in_step():
            assert not await world.lets_in(thing, "squat")
            assert await world.lets_in(thing, secret)
            await world.desk(RevokeCredentials(thing))
            await world.refused(thing, secret)
            await world.desk(ChangeDevice(ref=squatter.id, metadata={"again": True}))
            await world.admitted(thing, "squat")
            await world.desk(AddCredential(ref=thing, credential=ProposedSecret(Secret("the owner is back"))))
            await world.admitted(thing, "the owner is back")
            assert not await world.lets_in(thing, "squat")


async def test_a_password_is_in_no_log_line(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing()
        async with world.in_step():
            await world.desk(RotateCredentials(thing))
            await world.refused(thing, secret)
        (shown,) = (await world.desk(ReadCredentials(thing))).items
        assert isinstance(shown.value, ClientSecret)
        assert not world.log.said(secret)
        assert not world.log.said(shown.value.secret.reveal())
        assert not isinstance(shown.value, MqttBasic)
