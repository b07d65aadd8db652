"""What makes a credential: the rules for a proposed value, the id it is known by, and the text that is sealed."""

import hashlib
import re
from typing import assert_never

import msgspec

from core.errors import Reason, Refusal
from core.messages import AccessToken, Certificate, ClientSecret, CredentialValue, Lwm2m, MqttBasic, Oscore, Triple
from core.model import CredentialKind, Secret

_BASIC = msgspec.json.Decoder(tuple[str, str, str])
_OSCORE = msgspec.json.Decoder(tuple[str, str, str, str, str])
_TRIPLE = msgspec.json.Decoder(tuple[str, str, str])
_HEX = re.compile("([0-9a-f]{2})*", re.ASCII)
_OSCORE_CHARACTERS = 128
OSCORE_ID_BYTES = 7  # RFC 8613, section 3.3: the nonce of AES-CCM-16-64-128 less six
OSCORE_SECRET_BYTES = 16
_CONTROL = frozenset(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))

KIND: dict[type, CredentialKind] = {
    AccessToken: CredentialKind.ACCESS_TOKEN,
    MqttBasic: CredentialKind.MQTT_BASIC,
    Certificate: CredentialKind.X509_CERTIFICATE,
    Lwm2m: CredentialKind.LWM2M,
    ClientSecret: CredentialKind.CLIENT_SECRET,
    Triple: CredentialKind.DEVICE_SECRET,
    Oscore: CredentialKind.OSCORE,
}


def credential_id(value: CredentialValue) -> str:
    """Return the id under which a credential is unique over the whole system.

    The rule is ThingsBoard's (`DeviceCredentialsServiceImpl`), so that fleets keep their ids: a token and a user name stand
    for themselves; a client id, `client id|user name` and a certificate's text for the hex SHA3-256 (FIPS 202) of themselves.
    """
    match value:
        case AccessToken(token=token):
            return token.reveal()
        case MqttBasic(client_id=client_id, username=username):
            return basic_id(client_id, username)
        case Certificate(text=text):
            return _sha3(text)
        case Lwm2m(endpoint=endpoint):
            return endpoint
        case ClientSecret(secret=secret):
            return secret_id(secret.reveal())
        case Triple(product_key=product_key, device_key=device_key):
            return triple_id(product_key, device_key)
        case Oscore(device_id=device_id, id_context=id_context):
            return oscore_id(device_id, id_context)
        case _:
            assert_never(value)


def secret_id(secret: str) -> str:
    """Return the id of a client secret; no other credential's id holds a control character, so none is taken for another."""
    return f"client secret\0{secret}"


def triple_id(product_key: str, device_key: str) -> str:
    """Return the id of a triple, which its secret is no part of; apart from all others as `secret_id` is."""
    return f"triple\0{device_key}&{product_key}"


def oscore_id(device_id: str, id_context: str) -> str:
    """Return the id of an OSCORE context, both parts in lower-case hex; apart from all others as `secret_id` is."""
    return f"oscore\0{device_id}\0{id_context}"


def basic_id(client_id: str, username: str) -> str:
    """Return the id of an MQTT credential; both parts empty have none that could exist."""
    if not client_id:
        return username
    return _sha3(f"{client_id}|{username}") if username else _sha3(client_id)


def certificate(text: str) -> Certificate:
    """Return a certificate given as PEM or as its bare base64, in the one form that is stored and compared."""
    for noise in ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "\r", "\n"):
        text = text.replace(noise, "")
    return Certificate(text)


def require_valid(value: CredentialValue) -> None:
    """Check a proposed value; raises `Refusal` FORBIDDEN where it cannot become a credential."""
    match value:
        case AccessToken(token=token):
            _require_text(token.reveal(), "token")
        case MqttBasic():
            _require_basic(value)
        case Certificate(text=text):
            _require_text(text, "certificate")
        case Lwm2m(endpoint=endpoint):
            _require_text(endpoint, "endpoint")
        case ClientSecret(secret=secret):
            _require_text(secret.reveal(), "client secret")
        case Triple():
            _require_triple(value)
        case Oscore():
            _require_oscore(value)
        case _:
            assert_never(value)


