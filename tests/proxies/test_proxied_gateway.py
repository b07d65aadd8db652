"""A whole gateway behind proxies: whom it takes its clients for, on every wire."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.trusting import READING, TELEMETRY, Trusting, ca, leaf, trusting
from tests.protocols.scenario_cast import needs
from tests.protocols.scenario_clients import run
from tests.proxies.proxied_wires import PROVISION, WIRES, connected, http, mqtt, said, seen, sources
from tests.proxies.proxy_headers import CLIENT, TCP6, addresses, binary, checked, line
from tests.proxies.receivers import ELSEWHERE, HOST, PATIENCE_SECONDS
from tests.tls.tls_parties import Place

V6 = "2001:db8::7"
HEADERS = {
    "203.0.113.1": line("203.0.113.1"),
    "203.0.113.2": binary(addresses("203.0.113.2")),
    V6: binary(addresses(V6, "2001:db8::1"), TCP6),
    CLIENT: checked(),
    HOST: b"",
}


async def asked(port: int, request: bytes, *, source: str = HOST, header: bytes = b"") -> int:
    """Send a request over HTTP; returns the status, 0 where there is none."""
    try:
        async with connected(port, source=source, header=header) as (reader, writer):
            writer.write(request)
            answer = await reader.read()
    except ConnectionError:
        return 0
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize("wire", WIRES)
async def test_the_client_of_a_header_is_the_source(there: Trusting, wire: str) -> None:
    for address, header in HEADERS.items():
        assert await said(WIRES[wire], there.listening, there.home, header=header)
        await seen(there.operator, address)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stranger_with_a_header_is_no_client(there: Trusting, wire: str) -> None:
    """It is garbage, which each protocol refuses in its own words."""
    for header in (line(), binary()):
        answer = await said(WIRES[wire], there.listening, there.home, source=ELSEWHERE, header=header)
        assert not answer or answer.startswith((b"HT", b"\x00\xe1")) or answer[0] == 0x20 or b"\xe5" in answer
    assert CLIENT not in await sources(there.operator)
    assert await said(WIRES[wire], there.listening, there.home, source=ELSEWHERE)
    await seen(there.operator, ELSEWHERE)
    figures = await there.operator.figures()
    assert figures.get('firstlight_bounds_total{bound="proxy.malformed"}') is None


BOUNDS = {
    "http": ("HTTP_CONNECTIONS_PER_SOURCE", "http.connections"),
    "mqtt": ("MQTT_CONNECTIONS_PER_SOURCE", "mqtt.connections"),
    "mqtts": ("MQTT_CONNECTIONS_PER_SOURCE", "mqtt.connections"),
    "coap_tcp": ("COAP_TCP_CONNECTIONS_PER_SOURCE", "coap.tcp_connections"),
}


@pytest.mark.parametrize("wire", BOUNDS)
async def test_connections_are_counted_by_client(tmp_path: Path, home: Place, wire: str) -> None:
    setting, counted = BOUNDS[wire]
    given = {"TRUSTED_PROXIES": HOST, "COAP_TCP": "127.0.0.1:0", setting: "1"}
    async with trusting(tmp_path, home, **given) as there:
        port = WIRES[wire].port(there.listening)
        async with connected(port, header=line("203.0.113.1")), connected(port, header=binary(addresses("203.0.113.2"))):
            await counts(there.operator, counted, 2 + (wire == "http"))  # the operator's is one, too
            async with connected(port, header=line("203.0.113.1")) as (reader, _):
                assert await gone(reader)
            assert (await there.operator.figures())[f'firstlight_bounds_total{{bound="{counted}_per_source"}}'] == 1


async def counts(operator: Operator, level: str, number: int) -> None:
    """Wait until so many are counted."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await operator.figures()).get(f'firstlight_level{{level="{level}"}}') != number:  # noqa: ASYNC110 - a figure tells nobody
            await asyncio.sleep(0.01)


