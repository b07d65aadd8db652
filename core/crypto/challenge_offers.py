"""The challenge itself: nothing of it is kept, so what must be known again is in there, under a key that nobody else has."""

import hashlib
import hmac
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.crypto.challenges import IV_BYTES, NONCE_BYTES, Parties, encode, to_bytes
from core.crypto.vault import Vault

_TIME_BYTES = 8
_PURPOSE = "bootstrap challenge"


class Offer(msgspec.Struct, frozen=True):
    """What a challenge says: the gateway's nonce, until when it is good in milliseconds, and a digest of whom it is for."""

    server_nonce: bytes
    until: int
    holder: bytes

    def is_for(self, external_id: str, device_nonce: bytes) -> bool:
        """Tell whether it was given to these."""
        return hmac.compare_digest(self.holder, _holder(external_id, device_nonce))


NO_OFFER: Final = Offer(bytes(NONCE_BYTES), 0, b"")
"""Stands for a challenge that says nothing, so that it costs the same."""


def write(parties: Parties, until: int, epoch: bytes, vault: Vault) -> bytes:
    """Return a challenge for one epoch: the gateway's nonce and what is sealed behind it, 88 bytes."""
    content = until.to_bytes(_TIME_BYTES, "big") + _holder(parties.external_id, parties.device_nonce)
    return parties.server_nonce + _cipher(parties.server_nonce, epoch, vault).encrypt(bytes(IV_BYTES), content, None)


def read(challenge: bytes, epoch: bytes, vault: Vault) -> Offer:
    """Return what a challenge says; `NO_OFFER`: it was not made here in this epoch, or was altered."""
    server_nonce, sealed = challenge[:NONCE_BYTES], challenge[NONCE_BYTES:]
    try:
        content = _cipher(server_nonce, epoch, vault).decrypt(bytes(IV_BYTES), sealed, None)
    except InvalidTag:
        return NO_OFFER
    return Offer(server_nonce, int.from_bytes(content[:_TIME_BYTES], "big"), content[_TIME_BYTES:])


def _cipher(server_nonce: bytes, epoch: bytes, vault: Vault) -> AESGCM:
    """Return the cipher of one challenge. Each nonce has a key of its own, so one initialisation vector does for all."""
    return AESGCM(vault.digest(_PURPOSE, encode(epoch, server_nonce)))


def _holder(external_id: str, device_nonce: bytes) -> bytes:
    return hashlib.sha256(encode(to_bytes(external_id), device_nonce)).digest()
