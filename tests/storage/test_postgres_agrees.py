"""Random commits, many at once: PostgreSQL and memory refuse the same ones and hold the same afterwards.

The plans are those of `test_stores_agree`, fewer of each: a database takes its time.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from core.model import DEFAULT_TENANT
from core.ports import Changes, Entity
from storage import open_repository
from tests.postgres_server import PostgresServer
from tests.storage import test_stores_agree as plans
from tests.storage.conftest import put_back
from tests.storage.entities import (
    a_channel,
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_profile,
    a_tenant,
    a_tombstone,
    an_approval,
    an_entry,
    an_issued,
    an_organization,
    an_oscore_state,
)

EXAMPLES = 4
DEVICES = (a_device(2, name="sensor-2"), a_device(3, name="sensor-3"))
WORLDS: dict[str, tuple[Any, tuple[Entity, ...]]] = {
    "devices": (plans.PLANS, ()),
    "configurations": (plans.CONFIG_PLANS, (*DEVICES, *map(a_channel, (1, 2, 3)), a_config(1, 3, 1, external_id="external-3"))),
    "claims": (plans.LATER_PLANS, (*DEVICES, a_claim(1), an_entry(1, login="one"), an_organization("owner"))),
    "trust": (plans.TRUST_PLANS, (DEVICES[0], a_credential(1), a_credential(2), an_oscore_state(1), an_issued(1))),
    "approvals": (
        plans.QUEUE_PLANS,
        (DEVICES[0], a_credential(1), an_approval(1, name="sensor-1"), an_approval(2, name="sensor-2")),
    ),
    "claim keys": (
        plans.LIMITED_PLANS,
        (DEVICES[0], a_credential(1), a_tombstone(1, name="sensor-1"), a_tombstone(2, serial="serial-1")),
    ),
    "organizations": (
        plans.PLACE_PLANS,
        (an_organization("above-1"), an_organization("above-2", parent="above-1"), an_organization("above-3")),
    ),
}


async def compare(plan: plans.Plan, url: str, present: tuple[Entity, ...]) -> None:
    async with AsyncExitStack() as stack:
        memory, postgres = [await stack.enter_async_context(open_repository(each)) for each in ("memory:", url)]
        insert = (a_profile(), a_tenant(), a_profile(2, tenant=plans.TENANTS[1]), a_device(1, name="sensor-1"), *present)
        room = 1 + sum(isinstance(entity, type(a_device())) for entity in insert)
        tenant = a_tenant(1, id=DEFAULT_TENANT, name="default", device_limit=room, version=2)
        for repository in (memory, postgres):
            await repository.commit(Changes(insert=insert, replace=(tenant,)))
        for number, steps in enumerate(plan):
            group = [await plans.changes_of(memory, some, 10 * number + event) for some, event in steps]
            assert await plans.outcomes(memory, group) == await plans.outcomes(postgres, group), group
        assert await plans.everything(memory) == await plans.everything(postgres)


@pytest.mark.parametrize("world", WORLDS)
def test_postgres_agrees_with_memory(postgres: PostgresServer, shared_database: str, world: str) -> None:
    drawn, present = WORLDS[world]

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(drawn)
    def agree(plan: plans.Plan) -> None:
        put_back(postgres, shared_database)
        asyncio.run(compare(plan, postgres.url(shared_database), present))

    agree()
