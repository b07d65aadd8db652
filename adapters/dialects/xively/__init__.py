"""Xively's device provisioning: the Blueprint API of operators and the login before it, over HTTP, and the topics of devices.

An account is a tenant, and its id the tenant's; a device template is a profile; organisations, users and what a template says
of its devices are entries of the directory.

The lifecycle in their words (`provisioningState`):

| Ours | Theirs |
| --- | --- |
| `defined` | `defined` |
| `provisioned`, `connected` | `activated`, and as a filter both |
| `associated` | `associated` |
| `discarded` | `reserved`: an operator alone brings a device there, and it can be neither used nor associated |
| not `enabled` | what its state says; it cannot log in |
| it has an open MQTT connection | `connected`: true |
| its first accepted login | `lastConnected` |

The record of the closed service is incomplete. Where it is silent:
- Success is always 200. A batch without requests is refused, and so is a `sortBy` that a list cannot be sorted by: devices by
  `created`, `lastModified`, `serialNumber`, `name` and `provisioningState`, everything else by `created` alone.
- `createdById` and `lastModifiedById` are `xi/jwt/<account>`: who it was stands in the events.
- `firmwareVersion` is what the device reported, before that what a client wrote. `externalIp`, `latitude` and `longitude` are
  fields like any other, null until set. A custom field is at the top level of its devices; none can be named like a fixed
  member. Its `default` is what new devices get. Other members of a body are kept with what it is about, and shown again.
- `_log` is kept as a time series, the other channels that every device has are simple.
- `authenticationMethod` counts when a template is made, and is ignored after. A template shows its `customFields` and
  `channelTemplates`.
- `userId` of a user is its id, also as a filter. `role` of an account user is `admin`, `operator`, `factory` or `auditor`;
  without it one who has a password is an operator.
- An end user who logged in finds itself, its organisation and the devices of that, and whatever else it asks for is not there
  or not allowed. MQTT credentials of end users are given by operators, those of account users by an admin; every user may
  give itself some.
- Codes beside those of the vendor's record: 13 another method is needed, 14 the body is too large, 33 something of this kind is
  there already or still used, 34 the request was understood and cannot be carried out.
- A body has 262,144 bytes and 32 levels at most; a name that occurs twice in an object, U+0000, half a surrogate pair and a
  number beyond 64 bits are refused.
- The requests of a batch have no headers, so nothing that needs `etag` can be done in one.

All of it may share an address with the other dialects. A ThingsBoard device there that has `devices`, `organizations`,
`end-users` or `account-users` for its access token is not heard over HTTP.

Sources: https://developer.xively.com (`/docs/device-provisioning`, `/v1.0/docs/device-authentication-methods`,
`/docs/working-with-custom-fields`, `/docs/user-roles`, `/docs/creating-users`), https://github.com/xively/simulator (`server`,
`provision`, `config`), https://github.com/xively/xively-mobile-sdk-android and
https://github.com/isabella232/xively-mobile-sdk-ios (`rest`, `blueprint`, and their tests).
"""

from typing import Any, Final

import msgspec

from adapters.dialects.xively import batch, login, refusing, topics
from adapters.dialects.xively.endpoint import Shown, account_of, read
from adapters.dialects.xively.endpoints import BY_OPERATION, ENDPOINTS
from adapters.dialects.xively.reading import read_object
from adapters.dialects.xively.versions import opaque
from adapters.exchange import Carrier, Decoded, Guest, Inbound, Outbound, Route, Success
from core.errors import Reason, Refusal
from core.model import Secret
from core.operate.access import BEARER_LIMIT
from core.operate.directing import LoggedIn
from core.operate.messages import Operation, Operations, Unreadable

__all__ = ["GUESTS", "NAME", "ROUTES", "SUBSCRIPTIONS", "TOPICS", "decode", "encode", "refuse"]

NAME: Final = "xively"
GUESTS: Final[tuple[Guest, ...]] = ()
SUBSCRIPTIONS: Final = topics.SUBSCRIPTIONS
TOPICS: Final = topics.TOPICS
ROUTES: Final[tuple[Route, ...]] = (
    *(
        Route(carrier=Carrier.HTTP, method=method, path=path, operation=operation)
        for method, path, operation in (
            (login.METHOD, login.PATH, login.OPERATION),
            (batch.METHOD, batch.PATH, batch.OPERATION),
            *((endpoint.method, endpoint.path, endpoint.operation) for endpoint in ENDPOINTS),
        )
    ),
    *topics.ROUTES,
)

_BEARER: Final = "bearer "


def decode(route: Route, inbound: Inbound) -> Decoded:
    """Read a request. Raises `Refusal`.

    Who asks, and what is wrong with the request, is for `Operate` to tell, in this order; a login alone is refused here.
    """
    if route.operation in topics.OPERATIONS:
        return topics.decode(route, inbound)
    if route.operation == login.OPERATION:
        return Decoded(login.read(inbound))
    bearer = _bearer(inbound)
    try:
        return Decoded(_operations(route.operation, bearer, inbound))
    except Refusal as refusal:
        return Decoded(Operation(bearer, None, Unreadable(refusal)))


def encode(result: Any, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a granted request."""
    if inbound.operation in topics.OPERATIONS:
        return topics.encode(result, form, inbound)
    if isinstance(result, LoggedIn):
        return _granted(login.write(result))
    if inbound.operation == batch.OPERATION:
        return _batch(result, inbound)
    endpoint = BY_OPERATION[inbound.operation]
    shown: Shown = endpoint.write(result, read(endpoint, inbound))
    return _granted(msgspec.json.encode(shown.body), shown.version)


def refuse(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request."""
    if inbound.operation in topics.OPERATIONS:
        return topics.refuse(refusal, form, inbound)
    return refusing.refuse(refusal, inbound)


def _operations(operation: str, bearer: Secret, inbound: Inbound) -> Operation | Operations:
    if operation == batch.OPERATION:
        return batch.read(read_object(inbound.body), bearer)
    endpoint = BY_OPERATION[operation]
    asked = read(endpoint, inbound)
    return Operation(bearer, account_of(endpoint, asked), endpoint.command(asked))


def _batch(results: tuple[Any, ...], inbound: Inbound) -> Outbound:
    """Answer a batch; one whose bearer is not known is refused as a whole, so that clients log in again."""
    first = results[0]
    if isinstance(first, Refusal) and (first.reason is Reason.UNAUTHENTICATED or first.check == BEARER_LIMIT):
        return refusing.refuse(first, inbound)
    return _granted(msgspec.json.encode(batch.write(results, read_object(inbound.body))))


def _granted(body: bytes, version: int | None = None) -> Outbound:
    entity_tag = () if version is None else (("ETag", f'"{opaque(version)}"'),)
    return Outbound(outcome=Success.OK, body=body, content_type=refusing.JSON, headers=(refusing.NO_STORE, *entity_tag))


def _bearer(inbound: Inbound) -> Secret:
    """Return the bearer token (RFC 6750, section 2.1), empty where there is none; the scheme's case is free."""
    credentials = inbound.headers.get("authorization", "")
    return Secret(credentials[len(_BEARER) :].strip() if credentials[: len(_BEARER)].lower() == _BEARER else "")
