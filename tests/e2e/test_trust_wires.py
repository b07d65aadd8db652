"""What protects the wires of a whole gateway: versions and ciphers, and certificates that change while it runs."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.brokers.waiting import until_so
from tests.dtls.dtls_peers import DtlsDevice
from tests.e2e.trusting import ATTRIBUTES, READING, TELEMETRY, TOPIC, Trusting, ca, leaf, pem, trusting
from tests.protocols.coap_peers import CON, POST, message
from tests.protocols.scenario_cast import needs
from tests.protocols.scenario_clients import run
from tests.tls.tls_parties import Place, place

OFFERS = {
    "TLS 1.0": ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
    "TLS 1.1": ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    "no forward secrecy": ("-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"),
    "no authenticated encryption": ("-tls1_2", "-cipher", "SHA1:SHA256:SHA384:!AEAD:@SECLEVEL=0"),
    "finite fields": ("-tls1_2", "-cipher", "kDHE:@SECLEVEL=0"),
    "no certificate": ("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"),
    "no encryption": ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"),
}
SECRET = "a secret of twenty and more"


@needs("openssl")
async def test_nothing_of_yesterday_is_spoken(tmp_path: Path, home: Place) -> None:
    async with trusting(tmp_path, home) as there:
        for name in ("https", "mqtts", "coaps_tcp"):
            port = getattr(there.listening, name)[0].port
            said = await asyncio.gather(*(s_client(port, *words) for words in OFFERS.values()))
            for offer, heard in zip(OFFERS, said, strict=True):
                assert "Cipher is (NONE)" in heard, (name, offer)
                assert "no cipher match" not in heard.lower(), offer  # openssl itself knows what it offers
            for version in ("-tls1_2", "-tls1_3"):
                assert "Verify return code: 0 (ok)" in await s_client(port, version, "-CAfile", str(home.authority))
        dtls = there.listening.coaps[0].port
        assert "Cipher is (NONE)" in await s_client(dtls, "-dtls1", "-cipher", "ALL:@SECLEVEL=0")


async def s_client(port: int, *words: str) -> str:
    """Return what OpenSSL's client says of a server."""
    return (await run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *words)).decode(errors="replace")


async def test_where_authorities_are_named_no_other_certificate_gets_through_a_handshake(tmp_path: Path, home: Place) -> None:
    factory = ca()
    named = tmp_path / "factory-ca.pem"
    named.write_text(pem(factory))
    async with trusting(tmp_path, home, TLS_CLIENT_CA=str(named)) as there:
        await there.chain_profile("meters", factory)
        ours, foreign = there.files(leaf("m-1.example", factory)), there.files(leaf("m-1.example", ca()))
        assert await there.post(ours) == "200"
        assert await there.coaps("gnutls", *there.certified(ours)) == "2.01"
        assert (await there.post(foreign)).startswith("000 curl: ")
        assert "cannot send CoAP pdu" in await there.coaps("gnutls", *there.certified(foreign), seconds=2)
        assert await there.refusals() == []
        assert await there.curl("/healthz") == "200 ok"


async def test_a_new_certificate_is_served_and_nobody_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    own = place(tmp_path / "tls")
    factory = ca()
    async with trusting(tmp_path, own, TLS_RELOAD_SECONDS="0.1") as there:
        await there.chain_profile("meters", factory)
        credential = {"type": "client_secret", "secret": SECRET}
        await there.operator.post("/v1/profiles", {"name": "valves"})
        made = await there.operator.post("/v1/devices", {"name": "v-1", "profile": "valves", "credential": credential})
        files = there.files(leaf("m-1.example", factory))
        context = own.client()
        context.load_cert_chain(files.chain, files.key)
        url = f"https://127.0.0.1:{there.listening.https[0].port}{ATTRIBUTES}"
        sensor = await DtlsDevice(there.listening.coaps[0].port, made["id"].encode(), SECRET).connect()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as session,
            there.paho(files) as device,
        ):
            for mid in range(3):
                async with session.get(url) as response:
                    assert (response.status, await response.read()) == (200, b"{}")
                assert await device.say(TOPIC, READING.encode()) == 0
                answer = await sensor.ask(message(CON, POST, mid, path=TELEMETRY.strip("/"), payload=READING.encode()))
                assert answer.dotted == "2.01"
                if mid == 0:
                    await renewed(there, own)
            assert (len(device.connacks), device.goodbyes) == (1, [])
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("127.0.0.1", there.listening.mqtts[0].port, ssl=context)
        sensor.close()
        assert await there.mqtt_code(there.files(leaf("m-2.example", factory))) == 0
        assert await there.post(there.files(leaf("m-3.example", factory))) == "200"
        proof = there.certified(there.files(leaf("m-4.example", factory)))
        assert await there.coaps("gnutls", *proof) == "2.01"


async def served(there: Trusting) -> set[str]:
    """Return the certificates that those who connect now are shown."""
    ports = (getattr(there.listening, name)[0].port for name in ("https", "mqtts", "coaps_tcp"))
    return {await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) for port in ports}


async def renewed(there: Trusting, own: Place) -> None:
    """Write other files, the first of them in two steps, and wait until everybody who comes is shown another certificate."""
    before = await served(there)

    async def have_changed() -> bool:
        return not before & await served(there)

    own.certificate.write_text("a file that somebody is writing")
    own.renew()
    await until_so(have_changed)
