"""What operators and factories send about credentials and batches: bodies and query parameters, as they are on the wire."""

from typing import Annotated

import msgspec
from msgspec import Meta

from adapters.dialects.operator.bodies import CredentialWord, Metadata, Overlap, Scoped
from adapters.dialects.operator.body import Body

NDJSON, CSV = "application/x-ndjson", "text/csv"
FORMATS = {"ndjson": NDJSON, "csv": CSV}

FormatWord = Annotated[
    str,
    Meta(
        description="The form of the answer; by default `csv` where `Accept` asks for it, otherwise `ndjson`.",
        extra_json_schema={"enum": list(FORMATS)},
    ),
]
ProfileRef = Annotated[str, Meta(description="Id or name of the profile.")]
Kind = Annotated[
    CredentialWord, Meta(description="By default the profile's kind, a triple where its devices sign, or a token.")
]


class IssuedDevice(Body, frozen=True):
    """A device to issue a credential for."""

    serial: str
    label: str = ""
    metadata: Metadata = msgspec.field(default_factory=dict)


class IssueBody(Body, frozen=True):
    """At most 100,000 serials, either bare or each with more about its device."""

    profile: ProfileRef = ""
    kind: Kind = ""
    serials: list[str] | None = None
    devices: list[IssuedDevice] | None = None


class UnreadLine(msgspec.Struct, frozen=True):
    """A line that holds no device, and why."""

    serial: str
    reason: str


class IssueTable(msgspec.Struct, frozen=True):
    """The lines of a CSV body by their numbers."""

    lines: tuple[tuple[int, IssuedDevice | UnreadLine], ...]


class IssueQuery(Scoped, frozen=True):
    """What a batch is for, where the body does not say so."""

    profile: ProfileRef = ""
    kind: Kind = ""
    format: FormatWord = ""


class RotationQuery(Scoped, frozen=True):
    """How a rotation goes on."""

    overlap_seconds: Overlap = 0


class AdditionQuery(Scoped, frozen=True):
    """How long an additional credential lasts."""

    expires_in_seconds: Annotated[
        int, Meta(description="Seconds after which it is worthless, at most 3,660 days; 0: it stays.")
    ] = 0
