"""The servers that are compared: the gateway on a file with so many devices in it, and the bare libraries."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import uvloop

from adapters.app import build
from adapters.config import from_environment
from adapters.demo import ensure_profile
from core.crypto.tokens import new_id
from core.model import Credential, CredentialId, CredentialKind, Device, DeviceId, DeviceState, Lookup, Profile, Reprovision
from core.ports import Changes, Repository

BATCH = 256
UNLIMITED = {
    "FIRSTLIGHT_HTTP": "127.0.0.1:0",
    "FIRSTLIGHT_COAP": "127.0.0.1:0",
    "FIRSTLIGHT_MQTT": "127.0.0.1:0",
    "FIRSTLIGHT_LIMIT_SOURCE": "0",
    "FIRSTLIGHT_LIMIT_CLAIM_KEY": "0",
    "FIRSTLIGHT_COAP_SOURCE_DATAGRAMS_PER_SECOND": "1000000",
    "FIRSTLIGHT_COAP_SOURCE_BURST_DATAGRAMS": "1000000",
    "FIRSTLIGHT_COAP_GLOBAL_DATAGRAMS_PER_SECOND": "1000000",
    "FIRSTLIGHT_COAP_GLOBAL_BURST_DATAGRAMS": "1000000",
}


async def gateway(devices: str) -> None:
    """Put this many devices into a file, then become the gateway itself, `firstlight serve`, on that file."""
    directory = tempfile.mkdtemp(prefix="firstlight-bench-")
    settings = UNLIMITED | {"FIRSTLIGHT_DATA": directory}
    async with build(from_environment(settings)).running() as running:
        claim = await ensure_profile(running.repository, running.issuer)
        assert claim is not None
        profile, secret = claim
        # The policy a profile has unless it is given another: nothing is kept to be told again.
        profile = msgspec.structs.replace(profile, reprovision=Reprovision.DENY, version=profile.version + 1)
        await running.repository.commit(Changes(replace=(profile,)))
        await fill(running.repository, profile, int(devices))
        listening = {name: places for name, places in msgspec.structs.asdict(running.listening).items() if places}
    addresses = {f"FIRSTLIGHT_{name.upper()}": str(places[0]) for name, places in listening.items()}
    ports = [str(places[0].port) for places in listening.values()]
    print(*ports, profile.provision_key, secret.reveal(), directory, flush=True)
    os.execve(sys.executable, [sys.executable, "-P", "-m", "adapters", "serve"], os.environ | settings | addresses)


async def fill(repository: Repository, profile: Profile, devices: int) -> None:
    """Put devices with credentials into the registry."""
    for start in range(0, devices, BATCH):
        batch = range(start, min(start + BATCH, devices))
        await repository.commit(Changes(insert=tuple(entity for number in batch for entity in newcomer(profile, number))))


def newcomer(profile: Profile, number: int) -> tuple[Device, Credential]:
    """Return a device with an access token; names are in no order, as those of devices are."""
    from adapters.system import SystemClock, SystemEntropy

    now, entropy = SystemClock().now(), SystemEntropy()
    device = Device(
        id=DeviceId(new_id(now, entropy)),
        tenant=profile.tenant,
        profile=profile.id,
        name=f"{entropy.draw(4).hex()}-{number}",
        state=DeviceState.PROVISIONED,
        created_at=now,
        updated_at=now,
    )
    credential = Credential(
        id=CredentialId(new_id(now, entropy)),
        device=device.id,
        kind=CredentialKind.ACCESS_TOKEN,
        lookup=Lookup(entropy.draw(32)),
        created_at=now,
    )
    return device, credential


async def bare_http() -> None:
    """Serve a bare aiohttp handler: JSON read and written with msgspec, nothing looked up, nothing kept."""
    from aiohttp import web

    class Request(msgspec.Struct):
        deviceName: str  # noqa: N815 - the field's name on the wire
        provisionDeviceKey: str  # noqa: N815 - the same
        provisionDeviceSecret: str  # noqa: N815 - the same

    decoder = msgspec.json.Decoder(Request)

    async def handle(request: web.Request) -> web.Response:
        asked = decoder.decode(await request.read())
        reply = {"credentialsValue": asked.deviceName, "credentialsType": "ACCESS_TOKEN", "status": "SUCCESS"}
        return web.Response(body=msgspec.json.encode(reply), content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/v1/provision", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def stock_coap() -> None:
    """Serve with aiocoap as it comes: a resource that answers at once, nothing looked up, nothing kept."""
    import aiocoap
    from aiocoap import resource

    class Provision(resource.Resource):  # type: ignore[misc] # aiocoap ships no types
        async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
            return aiocoap.Message(code=aiocoap.CREATED, payload=b'{"status":"SUCCESS"}', content_format=0)

    site = resource.Site()
    site.add_resource(["api", "v1", "provision"], Provision())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port), transports=["udp6"])
    print(port, flush=True)
    await asyncio.Event().wait()


SERVERS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "gateway": gateway,
    "bare_http": bare_http,
    "stock_coap": stock_coap,
}

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(SERVERS[sys.argv[1]](*sys.argv[2:]))
