"""An authority that is a command: it gets a request on its standard input and writes certificates to its standard output."""

import asyncio
import base64
import contextlib
import datetime
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, cast

from adapters.authorities.asking import Asking
from adapters.authorities.config import AuthorityConfig
from adapters.exchange import Meter
from core.ports import SigningRequest

_SAID_BYTES: Final = 4_096
_CHUNK_BYTES: Final = 65_536
_REAP_SECONDS: Final = 5.0
_DAY_MS: Final = 86_400_000
_OWN: Final = "FIRSTLIGHT_"


class CommandAuthority:
    """Satisfies `core.ports.CertificateAuthority`. No shell runs the command.

    It gets the request as PEM, and in its environment `CERTIFICATE_NAME` (the common name), `CERTIFICATE_DEVICE` (the id),
    `CERTIFICATE_DAYS` (rounded up), `CERTIFICATE_NOT_AFTER` (`YYYYMMDDHHMMSSZ`) and `CERTIFICATE_SERIAL` (hex). The subject
    of the request is what the device wrote there, and not to be trusted. It writes PEM, the new certificate and those behind
    it. Where it ends with another status than 0, takes too long or writes too much, the device is told to try again.
    """

    def __init__(self, command: tuple[str, ...], authorities: tuple[bytes, ...], bounds: AuthorityConfig, meter: Meter) -> None:
        self._command = command
        self._authorities = authorities
        self._asking = Asking(bounds, meter, "the certificate command failed")

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """Return the certificates that what the command makes is checked by."""
        return self._authorities

    async def sign(self, request: SigningRequest) -> tuple[bytes, ...]:
        """Return a certificate and those behind it. Raises `Refusal` UNAVAILABLE."""
        return await self._asking.chain(request, self._ask)

    async def _ask(self, request: SigningRequest) -> bytes:
        answer, said, status = await self._run(request)
        self._asking.require_short(len(answer))
        if status:
            said_of_it = said.decode("utf-8", "replace")
            raise ValueError(f"it ended with status {status}: {said_of_it}")
        return answer

    async def _run(self, request: SigningRequest) -> tuple[bytes, bytes, int]:
        """Return what the command wrote, a byte more than it may at most, what it said, and its status. Raises `OSError`."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment(request, os.environ), start_new_session=True
        )
        try:
            async with asyncio.timeout(self._asking.bounds.seconds):
                _, answer, said = await asyncio.gather(
                    _feed(cast(asyncio.StreamWriter, process.stdin), _pem(request.request)),
                    _read(process.stdout, self._asking.bounds.answer_bytes + 1, full=partial(_kill, process)),
                    _read(process.stderr, _SAID_BYTES),
                )
                status = await process.wait()
        except BaseException:
            _kill(process)
            await _reap(process)
            raise
        return answer, said, status


def _environment(request: SigningRequest, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the gateway's own settings, and with what the certificate is to say."""
    ends = datetime.datetime.fromtimestamp(request.not_after // 1000, datetime.UTC)
    return {name: value for name, value in given.items() if not name.startswith(_OWN)} | {
        "CERTIFICATE_NAME": request.name,
        "CERTIFICATE_DEVICE": request.device,
        "CERTIFICATE_DAYS": str(-(-(request.not_after - request.not_before) // _DAY_MS)),
        "CERTIFICATE_NOT_AFTER": f"{ends:%Y%m%d%H%M%SZ}",
        "CERTIFICATE_SERIAL": f"{request.serial:x}",
    }


def _pem(request: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(request) + b"-----END CERTIFICATE REQUEST-----\n"


async def _feed(stream: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # a command need not read all of it
        stream.write(content)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _read(stream: asyncio.StreamReader | None, most: int, full: Callable[[], None] | None = None) -> bytes:
    """Read to the end and keep the beginning; `full` is called once there is more than is kept."""
    content = b""
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        if full is not None and len(content) < most <= len(content) + len(chunk):
            full()
        content += chunk[: most - len(content)]
    return content


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a command and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Wait until nothing is left of a command that was killed: as long as its pipes are full, its end is not seen."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REAP_SECONDS):
            await asyncio.gather(_read(process.stdout, 0), _read(process.stderr, 0), process.wait())
