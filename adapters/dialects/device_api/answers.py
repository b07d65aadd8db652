"""What a device is answered, in the form that it asks for."""

import msgspec

from adapters.dialects.device_api import forms
from adapters.dialects.device_api.requests import VERSION
from adapters.exchange import Carrier, Inbound, Outbound, Outcome, Success
from core.errors import Reason, Refusal
from core.messages import FirmwareAnswer, FirmwareReported
from core.model import Firmware

_ASKED, _ANSWERED = "/request", "/response"
_PROBLEM = "application/problem+json"
_PRIVATE = ("Cache-Control", "private, no-cache")
_CHALLENGES = (("WWW-Authenticate", 'Bearer, Basic realm="devices", charset="UTF-8"'),)  # RFC 7235, section 4.1; RFC 7617


class Update(msgspec.Struct, frozen=True):
    """The firmware to run, null where there is nothing to do."""

    update: Firmware | None


class Version(msgspec.Struct, frozen=True):
    """The entity tag of the answer that a device would get."""

    etag: str


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457, all of whose other members may be left out)."""

    detail: str


def write(result: FirmwareAnswer | FirmwareReported, inbound: Inbound) -> Outbound:
    """Write the answer to a granted request."""
    if isinstance(result, FirmwareReported):
        return Outbound(outcome=_changed(inbound), form=inbound.form)
    watched = "\n".join(result.parts)
    if result.unchanged:
        return Outbound(outcome=Success.UNCHANGED, etag=result.etag, watch=watched, headers=(_PRIVATE,), form=inbound.form)
    document = Version(result.etag) if inbound.operation == VERSION else Update(result.firmware)
    body, media_type = forms.write(msgspec.to_builtins(document), inbound)
    return Outbound(
        outcome=Success.OK,
        body=body,
        content_type=media_type,
        headers=(_PRIVATE,),
        topic=answer_topic(inbound),
        form=inbound.form,
        etag=result.etag,
        watch=watched,
    )


def write_refusal(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request: as a problem document over HTTP, as the same object elsewhere."""
    body, media_type = forms.write(msgspec.to_builtins(Problem(refusal.detail)), inbound)
    over_http = inbound.carrier is Carrier.HTTP
    return Outbound(
        outcome=refusal.reason,
        body=body,
        content_type=_PROBLEM if over_http and media_type == forms.JSON else media_type,
        headers=_CHALLENGES if over_http and refusal.reason is Reason.UNAUTHENTICATED else (),
        topic=answer_topic(inbound),
        form=inbound.form,
    )


def _changed(inbound: Inbound) -> Outcome:
    """Return what says that it is done and there is nothing to show."""
    return Success.DELETED if inbound.carrier is Carrier.HTTP else Success.CHANGED


def answer_topic(inbound: Inbound) -> str | None:
    """Return where a request over MQTT is answered."""
    if inbound.carrier is not Carrier.MQTT or not inbound.path.endswith(_ASKED):
        return None
    return inbound.path.removesuffix(_ASKED) + _ANSWERED
