"""What strangers may send: any bytes are refused or decoded, nothing grows, and devices are still served."""

import random
import struct
from typing import Any

import pytest
from aiocoap.numbers.contentformat import ContentFormat
from aiocoap.numbers.optionnumbers import OptionNumber
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.coap.admission import Admission
from adapters.coap.config import CoapConfig
from adapters.coap.decoding import FormatError, decode
from adapters.coap.deduplication import Deduplication
from adapters.coap.remote import Remote
from adapters.coap.screening import Kind, screen
from adapters.coap.selftest import Wire
from adapters.coap.translate import inbound
from adapters.exchange import Carrier
from tests.protocols.coap_observing import WatchedExchange
from tests.protocols.coap_peers import (
    BLOCK1,
    CON,
    CONTENT_FORMAT,
    ETAG,
    GET,
    NON,
    OBSERVE,
    POST,
    URI_QUERY,
    CountingMeter,
    Device,
    block,
    message,
    serving,
    until,
)

DATAGRAMS = 20_000
REMOTE = Remote(Wire(), ("192.0.2.7", 40000))
options = st.lists(st.tuples(st.integers(0, 70_000), st.binary(max_size=300)), max_size=6)


def read(datagram: bytes) -> None:
    """Do with a datagram what the server does before anybody else sees it."""
    if screen(datagram) is not Kind.REQUEST:
        return
    try:
        request = decode(datagram, REMOTE, CoapConfig())
    except FormatError:
        return
    if request.fault is None:
        neutral = inbound(request.message, REMOTE.peer)
        assert neutral.carrier is Carrier.COAP
        assert neutral.path.startswith("/")
        assert neutral.method
        assert len(neutral.body) <= len(datagram)


@given(st.binary(max_size=200))
@example(b"\x40\x01\x00\x01\xff")
def test_any_bytes_are_refused_or_decoded(datagram: bytes) -> None:
    read(datagram)


@given(st.integers(0, 1), st.integers(0, 31), st.binary(max_size=8), st.binary(max_size=200))
def test_any_bytes_behind_a_good_header_are_refused_or_decoded(kind: int, code: int, token: bytes, rest: bytes) -> None:
    read(message(kind, code, 1, token=token) + rest)


@given(st.integers(1, 7), options, st.binary(max_size=40))
def test_any_options_are_refused_or_decoded(code: int, found: list[tuple[int, bytes]], payload: bytes) -> None:
    try:
        datagram = message(CON, code, 1, *found, payload=payload)
    except struct.error:  # a delta that no message can hold
        return
    read(datagram)


def hostile(seed: int) -> list[bytes]:
    """Return good requests with bytes changed, cut or added, and plain noise: always the same ones."""
    chance = random.Random(seed)
    good = [
        message(CON, POST, 1, (CONTENT_FORMAT, b"2"), (URI_QUERY, b"a=b"), token=b"tok", payload=b"{}", path="api/v1/echo"),
        message(NON, POST, 2, (BLOCK1, block(0, True, 0)), payload=bytes(16), path="echo"),
        message(CON, GET, 3, path="big"),
        message(CON, 0, 4),
        message(CON, GET, 5, (ETAG, b"tag"), (OBSERVE, b""), token=b"tok", path="version"),
    ]
    return [_damaged(chance, good) for _ in range(DATAGRAMS)]


