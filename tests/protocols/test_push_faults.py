"""What pushes do about a gateway at fault for a while: who listens or observes has the last state in the end."""

import msgspec
import pytest

from adapters.exchange import Outbound
from core.errors import Reason
from tests.protocols.coap_observing import watched
from tests.protocols.coap_peers import until
from tests.protocols.mqtt_documents import KEY, VISITOR, Documents, answered, asked
from tests.protocols.mqtt_peer import EVERY_LOOP, gateway, publish_packet, subscribe_packet


@pytest.mark.parametrize("loop", EVERY_LOOP)
@pytest.mark.parametrize("refusal", [Outbound(outcome=Reason.INTERNAL), Outbound(outcome=Reason.UNAVAILABLE, retry_after=0.0)])
def test_a_fault_of_the_gateway_is_no_answer(loop: str, refusal: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mqtt.pushing._FAULT_RETRY_SECONDS", 0.02)
    monkeypatch.setattr("adapters.mqtt.pushing._LEAST_RETRY_SECONDS", 0.02)
    rules = Documents()
    with gateway(loop, rules=rules) as running, running.client().connect(username=VISITOR) as client:
        client.send(subscribe_packet((answered("a"), 0))).read()
        client.send(publish_packet(asked("a"), KEY))
        assert client.read()[1].endswith(b"first")

        def fail() -> None:
            rules.refusals["a"] = refusal
            rules.change("a", b"last")

        running.call(fail)
        client.ping()
        running.call(rules.refusals.clear)  # and nobody is told that anything changed
        assert client.read()[1].endswith(b"last")


async def test_an_observer_outlives_a_gateway_that_is_too_busy() -> None:
    async with watched() as served:
        device = served.device()
        await device.register()
        await until(lambda: served.exchange.asked["01"] == 2)
        busy = Outbound(outcome=Reason.UNAVAILABLE, retry_after=0.01, etag="busy")
        served.exchange.version, before = busy, served.exchange.version
        served.exchange.tell()
        await until(lambda: served.exchange.asked["busy"] > 2)
        assert served.observers == 1
        served.exchange.version = msgspec.structs.replace(before, etag="02", body=b"v2")  # and nobody is told of it
        assert (await device.notified()).payload == b"v2"


async def test_an_observer_that_left_is_not_asked_about_later() -> None:
    async with watched() as served:
        device = served.device()
        await device.register()
        await until(lambda: served.exchange.asked["01"] == 2)
        served.exchange.version = Outbound(outcome=Reason.TOO_MANY, retry_after=0.05, etag="busy")
        served.exchange.tell()
        await until(lambda: served.exchange.asked["busy"] == 1)
        await device.ask(device.request(observe=b"\x01"))
        assert served.observers == 0
        assert await device.quiet()
