"""CoAP's message layer, spoken byte by byte: duplicates, acknowledgements, separate responses, refusals, bounds."""

import asyncio
import logging

import pytest

from adapters.coap import retransmission
from core.errors import Reason
from tests.protocols.coap_peers import (
    ACCEPT,
    ACK,
    CON,
    CONTENT_FORMAT,
    GET,
    NO_RESPONSE,
    NON,
    POST,
    RST,
    URI_PATH,
    URI_QUERY,
    Datagram,
    Serving,
    message,
    serving,
    until,
)


async def test_a_duplicate_gets_the_stored_bytes_and_runs_nothing() -> None:
    async with serving() as served:
        device = served.device()
        request = message(CON, POST, 7, token=b"t", payload=b"hello", path="echo")
        first, second = await device.ask(request), await device.ask(request)
    assert first.raw == second.raw
    assert (first.kind, first.dotted, first.mid, first.token, first.payload) == (ACK, "2.04", 7, b"t", b"hello")
    assert len(served.exchange.seen) == 1


async def test_a_duplicate_of_a_running_request_gets_nothing() -> None:
    async with serving(empty_ack_seconds=60) as served:
        device = served.device()
        request = message(CON, POST, 7, payload=b"hello", path="slow")
        await device.send(request)
        await device.send(request)
        assert await device.nothing_before(8)
        served.exchange.gate.set()
        answer = await device.receive()
    assert (answer.kind, answer.mid, answer.payload) == (ACK, 7, b"hello")
    assert len(served.exchange.seen) == 1


async def test_a_slow_request_is_acknowledged_first_and_answered_in_a_message_of_its_own() -> None:
    async with serving(empty_ack_seconds=0.01) as served:
        device = served.device()
        request = message(CON, POST, 7, token=b"t", payload=b"hello", path="slow")
        acknowledgement, again = await device.ask(request), await device.ask(request)
        served.exchange.gate.set()
        response = await device.receive()
        await device.send(message(ACK, 0, response.mid))
    assert acknowledgement.raw == again.raw == message(ACK, 0, 7)
    assert (response.kind, response.token, response.payload) == (CON, b"t", b"hello")
    assert len(served.exchange.seen) == 1


async def test_a_reused_message_id_with_another_request_is_a_new_request() -> None:
    async with serving() as served:
        device = served.device()
        await device.ask(message(CON, POST, 7, token=b"a", payload=b"before the restart", path="echo"))
        answer = await device.ask(message(CON, POST, 7, token=b"b", payload=b"after it", path="echo"))
    assert (answer.token, answer.payload) == (b"b", b"after it")


async def test_a_non_confirmable_request_gets_a_non_confirmable_answer_once() -> None:
    async with serving() as served:
        device = served.device()
        request = message(NON, POST, 7, token=b"t", payload=b"hello", path="echo")
        answer = await device.ask(request)
        await device.send(request)
        assert await device.nothing_before(8)
    assert (answer.kind, answer.token, answer.payload) == (NON, b"t", b"hello")
    assert len(served.exchange.seen) == 1


async def test_a_ping_is_answered_with_a_reset() -> None:
    async with serving() as served:
        device = served.device()
        assert (await device.ask(message(CON, 0, 99))).raw == message(RST, 0, 99)


async def test_a_client_that_wants_no_answer_gets_an_acknowledgement_at_most() -> None:
    async with serving() as served:
        device = served.device()
        unwanted = (NO_RESPONSE, b"\x02")
        assert (await device.ask(message(CON, POST, 1, unwanted, path="echo"))).raw == message(ACK, 0, 1)
        await device.send(message(NON, POST, 2, unwanted, path="echo"))
        assert await device.nothing_before(3)
        assert (await device.ask(message(CON, POST, 4, unwanted, path="missing"))).dotted == "4.04"
    assert len(served.exchange.seen) == 3


