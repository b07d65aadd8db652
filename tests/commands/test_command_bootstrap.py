import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.commands import bootstrap, lines
from adapters.commands.bootstrap_device import DIALECTS
from adapters.dialects.mainflux import FLAVOURS
from adapters.dialects.mainflux.flavours import BY_DIALECT
from core.crypto import cfb

Run = Callable[..., Any]
DOCUMENT = b'{"mainflux_id":"d","mainflux_key":"s","mainflux_channels":null}'
CHANGED = b'{"mainflux_id":"d","mainflux_key":"s","mainflux_channels":null,"content":"two"}'
SHARED_TEXT = "12345678910111213141516171819202"
SHARED = SHARED_TEXT.encode()
FORMAT = "FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT"
# Recorded answer of a Magistrala service under this key, read as it is.
SEALED = bytes.fromhex(
    "000102030405060708090a0b0c0d0e0fadf63e9eafbca8bd1efee1d9084184f40600b26b8907aa5674bc8843a671aba9dd11e3daec7fdf15080db57971"
    "db7072e8a5ccfa65e2da454af025631538e83b3eafdb354c52f31d51ccf6a11251e8d4b47f39c7ba0ffb46a945ad680c008c49806ae74ab7487749fb59"
    "916980811409351504480276875d8a9f888ec78279d16c587c5316532dbcb77e8e"
)
OPENED = (
    '{"client_id":"cl-1","client_secret":"s-1","channels":[{"id":"ch-1","name":"up","metadata":{"type":"data"}}],'
    '"content":"{\\"log\\":\\"info\\"}"}'
)


def port(gateway: Any) -> str:
    return str(gateway.url.rpartition(":")[2])


