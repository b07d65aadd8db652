"""Devices that prove themselves by a pre-shared key over CoAP and DTLS: what a claim, a configuration and a device have."""

import asyncio
import json
from pathlib import Path

import pytest
from OpenSSL import SSL

from tests.dtls.dtls_peers import VARIANTS, WRONG_KEY, DtlsDevice, preshared
from tests.e2e.trusting import ATTRIBUTES, READING, TELEMETRY, Trusting, ca, leaf, trusting
from tests.protocols.coap_peers import CON, POST, message
from tests.protocols.scenario_cast import needs
from tests.tls.tls_parties import Place

pytestmark = [needs("coap-client-openssl"), needs("coap-client-gnutls")]

SECRET = "a secret of twenty and more"
EXTERNAL_ID, EXTERNAL_KEY = "09:6:0:sb:sa", "the key from the factory"
LARGE = json.dumps({"reading": "x" * 3_000})
BOOTSTRAPS = ("/things/bootstrap", "/clients/bootstrap")


async def device_of(there: Trusting, name: str = "m-1") -> str:
    """Define a device with a client secret; returns its id."""
    await there.operator.ask("POST", "/v1/profiles", {"name": "meters"})
    credential = {"type": "client_secret", "secret": SECRET}
    made = await there.operator.post("/v1/devices", {"name": name, "profile": "meters", "credential": credential})
    return str(made["id"])


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_claim_is_proved_by_its_secret_and_the_body_has_neither(tmp_path: Path, home: Place, variant: str) -> None:
    async with trusting(tmp_path, home) as there:
        made = await there.operator.post("/v1/profiles", {"name": "meters"})
        claim = preshared(made["provision_key"], made["provision_secret"])

        async def provision(**body: str) -> str:
            return await there.coaps(variant, *claim, path="/api/v1/provision", body=json.dumps(body))

        code, _, body = (await provision(deviceName="m-1")).partition(" ")
        given = json.loads(body)
        assert (code, given["status"], given["credentialsType"]) == ("2.01", "SUCCESS", "ACCESS_TOKEN")
        token = given["credentialsValue"]
        assert await there.curl(f"/api/v1/{token}/attributes") == "200 {}"
        large = {"deviceName": "m-2", "credentialsType": "X509_CERTIFICATE", "hash": "QUJD" * 600}
        assert json.loads((await provision(**large)).removeprefix("2.01 "))["credentialsValue"] == large["hash"]
        assert (await provision(deviceName="m-3", provisionDeviceKey="another")) == "4.00"
        assert await there.coaps(variant, *claim) == "4.01"  # it is a claim, and no device


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_device_fetches_its_configuration_by_its_external_key(tmp_path: Path, home: Place, variant: str) -> None:
    async with trusting(tmp_path, home) as there:
        config = {"external_id": EXTERNAL_ID, "external_key": EXTERNAL_KEY, "content": "y" * 3_000}
        made = await there.operator.post("/v1/configs", config)
        keys = preshared(EXTERNAL_ID, EXTERNAL_KEY)
        for path, named in zip(BOOTSTRAPS, ("thing", "client"), strict=True):
            answer = await there.coaps(variant, *keys, path=f"{path}/{EXTERNAL_ID}", body="")
            document = json.loads(answer.removeprefix("2.05 "))
            assert document["content"] == "y" * 3_000
            assert made["id"] in document.values(), named
        assert (await there.coaps(variant, *keys, path=f"{BOOTSTRAPS[0]}/another", body="")).startswith("4.0")


@needs("curl")
async def test_nobody_fetches_the_configuration_of_another(tmp_path: Path, home: Place) -> None:
    factory = ca()
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory)
        files = {name: there.files(leaf(f"{name}.example", factory)) for name in ("ours", "theirs")}
        for name, proof in files.items():
            assert await there.post(proof) == "200"
            config = {"external_id": name, "external_key": f"key of {name}", "content": f"for {name}"}
            await there.operator.post("/v1/configs", config | {"device": (await there.named(name))["id"]})
        keys = preshared("ours", "key of ours")
        for path in BOOTSTRAPS:
            assert "for ours" in await there.curl(f"{path}/ours", files=files["ours"])
            assert (await there.curl(f"{path}/theirs", files=files["ours"])).startswith("403 ")
            assert await there.coaps("gnutls", *keys, path=f"{path}/theirs", body="") == "4.03"
        wrong = ("-H", "Authorization: Thing another key")  # counts where it is sent, whatever the certificate proves
        assert (await there.curl(f"{BOOTSTRAPS[0]}/ours", *wrong, files=files["ours"])).startswith("403 ")
        assert await there.coaps("gnutls", *keys) == "4.03"  # an external key is good for the configuration alone
        assert await there.refusals() == ["identity.other"] * 4 + ["bootstrap.key", "identity.bootstrap_only"]


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_device_reports_by_its_id_and_secret(tmp_path: Path, home: Place, variant: str) -> None:
    async with trusting(tmp_path, home) as there:
        keys = preshared(await device_of(there), SECRET)
        assert await there.coaps(variant, *keys) == "2.01"
        assert await there.coaps(variant, *keys, body=LARGE) == "2.01"
        assert await there.coaps(variant, *keys, path=ATTRIBUTES, body="") == "2.05 {}"
        assert (await there.named("m-1"))["state"] == "connected"


async def test_unknown_names_and_wrong_keys_get_nobody_in(tmp_path: Path, home: Place) -> None:
    async with trusting(tmp_path, home) as there:
        identity = await device_of(there)
        asked = [(variant, preshared(*keys)) for variant in VARIANTS for keys in ((identity, WRONG_KEY), ("nobody", SECRET))]
        said = await asyncio.gather(*(there.coaps(variant, *keys, seconds=1) for variant, keys in asked))
        assert {each.splitlines()[-1].partition(" ERR ")[2] for each in said} == {" cannot send CoAP pdu"}
        assert (await there.named("m-1"))["state"] == "defined"
        assert (await there.operator.figures())['firstlight_bounds_total{bound="coap.dtls_wrong_key"}'] == 4


def report(mid: int) -> bytes:
    """Write a report."""
    return message(CON, POST, mid, path=TELEMETRY.strip("/"), payload=READING.encode())


async def test_who_is_revoked_while_connected_is_answered_no_more(tmp_path: Path, home: Place) -> None:
    async with trusting(tmp_path, home) as there:
        identity = await device_of(there)
        device = await DtlsDevice(there.listening.coaps[0].port, identity.encode(), SECRET).connect()
        assert (await device.ask(report(1))).dotted == "2.01"
        another = device.encrypted(report(2))
        assert (await there.operator.ask("DELETE", f"/v1/devices/{identity}/credentials")).status == 204
        with pytest.raises(SSL.ZeroReturnError):
            await device.receive()
        device.socket.send(another)  # of a device that does not listen
        device.close()
        figures = await there.operator.figures()
        reports = [figures[sample] for sample in figures if 'operation="telemetry"' in sample and "_total" in sample]
        assert reports == [1]
        assert "2.0" not in await there.coaps("openssl", *preshared(identity, SECRET), seconds=1)
