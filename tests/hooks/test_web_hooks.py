import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from adapters.hooks import ANSWER_BYTES, HookBounds, WebHooks, signature
from adapters.metrics import PrometheusMeter
from core.errors import Reason, Refusal
from core.model import DeviceId, Secret
from core.ports import HookAnswer
from tests.core.openssl import openssl
from tests.hooks.hook_service import hang, question, says, serving


class Counted:
    """Keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def hook(self, outcome: str, seconds: float) -> None:
        """Keep one."""
        assert seconds >= 0
        self.outcomes.append(outcome)


@contextlib.asynccontextmanager
async def opened(trust: Path | None = None, bounds: HookBounds | None = None) -> AsyncIterator[tuple[WebHooks, Counted]]:
    meter = Counted()
    hooks = WebHooks(meter, trust, bounds)
    try:
        yield hooks, meter
    finally:
        await hooks.close()


async def refused(hooks: WebHooks, url: str, **fields: object) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        async with asyncio.timeout(30):
            await hooks.ask(question(url, **fields))
    assert refusal.value.reason is Reason.UNAVAILABLE
    assert 5.0 <= (refusal.value.retry_after or 0.0) <= 15.0
    assert "127.0.0.1" not in refusal.value.detail
    return refusal.value


async def test_a_question_is_signed_and_answered() -> None:
    async with serving(says(b'{"allow": true}')) as service, opened() as (hooks, meter):
        assert await hooks.ask(question(service.url)) == HookAnswer(allow=True)
        known = question(service.url, device=DeviceId("d-1"), serial="SN-1", decision="rotate")
        assert await hooks.ask(known) == HookAnswer(allow=True)
    assert service.asked[0] == {
        "correlation": "019aa3f2-7c1e-7b6a-9d3e-2f4c8a1b5e60",
        "at": "2026-11-21T02:33:58.123Z",
        "tenant": "default",
        "profile": "p-1",
        "profile_name": "meters",
        "decision": "create",
        "name": "meter-1",
        "serial": "",
        "device": None,
        "metadata": {"site": "Ulm"},
        "dialect": "thingsboard",
        "protocol": "coap",
        "secure": True,
        "source": "192.0.2.7",
    }
    assert (service.asked[1]["device"], service.asked[1]["serial"], service.asked[1]["decision"]) == ("d-1", "SN-1", "rotate")
    assert service.headers[0]["content-type"] == "application/json"
    assert service.headers[0]["x-firstlight-signature"].startswith("t=1795228438,v1=")
    assert meter.outcomes == ["allowed", "allowed"]


async def test_a_wrong_secret_makes_a_wrong_signature() -> None:
    async with serving(says(b'{"allow": true}')) as service, opened() as (hooks, meter):
        answer = await hooks.ask(question(service.url, secret=Secret("another")))
    assert answer == HookAnswer(allow=False, reason="the signature is wrong")
    assert meter.outcomes == ["refused"]


def test_openssl_makes_the_same_signature(tmp_path: Path) -> None:
    signed = tmp_path / "signed"
    signed.write_bytes(b'1795228438.{"allow": true}')
    said = openssl("dgst", "-sha256", "-hmac", "a secret", "-r", str(signed))
    mac = (said if isinstance(said, str) else said.decode()).split()[0]
    assert signature(Secret("a secret"), 1_795_228_438, b'{"allow": true}') == f"t=1795228438,v1={mac}"


async def test_everything_that_may_be_said_is_read() -> None:
    said = b'{"allow": true, "name": "pump 7", "profile": "pumps", "channels": ["c-1"], "metadata": {"a": [1]}, "reason": "x"}'
    async with serving(says(said, status=201)) as service, opened() as (hooks, _):
        assert await hooks.ask(question(service.url)) == HookAnswer(
            allow=True, reason="x", name="pump 7", profile="pumps", channels=("c-1",), metadata={"a": [1]}
        )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"yes",
        b"true",
        b"[]",
        b"{}",
        b'{"allow": "true"}',
        b'{"allow": 1}',
        b'{"allow": null}',
        b'{"allow": true, "naem": "x"}',
        b'{"allow": true, "channels": "c-1"}',
        b'{"allow": true, "channels": [1]}',
        b'{"allow": true, "metadata": []}',
        b'{"allow": true, "name": 7}',
        b'{"allow": true, "name": "\\ud800"}',
        b'{"allow": true, "name": "\xff"}',
        b'{"allow": true} trailing',
        b'{"allow": true, "metadata": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        gzip.compress(b'{"allow": true}', mtime=0),
    ],
)
async def test_what_is_no_answer_lets_nobody_in(content: bytes) -> None:
    async with serving(says(content)) as service, opened() as (hooks, meter):
        refusal = await refused(hooks, service.url)
    assert refusal.check == "hook.unreadable"
    assert refusal.aside.startswith("127.0.0.1:")
    assert meter.outcomes == ["unreadable"]


async def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"allow": true}' + b" " * 10_000_000)
    async with serving(says(packed, headers={"Content-Encoding": "gzip"})) as service, opened() as (hooks, _):
        assert (await refused(hooks, service.url)).check == "hook.unreadable"
    assert service.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [204, 302, 307, 400, 401, 403, 404, 429, 500, 503])
async def test_another_status_is_no_answer(status: int) -> None:
    async with serving(says(b'{"allow": true}')) as elsewhere:
        handler = says(b'{"allow": true}' if status != 204 else b"", status=status, headers={"Location": elsewhere.url})
        async with serving(handler) as service, opened() as (hooks, meter):
            refusal = await refused(hooks, service.url)
    assert refusal.check == ("hook.unreadable" if status == 204 else "hook.status")
    assert meter.outcomes == [refusal.check.removeprefix("hook.")]
    assert elsewhere.asked == []


async def test_too_much_is_no_answer() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b" " * 8_192)
        return response

    largest = b'{"allow": true}' + b" " * (ANSWER_BYTES - 15)
    async with opened() as (hooks, meter):
        async with serving(says(largest)) as service:
            assert (await hooks.ask(question(service.url))).allow
        for handler in (says(largest + b" "), endless):
            async with serving(handler) as service:
                assert (await refused(hooks, service.url)).check == "hook.too_large"
    assert meter.outcomes == ["allowed", "too_large", "too_large"]


async def test_who_does_not_answer_in_time_keeps_the_device_out() -> None:
    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"allow"')
        return await hang(request)

    async with opened() as (hooks, meter):
        for handler in (hang, drips):
            async with serving(handler) as service:
                refusal = await refused(hooks, service.url, seconds=1)
            assert (refusal.check, refusal.aside.partition(": ")[2]) == ("hook.slow", "no answer within 1 seconds")
    assert meter.outcomes == ["slow", "slow"]


async def test_who_is_not_there_keeps_the_device_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with opened() as (hooks, meter):
        assert (await refused(hooks, f"http://127.0.0.1:{port}/")).check == "hook.unreachable"
        assert (await refused(hooks, "http://hooks.example.net/")).aside == "hooks.example.net: neither https nor this machine"
    assert meter.outcomes == ["unreachable"] * 2


async def test_who_hangs_up_keeps_the_device_out_and_is_asked_once_more() -> None:
    tries: list[None] = []

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(None)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server, opened() as (hooks, _):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert (await refused(hooks, url)).check == "hook.unreachable"
    assert len(tries) == 2


async def test_what_is_no_http_keeps_the_device_out() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.net ESMTP\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server, opened() as (hooks, _):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert (await refused(hooks, url)).check == "hook.unreachable"


async def test_a_slow_service_does_not_hold_up_others() -> None:
    async with (
        serving(hang) as slow,
        serving(says(b'{"allow": true}')) as quick,
        opened(bounds=HookBounds(at_once=3, at_once_each=2)) as (hooks, meter),
    ):
        waiting = [asyncio.create_task(hooks.ask(question(slow.url, seconds=10))) for _ in range(2)]
        for _ in waiting:
            await slow.arrivals.acquire()
        assert (await refused(hooks, slow.url)).check == "hook.busy"
        assert (await hooks.ask(question(quick.url))).allow
        third = asyncio.create_task(hooks.ask(question(quick.url)))
        assert (await third).allow
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert meter.outcomes == ["busy", "allowed", "allowed", "unreachable", "unreachable"]
        assert (await hooks.ask(question(quick.url))).allow
    async with serving(hang) as slow, opened(bounds=HookBounds(at_once=1)) as (hooks, _):
        first = asyncio.create_task(hooks.ask(question(slow.url, seconds=1)))
        await slow.arrivals.acquire()
        assert (await refused(hooks, "http://localhost:1/")).check == "hook.busy"
        with pytest.raises(Refusal):
            await first


async def test_a_service_behind_tls_has_to_be_vouched_for(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=hooks", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-keyout", str(key), "-out", str(certificate), *subject)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with serving(says(b'{"allow": true}'), tls) as service:
        async with opened(certificate) as (hooks, _):
            assert (await hooks.ask(question(service.url))).allow
            mistaken = service.url.replace("127.0.0.1", "localhost")
            assert (await refused(hooks, mistaken)).check == "hook.unreachable"
        async with opened() as (hooks, _):
            assert (await refused(hooks, service.url)).check == "hook.unreachable"
    assert len(service.asked) == 1


async def test_cookies_are_not_kept_and_connections_are() -> None:
    ports: set[int] = set()

    async def sets_a_cookie(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        response = web.json_response({"allow": True})
        response.set_cookie("session", "1")
        return response

    async with serving(sets_a_cookie) as service, opened() as (hooks, _):
        for _ in range(3):
            await hooks.ask(question(service.url))
    assert all("cookie" not in headers for headers in service.headers)
    assert len(ports) == 1


def test_outcomes_are_figures() -> None:
    meter = PrometheusMeter()
    meter.hook("allowed", 0.02)
    meter.hook("allowed", 0.03)
    meter.hook("slow", 5.0)
    text = meter.exposition().decode()
    assert 'firstlight_hook_seconds_count{outcome="allowed"} 2.0' in text
    assert 'firstlight_hook_seconds_count{outcome="slow"} 1.0' in text
