"""How a broker proves that it is one of ours."""

import base64
import binascii
from typing import Final

from adapters.dialects.brokers.reading import query
from adapters.exchange import Inbound
from core.errors import Reason, Refusal
from core.model import Secret

CHECK: Final = "broker.secret"


def require_secret(inbound: Inbound, secret: Secret) -> None:
    """Check the secret of a broker, in constant time. Raises `Refusal` UNAUTHENTICATED."""
    if _presented(inbound) != secret:
        raise Refusal(Reason.UNAUTHENTICATED, "the broker's secret is missing or wrong", check=CHECK)


def _presented(inbound: Inbound) -> Secret:
    """Return what was presented: the header's, or that of the query where there is no header."""
    scheme, _, credentials = inbound.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return Secret(credentials.strip())
    if scheme.lower() == "basic":
        return Secret(_password(credentials.strip()))
    return Secret(query(inbound).get("secret", ""))


def _password(credentials: str) -> str:
    """Return the password of Basic credentials (RFC 7617, section 2), empty where they are none."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
