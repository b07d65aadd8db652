"""How devices with a triple log in over MQTT: a user name of two keys, and a client id that says how the password is signed.

Source: EnOS Device Connection, "Non-SDK Login" (secure mode 2).
"""

import re

import msgspec

from core.crypto import signatures
from core.errors import Reason, Refusal, WrongSecret
from core.messages import MqttLogin, Triple
from core.model import Profile

WEAK_SIGN_METHODS = "weak-sign-methods"
"""The profile option that lets devices sign with SHA-1 and MD5, as old SDKs do."""

_DEVICE_SECRET_MODE = "2"  # noqa: S105 - a number in a login, no secret
_USERNAME = re.compile(r"([A-Za-z0-9]{1,64})&([A-Za-z0-9]{1,64})")


class Keys(msgspec.Struct, frozen=True):
    """The two keys of a user name."""

    device_key: str
    product_key: str


class SignedClientId(msgspec.Struct, frozen=True):
    """A client id taken apart. `timestamp` is opaque text; `mode` and `method` are as the device wrote them."""

    client_id: str
    mode: str
    method: str
    timestamp: str


def keys_of(username: str) -> Keys | None:
    """Return the keys of the user name `device key&product key`, None where it is none."""
    found = _USERNAME.fullmatch(username)
    return Keys(*found.groups()) if found else None


def signed_client_id(text: str) -> SignedClientId | None:
    """Take `client id|securemode=2,signmethod=sha256,timestamp=...|` apart; None where it is not of this form.

    Everything before the first bar is the client id. A space may follow a comma.
    """
    client_id, bar, rest = text.partition("|")
    if not bar or not rest.endswith("|"):
        return None
    pairs = [part.strip().partition("=") for part in rest.removesuffix("|").split(",")]
    members = {name: value for name, equals, value in pairs if equals}
    if len(members) != len(pairs) or not members.keys() >= {"securemode", "signmethod", "timestamp"}:
        return None
    return SignedClientId(client_id, members["securemode"], members["signmethod"].lower(), members["timestamp"])


def require_signed(login: MqttLogin, triple: Triple, profile: Profile) -> None:
    """Check the password of a device whose triple is known.

    Raises `Refusal` MALFORMED for a client id that does not say how it is signed, FORBIDDEN for ways of signing that are not
    taken, and `WrongSecret`.
    """
    signed = signed_client_id(login.client_id)
    if signed is None:
        raise Refusal(Reason.MALFORMED, "the client id does not say how the password is signed", check="login.client_id")
    if signed.mode != _DEVICE_SECRET_MODE:
        raise Refusal(Reason.FORBIDDEN, "only secure mode 2 is served", check="login.secure_mode")
    weak = signatures.WEAK_METHODS if WEAK_SIGN_METHODS in profile.options else frozenset()
    if signed.method not in signatures.METHODS | weak:
        raise Refusal(Reason.FORBIDDEN, "passwords are signed with SHA-256", check="login.sign_method")
    expected = signatures.mqtt_password(
        signed.client_id, triple.device_key, triple.product_key, signed.timestamp, triple.secret, signed.method
    )
    if not signatures.equal(expected, login.password.reveal()):
        raise WrongSecret("the password is not right", check="login.password")
