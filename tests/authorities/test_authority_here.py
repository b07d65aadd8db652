"""The authority in the gateway, and key pairs: both away from the loop."""

import asyncio
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from adapters.authorities.embedded import EmbeddedAuthority
from adapters.authorities.key_pairs import ThreadedKeyPairs
from core.crypto.bundles import write_pem
from core.errors import Reason, Refusal
from core.ports import Revocation
from tests.authorities.elsewhere import asked, now, today
from tests.core.openssl import openssl, request, verify
from tests.exchange.stand_in import RememberingMeter


async def test_it_signs_certificates_and_lists(tmp_path: Path) -> None:
    authority = EmbeddedAuthority(today(), RememberingMeter(), "http://ca.example/crl", at_once=1)
    signed, root = await authority.sign(asked(request(tmp_path)))
    assert (root,) == authority.authorities
    verify(tmp_path, write_pem((signed,)), write_pem((root,)), now())
    serial = x509.load_der_x509_certificate(signed).serial_number
    crl = await authority.sign_revocations((Revocation(serial, now()),), now(), now() + 60_000)
    shown = openssl("crl", "-inform", "DER", "-noout", "-text", "-CAfile", str(tmp_path / "ca.pem"), given=crl)
    assert f"{serial:X}".encode() in shown


async def test_more_than_may_be_signed_at_once_are_sent_away(tmp_path: Path) -> None:
    meter = RememberingMeter()
    authority = EmbeddedAuthority(today(), meter, at_once=2)
    wanted = asked(request(tmp_path))
    answers = await asyncio.gather(*(authority.sign(wanted) for _ in range(3)), return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    assert [(refusal.reason, refusal.check) for refusal in refusals] == [(Reason.UNAVAILABLE, "issuing.busy")]
    assert meter.bounds == ["authority.at_once"]
    assert await authority.sign(wanted)


@pytest.mark.parametrize(("algorithm", "kind"), [("ec-p256", ec.EllipticCurvePrivateKey), ("rsa-2048", rsa.RSAPrivateKey)])
async def test_a_private_key_is_made(algorithm: str, kind: type) -> None:
    assert isinstance(load_der_private_key(await ThreadedKeyPairs(4, RememberingMeter()).make(algorithm), None), kind)


async def test_the_loop_goes_on_while_keys_are_made() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    other = asyncio.create_task(turn())
    await asyncio.sleep(0)
    await ThreadedKeyPairs(4, RememberingMeter()).make("rsa-3072")
    seen = turns
    other.cancel()
    assert seen > 1


async def test_more_than_may_wait_for_keys_are_sent_away() -> None:
    meter = RememberingMeter()
    key_pairs = ThreadedKeyPairs(2, meter)
    answers = await asyncio.gather(*(key_pairs.make("ec-p256") for _ in range(3)), return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    assert [(refusal.reason, refusal.check) for refusal in refusals] == [(Reason.UNAVAILABLE, "issuing.keys_pending")]
    assert meter.bounds == ["authority.key_pairs"]
    assert await key_pairs.make("ec-p256")
