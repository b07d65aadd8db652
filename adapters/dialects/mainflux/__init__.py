"""Mainflux and Magistrala: bootstrap of devices, the configurations behind it, things, clients and channels, and provisioning.

One package speaks six flavours, which differ by the table in `flavours` alone. The dialect `mainflux` has `mf-raw` (Mainflux
0.8 to 0.12), `mf-thing` (0.13) and `mg-thing` (Magistrala 0.14); the dialect `magistrala` has `mg-client` (0.16),
`mg-client-0.20` and `mg-things-domain` (0.15). A domain in a path is a tenant.

The lifecycle in their words:

| Ours | Theirs |
| --- | --- |
| `defined` | a thing or client, whether it has a configuration or not, that has not fetched it yet |
| `provisioned` | one that fetched its configuration |
| `connected`, `associated` | one that has been seen since; they have no word for it |
| `discarded`, or its secret revoked | one whose external key is wrong |
| not `enabled` | status `disabled`, and its external key is wrong |
| a configuration that is not active | state 0, inactive: its device bootstraps, may not log in and use no channel |
| an active one | state 1, active: its device may use all of its channels |

Departures from the originals:
- State 1 means that all channels may be used and is reached at once; new channels never change the state, and no event of
  one device changes the configuration of another. A channel listed twice counts once.
- The id filters of a list work; the originals fail inside. A semicolon in a query is a broken one for all of them.
- An unknown external id (`GET /things/unknown/configs`, `mf-raw`) is listed without the key that was presented with it,
  which is not kept.
- Escapes in a path are always undone. `mf-raw` takes `Thing <key>` and `Bearer <token>` as well as the bare forms.
- A redirect, a 405 and an error beyond the originals' own have this gateway's headers too (`Allow`, `X-Request-ID`).
- A device that has fetched its configuration may have to wait for an operator before it gets it again by its external key (a
  profile's policy `approve`): 403 until then. By its own secret, and where it has what there is (`If-None-Match`), it need not.
- Of things, clients and channels there are no tags, identities, groups and parents. A client or channel of Magistrala that is
  not there is 404 where the originals say that it is not allowed. `Location` of a channel of `mg-thing` names a channel.
- The provision service makes everything or nothing and has certificates made where its layout says so; where a request has no
  token it uses its API key, and never a password.

Ours, beside theirs: `GET .../bootstrap/{external_id}/version` and `.../bootstrap/secure/{external_id}/version` tell the
version and entity tag of a configuration without giving it away. All device paths are served over CoAP, with the key in the
query (`?auth=<key>`), and over MQTT: a device publishes to `<path>/request` and is answered on `<path>/response`, its key in
the member `authorization` of the body, in the user property of that name, or proved by its connection. `Accept:
application/cbor`, over MQTT a user property too, gets the same document in CBOR (RFC 8949); an error stays JSON. The paths of
the generation after stay free: `P/bootstrap/...`, `P/configs/{id}/enable`, `P/configs/{id}/disable`, `PATCH P/configs/{id}`.

The flavours behind `/things` share the paths of devices, `mg-things-domain` among them: each needs an address of its own.

Sources: https://github.com/absmach/magistrala (tags 0.11.0, 0.12.1, 0.13.0, v0.14.0, v0.15.1, v0.16.0, v0.20.0: `bootstrap`,
`things`, `provision`, `apidocs/openapi`) and https://github.com/absmach/supermq (`clients/api/http`, `channels/api/http`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from adapters.dialects.mainflux.dialect import MainfluxDialect
from adapters.dialects.mainflux.endpoint import DialectOptions
from adapters.dialects.mainflux.flavours import BY_DIALECT
from adapters.exchange import Dialect

__all__ = ["FLAVOURS", "DialectOptions", "open_dialect"]

FLAVOURS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: tuple(flavour.name for flavour in flavours) for name, flavours in BY_DIALECT.items()}
)
"""The flavours of each dialect, the default first."""


def open_dialect(flavour: str, options: DialectOptions) -> Dialect:
    """Return the dialect that speaks a flavour. Raises `KeyError` for a flavour that there is not."""
    known = {each.name: (name, each) for name, flavours in BY_DIALECT.items() for each in flavours}
    name, found = known[flavour]
    return MainfluxDialect(name, found, options)
