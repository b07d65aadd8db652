"""Devices that prove themselves by a chain of certificates alone, from nothing to telemetry, over all that is protected."""

from pathlib import Path

from tests.brokers.fronted import WATCHER, broker_with_rules
from tests.brokers.paho_device import VERSIONS, Device
from tests.dtls.dtls_peers import BOTH_CLIENTS, VARIANTS
from tests.e2e.trusting import ATTRIBUTES, READING, TOPIC, Trusting, ca, leaf, pem, trusting
from tests.protocols.scenario_cast import needs
from tests.tls.tls_parties import Place

pytestmark = [needs("curl"), *(mark for each in BOTH_CLIENTS for mark in each.marks)]


async def test_a_device_comes_over_everything_with_its_certificate_alone(tmp_path: Path, home: Place) -> None:
    factory = ca()
    between = ca("Line 7", factory)
    async with trusting(tmp_path, home) as there:
        await there.chain_profile("meters", factory)
        for number, version in enumerate(VERSIONS):
            files = there.files(leaf(f"mqtt-{number}.example", between), between, factory)
            async with there.paho(files, version=version) as device:
                assert await device.say(TOPIC, READING.encode()) == 0
            assert (await there.named(f"mqtt-{number}"))["state"] == "connected"
        files = there.files(leaf("https-1.example", factory))  # its own certificate alone, as most clients send it
        assert await there.post(files) == "200"
        assert await there.curl(ATTRIBUTES, files=files) == "200 {}"
        assert (await there.named("https-1"))["state"] == "connected"
        for variant in VARIANTS:
            proof = there.certified(there.files(leaf(f"{variant}-1.example", factory)))
            assert await there.coaps(variant, *proof) == "2.01"
            assert await there.coaps(variant, *proof, path=ATTRIBUTES, body="") == "2.05 {}"
            assert await there.coaps(variant, *proof, over="coaps+tcp") == "2.01"
            assert (await there.named(f"{variant}-1"))["state"] == "connected"
        assert await there.refusals() == []


async def test_a_profile_of_the_command_line_lets_in_as_well(tmp_path: Path, home: Place) -> None:
    factory = ca()
    file = tmp_path / "factory-ca.pem"
    file.write_text(pem(factory))
    async with trusting(tmp_path, home) as there:
        rules = ("--strategy", "certificate_chain", "--certificate", str(file), "--pattern", r"^valve (.*)$", "--no-create")
        assert factory.id in await there.firstlight("profile", "create", "valves", *rules)
        files = there.files(leaf("valve 7", factory))
        assert await there.mqtt_code(files) == 0x87
        assert set(await there.refusals()) == {"device.unknown"}
        earlier = str(there.files(leaf("valve 7", factory)).chain)
        await there.firstlight("device", "define", "7", "--profile", "valves", "--certificate-file", earlier)
        assert await there.mqtt_code(files) == 0
        assert (await there.named("7"))["state"] == "connected"


async def test_a_newer_certificate_takes_the_place_of_the_one_before(tmp_path: Path, home: Place) -> None:
    factory = ca()
    old, new = (leaf("m-1.example", factory) for _ in range(2))
    async with trusting(tmp_path, home) as there:
        profile = await there.chain_profile("meters", factory)
        async with there.paho(there.files(old)) as device:
            assert device.is_in
            (before,) = await credentials(there, "m-1")
            assert await there.post(there.files(new)) == "200"
            assert await device.ended() == 0x87
        (after,) = await credentials(there, "m-1")
        assert after != before
        await there.operator.patch(f"/v1/profiles/{profile['id']}", {"strategy": "disabled"})  # no further ones are let in
        assert await there.post(there.files(old)) == "401"
        assert await there.mqtt_code(there.files(old)) == 0x87
        assert await there.post(there.files(new)) == "200"


async def credentials(there: Trusting, name: str) -> list[str]:
    """Return the ids of a device's certificates."""
    device = await there.named(name)
    held = await there.operator.get(f"/v1/devices/{device['id']}/credentials")
    return [each["id"] for each in held["items"] if each["type"] == "x509_certificate"]


@needs("mosquitto")
async def test_a_device_goes_on_to_the_broker_by_its_certificate(tmp_path: Path, home: Place) -> None:
    files_of = (leaf("m-1.example", factory := ca()), factory)
    async with (
        broker_with_rules(tmp_path / "broker", certfile=str(home.certificate), keyfile=str(home.key)) as broker,
        Device(broker.port, WATCHER, filters=("#",), tls=home.client()) as listening,
        trusting(
            tmp_path / "gateway", home, MQTT_UPSTREAM=f"mqtts://127.0.0.1:{broker.port}", MQTT_UPSTREAM_CA=str(home.authority)
        ) as there,
    ):
        await there.chain_profile("meters", factory)
        async with there.paho(there.files(*files_of), filters=("v1/devices/me/rpc/request/+",)) as device:
            assert await device.say(TOPIC, READING.encode()) == 0
            identity = (await there.named("m-1"))["id"]
            await listening.hears(f"v1/devices/{identity}/up/telemetry", READING.encode())
            listening.send(f"v1/devices/{identity}/down/rpc/request/1", b"{}")
            await device.hears("v1/devices/me/rpc/request/1", b"{}")
            await there.operator.patch(f"/v1/devices/{identity}", {"enabled": False})
            assert await device.ended() == 0x87
        assert await there.mqtt_code(there.files(*files_of)) == 0x87
