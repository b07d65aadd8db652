"""A whole gateway over DTLS: devices come in with the secrets that it knows, and go when those are good no longer."""

import base64
import json
from pathlib import Path

import pytest
from OpenSSL import SSL

from tests.dtls.dtls_peers import BOTH_CLIENTS, ECDSA_SUITES, DtlsDevice, coap_client, pair, preshared
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.protocols.coap_peers import CON, GET, message

CLAIM, SECRET = "meters-key-0000000000", "meters-secret-0000000"
PROFILE = {"name": "meters", "provision_key": CLAIM, "provision_secret": SECRET}


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_device_claims_and_comes_back_with_its_own_secret(tmp_path: Path, variant: str) -> None:
    async with opened(tmp_path, COAPS="127.0.0.1:0") as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", PROFILE)
        port = running.listening.coaps[0].port
        url = f"coaps://127.0.0.1:{port}"
        claim = json.dumps({"deviceName": "meter-1", "provisionDeviceKey": CLAIM, "provisionDeviceSecret": SECRET})
        request = ("-m", "post", "-t", "50", "-e", claim, f"{url}/api/v1/provision")
        granted = json.loads(await coap_client(variant, *preshared(CLAIM, SECRET), *request))
        assert granted["status"] == "SUCCESS"


async def test_device_is_shut_out_when_its_credential_is_revoked(tmp_path: Path) -> None:
    async with opened(tmp_path, COAPS="127.0.0.1:0") as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", PROFILE)
        made = await operator.post(
            "/v1/devices", {"name": "meter-1", "profile": "meters", "credential": {"type": "client_secret", "secret": SECRET}}
        )
        port = running.listening.coaps[0].port
        device = await DtlsDevice(port, made["id"].encode(), SECRET).connect()
        assert (await device.ask(message(CON, GET, 1, path="nowhere"))).dotted == "4.04"
        assert (await operator.ask("DELETE", f"/v1/devices/{made['id']}")).status == 204
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        device.close()


async def test_device_with_a_pinned_certificate_is_shut_out_when_it_is_revoked(tmp_path: Path) -> None:
    certificate, key = pair("server").written(tmp_path, "server")
    shown = pair("meter-1")
    settings = {"COAPS": "127.0.0.1:0", "TLS_CERT": certificate, "TLS_KEY": key}
    async with opened(tmp_path, **settings) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", PROFILE)
        pinned = {"type": "x509_certificate", "certificate": base64.b64encode(shown.der).decode()}
        made = await operator.post("/v1/devices", {"name": "meter-1", "profile": "meters", "credential": pinned})
        port = running.listening.coaps[0].port
        device = await DtlsDevice(port, shown=shown, suites=ECDSA_SUITES).connect()
        assert (await device.ask(message(CON, GET, 1, path="nowhere"))).dotted == "4.04"
        stranger = await DtlsDevice(port, shown=pair("meter-1"), suites=ECDSA_SUITES).connect()
        with pytest.raises(SSL.ZeroReturnError):
            await stranger.receive()
        assert (await operator.ask("DELETE", f"/v1/devices/{made['id']}")).status == 204
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        device.close()
        stranger.close()
