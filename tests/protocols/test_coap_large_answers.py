"""Answers of a megabyte and more: whole, to several receivers at once, within the bytes that may be kept."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiocoap
import pytest

from adapters.coap.config import CoapConfig
from adapters.exchange import Inbound, Outbound, Success
from tests.protocols.coap_peers import (
    BLOCK2,
    CON,
    DEADLINE_SECONDS,
    GET,
    POST,
    PathExchange,
    block,
    coap_client,
    message,
    needs_coap_client,
    serving,
)

SIZE = 3 * 1024 * 1024 // 2
UNHURRIED = {"source_datagrams_per_second": 1e6, "source_burst_datagrams": 10**6, "global_burst_datagrams": 10**6}


class LargeExchange(PathExchange):
    """Answers `/config/<name>` with a megabyte and a half of its own."""

    async def handle(self, inbound: Inbound) -> Outbound:
        self.seen.append(inbound)
        return Outbound(outcome=Success.OK, body=content(inbound.path), content_type="application/cbor", etag="abcd")


def content(path: str) -> bytes:
    return hashlib.shake_128(path.encode()).digest(SIZE)


@pytest.fixture
async def aiocoap_client() -> AsyncIterator[aiocoap.Context]:
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    yield context
    await context.shutdown()


@needs_coap_client
async def test_libcoap_fetches_a_megabyte_and_a_half_several_at_once(tmp_path: Path) -> None:
    async with serving(LargeExchange(), **UNHURRIED) as served:
        await asyncio.gather(
            *(coap_client("-b", "1024", "-o", str(tmp_path / name), f"{served.url}/config/{name}") for name in "abc")
        )
        assert len(served.exchange.seen) == 3
        assert served.server._shared.representations.held_bytes <= CoapConfig().max_representation_bytes
    assert [(tmp_path / name).read_bytes() == content(f"/config/{name}") for name in "abc"] == [True] * 3


async def test_aiocoap_fetches_a_megabyte_and_a_half(aiocoap_client: aiocoap.Context) -> None:
    async with serving(LargeExchange(), **UNHURRIED) as served:
        request = aiocoap.Message(code=aiocoap.GET, uri=f"{served.url}/config/a", accept=60)
        async with asyncio.timeout(2 * DEADLINE_SECONDS):
            response = await aiocoap_client.request(request).response
    assert response.payload == content("/config/a")
    assert (response.opt.content_format, response.opt.etag) == (60, b"\xab\xcd")
    assert [inbound.headers["accept"] for inbound in served.exchange.seen] == ["application/cbor"]


def test_forty_such_answers_may_be_fetched_at_once() -> None:
    assert CoapConfig().max_representation_bytes // (SIZE + 1024) >= 40


async def test_one_receiver_too_many_is_asked_to_come_later_and_disturbs_nobody() -> None:
    async with serving(LargeExchange(), max_representation_bytes=2 * (SIZE + 1024), retry_after_seconds=7) as served:
        devices = [served.device() for _ in range(3)]
        answers = [await device.ask(message(CON, GET, 1, path="config/a")) for device in devices]
        later = (BLOCK2, block(1, False, 6))
        blocks = [await device.ask(message(CON, GET, 2, later, path="config/a")) for device in devices]
        posted = await devices[2].ask(message(CON, POST, 3, path="config/a"))  # cannot be had again: goes before others
    assert [answer.dotted for answer in answers] == ["2.05", "2.05", "5.03"]
    assert (answers[2].number(14), answers[2].payload) == (7, b"")
    assert [part.dotted for part in blocks] == ["2.05", "2.05", "5.03"]
    assert posted.dotted == "2.05"
    assert served.meter.bounds == {"coap.representations": 3, "coap.fetching": 2}
    assert len(served.exchange.seen) == 5


async def test_an_answer_that_seems_abandoned_makes_room() -> None:
    async with serving(LargeExchange(), max_representation_bytes=SIZE + 1024) as served:
        await served.device().ask(message(CON, GET, 1, path="config/a"))
        kept = served.server._shared.representations
        for key, (at, answer) in tuple(kept._answers.items()):
            kept._answers[key] = (at - 11, answer)
        answer = await served.device().ask(message(CON, GET, 1, path="config/b"))
        assert kept.held_bytes == SIZE + 1024
    assert answer.dotted == "2.05"
    assert served.meter.bounds == {}


async def test_blocks_that_can_be_cut_again_are_not_remembered_one_by_one() -> None:
    async with serving(LargeExchange()) as served:
        device = served.device()
        requests = [message(CON, GET, n + 1, (BLOCK2, block(n, False, 6)), path="config/a") for n in range(20)]
        parts = [await device.ask(request) for request in requests]
        assert (await device.ask(requests[7])).raw == parts[7].raw
        assert len(served.server._layer._requests) == 1
    assert b"".join(part.payload for part in parts) == content("/config/a")[: 20 * 1024]
    assert len(served.exchange.seen) == 1
