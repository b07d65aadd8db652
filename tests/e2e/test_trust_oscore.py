"""OSCORE with a context that the command line gave, in front of a process that is stopped and killed."""

import json
import signal
from pathlib import Path

import aiocoap
import pytest

from adapters.settings import Address
from core.messages import Oscore
from core.model import Secret
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.process import Served
from tests.e2e.trusting import ATTRIBUTES, READING, TELEMETRY, firstlight
from tests.oscore.devices import OSCORE, Protecting, aiocoap_client, tapped
from tests.protocols.coap_peers import Datagram


async def context_of(where: Address) -> Oscore:
    """Have the command line define a device and draw its context."""
    await firstlight(where, "profile", "create", "meters")
    made = json.loads(await firstlight(where, "device", "define", "m-1", "--profile", "meters", "--oscore", "--json"))
    (drawn,) = made["credentials"]
    assert drawn["type"] == "oscore"
    return Oscore(drawn["device_id"], drawn["server_id"], Secret(drawn["secret"]), drawn["salt"], drawn["id_context"])


def report(device: Protecting) -> bytes:
    """Write a protected report."""
    return device.request(TELEMETRY, aiocoap.POST, payload=READING.encode())


def again(datagram: bytes, mid: int) -> bytes:
    """Return what somebody sends who heard a datagram, as a message of its own."""
    return datagram[:2] + mid.to_bytes(2, "big") + datagram[4:]


def back(served: Served, before: Protecting, shared: Oscore) -> Protecting:
    """Return a device that comes again, with the numbers that it had."""
    before.close()
    device = Protecting(served.listening.coap[0].port, shared)
    device.keys, device.mid, device.asked = before.keys, before.mid + 1_000, before.asked
    return device


def is_replay(answer: Datagram) -> bool:
    return (answer.dotted, answer.payload, OSCORE in answer.options) == ("4.01", b"Replay detected", False)


async def test_a_client_reports_and_nobody_can_read_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as running, tapped(running.listening.coap[0].port) as (tap, url):
        shared = await context_of(running.listening.http[0])
        async with Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            device = (await operator.device("m-1") or {})["id"]
            config = {"external_id": "aa:bb", "external_key": "a key", "content": "for m-1", "device": device}
            await operator.post("/v1/configs", config)
        async with aiocoap_client(url, shared) as client:
            post = aiocoap.Message(code=aiocoap.POST, uri=url + TELEMETRY, payload=READING.encode(), content_format=50)
            assert (await client.request(post).response).code == aiocoap.CREATED
            got = await client.request(aiocoap.Message(code=aiocoap.GET, uri=url + ATTRIBUTES)).response
            assert (got.code, got.payload) == (aiocoap.CONTENT, b"{}")
            got = await client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/clients/bootstrap/aa:bb")).response
            assert json.loads(got.payload)["content"] == "for m-1"
            large = aiocoap.Message(code=aiocoap.POST, uri=url + TELEMETRY, payload=json.dumps({"x": "y" * 5_000}).encode())
            assert (await client.request(large).response).code == aiocoap.CREATED
        assert all(OSCORE in datagram.options for datagram in tap.seen)
        assert not any(
            word in datagram.raw
            for datagram in tap.seen
            for word in (b"temperature", b"telemetry", b"aa:bb", b"for m-1", b"yyyy")
        )
        sensor = Protecting(running.listening.coap[0].port, shared)
        sensor.keys.sender_sequence_number = 1_000
        assert sensor.opened((await sensor.ask(report(sensor))).raw).code == aiocoap.CREATED
        await firstlight(running.listening.http[0], "device", "revoke", "m-1")
        answer = await sensor.ask(report(sensor))
        sensor.close()
    assert (answer.dotted, answer.payload) == ("4.01", b"Security context not found")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_what_was_sent_once_does_nothing_again_after_a_restart(tmp_path: Path, number: signal.Signals) -> None:
    served = Served(tmp_path)
    async with served:
        shared = await context_of(served.listening.http[0])
        device = Protecting(served.listening.coap[0].port, shared)
        first = report(device)
        answer = await device.ask(first)
        assert device.opened(answer.raw).code == aiocoap.CREATED
        assert is_replay(await device.ask(again(first, 0x7001)))
        served.stop(number)
        await served.ended()
        await served.start()
        device = back(served, device, shared)
        attacked = await device.ask(again(first, 0x7002))
        if number is signal.SIGTERM:
            assert is_replay(attacked)
        else:  # the gateway does not know what it heard before, and asks for a proof that only the device has
            fresh = device.request(TELEMETRY, aiocoap.POST, payload=READING.encode())
            challenge = device.opened((await device.ask(fresh)).raw)
            assert challenge.code == aiocoap.UNAUTHORIZED
            proved = device.request(TELEMETRY, aiocoap.POST, payload=READING.encode(), echo=challenge.opt.echo)
            assert device.opened((await device.ask(proved)).raw).code == aiocoap.CREATED
            assert is_replay(await device.ask(again(first, 0x7003)))
        assert device.opened((await device.ask(report(device))).raw).code == aiocoap.CREATED
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            figures = await operator.figures()
        device.close()
    assert shared.secret.reveal() not in served.log()
    (reports,) = (
        value for sample, value in figures.items() if 'operation="telemetry"' in sample and "requests_total" in sample
    )
    assert reports == (1 if number is signal.SIGTERM else 2)
