"""Certificates as devices ask for them over each protocol, and what is open to everybody."""

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509

from adapters.answering import Answering, AnsweringConfig, Identities
from adapters.dialects import device_api
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Success
from adapters.watching import Watches
from core.crypto.bundles import read_bundle, write_pem
from core.crypto.signing_requests import REQUEST_BYTES, read_request
from core.errors import Reason
from core.messages import AskAuthorities, AskRevocations, SignRequest
from core.permit import Permit
from core.revocations import RevocationList, TellAuthorities
from tests.core.openssl import request, verify
from tests.core.signing import LOGIN, SigningRegistry
from tests.exchange.stand_in import RememberingMeter

PATH = "/v1/devices/me/certificate"
ASKED, ANSWERED = "v1/devices/me/certificate/request", "v1/devices/me/certificate/response"
TOKEN = "token-of-meter-1"
PEER = Peer("192.0.2.7", 4711)
CARRIERS = pytest.mark.parametrize("carrier", Carrier)


@pytest.fixture(scope="module")
def csr(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A device's request."""
    return request(tmp_path_factory.mktemp("device"))


class Office:
    """What answers the devices."""

    def __init__(self) -> None:
        self.registry = SigningRegistry()
        base = self.registry.repository, self.registry.clock
        use_cases: dict[type, Any] = {
            SignRequest: self.registry.sign,
            AskAuthorities: TellAuthorities(self.registry.authority),
            AskRevocations: RevocationList(*base, self.registry.authority),
        }
        authenticate = self.registry.authenticate
        permit = Permit(self.registry.repository, self.registry.issuer)
        self.answering = Answering(
            [device_api],
            use_cases,
            Identities(authenticate, authenticate.holds, permit, self.registry.handshakes),
            self.registry.audit,
            self.registry.clock,
            self.registry.entropy,
            RememberingMeter(),
            Watches(),
            AnsweringConfig(),
        )

    async def ask(self, carrier: Carrier, body: bytes, content_type: str | None = None, **fields: Any) -> Outbound:
        """Ask for a certificate, proved by the device's token or, over MQTT, by its connection."""
        if carrier is Carrier.HTTP:
            fields = {"headers": {"authorization": f"Bearer {TOKEN}"}} | fields
        elif carrier is Carrier.COAP:
            fields = {"query": {"auth": TOKEN}} | fields
        else:
            fields = {"identity": await self.answering.login(LOGIN, carrier, PEER)} | fields
        method, path = ("PUBLISH", ASKED) if carrier is Carrier.MQTT else ("POST", PATH)
        inbound = Inbound(carrier=carrier, method=method, path=path, peer=PEER, body=body, content_type=content_type, **fields)
        return await self.answering.handle(inbound)

    async def fetch(self, carrier: Carrier, path: str) -> Outbound:
        """Fetch what is open to everybody."""
        return await self.answering.handle(Inbound(carrier=carrier, method="GET", path=path, peer=PEER))


async def office() -> Office:
    """Return one that knows a device."""
    made = Office()
    await made.registry.meter()
    return made


@CARRIERS
async def test_a_device_is_given_a_certificate(carrier: Carrier, csr: bytes, tmp_path: Path) -> None:
    desk = await office()
    answer = await desk.ask(carrier, json.dumps({"csr": csr.decode()}).encode())
    assert (answer.outcome, answer.content_type) == (Success.CREATED, "application/json")
    assert answer.headers == (("Cache-Control", "no-store"),)
    assert answer.topic == (ANSWERED if carrier is Carrier.MQTT else None)
    document = json.loads(answer.body)
    assert list(document) == ["certificate", "chain", "ca", "expires_at"]
    verify(tmp_path, document["certificate"], document["ca"], desk.registry.clock.now())
    found = x509.load_pem_x509_certificate(document["certificate"].encode())
    assert document["expires_at"] == f"{found.not_valid_after_utc:%Y-%m-%dT%H:%M:%S}.000Z"
    assert document["chain"] == ""


@CARRIERS
async def test_a_key_is_made_for_it(carrier: Carrier) -> None:
    desk = await office()
    document = json.loads((await desk.ask(carrier, b'{"key":"ec-p256"}')).body)
    assert document["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")


async def test_the_request_may_come_by_itself(csr: bytes) -> None:
    desk = await office()
    for body in (csr, read_request(csr).der):
        answer = await desk.ask(Carrier.HTTP, body, "application/PKCS10; charset=utf-8")
        assert answer.outcome is Success.CREATED


async def test_cbor_is_spoken(csr: bytes) -> None:
    desk = await office()
    for content in (csr.decode(), read_request(csr).der):
        headers = {"authorization": f"Bearer {TOKEN}", "accept": "application/cbor"}
        body = cbor2.dumps({"csr": content})
        answer = await desk.ask(Carrier.HTTP, body, "application/cbor", headers=headers)
        assert answer.content_type == "application/cbor"
        assert cbor2.loads(answer.body)["certificate"].startswith("-----BEGIN CERTIFICATE-----\n")


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_what_a_connection_proved_is_enough(carrier: Carrier, csr: bytes) -> None:
    desk = await office()
    identity = await desk.answering.login(LOGIN, Carrier.MQTT, PEER)
    answer = await desk.ask(carrier, csr, "application/pkcs10", identity=identity, headers={}, query={})
    assert answer.outcome is Success.CREATED
    answer = await desk.ask(carrier, csr, "application/pkcs10", headers={}, query={})
    assert answer.outcome is Reason.UNAUTHENTICATED


@CARRIERS
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"csr":null,"key":null}',
        b'{"csr":7}',
        b'{"csr":""}',
        b'{"csr":"nothing"}',
        b'{"csr":"\\ud800"}',
        b'{"key":"dsa"}',
        b'{"key":7}',
        b'{"csr":"x","key":"ec-p256"}',
        json.dumps({"csr": "x" * (REQUEST_BYTES + 1)}).encode(),
    ],
)
async def test_what_means_nothing_is_refused(carrier: Carrier, body: bytes) -> None:
    desk = await office()
    answer = await desk.ask(carrier, body)
    assert answer.outcome is Reason.MALFORMED
    assert list(json.loads(answer.body)) == ["detail"]
    assert answer.topic == (ANSWERED if carrier is Carrier.MQTT else None)
    assert await desk.registry.issued() == ()


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_nothing_is_no_request(carrier: Carrier) -> None:
    assert (await (await office()).ask(carrier, b"")).outcome is Reason.MALFORMED


