"""Block-wise transfer (RFC 7959) block by block: gaps, sizes, limits, and what is kept meanwhile."""

import pytest

from tests.protocols.coap_peers import (
    BIG,
    BLOCK1,
    BLOCK2,
    CON,
    ECHO,
    FETCH,
    GET,
    POST,
    SIZE1,
    Datagram,
    Device,
    Serving,
    block,
    message,
    serving,
)


class Sender(Device):
    """A device that counts its message ids."""

    def __init__(self, served: Serving) -> None:
        super().__init__(served.port)
        served.devices.append(self)
        self.mid = 0

    async def request(
        self, *options: tuple[int, bytes], code: int = POST, payload: bytes = b"", path: str = "echo"
    ) -> Datagram:
        self.mid += 1
        return await self.ask(message(CON, code, self.mid, *options, payload=payload, path=path))


def one(number: int, more: bool, exponent: int = 0) -> tuple[int, bytes]:
    return BLOCK1, block(number, more, exponent)


def two(number: int, exponent: int = 6, more: bool = False) -> tuple[int, bytes]:
    return BLOCK2, block(number, more, exponent)


async def test_blocks_are_joined_and_confirmed() -> None:
    async with serving() as served:
        device = Sender(served)
        first = await device.request(one(0, True), payload=b"0123456789abcdef")
        last = await device.request(one(1, False), payload=b"!")
    assert (first.dotted, first.options[BLOCK1]) == ("2.31", block(0, True, 0))
    assert (last.dotted, last.options[BLOCK1], last.payload) == ("2.04", block(1, False, 0), b"0123456789abcdef!")
    assert [inbound.body for inbound in served.exchange.seen] == [b"0123456789abcdef!"]


async def test_a_block_sent_again_in_another_message_is_confirmed_again() -> None:
    async with serving() as served:
        device = Sender(served)
        answers = [await device.request(one(number, True), payload=b"%016d" % number) for number in (0, 1, 1)]
        last = await device.request(one(2, False), payload=b"!")
    assert [answer.dotted for answer in answers] == ["2.31"] * 3
    assert last.payload == b"%016d%016d!" % (0, 1)


async def test_a_finished_body_is_not_kept() -> None:
    async with serving() as served:
        device = Sender(served)
        await device.request(one(0, True), payload=bytes(16))
        await device.request(one(1, False), payload=b"!")
        again = await device.request(one(1, False), payload=b"!")
    assert again.dotted == "4.08"
    assert len(served.exchange.seen) == 1


async def test_a_gap_is_told() -> None:
    async with serving() as served:
        device = Sender(served)
        await device.request(one(0, True), payload=bytes(16))
        gap = await device.request(one(2, True), payload=bytes(16))
        after = await device.request(one(1, False), payload=b"!")
    assert (gap.dotted, after.dotted) == ("4.08", "4.08")
    assert served.meter.bounds == {"coap.block_gap": 2}
    assert served.exchange.refused == []


@pytest.mark.parametrize("options", [one(0, True, 1), one(0, True, 7)], ids=["short block", "reserved size"])
async def test_a_block_of_the_wrong_size_is_malformed(options: tuple[int, bytes]) -> None:
    async with serving() as served:
        device = Sender(served)
        answer = await device.request(options, payload=bytes(16))
    assert answer.dotted == "4.00"
    assert served.meter.bounds == {"coap.block_size": 1}


async def test_an_announced_size_over_the_limit_is_refused_at_the_first_block() -> None:
    async with serving(max_body_bytes=1000) as served:
        device = Sender(served)
        answer = await device.request(one(0, True), (SIZE1, b"\x10\x00"), payload=bytes(16))
    assert (answer.dotted, answer.number(SIZE1)) == ("4.13", 1000)


async def test_large_blocks_are_asked_to_be_smaller() -> None:
    async with serving(block_size_exponent=2) as served:
        device = Sender(served)
        first = await device.request(one(0, True, 3), payload=bytes(128))
        last = await device.request(one(2, False, 2), payload=b"!")
    assert first.options[BLOCK1] == block(0, True, 2)
    assert last.options[BLOCK1] == block(2, False, 2)
    assert len(served.exchange.seen[0].body) == 129


async def test_transfers_of_one_sender_are_told_apart_by_request_tag() -> None:
    async with serving() as served:
        device = Sender(served)
        for tag in (b"a", b"b"):
            await device.request(one(0, True), (292, tag), payload=tag * 16)
        answers = [await device.request(one(1, False), (292, tag), payload=tag) for tag in (b"a", b"b")]
    assert [answer.payload for answer in answers] == [b"a" * 17, b"b" * 17]