def _damaged(chance: random.Random, good: list[bytes]) -> bytes:
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(64))
    raw = bytearray(chance.choice(good))
    raw[2:4] = chance.randbytes(2)
    for _ in range(chance.randrange(1, 5)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    if chance.random() < 0.3:
        del raw[chance.randrange(len(raw)) :]
    return bytes(raw) + chance.randbytes(chance.choice([0, 0, 3]))


async def test_twenty_thousand_hostile_datagrams_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    bounds: dict[str, Any] = {
        "source_datagrams_per_second": 1e9,
        "source_burst_datagrams": 10**9,
        "global_datagrams_per_second": 1e9,
        "global_burst_datagrams": 10**9,
        "dedup_entries": 500,
        "dedup_bytes": 50_000,
        "max_assembly_bytes": 20_000,
        "max_representation_bytes": 300_000,
        "observers": 20,
        "observers_per_remote": 1000,
    }
    known = registered()
    async with serving(WatchedExchange(), **bounds) as served:
        device = served.device()
        for number, datagram in enumerate(hostile(20240229)):
            await device.send(datagram)
            if number % 100 == 0:  # nobody reads the answers, so the server must not be outrun
                await settled(served.device(), number)
        answer = await served.device().ask(message(CON, POST, 1, payload=b"still here", path="echo"))
        layer = served.server._layer
        shared = served.server._shared
        assert len(layer._requests) <= 500
        assert layer._requests.stored_bytes <= 50_000
        assert shared.assemblies.held_bytes <= 20_000
        assert shared.representations.held_bytes <= 300_000
        assert served.meter.levels["coap.observers"] == 20
        await until(lambda: not layer._running)
    assert answer.payload == b"still here"
    assert served.meter.bounds["coap.malformed"] > 1000
    assert served.meter.bounds["coap.send_buffer"] == 0
    assert served.meter.levels["coap.observers"] == 0
    assert caplog.records == []
    assert registered() == known


def registered() -> tuple[int, int]:
    """Return how many option numbers and content formats aiocoap knows: it remembers each one it ever meets."""
    return len(OptionNumber._value2member_map_), len(ContentFormat._value2member_map_)


async def settled(device: Device, number: int) -> None:
    """Wait until the server has taken everything before this ping."""
    assert await device.nothing_before(number & 0xFFFF)
    device.close()


def test_sources_are_bounded_and_refilled() -> None:
    meter = CountingMeter()
    config = CoapConfig(max_sources=10, source_datagrams_per_second=1, source_burst_datagrams=1)
    admission = Admission(config, meter, 0.0)
    assert admission.refusal("192.0.2.1", 0.0) is None
    assert admission.refusal("192.0.2.1", 0.5) == "coap.source_rate"
    assert admission.refusal("192.0.2.1", 1.5) is None
    for number in range(50):
        admission.refusal(f"198.51.100.{number}", 2.0)
    assert len(admission) == 10
    assert meter.bounds == {"coap.sources": 41}


def test_a_source_in_vain_does_not_use_up_what_is_there_for_all() -> None:
    config = CoapConfig(source_datagrams_per_second=0, source_burst_datagrams=1, global_burst_datagrams=2)
    admission = Admission(config, CountingMeter(), 0.0)
    refusals = [admission.refusal("192.0.2.1", 0.0) for _ in range(20)]
    assert refusals == [None] + ["coap.source_rate"] * 19
    assert admission.refusal("192.0.2.2", 0.0) is None


def test_remembered_requests_are_bounded_by_number_bytes_and_time() -> None:
    meter = CountingMeter()
    requests = Deduplication(CoapConfig(dedup_entries=3, dedup_bytes=100, dedup_seconds=10), meter)
    entries = [requests.open((REMOTE, mid), b"request", 0.0) for mid in range(4)]
    assert len(requests) == 3
    requests.answered(entries[0], bytes(99))  # forgotten already
    assert requests.stored_bytes == 0
    requests.answered(entries[1], bytes(60))
    requests.answered(entries[2], bytes(60))
    assert (len(requests), requests.stored_bytes) == (2, 60)
    assert requests.find((REMOTE, 2), b"request", 9.0) is entries[2]
    assert requests.find((REMOTE, 2), b"request", 11.0) is None
    requests.open((REMOTE, 9), b"request", 11.0)
    assert (len(requests), requests.stored_bytes) == (1, 0)
    assert meter.bounds == {"coap.dedup": 2}
