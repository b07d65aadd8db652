"""What devices are told where a claim key does not reach them: what a wrong key or a full tenant is told, and no more."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.exchange import Carrier
from core.model import ClaimPolicy
from core.ports import Changes
from core.queries import ClaimQuery
from tests.core.registry import KEY
from tests.dialects.enos_gateway import serving as serving_enos
from tests.dialects.thingsboard_server import NAME, Server, body, serving
from tests.storage.entities import a_tombstone

AS_WRONG = ("claim.burned", "claim.early", "claim.over")
POLICIES = {
    "claim.burned": ClaimPolicy(burned_at=1),
    "claim.early": ClaimPolicy(opens_at=253_402_300_000_000),
    "claim.over": ClaimPolicy(closes_at=1),
    "claim.name": ClaimPolicy(names="another"),
    "claim.budget": ClaimPolicy(budget=0),
    "device.tombstone": ClaimPolicy(),
}


async def limit(server: Server, check: str) -> None:
    repository = server.registry.repository
    profile = (await repository.read(ClaimQuery(KEY, ""))).profile
    assert profile is not None
    limited = msgspec.structs.replace(profile, claims=POLICIES[check], version=profile.version + 1)
    stones = (a_tombstone(profile=profile.id, name=NAME),) if check == "device.tombstone" else ()
    await repository.commit(Changes(replace=(limited,), insert=stones))


async def told_by_a_full_tenant(carrier: Carrier) -> Any:
    server = await serving()
    await server.registry.limit_devices(0)
    return await server.ask(carrier, body())


@pytest.mark.parametrize("carrier", Carrier)
@pytest.mark.parametrize("check", POLICIES)
async def test_a_thingsboard_device_is_told_nothing_of_the_policy(carrier: Carrier, check: str) -> None:
    server = await serving()
    await limit(server, check)
    told = await server.ask(carrier, body())
    wrong = await server.ask(carrier, body(provisionDeviceSecret="wrong"))
    assert told == (wrong if check in AS_WRONG else await told_by_a_full_tenant(carrier))
    assert (await server.checks())[0] == check


LIMITS: dict[str, dict[str, Any] | None] = {
    "claim.burned": None,
    "claim.early": {"opens_at": "9999-01-01T00:00:00Z"},
    "claim.over": {"closes_at": "1971-01-01T00:00:00Z"},
    "claim.name": {"names": ["another"]},
    "claim.budget": {"budget": 0},
}


@pytest.mark.parametrize("check", LIMITS)
async def test_an_enos_device_is_told_nothing_of_the_policy(check: str, tmp_path: Path) -> None:
    async with serving_enos(tmp_path) as gateway:
        await gateway.group()
        if check == "claim.burned":
            await gateway.operator.post("/v1/profiles/QK7M2A/burn", None)
        else:
            await gateway.operator.patch("/v1/profiles/QK7M2A", {"claims": LIMITS[check]})
        told = (await gateway.bootstrap()).refused
        assert (await gateway.operator.newest_event())["check"] == check
        wrong = (await gateway.bootstrap(password="wrong")).refused
        assert (told == wrong) == (check in AS_WRONG)


async def test_an_enos_device_that_was_deleted_is_told_that_it_is_not_expected(tmp_path: Path) -> None:
    async with serving_enos(tmp_path) as gateway:
        await gateway.group()
        await gateway.given()
        assert (await gateway.operator.ask("DELETE", "/v1/devices/SN-0001")).status == 204
        gone = (await gateway.bootstrap()).refused
        await gateway.operator.patch("/v1/profiles/QK7M2A", {"claims": {"budget": 0}})
        assert (await gateway.bootstrap("SN-0002")).refused[:2] == gone[:2]
        await gateway.operator.post("/v1/tombstones/SN-0001/leave", None)
        assert (await gateway.bootstrap()).refused[:2] == gone[:2]
        await gateway.operator.patch("/v1/profiles/QK7M2A", {"claims": None})
        await gateway.given()
