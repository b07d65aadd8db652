"""The master key at work: secrets sealed for the registry, and keyed digests that find them again."""

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.model import Lookup, Sealed, Secret
from core.ports import Entropy

MASTER_KEY_BYTES = 32
_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_DECOY_BYTES = 16
_HEADER_BYTES = len(_FORMAT) + _KEY_ID_BYTES + _NONCE_BYTES


class SealBroken(Exception):
    """A sealed value was not made with this master key for this row, or was altered."""


class Vault:
    """Seals and opens with AES-256-GCM (NIST SP 800-38D) and makes lookups with HMAC-SHA-256 (RFC 2104).

    Every purpose has a key of its own, derived from the 32 bytes of the master key by HKDF (RFC 5869). A sealed value is
    `format (1) | key id (4) | nonce (12) | ciphertext and tag`, with the row's identity as associated data. The key id tells
    which master key sealed it, so that keys can be rotated: `previous` opens what it sealed, and seals nothing. Digests cannot
    be made again when keys are rotated, so the registry keeps the `lookup_key` that they are made with; None: the master key's.
    """

    def __init__(
        self, master_key: bytes, entropy: Entropy, *, previous: bytes | None = None, lookup_key: bytes | None = None
    ) -> None:
        masters = (master_key,) if previous is None else (master_key, previous)
        for each in masters:
            if len(each) != MASTER_KEY_BYTES:
                raise ValueError(f"the master key has {len(each)} bytes, not {MASTER_KEY_BYTES}")
        self._entropy = entropy
        self._ciphers = {key_id(each): AESGCM(_derive(each, b"seal")) for each in masters}
        self.session_key = _derive(master_key, b"session")  # signs tokens that stand for a login
        self.session_keys = tuple(_derive(each, b"session") for each in masters)  # those whose signatures count
        # Copied for each digest: it has taken in the key already, which is two thirds of what a short one costs.
        self._mac = HMAC(founding_lookup_key(master_key) if lookup_key is None else lookup_key, SHA256())
        self._key_id = key_id(master_key)
        self._decoy = self.seal(Secret(entropy.draw(_DECOY_BYTES).hex()), b"decoy")

    def seal(self, secret: Secret, row: bytes) -> Sealed:
        """Seal a secret for the row with this identity."""
        nonce = self._entropy.draw(_NONCE_BYTES)
        sealed = self._ciphers[self._key_id].encrypt(nonce, secret.reveal().encode("utf-8", "surrogatepass"), row)
        return Sealed(_FORMAT + self._key_id + nonce + sealed)

    def open(self, sealed: Sealed, row: bytes) -> Secret:
        """Open what was sealed for this row. Raises `SealBroken`."""
        cipher = self._ciphers.get(bytes(sealed[len(_FORMAT) : len(_FORMAT) + _KEY_ID_BYTES]))
        if cipher is None or not sealed.startswith(_FORMAT):
            raise SealBroken("sealed under another master key")
        nonce = sealed[_HEADER_BYTES - _NONCE_BYTES : _HEADER_BYTES]
        try:
            text = cipher.decrypt(nonce, sealed[_HEADER_BYTES:], row)
        except (InvalidTag, ValueError) as error:  # ValueError: cut off within the nonce
            raise SealBroken("altered, or sealed for another row") from error
        return Secret(text.decode("utf-8", "surrogatepass"))

    def sealed_now(self, sealed: Sealed) -> bool:
        """Tell whether this was sealed under the master key that seals now."""
        return sealed.startswith(_FORMAT + self._key_id)

    def open_decoy(self) -> Secret:
        """Do the work of opening a secret where there is none, so that an unknown key costs what a wrong secret costs."""
        return self.open(self._decoy, b"decoy")

    def lookup(self, purpose: str, text: str) -> Lookup:
        """Return the digest by which a text is found; equal texts of different purposes have different digests."""
        return Lookup(self.digest(purpose, text.encode("utf-8", "surrogatepass")))

    def digest(self, purpose: str, content: bytes) -> bytes:
        """Return the keyed digest of some bytes, 32 bytes."""
        mac = self._mac.copy()
        mac.update(purpose.encode() + b"\x00" + content)
        return mac.finalize()


def key_id(master_key: bytes) -> bytes:
    """Return the 4 bytes by which sealed values name a master key; nothing can be told from them."""
    return hashlib.sha256(_derive(master_key, b"key id")).digest()[:_KEY_ID_BYTES]


def founding_lookup_key(master_key: bytes) -> bytes:
    """Return the key for digests that a registry begins with, 32 bytes: from the first master key that it has."""
    return _derive(master_key, b"lookup")


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"firstlight " + purpose + b" 1").derive(master_key)
