"""How who asks is read: the bearer token of an operator, and the external key of a device, over each protocol."""

from collections.abc import Callable

from adapters.dialects.mainflux.bodies import DeviceNote
from adapters.dialects.mainflux.flavours import Flavour
from adapters.dialects.mainflux.go_reading import read_object
from adapters.dialects.mainflux.surrogates import mended
from adapters.exchange import Carrier, Inbound
from core.errors import Reason, Refusal
from core.messages import EncryptedKey, Identity, PlainKey
from core.model import Secret

BEARER = "Bearer "
_HEADER = "authorization"
_QUERY = "auth"


def read_bearer(flavour: Flavour, inbound: Inbound) -> Secret:
    """Return the bearer token, empty where there is none; the scheme's word counts as written, with one space after it."""
    header = mended(inbound.headers.get(_HEADER, ""))
    if header.startswith(BEARER):
        return Secret(header.removeprefix(BEARER))
    return Secret(header if flavour.bare_tokens else "")


def require_bearer(flavour: Flavour, inbound: Inbound) -> Secret:
    """Return the bearer token. Raises `Refusal` UNAUTHENTICATED where there is none."""
    bearer = read_bearer(flavour, inbound)
    if not bearer.reveal():
        raise Refusal(Reason.UNAUTHENTICATED, "a bearer token is needed", check="bearer.missing")
    return bearer


def read_proof(flavour: Flavour, inbound: Inbound, *, encrypted: bool) -> PlainKey | EncryptedKey | Identity:
    """Return the key that a device sends, or else, unless that is to be encrypted, what its connection proved already.

    Raises `Refusal` UNAUTHENTICATED where there is neither, MALFORMED where it cannot be read.
    """
    key = _SENT[inbound.carrier](flavour, inbound)
    if key:
        return EncryptedKey(key) if encrypted else PlainKey(Secret(key))
    if inbound.identity is None or encrypted:
        raise Refusal(Reason.UNAUTHENTICATED, "an external key is needed", check="device.key_missing")
    return inbound.identity


def _in_header(flavour: Flavour, inbound: Inbound) -> str:
    header = mended(inbound.headers.get(_HEADER, ""))
    if header.startswith(flavour.scheme):
        return header.removeprefix(flavour.scheme)
    return header if flavour.bare_keys else ""


def _in_query(flavour: Flavour, inbound: Inbound) -> str:
    return mended(inbound.query.get(_QUERY, "")).removeprefix(flavour.scheme)


def _in_message(flavour: Flavour, inbound: Inbound) -> str:
    """Return the member of the body, or else the user property."""
    note = read_object(inbound.body, DeviceNote, "api.bootstrapReq") if inbound.body.strip() else DeviceNote()
    text = note.authorization.reveal() or mended(inbound.headers.get(_HEADER, ""))
    return text.removeprefix(flavour.scheme)


_SENT: dict[Carrier, Callable[[Flavour, Inbound], str]] = {
    Carrier.HTTP: _in_header,
    Carrier.COAP: _in_query,
    Carrier.MQTT: _in_message,
}
