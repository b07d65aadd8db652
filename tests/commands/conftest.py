"""A gateway that answers from a script, and a way to run commands against it."""

import asyncio
import getpass
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from adapters.cli import main
from tests.commands.served import Gateway, serve

TOKEN = "operator-token-0001"


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Result(NamedTuple):
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Script:
    """What the gateway answers: replies in order for each method and path, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._replies: dict[tuple[str, str], list[Reply | Callable[[Asked], Reply]]] = {}

    def on(self, method: str, path: str, *replies: Reply | Callable[[Asked], Reply]) -> None:
        self._replies[method, path] = list(replies)

    def json(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        self.on(method, path, *(Reply(status, json.dumps(body).encode()) for body in bodies))

    def refuse(self, method: str, path: str, status: int, *, headers: dict[str, str] | None = None, **problem: str) -> None:
        self.on(method, path, Reply(status, json.dumps(problem).encode(), headers or {}))

    def bodies(self, method: str, path: str) -> list[Any]:
        return [asked.json() if asked.body else None for asked in self.asked if (asked.method, asked.path) == (method, path)]

    async def answer(self, request: web.BaseRequest) -> web.Response:
        path = request.raw_path.partition("?")[0]
        asked = Asked(request.method, path, dict(request.query), dict(request.headers), await request.content.read())
        self.asked.append(asked)
        replies = self._replies.get((asked.method, path), [Reply(404, b'{"detail":"nothing here","request_id":"r-404"}')])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        status, body, headers = reply if isinstance(reply, Reply) else reply(asked)
        if not status and request.transport:
            request.transport.abort()
        return web.Response(status=status or 200, body=body, headers=headers)


@pytest.fixture
def gateway() -> Iterator[Script]:
    script = Script()
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> None:
        runner = web.ServerRunner(web.Server(script.answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        script.url = site.name if not site.name.endswith(":0") else f"http://127.0.0.1:{runner.addresses[0][1]}"
        stop.append(asyncio.Event())
        started.set()
        await stop[0].wait()
        await runner.cleanup()

    stop: list[asyncio.Event] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield script
    loop.call_soon_threadsafe(stop[0].set)
    thread.join(10)
    loop.close()


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, Terminal]:
    """Terminals of 200 columns that a command can be run on: standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal(), Terminal()


@pytest.fixture
def run(gateway: Script, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command against the script, with a token and standard input given; `typed` answers what is asked on a terminal."""

    def run_command(
        *argv: str,
        stdin: bytes = b"",
        typed: Sequence[str] | None = None,
        on: tuple[Terminal, Terminal] | None = None,
        **environ: str,
    ) -> Result:
        environ = {"FIRSTLIGHT_URL": gateway.url, "FIRSTLIGHT_TOKEN": TOKEN, **environ}
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            if typed is not None:
                answers = iter(typed)
                patch.setattr(sys, "stdin", Terminal())
                patch.setattr(getpass, "getpass", lambda prompt, stream: next(answers))
            if on is not None:
                patch.setattr(sys, "stdout", on[0])
                patch.setattr(sys, "stderr", on[1])
            status = main(argv, environ)
        if on is not None:
            return Result(status, on[0].text(), on[1].text())
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run_command


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Write a file and return its path."""

    def write(content: bytes | str, name: str = "file") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that runs."""
    yield from serve(tmp_path_factory.mktemp("served"))


@pytest.fixture
def operate(served: Gateway, run: Callable[..., Result]) -> Callable[..., Result]:
    """Run an operator's command with the admin token that the gateway made for itself."""
    token = str(served.directory / "data/admin-token")

    def command(*argv: str, **options: Any) -> Result:
        return run(*argv, FIRSTLIGHT_URL=f"http://{served.http}", FIRSTLIGHT_TOKEN="", FIRSTLIGHT_TOKEN_FILE=token, **options)

    return command