async def test_separate_responses_wait_for_each_other_and_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 0.05)
    async with serving(empty_ack_seconds=0.01) as served:
        device = served.device()
        for mid in (1, 2):
            assert (await device.ask(message(CON, POST, mid, token=bytes([mid]), path="slow"))).raw == message(ACK, 0, mid)
        served.exchange.gate.set()
        first, repeated = await device.receive(), await device.receive()
        assert first.raw == repeated.raw
        await device.send(message(ACK, 0, first.mid))
        second = await device.receive()
        while second.raw == first.raw:
            second = await device.receive()
        await device.send(message(RST, 0, second.mid))
    assert (first.token, second.token) == (b"\x01", b"\x02")


async def test_a_separate_response_that_nobody_acknowledges_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retransmission, "ACK_TIMEOUT_SECONDS", 0.002)
    async with serving(empty_ack_seconds=0.01) as served:
        device = served.device()
        for mid in (1, 2):
            await device.ask(message(CON, POST, mid, path="slow"))
        served.exchange.gate.set()
        answers = [await device.receive() for _ in range(1 + retransmission.MAX_RETRANSMIT)]
        await until(lambda: served.meter.bounds["coap.retransmissions"])
        assert await device.nothing_before(3)
    assert len({answer.raw for answer in answers}) == 1


async def test_a_remote_with_too_many_waiting_responses_is_asked_to_come_later() -> None:
    async with serving(empty_ack_seconds=0.01, backlog_per_remote=1) as served:
        device = served.device()
        for mid in (1, 2, 3):
            await device.ask(message(CON, POST, mid, path="slow"))
        served.exchange.gate.set()
        kinds = {(await device.receive()).kind, (await device.receive()).kind}
        refused = await device.ask(message(CON, POST, 4, path="echo"))
    assert kinds == {CON, NON}  # one on its way, one waiting; the third is sent once, rather than not at all
    assert (refused.dotted, refused.number(14)) == ("5.03", 5)
    assert served.meter.bounds["coap.backlog"] == 1


async def test_when_too_many_remotes_acknowledge_nothing_others_are_answered_once() -> None:
    async with serving(empty_ack_seconds=0.01, max_unacknowledged_remotes=1) as served:
        for device in (served.device(), served.device()):
            await device.ask(message(CON, POST, 1, path="slow"))
        served.exchange.gate.set()
        kinds = [(await device.receive()).kind for device in served.devices]
        assert (await served.device().ask(message(CON, POST, 1, path="echo"))).dotted == "2.04"
    assert sorted(kinds) == [CON, NON]


async def test_too_many_running_requests_are_refused_with_a_time_to_retry() -> None:
    async with serving(max_running=1, retry_after_seconds=9) as served:
        device = served.device()
        await device.send(message(CON, POST, 1, path="slow"))
        refused = await device.ask(message(CON, POST, 2, path="echo"))
    assert (refused.dotted, refused.number(14), refused.mid) == ("5.03", 9, 2)
    assert served.meter.bounds["coap.running"] == 1


@pytest.mark.parametrize("then", ["hangs up", "reuses its token"])
async def test_nothing_that_a_device_does_stops_its_request(then: str) -> None:
    async with serving(empty_ack_seconds=0.01) as served:
        device = served.device()
        await device.ask(message(CON, POST, 1, token=b"t", path="slow"))
        if then == "hangs up":
            device.close()
            device = served.device()
        other = await device.ask(message(CON, POST, 2, token=b"t", payload=b"x", path="echo"))
        served.exchange.gate.set()
        await until(lambda: served.exchange.finished)
    assert other.payload == b"x"
    assert served.exchange.finished == ["/slow"]


async def test_a_stopping_server_answers_what_runs_and_refuses_what_comes() -> None:
    async with serving(drain_seconds=20) as served:
        device = served.device()
        await device.send(message(CON, POST, 1, payload=b"hello", path="slow"))
        await until(lambda: served.exchange.seen)
        served.server.stop_accepting()
        refused = await device.ask(message(CON, POST, 2, path="echo"))
        closing = asyncio.create_task(served.server.close())
        await asyncio.sleep(0.05)
        served.exchange.gate.set()
        answer = await device.receive()
        await closing
    assert (refused.dotted, refused.number(14)) == ("5.03", 5)
    assert (answer.mid, answer.payload) == (1, b"hello")


