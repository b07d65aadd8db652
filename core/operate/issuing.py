"""What factories may ask for about many devices at once, and what they get, line by line."""

import enum
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from core.messages import CredentialValue
from core.model import CredentialKind, DeviceId


class SerialRow(msgspec.Struct, frozen=True, kw_only=True):
    """A device to issue a credential for; `label` and `metadata` count where the device is made."""

    line: int
    serial: str
    label: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class UnreadRow(msgspec.Struct, frozen=True):
    """A row that could not even be read, and why."""

    line: int
    serial: str
    reason: str


class IssueBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Make the devices of these serials, each with a credential, in a profile: a `Batch`.

    `kind` None is the profile's own kind, a triple where its devices sign, otherwise an access token. Repeating the batch
    changes nothing: a device that is there is answered with the credential it has.
    """

    profile: str
    rows: tuple[SerialRow | UnreadRow, ...]
    kind: CredentialKind | None = None


class Fate(enum.Enum):
    """What became of a row."""

    ISSUED = "issued"
    EXISTS = "exists"
    REFUSED = "refused"


class IssuedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A row with the device's credential, or with the reason why there is none. `serial` is as it was given, or its start."""

    line: int
    serial: str
    fate: Fate
    device: DeviceId | None = None
    name: str = ""
    value: CredentialValue | None = None
    reason: str = ""


class Batch(msgspec.Struct, frozen=True):
    """What becomes of every row, in their order, some at a time; whatever has been yielded is durable."""

    lines: AsyncGenerator[tuple[IssuedLine, ...], None]


IssuingCommand = IssueBatch
