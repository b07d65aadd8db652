"""A device, the gateway's core and a service that is asked, one behind the other."""

import msgspec
import pytest
from aiohttp import web

from adapters.exchange import Carrier, Success
from adapters.hooks import WebHooks
from adapters.metrics import PrometheusMeter
from core.admission import hook_row
from core.limits import Buckets
from core.model import Hook, Reprovision, Secret, Strategy
from core.ports import Changes
from core.provision import Provision
from tests.core.registry import UNLIMITED, Registry
from tests.dialects.thingsboard_server import FAILURE, Server, body, failed
from tests.hooks.hook_service import SECRET, HookService, hang, serving


async def asking(service: HookService, hooks: WebHooks, seconds: int = 5) -> Server:
    """Return ThingsBoard's server over a profile whose hook is the service."""
    registry = Registry()
    limits = Buckets(UNLIMITED), Buckets(UNLIMITED)
    registry.provision = Provision(registry.repository, registry.issuer, registry.audit, *limits, hooks)
    profile = await registry.profile(Strategy.CREATE_NEW, Reprovision.SAME)
    hook = Hook(url=service.url, secret=registry.vault.seal(Secret(SECRET), hook_row(profile.id)), seconds=seconds)
    await registry.repository.commit(Changes(replace=(msgspec.structs.replace(profile, hook=hook, version=2),)))
    return Server(registry)


async def inventory(request: web.Request) -> web.StreamResponse:
    """Know one device, by the name that it has on its label."""
    asked = msgspec.json.decode(await request.read())
    if asked["name"] not in ("MAC-0042", "pump 7"):
        return web.json_response({"allow": False, "reason": "nobody ordered it"})
    return web.json_response({"allow": True, "name": "pump 7", "metadata": {"site": "Ulm"}})


@pytest.mark.parametrize("carrier", Carrier)
async def test_an_inventory_names_the_devices_it_knows(carrier: Carrier) -> None:
    hooks = WebHooks(PrometheusMeter())
    async with serving(inventory) as service:
        server = await asking(service, hooks)
        first = await server.ask(carrier, body("MAC-0042"))
        again = await server.ask(carrier, body("MAC-0042"))
        stranger = await server.ask(carrier, body("MAC-0666"))
        await hooks.close()
    assert first.outcome in (Success.OK, Success.CREATED)
    assert first.body == again.body
    assert stranger == failed(carrier, FAILURE)
    (device,) = await server.registry.devices()
    assert (device.name, device.metadata) == ("pump 7", {"site": "Ulm"})
    assert [asked["decision"] for asked in service.asked] == ["create", "create", "repeat", "create"]
    assert await server.checks() == ["hook.refused"]


async def test_a_service_that_hangs_lets_nobody_in() -> None:
    hooks = WebHooks(PrometheusMeter())
    async with serving(hang) as service:
        server = await asking(service, hooks, seconds=1)
        told = await server.ask(Carrier.HTTP, body())
        await hooks.close()
    assert told.retry_after is not None
    assert await server.registry.devices() == ()
    assert await server.checks() == ["hook.slow"]
