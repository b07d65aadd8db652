"""Tenants, channels, configurations and the devices that fetch them, against a gateway that runs."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.commands import lines
from tests.commands.served import ENCRYPT_KEY, PROGRAM, Gateway, environment

Run = Callable[..., Any]
KEY = "factory-key-0001"
CARRIERS = ["http", "coap", "mqtt"]
MEGABYTE = 1_048_576
# The command line as a process that looks for what is new more often than once in some seconds.
HURRIED = (
    "import sys; from adapters import cli; from adapters.commands import lines; lines.POLL_SECONDS = 0.2; sys.exit(cli.main())"
)


def bootstrap(run: Run, served: Gateway, carrier: str, external_id: str, *more: str, key: str = KEY) -> Any:
    argv = ["bootstrap", external_id, "--over", carrier, "--port", served.port(carrier), "--key", key, *more]
    return run(*argv, FIRSTLIGHT_TOKEN="", FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY=ENCRYPT_KEY)


@pytest.fixture
def configure(operate: Run) -> Callable[..., Any]:
    """Make a configuration."""

    def create(external_id: str, *argv: str) -> Any:
        result = operate("config", "create", external_id, "--key-stdin", "--json", *argv, stdin=KEY.encode())
        assert result.status == 0, result.err
        return result.json()

    return create


@pytest.mark.parametrize("secure", [[], ["--secure"]], ids=["plain", "secure"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_device_fetches_its_configuration(
    carrier: str, secure: list[str], served: Gateway, run: Run, operate: Run, configure: Run
) -> None:
    name = f"pump-{carrier}{len(secure)}"
    for channel in ("up", "down"):
        operate("channel", "create", channel, "--id", f"{name}-{channel}", "--metadata", f"type={channel}")
    channels = ["--channel", f"{name}-up", "--channel", f"{name}-down"]
    config = configure(name, *channels, "--content", '{"log":"<debug>"}')
    result = bootstrap(run, served, carrier, name, *secure)
    assert (result.status, result.err) == (0, "")
    assert result.json() == {
        "mainflux_id": config["id"],
        "mainflux_key": config["secret"],
        "mainflux_channels": [
            {"id": f"{name}-up", "name": "up", "metadata": {"type": "up"}},
            {"id": f"{name}-down", "name": "down", "metadata": {"type": "down"}},
        ],
        "content": '{"log":"<debug>"}',
    }
    magistrala = bootstrap(run, served, carrier, name, *secure, "--dialect", "magistrala").json()
    assert (magistrala["client_id"], magistrala["client_secret"]) == (config["id"], config["secret"])


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_refusal_is_told_and_explained(carrier: str, served: Gateway, run: Run, operate: Run, configure: Run) -> None:
    name = f"guessed-{carrier}"
    configure(name)
    guess = bootstrap(run, served, carrier, name, key="guess")
    assert (guess.status, guess.out) == (1, "")
    assert "external key" in guess.err
    assert bootstrap(run, served, carrier, f"{name}-unknown").status == 1
    assert f"{name}-unknown\n" in operate("config", "unknown").out
    refused = operate("event", "list", "--kind", "bootstrap.refused", "--device", name, "--json").json()
    assert [(event["check"], event["protocol"]) for event in refused] == [("bootstrap.key", carrier)]
    explained = operate("explain", refused[0]["correlation"]).out
    assert "a device asked for its configuration and was refused" in explained
    assert "The external key is not the one of this configuration" in explained


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_megabyte_arrives(carrier: str, served: Gateway, run: Run, configure: Run, file: Callable[..., str]) -> None:
    content = "x" * MEGABYTE
    configure(f"big-{carrier}", "--content", "@" + file(content))
    for secure in ([], ["--secure"]):
        result = bootstrap(run, served, carrier, f"big-{carrier}", *secure)
        assert result.status == 0, result.err
        assert result.json()["content"] == content


@pytest.fixture
def watch(served: Gateway) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start watching in a process of its own."""
    processes = []

    def start(carrier: str, external_id: str, *more: str) -> "subprocess.Popen[str]":
        argv = ["bootstrap", external_id, "--over", carrier, "--port", served.port(carrier), "--key", KEY, "--watch", *more]
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", HURRIED, *argv],
            cwd=served.directory,
            env=environment(FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY=ENCRYPT_KEY),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=60)


