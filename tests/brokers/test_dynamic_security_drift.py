"""A broker and a registry that went apart: by hand, by a lost file, by an absence, by another gateway, by size."""

import asyncio
import json
import shutil
from pathlib import Path

from core.model import DeviceId, Secret
from core.notices import session_key
from core.operate.configuring import ChangeConfig
from core.operate.messages import (
    ChangeDevice,
    DeleteDevice,
    ProposedBasic,
    ProposedSecret,
    RevokeCredentials,
    RotateCredentials,
)
from tests.brokers.mosquitto import mosquitto
from tests.brokers.security_world import ADMIN, ADMIN_PASSWORD, CONSUMER, CONSUMER_PASSWORD, PLUGIN, World, is_cut, security
from tests.brokers.waiting import beside, until, until_so

LOOK = {"look_seconds": 0.1}


async def test_a_broker_that_lost_its_file_is_filled_again(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing()
        file = tmp_path / "dynamic-security.json"
        shutil.copy(file, tmp_path / "as it was set up")
        async with world.in_step():
            assert await world.lets_in(thing, secret)
            await world.broker.stop()
            shutil.copy(tmp_path / "as it was set up", file)
            await world.broker.start()
            await world.admitted(thing, secret)
            await until(lambda: world.log.said("plugin_opt_config_file"))
            assert world.log.said("plugin_opt_config_file") == [{"missing": 2}]


async def test_what_changed_while_nobody_kept_it_is_made_up_for(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        gone, gone_secret = await world.thing("gone")
        rotated, old_secret = await world.thing("rotated")
        disabled, disabled_secret = await world.thing("disabled")
        same, same_secret = await world.thing("same")
        async with world.in_step():
            assert await world.lets_in(gone, gone_secret)
        await world.desk(DeleteDevice(gone))
        await world.desk(RotateCredentials(rotated))
        await world.desk(ChangeDevice(ref=disabled, enabled=False))
        fresh, fresh_secret = await world.thing("fresh")
        async with world.device(same, same_secret) as client:
            async with world.in_step(listed=2):
                assert not await world.lets_in(gone, gone_secret)
                assert not await world.lets_in(rotated, old_secret)
                assert not await world.lets_in(disabled, disabled_secret)
                assert await world.lets_in(rotated, await world.secret(rotated))
                assert await world.lets_in(fresh, fresh_secret)
            await client.publish("nobody/was/thrown/out", qos=1)


async def test_what_was_changed_by_hand_is_mended(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        (channel,) = await world.desk.channels("one")
        one, _ = await world.thing("one", channels=(channel,))
        two, _ = await world.thing("two")
        three, secret = await world.thing("three")
        await world.desk(ChangeDevice(ref=two, enabled=False))
        async with world.in_step(**LOOK):
            await world.desk(ChangeDevice(ref=two, enabled=True))
            await until_so(lambda: has(world, two))
            await world.desk(ChangeDevice(ref=two, enabled=False))
            await until_so(lambda: is_disabled(world, two))
            clients, roles = await world.clients(), await world.roles()
            every = {"acltype": "publishClientSend", "topic": "#", "allow": True}
            for command in (
                {"command": "addRoleACL", "rolename": f"firstlight-{one}", **every},
                {"command": "enableClient", "username": two},
                {"command": "modifyClient", "username": one, "clientid": "mine", "roles": []},
                {"command": "deleteClient", "username": three},
                {"command": "deleteRole", "rolename": f"firstlight-{three}"},
            ):
                assert "error" not in await world.administer(**command)

            async def is_mended() -> bool:
                return (await world.clients(), await world.roles()) == (clients, roles)

            await until_so(is_mended)
            assert await world.lets_in(three, secret)
            await until(lambda: world.log.said("was mended"))
            assert not world.log.said("plugin_opt_config_file")


async def has(world: World, name: str) -> bool:
    return name in await world.clients()


async def is_disabled(world: World, name: str) -> bool:
    return bool((await world.clients())[name].get("disabled"))


async def test_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        await world.make_consumer()
        before = await world.clients(), await world.roles()
        foreign, secret = await world.thing("foreign")
        await world.administer(command="createRole", rolename=f"firstlight-{foreign}")
        await world.desk.profile()
        await world.desk.device(credential=ProposedBasic(username=CONSUMER, password=Secret("p")))
        async with world.in_step(**LOOK), world.device(CONSUMER, CONSUMER_PASSWORD) as consumer:
            for ref in ("meter-1", foreign):
                await world.desk(
                    RotateCredentials(ref, ProposedBasic(username=CONSUMER, password=Secret("q")))
                    if ref == "meter-1"
                    else RevokeCredentials(ref)
                )
                await world.desk(DeleteDevice(ref))
            await asyncio.sleep(0.3)
            await consumer.publish("still/here", qos=1)
        assert not await world.lets_in(foreign, secret)
        await world.administer(command="deleteRole", rolename=f"firstlight-{foreign}")
        assert (await world.clients(), await world.roles()) == before


async def test_another_registry_leaves_ours_alone(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing()
        async with world.in_step():
            assert await world.lets_in(thing, secret)
        other = World(world.broker)
        async with other.in_step(master_key=bytes(range(32))):
            assert await world.lets_in(thing, secret)


async def test_beyond_the_limit_none_are_added_and_those_there_are_kept(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        things = [await world.thing(f"thing-{number}") for number in range(3)]
        async with world.in_step(devices=3, **LOOK):
            late, late_secret = await world.thing("late")
            await until(lambda: world.log.levels("FIRSTLIGHT_BROKER_DEVICES") == ["error"])
            (told,) = world.log.said("FIRSTLIGHT_BROKER_DEVICES")
            assert (told["devices"], told["limit"]) == (4, 3)
            assert "176 ms" in told["cost"]
            assert "FIRSTLIGHT_MQTT_UPSTREAM" in told["instead"]
            async with world.device(*things[0]) as client:
                await world.desk(ChangeConfig(id=things[0][0], active=False))
                assert await is_cut(client)
            assert not await world.lets_in(late, late_secret)
        async with world.in_step(devices=3, **LOOK):
            assert await world.lets_in(*things[1])
            assert not await world.lets_in(late, late_secret)
            async with world.device(*things[1]) as client:
                await world.desk(RevokeCredentials(things[1][0]))
                assert await is_cut(client)
            assert len(world.log.said("FIRSTLIGHT_BROKER_DEVICES")) == 2  # once for each start
            await world.desk(DeleteDevice(things[1][0]))
            await world.admitted(late, late_secret)
            assert world.log.said("given devices again")


async def test_an_empty_broker_stays_empty_beyond_the_limit(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        await world.thing("one")
        await world.thing("two")
        async with world.in_step(devices=1):
            assert set(await world.clients()) == {ADMIN}


async def test_more_changes_than_can_be_remembered_lead_to_a_look_at_all(tmp_path: Path) -> None:
    async with security(tmp_path) as world, world.in_step(queued=2):
        things = [await world.thing(f"thing-{number}") for number in range(6)]
        for thing in things:
            await world.admitted(*thing)


async def test_a_refused_command_is_told_and_tried_again(tmp_path: Path) -> None:
    async with security(tmp_path) as world, world.in_step():
        await world.desk.profile()
        # Behind the gateway's back, so that it believes the name to be free.
        await world.administer(command="createClient", username="meter", password="by hand")
        await world.desk.device(credential=ProposedBasic(username="meter", password=Secret("issued")))
        await until(lambda: world.log.said("already exists"))
        (told,) = world.log.said("already exists")
        assert told["command"] == "createClient"
        await world.administer(command="deleteClient", username="meter")
        await world.desk(ChangeDevice(ref="meter-1", metadata={"asked": "again"}))
        await world.admitted("meter", "issued")


async def test_a_registry_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    async with security(tmp_path) as world, world.in_step():
        world.stored.refusals = 1
        world.watches.tell(frozenset({session_key(DeviceId("somebody"))}))
        await until(lambda: world.log.said("the registry did not answer"))
        thing, secret = await world.thing()
        await world.admitted(thing, secret)


async def test_without_the_plug_in_it_says_what_is_missing(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker:
        world = World(broker)
        async with beside(world.keeper(answer_seconds=0.3).run()):
            await until(lambda: world.log.said("does not answer"))
            await asyncio.sleep(0.8)
        assert len(world.log.said("load mosquitto_dynamic_security.so")) == 1


async def test_a_user_who_may_not_is_told_which_role_it_needs(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        await world.administer(command="createClient", username="nobody", password="p")
        async with beside(world.keeper("p", user="nobody").run()):
            await until(lambda: world.log.said("may not subscribe"))


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    async with security(tmp_path) as world, beside(world.keeper("wrong").run()):
        await until(lambda: world.log.said("does not let this user in"))


async def test_a_broker_that_allows_everything_is_not_worked_with(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        acls = [{"acltype": kind, "allow": True} for kind in ("publishClientSend", "subscribe")]
        await world.administer(command="setDefaultACLAccess", acls=acls)
        thing, secret = await world.thing()
        async with beside(world.keeper().run()):
            await until(lambda: world.log.said("setDefaultACLAccess publishClientSend deny"))
            assert not await world.lets_in(thing, secret)
            await world.administer(command="setDefaultACLAccess", acls=[acl | {"allow": False} for acl in acls])
            await world.admitted(thing, secret)


async def test_other_administrators_are_not_in_the_way(tmp_path: Path) -> None:
    async with security(tmp_path) as world, world.in_step():
        for number in range(5):
            made = asyncio.create_task(world.thing(f"thing-{number}"))
            for command in ("listClients", "listRoles", "listGroups", "getDefaultACLAccess", "nonsense"):
                await world.administer(command=command)  # everybody who listens gets the answer
            await world.admitted(*await made)
        assert not world.log.said("is down")


async def test_a_command_that_stays_refused_is_tried_ever_less(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        await world.desk.profile()
        # No character (Unicode, section 23.7), which the plug-in does not take for text.
        await world.desk.device(credential=ProposedBasic(username="meter \uffff", password=Secret("issued")))
        thing, secret = await world.thing()
        async with world.in_step(retry_seconds=0.01):
            await until(lambda: len(world.log.said("refused a command")) >= 3)
            assert await world.lets_in(thing, secret)


async def test_what_is_known_survives_a_restart_of_the_broker_alone(tmp_path: Path) -> None:
    async with security(tmp_path) as world:
        thing, secret = await world.thing()
        async with world.in_step():
            await world.broker.restart()
            await until(lambda: len(world.log.said("the link to the broker is up")) == 2)
            await world.admitted(thing, secret)
            await world.desk(RotateCredentials(thing, ProposedSecret(Secret("after the restart"))))
            await world.admitted(thing, "after the restart")
        assert not world.log.said("plugin_opt_config_file")  # what it was told it had written down
        stored = json.loads((tmp_path / "dynamic-security.json").read_text())
        assert "after the restart" not in str(stored)
        assert PLUGIN in world.broker.config
        assert await world.lets_in(ADMIN, ADMIN_PASSWORD)
