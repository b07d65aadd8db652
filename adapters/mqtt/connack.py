"""What CONNACK says to a client, let in or not (OASIS MQTT 5.0, section 3.2)."""

import secrets

import msgspec

from adapters.mqtt import encode
from adapters.mqtt.deadlines import SILENCE_FACTOR
from adapters.mqtt.encode import Announcement
from adapters.mqtt.packets import Connect, ReasonCode
from adapters.mqtt.translate import IDENTIFIER_REJECTED, connack_code
from core.errors import Refusal

_MOST_SECONDS = 65_535


def accepted(packet: Connect, announcement: Announcement, idle_seconds: float) -> bytes:
    """Let a client in; version 5 is assigned the client identifier and the keep-alive that it left open."""
    if packet.version == 5 and not packet.client_id:
        announcement = msgspec.structs.replace(announcement, assigned_client_id=secrets.token_hex(10))
    if packet.version == 5 and not packet.keep_alive and idle_seconds:
        keep_alive = min(_MOST_SECONDS, max(1, int(idle_seconds / SILENCE_FACTOR)))
        announcement = msgspec.structs.replace(announcement, server_keep_alive=keep_alive)
    return encode.connack_accepted(packet.version, announcement)


def refused(packet: Connect, refusal: Refusal) -> bytes:
    """Refuse a login; version 5 is given the detail where the client takes packets of that size."""
    code = connack_code(refusal, packet.version, with_credentials=bool(packet.username or packet.password))
    data = encode.connack_refused(packet.version, code, refusal.detail)
    room = packet.properties.maximum_packet_bytes
    return encode.connack_refused(packet.version, code) if 0 < room < len(data) else data


def broken(reason_code: ReasonCode, version: int) -> bytes:
    """Refuse a CONNECT that breaks the protocol; nothing where its version has no word for it or is not known yet (0)."""
    if reason_code is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
        return encode.UNKNOWN_VERSION
    if version == 5:
        return encode.connack_refused(version, reason_code)
    if version and reason_code is ReasonCode.CLIENT_IDENTIFIER_NOT_VALID:
        return encode.connack_refused(version, IDENTIFIER_REJECTED)
    return b""
