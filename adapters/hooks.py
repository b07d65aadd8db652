"""The services that operators have asked before devices are let in, over HTTPS."""

import asyncio
import contextlib
import hashlib
import hmac
import random
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import msgspec
import structlog

from adapters.dialects.moments import rfc3339
from core.addresses import host_of, is_hook_address
from core.errors import Refusal
from core.hooking import AGAIN_SECONDS, no_answer
from core.model import DeviceId, ProfileId, Secret, TenantId
from core.ports import HookAnswer, HookQuestion

ANSWER_BYTES: Final = 65_536
SIGNATURE: Final = "X-Firstlight-Signature"

_JSON: Final = "application/json"
_TRIES: Final = 2  # a connection that was kept may have been closed at the other end just now


class HookMeter(Protocol):
    """Counts what hooks say."""

    def hook(self, outcome: str, seconds: float) -> None:
        """Count one question and the time it took: `allowed`, `refused`, or how there came to be no answer."""
        ...


class HookBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many questions may be under way at once: in all, and to one host, so that a slow one holds up no other."""

    at_once: int = 256
    at_once_each: int = 64


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, in this order."""

    correlation: str
    at: str
    tenant: TenantId
    profile: ProfileId
    profile_name: str
    decision: str
    name: str
    serial: str
    device: DeviceId | None
    metadata: dict[str, Any]
    dialect: str
    protocol: str
    secure: bool
    source: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may come back: a misspelt member is told, and not taken for one that was left out."""

    allow: bool
    reason: str = ""
    name: str | None = None
    profile: str | None = None
    channels: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None


class WebHooks:
    """Satisfies `core.ports.Hooks`.

    A question is POSTed as JSON, with the header `X-Firstlight-Signature: t=TIME,v1=MAC`: the seconds since the Unix epoch,
    and HMAC-SHA-256 in hex, under the hook's secret, over these digits, a full stop and the body. The answer is JSON of at most
    64 KiB under a status of 2xx. No redirect is followed, no cookie kept, no proxy asked. `trust` are the roots that vouch for
    the services, None: those of the machine.
    """

    def __init__(self, meter: HookMeter, trust: Path | None = None, bounds: HookBounds | None = None) -> None:
        self._meter = meter
        self._trusted = None if trust is None else ssl.create_default_context(cafile=trust)
        self._bounds = bounds or HookBounds()
        self._under_way: Counter[str] = Counter()
        self._session: aiohttp.ClientSession | None = None
        self._log = structlog.get_logger("firstlight.hooks")

    async def ask(self, question: HookQuestion) -> HookAnswer:
        """Ask a service. Raises `Refusal` UNAVAILABLE."""
        started = time.perf_counter()
        outcome = "unreachable"  # what it comes to when the gateway is stopped before there is an answer
        try:
            with self._slot(host_of(question.url)):
                answer = await self._asked(question)
            outcome = "allowed" if answer.allow else "refused"
            return answer
        except Refusal as refusal:
            outcome = refusal.check.removeprefix("hook.")
            self._log.warning(
                "a hook did not answer", correlation=question.correlation, check=refusal.check, fault=refusal.aside
            )
            raise
        finally:
            self._meter.hook(outcome, time.perf_counter() - started)

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @contextlib.contextmanager
    def _slot(self, name: str) -> Iterator[None]:
        if self._under_way.total() >= self._bounds.at_once or self._under_way[name] >= self._bounds.at_once_each:
            raise _no_answer(f"{name}: too many questions are under way", check="hook.busy")
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            self._under_way += Counter()  # forgets those that have none

    async def _asked(self, question: HookQuestion) -> HookAnswer:
        name = host_of(question.url)
        if not is_hook_address(question.url):
            raise _no_answer(f"{name}: neither https nor this machine", check="hook.unreachable")
        try:
            async with asyncio.timeout(question.seconds):
                content = await self._post(question, name)
        except TimeoutError as error:
            raise _no_answer(f"{name}: no answer within {question.seconds} seconds", check="hook.slow") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _no_answer(f"{name}: {str(error) or type(error).__name__}", check="hook.unreachable") from error
        return _read(content, name)

    async def _post(self, question: HookQuestion, name: str) -> bytes:
        body = _body(question)
        headers = {
            "Content-Type": _JSON,
            "Accept": _JSON,
            "Accept-Encoding": "identity",
            SIGNATURE: signature(question.secret, question.at // 1000, body),
        }
        for left in reversed(range(_TRIES)):
            try:
                async with self._opened().post(question.url, data=body, headers=headers, allow_redirects=False) as answer:
                    return await _bounded(answer, name)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                if not left:
                    raise
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, which can only be made where a loop runs."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._bounds.at_once, ssl=self._trusted or ssl.create_default_context()),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )
        return self._session


def signature(secret: Secret, seconds: int, body: bytes) -> str:
    """Return the value of the header by which a service knows that a question is this gateway's, and when it was put."""
    mac = hmac.digest(secret.reveal().encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={mac.hex()}"


def _body(question: HookQuestion) -> bytes:
    fields = {name: getattr(question, name) for name in _Question.__struct_fields__ if name != "at"}
    return msgspec.json.encode(_Question(at=rfc3339(question.at), **fields))


async def _bounded(answer: aiohttp.ClientResponse, name: str) -> bytes:
    """Return what a service answered. Raises `Refusal` UNAVAILABLE where it is none, or too much."""
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _no_answer(f"{name}: it answered with status {answer.status}", check="hook.status")
    content = b""
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > ANSWER_BYTES:
            raise _no_answer(f"{name}: it answered more than {ANSWER_BYTES} bytes", check="hook.too_large")
    return content


def _read(content: bytes, name: str) -> HookAnswer:
    try:
        said = msgspec.json.decode(content, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_answer(f"{name}: {error}", check="hook.unreadable") from error
    return HookAnswer(**{field: getattr(said, field) for field in said.__struct_fields__})


def _no_answer(aside: str, *, check: str) -> Refusal:
    """Make a refusal with a hint that is another for each device, so that they do not all come back at once."""
    return no_answer(aside, check=check, retry_after=random.uniform(0.5, 1.5) * AGAIN_SECONDS)  # noqa: S311 - no secret
