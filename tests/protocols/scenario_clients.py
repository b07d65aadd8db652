"""What the scenarios are played with over HTTP and CoAP: clients that nobody here wrote, brought to one form."""

import abc
import asyncio
import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple, Protocol

import aiocoap
import aiohttp

from adapters.listeners import Listening

PATIENCE_SECONDS = 30.0
PROVISION = "/api/v1/provision"
COAP_CLIENT = "coap-client-notls"
_FORMATS = {0: "text/plain", 50: "application/json"}


class Reply(NamedTuple):
    """What came back: the protocol's own words on the outcome and the form of the body, and the body."""

    said: str
    body: bytes = b""


class Login(NamedTuple):
    """What a device presents: a token in a path, or the fields of an MQTT CONNECT."""

    token: str = ""
    client_id: str = ""
    username: str = ""
    password: str = ""


class Client(Protocol):
    """A device as the scenarios need it. `speaks` is http, coap, mqtt3 or mqtt5."""

    speaks: str

    async def provision(self, where: Listening, body: bytes) -> Reply: ...

    async def report(self, where: Listening, login: Login, what: str, body: bytes) -> Reply:
        """Send `telemetry` or `attributes` with these credentials."""
        ...

    async def read_attributes(self, where: Listening, login: Login) -> Reply: ...


class PathClient(abc.ABC):
    """HTTP and CoAP have one way: a method on a path."""

    speaks: str

    @abc.abstractmethod
    async def ask(self, where: Listening, method: str, path: str, body: bytes = b"") -> Reply:
        """Send a request and return its answer."""

    async def provision(self, where: Listening, body: bytes) -> Reply:
        return await self.ask(where, "POST", PROVISION, body)

    async def report(self, where: Listening, login: Login, what: str, body: bytes) -> Reply:
        return await self.ask(where, "POST", f"/api/v1/{login.token}/{what}", body)

    async def read_attributes(self, where: Listening, login: Login) -> Reply:
        return await self.ask(where, "GET", f"/api/v1/{login.token}/attributes")


class Aiohttp(PathClient):
    speaks = "http"

    async def ask(self, where: Listening, method: str, path: str, body: bytes = b"") -> Reply:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{where.http[0]}{path}", data=io.BytesIO(body)) as response,
        ):
            return Reply(f"{response.status} {response.headers.get('Content-Type', '')}".strip(), await response.read())


class Curl(PathClient):
    speaks = "http"

    async def ask(self, where: Listening, method: str, path: str, body: bytes = b"") -> Reply:
        options = ["-X", method, "-w", r"\n%{http_code} %{content_type}"]
        with written(body) as file:
            data = ["--data-binary", f"@{file}"] if method == "POST" else []
            output = await run("curl", "-sS", *options, *data, f"http://{where.http[0]}{path}")
        body, _, said = output.rpartition(b"\n")
        return Reply(said.decode().strip(), body)


class Aiocoap(PathClient):
    speaks = "coap"

    async def ask(self, where: Listening, method: str, path: str, body: bytes = b"") -> Reply:
        context = await aiocoap.Context.create_client_context(transports=["simple6"])
        try:
            code = getattr(aiocoap, method)
            request = aiocoap.Message(code=code, uri=f"coap://{where.coap[0]}{path}", payload=body)
            response = await context.request(request).response
        finally:
            await context.shutdown()
        content_format = response.opt.content_format
        media = "" if content_format is None else _FORMATS[int(content_format)]
        return Reply(f"{response.code.dotted} {media}".strip(), response.payload)


class Libcoap(PathClient):
    """Debian's `coap-client`. It ends with status 0 whatever comes back, so its account of the messages is read."""

    speaks = "coap"
    _RESPONSE = re.compile(r"^v:1 t:(?:ACK|CON|NON) c:([245]\.\d\d) .*?\[(.*?)\]", re.MULTILINE)
    _FORMAT = re.compile(r"Content-Format:([\w/]+)")

    async def ask(self, where: Listening, method: str, path: str, body: bytes = b"") -> Reply:
        with written(body) as file, written(b"") as answer:
            content = ["-f", file] if body else []
            out = await run(
                COAP_CLIENT,
                "-v",
                "6",
                "-B",
                "10",
                "-m",
                method.lower(),
                *content,
                "-o",
                answer,
                f"coap://{where.coap[0]}{path}",
            )
            granted = await asyncio.to_thread(Path(answer).read_bytes)
        account = out.decode(errors="replace")
        final = [found for found in self._RESPONSE.findall(account) if found[0] != "2.31"]
        if not final:
            return Reply("silence")
        code, options = final[-1]
        media = self._FORMAT.search(options)
        body = granted if code.startswith("2") else self._error_body(code, account)
        return Reply(f"{code} {media[1] if media else ''}".strip(), body)

    def _error_body(self, code: str, account: str) -> bytes:
        """Return what is printed behind the code of an error, or its bytes in hex where they are no text."""
        if binary := re.search(r"binary data length \d+\n<<([0-9a-f]+)>>", account.rpartition(f"c:{code}")[2]):
            return bytes.fromhex(binary[1])
        text = re.search(rf"^{re.escape(code)} (.+)$", account, re.MULTILINE)
        return text[1].encode() if text else b""


class written:  # noqa: N801 - used as a function
    """A file that holds these bytes, for a program to read; gone afterwards."""

    def __init__(self, content: bytes) -> None:
        descriptor, self._path = tempfile.mkstemp()
        os.write(descriptor, content)
        os.close(descriptor)

    def __enter__(self) -> str:
        return self._path

    def __exit__(self, *_: object) -> None:
        os.unlink(self._path)


async def run(*command: str, until: bytes = b"") -> bytes:
    """Run a program and return what it wrote on both streams; it is ended where it hangs, or once it wrote `until`."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    output = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while piece := await process.stdout.read(65_536):
                output += piece
                if until and until in output:
                    break
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
    return output
