"""CoAP over DTLS against libcoap's client, over OpenSSL and over GnuTLS."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from core.messages import CertificateLogin
from tests.dtls.dtls_peers import BOTH_CLIENTS, WRONG_KEY, coap_client, pair, preshared, secured
from tests.protocols.coap_peers import BIG, until, written


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_client_comes_in_with_a_preshared_key(variant: str) -> None:
    async with secured() as served:
        assert await coap_client(variant, *preshared(), "-m", "get", f"{served.url}/who") == "dev-42"
        await until(lambda: served.sessions == 0)  # it says goodbye
    (inbound,) = served.exchange.seen
    assert inbound.peer.secure
    assert inbound.identity is not None


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_claim_key_is_proved_by_its_secret(variant: str) -> None:
    async with secured() as served:
        assert await coap_client(variant, *preshared("claim"), "-m", "get", f"{served.url}/who") == "claim"
    assert served.exchange.seen[0].identity is None
    assert served.exchange.logins == []


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_large_bodies_go_both_ways_in_blocks(tmp_path: Path, variant: str) -> None:
    body, out = hashlib.shake_128(b"body").digest(60_000), tmp_path / "out"
    async with secured() as served:
        sent = written(tmp_path, "body", body)
        await coap_client(variant, *preshared(), "-m", "put", "-f", sent, "-o", str(out), f"{served.url}/echo")
        assert served.exchange.seen[0].body == body
        assert out.read_bytes() == body
        await coap_client(variant, *preshared(), "-m", "get", "-o", str(out), f"{served.url}/big")
    assert out.read_bytes() == BIG


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_wrong_key_and_unknown_name_look_the_same(variant: str) -> None:
    async with secured() as served:
        both = (preshared("dev-42", WRONG_KEY), preshared("nobody"))
        asking = (coap_client(variant, *one, "-m", "get", f"{served.url}/who", seconds=1) for one in both)
        assert {output.partition(" ERR ")[2] for output in await asyncio.gather(*asking)} == {" cannot send CoAP pdu"}
        assert served.sessions == 0
        assert [peer.address for peer in served.exchange.mistrusted] == ["127.0.0.1"] * 2
    assert served.meter.bounds["coap.dtls_wrong_key"] == 2
    assert served.exchange.seen == []


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
@pytest.mark.parametrize("kind", ["ec", "rsa"])
async def test_client_comes_in_with_a_certificate(tmp_path: Path, variant: str, kind: str) -> None:
    authority = pair("an authority", authority=True)
    key = rsa.generate_private_key(65_537, 2_048) if kind == "rsa" else None
    server, device = pair("127.0.0.1", key, authority), pair("dev-43")
    certificate, private = device.written(tmp_path, "device")
    ca, _ = authority.written(tmp_path, "ca")
    shown = ("-c", certificate, "-j", private, "-C", ca)
    async with secured(server.material()) as served:
        assert await coap_client(variant, *shown, "-m", "get", f"{served.url}/who") == "dev-43"
    ((login, peer),) = served.exchange.logins
    assert login == CertificateLogin((device.der,))
    assert peer.secure


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_client_without_a_certificate_is_nobody_on_a_safe_wire(tmp_path: Path, variant: str) -> None:
    authority = pair("an authority", authority=True)
    ca, _ = authority.written(tmp_path, "ca")
    async with secured(pair("127.0.0.1", None, authority).material()) as served:
        assert await coap_client(variant, "-C", ca, "-m", "get", f"{served.url}/who") == "nobody"
    (inbound,) = served.exchange.seen
    assert inbound.peer.secure


@pytest.mark.parametrize("variant", BOTH_CLIENTS)
async def test_client_observes(variant: str) -> None:
    async with secured() as served:
        out = await coap_client(variant, *preshared(), "-s", "1", "-m", "get", f"{served.url}/version", seconds=2)
        await until(lambda: not served.exchange.watching)
    assert out.startswith("v1")
