"""A device that fetches its configuration by challenge and response; challenge.md, beside this file, specifies what it does.

    EXTERNAL_KEY=... python3 challenge_device.py 127.0.0.1 8080 pump-17

Prints the configuration. Beside Python it needs one package, for AES-GCM: cryptography.
"""

import base64
import hmac
import http.client
import json
import os
import sys
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LABEL = b"firstlight bootstrap 1"
NONCE_BYTES, IV_BYTES = 32, 12
TIMEOUT_SECONDS = 30


class Refused(Exception):
    """The gateway said no, or what came back is not from it."""


def encode(*fields: bytes) -> bytes:
    """Join fields, each with its length before it."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def derive(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """Return a key of 32 bytes: HKDF-SHA-256 (RFC 5869), whose second step is one block here."""
    return hmac.digest(hmac.digest(salt, key, "sha256"), LABEL + purpose + b"\x01", "sha256")


def prove(key: bytes, external_id: bytes, nonce: bytes, server_nonce: bytes, challenge: bytes) -> bytes:
    """Return the proof that this device has its external key."""
    transcript = encode(LABEL, external_id, nonce, server_nonce, challenge)
    return hmac.digest(derive(key, nonce + server_nonce, b" proof"), transcript, "sha256")


def open_answer(key: bytes, external_id: bytes, nonce: bytes, server_nonce: bytes, answer: dict[str, Any]) -> bytes:
    """Return the configuration in an answer. Raises `Refused` where that is not the gateway's answer to this very request."""
    version, content_type = answer["version"].to_bytes(8, "big"), answer["content_type"].encode()
    bound = encode(LABEL, external_id, nonce, server_nonce, version, content_type)
    sealed = base64.b64decode(answer["sealed"])
    try:
        cipher = AESGCM(derive(key, nonce + server_nonce, b" answer"))
        return cipher.decrypt(sealed[:IV_BYTES], sealed[IV_BYTES:], bound)
    except (InvalidTag, ValueError) as fault:
        raise Refused("the answer was altered, or comes from somebody else") from fault


def ask(connection: http.client.HTTPConnection, path: str, fields: dict[str, str]) -> dict[str, Any]:
    """Post a request and return the answer. Raises `Refused`."""
    connection.request("POST", path, json.dumps(fields), {"Content-Type": "application/json"})
    response = connection.getresponse()
    document: dict[str, Any] = json.loads(response.read() or b"{}")
    if response.status != http.HTTPStatus.OK:
        raise Refused(f"{document.get('detail', 'refused')} ({response.status})")
    return document


def fetch(host: str, port: int, external_id: str, key: bytes) -> bytes:
    """Return the configuration of a device. Raises `Refused`, and `OSError` where there is no gateway."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    nonce = os.urandom(NONCE_BYTES)
    fields = {"external_id": external_id, "nonce": base64.b64encode(nonce).decode()}
    offered = ask(connection, "/v1/bootstrap/challenge", fields)
    challenge, server_nonce = (base64.b64decode(offered[name]) for name in ("challenge", "nonce"))
    proof = prove(key, external_id.encode(), nonce, server_nonce, challenge)
    fields |= {"challenge": offered["challenge"], "proof": base64.b64encode(proof).decode()}
    answer = ask(connection, "/v1/bootstrap", fields)
    return open_answer(key, external_id.encode(), nonce, server_nonce, answer)


def main() -> int:
    """Print the configuration, secrets and all."""
    host, port, external_id = sys.argv[1:]
    try:
        sys.stdout.buffer.write(fetch(host, int(port), external_id, os.environb[b"EXTERNAL_KEY"]) + b"\n")
    except (Refused, OSError, ValueError, KeyError) as fault:
        sys.stderr.write(f"no configuration: {fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
