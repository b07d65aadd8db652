"""Authorities that are not in the gateway: scripts around openssl, and a small server that signs what it is sent."""

import base64
import contextlib
import os
import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from core.crypto.issuance import Authority, serial_of, sign_certificate
from core.crypto.signing_requests import read_request
from core.model import DeviceId
from core.ports import SigningRequest
from tests.core.openssl import openssl
from tests.core.signing import DAY_MS, authority, made

SIGNS = """#!/bin/sh
set -e
cat > "$0.csr"
openssl req -in "$0.csr" -verify -noout 2>/dev/null
openssl x509 -req -in "$0.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$CERTIFICATE_SERIAL" -days "$CERTIFICATE_DAYS" \
  -subj "/CN=$CERTIFICATE_NAME" 2>/dev/null
cat ca.pem
"""


def now() -> int:
    """Return the time of the machine, in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def openssl_authority(folder: Path) -> bytes:
    """Make an authority with openssl, `ca.pem` and `ca.key` in the folder, and return the certificate as PEM."""
    paths = ("-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, *paths, "-days", "30", "-subj", "/CN=Works CA", "-addext", "keyUsage=keyCertSign,cRLSign")
    return (folder / "ca.pem").read_bytes()


def today(**fields: object) -> Authority:
    """Return an authority that is good at this time."""
    return authority(made(begins=now() - DAY_MS, **fields))  # type: ignore[arg-type] # a table of fields


def asked(content: bytes, name: str = "meter-1") -> SigningRequest:
    """Return what is to be signed."""
    read = read_request(content)
    return SigningRequest(
        request=read.der,
        public_key=read.public_key,
        name=name,
        device=DeviceId("d-1"),
        serial=serial_of(os.urandom(20)),
        not_before=now() - 60_000,
        not_after=now() + DAY_MS,
    )


def script(folder: Path, text: str = SIGNS) -> tuple[str, ...]:
    """Write a script and return the command that runs it in its folder."""
    path = folder / "sign.sh"
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return "sh", "-c", 'cd "$(dirname "$0")" && exec "$0"', str(path)


class SigningServer:
    """Signs what it is sent, as its handler says; `requests` are what it was sent."""

    def __init__(self, opened: Authority, answers: Callable[[bytes, web.Request], web.Response]) -> None:
        self.opened = opened
        self.answers = answers
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        body = await request.read()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        return self.answers(body, request)


def signed(opened: Authority, body: bytes, name: str = "meter-1") -> tuple[bytes, ...]:
    """Sign a body, as PEM or base64, and return the certificate with the authority's."""
    return sign_certificate(opened, asked(body, name), ""), *opened.certificates


def est_answer(certificates: tuple[bytes, ...], folder: Path) -> web.Response:
    """Answer as RFC 7030, section 4.2.3 has it."""
    pem = b"".join(openssl("x509", "-inform", "DER", given=each) for each in reversed(certificates))
    (folder / "chain.pem").write_bytes(pem)
    content = openssl("crl2pkcs7", "-nocrl", "-certfile", str(folder / "chain.pem"), "-outform", "DER")
    headers = {"Content-Type": "application/pkcs7-mime; smime-type=certs-only", "Content-Transfer-Encoding": "base64"}
    return web.Response(body=base64.encodebytes(content), headers=headers)


@contextlib.asynccontextmanager
async def serving(server: SigningServer) -> AsyncIterator[str]:
    """Serve on a free port; yields the address."""
    app = web.Application()
    app.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