async def test_over_mqtt_nothing_asks_for_the_authority() -> None:
    desk = await office()
    answer = await desk.ask(Carrier.MQTT, b"")
    assert (answer.outcome, answer.topic) == (Success.OK, ANSWERED)
    assert json.loads(answer.body) == {"ca": write_pem(desk.registry.authority.authorities)}


@pytest.mark.parametrize("body", [b"", b"\0", b"A" * (REQUEST_BYTES + 1)])
async def test_what_is_no_request_is_refused(body: bytes) -> None:
    desk = await office()
    assert (await desk.ask(Carrier.HTTP, body, "application/pkcs10")).outcome is Reason.MALFORMED


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_everybody_may_fetch_the_authority_and_its_list(carrier: Carrier) -> None:
    desk = await office()
    answer = await desk.fetch(carrier, "/v1/ca/certificates")
    assert (answer.outcome, answer.content_type) == (Success.OK, "application/pem-certificate-chain")
    assert read_bundle(answer.body) == desk.registry.authority.authorities
    assert answer.body.decode() == write_pem(desk.registry.authority.authorities)
    answer = await desk.fetch(carrier, "/v1/ca/crl")
    assert (answer.outcome, answer.content_type) == (Success.OK, "application/pkix-crl")
    assert list(x509.load_der_x509_crl(answer.body)) == []


def test_what_is_open_to_everybody_holds_no_secret() -> None:
    public = {route.path: route.public for route in device_api.ROUTES if route.carrier is Carrier.HTTP}
    assert (public["/v1/ca/certificates"], public["/v1/ca/crl"], public[PATH]) == (True, True, False)
