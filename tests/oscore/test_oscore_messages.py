"""Protected messages, one by one: replays, restarts, unknown and broken ones, observing, blocks around them."""

import asyncio
import random

import aiocoap
import pytest
from aiocoap import oscore

from adapters.coap.oscore import selftest
from adapters.coap.oscore.naming import read
from core.errors import Reason, Refusal
from core.messages import Oscore
from core.ports import Changes, Delete
from tests.core.registry import Registry
from tests.oscore.devices import (
    OTHER,
    SHARED,
    DeviceKeys,
    Protecting,
    protected,
    state_of,
    stocked,
)
from tests.protocols.coap_peers import (
    ACK,
    BIG,
    BLOCK1,
    BLOCK2,
    CON,
    FETCH,
    OBSERVE,
    POST,
    SIZE1,
    Datagram,
    block,
    message,
    until,
)

OSCORE, MAX_AGE = 9, 14


def told(answer: Datagram) -> tuple[str, bytes, int]:
    """Return what a message in the clear says; nobody keeps it for another."""
    assert OSCORE not in answer.options
    return answer.dotted, answer.payload, answer.number(MAX_AGE)


async def test_a_replayed_request_is_refused() -> None:
    async with protected() as served:
        device = served.device()
        first = device.request("/who")
        assert device.opened((await device.ask(first)).raw).payload == b"meter-1 True"
        again = first[:2] + b"\x77\x77" + first[4:]
        other = served.device()
        for sender in (device, other):
            assert told(await sender.ask(again)) == ("4.01", b"Replay detected", 0)
        assert served.meter.bounds == {"coap.oscore_replay": 2}
        assert len(served.exchange.seen) == 1


async def test_a_retransmission_is_answered_as_before() -> None:
    async with protected() as served:
        device = served.device()
        request = device.request("/who")
        assert (await device.ask(request)).raw == (await device.ask(request)).raw
        assert len(served.exchange.seen) == 1


async def test_requests_may_overtake_each_other() -> None:
    async with protected() as served:
        device = served.device()
        requests = [(device.request("/who"), device.asked) for _ in range(8)]
        for request, asked in reversed(requests):
            device.asked = asked
            assert device.opened((await device.ask(request)).raw).payload == b"meter-1 True"
        assert len(served.exchange.logins) == len(served.exchange.asked_for) == 1


async def test_first_messages_at_once_begin_one_context() -> None:
    async with protected() as served:
        devices = [served.device() for _ in range(6)]
        for device in devices[1:]:
            device.keys = devices[0].keys
        requests = [device.request("/who") for device in devices]
        answers = await asyncio.gather(*(device.ask(request) for device, request in zip(devices, requests, strict=True)))
        assert {device.opened(answer.raw).payload for device, answer in zip(devices, answers, strict=True)} == {b"meter-1 True"}
        assert len(served.exchange.logins) == 1
        assert len({inbound.path for inbound in served.exchange.seen}) == 1


async def test_a_replay_is_refused_after_a_restart_in_good_order() -> None:
    registry = await stocked()
    async with protected(registry) as served:
        device = served.device()
        first = device.request("/who")
        await device.ask(first)
        left_out = device.request("/who")
        await device.fetch("/who")
    state = await state_of(registry)
    assert state is not None
    assert (state.sequence, state.window) == (0, (0, 0b101))
    async with protected(registry) as served:
        device = served.device(like=device)
        assert told(await device.ask(first)) == ("4.01", b"Replay detected", 0)
        assert (await device.ask(left_out)).dotted == "2.04"  # it was not there before
        assert (await device.fetch("/who")).payload == b"meter-1 True"
        assert served.meter.bounds == {"coap.oscore_replay": 1}


