"""The application API, by which operators make, find, allocate, reset, change, replace and remove devices.

All of it is `/dps-service/{version}/pvs/device?action={action}&orgId={tenant}`, versions `v2.5` and `v4.0`, which are served
alike with the names of both; an `orgId` is the id of a tenant. An application proves itself by the bearer token of an operator
(`Authorization: Bearer`). Parameters are members of a JSON body unless said otherwise:

| `action` | Parameters | `data` of the answer |
| --- | --- | --- |
| `create` | `groupId`, `count` 1 to 1,000,000, `desc`, `batchTag`, `deviceData` | the `sn` of each, growing as they are made |
| `get` (GET or POST) | `sn`, in the query or the body | `PvsDevice` |
| `search` | `expression`, `pagination` | list of `PvsDevice`, `pagination` beside it |
| `allocate`, `activate` | `sn`, `desc`, `batchTag`, `deviceData` | `PvsDevice` |
| `resetAllocationStatus`, `reprovision` | `groupId`, `sns` | list of `sn` |
| `update` | `sn`, `desc`, `batchTag`, `deviceData` | `sn` |
| `replace` | `sn`, `replacementSn` | `PvsDevice` of the replacement |
| `delete` | `groupId`, `snList` | list of `sn`, with those that were not there |

Departures from the original:
- Its access keys and signed requests are not replayed.
- `create` with a `deviceSn` makes one device; without, serials of 16 characters are drawn. More than 500 devices are answered
  while they are made, that many in a commit. A connection that ends before the body does tells that not all were made; those
  that were stay, and are found by group, status and tag. `sn` is the `deviceSn` where that is free in the tenant, otherwise
  `{groupId}_{deviceSn}`.
- Members of `deviceData` are set one by one, null removes one. All but `deviceSn`, `deviceName` and `timezone` may be any JSON:
  no template of master data is asked.
- `resetAllocationStatus`, `delete` and `replace` do everything or nothing. A discarded device is neither allocated nor reset.
- `search` without an expression finds everything. Its fields are `groupId`, `sn`, `deviceData.deviceSn`,
  `status.currentStatus`, `allocateStatus` and `connectStatus`, and with a look at each device, at 100,000 of them at most,
  `batchTag`, `desc` and `deviceData.*`. They are compared by `=` and `in`, and joined by `and`. All devices of the tenant are
  found, whatever dialect they came in through: `groupId` is then the claim key of their profile, `deviceSn` their name.

Sources: EnOS Device Provisioning Service API, "Create", "Get", "Search", "Allocate", "Update", "Replace" and "Delete DPS
Device", "Reset Device Allocation Status" (V2.5, V4.0).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from adapters.dialects.enos import application_answers as answers
from adapters.dialects.enos import application_commands as commands
from adapters.dialects.enos import errors
from adapters.dialects.enos.errors import InvalidArgument, missing
from adapters.dialects.enos.options import DialectOptions
from adapters.dialects.enos.representation import JSON, media_type
from adapters.exchange import Carrier, Decoded, Inbound, Outbound, Route
from core.errors import Reason, Refusal
from core.model import Secret, TenantId
from core.operate.messages import Command, Operation, Unreadable

OPERATION: Final = "application"
OPERATIONS: Final = frozenset({OPERATION})
_PATHS: Final = ("/dps-service/v2.5/pvs/device", "/dps-service/v4.0/pvs/device")
_BEARER: Final = "bearer "
_CHALLENGE: Final = ("WWW-Authenticate", "Bearer")  # RFC 6750, section 3
_GET: Final = "get"


class Action(msgspec.Struct, frozen=True):
    """One `action`: which command a request means, and what of its result is the answer's data."""

    command: Callable[[Inbound], Command]
    write: Callable[[Any, Inbound], Outbound]


def routes() -> tuple[Route, ...]:
    """Return the routes of applications, over HTTP alone: one answer grows while it is sent."""
    return tuple(
        Route(carrier=Carrier.HTTP, method=method, path=path, operation=OPERATION)
        for path in _PATHS
        for method in ("GET", "POST")
    )


def decode(_route: Route, inbound: Inbound, _options: DialectOptions) -> Decoded:
    """Read a request. What cannot be read is refused once it is known that an operator asks."""
    name = inbound.query.get("action", "")
    try:
        organization = _organization(inbound)
        operation = Operation(_bearer(inbound), organization, _action(inbound, name).command(inbound))
    except Refusal as refusal:
        operation = Operation(_bearer(inbound), None, Unreadable(refusal))
    return Decoded(operation, name)


def encode(result: Any, form: str, inbound: Inbound, _options: DialectOptions) -> Outbound:
    """Write the answer to a granted request."""
    return ACTIONS[form].write(result, inbound)


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request; statuses are always real here."""
    refused = errors.refuse(refusal, inbound)
    headers: tuple[tuple[str, str], ...] = ()
    if refusal.reason is Reason.UNAUTHENTICATED:
        headers = (_CHALLENGE,)
    elif refusal.reason is Reason.NOT_ALLOWED:
        headers = (("Allow", "POST"),)
    return msgspec.structs.replace(refused, headers=headers)


def _organization(inbound: Inbound) -> TenantId:
    found = inbound.query.get("orgId", "")
    if not found:
        raise Refusal(Reason.MALFORMED, "the orgId is missing", check="organization.missing")
    return TenantId(found)


def _action(inbound: Inbound, name: str) -> Action:
    if not name:
        raise missing("action")
    if name not in ACTIONS:
        raise InvalidArgument("action", f"it is one of {', '.join(ACTIONS)}", check="application.action")
    if inbound.method == "GET" and name != _GET:
        raise Refusal(Reason.NOT_ALLOWED, "this action takes POST", check="request.method")
    if inbound.body and media_type(inbound) not in ("", JSON):
        raise Refusal(Reason.UNSUPPORTED, f"the body is not {JSON}", check="content.type")
    return ACTIONS[name]


def _bearer(inbound: Inbound) -> Secret:
    """Return the bearer token (RFC 6750, section 2.1), empty where there is none; the scheme's case is free."""
    header = inbound.headers.get("authorization", "")
    return Secret(header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else "")


_ALLOCATE: Final = Action(commands.allocate, answers.shown)
_RESET: Final = Action(commands.reset, answers.all_named)
ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "create": Action(commands.create, answers.made),
        _GET: Action(commands.show, answers.shown),
        "search": Action(commands.search, answers.found),
        "allocate": _ALLOCATE,
        "activate": _ALLOCATE,
        "resetAllocationStatus": _RESET,
        "reprovision": _RESET,
        "update": Action(commands.update, answers.named),
        "replace": Action(commands.replace, answers.shown),
        "delete": Action(commands.delete, answers.gone),
    }
)
"""What `action` may be, in the words of both versions."""
