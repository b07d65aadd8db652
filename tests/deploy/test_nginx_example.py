"""nginx before gateways: who is at the other end gets through to them, and the datagrams of one device to one of them."""

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.app import Running
from adapters.settings import Address
from tests.brokers.ports import HOST
from tests.deploy.proxied import AUTHORITY, PATIENCE_SECONDS, Nginx, certificates, nginx, written
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_cast import needs

DEVICE = "127.0.0.7"  # another address of this machine than nginx connects from
LIAR = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}

pytestmark = needs("nginx")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that believes nginx."""
    certificates(tmp_path)
    settings = {
        "HTTP": f"{HOST}:0=thingsboard,{HOST}:0=operator",
        "TLS_CERT": str(tmp_path / "server-certificate"),
        "TLS_KEY": str(tmp_path / "server-key"),
        "TRUSTED_PROXIES": HOST,
        **dict.fromkeys(("HTTPS", "MQTTS", "COAPS"), f"{HOST}:0"),
    }
    async with opened(tmp_path / "data", **settings) as running:
        yield running


@pytest.fixture
async def proxy(gateway: Running, tmp_path: Path) -> AsyncIterator[Nginx]:
    """Let nginx stand before that gateway."""
    at = gateway.listening
    addresses = (*at.http, at.https[0], at.mqtt[0], at.mqtts[0], at.coap[0], at.coaps[0])
    ports = zip((8080, 8081, 8443, 1883, 8883, 5683, 5684), addresses, strict=True)
    async with nginx(tmp_path, {example: (address.port,) for example, address in ports}) as running:
        yield running


@pytest.fixture
async def operator(proxy: Nginx) -> AsyncIterator[Operator]:
    """An operator who comes through nginx, too."""
    async with Operator(Address(HOST, proxy.ports[8081]), ADMIN_TOKEN) as client:
        yield client


def test_nginx_reads_the_example(tmp_path):
    certificates(tmp_path)
    file = written(tmp_path, {}, {})
    told = subprocess.run(("nginx", "-t", "-q", "-e", "stderr", "-c", file), capture_output=True, text=True, check=False)
    assert (told.stderr, told.returncode) == ("", 0)


@needs("coap-client-openssl")
@needs("mosquitto_rr")
async def test_every_way_through_nginx_ends_at_the_gateway(proxy, operator, tmp_path):
    claim = await operator.post("/v1/profiles", {"name": "meters", "strategy": "create_new"})
    key, secret = claim["provision_key"], claim["provision_secret"]

    def body(name: str) -> str:
        return json.dumps({"deviceName": name, "provisionDeviceKey": key, "provisionDeviceSecret": secret})

    authority = str(tmp_path / AUTHORITY)
    mqtt = ("mosquitto_rr", "-h", "localhost", "-A", DEVICE, "-u", "provision", "-t", "/provision/request")
    mqtt = (*mqtt, "-e", "/provision/response", "-W", "30", "-q", "1")
    coap, path = ("coap-client-openssl", "-m", "post", "-a", DEVICE), f"{HOST}:%d/api/v1/provision"
    told = [
        await over_https(proxy, 8443, body("https")),
        await over_https(proxy, 8444, body("passed-through")),
        await ran(*mqtt, "-p", str(proxy.ports[1883]), "-m", body("mqtt")),
        await ran(*mqtt, "-p", str(proxy.ports[8883]), "--cafile", authority, "-m", body("mqtts")),
        await ran(*coap, "-e", body("coap"), "coap://" + path % proxy.ports[5683]),
        await ran(*coap, "-u", key, "-k", secret, "-e", body("coaps"), "coaps://" + path % proxy.ports[5684]),
    ]
    assert [answer.count("SUCCESS") for answer in told] == [1] * len(told), told
    sources = {event["device_name"]: event["source"] for event in await operator.all("/v1/events")}
    # The device's own address where nginx can say it; what a client says itself counts for nothing.
    assert {name: sources[name] for name in ("https", "passed-through", "mqtt", "mqtts")} == dict.fromkeys(
        ("https", "passed-through", "mqtt", "mqtts"), DEVICE
    )
    assert (sources["coap"], sources["coaps"]) == (HOST, HOST)


async def test_what_is_for_operators_is_not_shown_to_devices(proxy):
    async with session(proxy) as devices:
        for path, status in (("/metrics", 404), ("/readyz", 404), ("/v1/profiles", 404), ("/healthz", 200)):
            async with devices.get(f"https://localhost:{proxy.ports[8443]}{path}") as answer:
                assert answer.status == status, path


async def over_https(proxy: Nginx, port: int, body: str) -> str:
    url = f"https://localhost:{proxy.ports[port]}/api/v1/provision"
    async with session(proxy) as devices, devices.post(url, data=body, headers=LIAR) as answer:
        return await answer.text()


def session(proxy: Nginx) -> aiohttp.ClientSession:
    """Return a client at the device's address."""
    trusted = ssl.create_default_context(cadata=proxy.authority.decode())
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(DEVICE, 0), ssl=trusted))


async def ran(*command: str) -> str:
    """Run a client and return what it printed."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    return printed.decode()


class Named(asyncio.DatagramProtocol):
    """Answers every datagram with a name."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._transport.sendto(self._name, address)


async def test_datagrams_of_one_address_come_to_one_gateway(tmp_path):
    """Of sixteen devices that come from three ports each, every one meets a single gateway, and each gateway some."""
    certificates(tmp_path)
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for name in (b"first", b"second"):
            transport, _ = await loop.create_datagram_endpoint(lambda name=name: Named(name), (HOST, 0))
            stack.callback(transport.close)
            ports.append(transport.get_extra_info("sockname")[1])
        proxy = await stack.enter_async_context(nginx(tmp_path, {5683: ports, 8081: ports}))
        met = {}
        for number in range(16):
            source = f"127.0.1.{number + 1}"
            met[source] = {await asked(source, proxy.ports[5683]) for _ in range(3)}
    assert {len(names) for names in met.values()} == {1}
    assert set().union(*met.values()) == {b"first", b"second"}


async def asked(source: str, port: int) -> bytes:
    """Send a datagram from a new port of an address, and return the answer."""
    loop = asyncio.get_running_loop()
    with bound(source) as client:
        await loop.sock_connect(client, (HOST, port))
        await loop.sock_sendall(client, b"?")
        return await asyncio.wait_for(loop.sock_recv(client, 64), PATIENCE_SECONDS)


@contextlib.contextmanager
def bound(source: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.bind((source, 0))
        yield client
