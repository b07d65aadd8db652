"""Users of an account in front of the broker: which devices they hear and command."""

from pathlib import Path
from typing import Any

from tests.brokers import births
from tests.brokers.fronted import ONE_NAME, fronted
from tests.brokers.paho_device import BAD_LOGIN, NOT_AUTHORIZED, V5, V311, Device, login_code
from tests.brokers.waiting import until_so
from tests.e2e.test_from_nothing import Account

SPACE = "xi/blue/v1/default/d"
REFUSED_3 = 0x80


async def user(maker: Account, path: str, kind: str, **fields: Any) -> tuple[str, str]:
    """Make a user; returns its id and MQTT secret."""
    made = (await maker.post(path, name=kind, emailAddress=f"{kind}@example.org", **fields))[kind]["id"]
    given = await maker.post("access/mqtt-credentials", entityId=made, entityType=kind)
    return made, given["mqttCredential"]["secret"]


async def give(maker: Account, device: str, organization: str) -> None:
    """Associate a device with an organisation."""
    code = (await maker.post("association/create-association-code", deviceId=device))["associationCode"]
    await maker.post("association/start-association-with-code", associationCode=code, organizationId=organization)


async def test_users_hear_and_command_the_devices_that_are_theirs(tmp_path: Path) -> None:
    async with fronted(tmp_path, ONE_NAME) as world:
        maker = births.manufacturer(world)
        homes = [(await maker.post("organizations", name=name))["organization"]["id"] for name in ("home", "neighbours")]
        ours, theirs, new = [await births.xively(world, name, V5) for name in ("ours", "theirs", "new")]
        await give(maker, ours.id, homes[0])
        await give(maker, theirs.id, homes[1])
        eve = await user(maker, "account-users", "accountUser", role="operator")
        ada = await user(maker, "end-users", "endUser", organizationId=homes[0])
        async with (
            Device(world.port, *eve, version=V311, filters=(f"{SPACE}/#",)) as maker_user,
            Device(world.port, *ada, filters=(f"{SPACE}/{ours.id}/#",), insists=False) as owner,
            ours.device(world, V5) as first,
            theirs.device(world, V311) as second,
        ):
            denied = (f"{SPACE}/{theirs.id}/#", f"{SPACE}/{new.id}/#", f"{SPACE}/#", f"{SPACE}/+/temperature", "#")
            assert await owner.subscribe(*denied) == [NOT_AUTHORIZED] * len(denied)
            assert await maker_user.subscribe("xi/#", "v1/devices/#") == [REFUSED_3] * 2
            await second.say(theirs.says[0], b"21")
            await first.say(ours.says[0], b"22")
            await owner.hears(ours.says[0], b"22")
            await maker_user.hears(ours.says[0], b"22")
            assert maker_user.heard == [(theirs.says[0], b"21"), (ours.says[0], b"22")]
            assert owner.heard == [(ours.says[0], b"22")]

            assert await owner.say(ours.hears[0], b"on") == 0
            assert await owner.say(theirs.hears[0], b"on") == NOT_AUTHORIZED
            await maker_user.say(theirs.hears[0], b"off")
            await first.hears(ours.hears[0], b"on")
            await second.hears(theirs.hears[0], b"off")
            assert second.heard == [(theirs.hears[0], b"off")]

            # What changes holds a moment after the operator was answered.
            await give(maker, new.id, homes[0])
            await until_so(lambda: owner.may_hear(f"{SPACE}/{new.id}/#"))
            assert (await world.operator.ask("DELETE", f"/v1/devices/{ours.id}/association")).status == 200
            await until_so(lambda: owner.may_not_say(ours.hears[0]))
            before = len(owner.heard)
            await first.say(ours.says[0], b"23")
            await maker_user.hears(ours.says[0], b"23")
            await world.settled()
            assert owner.heard[before:] == []

            assert (owner.goodbyes, maker_user.goodbyes) == ([], [])
            renewed = await maker.post("access/mqtt-credentials", entityId=ada[0], entityType="endUser")
            assert renewed["mqttCredential"]["secret"] != ada[1]
            assert await owner.ended() == NOT_AUTHORIZED
            assert await login_code(world.port, *ada, "", V5) == BAD_LOGIN
