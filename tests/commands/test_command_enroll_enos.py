import json
import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from adapters.commands import enos_device, enos_refusals
from adapters.commands.carriers import Reply, Server
from adapters.commands.enos_device import Answer, Device
from adapters.commands.failure import Failure
from core.model import Secret
from tests.commands.served import Gateway

Run = Callable[..., Any]
PASSWORD = "Pa55word"
CARRIERS = ["http", "coap", "mqtt"]
PATH = "/dev/bootstrap"
TRIPLE: dict[str, Any] = {
    "murl": "tcp://127.0.0.1:1",
    "hurl": "http://h",
    "pk": "pk000001",
    "dk": "dk000001",
    "ds": "ds-secret-0001",
}
REFUSED = json.dumps({"code": 35601, "msg": "Verify not pass", "requestId": "r-1", "data": None}).encode()


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def scripted(run: Run, gateway: Any, *more: str, **options: Any) -> Any:
    port = str(gateway.url.rpartition(":")[2])
    argv = ["enroll", "enos", "--over", "http", "--port", port, "--group", "QK7M2A", "--serial", "SN-1"]
    return run(*argv, *more, FIRSTLIGHT_TOKEN="", **options)


def enrolling(run: Run, served: Gateway, carrier: str, group: str, serial: str, *more: str, password: str = PASSWORD) -> Any:
    where = ["--over", carrier, "--port", served.port(carrier)]
    return run("enroll", "enos", *where, "--group", group, "--serial", serial, "--password", password, *more)


@pytest.fixture
def group(operate: Run, request: pytest.FixtureRequest) -> str:
    """A group of its own for each test, named by its id; devices get their triple at once."""
    name = re.sub(r"\W", "-", request.node.name)[:64]
    made = operate("profile", "create", name, "--strategy", "signed", "--key", name, "--secret-stdin", stdin=PASSWORD.encode())
    assert made.status == 0, made.err
    return name


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_device_gets_its_triple_and_logs_in_with_it(
    carrier: str, served: Gateway, operate: Run, run: Run, group: str
) -> None:
    serial = f"SN {carrier}/ä"
    first = enrolling(run, served, carrier, group, serial, "--name", "Pump 1", "--timezone", "+08:00", "--login")
    assert first.status == 0, first.err
    triple = json.loads(first.out)
    assert triple["murl"] == f"tcp://{served.mqtt}"
    assert first.err == f"logged in over mqtt at {triple['murl']} with the new triple\n"
    again = enrolling(run, served, carrier, group, serial, "--service", "stable", "--json")
    assert (again.status, again.json(), again.err) == (0, triple, "")
    device = operate("device", "show", serial, "--json").json()
    assert device["state"] == "connected"
    assert device["metadata"] == {"deviceName": {"defaultValue": "Pump 1", "i18nValue": {}}, "timezone": "+08:00"}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_device_waits_for_an_operator(carrier: str, served: Gateway, operate: Run, run: Run, group: str) -> None:
    operate("profile", "change", group, "--no-auto-activation")
    serial = f"waiting-{carrier}"
    waiting = enrolling(run, served, carrier, group, serial)
    answer = json.loads(waiting.out)
    assert (waiting.status, answer["code"]) == (1, 10000)
    why, meaning = waiting.err.splitlines()
    assert why.endswith(f"the operator sees why: firstlight explain {answer['requestId']}")
    assert f"an operator has to allocate it: give it its triple (firstlight device credential add {serial})" in meaning
    assert "not given its credentials" in operate("explain", answer["requestId"]).out

    assert operate("device", "credential", "add", serial).status == 0
    assert enrolling(run, served, carrier, group, serial).status == 0
    other = f"other-{carrier}"
    assert enrolling(run, served, carrier, group, other).status == 1
    operate("profile", "change", group, "--auto-activation")
    assert enrolling(run, served, carrier, group, other).status == 0


