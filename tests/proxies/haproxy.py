"""A real HAProxy in front of a gateway: a port of its own for each wire, with both versions of the PROXY protocol."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.brokers.ports import HOST, free_ports
from tests.proxies.receivers import PATIENCE_SECONDS

V1 = "send-proxy"
V2 = "send-proxy-v2 proxy-v2-options crc32c,unique-id"
V2_TLS = "send-proxy-v2-ssl-cn"
CHECKS = "check inter 200ms fall 1000"  # a slow machine is no reason to call a gateway dead
_DEFAULTS = """
global
    stats socket {folder}/stats level admin
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 10s
    unique-id-format %{{+X}}o\\ %ci:%cp_%fi:%fp
"""
_STREAM = """
listen {name}
    mode tcp
    bind {host}:{port} {bound}
    server gateway {host}:{behind} {words}
"""
_WEB = """
frontend web
    mode http
    bind {host}:{port}
    bind {host}:{secure} ssl crt {certificate}
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    default_backend gateways
backend gateways
    mode http
    option httpchk GET /healthz
    server gateway {host}:{behind} {checks}
"""


class Haproxy:
    """A running one, and its ports by the names of what is behind them."""

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self._folder = folder
        self.ports = ports

    async def is_up(self) -> bool:
        """Tell whether it answers, which it does once it has all of its ports."""
        try:
            return bool(await self.states())
        except OSError:
            return False

    async def states(self) -> dict[str, tuple[str, str]]:
        """Return of each server whether it is up, and what its last check came to."""
        reader, writer = await asyncio.open_unix_connection(self._folder / "stats")
        writer.write(b"show stat\n")
        lines = (await reader.read()).decode().removeprefix("# ").splitlines()
        writer.close()
        names = lines[0].split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]
        return {row["pxname"]: (row["status"], row["check_status"]) for row in rows if row.get("svname") == "gateway"}


class Stream:
    """A wire that is handed on byte by byte: where it is behind the proxy, what is written in front, and what is bound."""

    def __init__(self, behind: int, words: str, bound: str = "") -> None:
        self.behind = behind
        self.words = words
        self.bound = bound


def _configuration(folder: Path, ports: Mapping[str, int], streams: Mapping[str, Stream], web: tuple[int, Path] | None) -> Path:
    """Write what it is to do into a file."""
    text = _DEFAULTS.format(folder=folder)
    for name, each in streams.items():
        words = f"{each.words} check-send-proxy {CHECKS}"
        text += _STREAM.format(name=name, host=HOST, port=ports[name], bound=each.bound, behind=each.behind, words=words)
    if web is not None:
        behind, certificate = web
        ports_of_web = {"port": ports["web"], "secure": ports["web over TLS"]}
        text += _WEB.format(host=HOST, certificate=certificate, behind=behind, checks=CHECKS, **ports_of_web)
    folder.mkdir(exist_ok=True)
    file = folder / "haproxy.cfg"
    file.write_text(text)
    return file


@contextlib.asynccontextmanager
async def haproxy(folder: Path, streams: Mapping[str, Stream], web: tuple[int, Path] | None = None) -> AsyncIterator[Haproxy]:
    """Run one in this folder; `web` is where HTTP is behind it, and the certificate that it shows with its key."""
    names = (*streams, "web", "web over TLS")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    file, proxy = _configuration(folder, ports, streams, web), Haproxy(folder, ports)
    with (folder / "haproxy.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec("haproxy", "-db", "-f", str(file), stdout=log, stderr=log)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await proxy.is_up():
                assert process.returncode is None, (folder / "haproxy.log").read_text()
                await asyncio.sleep(0.02)
        yield proxy
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
