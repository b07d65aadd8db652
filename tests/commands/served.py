"""A gateway that runs: a process of its own, its own directory, sockets of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROGRAM = [sys.executable, "-P", "-m", "adapters"]
ROOT = Path(__file__).parents[2]
ENCRYPT_KEY = "a-key-that-all-devices-share-001"


class Gateway(NamedTuple):
    directory: Path
    http: str
    coap: str
    mqtt: str

    def port(self, carrier: str) -> str:
        return str(getattr(self, carrier)).rpartition(":")[2]


def environment(**more: str) -> dict[str, str]:
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    return {**foreign, "PYTHONPATH": str(ROOT), **more}


def serve(directory: Path) -> Iterator[Gateway]:
    """Run a gateway in this directory for as long as the generator is not resumed."""
    settings = {f"FIRSTLIGHT_{name}": "127.0.0.1:0" for name in ("HTTP", "COAP", "MQTT")}
    process = subprocess.Popen(
        [*PROGRAM, "serve"],
        cwd=directory,
        env=environment(
            **settings, FIRSTLIGHT_LOG_FORMAT="json", FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY=ENCRYPT_KEY, PYTHONUNBUFFERED="1"
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"listening"' in line:
            break
    assert lines, "the gateway said nothing"
    assert '"listening"' in lines[-1], "".join(lines)
    listening = json.loads(lines[-1])
    yield Gateway(directory, listening["http"], listening["coap"], listening["mqtt"])
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
