"""A whole gateway over TLS: a device by its certificate, revocation, and a certificate that is renewed on disk."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import aiomqtt
import pytest

from adapters.config import SettingError
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.tls.tls_parties import HOST, Place, signed
from tests.tls.tls_parties import opened as connected


def settings(place: Place, **more: str) -> dict[str, str]:
    free = dict.fromkeys(("HTTPS", "MQTTS", "COAPS"), f"{HOST}:0")
    return free | {"TLS_CERT": str(place.certificate), "TLS_KEY": str(place.key), **more}


async def test_a_device_is_known_by_its_certificate_until_it_is_revoked(tmp_path: Path, home: Place, own: Place) -> None:
    leaf = signed("pump-1")
    context = home.client(own.write("pump-1", leaf))
    async with opened(tmp_path, **settings(home)) as gateway, Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "things"})
        credential = {"type": "x509_certificate", "certificate": leaf.pem.decode()}
        made = await operator.post("/v1/devices", {"name": "pump-1", "profile": "things", "credential": credential})
        port = gateway.listening.mqtts[0].port

        async def stay() -> None:
            async with aiomqtt.Client(HOST, port, tls_context=context) as device:
                await device.publish("v1/devices/me/telemetry", b'{"t":1}', 1)
                await operator.patch(f"/v1/devices/{made['id']}", {"enabled": False})
                async for _ in device.messages:
                    pass

        async with asyncio.timeout(20):
            with pytest.raises(aiomqtt.MqttError, match=r"[Dd]isconnected|lost"):
                await stay()
            with pytest.raises(aiomqtt.MqttError, match="uthori"):
                await stay()


async def test_http_and_its_pages_are_served_and_the_certificate_is_renewed(tmp_path: Path, own: Place) -> None:
    async with opened(tmp_path, **settings(own, TLS_RELOAD_SECONDS="0.1")) as gateway, aiohttp.ClientSession() as session:
        port = gateway.listening.https[0].port
        async with session.get(f"https://localhost:{port}/healthz", ssl=own.client()) as answer:
            assert await answer.text() == "ok\n"
        before = own.client()
        reader, writer = await connected(port, before)
        own.renew()
        after = own.client()

        async def is_renewed() -> bool:
            try:
                async with session.get(f"https://localhost:{port}/healthz", ssl=after):
                    return True
            except aiohttp.ClientConnectorCertificateError:
                return False

        async with asyncio.timeout(20):
            while not await is_renewed():  # noqa: ASYNC110 - a file tells nobody when it was read
                await asyncio.sleep(0.05)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await connected(port, before)


async def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, own: Place) -> None:
    own.key.write_text("hello")
    with pytest.raises(SettingError, match=r"^FIRSTLIGHT_TLS_KEY: .* holds no private key"):
        async with opened(tmp_path, **settings(own)):
            pass
