"""What operators and factories get for a batch: its lines and its end, as they are on the wire."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.operator.bodies import CredentialWord
from core.model import Secret
from core.operate.issuing import Fate

FateWord = Annotated[
    str, Meta(description="What became of the line.", extra_json_schema={"enum": [member.value for member in Fate]})
]


class IssuedCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A device's credential: the members of its type."""

    type: CredentialWord
    token: Secret | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    certificate: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    product_key: str | UnsetType = UNSET
    device_key: str | UnsetType = UNSET
    device_id: str | UnsetType = UNSET
    server_id: str | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET
    salt: str | UnsetType = UNSET
    id_context: str | UnsetType = UNSET


class IssuedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A serial with its device's credential, or with the reason why there is none."""

    line: int
    serial: str
    status: FateWord
    device_id: str | UnsetType = UNSET
    device_name: str | UnsetType = UNSET
    credential: IssuedCredential | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class IssuedEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The last line: everything was sent. `existing` had a credential before."""

    done: bool = True
    issued: int = 0
    existing: int = 0
    refused: int = 0
