"""What operators may ask for: one frozen command each, and the operation that carries it with its bearer."""

from typing import Any

import msgspec

from core.errors import Refusal
from core.messages import Lwm2m
from core.model import DeviceState, EventKind, Reprovision, Role, Secret, Strategy, TenantId
from core.operate.configuring import ConfiguringCommand

PAGE = 100
"""Entries of a page where none are asked for."""


class ProposedToken(msgspec.Struct, frozen=True):
    """An access token; None: one is drawn."""

    token: Secret | None = None


class ProposedBasic(msgspec.Struct, frozen=True):
    """MQTT credentials. Without client id and user name both user name and password are drawn.

    `password` None is drawn where there is a user name; empty, no password is compared.
    """

    client_id: str = ""
    username: str = ""
    password: Secret | None = None


class ProposedCertificate(msgspec.Struct, frozen=True):
    """One X.509 certificate as PEM or as its bare base64."""

    text: str


class ProposedSecret(msgspec.Struct, frozen=True):
    """The secret of a device that names itself by its id; None: one is drawn."""

    secret: Secret | None = None


ProposedCredential = ProposedToken | ProposedBasic | ProposedCertificate | ProposedSecret | Lwm2m


class CreateProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Make a profile; key and secret are drawn where none are given."""

    name: str
    strategy: Strategy = Strategy.CREATE_NEW
    reprovision: Reprovision = Reprovision.DENY
    provision_key: str | None = None
    provision_secret: Secret | None = None
    options: tuple[str, ...] = ()


class ListProfiles(msgspec.Struct, frozen=True, kw_only=True):
    """A page of profiles."""

    after: str | None = None
    limit: int = PAGE


class ShowProfile(msgspec.Struct, frozen=True):
    """One profile, by id or name."""

    ref: str


class ChangeProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a profile."""

    ref: str
    name: str | None = None
    strategy: Strategy | None = None
    reprovision: Reprovision | None = None
    options: tuple[str, ...] | None = None


class RotateProfile(msgspec.Struct, frozen=True):
    """Give a profile another secret, drawn where none is given; the old one is dead at once."""

    ref: str
    provision_secret: Secret | None = None


class DeleteProfile(msgspec.Struct, frozen=True):
    """Remove a profile that has no devices."""

    ref: str


class DefineDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Make a device before it speaks; `credential` None is a drawn access token."""

    name: str
    profile: str
    credential: ProposedCredential | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class ListDevices(msgspec.Struct, frozen=True, kw_only=True):
    """A page of devices whose name begins with `name`."""

    name: str | None = None
    profile: str | None = None
    state: DeviceState | None = None
    after: str | None = None
    limit: int = PAGE


class ExportDevices(ListDevices, frozen=True, kw_only=True):
    """A page of devices, to be kept as a file."""


class ShowDevice(msgspec.Struct, frozen=True):
    """One device, by id, by name, or by `name:` and its name."""

    ref: str


class ChangeDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a device; `metadata` replaces all of it."""

    ref: str
    enabled: bool | None = None
    state: DeviceState | None = None
    metadata: dict[str, Any] | None = None


class DeleteDevice(msgspec.Struct, frozen=True):
    """Remove a device and its credentials."""

    ref: str


class ReadCredentials(msgspec.Struct, frozen=True):
    """A device's credentials, with their values where these were kept."""

    ref: str


class RotateCredentials(msgspec.Struct, frozen=True):
    """Give a device one new credential; all old ones are dead at once.

    Where none is proposed it is a client secret for a device that has one, an access token for any other.
    """

    ref: str
    credential: ProposedCredential | None = None


class RevokeCredentials(msgspec.Struct, frozen=True):
    """Take all credentials from a device."""

    ref: str


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A device to define, and the line of the file it stands in."""

    line: int
    name: str
    profile: str | None = None
    credential: ProposedCredential | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class BadRow(msgspec.Struct, frozen=True):
    """A row that could not even be read, and why."""

    line: int
    name: str
    reason: str


class ImportDevices(msgspec.Struct, frozen=True):
    """Define many devices; `profile` is meant where a row names none."""

    rows: tuple[ImportRow | BadRow, ...]
    profile: str | None = None


class ListEvents(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events, oldest first unless `newest`; `device` and `profile` are ids or names."""

    correlation: str | None = None
    device: str | None = None
    profile: str | None = None
    kind: EventKind | None = None
    after: str | None = None
    newest: bool = False
    limit: int = PAGE


class CreateToken(msgspec.Struct, frozen=True):
    """Make a bearer token."""

    name: str
    role: Role


class ListTokens(msgspec.Struct, frozen=True, kw_only=True):
    """A page of bearer tokens, without their texts."""

    after: str | None = None
    limit: int = PAGE


class DeleteToken(msgspec.Struct, frozen=True):
    """Make a bearer token worthless, by id or name."""

    ref: str


Command = (
    CreateProfile
    | ListProfiles
    | ShowProfile
    | ChangeProfile
    | RotateProfile
    | DeleteProfile
    | DefineDevice
    | ListDevices
    | ExportDevices
    | ShowDevice
    | ChangeDevice
    | DeleteDevice
    | ReadCredentials
    | RotateCredentials
    | RevokeCredentials
    | ImportDevices
    | ListEvents
    | CreateToken
    | ListTokens
    | DeleteToken
    | ConfiguringCommand
)


class Unreadable(msgspec.Struct, frozen=True):
    """A command that could not be read; only who proves to be an operator is told why."""

    refusal: Refusal


class Operation(msgspec.Struct, frozen=True):
    """A command, who gives it, and for which tenant (None: the bearer's own)."""

    bearer: Secret
    tenant: TenantId | None
    command: Command | Unreadable
