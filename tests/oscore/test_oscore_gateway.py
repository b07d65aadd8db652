"""OSCORE through a whole gateway over SQLite: over datagrams and connections, over a restart, until it is revoked."""

from pathlib import Path

import aiocoap

from adapters.app import Running
from core.model import DEFAULT_TENANT
from core.ports import Changes, Delete
from core.queries import DeviceNamesQuery, DeviceSnapshot, OscoreQuery
from tests.core.registry import Registry
from tests.e2e.gateways import opened
from tests.oscore.devices import OSCORE, SHARED, Protecting, aiocoap_client
from tests.protocols.coap_peers import Datagram, until

REPORT = {"path": "v1/devices/me/firmware", "code": aiocoap.POST, "content_format": 50}


async def enter(running: Running) -> None:
    """Put a device with an OSCORE context into the registry of a gateway."""
    registry = Registry(running.repository)
    registry.issuer, registry.vault = running.issuer, running.issuer.vault  # type: ignore[assignment]  # it counts nothing here
    await registry.device(await registry.profile(), "meter-1", SHARED)


async def known(running: Running) -> DeviceSnapshot:
    (found,) = await running.repository.read(DeviceNamesQuery(DEFAULT_TENANT, ("meter-1",)))
    assert found is not None
    return found


async def refused(device: Protecting, raw: bytes) -> bytes:
    answer: Datagram = await device.ask(raw)
    assert OSCORE not in answer.options
    return answer.payload


async def test_a_device_from_its_first_message_to_its_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as running:
        await enter(running)
        device = Protecting(running.listening.coap[0].port)
        first = device.request(payload=b'{"version":"1.2"}', **REPORT)
        assert device.opened((await device.ask(first)).raw).code.is_successful()
        assert (await known(running)).device.runs == "1.2"
        device.close()
    async with opened(tmp_path, COAP_TCP="127.0.0.1:0") as running:
        credential = (await known(running)).credentials[0]
        state = await running.repository.read(OscoreQuery(credential.id))
        assert state is not None
        assert (state.sequence, state.window) == (0, (0, 1))
        again = Protecting(running.listening.coap[0].port)
        again.keys, again.mid = device.keys, device.mid
        assert await refused(again, first) == b"Replay detected"
        assert (await again.fetch(payload=b'{"version":"1.3"}', **REPORT)).code.is_successful()
        url = f"coap+tcp://127.0.0.1:{running.listening.coap_tcp[0].port}"
        async with aiocoap_client(url) as client:
            client.client_credentials[f"{url}/*"].sender_sequence_number = 1_000
            report = aiocoap.Message(
                code=aiocoap.POST, uri=f"{url}/{REPORT['path']}", payload=b'{"version":"1.4"}', content_format=50
            )
            assert (await client.request(report).response).code.is_successful()
        assert (await known(running)).device.runs == "1.4"
        await running.repository.commit(Changes(delete=(Delete(credential),)))
        again.keys.sender_sequence_number = 2_000
        await until(lambda: not len(running._listeners._protected))
        assert await refused(again, again.request(payload=b'{"version":"1.5"}', **REPORT)) == b"Security context not found"
        assert (await known(running)).device.runs == "1.4"
        again.close()
