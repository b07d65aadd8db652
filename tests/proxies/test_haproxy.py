"""HAProxy and clients that nobody here wrote, in front of a whole gateway."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.brokers.fronted import fronted
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import Served
from tests.e2e.trusting import FREE, READING, SECURE, TELEMETRY, Trusting, ca, leaf, trusting
from tests.protocols.scenario_cast import needs
from tests.protocols.scenario_clients import run
from tests.proxies.haproxy import V1, V2, V2_TLS, Haproxy, Stream, haproxy
from tests.proxies.proxied_wires import CLAIM, PROVISION, WIRES, connected, seen, sources
from tests.proxies.receivers import HOST, PATIENCE_SECONDS
from tests.tls.tls_parties import Place

pytestmark = [needs("haproxy"), needs("curl"), needs("mosquitto_pub")]

VERSIONS = {"v1": V1, "v2": V2}
BAD_LOGIN = 5  # of 3.1.1, not authorised; mosquitto's clients exit with it


@contextlib.asynccontextmanager
async def behind(there: Trusting, folder: Path, **more: Stream) -> AsyncIterator[Haproxy]:
    """Run HAProxy in front of every wire of a gateway, once with each version."""
    streams = {
        f"{name}-{version}": Stream(wire.port(there.listening), words)
        for name, wire in WIRES.items()
        for version, words in VERSIONS.items()
    }
    async with haproxy(folder, streams | more, (there.listening.http[0].port, certificate(there.home, folder))) as proxy:
        yield proxy


def certificate(home: Place, folder: Path) -> Path:
    """Write certificate and key into one file, as HAProxy wants them."""
    folder.mkdir(exist_ok=True)
    file = folder / "both.pem"
    file.write_text(home.certificate.read_text() + home.key.read_text())
    file.chmod(0o600)
    return file


async def curl(source: str, url: str, *words: str, home: Place | None = None) -> str:
    """Ask from an address; returns the body and, after a blank, the status."""
    trust = ("--cacert", str(home.authority)) if home else ()
    return (await run("curl", "-sS", "--interface", source, "-w", " %{http_code}", *trust, *words, url)).decode()


async def publish(source: str, port: int, *words: str) -> int:
    """Publish from an address; returns what mosquitto's client exits with."""
    given = ("-A", source, "-h", HOST, "-p", str(port), "-t", "v1/devices/me/telemetry", "-m", READING, "-q", "1", *words)
    pipe = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("mosquitto_pub", *given, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await process.wait()


async def test_every_wire_tells_its_clients_by_both_versions(there: Trusting, tmp_path: Path) -> None:
    anchor = ca()
    await there.chain_profile("meters", anchor)
    files = there.files(leaf("m-1.example", anchor), anchor)
    async with behind(there, tmp_path / "haproxy") as proxy:
        for number, version in enumerate(VERSIONS, 11):
            claim = ("-d", json.dumps(CLAIM), "-H", "Content-Type: application/json")
            url = f"http://{HOST}:{proxy.ports[f'http-{version}']}{PROVISION}"
            assert (await curl(f"127.0.0.{number}", url, *claim)).endswith(" 200")
            url = f"https://localhost:{proxy.ports[f'https-{version}']}{PROVISION}"
            assert (await curl(f"127.0.1.{number}", url, *claim, home=there.home)).endswith(" 200")
            assert await publish(f"127.0.2.{number}", proxy.ports[f"mqtt-{version}"], "-u", "nobody") == BAD_LOGIN
            trust = ("--cafile", str(there.home.authority))
            assert await publish(f"127.0.3.{number}", proxy.ports[f"mqtts-{version}"], "-u", "nobody", *trust) == BAD_LOGIN
            for place, wire in ((4, "coap_tcp"), (5, "coaps_tcp")):
                tls = there.home.client() if WIRES[wire].secure else None
                port, source = proxy.ports[f"{wire}-{version}"], f"127.0.{place}.{number}"
                async with connected(port, source=source, tls=tls) as (reader, writer):
                    writer.write(WIRES[wire].says)
                    assert len(await reader.readexactly(20)) == 20
            for place in range(6):
                await seen(there.operator, f"127.0.{place}.{number}")
            # The device's certificate goes through to the gateway.
            proof = ("--cert", str(files.chain), "--key", str(files.key))
            assert await publish(f"127.0.6.{number}", proxy.ports[f"mqtts-{version}"], *trust, *proof) == 0
            url = f"https://localhost:{proxy.ports[f'https-{version}']}{TELEMETRY}"
            report = ("-d", READING, "-H", "Content-Type: application/json", *proof)
            assert (await curl(f"127.0.7.{number}", url, *report, home=there.home)).endswith(" 200")
        page = await there.operator.get("/v1/events?newest=true&limit=100")
        assert all(event["actor"] for event in page["items"] if event["source"] == HOST)  # the operator, who needs no proxy


async def test_health_checks_with_and_without_a_header_pass(there: Trusting, tmp_path: Path) -> None:
    async with behind(there, tmp_path / "haproxy") as proxy, asyncio.timeout(PATIENCE_SECONDS):
        while True:
            states = await proxy.states()
            if len(states) == 13 and all(check in ("L4OK", "L7OK") for _, check in states.values()):
                break
            await asyncio.sleep(0.05)
        assert {status for status, _ in states.values()} == {"UP"}
        assert states["gateways"] == ("UP", "L7OK")
        figures = await there.operator.figures()
        assert 'firstlight_bounds_total{bound="proxy.malformed"}' not in figures


async def test_a_proxy_that_speaks_http_tells_client_and_scheme(tmp_path: Path, home: Place) -> None:
    settings = {"TRUSTED_PROXIES": HOST, "PLAIN": "nothing,operator=everything"}
    async with trusting(tmp_path, home, **settings) as there:
        made = await there.operator.post("/v1/profiles", {"name": "meters"})
        claim = {"provisionDeviceKey": made["provision_key"], "provisionDeviceSecret": made["provision_secret"]}
        web = there.listening.http[0].port, certificate(home, tmp_path / "haproxy")
        async with haproxy(tmp_path / "haproxy", {}, web) as proxy:
            forged = ("-H", "X-Forwarded-For: 198.51.100.66", "-H", "X-Forwarded-Proto: https", "-H", "Forwarded: for=::1")
            body = ("-H", "Content-Type: application/json", "-d")
            plain, secure = f"http://{HOST}:{proxy.ports['web']}", f"https://localhost:{proxy.ports['web over TLS']}"
            said = await curl("127.0.0.21", plain + PROVISION, *forged, *body, json.dumps(claim | {"deviceName": "m-1"}))
            assert '"FAILURE"' in said
            await seen(there.operator, "127.0.0.21")
            wanted = (*forged, *body, json.dumps(claim | {"deviceName": "m-2"}))
            assert '"SUCCESS"' in await curl("127.0.0.22", secure + PROVISION, *wanted, home=home)
            await seen(there.operator, "127.0.0.22")
            assert "198.51.100.66" not in await sources(there.operator)


async def test_what_a_proxy_says_of_a_certificate_is_no_login(there: Trusting, tmp_path: Path) -> None:
    """TLS ends at the proxy, which tells the name in a certificate: the wire behind it is plain and the device unproved."""
    anchor = ca()
    await there.chain_profile("meters", anchor)
    files = there.files(leaf("m-1.example", anchor), anchor)
    folder = tmp_path / "haproxy"
    folder.mkdir()
    (folder / "anchor.pem").write_bytes(files.chain.read_bytes())
    ended = f"ssl crt {certificate(there.home, folder)} ca-file {folder / 'anchor.pem'} verify optional"
    terminated = Stream(there.listening.mqtt[0].port, V2_TLS, ended)
    async with behind(there, folder, terminated=terminated) as proxy:
        proof = ("--cafile", str(there.home.authority), "--cert", str(files.chain), "--key", str(files.key))
        assert await publish("127.0.0.31", proxy.ports["terminated"], *proof, "-u", "m-1.example") == BAD_LOGIN
        await seen(there.operator, "127.0.0.31")


async def test_a_gateway_as_it_is_started(tmp_path: Path, home: Place) -> None:
    """A process of its own, on the event loop that it chooses."""
    certificates = {"TLS_CERT": str(home.certificate), "TLS_KEY": str(home.key)}
    async with (
        Served(tmp_path / "served", TRUSTED_PROXIES=HOST, COAP_TCP=FREE, **SECURE, **certificates) as served,
        Operator(served.listening.http[0], ADMIN_TOKEN) as operator,
        behind(Trusting(served.listening, operator, home, tmp_path), tmp_path / "haproxy") as proxy,
    ):
        for number, (name, port) in enumerate(proxy.ports.items(), 1):
            wire = WIRES.get(name.partition("-")[0])
            if wire is None:
                continue
            tls = home.client() if wire.secure else None
            async with connected(port, source=f"127.0.8.{number}", tls=tls) as (reader, writer):
                writer.write(wire.says)
                assert await reader.readexactly(4)
                await seen(operator, f"127.0.8.{number}")


@needs("mosquitto")
@pytest.mark.parametrize("version", VERSIONS)
async def test_devices_go_on_to_the_broker(tmp_path: Path, version: str) -> None:
    """Through a proxy, the gateway, and on the same connection to what is behind that."""
    async with fronted(tmp_path, TRUSTED_PROXIES=HOST) as there:
        device, token = await there.device("m-1")
        async with haproxy(tmp_path / "haproxy", {"mqtt": Stream(there.port, VERSIONS[version])}) as proxy:
            assert await publish("127.0.0.41", proxy.ports["mqtt"], "-u", token) == 0
            await there.watcher.hears(f"v1/devices/{device}/up/telemetry", READING.encode())
