"""What each generation answers to each fault: an outcome and the vendor's own text, as tables.

A table is asked for the operation and the check that refused, then for the check alone; what is in neither is answered with its
natural outcome and the refusal's own words. Where the documents name another status than the programs send, the documented one
stands in a table of its own.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from adapters.dialects.mainflux import operations as op
from adapters.exchange import Outcome, Success
from core.errors import Reason

NO_TOKEN: Final = "missing or invalid bearer user token"  # noqa: S105 - a sentence, no secret
BAD_TOKEN: Final = "failed to perform authentication over the entity"  # noqa: S105 - a sentence, no secret
NOT_ALLOWED: Final = "failed to perform authorization over the entity"
BAD_CONTENT_TYPE: Final = "unsupported content type"
MALFORMED: Final = "malformed entity specification"
NO_ID: Final = "missing entity id"
NO_KEY: Final = "missing or invalid bearer entity key"
EMPTY_LIST: Final = "empty list provided"
NOT_ADDED: Final = "failed to add bootstrap configuration"
CHANNELS_UNCHECKED: Final = "failed to check channels connections"
NOT_FOUND: Final = "entity not found"
NON_EXISTENT: Final = "non-existent entity"
NOT_READ: Final = "failed to read bootstrap configuration"
WRONG_KEY: Final = "failed to get bootstrap configuration for given external key"
WRONG_CIPHERTEXT: Final = "failed to get bootstrap configuration for given encrypted external key"
CERTS_UNCHANGED: Final = "failed to update cert"
CERTS_NOT_CREATED: Final = "failed to create certificates"
CONNECTIONS_UNCHANGED: Final = "failed to update connections"
STATE_UNCHANGED: Final = "failed to change state of bootstrap configuration"
BAD_STATE: Final = "invalid bootstrap state"
BAD_LIMIT: Final = "invalid limit size"
BAD_QUERY: Final = "invalid query parameters"
BAD_QUERY_EARLY: Final = "invalid query params"
BAD_CREDENTIALS: Final = "missing or invalid credentials provided"
NOT_VIEWED: Final = "view entity failed"
NO_CLIENT: Final = "failed to find client"
NO_THING: Final = "failed to find thing"
THINGS_FAILED: Final = "failed to receive response from Things service"
NOT_JSON: Final = "request body is not a valid JSON, expecting a valid JSON"
TAKEN: Final = "entity already exists"
NOT_CREATED: Final = "failed to create entity"
NO_SECRET: Final = "missing secret"  # noqa: S105 - a sentence, no secret
NO_NAME: Final = "missing name"
VALIDATION: Final = "something went wrong with the request"
NO_PAGE: Final = "404 page not found"


class Worded(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a fault. `text` None takes the refusal's own words; `cause` is what is told beside it where there is room.

    `validation`: the request itself is at fault, which some generations say apart. `silent`: there is no body. `page`: the
    router's own text. `lists` are answered as null beside the error, as the early provision service does.
    """

    outcome: Outcome
    text: str | None = None
    cause: str = ""
    validation: bool = False
    silent: bool = False
    page: bool = False
    lists: tuple[str, ...] = ()


Wording = Mapping[tuple[str, str], Worded]

GUARDS: Final = (
    "external_id",
    "config_device",
    "config_name",
    "credential_lookup",
    "device_name",
    "device_limit",
    "version",
    "reference",
)
_KEY_IS_WRONG = (
    "bootstrap.key",
    "bootstrap.device_disabled",
    "bootstrap.device_discarded",
    "bootstrap.device_revoked",
    "identity.other",
)
_NOT_OF_THE_DOMAIN = ("role", "tenant.other", "tenant.unknown")
_NEVER_FOUND = ("config.unknown", "channel.unknown", "client.unknown")
_ISSUING = (
    "issuing.no_authority",
    "issuing.key_pairs",
    "issuing.keys_pending",
    "issuing.busy",
    "issuing.authority",
    "issuing.authority_over",
    "issuing.authority_refused",
    "issuing.answer",
    "certificate_serial",
)
_ID_TAKEN = ("channel.id_taken", "client.id_taken", "credential_lookup", "device_name")


def _service(outcome: Outcome, text: str | None, cause: str = "") -> Worded:
    return Worded(outcome=outcome, text=text, cause=cause)


def _request(outcome: Outcome, text: str | None) -> Worded:
    return Worded(outcome=outcome, text=text, validation=True)


def _any(checks: Iterable[str], worded: Worded, operation: str = "") -> dict[tuple[str, str], Worded]:
    return {(operation, check): worded for check in checks}


