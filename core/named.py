"""What a login names before it has proved anything: by this its wrong tries are counted."""

from typing import assert_never

import msgspec

from core.messages import CertificateLogin, Login, MqttLogin, ProvenLogin, TokenLogin, TripleLogin

_UNGUESSABLE_CHARACTERS = 16
_SHOWN_CHARACTERS = 5


class Named(msgspec.Struct, frozen=True):
    """Who is named, and by what name it may be shown to operators.

    `guessed` are the wrong tries at what counted together, empty where the login names nobody beside its secret. `known` is
    what it is remembered by once it got in; that may be the secret.
    """

    guessed: str = ""
    known: str = ""
    shown: str = ""


_NOBODY = Named()


def named(login: Login) -> Named:
    """Return whom a login names.

    A token short enough to be guessed is remembered nowhere: whoever shares the address of its device could try on for ever.
    """
    match login:
        case TokenLogin(token=token):
            text = token.reveal()
            return Named(known=f"token {text}") if len(text) >= _UNGUESSABLE_CHARACTERS else _NOBODY
        case MqttLogin():
            return _of_mqtt(login)
        case TripleLogin():
            return _one(f"triple {login.product_key} {login.device_key}", login.device_key)
        case ProvenLogin(proven=proven):
            return _one(f"device {proven.device}", proven.device_name)
        case CertificateLogin(chain=chain):
            return Named(known=f"certificate {chain[0].hex()}") if chain else _NOBODY
        case _:
            assert_never(login)


def _of_mqtt(login: MqttLogin) -> Named:
    """Return a client with its user: of many clients that share a user name, each is somebody else.

    Without a password one of the two is the secret.
    """
    both = f"{login.client_id}\0{login.username}"
    if login.password.reveal():
        return _one(f"client {both}", _beginning(login.username or login.client_id))
    secret = login.username or login.client_id
    return Named(known=f"client {both}") if len(secret) >= _UNGUESSABLE_CHARACTERS else _NOBODY


def _beginning(text: str) -> str:
    """Return as much of a name as tells it from others; some devices send their token as a user name, beside any password."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _one(identity: str, shown: str) -> Named:
    return Named(identity, identity, shown)
