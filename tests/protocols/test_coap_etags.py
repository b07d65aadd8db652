"""Entity tags over CoAP (RFC 7252, sections 5.10.6 and 5.6.2), in one message and over blocks."""

import pytest
from aiocoap import Message
from aiocoap.numbers.codes import Code

from adapters.coap.translate import MAX_HELD, inbound, outbound
from adapters.exchange import Outbound, Peer, Success
from core.errors import Reason
from tests.protocols.coap_observing import watched
from tests.protocols.coap_peers import BLOCK2, CON, ETAG, GET, POST, block, message


async def ask(*tags: bytes, code: int = GET) -> tuple[str, tuple[str, ...]]:
    """Return the code that a request with these tags is answered with, and what the exchange saw of them."""
    async with watched() as served:
        answer = await served.device().ask(message(CON, code, 1, *((ETAG, tag) for tag in tags), path="version"))
        return answer.dotted, served.exchange.seen[0].held


async def test_what_a_device_holds_is_valid() -> None:
    assert await ask(b"\x01") == ("2.03", ("01",))
    assert await ask(b"\x02", b"\x01", b"\xff\x00\xff\x00\xff\x00\xff\x00") == ("2.03", ("02", "01", "ff00ff00ff00ff00"))


async def test_what_it_does_not_hold_is_sent() -> None:
    assert await ask(b"\x02") == ("2.05", ("02",))
    assert await ask() == ("2.05", ())


async def test_a_tag_of_a_wrong_length_is_ignored() -> None:
    assert await ask(b"", b"123456789", b"\x01") == ("2.03", ("01",))


async def test_as_many_tags_count_as_may() -> None:
    _, held = await ask(*(bytes([number]) for number in range(2, 40)))
    assert len(held) == MAX_HELD


async def test_a_tag_says_nothing_where_nothing_is_read() -> None:
    assert await ask(b"\x01", code=POST) == ("2.05", ())


@pytest.mark.parametrize("option", [1, 5], ids=["If-Match", "If-None-Match"])
async def test_preconditions_that_nobody_checks_are_refused(option: int) -> None:
    async with watched() as served:
        answer = await served.device().ask(message(CON, GET, 1, (option, b""), path="version"))
    assert (answer.dotted, served.exchange.seen) == ("4.02", [])


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        (Success.OK, b"\xab\xcd"),
        (Success.UNCHANGED, b"\xab\xcd"),
        (Success.CHANGED, None),
        (Success.CREATED, None),
        (Reason.NOT_FOUND, None),
    ],
)
def test_which_answers_have_a_tag(outcome: Success | Reason, tag: bytes | None) -> None:
    answer = outbound(Outbound(outcome=outcome, body=b"x", etag="abcd"))
    assert (answer.opt.etag, answer.payload == b"") == (tag, outcome is Success.UNCHANGED)


def test_an_answer_without_a_tag_has_none() -> None:
    assert outbound(Outbound(outcome=Success.OK, body=b"x")).opt.etag is None


def test_tags_are_lower_case_hex() -> None:
    request = Message(code=Code.FETCH, etags=(b"\xab\xcd", b"\0"))
    assert inbound(request, Peer("192.0.2.1")).held == ("abcd", "00")


async def test_blocks_have_the_tag_of_their_answer() -> None:
    async with watched() as served:
        served.exchange.change(body=bytes(3000), etag="abcd")
        device = served.device()
        blocks = [await device.ask(device.request(observe=None))]
        blocks += [await device.ask(device.request((BLOCK2, block(n, False, 6)), observe=None)) for n in (1, 2)]
    assert [part.options[ETAG] for part in blocks] == [b"\xab\xcd"] * 3
    assert len(served.exchange.seen) == 1


async def test_tags_and_the_wish_to_observe_are_left_out_of_what_holds_blocks_together() -> None:
    async with watched() as served:
        served.exchange.change(body=bytes(3000), etag="abcd")
        device = served.device()
        first = await device.ask(device.request((ETAG, b"\x01")))  # with the wish to observe
        later = await device.ask(device.request((BLOCK2, block(1, False, 6)), observe=None))
        also = await device.ask(device.request((BLOCK2, block(2, False, 6)), (ETAG, b"\x01"), token=b"u"))
    assert len(first.payload + later.payload + also.payload) == 3000
    assert [inbound.held for inbound in served.exchange.seen] == [("01",)]


async def test_a_later_block_is_made_again_whatever_its_sender_holds() -> None:
    async with watched(max_representation_bytes=0) as served:
        served.exchange.change(body=bytes(3000))
        device = served.device()
        later = await device.ask(device.request((BLOCK2, block(1, False, 6)), (ETAG, b"\x01"), observe=None))
    assert (later.dotted, len(later.payload)) == ("2.05", 1024)
    assert [inbound.held for inbound in served.exchange.seen] == [()]


async def test_valid_is_never_cut() -> None:
    async with watched() as served:
        served.exchange.change(body=bytes(3000))
        device = served.device()
        answer = await device.ask(device.request((ETAG, b"\x01"), (BLOCK2, block(0, False, 0)), observe=None))
    assert (answer.dotted, answer.payload, answer.options) == ("2.03", b"", {ETAG: b"\x01"})
