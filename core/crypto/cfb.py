"""AES-CFB as Mainflux and Magistrala use it for secure bootstrap: no padding, no authentication (NIST SP 800-38A, section 6.3).

It is here for devices that speak nothing else. Whoever has the one key of a service reads and alters everything under it.
"""

from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

KEY_BYTES: Final = (16, 24, 32)
IV_BYTES: Final = 16


class Envelope:
    """Encrypts one message under a key and an initialisation vector of its own."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._key = key
        self._iv = iv

    def close(self, plaintext: bytes) -> bytes:
        """Return the initialisation vector and the ciphertext, 16 bytes more than the plaintext."""
        encryptor = Cipher(algorithms.AES(self._key), CFB(self._iv)).encryptor()
        return self._iv + encryptor.update(plaintext) + encryptor.finalize()


def decrypt(key: bytes, message: bytes) -> bytes:
    """Return the plaintext of initialisation vector and ciphertext. Raises `ValueError` for less than 16 bytes."""
    decryptor = Cipher(algorithms.AES(key), CFB(message[:IV_BYTES])).decryptor()
    return decryptor.update(message[IV_BYTES:]) + decryptor.finalize()