_ROUTER: Wording = {
    ("", "request.path"): Worded(outcome=Reason.NOT_FOUND, page=True),
    ("", "bootstrap.secure_off"): Worded(outcome=Reason.NOT_FOUND, page=True),
    ("", "request.method"): Worded(outcome=Reason.NOT_ALLOWED, silent=True),
    ("", "request.slash"): Worded(outcome=Reason.MOVED, silent=True),
}

_THING: Wording = {
    **_ROUTER,
    ("", "bearer.missing"): _request(Reason.UNAUTHENTICATED, NO_TOKEN),
    ("", "bearer.unknown"): _service(Reason.UNAUTHENTICATED, BAD_TOKEN),
    **_any(_NOT_OF_THE_DOMAIN, _service(Reason.FORBIDDEN, NOT_ALLOWED)),
    ("", "content.type"): _request(Reason.UNSUPPORTED, BAD_CONTENT_TYPE),
    ("", "body.json"): _request(Reason.MALFORMED, MALFORMED),
    ("", "query.number"): _request(Reason.MALFORMED, BAD_QUERY),
    ("", "query.escape"): _request(Reason.MALFORMED, BAD_QUERY),
    ("", "query.limit"): _request(Reason.MALFORMED, BAD_LIMIT),
    ("", "list.empty"): _request(Reason.MALFORMED, EMPTY_LIST),
    ("", "external_id.missing"): _request(Reason.MALFORMED, NO_ID),
    ("", "external_key.missing"): _request(Reason.UNAUTHENTICATED, NO_KEY),
    (op.CREATE_MAPPING, "external_key.missing"): _request(Reason.MALFORMED, NO_KEY),
    (op.CREATE_MAPPING, "name.missing"): _request(Reason.MALFORMED, NO_NAME),
    ("", "channels.missing"): _request(Reason.MALFORMED, EMPTY_LIST),
    ("", "channels.empty_id"): _request(Reason.MALFORMED, NO_ID),
    ("", "state.value"): _request(Reason.MALFORMED, BAD_STATE),
    ("", "secret.missing"): _request(Reason.MALFORMED, NO_KEY),
    **_any(_NEVER_FOUND, _service(Reason.NOT_FOUND, NOT_FOUND)),
    **_any(_ID_TAKEN, _service(Reason.CONFLICT, TAKEN)),
    ("", "config_name"): _service(Reason.CONFLICT, TAKEN),
    **_any(GUARDS, _service(Reason.CONFLICT, NOT_ADDED), op.CREATE_CONFIG),
    **_any(GUARDS, _service(Reason.CONFLICT, NOT_ADDED), op.CREATE_MAPPING),
    **_any(_ISSUING, _service(Reason.UNPROCESSABLE, CERTS_NOT_CREATED), op.CREATE_MAPPING),
    (op.CREATE_CONFIG, "config.channel_unknown"): _service(Reason.MALFORMED, CHANNELS_UNCHECKED),
    (op.CREATE_CONFIG, "config.client_unknown"): _service(Reason.NOT_FOUND, NOT_ADDED),
    (op.CHANGE_CERTIFICATES, "config.unknown"): _service(Reason.NOT_FOUND, CERTS_UNCHANGED),
    (op.CHANGE_CONNECTIONS, "config.unknown"): _service(Reason.NOT_FOUND, CONNECTIONS_UNCHANGED),
    (op.CHANGE_CONNECTIONS, "config.channel_unknown"): _service(Reason.MALFORMED, CONNECTIONS_UNCHANGED),
    (op.CHANGE_STATE, "config.unknown"): _service(Reason.NOT_FOUND, STATE_UNCHANGED),
    ("", "device.id_missing"): _request(Reason.MALFORMED, NO_ID),
    ("", "device.key_missing"): _request(Reason.UNAUTHENTICATED, NO_KEY),
    ("", "bootstrap.unknown"): _service(Reason.NOT_FOUND, NOT_READ),
    ("", "bootstrap.secure_tenant"): _service(Reason.NOT_FOUND, NOT_READ),
    **_any(_KEY_IS_WRONG, _service(Reason.FORBIDDEN, WRONG_KEY)),
    ("", "bootstrap.short"): _service(Reason.FORBIDDEN, WRONG_KEY),
    ("", "bootstrap.hex"): _service(Reason.FORBIDDEN, WRONG_CIPHERTEXT),
}

