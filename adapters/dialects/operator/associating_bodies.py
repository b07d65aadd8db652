"""What operators send about associations and firmware: JSON bodies and query parameters, as they are on the wire."""

from typing import Annotated

from msgspec import Meta

from adapters.dialects.operator.bodies import Scoped
from adapters.dialects.operator.body import Body
from core.associate import DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS
from core.model import Secret
from core.operate.firmware import MOST_BYTES, SCHEMES

Seconds = Annotated[int | None, Meta(description=f"{LEAST_SECONDS} to {MOST_SECONDS}; left out, {DEFAULT_SECONDS}.")]
ImageUrl = Annotated[str, Meta(description=f"Absolute, without user and password; its scheme is one of {', '.join(SCHEMES)}.")]


class AssociationOffer(Body, frozen=True):
    """For how many seconds the code is good."""

    seconds: Seconds = None


class Association(Body, frozen=True):
    """A code, and who is to own its device: an organisation, or that of a user; with neither, that of whoever asks."""

    code: Annotated[Secret, Meta(description="Its case, blanks and dashes do not count.")]
    organization: Annotated[str, Meta(description="Id.")] = ""
    user: Annotated[str, Meta(description="Id.")] = ""


class NewFirmware(Body, frozen=True):
    """The firmware that devices should run; the image is kept elsewhere."""

    version: Annotated[str, Meta(description="1 to 255 characters.")]
    url: ImageUrl
    size: Annotated[int, Meta(description=f"Bytes, 0 to {MOST_BYTES}.")]
    sha256: Annotated[str, Meta(description="64 hex digits.")]


class FirmwareFilter(Scoped, frozen=True):
    """Whose devices to count."""

    profile: Annotated[str, Meta(description="Id or name.")] = ""
