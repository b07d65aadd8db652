"""AES-CFB against the vectors of the wire contract, and against openssl."""

import shutil
import subprocess

import pytest

from core.crypto.cfb import Envelope, decrypt

VECTORS = [
    (
        "3132333435363738393130313131323133313431353136313731383139323032",
        "000102030405060708090a0b0c0d0e0f",
        b"dev-key-0001",
        "000102030405060708090a0b0c0d0e0fb2b12bdfadbcbfe471a7b5ca",
    ),
    (
        "12345678910111213141516171819202",
        "000102030405060708090a0b0c0d0e0f",
        b"dev-key-0001",
        "000102030405060708090a0b0c0d0e0f3dee42985ec0e6e797d12978",
    ),
    (
        "6162636465666768696a6b6c6d6e6f707172737475767778",
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        b"A-longer-external-key-that-spans-3-blocks",
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff2845064615cbc6f80c0f6277a7cc1d957c33d44118c1febf5b63043cd6fa4f4825fe3c3d18c31e9ed4",
    ),
    (
        "31323334353637383931303131313231",
        "ffeeddccbbaa99887766554433221100",
        b"external-key",
        "ffeeddccbbaa99887766554433221100207c28c600abb876cb0fa3de",
    ),
]


@pytest.mark.parametrize(("key", "iv", "plaintext", "message"), VECTORS)
def test_vectors(key: str, iv: str, plaintext: bytes, message: str) -> None:
    assert Envelope(bytes.fromhex(key), bytes.fromhex(iv)).close(plaintext).hex() == message
    assert decrypt(bytes.fromhex(key), bytes.fromhex(message)) == plaintext


@pytest.mark.parametrize(("key", "iv", "plaintext", "message"), VECTORS)
def test_openssl_reads_the_same(key: str, iv: str, plaintext: bytes, message: str) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is needed for this test"
    command = [openssl, "enc", "-d", f"-aes-{len(key) * 4}-cfb", "-K", key, "-iv", iv]
    done = subprocess.run(command, input=bytes.fromhex(message)[16:], capture_output=True, check=True, timeout=30)
    assert done.stdout == plaintext


def test_less_than_an_initialisation_vector_is_no_message() -> None:
    with pytest.raises(ValueError, match="IV"):
        decrypt(bytes(16), bytes(15))