async def test_after_a_crash_nothing_is_done_before_an_echo() -> None:
    registry = await stocked()
    async with protected(registry, crash=True) as served:
        device = served.device()
        first = device.request("/put", aiocoap.PUT, payload=b"open the door")
        assert device.opened((await device.ask(first)).raw).payload == b"open the door"
        assert await sequence_of(registry) == 100
    async with protected(registry, crash=True) as served:
        device = served.device(like=device)
        challenge = await device.ask(first)  # an attacker's
        assert (challenge.dotted, challenge.options[OSCORE][:2]) == ("2.04", b"\x01\x64")  # number 100, never used before
        assert device.opened(challenge.raw).code == aiocoap.UNAUTHORIZED
        assert served.exchange.seen == []
        wrong = await device.fetch("/who", echo=b"12345678")
        assert (wrong.code, len(wrong.opt.echo)) == (aiocoap.UNAUTHORIZED, 8)
        echoed = device.request("/who", echo=wrong.opt.echo)
        assert device.opened((await device.ask(echoed)).raw).payload == b"meter-1 True"
        assert (await device.fetch("/who")).payload == b"meter-1 True"
        for old in (first, echoed):
            assert told(await device.ask(old[:2] + b"\x77" + old[3:])) == ("4.01", b"Replay detected", 0)
        assert [inbound.path for inbound in served.exchange.seen] == ["/who", "/who"]
        assert served.meter.bounds == {"coap.oscore_echo": 2, "coap.oscore_replay": 2}
    assert await sequence_of(registry) == 200
    async with protected(registry) as served:
        assert (await served.device(like=device).introduced()).payload == b"meter-1 True"
    state = await state_of(registry)
    assert state is not None
    assert (state.sequence, state.window) == (201, (device.keys.sender_sequence_number - 1, 1))


async def sequence_of(registry: Registry) -> int:
    """Return the first number of a context that may not have been used."""
    state = await state_of(registry)
    assert state is not None
    return state.sequence


def number(answer: Datagram) -> int:
    """Return the sender sequence number of a response."""
    option = answer.options[OSCORE]
    return int.from_bytes(option[1 : 1 + (option[0] & 7)], "big")


async def test_numbers_are_taken_before_they_are_used_and_never_twice() -> None:
    registry = await stocked()
    numbers: list[int] = []
    device: Protecting | None = None
    for _ in range(3):
        async with protected(registry, crash=True, notifications_per_second=10_000.0) as served:
            device = served.device(like=device)
            if numbers:
                assert (await device.introduced()).code == aiocoap.CONTENT
            await device.ask(device.request("/version", observe=0))
            for version in range(2, 130):
                served.exchange.turn(version)
                answer = await device.receive()
                await device.send(message(ACK, 0, answer.mid))
                numbers.append(number(answer))
                assert await sequence_of(registry) > numbers[-1]
    assert len(set(numbers)) == len(numbers) == 3 * 128
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "shared",
    [
        Oscore("07", "02", SHARED.secret),
        Oscore("01", "02", SHARED.secret, SHARED.salt, "aa"),
        Oscore("01", "02", SHARED.secret, SHARED.salt, ""),
    ],
    ids=["another kid", "another ID context", "no ID context"],
)
async def test_a_context_that_is_not_known(shared: Oscore) -> None:
    async with protected() as served:
        device = served.device(shared)
        assert told(await device.ask(device.request("/who"))) == ("4.01", b"Security context not found", 0)
        assert served.meter.bounds == {"coap.oscore_unknown": 1}
        assert (served.exchange.seen, len(served.contexts)) == ([], 0)


async def test_a_wrong_key_writes_nothing() -> None:
    registry = await stocked()
    async with protected(registry) as served:
        device = served.device()
        device.keys.sender_key = bytes(16)
        assert told(await device.ask(device.request("/who"))) == ("4.00", b"Decryption failed", 0)
        assert (served.meter.bounds, served.exchange.logins) == ({"coap.oscore_decryption": 1}, [])
        assert served.exchange.mistrusted == []  # the address of a datagram proves nothing
    assert await state_of(registry) is None


