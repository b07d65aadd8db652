import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.cli import build_parser, main
from adapters.commands import serve

Run = Callable[..., Any]
PROGRAM = [sys.executable, "-P", "-m", "adapters"]
ROOT = Path(__file__).parents[2]
NOUNS = [
    *("serve", "check", "profile", "device", "config", "channel", "tenant", "token", "event", "explain"),
    *("enroll", "bootstrap", "tls"),
]


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


def test_help_is_on_standard_output(run: Run) -> None:
    result = run("--help")
    assert result.status == 0
    assert all(f"\n    {noun} " in result.out for noun in NOUNS)


def test_every_command_has_help(run: Run) -> None:
    actions = [action for action in build_parser()._actions if action.choices]
    for name, parser in [*actions[0].choices.items()] if isinstance(actions[0].choices, dict) else []:
        verbs = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
        for argv in [[name], *([name, verb] for verb in (verbs[0] if verbs else []))]:
            assert run(*argv, "--help").out.startswith(f"usage: firstlight {' '.join(argv)}")


def test_a_noun_alone_shows_its_verbs(run: Run) -> None:
    for argv in ([], ["profile"], ["device"], ["config"], ["channel"], ["tenant"], ["token"], ["event"], ["enroll"]):
        result = run(*argv)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith("usage: firstlight")


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("firstlight 0.")


@pytest.mark.parametrize("argv", [["frobnicate"], ["profile", "create"], ["device", "list", "--stat", "defined"]])
def test_wrong_usage_is_exit_status_2(run: Run, argv: list[str]) -> None:
    result = run(*argv)
    assert (result.status, result.out) == (2, "")
    assert "usage: firstlight" in result.err


def test_no_token_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("profile", "list", FIRSTLIGHT_TOKEN="")
    assert result.status == 2
    assert result.err.startswith("firstlight: no token: set FIRSTLIGHT_TOKEN")
    assert result.err.count("\n") == 1


def test_check_shows_the_settings(run: Run) -> None:
    result = run("check", FIRSTLIGHT_HTTP="127.0.0.1:18080", FIRSTLIGHT_ADMIN_TOKEN="a-token-that-is-long-enough-0001")
    assert result.status == 0
    assert "127.0.0.1:18080" in result.out
    assert "a-token-that" not in result.out


def test_check_warns(run: Run) -> None:
    result = run("check", FIRSTLIGHT_HTTPP="x")
    assert result.status == 0
    assert result.err.startswith("warning: FIRSTLIGHT_HTTPP")


@pytest.mark.parametrize("command", [["check"], ["serve"], ["serve", "--demo"]])
def test_a_wrong_setting_is_one_line(run: Run, command: list[str]) -> None:
    result = run(*command, FIRSTLIGHT_HTTP="nowhere")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("firstlight: FIRSTLIGHT_HTTP")
    assert result.err.count("\n") == 1


def test_the_module_is_the_command() -> None:
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert done.stdout.startswith("firstlight 0.")


def test_help_does_not_pay_for_what_it_does_not_use() -> None:
    code = "import sys; from adapters.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert not {"aiohttp", "aiocoap", "aiomqtt", "rich", "cbor2", "adapters.app", "adapters.config"} & set(loaded)


def test_a_reader_that_leaves_is_not_complained_about(gateway: Any) -> None:
    profile = {
        "id": "p",
        "name": "n" * 200,
        "strategy": "",
        "reprovision": "",
        "provision_key": "",
        "created_at": "",
        "updated_at": "",
    }
    gateway.json("GET", "/v1/profiles", {"items": [profile] * 2000, "next": None})
    command = subprocess.Popen(
        [*PROGRAM, "profile", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(FIRSTLIGHT_URL=gateway.url, FIRSTLIGHT_TOKEN="t"),
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.read(10)
    command.stdout.close()
    assert command.wait(60) == 141
    assert command.stderr.read() == b""
    command.stderr.close()


def test_ctrl_c_ends_without_a_traceback(gateway: Any) -> None:
    event = {"id": "019aa3f2-7c1e-7000-8000-000000000001", "at": "now", "kind": "device.deleted"}
    gateway.json("GET", "/v1/events", {"items": [event], "next": None})
    command = subprocess.Popen(
        [*PROGRAM, "event", "follow", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(FIRSTLIGHT_URL=gateway.url, FIRSTLIGHT_TOKEN="t"),
    )
    assert command.stdout is not None
    assert '"device.deleted"' in command.stdout.readline()
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert (command.returncode, out, err) == (130, "", "")


def test_a_narrow_encoding_is_not_the_end() -> None:
    code = "import sys; from adapters.cli import main; sys.exit(main(['enroll', 'thingsboard', '--over', 'Zähler']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        timeout=60,
        env=environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        check=False,
    )
    assert done.returncode == 2
    assert b"Z\\xe4hler" in done.stderr


def test_a_full_disk_is_one_line(gateway: Any) -> None:
    gateway.json("GET", "/v1/tokens", {"items": [], "next": None})
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "token", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment(FIRSTLIGHT_URL=gateway.url, FIRSTLIGHT_TOKEN="t"),
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "firstlight: [Errno 28] No space left on device\n")


def test_an_interrupt_is_an_exit_status(gateway: Any, run: Run) -> None:
    def interrupt(asked: Any) -> tuple[int, bytes, dict[str, str]]:
        os.kill(os.getpid(), signal.SIGINT)
        return 200, b"{}", {}

    gateway.on("GET", "/v1/tokens", interrupt)
    result = run("token", "list")
    assert (result.status, result.out, result.err) == (130, "", "")


@pytest.mark.parametrize(("reader", "status", "complaint"), [(None, 141, ""), ("/dev/full", 1, "No space left on device")])
def test_output_that_goes_nowhere(
    reader: str | None,
    status: int,
    complaint: str,
    gateway: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway.json("GET", "/v1/tokens", {"items": [], "next": None})
    if reader is None:
        unread, written = os.pipe()
        os.close(unread)
    else:
        written = os.open(reader, os.O_WRONLY)
    with open(written, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["token", "list"], {"FIRSTLIGHT_URL": gateway.url, "FIRSTLIGHT_TOKEN": "t"}) == status
    assert complaint in capsys.readouterr().err


def test_an_early_fault_leaves_the_output_alone(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serve, "_config", lambda environ: (tmp_path / "missing").open())
    result = run("check")
    assert result.status == 1
    assert "No such file or directory" in result.err


def test_a_stream_of_another_kind_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["--version"], {}) == 0
    assert stream.getvalue().startswith("firstlight")


def test_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["firstlight", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("firstlight")


@pytest.mark.parametrize("served", ["mainflux:mf-raw+mainflux:mf-thing", "magistrala:mg-things-domain+mainflux"])
def test_check_refuses_dialects_that_share_paths(run: Run, served: str) -> None:
    result = run("check", FIRSTLIGHT_HTTP=f"127.0.0.1:8080={served}")
    assert (result.status, result.out) == (2, "")
    assert f"FIRSTLIGHT_HTTP: 127.0.0.1:8080={served} serves dialects that share paths" in result.err
