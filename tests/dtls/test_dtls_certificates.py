"""Certificates in a DTLS handshake, the server's and the device's."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL, crypto

from adapters.coap.dtls.acceptance import is_strong
from adapters.tls.material import ServerMaterial
from core.messages import CertificateLogin
from tests.dtls.dtls_peers import ECDSA_SUITES, pair, secured


async def test_certificate_chain_arrives_as_it_was_sent() -> None:
    authority = pair("an authority", authority=True)
    shown = pair("dev-43", None, authority)
    async with secured(pair("server").material()) as served:
        device = await served.device(shown=shown, behind=authority, suites=ECDSA_SUITES).connect()
        assert await device.who() == b"dev-43"
        ((login, peer),) = served.exchange.logins
        assert login == CertificateLogin((shown.der, authority.der))
        assert peer.secure
        assert served.exchange.questions == []


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65_537, 1_024), ec.generate_private_key(ec.SECP224R1())], ids=["rsa", "ec"]
)
async def test_short_key_is_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    async with secured(pair("server").material()) as served:
        device = served.device(shown=pair("dev-43", key), suites=ECDSA_SUITES)
        with pytest.raises(SSL.Error):
            await device.connect()
        assert served.exchange.logins == []
        assert served.sessions == 0


async def test_named_authorities_are_the_only_ones() -> None:
    authority = pair("an authority", authority=True)
    async with secured(pair("server").material(authority.der)) as served:
        guest = served.device(shown=pair("dev-43", None, authority), suites=ECDSA_SUITES)
        assert await (await guest.connect()).who() == b"dev-43"
        stranger = served.device(shown=pair("dev-43"), suites=ECDSA_SUITES)
        with pytest.raises(SSL.Error):
            await stranger.connect()
        assert await (await served.device().connect()).who() == b"dev-42"


async def test_new_certificate_is_shown_to_new_sessions(caplog: pytest.LogCaptureFixture) -> None:
    first, second = pair("first"), pair("second")
    async with secured(first.material()) as served:
        early = await served.device(suites=ECDSA_SUITES).connect()
        served.material = second.material()
        late = await served.device(suites=ECDSA_SUITES).connect()
        served.material = ServerMaterial((second.der,), first.key)
        last = await served.device(suites=ECDSA_SUITES).connect()
        shown = [device.connection.get_peer_certificate(as_cryptography=True) for device in (early, late, last)]
        assert shown == [first.certificate, second.certificate, second.certificate]
        assert await early.who() == b"nobody"
    assert "the old one stays" in caplog.text


async def test_server_without_a_certificate_wants_a_preshared_key() -> None:
    async with secured() as served:
        with pytest.raises(SSL.Error):
            await served.device(suites=ECDSA_SUITES).connect()
        assert served.meter.bounds["coap.dtls_broken"] == 1


async def test_key_of_another_kind_is_taken() -> None:
    shown = pair("dev-43", ed25519.Ed25519PrivateKey.generate())
    async with secured(pair("server").material()) as served:
        device = await served.device(shown=shown, suites=ECDSA_SUITES).connect()
        assert await device.who() == b"dev-43"


def test_certificate_that_cannot_be_read_is_not_taken() -> None:
    assert not is_strong(crypto.X509())
