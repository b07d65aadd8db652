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
    asker = who(inbound)
    if operation == REPORT:
        return ReportFirmware(asker, _required(text_of(fields_of(inbound), "version")))
    if inbound.carrier is not Carrier.MQTT:
        return AskFirmware(who=asker, running=inbound.query.get("running", ""), held=inbound.held)
    fields = fields_of(inbound)
    running = text_of(fields, "running")
    version = text_of(fields, "version") if operation == FIRMWARE else None
    if version is None:
        return AskFirmware(who=asker, running=running or "", held=inbound.held)
    if running is not None:
        raise _malformed("version reports and running asks: only one of them can be meant")
    return ReportFirmware(asker, version)


def who(inbound: Inbound) -> Login | Identity:
    """Return what the connection proved, or else what the request presents. Raises `Refusal` UNAUTHENTICATED, MALFORMED."""
    return inbound.identity or _login(inbound)


def presented(inbound: Inbound) -> str:
    """Return what a request presents for itself, as it was sent; empty: nothing."""
    return inbound.query.get("auth", "") if inbound.carrier is Carrier.COAP else inbound.headers.get("authorization", "")


def _login(inbound: Inbound) -> Login:
    scheme, _, rest = presented(inbound).strip().partition(" ")
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


def fields_of(inbound: Inbound) -> dict[object, object]:
    """Return the members of the body. Raises `Refusal` MALFORMED."""
    document = forms.read(inbound)
    if not isinstance(document, dict):
        raise _malformed("the body is not an object")
    return document


def text_of(fields: dict[object, object], name: str) -> str | None:
    """Return a member, None where there is none or null. Raises `Refusal` MALFORMED for what is no text, or too long."""
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