async def test_unfinished_bodies_are_bounded_and_the_oldest_goes_first() -> None:
    async with serving(max_assembly_bytes=3000) as served:
        devices = [Sender(served) for _ in range(3)]
        for device in devices:
            assert (await device.request(one(0, True), payload=bytes(16))).dotted == "2.31"
        codes = [(await device.request(one(1, False), payload=b"!")).dotted for device in devices]
    assert codes == ["4.08", "2.04", "2.04"]
    assert served.meter.bounds["coap.assemblies"] == 1


async def test_unfinished_bodies_are_forgotten_in_time() -> None:
    async with serving(block_seconds=-1) as served:
        device = Sender(served)
        await device.request(one(0, True), payload=bytes(16))
        answer = await device.request(one(1, False), payload=b"!")
    assert answer.dotted == "4.08"


async def test_a_large_answer_comes_in_blocks_with_one_tag() -> None:
    async with serving() as served:
        device = Sender(served)
        answers = [await device.request(code=GET, path="big")]
        while answers[-1].number(BLOCK2) & 8:
            answers.append(await device.request(two(len(answers)), code=GET, path="big"))
    assert b"".join(answer.payload for answer in answers) == BIG
    assert {answer.options[4] for answer in answers} == {answers[0].options[4]}
    assert {answer.number(12) for answer in answers} == {42}
    assert len(served.exchange.seen) == 1


async def test_the_answer_to_a_block_wise_request_comes_in_blocks_too() -> None:
    async with serving() as served:
        device = Sender(served)
        await device.request(one(0, True, 6), payload=b"a" * 1024)
        first = await device.request(one(1, False, 6), two(0, 5), payload=b"b")
        second = await device.request(two(1, 5))
        third = await device.request(two(2, 5))
    assert (first.options[BLOCK1], first.options[BLOCK2]) == (block(1, False, 6), block(0, True, 5))
    assert first.payload + second.payload + third.payload == b"a" * 1024 + b"b"
    assert len(served.exchange.seen) == 1


async def test_a_get_is_answered_anew_when_its_answer_is_gone_and_a_post_is_not() -> None:
    async with serving(max_representation_bytes=0) as served:
        device = Sender(served)
        await device.request(code=GET, path="big")
        later = await device.request(two(99), code=GET, path="big")
        small = await device.request(two(1), code=GET, path="missing")
        fetched = await device.request(two(1), code=FETCH, path="big")
    assert later.payload == BIG[99 * 1024 : 100 * 1024]
    assert (small.dotted, small.payload) == ("4.04", b"no such thing")
    assert fetched.dotted == "4.08"
    assert served.meter.bounds["coap.representations"] == 2
    assert [inbound.method for inbound in served.exchange.seen] == ["GET", "GET", "GET"]


async def test_answers_that_nobody_fetches_are_forgotten_in_time() -> None:
    async with serving(block_seconds=-1) as served:
        device = Sender(served)
        await device.request(code=GET, path="big")
        await device.request(two(1), code=GET, path="big")
    assert len(served.exchange.seen) == 2


@pytest.mark.parametrize(("options", "bound"), [(two(5000), "coap.block_range"), (two(0, 7), "coap.block_size")])
async def test_a_block_that_cannot_be_is_malformed(options: tuple[int, bytes], bound: str) -> None:
    async with serving() as served:
        device = Sender(served)
        await device.request(code=GET, path="big")
        answer = await device.request(options, code=GET, path="big")
    assert answer.dotted == "4.00"
    assert served.meter.bounds == {bound: 1}


async def test_an_impossible_block_is_refused_before_the_request_is_handled() -> None:
    async with serving() as served:
        answer = await Sender(served).request(two(0, 7), path="big")
    assert answer.dotted == "4.00"
    assert served.exchange.seen == []


async def test_an_error_in_blocks_keeps_its_time_to_retry_and_has_no_tag() -> None:
    async with serving(block_size_exponent=0) as served:
        device = Sender(served)
        answer = await device.request(code=GET, path="busy/long")
    assert (answer.dotted, answer.number(14)) == ("5.03", 7)
    assert 4 not in answer.options


async def test_a_large_answer_waits_for_an_echo_where_that_is_wanted() -> None:
    async with serving(require_echo=True) as served:
        device = Sender(served)
        challenge = await device.request(code=GET, path="big")
        wrong = await device.request((ECHO, b"12345678"), code=GET, path="big")
        granted = await device.request((ECHO, challenge.options[ECHO]), code=GET, path="big")
        posted = await device.request(path="big")
    assert (challenge.dotted, challenge.payload, wrong.dotted) == ("4.01", b"", "4.01")
    assert (granted.dotted, posted.dotted) == ("2.05", "2.05")
    assert served.meter.bounds["coap.echo"] == 2
