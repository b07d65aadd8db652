"""A device that fetches its configuration as Mainflux's and Magistrala's firmware does.

See https://github.com/absmach/magistrala (`bootstrap/api`, `pkg/sdk/bootstrap.go`) of the versions named beside each flavour.
"""

import os
from types import MappingProxyType
from typing import Any

import msgspec

from adapters.commands.carriers import Login, Reply
from adapters.commands.failure import Failure, UsageError
from adapters.commands.lines import Question
from core.model import Secret

KEY_VARIABLES = ("FIRSTLIGHT_EXTERNAL_KEY",)
ENCRYPT_KEY_VARIABLES = tuple(f"{prefix}_BOOTSTRAP_ENCRYPT_KEY" for prefix in ("FIRSTLIGHT", "MF", "MG", "SMQ"))
_LOGIN = Login(username="bootstrap")
_REFUSALS = frozenset({"error", "message"})


class Flavour(msgspec.Struct, frozen=True):
    """Where a generation of the product serves devices, and the word before the key in `Authorization`."""

    prefix: str
    scheme: str


DIALECTS = MappingProxyType(
    {
        "mainflux": MappingProxyType(
            {
                "mf-thing": Flavour("things", "Thing "),  # Mainflux 0.13
                "mf-raw": Flavour("things", ""),  # Mainflux 0.8 to 0.12
                "mg-thing": Flavour("things", "Thing "),  # Magistrala 0.14
            }
        ),
        "magistrala": MappingProxyType(
            {
                "mg-client": Flavour("clients", "Client "),  # Magistrala 0.16
                "mg-client-0.20": Flavour("clients", "Client "),
                "mg-things-domain": Flavour("things", "Thing "),  # Magistrala 0.15
            }
        ),
    }
)
"""The flavours of each dialect, its default first."""


class Refused(Failure):
    """The server answered, and it said no."""


def flavour_of(dialect: str, name: str | None) -> Flavour:
    """Return a flavour, the dialect's default where none is named. Raises `UsageError`."""
    flavours = DIALECTS[dialect]
    if name is not None and name not in flavours:
        raise UsageError(f"--flavour: {dialect} has {', '.join(flavours)}")
    return flavours[name or next(iter(flavours))]


def explaining(reply: Reply) -> str:
    """Return the command by which the operator sees why a request was refused."""
    return f"explain {reply.correlation}" if reply.correlation else "event list"


def encrypt_key(text: str, key_format: str) -> bytes:
    """Return the AES key that the whole service shares: 16, 24 or 32 bytes. Raises `UsageError`."""
    from adapters import bootstrap_key

    try:
        key = bootstrap_key.parse(Secret(text), key_format)
    except ValueError as fault:
        raise UsageError(f"encryption key: {fault}") from fault
    assert key is not None  # noqa: S101 - only no key at all is none
    return key


def question(flavour: Flavour, external_id: str, external_key: str, shared: bytes | None) -> Question:
    """Return what the device asks for; with a shared key the external key is encrypted under it."""
    proof = external_key if shared is None else _encrypted(shared, external_key)
    path = (flavour.prefix, "bootstrap", *(() if shared is None else ("secure",)), external_id)
    return Question(
        document=path,
        version=(*path, "version"),
        authorization=flavour.scheme + proof,
        auth=proof,
        login=_LOGIN,
        silent=shared is not None,
    )


def read(reply: Reply, shared: bytes | None) -> bytes:
    """Return the document in an answer, as JSON. Raises `Refused` for a refusal, `Failure` for what cannot be read."""
    document = _object(reply.body)
    if not reply.granted or (document is not None and document.keys() <= _REFUSALS):
        raise Refused(_words(reply, document))
    if shared is None:
        if document is None:
            raise Failure("the answer is no JSON object")
        return reply.body
    return _decrypted(shared, reply.body)


def _encrypted(shared: bytes, text: str) -> str:
    from core.crypto.cfb import IV_BYTES, Envelope

    return Envelope(shared, os.urandom(IV_BYTES)).close(text.encode()).hex()


def _decrypted(shared: bytes, body: bytes) -> bytes:
    from core.crypto.cfb import decrypt

    try:
        document = decrypt(shared, body)
    except ValueError as fault:
        raise Failure("the answer is too short to be encrypted") from fault
    if _object(document) is None:
        raise Failure("the answer is nothing when decrypted: compare the encryption key and --key-format with the gateway's")
    return document


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _words(reply: Reply, document: dict[str, Any] | None) -> str:
    """Return the server's own words and its status."""
    words = [str(document[name]) for name in ("message", "error") if (document or {}).get(name)] if document else []
    text = ": ".join(words) or reply.body[:200].decode("utf-8", "replace").strip() or "refused"
    return f"{text} ({reply.status})" if reply.status else text
