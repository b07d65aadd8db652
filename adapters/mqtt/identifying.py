"""Who a client is that is no guest: by the certificate of its TLS handshake, or by what its CONNECT says."""

import asyncio

from adapters.exchange import Carrier, Exchange, Peer
from adapters.mqtt.packets import Connect
from core.errors import Reason, Refusal
from core.messages import CertificateLogin, Identity, MqttLogin
from core.model import Secret


async def identify(packet: Connect, transport: asyncio.Transport, exchange: Exchange, peer: Peer) -> Identity:
    """Return whose certificate it is; where it is nobody's, or there is none, whose user name and password.

    Raises `Refusal`, and `UnicodeDecodeError` where the password is no text.
    """
    chain: tuple[bytes, ...] = transport.get_extra_info("peer_chain") or ()
    if chain:
        try:
            return await exchange.login(CertificateLogin(chain), Carrier.MQTT, peer)
        except Refusal as refusal:
            if refusal.reason is not Reason.UNAUTHENTICATED:
                raise
            if not (packet.username or packet.password):
                # It is the certificate that is not known: CONNACK is not to speak of the client identifier.
                raise Refusal(Reason.FORBIDDEN, refusal.detail, check=refusal.check) from refusal
    login = MqttLogin(packet.client_id, packet.username or "", Secret((packet.password or b"").decode()))
    return await exchange.login(login, Carrier.MQTT, peer)