async def test_a_stopping_server_waits_no_longer_than_it_was_told() -> None:
    async with serving(drain_seconds=0.05) as served:
        device = served.device()
        await device.send(message(CON, POST, 1, path="slow"))
        await until(lambda: served.exchange.seen)
        await served.server.close()
        served.exchange.gate.set()
        await until(lambda: served.exchange.finished)


async def test_a_stopping_server_forgets_unacknowledged_responses() -> None:
    async with serving(drain_seconds=0.05, empty_ack_seconds=0.01) as served:
        device = served.device()
        await device.ask(message(CON, POST, 1, path="slow"))
        served.exchange.gate.set()
        assert (await device.receive()).kind == CON
        await served.server.close()


async def test_a_fault_in_the_exchange_is_an_internal_error_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        device = served.device()
        answer = await device.ask(message(CON, POST, 1, payload=b"x", path="broken"))
    assert (answer.dotted, answer.payload) == ("5.00", b"")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "A CoAP request could not be answered."
    ]


async def ask(served: Serving, datagram: bytes) -> Datagram:
    return await served.device().ask(datagram)


REFUSED = [
    pytest.param(message(CON, POST, 1, (9, b""), payload=b"x", path="echo"), "4.02", "coap.critical_option", id="OSCORE"),
    pytest.param(message(CON, POST, 1, (1, b"tag"), payload=b"x", path="echo"), "4.02", "coap.critical_option", id="If-Match"),
    pytest.param(message(CON, POST, 1, (65001, b""), payload=b"x"), "4.02", "coap.critical_option", id="unknown and critical"),
    pytest.param(
        message(CON, POST, 1, (ACCEPT, b"123"), payload=b"x"), "4.02", "coap.critical_option", id="critical and too long"
    ),
    pytest.param(
        message(CON, POST, 1, (ACCEPT, b"\0"), (ACCEPT, b"2"), payload=b"x"), "4.02", "coap.critical_option", id="repeated"
    ),
    pytest.param(message(CON, GET, 1, (35, b"coap://other/")), "5.05", "coap.proxy", id="Proxy-Uri"),
    pytest.param(message(CON, GET, 1, (39, b"http")), "5.05", "coap.proxy", id="Proxy-Scheme"),
    pytest.param(message(CON, POST, 1, (ACCEPT, b"\xff\xff"), payload=b"x"), "4.06", "coap.accept", id="unknown Accept"),
    pytest.param(message(CON, 30, 1, payload=b"x"), "4.05", "coap.method", id="unknown method"),
    pytest.param(message(CON, POST, 1, (URI_PATH, b".."), payload=b"x"), "4.00", "coap.path", id="dots"),
    pytest.param(message(CON, POST, 1, *[(URI_PATH, b"x" * 250)] * 5, payload=b"x"), "4.00", "coap.path", id="long path"),
    pytest.param(message(CON, POST, 1, *[(URI_QUERY, b"x=1")] * 17, payload=b"x"), "4.00", "coap.query", id="long query"),
    pytest.param(message(CON, POST, 1, (URI_PATH, b"\xff"), payload=b"x"), "4.00", "coap.text", id="path not UTF-8"),
    pytest.param(message(CON, POST, 1, (URI_QUERY, b"\xff"), payload=b"x"), "4.00", "coap.text", id="query not UTF-8"),
]


@pytest.mark.parametrize(("datagram", "code", "bound"), REFUSED)
async def test_what_coap_itself_refuses(datagram: bytes, code: str, bound: str) -> None:
    async with serving() as served:
        answer = await ask(served, datagram)
    assert (answer.kind, answer.mid, answer.dotted) == (ACK, 1, code)
    assert served.exchange.seen == []
    assert served.meter.bounds == {bound: 1}
    recorded = [(inbound.body, refusal.check) for inbound, refusal in served.exchange.refused]
    recordable = datagram.endswith(b"x") and bound != "coap.path" and b"\xb1\xff" not in datagram
    assert recorded == ([(b"", bound)] if recordable else [])


