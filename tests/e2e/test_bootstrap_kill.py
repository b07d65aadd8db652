"""A gateway killed while many write configurations: what was answered is there to the letter, and nothing is there by half."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

from tests.e2e.bootstrap_writers import CLIENTS, KEY, THINGS, Known, Vendor, Writer, write_until_gone
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Served, Unmeasured
from tests.e2e.registry_file import found_in_a_whole_registry
from tests.thorough import often

ROUNDS = often(3, 8)
WRITERS = 20
_FAULTS = {
    "configurations without a device": "SELECT id FROM config WHERE id NOT IN (SELECT id FROM device)",
    "configurations without a document": "SELECT id FROM config WHERE id NOT IN (SELECT config FROM config_document)",
    "documents without a configuration": "SELECT config FROM config_document WHERE config NOT IN (SELECT id FROM config)",
    "clients without a configuration": "SELECT id FROM device WHERE id NOT IN (SELECT id FROM config)",
    "clients without a secret": "SELECT id FROM device WHERE id NOT IN (SELECT device FROM credential)",
    "clients with two secrets": "SELECT device FROM credential GROUP BY device HAVING count(*) > 1",
    "external ids given twice": "SELECT external_id FROM config GROUP BY external_id HAVING count(*) > 1",
    "places given twice": "SELECT config FROM config_channel GROUP BY config, channel HAVING count(*) > 1",
    "places without a channel": "SELECT config FROM config_channel WHERE channel NOT IN (SELECT id FROM channel)",
    "versions that the events do not tell of": """SELECT config.id FROM config WHERE version <> 1 + (SELECT count(*) FROM event
        WHERE event.device = config.id AND kind = 'config.changed')""",
    "configurations whose making is not recorded": """SELECT id FROM config WHERE 1 <> (SELECT count(*) FROM event
        WHERE event.device = config.id AND kind = 'config.created')""",
    "devices counted wrongly": """SELECT id FROM tenant WHERE devices <>
        (SELECT count(*) FROM device WHERE device.tenant = tenant.id)""",
    "broken references": "SELECT * FROM pragma_foreign_key_check",
    "damage": "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
}


def external_ids_of_a_whole_registry(data: Path, copy: Path) -> set[str]:
    """Return the external ids, after looking in a copy for what is there by half."""
    return found_in_a_whole_registry(data, copy, _FAULTS, "SELECT external_id FROM config")


async def found(operator: Operator, identity: str) -> Known:
    """Return what the registry knows of a configuration."""
    config = await operator.get(f"/v1/configs/{identity}")
    channels = tuple(channel["id"] for channel in config["channels"])
    return Known(config["external_id"], config["content"], channels, config["active"], config["version"])


async def killed_while_writing(served: Served, channels: tuple[str, ...], name: str, seconds: float) -> list[Writer]:
    """Let writers of two vendors write to a gateway, and kill it in the middle."""
    address = served.listening.http[0]
    async with Vendor(address, THINGS) as things, Vendor(address, CLIENTS) as clients:
        writers = [Writer((things, clients)[number % 2], f"{name}-{number}", channels) for number in range(WRITERS)]
        load = asyncio.create_task(write_until_gone(writers))
        await asyncio.sleep(seconds)
        assert not load.done(), load.exception()
        served.kill()
        await served.ended()
        await asyncio.wait_for(load, PATIENCE_SECONDS)
    return writers


async def test_kills_lose_no_acknowledged_configuration(tmp_path: Path) -> None:
    chance = random.Random(20_261_123)
    data, known = tmp_path / "gateway/data", dict[str, Known]()
    asked: set[str] = set()
    async with Unmeasured(tmp_path / "gateway") as served:
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            channels = tuple([(await operator.post("/v1/channels", {"name": name}))["id"] for name in "abc"])
        for number in range(ROUNDS):
            writers = await killed_while_writing(served, channels, f"round-{number}", chance.uniform(0.1, 0.6))
            there = external_ids_of_a_whole_registry(data, tmp_path / "copy")
            asked |= set[str]().union(*(writer.asked for writer in writers))
            await served.start()
            async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
                for writer in writers:
                    for identity, told in writer.known.items():
                        kept = await found(operator, identity)
                        assert kept in (told, writer.underway.get(identity, told))
                        known[identity] = kept
            assert {each.external_id for each in known.values()} <= there <= asked
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            assert {identity: await found(operator, identity) for identity in known} == known
        async with Vendor(served.listening.http[0], CLIENTS) as vendor:
            for identity, told in chance.sample(sorted(known.items()), 20):
                status, body = await vendor.fetch(told.external_id)
                document = json.loads(body)
                assert (status, document["client_id"], document.get("content")) == (200, identity, told.content)
                assert document["client_secret"]
    assert len(known) > ROUNDS


async def test_one_external_id_is_given_once_and_stays_given(tmp_path: Path) -> None:
    async with Unmeasured(tmp_path / "gateway") as served:
        address = served.listening.http[0]
        async with Vendor(address, THINGS) as things, Vendor(address, CLIENTS) as clients:
            async with Operator(address, ADMIN_TOKEN) as operator:
                channels = ((await operator.post("/v1/channels", {}))["id"],)
            for name in ("one", "two", "three"):
                made = await asyncio.gather(
                    *((things, clients)[number % 2].create(name, f"{number}", channels) for number in range(WRITERS))
                )
                statuses = Counter(status for status, _ in made)
                assert (statuses[201], statuses[201] + statuses[400] + statuses[409]) == (1, WRITERS)
        served.kill()
        await served.ended()
        assert external_ids_of_a_whole_registry(tmp_path / "gateway/data", tmp_path / "copy") == {"one", "two", "three"}
        await served.start()
        async with Vendor(served.listening.http[0], CLIENTS) as vendor:
            status, body = await vendor.ask("GET", f"{CLIENTS.configs}/configs?external_id=two")
            assert (status, json.loads(body)["total"]) == (200, 1)
            assert json.loads(body)["configs"][0]["external_key"] == KEY