async def test_flipped_bits() -> None:
    async with protected() as served:
        device = served.device()
        request = device.request("/put", aiocoap.PUT, payload=b"open the door")
        for position in range(request.index(0xFF, 8) + 1, len(request)):
            broken = bytearray(request)
            broken[position] ^= 1 << position % 8
            broken[2:4] = position.to_bytes(2, "big")
            assert told(await device.ask(bytes(broken))) == ("4.00", b"Decryption failed", 0)
        assert served.exchange.seen == []
        assert device.opened((await device.ask(request)).raw).payload == b"open the door"
        broken = bytearray((await device.ask(device.request("/who"))).raw)
        broken[-1] ^= 1
        with pytest.raises(oscore.ProtectionInvalid):
            device.opened(bytes(broken))


UNREADABLE = ["", "08", "09", "0900" + "01" * 8, "0e0102030405060701", "2914", "4914", "8914", "1914", "191405aa", "0114"]


@pytest.mark.parametrize("option", UNREADABLE)
async def test_an_option_that_cannot_be_read(option: str) -> None:
    async with protected() as served:
        answer = await served.device().ask(message(CON, POST, 1, (OSCORE, bytes.fromhex(option)), payload=b"x" * 12))
        assert told(answer) == ("4.02", b"Failed to decode COSE", 0)
        assert served.meter.bounds == {"coap.oscore_malformed": 1}


def test_what_an_option_may_hold() -> None:
    assert read(bytes.fromhex("0900")) == (b"\0", b"", b"")
    assert read(bytes.fromhex("190000")) == (b"\0", b"", b"")
    assert read(bytes.fromhex("1a000102aabb0304")) == (b"\0\x01", b"\x03\x04", b"\xaa\xbb")
    seeded = random.Random(8613)
    for _ in range(20_000):
        try:
            naming = read(seeded.randbytes(seeded.randrange(12)))
        except ValueError:
            continue
        assert 1 <= len(naming.partial_iv) <= 5
        assert len(naming.device_id) <= 7


async def test_what_is_too_short_or_no_post() -> None:
    async with protected() as served:
        device = served.device()
        raw = device.request("/who")
        short = raw[: raw.index(0xFF, 8) + 9]
        assert told(await device.ask(short)) == ("4.00", b"Decryption failed", 0)
        got = bytearray(device.request("/who"))
        got[1] = 1
        assert (await device.ask(bytes(got))).dotted == "4.05"


async def test_what_is_inside_is_as_bounded_as_what_is_not() -> None:
    async with protected() as served:
        device = served.device()
        many = [aiocoap.numbers.OptionNumber(2000).create_option(decode=b"") for _ in range(65)]
        for option, code in ((many, "4.00"), ([aiocoap.numbers.OptionNumber(9).create_option(decode=b"")], "4.02")):
            inner = aiocoap.Message(code=aiocoap.GET, uri_path=("who",))
            for each in option:
                inner.opt.add_option(each)
            outer, device.asked = device.keys.protect(inner)
            assert device.opened((await device.ask(device.written(outer))).raw).code.dotted == code
        assert (await device.fetch("/who", accept=9999)).code == aiocoap.NOT_ACCEPTABLE
        assert (await device.fetch("/put", code=aiocoap.PUT, payload=BIG[:1024], block1=(0, False, 7))).code.dotted == "4.00"
        assert served.exchange.seen == []


async def test_options_outside_are_not_believed() -> None:
    async with protected() as served:
        device = served.device()
        outer, device.asked = device.keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("who",)))
        outer.opt.uri_path, outer.opt.accept = ("elsewhere",), 9999
        assert device.opened((await device.ask(device.written(outer))).raw).payload == b"meter-1 True"
        assert served.exchange.seen[0].path == "/who"


async def test_a_device_that_wants_no_response() -> None:
    async with protected() as served:
        device = served.device()
        outer, device.asked = device.keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("who",), no_response=2))
        answer = await device.ask(device.written(outer))
        assert (answer.kind, answer.code) == (ACK, 0)
        outer, device.asked = device.keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("who",)))
        outer.opt.no_response = 2  # somebody else's wish
        assert (await device.ask(device.written(outer))).dotted == "2.04"


