"""EnOS device provisioning (DPS): bootstrap of devices that sign, their triples, HTTP sessions, and the application API.

The lifecycle in its words:

| Ours | Theirs |
| --- | --- |
| `defined` | `init`: the serial is registered and an operator, or auto activation, has to allocate it |
| `provisioned` | `allocated`: it has its triple |
| `connected` | `connected`: it has logged in with that |
| `associated` | `finished` |
| `discarded` | `discarded` |
| not `enabled` | answered as discarded; applications see the state that it is in |
| `defined` again | `resetAllocationStatus`: the triple is revoked; group, password and serial stay |
| provisioned, its triple revoked by an operator | answered as not allocated, whatever the group's auto activation |

A registration group is a profile with the strategy `signed`: its id is the provision key, its password the provision secret.
A device's `deviceSn` is the `serial`; its `sn`, unique in the environment, is the `name`: the serial, or `{group}_{serial}`
where that is taken. `deviceName` and `timezone` are kept as metadata at the first registration alone; the default of the name
is the label.

Where the vendor's documents say nothing:
- `{svc}` is `dev`, `preview`, `latest`, `stable` or a version (`2.4.0`, `v2.4`). Nothing else is at such a path.
- `deviceId`, the field's older name, is taken for `deviceSn`; a missing sign method, name or time zone has a default.
- A repeated request, even the very same, gets the same triple, as long as its timestamp is within the group's tolerance. The
  `Date` of a refusal tells a device the time.
- A wrong signature, an unknown group, one of another kind and a time out of range are answered alike. A right signature of a
  group that is switched off is answered 35603.
- Errors come in the envelope of the application API with statuses of HTTP; `always_200` sends them all as 200. Those of the
  session service have its `message` too.
- A gateway is a device whose metadata, or whose group's, has the member `gateway` true. Its branches are registered by their
  number as `{deviceSn of the gateway}_{branch}`.

Ours, beside theirs: all device paths are served over CoAP, and over MQTT for the names of the service without its versions:
a device connects as `bootstrap`, publishes to `<path>/request` and is answered on `<path>/response`. There, a body may be CBOR
(RFC 8949), and is answered in it; `Accept: application/cbor` gets it everywhere.

Sources: https://support.enos-iot.com/docs/dps-api/ (2.4.0, 2.4.4, dev: device, v2.5, v4.0),
https://support.enos-iot.com/docs/device-provisioning/en/2.4.4/ (registration groups),
https://support.enos-iot.com/docs/device-connection/ (HTTP connection),
https://github.com/EnvisionIot/enos-device-sdk-python and https://github.com/EnvisionIot/enos-device-sdk-java.
"""

from adapters.dialects.enos.dialect import NAME, EnosDialect
from adapters.dialects.enos.options import DialectOptions
from adapters.exchange import Dialect

__all__ = ["NAME", "DialectOptions", "open_dialect"]


def open_dialect(options: DialectOptions) -> Dialect:
    """Return the dialect."""
    return EnosDialect(options)
