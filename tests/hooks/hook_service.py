"""A service that is asked before devices are let in: it checks signatures, and answers what a test wants."""

import asyncio
import contextlib
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from core.model import ProfileId, Secret, TenantId
from core.ports import HookQuestion

SECRET = "a secret of a hook, ünïcode"
AT = 1_795_228_438_123  # 2026-11-21T02:33:58.123Z
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HookService:
    """Answers as its handler does, once the signature is right; keeps what it was asked."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.arrivals = asyncio.Semaphore(0)  # released for each question

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Check a question, keep it and answer it."""
        body = await request.read()
        given = dict(part.split("=") for part in request.headers["X-Firstlight-Signature"].split(","))
        right = hmac.new(SECRET.encode(), given["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(given["v1"], right):
            return web.json_response({"allow": False, "reason": "the signature is wrong"})
        self.asked.append(msgspec.json.decode(body))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.arrivals.release()
        return await self.handler(request)


def says(content: bytes, **fields: Any) -> Handler:
    """Return a handler that answers this."""

    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, **fields)

    return handler


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[HookService]:
    """Run a service on a free port of this machine."""
    service = HookService(handler)
    application = web.Application()
    application.router.add_post("/ask", service.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/ask"
    try:
        yield service
    finally:
        await runner.cleanup()


async def hang(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


def question(url: str, **fields: Any) -> HookQuestion:
    """Return a question."""
    usual: dict[str, Any] = {
        "url": url,
        "secret": Secret(SECRET),
        "seconds": 5,
        "correlation": "019aa3f2-7c1e-7b6a-9d3e-2f4c8a1b5e60",
        "at": AT,
        "tenant": TenantId("default"),
        "profile": ProfileId("p-1"),
        "profile_name": "meters",
        "dialect": "thingsboard",
        "protocol": "coap",
        "source": "192.0.2.7",
        "secure": True,
        "decision": "create",
        "name": "meter-1",
        "metadata": {"site": "Ulm"},
    }
    return HookQuestion(**usual | fields)