@pytest.mark.parametrize("carrier", CARRIERS)
def test_refusals_say_what_they_mean(carrier: str, served: Gateway, operate: Run, run: Run, group: str) -> None:
    def refused(serial: str, *more: str, **options: Any) -> tuple[int, str]:
        result = enrolling(run, served, carrier, group, serial, *more, **options)
        assert result.status == 1
        assert f"refused by {carrier}://127.0.0.1:{served.port(carrier)}" in result.err
        _, meaning = result.err.splitlines()
        return json.loads(result.out)["code"], meaning

    serial = f"refused-{carrier}"
    code, meaning = refused(serial, password="guess")
    assert (code, meaning.partition(",")[0]) == (35601, "group")
    assert "the clock is too far off; a device is not told which" in meaning
    code, meaning = refused(serial, "--timezone", "nowhere")
    assert (code, meaning) == (99400, "the gateway does not take the request as it is: the message names the member at fault")

    assert enrolling(run, served, carrier, group, serial).status == 0
    operate("device", "disable", serial)
    code, meaning = refused(serial)
    assert (code, meaning) == (10000, f"the device is out of service, disabled or discarded: firstlight device show {serial}")

    operate("profile", "change", group, "--no-self-registration")
    code, meaning = refused("stranger")
    assert code == 35603
    assert "does not expect this serial" in meaning
    operate("profile", "disable", group)
    assert refused("stranger")[0] == 35603


@pytest.mark.parametrize("carrier", ["http", "coap"])
def test_a_service_of_another_name_is_no_service(carrier: str, served: Gateway, run: Run, group: str) -> None:
    assert enrolling(run, served, carrier, group, "SN-1", "--service", "v2.4").status == 0
    result = enrolling(run, served, carrier, group, "SN-1", "--service", "prod")
    assert (result.status, json.loads(result.out)["code"]) == (1, 35404)
    assert "there is nothing at this path" in result.err


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_time_that_is_too_far_off_is_refused(carrier: str, served: Gateway, operate: Run, group: str) -> None:
    an_hour_ago = time.time() - 3600
    request = enos_device.sign(Device(group, "SN-1", "SN-1", "+00:00"), Secret(PASSWORD), int(an_hour_ago * 1000))
    server = Server(carrier, "127.0.0.1", int(served.port(carrier)), 20.0)
    reply = await enos_device.bootstrap(server, "dev", request)
    answer = enos_device.read(reply)
    assert (answer.code, answer.granted) == (35601, False)
    said = enos_refusals.clock_difference(answer, reply, datetime.fromtimestamp(an_hour_ago, UTC))
    assert (" s behind the gateway's: set it" in said) is (carrier == "http")  # the others tell no time
    assert enos_refusals.clock_difference(answer, reply, datetime.now(UTC)) == ""


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("Fri, 20 Nov 2026 23:00:00 GMT", "this machine's clock is 3,600 s ahead of the gateway's"),
        ("Sat, 21 Nov 2026 00:01:01 GMT", "this machine's clock is 61 s behind the gateway's"),
        ("Sat, 21 Nov 2026 00:01:00 GMT", ""),
        ("Fri, 20 Nov 2026 23:00:00 -0000", ""),
        ("Sat, 21 Nov 20260 23:00:00 GMT", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_a_clock_is_compared_with_the_date_of_a_refusal(date: str, said: str) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    found = enos_refusals.clock_difference(Answer(code=35601), Reply(REFUSED, date=date), now)
    assert found.partition(": ")[0] == said
    assert enos_refusals.clock_difference(Answer(code=35603), Reply(b"", date=date), now) == ""


def test_a_clock_that_is_off_is_told(gateway: Any, run: Run) -> None:
    long_ago = format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)
    gateway.on("POST", PATH, lambda asked: (401, REFUSED, {"Date": long_ago}))
    lines = scripted(run, gateway, "--password", "p").err.splitlines()
    assert len(lines) == 3
    assert "s ahead of the gateway's: set it, or let the group tolerate that (firstlight profile change" in lines[2]


