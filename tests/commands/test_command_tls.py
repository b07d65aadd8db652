"""`firstlight tls init` makes files that a gateway starts with and clients check against."""

import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.config import from_environment

Run = Callable[..., Any]


def test_what_is_made_is_what_the_settings_say(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tls"
    result = run("tls", "init", "--directory", str(folder), "--name", "gateway.example", "--name", "192.0.2.7", "--name", "::1")
    assert result.status == 0
    environment = dict(line.split("=", 1) for line in result.out.splitlines())
    config = from_environment(environment)
    assert (config.tls_cert, config.tls_key) == (folder / "server.pem", folder / "server-key.pem")
    assert f"curl --cacert {folder / 'ca.pem'} https://gateway.example:8443/healthz" in result.err
    shown = subprocess.run(
        ["openssl", "x509", "-in", folder / "server.pem", "-noout", "-text"], check=True, capture_output=True, text=True
    ).stdout
    assert "DNS:gateway.example, IP Address:192.0.2.7, IP Address:0:0:0:0:0:0:0:1" in shown
    check: list[str | Path] = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        folder / "ca.pem",
        folder / "server.pem",
    ]
    subprocess.run(check, check=True, capture_output=True)
    ssl.create_default_context(cafile=folder / "ca.pem")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert (modes["ca-key.pem"], modes["server-key.pem"]) == (0o600, 0o600)
    assert set(modes) == {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text("mine")
    result = run("tls", "init", "--directory", str(tmp_path))
    assert (result.status, result.out) == (1, "")
    assert "server.pem is there already" in result.err
    assert [file.name for file in tmp_path.iterdir()] == ["server.pem"]


def test_by_default_it_is_for_this_machine(run: Run, tmp_path: Path) -> None:
    assert "https://localhost:8443" in run("tls", "init", "--directory", str(tmp_path / "tls")).err
    other = run("tls", "init", "--directory", str(tmp_path / "other"), "--name", "::1")
    assert "https://[::1]:8443" in other.err


@pytest.mark.parametrize(
    "words", [("--name", "a b"), ("--name", "wärme.example"), ("--name", ""), ("--days", "0"), ("--days", "9999")]
)
def test_what_cannot_be_certified_is_told(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    result = run("tls", "init", "--directory", str(tmp_path / "tls"), *words)
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "tls").exists()


def test_a_place_that_cannot_be_written_to_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("tls", "init", "--directory", str(tmp_path / "file" / "tls"))
    assert result.status == 1
    assert "cannot write to" in result.err
