"""What operators send about the trust in a profile's devices: parts of bodies, as they are on the wire."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.operator.body import Body
from core.model import Secret


class ChainRules(Body, frozen=True):
    """How devices are let in by the chain of their certificate; what is left out is chosen, or stays as it is."""

    certificate: Annotated[
        str | UnsetType,
        Meta(
            description="What a chain has to come to: an authority's certificate as PEM, perhaps with those behind it, each"
            " signed by the next. A new profile needs it."
        ),
    ] = UNSET
    pattern: Annotated[
        str | UnsetType,
        Meta(description="A regular expression sought in the common name; its first group is the device's name. Empty: (.*)"),
    ] = UNSET
    create: Annotated[bool | UnsetType, Meta(description="Devices that are not known are made.")] = UNSET
    lax: Annotated[
        bool | UnsetType, Meta(description="Signatures alone count, as with ThingsBoard: no dates above, no CA flags.")
    ] = UNSET


class IssuingRules(Body, frozen=True):
    """What certificates devices may have from this gateway; what is left out is chosen, or stays as it is."""

    lifetime_days: Annotated[int | UnsetType, Meta(description="1 to 3,660; left out, 365.")] = UNSET
    key_pairs: Annotated[bool | UnsetType, Meta(description="A device may have its key made here, too.")] = UNSET


class NewOscore(Body, frozen=True, tag_field="type", tag="oscore"):
    """An OSCORE context (RFC 8613, AES-CCM-16-64-128, HKDF SHA-256), in hex; `device_id` and `secret` left out are drawn."""

    device_id: Annotated[str | None, Meta(description="Sender ID of the device, at most 7 bytes.")] = None
    server_id: Annotated[str, Meta(description="Recipient ID of the device, that is the server's, at most 7 bytes.")] = ""
    secret: Annotated[Secret | None, Meta(description="Master Secret, at least 16 bytes.")] = None
    salt: Annotated[str, Meta(description="Master Salt.")] = ""
    id_context: Annotated[str, Meta(description="ID Context.")] = ""
