"""Certificates that devices signed themselves, registered in a vendor's own words, let in over everything that is protected."""

from pathlib import Path
from typing import Any

import pytest

from tests.core.authorities import Holder
from tests.dtls.dtls_peers import VARIANTS
from tests.e2e.trusting import ATTRIBUTES, READING, TOPIC, Trusting, leaf, pem, trusting
from tests.protocols.scenario_cast import needs
from tests.tls.tls_parties import Place

pytestmark = [needs("curl"), needs("coap-client-openssl"), needs("coap-client-gnutls")]


async def register_with_thingsboard(there: Trusting, holder: Holder) -> str:
    """Have a device register its own certificate when it is provisioned; returns its id."""
    made = await there.operator.post("/v1/profiles", {"name": "meters"})
    claim = {"provisionDeviceKey": made["provision_key"], "provisionDeviceSecret": made["provision_secret"]}
    proposed = {"credentialsType": "X509_CERTIFICATE", "hash": pem(holder)}
    given = await there.operator.post("/api/v1/provision", {"deviceName": "m-1", **claim, **proposed})
    assert (given["status"], given["credentialsType"]) == ("SUCCESS", "X509_CERTIFICATE")
    return str((await there.named("m-1"))["id"])


async def register_with_xively(there: Trusting, holder: Holder) -> str:
    """Have a manufacturer register the certificate of a device; returns its id."""

    async def post(path: str, **body: Any) -> Any:
        return await there.operator.post(f"/api/v1/{path}", {"accountId": "default", **body})

    template = await post("devices/templates", name="jackets", authenticationMethod="certificate")
    made = await post("devices", deviceTemplateId=template["deviceTemplate"]["id"], serialNumber="m-1")
    identity = str(made["device"]["id"])
    given = await post("access/mqtt-credentials", entityId=identity, entityType="device", certificate=pem(holder))
    assert given["mqttCredential"]["certificate"] == pem(holder)
    return identity


@pytest.mark.parametrize("register", [register_with_thingsboard, register_with_xively])
async def test_a_registered_certificate_is_all_that_a_device_needs(tmp_path: Path, home: Place, register: Any) -> None:
    holder, stranger = leaf("m-1"), leaf("m-1")
    async with trusting(tmp_path, home) as there:
        identity = await register(there, holder)
        files, foreign = there.files(holder), there.files(stranger)
        assert await there.post(files) == "200"
        assert await there.curl(ATTRIBUTES, files=files) == "200 {}"
        for variant in VARIANTS:
            assert await there.coaps(variant, *there.certified(files)) == "2.01"
        assert (await there.operator.get(f"/v1/devices/{identity}"))["state"] == "connected"
        assert await there.mqtt_code(foreign) == 0x87
        assert await there.post(foreign) == "401"
        assert set(await there.refusals()) == {"certificate.unknown", "device.credential_missing"}
        async with there.paho(files) as device:
            assert await device.say(TOPIC, READING.encode()) == 0
            assert (await there.operator.ask("DELETE", f"/v1/devices/{identity}/credentials")).status == 204
            assert await device.ended() == 0x87
        assert await there.post(files) == "401"


async def test_a_device_of_xively_publishes_where_its_client_does(tmp_path: Path, home: Place) -> None:
    holder = leaf("m-1")
    async with trusting(tmp_path, home) as there:
        identity = await register_with_xively(there, holder)
        own = f"xi/blue/v1/default/d/{identity}"
        async with there.paho(there.files(holder), client_id=identity, filters=(f"{own}/control",)) as device:
            assert list(device.granted.values()) == [[1]]
            assert await device.say(f"{own}/temperature", READING.encode()) == 0
