"""Who is at the other end of a session: the key it has to know, and what it proved once the handshake is over."""

import secrets

from adapters.coap.remote import Proof
from adapters.exchange import Carrier, Exchange, Peer
from core.messages import CertificateLogin, Preshared, ProvenLogin

NOBODYS_KEY_BYTES = 32


async def key_of(identity: bytes, exchange: Exchange, peer: Peer) -> tuple[bytes, Preshared | None]:
    """Return the key of a PSK identity, and what it proves. Raises `Refusal`.

    An identity that is no text has none, and must look like any that nobody has.
    """
    try:
        preshared = await exchange.preshared(identity.decode(), peer)
    except UnicodeDecodeError:
        return secrets.token_bytes(NOBODYS_KEY_BYTES), None
    return preshared.key.reveal().encode() or secrets.token_bytes(NOBODYS_KEY_BYTES), preshared


async def proof_of(chain: tuple[bytes, ...], preshared: Preshared | None, exchange: Exchange, peer: Peer) -> Proof:
    """Return what the other end proved with the certificates it showed, or with a key. Raises `Refusal`."""
    identity, claim = (preshared.identity, preshared.claim) if preshared is not None else (None, "")
    if chain:
        identity = await exchange.login(CertificateLogin(chain), Carrier.COAP, peer)
    elif identity is not None:
        identity = await exchange.login(ProvenLogin(identity), Carrier.COAP, peer)
    return Proof(identity, claim)