async def test_a_non_confirmable_request_with_an_unknown_critical_option_is_ignored() -> None:
    async with serving() as served:
        device = served.device()
        await device.send(message(NON, POST, 1, (65001, b""), payload=b"x"))
        assert await device.nothing_before(2)
    assert served.meter.bounds == {"coap.critical_option": 1}


async def test_an_unknown_elective_option_is_ignored() -> None:
    async with serving() as served:
        answer = await ask(
            served, message(CON, POST, 1, (65000, b"?"), (CONTENT_FORMAT, b"\xff\xfe"), payload=b"x", path="echo")
        )
    assert (answer.dotted, answer.payload) == ("2.04", b"x")
    assert served.exchange.seen[0].content_type is None


async def test_a_body_over_the_limit_in_one_datagram() -> None:
    async with serving(max_body_bytes=100) as served:
        answer = await ask(served, message(CON, POST, 1, payload=bytes(101), path="echo"))
    assert (answer.dotted, answer.number(60), answer.payload) == ("4.13", 100, b"request body too large")
    assert served.exchange.refused[0][1].reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(message(CON, POST, 1)[:4] + b"\xff", id="payload marker without payload"),
        pytest.param(b"\x49" + message(CON, POST, 1)[1:] + bytes(9), id="token of nine bytes"),
        pytest.param(b"\x48" + message(CON, POST, 1)[1:] + bytes(7), id="token cut off"),
        pytest.param(message(CON, POST, 1) + b"\xb4api", id="option cut off"),
        pytest.param(message(CON, POST, 1) + b"\xd0", id="extended delta cut off"),
        pytest.param(message(CON, POST, 1) + b"\xf0", id="reserved delta"),
        pytest.param(message(CON, POST, 1) + b"\x0f" + bytes(40), id="reserved length"),
        pytest.param(message(CON, POST, 1) + b"\xe0\xff\xff", id="option number too large"),
        pytest.param(message(CON, 0, 1) + b"\xff\0", id="empty message with a payload"),
        pytest.param(message(CON, 32, 1), id="reserved class 1"),
        pytest.param(message(CON, 69, 1), id="a response"),
    ],
)
async def test_a_confirmable_format_error_is_reset(datagram: bytes) -> None:
    async with serving() as served:
        assert (await ask(served, datagram)).raw == message(RST, 0, 1)
    assert served.meter.bounds == {"coap.malformed": 1}


async def test_too_many_options_are_reset() -> None:
    async with serving() as served:
        assert (await ask(served, message(CON, POST, 1) + bytes(65))).raw == message(RST, 0, 1)
    assert served.meter.bounds == {"coap.options": 1}


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x40",
        b"\x80\x01\x00\x01",
        message(NON, POST, 1) + b"\xff",
        message(NON, 0, 1),
        message(ACK, POST, 1),
        message(RST, 69, 1),
        message(ACK, 0, 1),
    ],
)
async def test_other_nonsense_is_ignored(datagram: bytes) -> None:
    async with serving() as served:
        device = served.device()
        await device.send(datagram)
        assert await device.nothing_before(2)
    assert served.exchange.seen == []


async def test_a_source_that_sends_too_much_is_not_heard() -> None:
    async with serving(source_datagrams_per_second=0, source_burst_datagrams=3) as served:
        device = served.device()
        for mid in range(5):
            await device.send(message(CON, 0, mid))
        assert [(await device.receive()).mid for _ in range(3)] == [0, 1, 2]
        await until(lambda: served.meter.bounds["coap.source_rate"] == 2)


async def test_all_sources_together_are_bounded_too() -> None:
    async with serving(global_datagrams_per_second=0, global_burst_datagrams=1) as served:
        device = served.device()
        for mid in range(3):
            await device.send(message(CON, 0, mid))
        assert (await device.receive()).mid == 0
        await until(lambda: served.meter.bounds["coap.global_rate"] == 2)
