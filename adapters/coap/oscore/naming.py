"""What an OSCORE option says of a request: whose it is, and which one of theirs (RFC 8613, section 6.1)."""

from typing import NamedTuple

PARTIAL_IV = 0b0000_0111  # its length
DEVICE_ID, ID_CONTEXT = 0b0000_1000, 0b0001_0000
RESERVED = 0b1110_0000  # the lowest of these says that the message is signed for a group, which is not understood
MAX_PARTIAL_IV_BYTES = 5
MAX_ID_BYTES = 7  # RFC 8613, section 3.3: the nonce of AES-CCM-16-64-128 less six


class Naming(NamedTuple):
    """The Sender ID (`kid`) and the ID Context (`kid context`) of a request, and the Partial IV that makes it the only one."""

    partial_iv: bytes
    device_id: bytes
    id_context: bytes = b""

    @property
    def sequence(self) -> int:
        """Return the sequence number of the sender."""
        return int.from_bytes(self.partial_iv, "big")


def read(option: bytes) -> Naming:
    """Read the option of a request. Raises `ValueError`, and nothing else whatever the bytes are."""
    flags = option[0] if option else 0
    size = flags & PARTIAL_IV
    if flags & RESERVED or not 1 <= size <= MAX_PARTIAL_IV_BYTES or not flags & DEVICE_ID:
        raise ValueError("flags")
    partial_iv, rest = option[1 : 1 + size], option[1 + size :]
    if len(partial_iv) < size:
        raise ValueError("length")
    id_context = b""
    if flags & ID_CONTEXT:
        if not rest or len(rest) <= rest[0]:
            raise ValueError("length")
        id_context, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    if len(rest) > MAX_ID_BYTES:
        raise ValueError("kid")
    return Naming(partial_iv, rest, id_context)
