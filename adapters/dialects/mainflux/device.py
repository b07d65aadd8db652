"""What devices ask for, over every protocol: their configuration, plain or encrypted, or only its version."""

from typing import Final
from urllib.parse import unquote

import cbor2
import msgspec

from adapters.dialects.mainflux import documents, go_writing
from adapters.dialects.mainflux import operations as op
from adapters.dialects.mainflux.authorization import read_proof
from adapters.dialects.mainflux.flavours import JSON, Flavour
from adapters.dialects.mainflux.surrogates import mended
from adapters.exchange import Carrier, Inbound, Outbound, Route, Success
from core.errors import Reason, Refusal
from core.messages import Bootstrapped, BootstrapRequest
from core.topic_spaces import TopicSpace

GUEST: Final = "bootstrap"
CBOR: Final = "application/cbor"
TOPICS: Final = (TopicSpace(prefix="channels/{channel}/messages"), TopicSpace(prefix="m/{tenant}/c/{channel}"))
"""Messages of a channel: as all generations had them, and as Magistrala has them since it knows domains."""

_ENCRYPTED = frozenset({op.BOOTSTRAP_SECURE, op.VERSION_SECURE})
_VERSION = frozenset({op.VERSION, op.VERSION_SECURE})
_ASKED, _ANSWERED = "/request", "/response"
_ANY_TYPE = frozenset({"*/*", "application/*"})


def paths(flavour: Flavour) -> tuple[tuple[str, str], ...]:
    """Return the paths that name a device, each with its operation."""
    prefix = f"{flavour.device_prefix}/bootstrap"
    return (
        (f"{prefix}/{{external_id}}", op.BOOTSTRAP),
        (f"{prefix}/secure/{{external_id}}", op.BOOTSTRAP_SECURE),
        (f"{prefix}/{{external_id}}/version", op.VERSION),
        (f"{prefix}/secure/{{external_id}}/version", op.VERSION_SECURE),
    )


def mqtt_routes(flavour: Flavour) -> tuple[Route, ...]:
    """Return the routes over MQTT, for guests and for devices whose connection proved who they are."""
    return tuple(
        Route(carrier=Carrier.MQTT, method="PUBLISH", path=path[1:] + _ASKED, operation=operation, guest=guest)
        for path, operation in paths(flavour)
        for guest in (GUEST, "")
    )


def subscriptions(flavour: Flavour) -> tuple[str, ...]:
    """Return the filters of everything that is answered over MQTT."""
    return tuple(path[1:].replace("{external_id}", "+") + _ANSWERED for path, _ in paths(flavour))


def read(flavour: Flavour, operation: str, inbound: Inbound) -> BootstrapRequest:
    """Read what a device asks. Raises `Refusal` UNAUTHENTICATED without a key, MALFORMED without an id."""
    proof = read_proof(flavour, inbound, encrypted=operation in _ENCRYPTED)
    external_id = inbound.params.get("external_id", "")
    if inbound.carrier is Carrier.MQTT:
        external_id = unquote(external_id)  # a topic level holds no slash, plus or hash as they are
    if not external_id:
        raise Refusal(Reason.MALFORMED, "the external id is missing", check="device.id_missing")
    return BootstrapRequest(
        external_id=mended(external_id),
        proof=proof,
        held=() if operation == op.BOOTSTRAP_SECURE else inbound.held,
        version_only=operation in _VERSION,
    )


def write(flavour: Flavour, result: Bootstrapped, inbound: Inbound) -> Outbound:
    """Write what a device gets. The encrypted form is drawn anew each time, so it has no entity tag and is not watched."""
    if inbound.operation == op.BOOTSTRAP_SECURE and result.envelope is not None:
        plaintext = go_writing.encode(documents.bootstrap(flavour, result))
        return _addressed(
            Outbound(outcome=Success.OK, body=result.envelope.close(plaintext), content_type=flavour.secure_type), inbound
        )
    if result.unchanged:
        return Outbound(outcome=Success.UNCHANGED, etag=result.etag, watch=_watched(result), form=inbound.form)
    document = documents.version(result) if inbound.operation in _VERSION else documents.bootstrap(flavour, result)
    cbor = _wants_cbor(inbound)
    return _addressed(
        Outbound(
            outcome=Success.OK,
            body=cbor2.dumps(document.plain()) if cbor else go_writing.line(document),
            content_type=CBOR if cbor else JSON,
            etag=result.etag,
            watch=_watched(result),
        ),
        inbound,
    )


def answer_topic(inbound: Inbound) -> str | None:
    """Return where a request over MQTT is answered."""
    if inbound.carrier is not Carrier.MQTT or not inbound.path.endswith(_ASKED):
        return None
    return inbound.path.removesuffix(_ASKED) + _ANSWERED


def _watched(result: Bootstrapped) -> str:
    return "\n".join(result.parts)


def _addressed(outbound: Outbound, inbound: Inbound) -> Outbound:
    """Say where an answer goes; the form of the connection's other answers is left as it is."""
    topic = answer_topic(inbound)
    return outbound if topic is None else msgspec.structs.replace(outbound, topic=topic, form=inbound.form)


def _wants_cbor(inbound: Inbound) -> bool:
    """Tell whether CBOR is named before anything that JSON satisfies (RFC 9110, section 12.5.1, without its weights)."""
    types = [part.partition(";")[0].strip().lower() for part in inbound.headers.get("accept", "").split(",")]
    known = (name for name in types if name in (CBOR, JSON) or name in _ANY_TYPE)
    return next(known, JSON) == CBOR