async def test_observing_and_its_end() -> None:
    async with protected() as served:
        device = served.device()
        answer = await device.ask(device.request("/version", observe=0))
        registered = device.asked
        assert (answer.dotted, device.opened(answer.raw).payload) == ("2.05", b"v1")
        served.exchange.turn(2)
        told = await device.receive()
        await device.send(message(ACK, 0, told.mid))
        assert (told.dotted, told.token, number(told), OBSERVE in told.options) == ("2.05", b"t", 0, True)
        assert device.opened(told.raw).payload == b"v2"
        outer, device.asked = device.keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("version",), observe=1))
        assert device.opened((await device.ask(device.written(outer))).raw).payload == b"v2"
        assert served.meter.levels["coap.observers"] == 0
        outer, device.asked = device.keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("version",), observe=0))
        outer.opt.observe = None  # somebody in between does not pass notifications on
        answer = await device.ask(device.written(outer))
        assert (OBSERVE in answer.options, served.meter.levels["coap.observers"]) == (False, 0)
        assert registered is not device.asked


async def test_who_is_not_let_in_any_more_is_told_nothing() -> None:
    async with protected() as served:
        device = served.device()
        await device.ask(device.request("/version", observe=0))
        await until(lambda: served.exchange.asked["01"] == 2)
        served.exchange.ended_by["meter-1"]()
        assert len(served.contexts) == 0
        served.exchange.turn(2)
        await until(lambda: served.meter.levels["coap.observers"] == 0)
        assert await device.nothing_before(0x999)
        served.exchange.refusal = Refusal(Reason.FORBIDDEN, "disabled", check="test")
        assert told(await device.ask(device.request("/who"))) == ("4.01", b"Security context not found", 0)
        served.exchange.refusal = None
        assert (await device.fetch("/who")).payload == b"meter-1 True"
        assert served.meter.bounds == {}


async def test_a_registry_that_cannot_be_asked_now() -> None:
    async with protected() as served:
        device = served.device()
        served.exchange.refusal = Refusal(Reason.UNAVAILABLE, "busy", check="test", retry_after=7.5)
        answer = await device.ask(device.request("/who"))
        assert (answer.dotted, answer.number(MAX_AGE), answer.payload) == ("5.03", 8, b"")
        served.exchange.refusal = None
        assert (await device.fetch("/who")).payload == b"meter-1 True"


async def test_a_credential_that_is_gone() -> None:
    registry = await stocked()
    async with protected(registry) as served:
        device = served.device()
        await device.fetch("/who")
        (credential,) = (await registry.known("meter-1")).credentials
        await registry.repository.commit(Changes(delete=(Delete(credential),)))
        await device.ask(device.request("/version", observe=0))
        for version in range(2, 110):  # the numbers that were taken run out; there are no others
            served.exchange.turn(version)
            if version <= 101:
                await device.send(message(ACK, 0, (await device.receive()).mid))
        assert await device.nothing_before(0x999)
        served.exchange.ended_by["meter-1"]()
        assert told(await device.ask(device.request("/who"))) == ("4.01", b"Security context not found", 0)


async def test_contexts_are_bounded_and_the_one_that_makes_room_is_kept_in_good_order() -> None:
    registry = await stocked()
    async with protected(registry, oscore_contexts=1) as served:
        one, other = served.device(), served.device(OTHER)
        for _ in range(3):
            first = one.request("/who")
            assert one.opened((await one.ask(first)).raw).payload == b"meter-1 True"
            assert (await other.fetch("/who")).payload == b"meter-2 True"
            assert told(await served.device().ask(first)) == ("4.01", b"Replay detected", 0)
            assert (len(served.contexts), served.meter.levels["coap.oscore_contexts"]) == (1, 1)
        assert served.meter.bounds == {"coap.oscore_contexts": 6, "coap.oscore_replay": 3}


