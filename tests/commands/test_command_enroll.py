import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapters.commands import thingsboard_device
from adapters.commands.carriers import Reply, Server
from adapters.commands.failure import Failure

Run = Callable[..., Any]
CLAIM = ["--key", "k", "--secret", "s"]
SUCCESS = b'{"credentialsValue":"dev-token","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}'


@contextmanager
def listening(kind: socket.SocketKind, serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one peer in a thread; yields the port."""
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        if kind is socket.SOCK_STREAM:
            server.listen()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield str(server.getsockname()[1])
        thread.join(20)


def enroll(run: Run, over: str, port: str, *more: str, **options: Any) -> Any:
    return run("enroll", "thingsboard", "--over", over, "--port", port, *CLAIM, *more, **options)


def http_port(gateway: Any) -> str:
    return str(gateway.url.rpartition(":")[2])


def test_the_answer_comes_out_as_it_came_in(gateway: Any, run: Run) -> None:
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, SUCCESS + b" \x1b ", {}))
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, SUCCESS, {}))
    result = enroll(run, "http", http_port(gateway), FIRSTLIGHT_TOKEN="")
    assert (result.status, result.out, result.err) == (0, SUCCESS.decode() + "\n", "")
    assert gateway.asked[0].json() == {"provisionDeviceKey": "k", "provisionDeviceSecret": "s"}
    assert "Authorization" not in gateway.asked[0].headers


def test_everything_a_device_may_send(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, SUCCESS, {}))
    basic = ["--credentials-type", "MQTT_BASIC", "--client-id", "c", "--username", "u", "--password-file", file("pw\n")]
    enroll(run, "http", http_port(gateway), "--name", "m-1", "--gateway", *basic)
    enroll(run, "http", http_port(gateway), "--token", "own", "--password", "pw")
    enroll(run, "http", http_port(gateway), "--credentials-type", "X509_CERTIFICATE", "--certificate-file", file("PEM\n"))
    first, second, third = gateway.bodies("POST", "/api/v1/provision")
    assert first == {
        "deviceName": "m-1",
        "provisionDeviceKey": "k",
        "provisionDeviceSecret": "s",
        "credentialsType": "MQTT_BASIC",
        "clientId": "c",
        "username": "u",
        "password": "pw",
        "gateway": True,
    }
    assert (second["token"], second["password"], "gateway" in second) == ("own", "pw", False)
    assert (third["credentialsType"], third["hash"]) == ("X509_CERTIFICATE", "PEM")


def test_a_secret_may_come_from_a_file_or_standard_input(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, SUCCESS, {}))
    argv = ["enroll", "thingsboard", "--over", "http", "--port", http_port(gateway), "--key", "k"]
    run(*argv, "--secret-file", file("from-file\n"))
    run(*argv, "--secret-stdin", stdin=b"from-stdin\n")
    secrets = [body["provisionDeviceSecret"] for body in gateway.bodies("POST", "/api/v1/provision")]
    assert secrets == ["from-file", "from-stdin"]
    result = run(*argv)
    assert (result.status, result.err) == (2, "firstlight: no secret: give --secret, --secret-file or --secret-stdin\n")


def test_the_answer_comes_out_as_json_for_programs(gateway: Any, run: Run) -> None:
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, b'{ "status": "SUCCESS",\n "note": "\xc2\x9b" }', {}))
    result = enroll(run, "http", http_port(gateway), "--json")
    assert (result.status, result.out) == (0, '{"status":"SUCCESS","note":"\\u009b"}\n')


def test_an_argument_that_is_no_text_is_wrong_usage(run: Run) -> None:
    result = enroll(run, "http", "1", "--name", "\udcff")
    assert (result.status, result.err) == (2, "firstlight: an argument is not text: it has bytes that are not UTF-8\n")


def test_a_refusal_is_exit_status_1_and_names_what_explains_it(gateway: Any, run: Run) -> None:
    body = b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, body, {"X-Request-ID": "r-1"}))
    result = enroll(run, "http", http_port(gateway))
    assert (result.status, result.out) == (1, body.decode() + "\n")
    assert result.err.endswith("(HTTP 200 OK); the operator sees why: firstlight explain r-1\n")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"status":7}'])
def test_something_else_answers(gateway: Any, run: Run, body: bytes) -> None:
    gateway.on("POST", "/api/v1/provision", lambda asked: (500, body, {}))
    result = enroll(run, "http", http_port(gateway))
    assert result.status == 1
    assert "(HTTP 500 Internal Server Error)" in result.err


def test_a_terminal_gets_nothing_that_acts_on_it(gateway: Any, run: Run, terminal: Any) -> None:
    body = json.dumps({"status": "FAILURE", "errorMsg": "\x9b2J"}, ensure_ascii=False).encode() + b"\x1b[2J\xff\r\nx"
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, body, {}))
    result = enroll(run, "http", http_port(gateway), on=terminal)
    assert result.out == '{"status": "FAILURE", "errorMsg": "\\x9b2J"}\\x1b[2J\\xff\\r\nx\n'


def test_check_posts_telemetry_with_the_new_token(gateway: Any, run: Run) -> None:
    body = json.dumps({"credentialsValue": "a/b", "credentialsType": "ACCESS_TOKEN", "status": "SUCCESS"}).encode()
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, body, {}))
    gateway.on("POST", "/api/v1/a%2Fb/telemetry", lambda asked: (200, b"", {}), lambda asked: (401, b"", {}))
    assert enroll(run, "http", http_port(gateway), "--check").err == "logged in over http with the new credentials\n"
    result = enroll(run, "http", http_port(gateway), "--check")
    assert result.status == 1
    assert result.out == body.decode() + "\n"
    assert "does not take the new credentials: HTTP 401 Unauthorized" in result.err


def test_check_is_refused_where_no_login_is_possible(gateway: Any, run: Run) -> None:
    result = enroll(run, "coap", "1", "--check", "--credentials-type", "MQTT_BASIC", "--username", "u")
    assert result.status == 2
    assert "cannot log in over coap with MQTT_BASIC credentials" in result.err
    body = json.dumps({"credentialsType": "LWM2M_CREDENTIALS", "status": "SUCCESS"}).encode()
    gateway.on("POST", "/api/v1/provision", lambda asked: (200, body, {}))
    result = enroll(run, "http", http_port(gateway), "--check")
    assert result.status == 1
    assert "LWM2M_CREDENTIALS credentials cannot log in over http without TLS" in result.err


@pytest.mark.parametrize("over", ["http", "coap", "mqtt"])
def test_nobody_listens(run: Run, over: str) -> None:
    kind = socket.SOCK_DGRAM if over == "coap" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        if over == "coap":
            unused.close()
        result = enroll(run, over, port)
    assert result.status == 1
    assert result.err == f"firstlight: no answer from {over}://127.0.0.1:{port} (Connection refused): is the gateway running?\n"


@pytest.mark.parametrize("over", ["http", "coap", "mqtt"])
def test_somebody_listens_and_says_nothing(run: Run, over: str) -> None:
    finished = threading.Event()
    kind = socket.SOCK_DGRAM if over == "coap" else socket.SOCK_STREAM

    def say_nothing(server: socket.socket) -> None:
        if kind is socket.SOCK_STREAM:
            connection, _ = server.accept()
            finished.wait(20)
            connection.close()

    with listening(kind, say_nothing) as port:
        result = enroll(run, over, port, "--timeout", "0.3")
        finished.set()
    assert result.status == 1
    assert result.err == f"firstlight: no answer from {over}://127.0.0.1:{port} within 0.3 s: is the gateway running?\n"


@pytest.mark.parametrize("over", ["http", "coap", "mqtt"])
def test_a_host_that_is_none(run: Run, over: str) -> None:
    result = run("enroll", "thingsboard", "--over", over, "--host", "a host", *CLAIM)
    assert result.status == 1
    assert result.err.startswith(f"firstlight: no answer from {over}://a host:")
    assert result.err.count("\n") == 1


def test_mqtt_that_closes(run: Run) -> None:
    def close(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(1000)
        connection.close()

    with listening(socket.SOCK_STREAM, close) as port:
        result = enroll(run, "mqtt", port, "--timeout", "0.5")
    assert result.status == 1
    assert result.err.startswith(f"firstlight: no answer from mqtt://127.0.0.1:{port} ")


def test_mqtt_that_takes_the_request_and_closes(run: Run) -> None:
    def swallow(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(1000)
        connection.sendall(b"\x20\x02\x00\x00")
        subscribe = connection.recv(1000)
        connection.sendall(b"\x90\x03" + subscribe[2:4] + b"\x01")
        publish = connection.recv(1000)
        topic_end = 4 + publish[3] if publish[1] < 128 else 5 + publish[4]
        connection.sendall(b"\x40\x02" + publish[topic_end : topic_end + 2])
        connection.close()

    with listening(socket.SOCK_STREAM, swallow) as port:
        result = enroll(run, "mqtt", port)
    assert result.status == 1
    assert result.err == f"firstlight: mqtt://127.0.0.1:{port} closed the connection; firstlight event list may say why\n"


@pytest.mark.parametrize("body", [b'{"status":"\xff"}', b"\xff", b'{"credentialsValue":' + b"[" * 100_000])
def test_an_answer_that_is_no_answer_says_nothing(body: bytes) -> None:
    assert thingsboard_device.read(Reply(body)) == thingsboard_device.Enrolled()


@pytest.mark.parametrize("value", [None, "text", {"clientId": 7}])
async def test_credentials_that_are_not_understood_log_nobody_in(value: Any) -> None:
    enrolled = thingsboard_device.Enrolled("SUCCESS", "MQTT_BASIC", value)
    with pytest.raises(Failure, match="credentials are not understood"):
        await thingsboard_device.log_in(Server("mqtt", "127.0.0.1", 1, 1.0), enrolled)


def test_mqtt_that_refuses_the_connection(run: Run) -> None:
    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(1000)
        connection.sendall(b"\x20\x02\x00\x05")
        connection.recv(1000)
        connection.close()

    with listening(socket.SOCK_STREAM, refuse) as port:
        result = enroll(run, "mqtt", port)
    assert result.status == 1
    assert f"mqtt://127.0.0.1:{port} does not let this client in" in result.err


def test_coap_that_refuses_without_a_word(run: Run) -> None:
    def refuse(server: socket.socket) -> None:
        datagram, peer = server.recvfrom(2000)
        token = datagram[4 : 4 + (datagram[0] & 0xF)]
        server.sendto(bytes([0x60 | len(token), 0x80]) + datagram[2:4] + token, peer)

    with listening(socket.SOCK_DGRAM, refuse) as port:
        result = enroll(run, "coap", port)
    assert (result.status, result.out) == (1, "")
    assert result.err == (
        f"firstlight: refused by coap://127.0.0.1:{port} (4.00 Bad Request);"
        " the operator sees why: firstlight event list --kind provision.refused\n"
    )


@pytest.mark.parametrize(
    "more", [["--port", "0"], ["--port", "65536"], ["--timeout", "0"], ["--timeout", "nan"], ["--credentials-type", "NONE"]]
)
def test_wrong_usage(run: Run, more: list[str]) -> None:
    assert run("enroll", "thingsboard", "--over", "http", *CLAIM, *more).status == 2


def test_an_ipv6_address_is_bracketed(run: Run) -> None:
    result = run("enroll", "thingsboard", "--over", "http", "--host", "::1", "--port", "1", *CLAIM)
    assert "http://[::1]:1 (" in result.err
