"""A whole gateway that listens protected, with its operator, and the devices that come to it: curl, libcoap, paho."""

import asyncio
import contextlib
import datetime
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.commands.explanations import EXPLANATIONS
from adapters.listeners import Listening
from adapters.settings import Address
from tests.brokers.paho_device import V5, Device
from tests.core.authorities import NOW, Holder, authority, issue
from tests.dtls.dtls_peers import coap_client
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.process import PROGRAM
from tests.protocols.scenario_clients import run, written
from tests.tls.tls_parties import Place

TELEMETRY, ATTRIBUTES = "/api/v1/telemetry", "/api/v1/attributes"
TOPIC = "v1/devices/me/telemetry"
READING = '{"temperature":21}'
FREE = "127.0.0.1:0"
SECURE = {"HTTPS": FREE, "MQTTS": FREE, "COAPS": FREE, "COAPS_TCP": FREE}
_TODAY = (datetime.datetime.now(datetime.UTC) - NOW) / datetime.timedelta(days=1)
_COAP_CODE = re.compile(r"^v:\S+ t:\S+ c:([245]\.\d\d) ", re.MULTILINE)


def ca(name: str = "Factory CA", issuer: Holder | None = None, path_length: int | None = None, **more: Any) -> Holder:
    """Make an authority that is good now."""
    return authority(name, issuer, path_length, **_now(more))


def leaf(name: str, issuer: Holder | None = None, **more: Any) -> Holder:
    """Make a device's certificate that is good now; `begins` and `ends` are in days from now."""
    return issue(name, issuer, **_now(more))


def _now(more: dict[str, Any]) -> dict[str, Any]:
    return more | {"begins": _TODAY + more.get("begins", -1), "ends": _TODAY + more.get("ends", 2)}


def pem(*chain: Holder) -> str:
    """Return certificates as operators give them."""
    return "".join(each.certificate.public_bytes(Encoding.PEM).decode() for each in chain)


async def firstlight(where: Address, *words: str) -> str:
    """Run the command line, as the administrator."""
    environ = (f"FIRSTLIGHT_URL=http://{where}", f"FIRSTLIGHT_TOKEN={ADMIN_TOKEN}")
    return (await run("env", *environ, str(PROGRAM), *words)).decode()


class Files(NamedTuple):
    """What a client shows: its chain, and its key."""

    chain: Path
    key: Path


def shown(folder: Path, *chain: Holder) -> Files:
    """Write a chain, the device's own certificate first, and its key."""
    name = chain[0].id[:16]
    files = Files(folder / f"{name}.pem", folder / f"{name}.key")
    files.chain.write_text(pem(*chain))
    files.key.write_bytes(chain[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


class Trusting:
    """A gateway where it listens, its operator, and what its devices are started with."""

    def __init__(self, listening: Listening, operator: Operator, home: Place, folder: Path) -> None:
        self.listening = listening
        self.operator = operator
        self.home = home
        self.folder = folder
        self._seen = ""

    async def chain_profile(self, name: str, anchor: Holder, pattern: str = r"^(.*)\.example$", **chain: Any) -> Any:
        """Make a profile whose devices come with a chain."""
        rules = {"certificate": pem(anchor), "pattern": pattern, **chain}
        return await self.operator.post("/v1/profiles", {"name": name, "strategy": "certificate_chain", "chain": rules})

    async def named(self, name: str) -> dict[str, Any]:
        """Return a device that is there."""
        found = await self.operator.device(name)
        assert found is not None, name
        return found

    async def refusals(self) -> list[str]:
        """Return the checks of what was refused since this was asked last; each one is explained to operators."""
        page = await self.operator.get(f"/v1/events?limit=1000&after={self._seen}" if self._seen else "/v1/events?limit=1000")
        self._seen = page["items"][-1]["id"] if page["items"] else self._seen
        checks = [each["check"] for each in page["items"] if each["check"]]
        assert set(checks) <= EXPLANATIONS.keys()
        return checks

    async def firstlight(self, *words: str) -> str:
        """Run the command line, as the operator."""
        return await firstlight(self.listening.http[0], *words)

    def files(self, *chain: Holder) -> Files:
        """Write what a client shows."""
        self.folder.mkdir(exist_ok=True)
        return shown(self.folder, *chain)

    async def curl(self, path: str, *words: str, files: Files | None = None) -> str:
        """Ask over HTTPS; returns the status, a blank and the body."""
        proof = ("--cert", str(files.chain), "--key", str(files.key)) if files else ()
        trust = ("--cacert", str(self.home.authority), "--max-time", "20")
        url = f"https://localhost:{self.listening.https[0].port}{path}"
        answer = (await run("curl", "-sS", *trust, *proof, "-w", r"\n%{http_code}", *words, url)).decode()
        body, _, status = answer.rpartition("\n")
        return f"{status} {body}".strip()

    async def post(self, files: Files, path: str = TELEMETRY) -> str:
        """Report by HTTPS with a certificate alone."""
        return await self.curl(path, "-d", READING, "-H", "Content-Type: application/json", files=files)

    async def coaps(
        self, variant: str, *words: str, path: str = TELEMETRY, body: str = READING, seconds: int = 10, over: str = "coaps"
    ) -> str:
        """Ask over CoAPs, with POST where there is a body; returns the code and the body, or what libcoap complains of."""
        listening = self.listening.coaps_tcp if over == "coaps+tcp" else self.listening.coaps
        url = f"{over}://127.0.0.1:{listening[0].port}{path}"
        asked = ("-m", "post", "-t", "50", "-e", body) if body else ("-m", "get")
        with written(b"") as out:
            said = await coap_client(variant, "-v", "6", "-o", out, *words, *asked, url, seconds=seconds)
            granted = await asyncio.to_thread(Path(out).read_text)
        codes = [each for each in _COAP_CODE.findall(said) if each != "2.31"]
        return f"{codes[-1]} {granted}".strip() if codes else said

    def certified(self, files: Files) -> tuple[str, ...]:
        """Return libcoap's words for a certificate."""
        return "-c", str(files.chain), "-j", str(files.key), "-C", str(self.home.authority)

    def paho(self, files: Files | None = None, username: str = "", password: str | None = None, **more: Any) -> Device:
        """Return a device over MQTT and TLS, with its certificate where there is one and no name and no password."""
        context = self.home.client()
        if files is not None:
            context.load_cert_chain(files.chain, files.key)
        given = {"version": V5, "insists": False, **more}
        return Device(self.listening.mqtts[0].port, username, password, tls=context, **given)

    async def mqtt_code(self, files: Files, **more: Any) -> int:
        """Come once over MQTT and TLS; returns the reason in CONNACK."""
        async with self.paho(files, **more) as device:
            return device.connacks[0]


@contextlib.asynccontextmanager
async def trusting(folder: Path, home: Place, **settings: str | None) -> AsyncIterator[Trusting]:
    """Run a gateway that listens protected as well."""
    certificates = {"TLS_CERT": str(home.certificate), "TLS_KEY": str(home.key)}
    async with (
        opened(folder / "data", **SECURE, **certificates, **settings) as running,
        Operator(running.listening.http[0], ADMIN_TOKEN) as operator,
    ):
        yield Trusting(running.listening, operator, home, folder)
