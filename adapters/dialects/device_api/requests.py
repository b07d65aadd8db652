"""What a device asks, and how it proves who it is, over each protocol."""

import base64
import binascii
from typing import Final

from adapters.dialects.device_api import forms
from adapters.exchange import Carrier, Inbound
from core.errors import Reason, Refusal
from core.messages import AskFirmware, Identity, Login, MqttLogin, ReportFirmware, TokenLogin
from core.model import Secret

FIRMWARE: Final = "firmware"
VERSION: Final = "firmware_version"
REPORT: Final = "report_firmware"
TEXT_CHARACTERS = 1_024
_BEARER, _BASIC = "bearer", "basic"


def read(operation: str, inbound: Inbound) -> AskFirmware | ReportFirmware:
    """Read a request. Raises `Refusal` UNAUTHENTICATED or MALFORMED."""
    who = inbound.identity if inbound.carrier is Carrier.MQTT and inbound.identity else _login(inbound)
    if operation == REPORT:
        return ReportFirmware(who, _required(_text(_fields(inbound), "version")))
    if inbound.carrier is not Carrier.MQTT:
        return AskFirmware(who=who, running=inbound.query.get("running", ""), held=inbound.held)
    fields = _fields(inbound)
    running = _text(fields, "running")
    version = _text(fields, "version") if operation == FIRMWARE else None
    if version is None:
        return AskFirmware(who=who, running=running or "", held=inbound.held)
    if running is not None:
        raise _malformed("version reports and running asks: only one of them can be meant")
    return ReportFirmware(who, version)


def _login(inbound: Inbound) -> Login | Identity:
    sent = inbound.query.get("auth", "") if inbound.carrier is Carrier.COAP else inbound.headers.get("authorization", "")
    scheme, _, rest = sent.strip().partition(" ")
    credentials = rest.strip()
    if scheme.lower() == _BEARER and credentials:
        return TokenLogin(_secret(credentials))
    if scheme.lower() == _BASIC and credentials:
        return _basic(credentials)
    if inbound.carrier is Carrier.COAP and scheme and not credentials:
        return TokenLogin(_secret(scheme))
    raise Refusal(Reason.UNAUTHENTICATED, "a credential is needed", check="device.credential_missing")


def _basic(text: str) -> MqttLogin:
    """Read user name and password (RFC 7617, section 2)."""
    try:
        username, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise _malformed("the Basic credentials are not base64 of UTF-8") from error
    if not colon:
        raise _malformed("the Basic credentials have no colon")
    return MqttLogin("", username, Secret(password))


def _secret(text: str) -> Secret:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _malformed("the credential is not UTF-8") from error
    return Secret(text)


def _fields(inbound: Inbound) -> dict[object, object]:
    document = forms.read(inbound)
    if not isinstance(document, dict):
        raise _malformed("the body is not an object")
    return document


def _text(fields: dict[object, object], name: str) -> str | None:
    """Return a member, None where there is none or null."""
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or len(found) > TEXT_CHARACTERS:
        raise _malformed(f"{name} is not a text of at most {TEXT_CHARACTERS} characters")
    return found


def _required(version: str | None) -> str:
    if version is None:
        raise _malformed("version is missing")
    return version


def _malformed(detail: str) -> Refusal:
    return Refusal(Reason.MALFORMED, detail, check="body.field")