def following(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    return json.loads(line).get("content")


@pytest.mark.parametrize("secure", [[], ["--secure"]], ids=["plain", "secure"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_each_new_configuration_is_printed(carrier: str, secure: list[str], watch: Any, operate: Run, configure: Run) -> None:
    name = f"watched-{carrier}{len(secure)}"
    configure(name)
    process = watch(carrier, name, *secure)
    assert following(process) is None
    for content in ("one", "two"):
        assert operate("config", "update", f"external:{name}", "--content", content).status == 0
        assert following(process) == content
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


def disable_once_served(served: Gateway, device: str) -> None:
    def operate(*argv: str) -> str:
        env = environment(FIRSTLIGHT_URL=f"http://{served.http}")
        done = subprocess.run([*PROGRAM, *argv], cwd=served.directory, env=env, capture_output=True, timeout=60, check=True)
        return done.stdout.decode()

    while operate("event", "list", "--kind", "bootstrap.succeeded", "--device", device, "--json") == "[]\n":
        pass
    operate("device", "disable", device)


@pytest.mark.parametrize("secure", [[], ["--secure"]], ids=["plain", "secure"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_watching_ends_when_the_device_is_refused(
    carrier: str, secure: list[str], served: Gateway, run: Run, configure: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POLL_SECONDS", "STALE_SECONDS"):
        monkeypatch.setattr(lines, name, 0.2)
    name = f"ended-{carrier}{len(secure)}"
    config = configure(name)
    thread = threading.Thread(target=disable_once_served, args=(served, config["id"]))
    thread.start()
    result = bootstrap(run, served, carrier, name, *secure, "--watch")
    thread.join(60)
    assert (result.status, result.json()["mainflux_id"]) == (1, config["id"])
    assert result.err.startswith("firstlight: failed to get bootstrap configuration for given external key")


def test_the_life_of_a_configuration(operate: Run, configure: Run, file: Callable[..., str]) -> None:
    assert operate("tenant", "create", "Acme", "--id", "acme").status == 0
    assert "acme" in operate("tenant", "list").out
    assert operate("channel", "create", "up", "--id", "life-1").status == 0
    config = configure("life", "--name", "Pump life", "--client-cert", file("CERT\n"))
    assert operate("config", "channels", config["id"], "life-1").status == 0
    assert operate("device", "channels", config["device"], "--json").json() == []
    assert operate("config", "state", "external:life", "active", "--json").json()["active"] is True
    assert [each["id"] for each in operate("device", "channels", config["device"], "--json").json()] == ["life-1"]
    assert operate("config", "certs", "external:life", "--ca-cert", file("CA\n")).status == 0
    shown = operate("config", "show", "external:life", "--json").json()
    assert (shown["client_cert"], shown["ca_cert"], shown["external_key"]) == ("", "CA\n", KEY)
    assert [each["name"] for each in operate("config", "list", "--name", "LIFE", "--json").json()] == ["Pump life"]
    again = operate("config", "create", "life")
    assert (again.status, "check external_id" in again.err) == (1, True)
    assert operate("channel", "remove", "life-1").status == 0
    assert operate("config", "show", config["id"], "--json").json()["channels"] == []
    assert operate("config", "remove", "external:life").status == 0
    assert operate("config", "remove", config["id"]).status == 1
    rotated = operate("device", "rotate", config["device"], "--json").json()["items"]
    assert [each["type"] for each in rotated] == ["client_secret"]