def seal_text(value: CredentialValue) -> Secret:
    """Return the text that is sealed for a value, and read again by `from_seal_text`."""
    match value:
        case AccessToken(token=token):
            return token
        case MqttBasic(client_id=client_id, username=username, password=password):
            return Secret(msgspec.json.encode((client_id, username, password.reveal())).decode())
        case Certificate(text=text):
            return Secret(text)
        case Lwm2m(endpoint=endpoint):
            return Secret(endpoint)
        case ClientSecret(secret=secret):
            return secret
        case Triple(product_key=product_key, device_key=device_key, secret=secret):
            return Secret(msgspec.json.encode((product_key, device_key, secret.reveal())).decode())
        case Oscore():
            parts = (value.device_id, value.server_id, value.secret.reveal(), value.salt, value.id_context)
            return Secret(msgspec.json.encode(parts).decode())
        case _:
            assert_never(value)


def from_seal_text(kind: CredentialKind, text: Secret) -> CredentialValue:
    """Return the value that `seal_text` made a text of."""
    match kind:
        case CredentialKind.ACCESS_TOKEN:
            return AccessToken(text)
        case CredentialKind.MQTT_BASIC:
            client_id, username, password = _BASIC.decode(text.reveal())
            return MqttBasic(client_id, username, Secret(password))
        case CredentialKind.X509_CERTIFICATE:
            return Certificate(text.reveal())
        case CredentialKind.LWM2M:
            return Lwm2m(text.reveal())
        case CredentialKind.CLIENT_SECRET:
            return ClientSecret(text)
        case CredentialKind.DEVICE_SECRET:
            product_key, device_key, device_secret = _TRIPLE.decode(text.reveal())
            return Triple(product_key, device_key, Secret(device_secret))
        case CredentialKind.OSCORE:
            device_id, server_id, master_secret, salt, id_context = _OSCORE.decode(text.reveal())
            return Oscore(device_id, server_id, Secret(master_secret), salt, id_context)
        case _:
            assert_never(kind)


def has_control_characters(text: str) -> bool:
    """Tell whether a text holds a C0 or C1 control character or DEL."""
    return not _CONTROL.isdisjoint(text)


def _require_basic(value: MqttBasic) -> None:
    password = value.password.reveal()
    if not value.username and (password or not value.client_id):
        raise Refusal(
            Reason.FORBIDDEN, "MQTT credentials need a user name, or a client id alone", check="credential.mqtt_basic"
        )
    if any(map(has_control_characters, (value.client_id, value.username, password))):
        raise Refusal(Reason.FORBIDDEN, "MQTT credentials hold a control character", check="credential.characters")


def _require_triple(value: Triple) -> None:
    """Check a triple: its parts stand in user names, topics and digests, where anything but letters and digits separates."""
    parts = (value.product_key, value.device_key, value.secret.reveal())
    if not all(part.isascii() and part.isalnum() for part in parts):
        raise Refusal(Reason.FORBIDDEN, "a triple consists of letters and digits", check="credential.triple")


def _require_oscore(value: Oscore) -> None:
    """Check an OSCORE context (RFC 8613, section 3.3): ids are short enough for its nonce, and the secret is no guess."""
    secret = value.secret.reveal()
    parts = (value.device_id, value.server_id, secret, value.salt, value.id_context)
    if not all(_HEX.fullmatch(part) for part in parts):
        raise Refusal(Reason.FORBIDDEN, "an OSCORE context is written in lower-case hex", check="credential.oscore")
    if max(len(value.device_id), len(value.server_id)) > 2 * OSCORE_ID_BYTES or value.device_id == value.server_id:
        raise Refusal(
            Reason.FORBIDDEN, f"OSCORE ids differ and have at most {OSCORE_ID_BYTES} bytes", check="credential.oscore"
        )
    if (
        not 2 * OSCORE_SECRET_BYTES <= len(secret) <= _OSCORE_CHARACTERS
        or len(value.salt + value.id_context) > _OSCORE_CHARACTERS
    ):
        raise Refusal(Reason.FORBIDDEN, f"an OSCORE secret has at least {OSCORE_SECRET_BYTES} bytes", check="credential.oscore")


def _require_text(text: str, what: str) -> None:
    if not text:
        raise Refusal(Reason.FORBIDDEN, f"the {what} is empty", check="credential.empty")
    if has_control_characters(text):
        raise Refusal(Reason.FORBIDDEN, f"the {what} holds a control character", check="credential.characters")


def _sha3(text: str) -> str:
    return hashlib.sha3_256(text.encode("utf-8", "surrogatepass")).hexdigest()
