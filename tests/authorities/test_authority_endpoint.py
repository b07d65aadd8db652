"""An authority behind an address: as EST has it and as others do, and servers that answer something else."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from adapters.authorities.config import AuthorityConfig
from adapters.authorities.endpoint import EndpointAuthority
from core.crypto.bundles import write_pem
from core.crypto.issuance import check_issued
from core.errors import Reason, Refusal
from core.model import Secret
from tests.authorities.elsewhere import SigningServer, asked, est_answer, now, serving, signed, today
from tests.core.openssl import request
from tests.exchange.stand_in import RememberingMeter


@pytest.fixture(scope="module")
def csr(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A device's request."""
    return request(tmp_path_factory.mktemp("device"))


def client(
    server: SigningServer, url: str, password: str = "", meter: RememberingMeter | None = None, **bounds: object
) -> EndpointAuthority:
    config = AuthorityConfig(**bounds)  # type: ignore[arg-type] # a table of bounds
    secret = Secret(password) if password else None
    return EndpointAuthority(url, secret, None, server.opened.certificates, config, meter or RememberingMeter())


async def test_est_is_spoken(csr: bytes, tmp_path: Path) -> None:
    opened = today()
    server = SigningServer(opened, lambda body, _: est_answer(signed(opened, body), tmp_path))
    async with serving(server) as url:
        wanted = asked(csr)
        address = url.replace("://", "://user%40works@") + "/.well-known/est/simpleenroll"
        authority = client(server, address, "pass word")
        chain = await authority.sign(wanted)
    assert check_issued(chain, authority.authorities, wanted, now())
    assert base64.b64decode(server.bodies[0]) == wanted.request
    assert server.headers[0]["Content-Type"] == "application/pkcs10"
    assert server.headers[0]["Content-Transfer-Encoding"] == "base64"
    assert server.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"user@works:pass word").decode()


@pytest.mark.parametrize(
    "form",
    [
        lambda chain: write_pem(chain).encode(),
        lambda chain: write_pem(reversed(chain)).encode(),
        lambda chain: chain[0],
        lambda chain: base64.b64encode(chain[0]),
    ],
)
async def test_others_take_pem_and_answer_in_any_form(csr: bytes, form: Callable[[tuple[bytes, ...]], bytes]) -> None:
    opened = today()
    server = SigningServer(opened, lambda body, _: web.Response(status=201, body=form(signed(opened, body))))
    async with serving(server) as url:
        wanted = asked(csr)
        authority = client(server, f"{url}/sign", "a token")
        chain = await authority.sign(wanted)
    assert check_issued(chain, authority.authorities, wanted, now())
    assert server.bodies[0].startswith(b"-----BEGIN CERTIFICATE REQUEST-----\n")
    assert server.headers[0]["Authorization"] == "Bearer a token"


async def test_without_a_password_nothing_is_proved(csr: bytes) -> None:
    opened = today()
    server = SigningServer(opened, lambda body, _: web.Response(body=signed(opened, body)[0]))
    async with serving(server) as url:
        await client(server, url).sign(asked(csr))
        await client(server, url.replace("://", "://user@")).sign(asked(csr))
    assert "Authorization" not in server.headers[0]
    assert server.headers[1]["Authorization"] == "Basic " + base64.b64encode(b"user:").decode()


@pytest.mark.parametrize(
    ("answer", "reason", "check", "retry_after"),
    [
        (web.Response(status=400), Reason.FORBIDDEN, "issuing.authority_refused", None),
        (web.Response(status=403), Reason.FORBIDDEN, "issuing.authority_refused", None),
        (web.Response(status=401), Reason.UNAVAILABLE, "issuing.authority", 30.0),
        (web.Response(status=202, headers={"Retry-After": "120"}), Reason.UNAVAILABLE, "issuing.authority", 120.0),
        (web.Response(status=503, headers={"Retry-After": "9" * 20}), Reason.UNAVAILABLE, "issuing.authority", 3_600.0),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), Reason.UNAVAILABLE, "issuing.authority", 30.0),
        (web.Response(body=b"nothing"), Reason.UNAVAILABLE, "issuing.answer", 30.0),
        (web.Response(body=b"\x30\x03\x02\x01\x00"), Reason.UNAVAILABLE, "issuing.answer", 30.0),
        (web.Response(body=b"AAA"), Reason.UNAVAILABLE, "issuing.answer", 30.0),
        (web.Response(body=b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n"), Reason.UNAVAILABLE, "issuing.answer", 30.0),
        (web.Response(body=bytes.fromhex("300b06092a864886f70d010701")), Reason.UNAVAILABLE, "issuing.answer", 30.0),
        (web.Response(body=b"x" * 100_000), Reason.UNAVAILABLE, "issuing.authority", 30.0),
    ],
)
async def test_any_other_answer_is_refused(
    csr: bytes, answer: web.Response, reason: Reason, check: str, retry_after: float | None
) -> None:
    meter, server = RememberingMeter(), SigningServer(today(), lambda _body, _request: answer)
    async with serving(server) as url:
        with pytest.raises(Refusal) as caught:
            await client(server, url, meter=meter).sign(asked(csr))
    assert (caught.value.reason, caught.value.check, caught.value.retry_after) == (reason, check, retry_after)
    assert len(server.bodies) == 1
    assert meter.bounds == (["authority.answer_bytes"] if isinstance(answer.body, bytes) and len(answer.body) > 65_536 else [])


async def test_a_server_that_is_not_there_or_too_slow_is_refused(csr: bytes) -> None:
    gone = SigningServer(today(), lambda _body, _request: web.Response())
    async with serving(gone) as url:
        pass
    with pytest.raises(Refusal) as caught:
        await client(gone, url).sign(asked(csr))
    assert caught.value.check == "issuing.authority"
    held = asyncio.Event()

    class Slow(SigningServer):
        async def handle(self, request: web.Request) -> web.Response:
            await held.wait()
            return web.Response()

    slow = Slow(today(), gone.answers)
    async with serving(slow) as url:
        meter = RememberingMeter()
        authority = client(slow, url, meter=meter, seconds=0.2, at_once=1)
        waiting = asyncio.create_task(authority.sign(asked(csr)))
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as busy:
            await authority.sign(asked(csr))
        with pytest.raises(Refusal) as late:
            await waiting
        held.set()
    assert (busy.value.check, late.value.check) == ("issuing.busy", "issuing.authority")
    assert meter.bounds == ["authority.at_once", "authority.seconds"]