def test_what_a_device_sends(gateway: Any, run: Run) -> None:
    gateway.on("POST", PATH, lambda asked: (200, as_json(TRIPLE), {}))
    before = time.time_ns() // 1_000_000
    result = scripted(run, gateway, "--password", "p")
    after = time.time_ns() // 1_000_000
    assert (result.status, result.out, result.err) == (0, as_json(TRIPLE).decode() + "\n", "")
    body = gateway.asked[0].json()
    assert before <= body["dpsSignTimestamp"] <= after
    again = enos_device.sign(Device("QK7M2A", "SN-1", "SN-1", "+00:00"), Secret("p"), body["dpsSignTimestamp"])
    assert body == {
        "dpsSignMethod": "sha256",
        "dpsSignTimestamp": again.dps_sign_timestamp,
        "dpsSign": again.dps_sign,
        "groupId": "QK7M2A",
        "deviceSn": "SN-1",
        "deviceName": {"defaultValue": "SN-1", "i18nValue": {}},
        "timezone": "+00:00",
    }
    assert "Authorization" not in gateway.asked[0].headers


def test_signatures_are_those_of_the_vendor() -> None:
    request = enos_device.sign(Device("g", "SN-0001", "n", "z"), Secret("Pa55word"), 1700000000000)
    assert request.dps_sign == "383bca78acc293014a3b5f2052880bf5fcd466f2846a14c807c88207340e76e4"
    login = enos_device.login(Answer(**TRIPLE), "1700000000000")
    assert login.client_id == "dk000001|securemode=2,signmethod=sha256,timestamp=1700000000000|"
    assert login.username == "dk000001&pk000001"
    assert login.password == "507b60e8c5733cba4ab8007aef35f16ddf8e673708bc4ab9dca873b35ea2bfb9"


def test_where_the_password_comes_from(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.on("POST", PATH, lambda asked: (200, as_json(TRIPLE), {}))
    path = file("p\n")
    scripted(run, gateway, "--password", "p", FIRSTLIGHT_GROUP_SECRET="other")
    scripted(run, gateway, "--password-file", path)
    scripted(run, gateway, "--password-stdin", stdin=b"p\n")
    scripted(run, gateway, FIRSTLIGHT_GROUP_SECRET="p")
    scripted(run, gateway, FIRSTLIGHT_GROUP_SECRET_FILE=path)
    scripted(run, gateway, typed=["p"])
    bodies = gateway.bodies("POST", PATH)
    assert len(bodies) == 6
    device = Device("QK7M2A", "SN-1", "SN-1", "+00:00")
    for body in bodies:
        assert body["dpsSign"] == enos_device.sign(device, Secret("p"), body["dpsSignTimestamp"]).dps_sign
    result = scripted(run, gateway)
    assert result.status == 2
    assert result.err == "firstlight: no password: give --password-file or --password-stdin, or set FIRSTLIGHT_GROUP_SECRET\n"


@pytest.mark.parametrize(
    ("headers", "when"),
    [({"Retry-After": "30"}, "30 s"), ({"Retry-After": "soon; x"}, "a while"), ({}, "a while")],
)
def test_too_many_attempts(gateway: Any, run: Run, headers: dict[str, str], when: str) -> None:
    gateway.on("POST", PATH, lambda asked: (429, as_json({"code": 35429, "msg": "Too many requests"}), headers))
    result = scripted(run, gateway, "--password", "p")
    assert result.status == 1
    assert result.err.splitlines()[1].endswith(f"try again in {when}")


def test_a_state_of_another_name(gateway: Any, run: Run) -> None:
    gateway.on("POST", PATH, lambda asked: (409, as_json({"code": 10000, "msg": "changed meanwhile"}), {}))
    assert "at the same time; try again" in scripted(run, gateway, "--password", "p").err


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        (b"", ""),
        (b"[]", []),
        (b"<html>", "<html>"),
        (b"\xff", "\\xff"),
        (b"[" * 10_000, "[" * 10_000),
        (b'{"code":"35601"}', {"code": "35601"}),
        (b'{"pk":"p","dk":"d","ds":""}', {"pk": "p", "dk": "d", "ds": ""}),
    ],
    ids=["nothing", "list", "html", "bytes", "nested", "text-code", "no-secret"],
)
def test_something_else_answers(gateway: Any, run: Run, body: bytes, printed: Any) -> None:
    gateway.on("POST", PATH, lambda asked: (200, body, {}))
    result = scripted(run, gateway, "--password", "p", "--json")
    assert (result.status, result.json()) == (1, printed)
    assert "(HTTP 200 OK); the operator sees why: firstlight event list --kind provision.refused\n" in result.err
    assert "this is no answer of EnOS" in result.err