def fetch(run: Run, gateway: Any, *more: str, key: str = "k", **options: Any) -> Any:
    argv = ["bootstrap", "24:0a", "--over", "http", "--port", port(gateway), *(["--key", key] if key else []), *more]
    return run(*argv, FIRSTLIGHT_TOKEN="", **options)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait between two questions."""
    monkeypatch.setattr(lines, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(bootstrap, "RETRY_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("options", "path", "authorization"),
    [
        ([], "/things/bootstrap/24:0a", "Thing k"),
        (["--flavour", "mf-raw"], "/things/bootstrap/24:0a", "k"),
        (["--flavour", "mg-thing"], "/things/bootstrap/24:0a", "Thing k"),
        (["--dialect", "magistrala"], "/clients/bootstrap/24:0a", "Client k"),
        (["--dialect", "magistrala", "--flavour", "mg-client-0.20"], "/clients/bootstrap/24:0a", "Client k"),
        (["--dialect", "magistrala", "--flavour", "mg-things-domain"], "/things/bootstrap/24:0a", "Thing k"),
    ],
)
def test_a_flavour_has_its_path_and_its_word(gateway: Any, run: Run, options: list[str], path: str, authorization: str) -> None:
    gateway.on("GET", path, lambda asked: (200, DOCUMENT + b"\n", {}))
    result = fetch(run, gateway, *options)
    assert (result.status, result.out, result.err) == (0, DOCUMENT.decode() + "\n", "")
    assert gateway.asked[0].headers["Authorization"] == authorization


def test_the_flavours_are_those_of_the_dialects() -> None:
    assert {name: tuple(flavours) for name, flavours in DIALECTS.items()} == dict(FLAVOURS)
    for name, rows in BY_DIALECT.items():
        for row in rows:
            flavour = DIALECTS[name][row.name]
            assert (flavour.prefix, flavour.scheme or row.scheme) == (row.device_entity, row.scheme)


def test_http_is_the_default(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (200, DOCUMENT, {}))
    assert run("bootstrap", "24:0a", "--port", port(gateway), "--key", "k").status == 0


def test_an_external_id_is_one_segment_of_the_path(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/things/bootstrap/a%2Fb%20%3F%C3%A4", lambda asked: (200, DOCUMENT, {}))
    assert run("bootstrap", "a/b ?ä", "--over", "http", "--port", port(gateway), "--key", "k").status == 0


def test_a_document_of_many_megabytes_arrives_and_an_endless_one_does_not(
    gateway: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.dumps({"content": "x" * 3_000_000}, separators=(",", ":"))
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (200, document.encode(), {}))
    assert fetch(run, gateway).out == document + "\n"
    monkeypatch.setattr(lines, "MAX_ANSWER_BYTES", 1_000_000)
    result = fetch(run, gateway)
    assert (result.status, result.err) == (1, "firstlight: the answer is longer than 1,000,000 bytes\n")


def test_a_terminal_gets_nothing_that_acts_on_it(gateway: Any, run: Run, terminal: Any) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (200, b'{"content":"\xc2\x9b2J"}', {}))
    assert fetch(run, gateway, on=terminal).out == '{\n  "content": "\\u009b2J"\n}\n'


def sealed_path(text: str) -> str:
    return f"/clients/bootstrap/secure/{text}"


@pytest.mark.parametrize(("key_format", "shared"), [("raw", SHARED), ("hex", bytes.fromhex(SHARED_TEXT))])
def test_the_key_is_encrypted(gateway: Any, run: Run, key_format: str, shared: bytes) -> None:
    gateway.on("GET", sealed_path("24:0a"), lambda asked: (200, cfb.Envelope(shared, bytes(16)).close(b'{"a":1}'), {}))
    argv = ["--secure", "--dialect", "magistrala", "--key-format", key_format]
    for _ in range(2):
        result = fetch(run, gateway, *argv, key="dev-key-0001", FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY=SHARED_TEXT)
        assert (result.status, result.out) == (0, '{"a":1}\n')
    first, second = (asked.headers["Authorization"].removeprefix("Client ") for asked in gateway.asked)
    assert first != second
    assert {cfb.decrypt(shared, bytes.fromhex(each)) for each in (first, second)} == {b"dev-key-0001"}


def test_a_recorded_answer_is_decrypted(gateway: Any, run: Run) -> None:
    gateway.on("GET", sealed_path("24:0a"), lambda asked: (200, SEALED, {}))
    argv = ["--secure", "--dialect", "magistrala"]
    assert fetch(run, gateway, *argv, MG_BOOTSTRAP_ENCRYPT_KEY=SHARED_TEXT).out == OPENED + "\n"
    wrong = fetch(run, gateway, *argv, MG_BOOTSTRAP_ENCRYPT_KEY="0" * 32)
    assert (wrong.status, wrong.out) == (1, "")
    assert wrong.err.startswith("firstlight: the answer is nothing when decrypted: compare the encryption key")
    gateway.on("GET", sealed_path("24:0a"), lambda asked: (200, SEALED[:15], {}))
    assert "too short to be encrypted" in fetch(run, gateway, *argv, MG_BOOTSTRAP_ENCRYPT_KEY=SHARED_TEXT).err


def test_keys_come_from_where_they_were_put(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (200, DOCUMENT, {}))
    sources: list[tuple[list[str], dict[str, Any]]] = [
        (["--key-file", file("from-file\n", "a")], {"FIRSTLIGHT_EXTERNAL_KEY": "unused"}),
        (["--key-stdin"], {"stdin": b"from-stdin\n"}),
        ([], {"FIRSTLIGHT_EXTERNAL_KEY": "from-variable"}),
        ([], {"FIRSTLIGHT_EXTERNAL_KEY_FILE": file("from-named-file\n", "b")}),
        ([], {"typed": ["from-terminal"]}),
    ]
    for argv, options in sources:
        assert fetch(run, gateway, *argv, key="", **options).status == 0
    sent = [asked.headers["Authorization"].removeprefix("Thing ") for asked in gateway.asked]
    assert sent == ["from-file", "from-stdin", "from-variable", "from-named-file", "from-terminal"]


@pytest.mark.parametrize("variable", ["FIRSTLIGHT", "MF", "MG", "SMQ"])
def test_the_encryption_key_goes_by_its_old_names_too(gateway: Any, run: Run, file: Callable[..., str], variable: str) -> None:
    gateway.on("GET", "/things/bootstrap/secure/24:0a", lambda asked: (200, SEALED, {}))
    name = f"{variable}_BOOTSTRAP_ENCRYPT_KEY"
    assert fetch(run, gateway, "--secure", **{name: SHARED_TEXT}).out == OPENED + "\n"
    assert fetch(run, gateway, "--secure", **{f"{name}_FILE": file(SHARED_TEXT + "\n")}).out == OPENED + "\n"
    assert fetch(run, gateway, "--secure", "--encrypt-key-stdin", stdin=SHARED, **{name: "unused"}).out == OPENED + "\n"
    assert fetch(run, gateway, "--secure", typed=[SHARED_TEXT], FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT="raw").out == OPENED + "\n"


@pytest.mark.parametrize(
    ("argv", "environ", "complaint"),
    [
        ([], {}, "no key: give --key-file or --key-stdin, or set FIRSTLIGHT_EXTERNAL_KEY"),
        (["--key", "k", "--secure"], {}, "no encrypt key: give --encrypt-key-file or --encrypt-key-stdin, or set FIRSTLIGHT_B"),
        (["--key", "k", "--flavour", "mg-client"], {}, "--flavour: mainflux has mf-thing, mf-raw, mg-thing"),
        (["--key", "k", "--secure"], {"MF_BOOTSTRAP_ENCRYPT_KEY": "short"}, "encryption key: the key has 5 bytes"),
        (
            ["--key", "k", "--secure", "--key-format", "hex"],
            {"MF_BOOTSTRAP_ENCRYPT_KEY": "none"},
            "encryption key: the key is not hex",
        ),
        (
            ["--key", "k", "--secure"],
            {"FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT": "base64"},
            "FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT: raw or hex",
        ),
    ],
)
def test_wrong_usage_is_told(gateway: Any, run: Run, argv: list[str], environ: dict[str, str], complaint: str) -> None:
    result = fetch(run, gateway, *argv, key="", **environ)
    assert result.status == 2
    assert result.err.startswith(f"firstlight: {complaint}")
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b'{"error":"the key is wrong"}\n', "the key is wrong (HTTP 403 Forbidden)"),
        (404, b'{"message":"nothing found","error":"no row"}', "nothing found: no row (HTTP 404 Not Found)"),
        (404, b'{"message":"nothing found","error":""}', "nothing found (HTTP 404 Not Found)"),
        (404, b"404 page not found\n", "404 page not found (HTTP 404 Not Found)"),
        (500, b"", "refused (HTTP 500 Internal Server Error)"),
        (302, b"[]", "[] (HTTP 302 Found)"),
        (500, b"\x1b\xff" + b"x" * 300, "\\x1b\ufffd" + "x" * 198 + " (HTTP 500 Internal Server Error)"),
        (401, b'{"error":7}', "7 (HTTP 401 Unauthorized)"),
        (200, b'{"error":"of a gateway that means it well"}', "of a gateway that means it well (HTTP 200 OK)"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(gateway: Any, run: Run, status: int, body: bytes, words: str) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (status, body, {"X-Request-ID": "r-1"}))
    result = fetch(run, gateway)
    assert (result.status, result.out) == (1, "")
    assert result.err == f"firstlight: {words}; the operator sees why: firstlight explain r-1\n"


def test_without_a_request_id_the_events_tell(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (403, b"", {}))
    assert fetch(run, gateway).err.endswith("; the operator sees why: firstlight event list\n")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff"])
def test_something_else_answers(gateway: Any, run: Run, body: bytes) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (200, body, {}))
    result = fetch(run, gateway)
    assert (result.status, result.err) == (1, "firstlight: the answer is no JSON object\n")


def test_who_failed_too_often_is_told_so(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (429, b'{"error":"too many"}', {}))
    result = fetch(run, gateway)
    assert result.status == 1
    assert "has had too many failed attempts from this address (HTTP 429 Too Many Requests)" in result.err
    assert "firstlight e" in result.err


def test_a_busy_gateway_is_no_refusal(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (503, b'{"error":"later"}', {}))
    result = fetch(run, gateway)
    assert (result.status, result.err) == (1, f"firstlight: {gateway.url} is busy (HTTP 503 Service Unavailable)\n")


def test_watching_polls_with_the_entity_tag(gateway: Any, run: Run, impatient: None) -> None:
    def answer(status: int, body: bytes, etag: str = "") -> Callable[[Any], tuple[int, bytes, dict[str, str]]]:
        return lambda asked: (status, body, {"ETag": etag} if etag else {})

    gateway.on(
        "GET",
        "/things/bootstrap/24:0a",
        answer(200, DOCUMENT, '"a"'),
        answer(304, b"", '"a"'),
        answer(200, CHANGED, '"b"'),
        answer(200, CHANGED, '"c"'),
        answer(503, b""),
        answer(503, b""),
        answer(200, DOCUMENT, '"d"'),
        answer(404, b'{"error":"gone"}'),
    )
    result = fetch(run, gateway, "--watch")
    assert (result.status, result.out) == (1, b"\n".join([DOCUMENT, CHANGED, DOCUMENT, b""]).decode())
    remark, refusal = result.err.splitlines()
    assert remark == f"trying again: {gateway.url} is busy (HTTP 503 Service Unavailable)"
    assert refusal.startswith("firstlight: gone (HTTP 404 Not Found)")
    held = [asked.headers.get("If-None-Match") for asked in gateway.asked]
    assert held == [None, '"a"', '"a"', '"b"', '"c"', None, None, '"d"']


def test_watching_what_is_encrypted_polls_the_version(gateway: Any, run: Run, impatient: None) -> None:
    def sealed(document: bytes) -> Callable[[Any], tuple[int, bytes, dict[str, str]]]:
        return lambda asked: (200, cfb.Envelope(SHARED, bytes(16)).close(document), {})

    path = "/things/bootstrap/secure/24:0a"
    gateway.on("GET", path, sealed(DOCUMENT), sealed(DOCUMENT), sealed(CHANGED), lambda asked: (403, b"", {}))
    etags = iter(['"a"', '"a"', '"b"', '"c"'])

    def version(asked: Any) -> tuple[int, bytes, dict[str, str]]:
        etag = next(etags)
        return 304 if asked.headers.get("If-None-Match") == etag else 200, b"{}", {"ETag": etag}

    gateway.on("GET", f"{path}/version", version)
    result = fetch(run, gateway, "--secure", "--watch", MF_BOOTSTRAP_ENCRYPT_KEY=SHARED_TEXT)
    assert (result.status, result.out) == (1, b"\n".join([DOCUMENT, CHANGED, b""]).decode())
    polls = [asked.headers.get("If-None-Match") for asked in gateway.asked if asked.path.endswith("version")]
    assert polls == [None, '"a"', '"a"', '"b"']


def test_watching_begins_with_an_answer(gateway: Any, run: Run, impatient: None) -> None:
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (503, b"", {}))
    result = fetch(run, gateway, "--watch")
    assert (result.status, len(gateway.asked)) == (1, 1)


def test_watching_outlives_a_gateway_that_goes_away(gateway: Any, run: Run, impatient: None) -> None:
    answers = iter([(200, DOCUMENT), (0, b""), (0, b""), (200, CHANGED), (403, b"")])
    gateway.on("GET", "/things/bootstrap/24:0a", lambda asked: (*next(answers), {}))
    result = fetch(run, gateway, "--watch")
    assert (result.status, result.out) == (1, b"\n".join([DOCUMENT, CHANGED, b""]).decode())
    assert result.err.count("trying again: no answer from") == 1


@pytest.mark.parametrize("over", ["http", "coap", "mqtt"])
def test_nobody_is_there(run: Run, over: str) -> None:
    result = run("bootstrap", "24:0a", "--over", over, "--host", "a host", "--key", "k")
    assert result.status == 1
    assert result.err.startswith(f"firstlight: no answer from {over}://a host:")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--key-format", "hex"], "--encrypt-key-file, --encrypt-key-stdin and --key-format are for --secure"),
        (["--encrypt-key-stdin"], "--encrypt-key-file, --encrypt-key-stdin and --key-format are for --secure"),
        (["--encrypt-key-file", __file__], "--encrypt-key-file, --encrypt-key-stdin and --key-format are for --secure"),
        (
            ["--key-stdin", "--secure", "--encrypt-key-stdin"],
            "--key-stdin and --encrypt-key-stdin: only one key can come from ",
        ),
        (["--port", "http"], "not a port: http"),
        (["--timeout", "soon"], "not a number above 0, at most 3600: soon"),
    ],
)
def test_options_that_cannot_be_meant(gateway: Any, run: Run, argv: list[str], fault: str) -> None:
    result = run("bootstrap", "24:0a", *argv)
    assert result.status == 2
    assert fault in result.err
    assert gateway.asked == []
