"""A device that proves its external key without sending it, and opens its answer; `deploy/devices/challenge.md` says how."""

import os
from typing import TypeVar

import msgspec

from adapters.commands.bootstrap_device import Refused, explaining
from adapters.commands.carriers import Login, Reply, Server, ask, json_body, post
from adapters.commands.failure import Failure

_OFFER, _PROVE = ("v1", "bootstrap", "challenge"), ("v1", "bootstrap")
_LOGIN = Login(username="bootstrap")
T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True):
    """What a device asks a challenge with."""

    external_id: str
    nonce: bytes


class Offered(msgspec.Struct, frozen=True):
    """The challenge and the gateway's nonce."""

    challenge: bytes
    nonce: bytes


class Proved(msgspec.Struct, frozen=True):
    """What a device asks its configuration with."""

    external_id: str
    nonce: bytes
    challenge: bytes
    proof: bytes


class Sealed(msgspec.Struct, frozen=True):
    """The configuration, and what it is bound to."""

    version: int
    content_type: str
    sealed: bytes


class _Problem(msgspec.Struct, frozen=True):
    detail: str


async def fetch(server: Server, external_id: str, external_key: str) -> bytes:
    """Return the configuration. Raises `Refused`, and `Failure` where there is no answer, or one that is not the gateway's."""
    from core.crypto.challenges import NONCE_BYTES, ExchangeKeys, Parties
    from core.model import Secret

    nonce = os.urandom(NONCE_BYTES)
    offered = _read(await _send(server, _OFFER, Asked(external_id, nonce)), Offered)
    keys = ExchangeKeys(Secret(external_key), Parties(external_id, nonce, offered.nonce))
    proved = Proved(external_id, nonce, offered.challenge, keys.prove(offered.challenge))
    answer = _read(await _send(server, _PROVE, proved), Sealed)
    try:
        return keys.open(answer.sealed, answer.version, answer.content_type)
    except (ValueError, OverflowError) as fault:  # OverflowError: no configuration has such a version
        raise Failure("the answer was altered on the way, or comes from somebody else") from fault


async def _send(server: Server, path: tuple[str, ...], document: msgspec.Struct) -> Reply:
    if server.carrier == "mqtt":
        topic = "/".join(path)
        return await ask(server, _LOGIN, f"{topic}/request", f"{topic}/response", json_body(document))
    return await post(server, path, json_body(document))


def _read(reply: Reply, kind: type[T]) -> T:
    """Return what an answer says. Raises `Refused` for a refusal, `Failure` for what cannot be read."""
    if reply.granted:
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except msgspec.DecodeError:
            pass  # over MQTT a refusal looks no different before it is read
    try:
        words = msgspec.json.decode(reply.body, type=_Problem).detail
    except msgspec.DecodeError as fault:
        raise Failure(f"the answer cannot be read {reply.status}".rstrip()) from fault
    told = f"{words} ({reply.status})" if reply.status else words
    raise Refused(f"{told}; the operator sees why: firstlight {explaining(reply)}")
