"""Closing connections at a real RabbitMQ, which lets in whoever the door lets in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import aiomqtt
import msgspec
import pytest
from structlog.testing import capture_logs

from adapters.brokers.admissions import Admissions
from adapters.brokers.link import Patience
from adapters.brokers.rabbitmq import RabbitMq as Closing
from adapters.brokers.rabbitmq_api import BrokerAway, BrokerRefuses, ManagementApi
from core.model import Secret
from tests.brokers.desk import Desk, identity
from tests.brokers.door import Door, door
from tests.brokers.rabbitmq import PASSWORD, USER, RabbitMq
from tests.brokers.tunnel import tunnel
from tests.brokers.waiting import beside, until, until_so

DEADLINE = 30
QUICK = Patience(0.05, 0.2, 0.2)
ODD = "dk&pk/with a?b#c%2Fü+"


class Meter:
    def __init__(self) -> None:
        self.bounds: list[str] = []
        self.levels: dict[str, float] = {}

    def request(self, *_: Any) -> None:
        raise AssertionError

    def bound(self, name: str) -> None:
        self.bounds.append(name)

    def level(self, name: str, value: float) -> None:
        self.levels[name] = value


def client(node: RabbitMq, username: str | None, client_id: str, password: str = "any", **options: Any) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", node.mqtt, identifier=client_id, username=username, password=password, timeout=DEADLINE, **options
    )


def api(node: RabbitMq, password: str = PASSWORD, user: str = USER) -> ManagementApi:
    return ManagementApi(f"http://{quote(user)}@127.0.0.1:{node.management}", Secret(password))


@contextlib.asynccontextmanager
async def connected(*args: Any, **options: Any) -> AsyncIterator[aiomqtt.Client]:
    """Connect; that the other side closes is no error when the client leaves."""
    is_done = False
    try:
        async with client(*args, **options) as device:
            yield device
            is_done = True
    except aiomqtt.MqttError:
        if not is_done:
            raise


async def ended(device: aiomqtt.Client) -> None:
    """Wait until the broker closes the connection."""
    with pytest.raises(aiomqtt.MqttError):
        async with asyncio.timeout(DEADLINE):
            await anext(aiter(device.messages))


async def is_open(device: aiomqtt.Client) -> bool:
    """Tell whether the broker still answers."""
    try:
        await device.publish("still/there", b"", qos=1)
    except aiomqtt.MqttError:
        return False
    return True


@pytest.fixture
async def opened(node: RabbitMq) -> AsyncIterator[Door]:
    async with door(node.gateway) as doorkeeper:
        yield doorkeeper


@pytest.mark.parametrize("username", ["plain", "dk&pk", ODD])
async def test_a_user_name_is_let_go_and_no_other(node: RabbitMq, opened: Door, username: str) -> None:
    closing = Closing(api(node), Desk, Desk().whose, Meter(), sweep_seconds=DEADLINE)
    async with (
        connected(node, username, "one") as one,
        connected(node, username, "two") as two,
        client(node, "else", "3") as three,
        beside(closing.run()),
    ):
        closing.let_go(username, "one")
        await ended(one)
        await ended(two)
        assert await is_open(three)


async def test_the_broker_does_not_ask_about_a_subscription_again(node: RabbitMq, opened: Door) -> None:
    """This is why connections are closed."""
    async with client(node, "before", "before") as device, client(node, USER, "speaker", PASSWORD) as speaker:
        await device.subscribe("memory/#", qos=1)
        opened.closed.add("before")
        await speaker.publish("memory/kept", b"1", qos=1)
        async with asyncio.timeout(DEADLINE):
            assert (await anext(aiter(device.messages))).payload == b"1"


async def test_whose_login_is_worth_nothing_any_more_is_let_go(node: RabbitMq, opened: Door) -> None:
    desk, meter = Desk(), Meter()
    desk.known |= {"d1", "d2"}
    closing = Closing(api(node), lambda: desk, desk.whose, meter, sweep_seconds=DEADLINE)
    async with beside(closing.run()), connected(node, "d1", "d1") as gone, client(node, "d2", "d2") as other:
        for name in ("d1", "d2"):
            closing.let_in(identity(name), name, name)
        desk.revoke("d1")
        await ended(gone)
        assert await is_open(other)
        assert meter.levels["rabbitmq.admissions"] == 1
        desk.tell("d2")
        await asyncio.sleep(0)
        assert await is_open(other)
    assert meter.levels["rabbitmq.admissions"] == 0


async def test_who_is_let_in_at_the_moment_of_the_revocation_is_closed_a_second_time(node: RabbitMq, opened: Door) -> None:
    desk = Desk()
    closing = Closing(api(node), lambda: desk, desk.whose, Meter(), sweep_seconds=DEADLINE)
    async with beside(closing.run()):
        closing.let_in(identity("late"), "late", "late")
        desk.revoke("late")
        await until(lambda: ("late", "late") not in closing.admitted)
        async with connected(node, "late", "late") as device:
            await ended(device)


async def test_a_topic_that_was_taken_ends_the_connection_and_one_that_was_given_does_not(node: RabbitMq, opened: Door) -> None:
    desk = Desk()
    desk.known.add("d")
    desk.topics["d"] = ("c1", "c2")
    closing = Closing(api(node), lambda: desk, desk.whose, Meter(), sweep_seconds=DEADLINE)
    async with beside(closing.run()), connected(node, "d", "d") as device:
        closing.let_in(identity("d"), "d", "d")
        await until(lambda: desk.watches.is_watched("c2"))
        desk.topics["d"] = ("c1", "c2", "c3")
        desk.tell("d")
        await until(lambda: desk.watches.is_watched("c3"))
        assert await is_open(device)
        desk.is_away = True
        desk.topics["d"] = ("c1",)
        desk.tell("c3")
        await asyncio.sleep(0)
        desk.is_away = False
        desk.tell("c3")
        await ended(device)


async def test_a_sweep_closes_who_is_nobody_and_adopts_the_rest(node: RabbitMq, opened: Door) -> None:
    desk = Desk()
    desk.known |= {"mine", "x1", "x2"}
    async with (
        connected(node, "nobody", "n") as nobody,
        connected(node, "", "unnamed") as unnamed,
        connected(node, "mine", "m") as mine,
        connected(node, "", "x1") as marked,
        client(node, "", "x2") as other,
        client(node, USER, "own", PASSWORD) as own,
    ):
        async with api(node) as listing:
            await until_so(lambda: are_listed(listing, 6))
        desk.is_away = True
        closing = Closing(api(node), lambda: desk, desk.whose, Meter(), sweep_seconds=0.1)
        async with beside(closing.run()):
            await asyncio.sleep(0.5)
            assert await is_open(nobody)  # while the registry cannot tell whose it is
            desk.is_away = False
            closing.let_in(identity("x1"), "", "x1")
            closing.let_go("", "x1")
            for device in (nobody, unnamed, marked):
                await ended(device)
            await until(lambda: ("mine", "m") in closing.admitted)
            for device in (mine, own, other):
                assert await is_open(device)
            desk.tell("mine")
            await ended(mine)


async def are_listed(listing: ManagementApi, count: int) -> bool:
    return len([each async for each in listing.connections()]) >= count


async def test_while_the_interface_is_away_nothing_is_forgotten(node: RabbitMq, opened: Door) -> None:
    desk, meter = Desk(), Meter()
    desk.known |= {"stays", "goes"}
    with capture_logs() as logs:
        async with tunnel(node.management) as way, connected(node, "goes", "g") as goes, client(node, "stays", "s") as stays:
            through = ManagementApi(f"http://{USER}@127.0.0.1:{way.port}", Secret(PASSWORD))
            closing = Closing(through, lambda: desk, desk.whose, meter, patience=QUICK, sweep_seconds=0.3)
            await way.cut()
            async with beside(closing.run()):
                closing.let_in(identity("goes"), "goes", "g")
                desk.revoke("goes")
                await until(lambda: meter.levels.get("rabbitmq.pending_closes") == 1)
                await asyncio.sleep(0.5)
                assert await is_open(goes)
                await way.open()
                await ended(goes)
                assert await is_open(stays)
                await until(lambda: any("serves again" in line["event"] for line in logs))
                assert meter.levels["rabbitmq.pending_closes"] == 0
    lines = [line["log_level"] for line in logs if "management interface" in line["event"]]
    assert lines == ["warning", "info"]


@pytest.mark.parametrize("tags", ["monitoring", "none"])
async def test_that_the_user_may_not_close_is_told(node: RabbitMq, opened: Door, tags: str) -> None:
    user = f"user-{tags}"
    await make_user(node, user, tags)
    closing = Closing(api(node, "pw", user), Desk, Desk().whose, Meter(), patience=QUICK, sweep_seconds=DEADLINE)
    with capture_logs() as logs:
        async with client(node, "victim", "victim") as device, beside(closing.run()):
            closing.let_go("victim", "victim")
            await until(lambda: any("administrator" in line.get("detail", "") for line in logs))
            assert await is_open(device)


async def make_user(node: RabbitMq, name: str, tags: str) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
    url = f"http://127.0.0.1:{node.management}/api/users/{name}"
    body = {"password": "pw", "tags": "" if tags == "none" else tags}
    async with aiohttp.ClientSession() as session, session.put(url, json=body, headers=headers) as response:
        assert response.status in (201, 204)


async def test_the_interface_is_asked_about_what_is_there(node: RabbitMq, opened: Door) -> None:
    async with api(node) as asked, client(node, ODD, "odd") as device:
        assert USER in await asked.users()
        await asked.close("127.0.0.1:1 -> 127.0.0.1:2")
        await asked.close_user("somebody who is not there")
        assert await is_open(device)
        for name in ("", ".", ".."):
            with pytest.raises(ValueError, match=f"^{name}$"):
                await asked.close_user(name)
    with pytest.raises(BrokerAway):
        await asked.users()


async def test_a_wrong_password_is_refused(node: RabbitMq, opened: Door) -> None:
    opened.closed.add(USER)
    async with api(node, "wrong") as asked:
        with pytest.raises(BrokerRefuses):
            await asked.users()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b" " * 9_000_000,
        b"SSH-2.0-what\r\n",
        b"",
    ],
)
async def test_what_is_no_rabbitmq_is_away(answer: bytes) -> None:
    handlers = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            writer.write(answer)
            await writer.drain()
            if not answer:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with ManagementApi(f"http://me@127.0.0.1:{port}", None, seconds=0.5) as asked:
            with pytest.raises(BrokerAway):
                await asked.users()
            with pytest.raises(BrokerAway):
                [each async for each in asked.connections() if not each.name]
        await asyncio.gather(*filter(None, handlers))


async def test_more_than_fits_is_counted() -> None:
    meter = Meter()
    closing = Closing(ManagementApi("http://me@127.0.0.1:1", None), Desk, Desk().whose, meter, most_pending=2)
    for name in ("a", "b", "a", "c", ""):
        closing.let_go(name, "")
    assert meter.levels["rabbitmq.pending_closes"] == 2
    assert meter.bounds == ["rabbitmq.pending_closes"] * 2


async def test_beyond_the_bound_the_oldest_is_attended_to_no_longer() -> None:
    meter, desk, over = Meter(), Desk(), []
    admissions = Admissions(lambda: desk, meter, "broker", lambda key, age: over.append(key), most=2)
    desk.known |= {"a", "b", "c", "d"}
    for name in ("a", "b", "b", "c"):
        admissions.add(identity(name), (name, name))
    admissions.adopt(identity("d"), ("d", "d"))
    assert [(name, name) in admissions for name in "abcd"] == [False, True, True, False]
    assert (len(admissions), meter.bounds) == (2, ["broker.admissions"])
    for name in ("a", "b"):
        desk.revoke(name)
    await until(lambda: over)
    assert over == [("b", "b")]
    admissions.keep(())
    assert len(admissions) == 1  # too new to be on any list
    admissions.leave()
    assert len(admissions) == len(desk.watches) == 0


async def test_who_is_not_at_the_broker_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.brokers.admissions.LISTED_SECONDS", 0.0)
    desk = Desk()
    admissions = Admissions(lambda: desk, Meter(), "broker", lambda key, age: None)
    for name in ("here", "left"):
        admissions.add(identity(name), (name, name))
    await asyncio.sleep(0.01)
    admissions.keep({("here", "here")})
    assert [(name, name) in admissions for name in ("here", "left")] == [True, False]
    admissions.leave()


def test_the_list_may_leave_out_what_it_does_not_know() -> None:
    from adapters.brokers import rabbitmq_api

    page = msgspec.json.decode(
        b'{"page_count":1,"items":[{"name":"n"},{"variable_map":[]},{"variable_map":{}}]}', type=rabbitmq_api._Page
    )
    assert [row.client_id() for row in page.items] == ["", "", ""]
