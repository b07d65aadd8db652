"""Bootstrap by challenge and response: what a device proves, under which keys, and how its answer is sealed. Pure.

`deploy/devices/challenge.md` specifies it byte by byte. A field is its length (4 bytes, most significant first) and its bytes;
texts are UTF-8. The two keys are HKDF-SHA-256 (RFC 5869) of the external key; the salt is the device's nonce and then the
gateway's. The proof is HMAC-SHA-256 (RFC 2104) over the transcript, the answer AES-256-GCM (NIST SP 800-38D).
"""

import hmac
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.model import Secret

NONCE_BYTES: Final = 32  # of the device and of the gateway
PROOF_BYTES: Final = 32
IV_BYTES: Final = 12
LABEL: Final = b"firstlight bootstrap 1"
_PROOF, _ANSWER = LABEL + b" proof", LABEL + b" answer"
_KEY_BYTES = 32
_VERSION_BYTES = 8


class Parties(msgspec.Struct, frozen=True):
    """Whom one exchange is between: the external id of a device, its nonce and the gateway's."""

    external_id: str
    device_nonce: bytes
    server_nonce: bytes

    @property
    def fields(self) -> tuple[bytes, bytes, bytes]:
        """Return them as they are written."""
        return to_bytes(self.external_id), self.device_nonce, self.server_nonce


class ExchangeKeys:
    """What both sides have of an external key for one exchange and no other."""

    def __init__(self, external_key: Secret, parties: Parties) -> None:
        self._parties = parties
        salt = parties.device_nonce + parties.server_nonce
        key = to_bytes(external_key.reveal())
        self._proof_key, self._answer_key = (_derive(key, salt, info) for info in (_PROOF, _ANSWER))

    def prove(self, challenge: bytes) -> bytes:
        """Return the proof that a device has the key, 32 bytes."""
        return hmac.digest(self._proof_key, encode(LABEL, *self._parties.fields, challenge), "sha256")

    def seal(self, plaintext: bytes, version: int, content_type: str, iv: bytes) -> bytes:
        """Return the answer: the initialisation vector, the ciphertext and its tag, 28 bytes more than the plaintext."""
        return iv + AESGCM(self._answer_key).encrypt(iv, plaintext, self._bound(version, content_type))

    def open(self, answer: bytes, version: int, content_type: str) -> bytes:
        """Return the plaintext of an answer. Raises `ValueError` where it is anything but what was sealed for this exchange."""
        try:
            return AESGCM(self._answer_key).decrypt(answer[:IV_BYTES], answer[IV_BYTES:], self._bound(version, content_type))
        except (InvalidTag, ValueError) as error:  # ValueError: cut off within the initialisation vector
            raise ValueError("the answer was altered, or is one to something else") from error

    def _bound(self, version: int, content_type: str) -> bytes:
        """Return what the answer is sealed together with."""
        return encode(LABEL, *self._parties.fields, version.to_bytes(_VERSION_BYTES, "big"), to_bytes(content_type))


class AnswerSeal:
    """Seals the one answer of an exchange, which is version `version` of the configuration."""

    def __init__(self, keys: ExchangeKeys, version: int, iv: bytes) -> None:
        self._keys = keys
        self._iv = iv
        self.version = version

    def close(self, plaintext: bytes, content_type: str) -> bytes:
        """Return the answer, as `ExchangeKeys.seal` does."""
        return self._keys.seal(plaintext, self.version, content_type, self._iv)


def encode(*fields: bytes) -> bytes:
    """Join fields, each with its length, so that no two lists of them read the same."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def to_bytes(text: str) -> bytes:
    """Return a text as it is written in a field."""
    return text.encode("utf-8", "surrogatepass")


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=info).derive(key)
