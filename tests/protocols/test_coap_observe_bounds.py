"""How many may observe over CoAP, how long, how large, from where, and at what pace they are told."""

import asyncio
import time

import pytest

from adapters.coap.config import CoapConfig
from tests.protocols.coap_observing import ObservingDevice, WatchedServing, watched
from tests.protocols.coap_peers import CON, ECHO, OBSERVE, Datagram, until


def registered(answers: list[Datagram]) -> list[bool]:
    assert {answer.dotted for answer in answers} == {"2.05"}
    return [OBSERVE in answer.options for answer in answers]


def test_the_defaults() -> None:
    config = CoapConfig()
    assert (config.observers, config.observers_per_remote, config.observe_seconds) == (10_000, 4, 86_400)
    assert (config.observe_max_bytes, config.notifications_per_second) == (64, 200)


@pytest.mark.parametrize("pace", [0, -1, float("nan")])
def test_a_pace_at_which_nothing_goes_out_is_an_error(pace: float) -> None:
    with pytest.raises(ValueError, match="notifications_per_second"):
        CoapConfig(notifications_per_second=pace)


async def test_observers_are_bounded() -> None:
    async with watched(observers=2) as served:
        devices = [served.device() for _ in range(3)]
        answers = [await device.register() for device in devices]
        answers.append(await devices[0].register())  # again
        assert served.observers == 2
        await devices[0].ask(devices[0].request(observe=b"\x01"))
        answers.append(await devices[2].register())
    assert registered(answers) == [True, True, False, True, True]
    assert served.meter.bounds == {"coap.observers": 1}


async def test_observers_of_one_remote_are_bounded() -> None:
    async with watched(observers_per_remote=2) as served:
        device = served.device()
        answers = [await device.register(token=token) for token in (b"a", b"b", b"c", b"a")]
        answers.append(await served.device().register())
        assert served.observers == 3
    assert registered(answers) == [True, True, False, True, True]
    assert served.meter.bounds == {"coap.observers_per_remote": 1}


async def test_no_observers_at_all() -> None:
    async with watched(observers=0) as served:
        assert registered([await served.device().register()]) == [False]


async def test_an_old_observer_is_dropped_and_a_new_registration_renews() -> None:
    async with watched(observe_seconds=3600) as served:
        old, renewed = served.device(), served.device()
        await old.register()
        await renewed.register()
        observers = served.server._notifier._observers
        for observer in observers._observers.values():
            observer.since -= 3600
        await renewed.register()
        observers._expire()
        await until(lambda: served.exchange.ended == 2)
        assert served.observers == 1
        served.exchange.turn(2)
        assert (await renewed.notified()).payload == b"v2"
        assert await old.quiet()
    assert served.meter.bounds == {"coap.observe_seconds": 1}


async def test_the_time_of_an_observer_passes_by_itself() -> None:
    async with watched(observe_seconds=0.02) as served:
        await served.device().register()
        await served.device().register()
        await until(lambda: served.exchange.ended == 2)
        assert served.observers == 0
    assert served.meter.bounds == {"coap.observe_seconds": 2}


async def test_larger_answers_are_not_observed() -> None:
    async with watched(observe_max_bytes=3) as served:
        fits = await served.device().register(token=b"fits")
        served.exchange.change(body=bytes(4), etag="02")
        large = await served.device().register()
    assert registered([fits, large]) == [True, False]
    assert served.meter.bounds["coap.observe_bytes"] >= 1


async def test_who_has_not_proved_its_address_does_not_observe() -> None:
    async with watched(require_echo=True) as served:
        device = served.device()
        challenge = await device.register()
        assert (challenge.dotted, challenge.payload, OBSERVE in challenge.options) == ("4.01", b"", False)
        assert served.observers == 0
        plain = await device.ask(device.request(observe=None))
        wrong = await device.register((ECHO, b"12345678"))
        granted = await device.register((ECHO, challenge.options[ECHO]))
        assert (plain.dotted, wrong.dotted, granted.dotted) == ("2.05", "4.01", "2.05")
        served.exchange.turn(2)
        assert (await device.notified()).payload == b"v2"
    assert (OBSERVE in plain.options, OBSERVE in granted.options) == (False, True)
    assert served.meter.bounds == {"coap.echo": 2}


async def many(served: WatchedServing, count: int) -> list[ObservingDevice]:
    devices = [served.device() for _ in range(count)]
    for device in devices:
        await device.register()
    await until(lambda: served.exchange.asked["01"] == 2 * count)
    return devices


async def test_a_change_for_many_goes_out_at_a_pace() -> None:
    async with watched(notifications_per_second=100) as served:
        devices = await many(served, 12)
        began = time.monotonic()
        served.exchange.turn(2)
        told = await asyncio.gather(*(device.notified() for device in devices))
        took = time.monotonic() - began
    assert {notification.payload for notification in told} == {b"v2"}
    assert took >= 0.1  # twelve at a hundred a second; how much longer is nobody's promise


async def test_while_nothing_more_may_wait_for_acknowledgement_observers_wait_too() -> None:
    async with watched(max_unacknowledged_remotes=1, notifications_per_second=2000) as served:
        devices = await many(served, 3)
        served.exchange.turn(2)
        waiting = {asyncio.create_task(device.receive()): device for device in devices}
        while waiting:
            (told,), _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)  # never two at once
            assert (await told).kind == CON
            await waiting.pop(told).acknowledge(await told)
        assert served.exchange.asked == {"01": 6, "02": 3}


async def test_room_that_is_gone_when_the_answer_is_there_is_waited_for() -> None:
    async with watched(max_unacknowledged_remotes=1, notifications_per_second=2000) as served:
        devices = await many(served, 2)
        served.exchange.open.clear()
        served.exchange.turn(2)
        await until(lambda: served.exchange.asked["02"] == 2)  # both are asked about, one of them can be told
        served.exchange.open.set()
        first = [asyncio.create_task(device.receive()) for device in devices]
        (told,), (waiting,) = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        await devices[first.index(told)].acknowledge(await told)
        assert (await waiting).payload == b"v2"
        await devices[first.index(waiting)].acknowledge(await waiting)
    assert served.exchange.asked["02"] == 3
