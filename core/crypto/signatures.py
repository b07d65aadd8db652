"""The plain digests that EnOS devices sign with: SHA-256 over names, values and a secret, joined without separators.

None of them is an HMAC (RFC 2104); they are the vendor's. Digests are 64 lower-case hex digits; comparison takes either case.
Sources: EnOS Device Provisioning API, "Bootstrap Device"; EnOS Device Connection, "Non-SDK Login" and "HTTP Connection".
"""

import hashlib
import hmac
from collections.abc import Callable
from types import MappingProxyType

from core.model import Secret


def enrolment(serial: str, timestamp: str, secret: Secret) -> str:
    """Return the digest of a device that asks for its identity; `timestamp` is its decimal text."""
    return _sha256(f"sn{serial}timestamp{timestamp}{secret.reveal()}")


def mqtt_password(client_id: str, device_key: str, product_key: str, timestamp: str, secret: Secret, method: str) -> str:
    """Return the MQTT password of a triple; `client_id` is what stands before the first `|`, `timestamp` is opaque.

    `method` is one of `METHODS` or `WEAK_METHODS`; a name that begins with `hmac` means the same plain digest.
    """
    signed = f"clientId{client_id}deviceKey{device_key}productKey{product_key}timestamp{timestamp}{secret.reveal()}"
    digest = _DIGESTS[method.removeprefix("hmac")]
    return digest(signed.encode("utf-8", "surrogatepass"))


def http_session(device_key: str, product_key: str, lifetime: str, secret: Secret) -> str:
    """Return the digest of a device that opens an HTTP session of `lifetime` milliseconds, as their decimal text."""
    signed = f"deviceKey{device_key}lifetime{lifetime}productKey{product_key}signMethodsha256"
    return _sha256(signed + secret.reveal())


def equal(expected: str, presented: str) -> bool:
    """Compare digests in constant time, whatever the case of the presented one."""
    return hmac.compare_digest(expected.encode(), presented.lower().encode("utf-8", "surrogatepass"))


def _sha256(text: str) -> str:
    return _DIGESTS["sha256"](text.encode("utf-8", "surrogatepass"))


_DIGESTS: MappingProxyType[str, Callable[[bytes], str]] = MappingProxyType(
    {
        "sha256": lambda content: hashlib.sha256(content).hexdigest(),
        "sha1": lambda content: hashlib.sha1(content).hexdigest(),  # noqa: S324 - the vendor's, refused unless switched on
        "md5": lambda content: hashlib.md5(content).hexdigest(),  # noqa: S324 - the same
    }
)
METHODS = frozenset({"sha256", "hmacsha256"})
WEAK_METHODS = frozenset({"sha1", "hmacsha1", "md5", "hmacmd5"})