async def test_blocks_around_a_protected_message() -> None:
    async with protected() as served:
        device = served.device()
        outer, device.asked = device.keys.protect(aiocoap.Message(code=aiocoap.PUT, uri_path=("put",), payload=BIG[:600]))
        blocks = [outer.payload[start : start + 256] for start in range(0, len(outer.payload), 256)]
        for index, part in enumerate(blocks):
            last = index == len(blocks) - 1
            options = [(OSCORE, outer.opt.oscore), (BLOCK1, block(index, not last, 4)), (BLOCK2, block(0, False, 4))]
            answer = await device.ask(message(CON, POST, 0x300 + index, *options, payload=part, token=b"t"))
            assert answer.dotted == ("2.04" if last else "2.31")
        gathered, index = answer.payload, 0
        while int.from_bytes(answer.options[BLOCK2], "big") & 8:
            index += 1
            options = [(OSCORE, outer.opt.oscore), (BLOCK2, block(index, False, 4))]
            answer = await device.ask(message(CON, POST, 0x400 + index, *options, token=b"t"))
            gathered += answer.payload
        whole = aiocoap.Message(code=aiocoap.CHANGED, payload=gathered, oscore=answer.options[OSCORE])
        whole.direction = aiocoap.message.Direction.INCOMING
        inner, _ = device.keys.unprotect(whole, device.asked)
        assert inner.payload == BIG[:600]
        far, far_block = (BLOCK2, block(3, False, 4)), (BLOCK1, block(3, True, 4))
        missing = await device.ask(message(CON, POST, 0x500, (OSCORE, b"\x09\x77\x01"), far))
        gap = await device.ask(message(CON, POST, 0x501, (OSCORE, b"\x09\x78\x01"), far_block, payload=bytes(256)))
        options = [(OSCORE, b"\x09\x79\x01"), (BLOCK1, block(0, True, 4)), (SIZE1, b"\x7f\xff\xff")]
        large = await device.ask(message(CON, POST, 0x502, *options, payload=bytes(256)))
        assert [each.dotted for each in (missing, gap, large)] == ["4.08", "4.08", "4.13"]


async def test_garbage_with_a_known_kid() -> None:
    async with protected(source_burst_datagrams=10_000) as served:
        device, seeded = served.device(), random.Random(8613)
        await device.fetch("/who")
        for index in range(1_000):
            option = b"\x19" + seeded.randbytes(1) + b"\x08" + bytes.fromhex(SHARED.id_context) + b"\x01"
            payload = seeded.randbytes(seeded.randrange(1, 60))
            answer = await device.ask(message(CON, (POST, FETCH)[index & 1], index, (OSCORE, option), payload=payload))
            assert told(answer) == ("4.00", b"Decryption failed", 0)
        assert served.meter.bounds == {"coap.oscore_decryption": 1_000}
        assert (await device.fetch("/who")).payload == b"meter-1 True"


class Babbling(DeviceKeys):
    """Keys of a device that protects whatever it is told."""

    plaintext = b""

    def _split_message(self, sent: aiocoap.Message, request_id: object) -> tuple[aiocoap.Message, bytes]:
        outer, _ = super()._split_message(sent, request_id)
        return outer, self.plaintext


async def test_a_device_that_protects_nonsense() -> None:
    async with protected(source_burst_datagrams=10_000) as served:
        device, seeded = served.device(), random.Random(8613)
        device.keys = keys = Babbling(SHARED)
        good = bytes.fromhex("01b3") + b"who"
        for index in range(600):
            plaintext = bytearray(good if index & 1 else seeded.randbytes(seeded.randrange(1, 40)))
            plaintext[seeded.randrange(len(plaintext))] = seeded.randrange(256)
            keys.plaintext = bytes(plaintext)
            answer = await device.ask(device.request("/who"))
            if answer.code:  # not where it wanted none
                assert device.opened(answer.raw).code.is_response()
        assert served.meter.bounds["coap.internal"] == 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("PLAINTEXT", "a request came out differently"),
        ("PROTECTED", "a response came out differently"),
        ("NOTIFIED", "a second response came out differently"),
        ("CIPHERTEXT", "does not fit OSCORE here"),
    ],
)
def test_a_library_that_does_not_fit_is_found_out(name: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    selftest.selftest()
    monkeypatch.setattr(selftest, name, b"something else")
    with pytest.raises(RuntimeError, match=sentence):
        selftest.selftest()
