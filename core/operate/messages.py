"""What operators may ask for: one frozen command each, and the operation that carries it with its bearer."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from core.errors import Refusal
from core.messages import Lwm2m
from core.model import (
    CredentialKind,
    DeviceState,
    EventKind,
    Plain,
    Reallocation,
    Reprovision,
    Role,
    Secret,
    Strategy,
    TenantId,
)
from core.operate.allocating import AllocatingCommand
from core.operate.approving import ApprovingCommand
from core.operate.associating import AssociatingCommand
from core.operate.certifying import CertifyingCommand
from core.operate.claim_rules import ClaimKeyCommand, ClaimRules
from core.operate.configuring import ConfiguringCommand
from core.operate.directing import DirectingCommand
from core.operate.hook_rules import HookRules
from core.operate.issuing import IssuingCommand
from core.operate.trust_rules import ChainRules, IssuingRules
from core.operate.updating import UpdatingCommand

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


class ProposedTriple(msgspec.Struct, frozen=True):
    """A triple, drawn for the product key of a profile whose devices sign."""


class ProposedOscore(msgspec.Struct, frozen=True, kw_only=True):
    """An OSCORE context as in `core.messages.Oscore`, in hex of any case; `device_id` and `secret` None are drawn."""

    device_id: str | None = None
    server_id: str = ""
    secret: Secret | None = None
    salt: str = ""
    id_context: str = ""


ProposedCredential = (
    ProposedToken | ProposedBasic | ProposedCertificate | ProposedSecret | ProposedTriple | ProposedOscore | Lwm2m
)


class SignedRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of a `SignedPolicy`; what is left out is chosen, or stays as it is."""

    auto_activation: bool | UnsetType = UNSET
    self_registration: bool | UnsetType = UNSET
    timestamp_tolerance_s: int | UnsetType | None = UNSET
    reallocation: Reallocation | UnsetType = UNSET
    product_key: str | UnsetType = UNSET
    mqtt_url: str | UnsetType = UNSET
    http_url: str | UnsetType = UNSET


class CreateProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Make a profile; key and secret are drawn where none are given.

    `signed` and `chain` may be there with their strategies alone; a chain's key is the hash of its certificate, where that is
    free. `credential_kind` is the only kind that its devices can have, for good. The secret of a `hook` is drawn, too.
    """

    name: str
    strategy: Strategy = Strategy.CREATE_NEW
    reprovision: Reprovision = Reprovision.DENY
    provision_key: str | None = None
    provision_secret: Secret | None = None
    options: tuple[str, ...] = ()
    signed: SignedRules | None = None
    chain: ChainRules | None = None
    issuing: IssuingRules | None = None
    plain: Plain | None = None
    hook: HookRules | None = None
    claims: ClaimRules | None = None
    credential_kind: CredentialKind | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class ListProfiles(msgspec.Struct, frozen=True, kw_only=True):
    """A page of profiles."""

    after: str | None = None
    limit: int = PAGE


class ShowProfile(msgspec.Struct, frozen=True):
    """One profile, by id or name."""

    ref: str


class ChangeProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is neither None nor `UNSET` of a profile; `metadata` replaces all of it.

    `issuing`, `plain`, `hook` and `claims` may go. The secret of a hook is drawn where there was none, otherwise it stays.
    One whose devices sign stays one: it may be disabled and come back. No other becomes one. Its key stays.
    """

    ref: str
    name: str | None = None
    strategy: Strategy | None = None
    reprovision: Reprovision | None = None
    options: tuple[str, ...] | None = None
    signed: SignedRules | None = None
    chain: ChainRules | None = None
    issuing: IssuingRules | UnsetType | None = UNSET
    plain: Plain | UnsetType | None = UNSET
    hook: HookRules | UnsetType | None = UNSET
    claims: ClaimRules | UnsetType | None = UNSET
    metadata: dict[str, Any] | None = None


class RotateProfile(msgspec.Struct, frozen=True):
    """Give a profile another secret, drawn where none is given; the old one is good for `overlap_seconds` still.

    Any secret before that is dead at once.
    """

    ref: str
    provision_secret: Secret | None = None
    overlap_seconds: int = 0


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
    """All credentials of a device, with their values where these were kept. A factory reads those of new devices alone."""

    ref: str


class AddCredential(msgspec.Struct, frozen=True, kw_only=True):
    """Give a device one more credential, which ends after `expires_in_seconds` (None: never).

    Where none is proposed one is drawn, of the kind of the newest that it has.
    """

    ref: str
    credential: ProposedCredential | None = None
    expires_in_seconds: int | None = None


class RotateCredentials(msgspec.Struct, frozen=True):
    """Give a device a new credential, as in `AddCredential`; all it had are good for `overlap_seconds` at most still."""

    ref: str
    credential: ProposedCredential | None = None
    overlap_seconds: int = 0


class RevokeCredential(msgspec.Struct, frozen=True):
    """Take one credential from a device, by the credential's id."""

    ref: str
    credential: str


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
    | AddCredential
    | RotateCredentials
    | RevokeCredential
    | RevokeCredentials
    | ImportDevices
    | ListEvents
    | CreateToken
    | ListTokens
    | DeleteToken
    | ConfiguringCommand
    | IssuingCommand
    | CertifyingCommand
    | DirectingCommand
    | AssociatingCommand
    | ApprovingCommand
    | ClaimKeyCommand
    | UpdatingCommand
    | AllocatingCommand
)


class Unreadable(msgspec.Struct, frozen=True):
    """A command that could not be read; only who proves to be an operator is told why."""

    refusal: Refusal


class Operation(msgspec.Struct, frozen=True):
    """A command, who gives it, and for which tenant (None: the bearer's own)."""

    bearer: Secret
    tenant: TenantId | None
    command: Command | Unreadable


class Operations(msgspec.Struct, frozen=True):
    """Operations to be carried out one after the other, whatever becomes of the others: a result or `Refusal` for each."""

    items: tuple[Operation, ...]
