"""A real nginx with the example's configuration: other ports, other files, other gateways, and nothing else changed."""

import asyncio
import contextlib
import datetime
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import msgspec

from adapters.tls.founding import found
from tests.brokers.ports import HOST, free_ports
from tests.deploy.units import DEPLOY

EXAMPLE = DEPLOY / "nginx" / "nginx.conf"
PATIENCE_SECONDS = 30.0
AUTHORITY = "authority.pem"
LISTENS = (8443, 8444, 8081, 1883, 8883, 5683, 5684)
_NOBODY = 9  # the discard protocol's port: nobody listens there on a machine of our time


class Nginx(msgspec.Struct, frozen=True):
    """Where it listens, by the ports of the example, and what its certificates are checked with."""

    ports: Mapping[int, int]
    authority: bytes


def written(folder: Path, ports: Mapping[int, int], gateways: Mapping[int, Sequence[int]]) -> Path:
    """Write the configuration for these ports of its own, and these ports of gateways for each of theirs."""
    text = EXAMPLE.read_text("utf-8")
    for example, own in ports.items():
        text = re.sub(rf"\blisten {example}\b", f"listen {HOST}:{own}", text)

    def servers(line: re.Match[str]) -> str:
        return "\n".join(f"server {HOST}:{port}{line[2]};" for port in gateways.get(int(line[1]), (_NOBODY,)))

    text = re.sub(r"server gateway:(\d+)([^;]*);", servers, text)
    text = text.replace("/tmp/", f"{folder}/").replace("/run/secrets/", f"{folder}/")
    file = folder / "nginx.conf"
    # A test's folder is its owner's alone.
    file.write_text("user root;\n" + text, "utf-8")
    return file


@contextlib.asynccontextmanager
async def nginx(folder: Path, gateways: Mapping[int, Sequence[int]]) -> AsyncIterator[Nginx]:
    """Run it before these gateways, with the certificates of the folder."""
    ports = dict(zip(LISTENS, free_ports(len(LISTENS)), strict=True))
    file = written(folder, ports, gateways)
    command = ("nginx", "-c", str(file), "-e", "stderr", "-g", "daemon off;")
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await _listening(process, ports[8081])
        yield Nginx(ports, (folder / AUTHORITY).read_bytes())
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)


def certificates(folder: Path) -> None:
    """Write the server's certificate and its key where the configuration looks, and their authority."""
    pair = found(["localhost", HOST], 1, datetime.datetime.now(datetime.UTC))
    (folder / "server-certificate").write_bytes(pair.certificate)
    (folder / "server-key").write_text(pair.key.reveal())
    (folder / AUTHORITY).write_bytes(pair.authority)


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.returncode is None, "nginx ended"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.01)
