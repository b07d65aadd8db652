"""What operators get for their commands."""

from typing import Generic, TypeVar

import msgspec

from core.messages import CredentialValue
from core.model import Credential, Device, OperatorToken, Profile, Secret

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some entries in the order of their ids; `next` is the `after` of the following page, None where there is none."""

    items: tuple[T, ...]
    next: str | None = None


class Done(msgspec.Struct, frozen=True):
    """What was to go is gone."""


class SecretProfile(msgspec.Struct, frozen=True):
    """A profile with its secret, which is shown this once, and so is that of its hook where it is new."""

    profile: Profile
    secret: Secret
    hook_secret: Secret | None = None


class HookedProfile(msgspec.Struct, frozen=True):
    """A profile with the new secret of its hook, which is shown this once."""

    profile: Profile
    hook_secret: Secret


class ShownCredential(msgspec.Struct, frozen=True):
    """A credential, with its value where that was kept; one that is `expired` is worthless."""

    credential: Credential
    value: CredentialValue | None
    expired: bool = False


class DefinedDevice(msgspec.Struct, frozen=True):
    """A new device and the credentials it begins with."""

    device: Device
    credentials: tuple[ShownCredential, ...]


class RowError(msgspec.Struct, frozen=True):
    """Why the row in this line was not imported."""

    line: int
    name: str
    reason: str


class Imported(msgspec.Struct, frozen=True):
    """How many rows made a device, how many had one already, and what is wrong with the others."""

    created: int = 0
    unchanged: int = 0
    errors: tuple[RowError, ...] = ()


class SecretToken(msgspec.Struct, frozen=True):
    """A bearer token with its text, which is shown this once."""

    token: OperatorToken
    text: Secret