_NULL_LISTS = Worded(outcome=Success.CREATED, text=NOT_ADDED, lists=("things", "channels"))
_NO_CERTIFICATES = Worded(outcome=Success.CREATED, text=CERTS_NOT_CREATED, lists=("things", "channels"))
_THING_0_13: Wording = {
    **_THING,
    **_any(GUARDS, _NULL_LISTS, op.CREATE_MAPPING),
    **_any(_ISSUING, _NO_CERTIFICATES, op.CREATE_MAPPING),
}

_BAD_CREDENTIALS = _service(Reason.FORBIDDEN, BAD_CREDENTIALS)
_UNKNOWN_TOKEN = ("bearer.missing", "bearer.unknown")
_RAW: Wording = {
    **_THING_0_13,
    **_any((*_UNKNOWN_TOKEN, *_NOT_OF_THE_DOMAIN, "device.key_missing"), _BAD_CREDENTIALS),
    **{
        key: _service(Reason.UNAUTHENTICATED, BAD_CREDENTIALS)
        for operation in (*op.RESOURCES, op.CREATE_MAPPING, op.SHOW_MAPPING)
        for key in _any(_UNKNOWN_TOKEN, _BAD_CREDENTIALS, operation)
    },
    **_any(
        ("external_id.missing", "external_key.missing", "state.value", "secret.missing", "list.empty", "query.limit"),
        _service(Reason.MALFORMED, MALFORMED),
    ),
    ("", "device.id_missing"): _service(Reason.MALFORMED, MALFORMED),
    **_any(_NEVER_FOUND, _service(Reason.NOT_FOUND, NON_EXISTENT)),
    ("", "query.number"): _service(Reason.MALFORMED, BAD_QUERY_EARLY),
    (op.LIST_CONFIGS, "query.number"): _service(Reason.MALFORMED, None),
    (op.LIST_UNKNOWN, "query.number"): _service(Reason.MALFORMED, None),
    ("", "query.escape"): _service(Reason.MALFORMED, BAD_QUERY_EARLY),
    **_any(_KEY_IS_WRONG, _service(Reason.NOT_FOUND, WRONG_KEY)),
    ("", "bootstrap.hex"): _service(Reason.NOT_FOUND, WRONG_CIPHERTEXT),
    ("", "bootstrap.short"): _service(Reason.MALFORMED, MALFORMED),
}

_MAGISTRALA_THING: Wording = {
    **_THING,
    ("", "body.json"): _request(Reason.MALFORMED, None),
    ("", "bearer.unknown"): _service(Reason.UNAUTHENTICATED, BAD_TOKEN, BAD_TOKEN),
    **_any(GUARDS, _service(Reason.CONFLICT, NOT_ADDED, TAKEN), op.CREATE_CONFIG),
    (op.CREATE_CONFIG, "config.channel_unknown"): _service(Reason.MALFORMED, CHANNELS_UNCHECKED, MALFORMED),
    (op.CREATE_CONFIG, "config.client_unknown"): _service(Reason.NOT_FOUND, NO_THING, THINGS_FAILED),
    (op.SHOW_CONFIG, "config.unknown"): _service(Reason.NOT_FOUND, NOT_VIEWED, NOT_FOUND),
    (op.CHANGE_CONFIG, "config.unknown"): _service(Reason.NOT_FOUND, CONNECTIONS_UNCHANGED, NOT_FOUND),
    (op.CHANGE_CERTIFICATES, "config.unknown"): _service(Reason.NOT_FOUND, CERTS_UNCHANGED, NOT_FOUND),
    (op.CHANGE_CONNECTIONS, "config.unknown"): _service(Reason.NOT_FOUND, CONNECTIONS_UNCHANGED, NOT_FOUND),
    (op.CHANGE_CONNECTIONS, "config.channel_unknown"): _service(Reason.MALFORMED, CONNECTIONS_UNCHANGED, MALFORMED),
    (op.CHANGE_STATE, "config.unknown"): _service(Reason.NOT_FOUND, STATE_UNCHANGED, NOT_FOUND),
    ("", "bootstrap.unknown"): _service(Reason.NOT_FOUND, NOT_READ, NOT_FOUND),
    ("", "bootstrap.secure_tenant"): _service(Reason.NOT_FOUND, NOT_READ, NOT_FOUND),
}

