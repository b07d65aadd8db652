"""What the tests of the Mainflux dialects ask with: requests as each protocol makes them, results as the core gives them."""

from typing import Any

import msgspec

from adapters.dialects.mainflux import FLAVOURS, DialectOptions, open_dialect
from adapters.exchange import Carrier, Dialect, Inbound, Outbound, Peer
from adapters.router import Match, Router
from core.crypto.cfb import Envelope
from core.errors import Refusal
from core.messages import Bootstrapped, ClientCertificates, Identity
from core.model import BootstrapConfig, Channel, ChannelId, Device, DeviceId, ProfileId, Sealed, Secret, TenantId
from tests.fakes import START

NAMES = tuple(name for names in FLAVOURS.values() for name in names)
IDENTITY = Identity(TenantId("default"), DeviceId("th-1"), "e-1", None)
ETAG = "0011223344556677"


def dialect(flavour: str, **options: Any) -> Dialect:
    """Return the dialect of a flavour."""
    return open_dialect(flavour, DialectOptions(**options))


def entity(flavour: str) -> str:
    """Return what devices are called in paths."""
    return "clients" if "client" in flavour else "things"


def scheme(flavour: str) -> str:
    """Return what stands before an external key."""
    return {"mf-raw": ""}.get(flavour, "Client " if "client" in flavour else "Thing ")


def request(spoken: Dialect, carrier: Carrier, method: str, path: str, **fields: Any) -> tuple[Match, Inbound]:
    """Return a request with the route it takes."""
    inbound = Inbound(carrier=carrier, method=method, path=path, peer=Peer("192.0.2.7", 4711), received_at=START, **fields)
    match = Router([spoken]).find(inbound)
    assert isinstance(match, Match), (method, path)
    return match, msgspec.structs.replace(inbound, params=match.params, operation=match.route.operation)


def decoded(spoken: Dialect, carrier: Carrier, method: str, path: str, **fields: Any) -> Any:
    """Return what a request means. Raises `Refusal`."""
    match, inbound = request(spoken, carrier, method, path, **fields)
    return spoken.decode(match.route, inbound).message


def refused(spoken: Dialect, carrier: Carrier, method: str, path: str, **fields: Any) -> Outbound:
    """Return the answer to a request that is refused before it means anything."""
    match, inbound = request(spoken, carrier, method, path, **fields)
    try:
        spoken.decode(match.route, inbound)
    except Refusal as refusal:
        return spoken.refuse(refusal, "", inbound)
    raise AssertionError("it was not refused")


def bootstrapped(
    *channels: Channel,
    identity: str = "cl-1",
    secret: str = "s-1",
    content: str = "",
    unchanged: bool = False,
    envelope: Envelope | None = None,
) -> Bootstrapped:
    """Return what a device is to get."""
    device = Device(
        id=DeviceId(identity),
        tenant=TenantId("default"),
        profile=ProfileId("p"),
        name="e-1",
        created_at=START,
        updated_at=START,
    )
    config = BootstrapConfig(
        id=device.id,
        tenant=device.tenant,
        external_id="e-1",
        external_key=Sealed(b""),
        channels=tuple(channel.id for channel in channels),
        created_at=START,
        updated_at=START,
        version=3,
    )
    return Bootstrapped(
        config=config,
        device=device,
        secret=Secret(secret),
        channels=channels,
        content=content,
        certificates=ClientCertificates(),
        etag=ETAG,
        unchanged=unchanged,
        envelope=envelope,
    )


def channel(identity: str, name: str = "", **metadata: Any) -> Channel:
    """Return a channel."""
    return Channel(
        id=ChannelId(identity),
        tenant=TenantId("default"),
        name=name,
        metadata=metadata,
        created_at=START,
        updated_at=START,
    )
