"""What a push does about a gateway that is at fault for a while: whoever listens ends with the last state all the same."""

import pytest

from adapters.exchange import Outbound
from core.errors import Reason
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