_CREATING_ENTITIES = (op.CREATE_CHANNEL, op.CREATE_CHANNELS, op.CREATE_CLIENT, op.CREATE_CLIENTS)
_CLIENT: Wording = {
    **_THING,
    ("", "bearer.missing"): _service(Reason.UNAUTHENTICATED, NO_TOKEN),
    ("", "body.json"): _request(Reason.MALFORMED, None),
    ("", "external_key.missing"): _request(Reason.MALFORMED, NO_KEY),
    ("", "secret.missing"): _request(Reason.MALFORMED, NO_SECRET),
    ("", "device.key_missing"): _request(Reason.MALFORMED, NO_KEY),
    **_any(GUARDS, _service(Reason.MALFORMED, NOT_ADDED), op.CREATE_CONFIG),
    **_any(GUARDS, _service(Reason.MALFORMED, NOT_ADDED), op.CREATE_MAPPING),
    (op.CREATE_CONFIG, "config.client_unknown"): _service(Reason.NOT_FOUND, NO_CLIENT),
    (op.SHOW_CONFIG, "config.unknown"): _service(Reason.MALFORMED, NOT_VIEWED),
    (op.CHANGE_CONFIG, "config.unknown"): _service(Reason.NOT_FOUND, CONNECTIONS_UNCHANGED),
    (op.CHANGE_CONFIG, "config_name"): _service(Reason.UNPROCESSABLE, CONNECTIONS_UNCHANGED),
    **{
        key: _service(Reason.UNPROCESSABLE, NOT_CREATED)
        for operation in _CREATING_ENTITIES
        for key in _any(_ID_TAKEN, _service(Reason.CONFLICT, TAKEN), operation)
    },
}

_THINGS_DOMAIN: Wording = {
    **_CLIENT,
    (op.CREATE_CONFIG, "config.client_unknown"): _service(Reason.NOT_FOUND, NO_THING),
}

_CHANGING_CONFIGS = (op.CHANGE_CONFIG, op.CHANGE_CERTIFICATES, op.CHANGE_CONNECTIONS, op.CHANGE_STATE)
_CLIENT_0_20: Wording = {
    **_CLIENT,
    ("", "body.json"): _request(Reason.MALFORMED, NOT_JSON),
    ("", "external_key.missing"): _request(Reason.UNAUTHENTICATED, NO_KEY),
    ("", "device.key_missing"): _request(Reason.UNAUTHENTICATED, NO_KEY),
    (op.CREATE_CONFIG, "config.channel_unknown"): _service(Reason.MALFORMED, MALFORMED),
    (op.CHANGE_CONNECTIONS, "config.channel_unknown"): _service(Reason.MALFORMED, MALFORMED),
    (op.CREATE_CONFIG, "config.client_unknown"): Worded(outcome=Reason.INTERNAL, silent=True),
    **_any(GUARDS, _service(Reason.UNPROCESSABLE, NOT_ADDED), op.CREATE_CONFIG),
    **_any(GUARDS, _service(Reason.UNPROCESSABLE, NOT_ADDED), op.CREATE_MAPPING),
    **{(operation, "config.unknown"): _service(Reason.NOT_FOUND, NOT_FOUND) for operation in _CHANGING_CONFIGS},
    (op.SHOW_CONFIG, "config.unknown"): _service(Reason.NOT_FOUND, NOT_FOUND),
    ("", "bootstrap.unknown"): _service(Reason.NOT_FOUND, NOT_FOUND),
    ("", "bootstrap.secure_tenant"): _service(Reason.NOT_FOUND, NOT_FOUND),
    ("", "internal"): Worded(outcome=Reason.INTERNAL, silent=True),
}

RAW: Final[Wording] = MappingProxyType(_RAW)
"""Mainflux 0.12.1."""
THING: Final[Wording] = MappingProxyType(_THING_0_13)
"""Mainflux 0.13.0."""
MAGISTRALA_THING: Final[Wording] = MappingProxyType(_MAGISTRALA_THING)
"""Magistrala 0.14."""
THINGS_DOMAIN: Final[Wording] = MappingProxyType(_THINGS_DOMAIN)
"""Magistrala 0.15.1."""
CLIENT: Final[Wording] = MappingProxyType(_CLIENT)
"""Magistrala 0.16.0."""
CLIENT_0_20: Final[Wording] = MappingProxyType(_CLIENT_0_20)
"""Magistrala 0.20.0."""

DOCUMENTED: Final[Mapping[tuple[str, str], Outcome]] = MappingProxyType(
    {
        **{(op.CREATE_CONFIG, guard): Reason.CONFLICT for guard in GUARDS},
        (op.SHOW_CONFIG, "config.unknown"): Reason.NOT_FOUND,
        (op.CREATE_CONFIG, "config.client_unknown"): Reason.NOT_FOUND,
    }
)
"""The statuses that the API descriptions promise where the programs send others."""


def natural(reason: Reason) -> Worded:
    """Return what is answered to a fault that no table knows: malformed requests in the vendor's words, others in our own."""
    return _service(reason, MALFORMED if reason is Reason.MALFORMED else None)
