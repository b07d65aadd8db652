"""The curl lines of Mainflux's and Magistrala's guides, run by curl as printed there; openssl is the device's cipher."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.model import DEFAULT_TENANT, ChannelId, DeviceId
from core.permit import Permit
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.protocols.scenario_cast import needs

pytestmark = [needs("curl"), needs("openssl")]

KEY = "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"
HEX_KEY = "000102030405060708090a0b0c0d0e0f"
DEADLINE = 30


class Guide(NamedTuple):
    """How one generation's guide writes its lines. `{domain}` stands in the operator's paths where the guide has one."""

    flavour: str
    operator: str
    device: str
    bearer: str
    scheme: str
    client_field: str
    document: tuple[str, str, str]
    key: str
    key_format: str
    secure_type: str


MAINFLUX = ("mainflux_id", "mainflux_key", "mainflux_channels")
GUIDES = [
    Guide("mainflux:mf-raw", "/things", "/things", "", "", "thing_id", MAINFLUX, HEX_KEY, "hex", "application/json"),
    Guide(
        "mainflux:mf-thing", "/things", "/things", "Bearer ", "Thing ", "thing_id", MAINFLUX, HEX_KEY, "hex", "application/json"
    ),
    Guide(
        "mainflux:mg-thing",
        "/things",
        "/things",
        "Bearer ",
        "Thing ",
        "thing_id",
        ("thing_id", "thing_key", "channels"),
        KEY,
        "raw",
        "application/json",
    ),
    Guide(
        "magistrala:mg-things-domain",
        "/{domain}/things",
        "/things",
        "Bearer ",
        "Thing ",
        "thing_id",
        ("thing_id", "thing_key", "channels"),
        KEY,
        "raw",
        "application/octet-stream",
    ),
    *(
        Guide(
            flavour,
            "/{domain}/clients",
            "/clients",
            "Bearer ",
            "Client ",
            "client_id",
            ("client_id", "client_secret", "channels"),
            KEY,
            "raw",
            "application/octet-stream",
        )
        for flavour in ("magistrala:mg-client", "magistrala:mg-client-0.20")
    ),
]


async def run(*command: str, content: bytes = b"") -> bytes:
    """Return what a command prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE):
        output, errors = await process.communicate(content)
    assert process.returncode == 0, errors.decode()
    return output


class Terminal:
    """A terminal with a guide beside it."""

    def __init__(self, guide: Guide, base: str, permit: Permit) -> None:
        self.guide = guide
        self.base = base
        self.permit = permit
        self.user = f"Authorization: {guide.bearer}{ADMIN_TOKEN}"
        self.operator = guide.operator.replace("{domain}", "default")
        self.entities = guide.operator.removesuffix("/things").removesuffix("/clients").replace("{domain}", "default")

    async def curl(self, method: str, path: str, body: Any = None, *headers: str) -> tuple[int, dict[str, str], bytes]:
        """Run `curl -s -S -i` as the guides do, and take its answer apart."""
        lines = [part for header in headers for part in ("-H", header)]
        content = ["-d", json.dumps(body)] if body is not None else []
        output = await run("curl", "-s", "-S", "-i", "-X", method, *lines, self.base + path, *content)
        head, _, answer = output.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        pairs = (field.split(": ", 1) for field in fields)
        return int(status.split()[1]), {name.lower(): value for name, value in pairs}, answer

    async def as_user(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        """Run curl with the user's token."""
        return await self.curl(method, path, body, self.user, "Content-Type: application/json")

    async def channel(self, name: str) -> str:
        """Create a channel as the guides do and return its id."""
        status, headers, body = await self.as_user("POST", f"{self.entities}/channels", {"name": name})
        assert status == 201
        if body.strip():
            return str(json.loads(body)["id"])
        return headers["location"].rpartition("/")[2]

    async def may_use(self, client: str, channel: str) -> bool:
        """Ask the core."""
        return await self.permit.channel(DEFAULT_TENANT, DeviceId(client), ChannelId(channel))


@asynccontextmanager
async def terminal(guide: Guide, folder: Path) -> AsyncIterator[Terminal]:
    settings = {"BOOTSTRAP_ENCRYPT_KEY": guide.key, "BOOTSTRAP_KEY_FORMAT": guide.key_format}
    async with opened(folder, HTTP=f"127.0.0.1:0={guide.flavour}", COAP="", MQTT="", **settings) as running:
        address = running.listening.http[0]
        yield Terminal(guide, f"http://{address.host}:{address.port}", Permit(running.repository, running.issuer))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.flavour)
