"""Bootstrap by challenge and response: how a device asks, and what it is given. `deploy/devices/challenge.md` specifies it."""

import base64
import binascii
from typing import Any, Final

import msgspec

from adapters.dialects.device_api import forms
from adapters.dialects.device_api.requests import fields_of, text_of
from adapters.exchange import Carrier, Guest, Inbound, Outbound, Success
from core.crypto.challenges import NONCE_BYTES, PROOF_BYTES
from core.errors import Reason, Refusal
from core.messages import AskChallenge, Bootstrapped, ChallengeOffered, ProvenBootstrap, SealedBootstrap

OFFER: Final = "offer_challenge"
PROVE: Final = "bootstrap_by_challenge"
OPERATIONS: Final = (OFFER, PROVE)
TOPICS: Final = (("v1/bootstrap/challenge", OFFER), ("v1/bootstrap", PROVE))
"""Where each is asked, without what a protocol puts before or behind it."""

GUEST: Final = Guest(
    name="bootstrap",
    login="bootstrap",
    subscriptions=tuple(f"{topic}/response" for topic, _ in TOPICS),
    linger_seconds=None,
)
CHALLENGE_BYTES: Final = 256
"""More than any has, so that others may be longer one day."""

_ID_CHARACTERS = 255
_NOT_STORED = ("Cache-Control", "no-store")

Question = AskChallenge | ProvenBootstrap
Answer = ChallengeOffered | SealedBootstrap


class Challenge(msgspec.Struct, frozen=True):
    """What a device has to prove its key with, within so many seconds."""

    challenge: bytes
    nonce: bytes
    expires_in: int


class SealedAnswer(msgspec.Struct, frozen=True):
    """A configuration, and in the clear what it was sealed together with: its version, and what it is when opened."""

    version: int
    content_type: str
    sealed: bytes


class ShownChannel(msgspec.Struct, frozen=True):
    """A channel of the device."""

    id: str
    name: str
    metadata: dict[str, Any]


class ShownCertificates(msgspec.Struct, frozen=True):
    """What the device needs for TLS, each as the operator gave it, empty where there is none."""

    client_cert: str
    client_key: str
    ca_cert: str


class Configuration(msgspec.Struct, frozen=True):
    """What is sealed: the device's id and secret, its channels, its content and its certificates, all members always."""

    id: str
    secret: str
    version: int
    channels: tuple[ShownChannel, ...]
    content: str
    certificates: ShownCertificates


def read(operation: str, inbound: Inbound) -> Question:
    """Read a request. Raises `Refusal` MALFORMED."""
    fields = fields_of(inbound)
    external_id, nonce = id_of(fields), _bytes_of(fields, "nonce", NONCE_BYTES, NONCE_BYTES)
    if operation == OFFER:
        return AskChallenge(external_id, nonce)
    return ProvenBootstrap(
        external_id=external_id,
        nonce=nonce,
        challenge=_bytes_of(fields, "challenge", 1, CHALLENGE_BYTES),
        proof=_bytes_of(fields, "proof", PROOF_BYTES, PROOF_BYTES),
    )


def write(result: Answer, inbound: Inbound, topic: str | None) -> Outbound:
    """Write the answer to a granted request."""
    document = _offered(result) if isinstance(result, ChallengeOffered) else _sealed(result, inbound)
    body, media_type = forms.write(msgspec.structs.asdict(document), inbound)
    return Outbound(
        outcome=Success.CHANGED if inbound.carrier is Carrier.COAP else Success.OK,
        body=body,
        content_type=media_type,
        headers=(_NOT_STORED,),
        topic=topic,
        form=inbound.form,
    )


def _offered(result: ChallengeOffered) -> Challenge:
    return Challenge(result.challenge, result.nonce, result.lifetime_seconds)


def _sealed(result: SealedBootstrap, inbound: Inbound) -> SealedAnswer:
    plaintext, media_type = forms.write(msgspec.to_builtins(_configuration(result.bootstrapped)), inbound)
    return SealedAnswer(result.seal.version, media_type, result.seal.close(plaintext, media_type))


def _configuration(result: Bootstrapped) -> Configuration:
    held = result.certificates
    return Configuration(
        id=result.config.id,
        secret=result.secret.reveal(),
        version=result.config.version,
        channels=tuple(ShownChannel(channel.id, channel.name, channel.metadata) for channel in result.channels),
        content=result.content,
        certificates=ShownCertificates(held.client_cert, held.client_key.reveal(), held.ca_cert),
    )


def id_of(fields: dict[object, object]) -> str:
    """Return the external id. Raises `Refusal` MALFORMED for what can be none."""
    found = text_of(fields, "external_id")
    if not found or len(found) > _ID_CHARACTERS:
        raise _malformed(f"external_id is not a text of 1 to {_ID_CHARACTERS} characters")
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise _malformed("external_id is not UTF-8") from error
    return found


def _bytes_of(fields: dict[object, object], name: str, at_least: int, at_most: int) -> bytes:
    """Return a member that is bytes: CBOR has them, JSON has base64 (RFC 4648, section 4) of them."""
    found = fields.get(name)
    if isinstance(found, str):
        found = _decoded(name, found)
    if not isinstance(found, bytes) or not at_least <= len(found) <= at_most:
        sizes = str(at_most) if at_least == at_most else f"{at_least} to {at_most}"
        raise _malformed(f"{name} is not base64, or in CBOR a byte string, of {sizes} bytes")
    return found


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"{name} is not base64") from error


def _malformed(detail: str) -> Refusal:
    return Refusal(Reason.MALFORMED, detail, check="body.field")
