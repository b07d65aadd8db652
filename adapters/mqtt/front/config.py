"""Which broker stands behind the front, and as whom a device is seen there."""

import enum
import ssl

import msgspec

from core.messages import Identity
from core.model import Secret


class ClientIds(enum.Enum):
    """The client identifier by which the broker knows a device."""

    DEVICE = "device"  # the device's own id: one connection of it at a time
    JOINED = "joined"  # the device's id and the identifier that the client chose: one connection of each
    CLIENT = "client"  # what the client chose: whoever chooses the same throws the other out


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """The broker. An empty `username` is each device's own id; `password` is the same for all, None: there is none.

    `seconds` may pass from the connection to the broker until its CONNACK. A message from there that
    has more than `packet_bytes` is left out, any other packet of that size is the end of the connection. `tls` is how the
    broker's certificate is checked, None: TLS is not spoken.
    """

    host: str
    port: int
    username: str = ""
    password: Secret | None = None
    client_ids: ClientIds = ClientIds.DEVICE
    seconds: float = 5.0
    packet_bytes: int = 1_048_576
    tls: ssl.SSLContext | None = None

    def client_id(self, identity: Identity, chosen: str) -> str:
        """Return the client identifier for somebody who chose one, which may be empty.

        Users have one for each of their programs.
        """
        if not chosen or (self.client_ids is ClientIds.DEVICE and not identity.user):
            return identity.device
        return chosen if self.client_ids is ClientIds.CLIENT else f"{identity.device}:{chosen}"