async def gone(reader: asyncio.StreamReader) -> bool:
    """Tell whether there is nobody at the other end."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_an_http_proxy_may_have_many_connections(tmp_path: Path) -> None:
    bounds = {"HTTP_CONNECTIONS_PER_SOURCE": "2", "TRUSTED_PROXIES": HOST}
    async with opened(tmp_path, **bounds) as running:
        port = running.listening.http[0].port
        held = [await asyncio.open_connection(HOST, port) for _ in range(4)]
        for _, writer in held:
            writer.write(http()[:20])
        assert await asked(port, http()) == 200  # ThingsBoard says no in the body
        strangers = [await asyncio.open_connection(HOST, port, local_addr=(ELSEWHERE, 0)) for _ in range(2)]
        assert await asked(port, http(), source=ELSEWHERE) == 0
        for _, writer in (*held, *strangers):
            writer.close()


async def test_handshakes_are_counted_by_client(tmp_path: Path, home: Place) -> None:
    bounds = {"TRUSTED_PROXIES": HOST, "TLS_HANDSHAKES_PER_SECOND": "0.001", "TLS_BURST_HANDSHAKES": "1"}
    async with trusting(tmp_path, home, **bounds) as there:
        for wire in ("https", "mqtts", "coaps_tcp"):
            for address in ("203.0.113.1", "203.0.113.2"):
                assert await said(WIRES[wire], there.listening, home, header=line(address))
            assert not await said(WIRES[wire], there.listening, home, header=line("203.0.113.1"))
        for _ in range(3):  # one proxy's, whose clients these fields tell
            assert await said(WIRES["https"], there.listening, home)


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("x-forwarded-for", {"X_Forwarded_For": f"198.51.100.66, {CLIENT}", "Forwarded": "for=198.51.100.66"}),
        ("forwarded", {"Forwarded": f"for=198.51.100.66, for={CLIENT};proto=https", "X_Forwarded_For": "198.51.100.66"}),
    ],
)
async def test_the_fields_of_http_name_the_client(tmp_path: Path, header: str, fields: dict[str, str]) -> None:
    async with (
        opened(tmp_path, TRUSTED_PROXIES="127.0.0.0/31,127.0.0.5", FORWARDED_HEADER=header) as running,
        Operator(running.listening.http[0], ADMIN_TOKEN) as operator,
    ):
        port = running.listening.http[0].port
        assert await asked(port, http(**fields)) == 200
        await seen(operator, CLIENT)
        assert await asked(port, http(**fields), header=line("127.0.0.5")) == 200  # a proxy behind another
        assert await asked(port, http(**fields), source=ELSEWHERE) == 200
        await seen(operator, ELSEWHERE)
        assert await asked(port, http(**fields), header=line("203.0.113.9")) == 200
        await seen(operator, "203.0.113.9")
        assert "198.51.100.66" not in await sources(operator)
        assert (await operator.figures())['firstlight_bounds_total{bound="proxy.unbelieved"}'] == 2


async def test_each_request_of_a_proxys_connection_has_its_own_client(there: Trusting) -> None:
    async with connected(there.listening.http[0].port) as (reader, writer):
        for address in ("203.0.113.1", "203.0.113.2"):
            writer.write(http(X_Forwarded_For=address).replace(b"Connection: close\r\n", b""))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            await seen(there.operator, address)


async def test_fields_are_ignored_where_nobody_is_trusted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(tmp_path) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        for _ in range(3):
            assert await asked(running.listening.http[0].port, http(X_Forwarded_For=CLIENT)) == 200
        await seen(operator, HOST)
        assert CLIENT not in await sources(operator)
    assert capsys.readouterr().out.count("forwarding header ignored") == 1


async def test_a_client_is_locked_out_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, TRUSTED_PROXIES=HOST, LIMIT_FAILURES="0.001:2") as running:
        port = running.listening.http[0].port

        async def guess(header: bytes = b"", **fields: str) -> int:
            return await asked(port, http("/v1/profiles", Authorization="Bearer a-wrong-token-of-20", **fields), header=header)

        assert [await guess(X_Forwarded_For="203.0.113.1") for _ in range(3)] == [401, 401, 429]
        assert await guess(X_Forwarded_For="203.0.113.2") == 401
        assert await guess(line("203.0.113.1")) == 429
        assert await guess(line("203.0.113.3")) == 401


async def test_a_request_that_came_to_a_proxy_by_tls_is_protected(tmp_path: Path, home: Place) -> None:
    async with trusting(tmp_path, home, TRUSTED_PROXIES=HOST, PLAIN="nothing,operator=everything") as there:
        profile = await there.operator.post("/v1/profiles", {"name": "meters"})
        claim = {"provisionDeviceKey": profile["provision_key"], "provisionDeviceSecret": profile["provision_secret"]}

        async def provisioned(name: str, wire: str = "http", source: str = HOST, **fields: str) -> Any:
            tls = home.client() if wire == "https" else None
            port = WIRES[wire].port(there.listening)
            async with connected(port, source=source, tls=tls) as (reader, writer):
                writer.write(http(PROVISION, claim | {"deviceName": name}, **fields))
                return json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["status"]

        forwarded = {"X_Forwarded_For": CLIENT}
        assert await provisioned("m-1", **forwarded, X_Forwarded_Proto="https") == "SUCCESS"
        assert await provisioned("m-2", **forwarded, X_Forwarded_Proto="http") == "FAILURE"
        assert await provisioned("m-3", **forwarded) == "FAILURE"
        assert await provisioned("m-4", **forwarded, X_Forwarded_Proto="https, http") == "FAILURE"
        assert await provisioned("m-5", source=ELSEWHERE, **forwarded, X_Forwarded_Proto="https") == "FAILURE"
        assert await provisioned("m-6", "https", **forwarded) == "SUCCESS"
        assert await provisioned("m-7", "https", **forwarded, X_Forwarded_Proto="http") == "FAILURE"
        assert await provisioned("m-8", "https", ELSEWHERE, **forwarded, X_Forwarded_Proto="http") == "SUCCESS"


async def test_a_proxys_certificate_is_nobodys(there: Trusting) -> None:
    """A device that shows its own on a connection through a proxy is known by it; what one proxy shows stands for no client."""
    anchor = ca()
    await there.chain_profile("meters", anchor)
    files = there.files(leaf("m-1.example", anchor), anchor)
    context = there.home.client()
    context.load_cert_chain(files.chain, files.key)
    port = there.listening.https[0].port

    async def status(request: bytes, header: bytes = b"") -> bytes:
        async with connected(port, header=header, tls=context) as (reader, writer):
            writer.write(request)
            return (await reader.read()).split(b" ", 2)[1]

    body = json.loads(READING)
    assert await status(http(TELEMETRY, body), header=binary()) == b"200"
    assert await status(http(TELEMETRY, body)) == b"200"
    assert await status(http(TELEMETRY, body, X_Forwarded_For=CLIENT)) == b"401"


async def test_who_waits_for_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path, TRUSTED_PROXIES=HOST) as running:
        reader, writer = await asyncio.open_connection(HOST, running.listening.mqtt[0].port)
        writer.write(line()[:9])
        await writer.drain()
    assert await gone(reader)
    writer.close()


@needs("curl")
@pytest.mark.parametrize("words", [(), ("--http1.0",)])
async def test_curl_sends_a_header(there: Trusting, words: tuple[str, ...]) -> None:
    at = there.listening
    plain = ("-sS", "-o", "/dev/null", "-w", "%{http_code}", *words)
    assert await run("curl", *plain, "--haproxy-protocol", f"http://{at.http[0]}/healthz") == b"200"
    trust = ("--cacert", str(there.home.authority))
    assert await run("curl", *plain, *trust, "--haproxy-protocol", f"https://localhost:{at.https[0].port}/healthz") == b"200"
    refused = await run("curl", *plain, "--interface", ELSEWHERE, "--haproxy-protocol", f"http://{at.http[0]}/healthz")
    assert refused == b"400"


async def test_a_device_goes_on_after_a_header(there: Trusting) -> None:
    """Over MQTT, with what was received along with the header still whole, and pings that come later."""
    async with connected(there.listening.mqtt[0].port, header=line()) as (reader, writer):
        writer.write(mqtt("provision") + b"\xc0\x00")
        assert await reader.readexactly(6) == b"\x20\x02\x00\x00\xd0\x00"
        for _ in range(3):
            writer.write(b"\xc0\x00")
            assert await reader.readexactly(2) == b"\xd0\x00"
