"""A real RabbitMQ node of our own: `deploy/brokers/rabbitmq.conf` as it is but for addresses and secrets, loopback alone."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.brokers.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in PATH is for root and writes beside the system's own node
INSTALLED = DEBIAN.exists() and shutil.which("epmd") is not None
PLUGINS = ("rabbitmq_mqtt", "rabbitmq_auth_backend_http", "rabbitmq_management")
SECRET = "the-secret-between-the-broker-and-the-gateway"
USER, PASSWORD = "gateway", "the-password-of-the-gateway"
START_SECONDS = 120
STOP_SECONDS = 30


class RabbitMq(NamedTuple):
    """A running node, and the port of the gateway that it asks."""

    mqtt: int
    management: int
    gateway: int
    log: Path

    @property
    def api(self) -> str:
        return f"http://{USER}@127.0.0.1:{self.management}"

    def settings(self) -> dict[str, str | None]:
        """Return what a gateway needs to be the one that is asked."""
        return {
            "HTTP": f"127.0.0.1:{self.gateway}",
            "BROKER_SECRET": SECRET,
            "RABBITMQ_API": self.api,
            "RABBITMQ_PASSWORD": PASSWORD,
        }


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[RabbitMq]:
    """Run a node in this folder until the end. It takes some ten seconds to start, most of them spent waiting for a cluster."""
    mqtt, management, gateway, amqp, distribution, names = free_ports(6)
    node = RabbitMq(mqtt, management, gateway, folder / "node.log")
    configuration = folder / "rabbitmq.conf"
    configuration.write_text(configured(node, amqp))
    plugins = folder / "plugins"
    plugins.write_text(f"[{','.join(PLUGINS)}].\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),  # where the cookie is
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_NODENAME": f"firstlight{distribution}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}",
        "detached": "1",  # the script becomes the node instead of waiting for it
    }
    # A node starts the daemon that knows its name, and leaves it behind, unless there is one.
    with (
        running(["epmd", "-port", str(names), "-address", "127.0.0.1"], environment, folder / "epmd.log"),
        running([str(DEBIAN)], environment, node.log, gently=False) as process,
    ):
        deadline = time.monotonic() + START_SECONDS
        while "Server startup complete" not in node.log.read_text(errors="replace"):
            assert process.poll() is None, node.log.read_text(errors="replace")
            assert time.monotonic() < deadline, node.log.read_text(errors="replace")
            time.sleep(0.05)
        yield node


def configured(node: RabbitMq, amqp: int) -> str:
    """Return the example that operators copy with the addresses and secrets of a test in it."""
    text = (ROOT / "deploy" / "brokers" / "rabbitmq.conf").read_text()
    for written, meant in (
        ("//127.0.0.1:8080/", f"//127.0.0.1:{node.gateway}/"),
        ("0.0.0.0:1883", f"127.0.0.1:{node.mqtt}"),
        ("127.0.0.1:5672", f"127.0.0.1:{amqp}"),
        ("port = 15672", f"port = {node.management}"),
        ("replace-with-the-broker-secret", SECRET),
        ("replace-with-the-password-of-gateway", PASSWORD),
    ):
        assert written in text
        text = text.replace(written, meant)
    return text


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path, *, gently: bool = True
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the end, and wait until it is gone. A node has nothing to keep, and takes six seconds to keep it."""
    with log.open("wb") as written, subprocess.Popen(command, env=environment, stdout=written, stderr=written) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM if gently else signal.SIGKILL)
            process.wait(STOP_SECONDS)