def test_what_a_stranger_calls_a_request_is_not_put_into_a_command(gateway: Any, run: Run) -> None:
    body = as_json({"code": 35601, "msg": "", "requestId": "x; reboot"})
    gateway.on("POST", PATH, lambda asked: (401, body, {}))
    assert "firstlight event list --kind provision.refused\n" in scripted(run, gateway, "--password", "p").err


def test_a_terminal_gets_nothing_that_acts_on_it(gateway: Any, run: Run, terminal: Any) -> None:
    gateway.on("POST", PATH, lambda asked: (200, as_json({**TRIPLE, "x": "y"}) + b"\x1b[2J\xff", {}))
    result = scripted(run, gateway, "--password", "p", on=terminal)
    assert result.out.endswith("}\\x1b[2J\\xff\n")


def test_login_where_the_triple_is_not_taken(gateway: Any, served: Gateway, run: Run) -> None:
    gateway.on("POST", PATH, lambda asked: (200, as_json({**TRIPLE, "murl": f"tcp://{served.mqtt}"}), {}))
    result = scripted(run, gateway, "--password", "p", "--login")
    assert (result.status, json.loads(result.out)["pk"]) == (1, "pk000001")
    assert result.err.startswith(f"firstlight: mqtt://{served.mqtt} does not let this client in")


def test_login_where_nobody_listens(gateway: Any, run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        gateway.on("POST", PATH, lambda asked: (200, as_json({**TRIPLE, "murl": f"tcp://{address}"}), {}))
        result = scripted(run, gateway, "--password", "p", "--login")
    assert result.status == 1
    assert f"no answer from mqtt://{address} (Connection refused)" in result.err


@pytest.mark.parametrize(
    ("murl", "fault"),
    [
        ("", "the answer has no murl"),
        ("ssl://h:8883", "cannot log in at ssl://h:8883: only tcp://HOST:PORT"),
        ("tcp://h", "cannot log in at tcp://h: "),
        ("tcp://h:0", "cannot log in at tcp://h:0: "),
        ("tcp://h:65536", "cannot log in at tcp://h:65536: "),
    ],
)
async def test_an_address_that_nobody_can_log_in_at(murl: str, fault: str) -> None:
    with pytest.raises(Failure, match=fault):
        await enos_device.log_in(Answer(**{**TRIPLE, "murl": murl}), 1, 1.0)


@pytest.mark.parametrize(
    "more",
    [
        ["--over", "mqtt", "--service", "2.4.0"],
        ["--service", "a/b"],
        ["--service", ".."],
        ["--service", ""],
        ["--name", "\udcff"],
        ["--group", "\udcff"],
        ["--port", "0"],
    ],
)
def test_wrong_usage(run: Run, more: list[str]) -> None:
    argv = ["enroll", "enos", "--over", "http", "--group", "g", "--serial", "s", "--password", "very-secret"]
    result = run(*argv, *more)
    assert result.status == 2
    assert "very-secret" not in result.err