async def test_upload_bootstrap_enable_and_disable(guide: Guide, tmp_path: Path) -> None:
    async with terminal(guide, tmp_path) as shell:
        channels = [await shell.channel(name) for name in ("control", "data")]
        upload = {
            "external_id": "09:6:0:sb:sa",
            "external_key": "key",
            "name": "some",
            "channels": channels,
            "content": "config...",
            "client_cert": "PEM cert",
            "client_key": "PEM client cert key",
            "ca_cert": "PEM CA cert",
        }
        status, headers, body = await shell.as_user("POST", f"{shell.operator}/configs", upload)
        assert (status, body) == (201, b"")
        assert headers["location"].startswith(guide.device + "/configs/")
        client = headers["location"].rpartition("/")[2]

        status, _, body = await shell.curl(
            "GET", f"{guide.device}/bootstrap/09:6:0:sb:sa", None, f"Authorization: {guide.scheme}key"
        )
        assert status == 200
        document = json.loads(body)
        first, second, third = guide.document
        assert list(document) == [first, second, third, "content", "client_cert", "client_key", "ca_cert"]
        assert (document[first], document["content"]) == (client, "config...")
        assert [channel["id"] for channel in document[third]] == channels

        assert not await shell.may_use(client, channels[0])
        for state in (1, 0, 1):
            status, _, body = await shell.as_user("PUT", f"{shell.operator}/state/{client}", {"state": state})
            assert (status, body) == (200, b"")
            assert [await shell.may_use(client, channel) for channel in channels] == [bool(state)] * 2


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.flavour)
async def test_secure_bootstrap_with_openssl_on_the_device(guide: Guide, tmp_path: Path) -> None:
    async with terminal(guide, tmp_path) as shell:
        channel = await shell.channel("data")
        upload = {"external_id": "09:6:0:sb:sa", "external_key": "key", "channels": [channel], "content": '{"log":"<info>"}'}
        assert (await shell.as_user("POST", f"{shell.operator}/configs", upload))[0] == 201

        key = guide.key if guide.key_format == "hex" else guide.key.encode().hex()
        cipher = f"-aes-{len(key) * 4}-cfb"
        iv = secrets.token_hex(16)
        encrypted = await run("openssl", "enc", cipher, "-K", key, "-iv", iv, content=b"key")
        file = tmp_path / "answer.bin"
        written = await run(
            "curl",
            "-s",
            "-S",
            "--location",
            f"{shell.base}{guide.device}/bootstrap/secure/09:6:0:sb:sa",
            "--header",
            "Accept: application/json",
            "--header",
            f"authorization: {guide.scheme}{iv}{encrypted.hex()}",
            "--output",
            str(file),
            "--write-out",
            "%{http_code} %{content_type}",
        )
        assert written.decode() == f"200 {guide.secure_type}"
        answer = file.read_bytes()
        plaintext = await run("openssl", "enc", "-d", cipher, "-K", key, "-iv", answer[:16].hex(), content=answer[16:])
        assert not plaintext.endswith(b"\n")
        document = json.loads(plaintext)
        assert list(document) == [*guide.document, "content"]
        assert document["content"] == '{"log":"<info>"}'
        assert b"\\u003cinfo\\u003e" in plaintext
