"""What operators may ask for about the directory, templates and the devices made from them: commands and results."""

from typing import Any

import msgspec

from core.model import Credential, CredentialKind, Device, DeviceState, DirectoryEntry, EntryKind, Profile, Role, Secret
from core.queries import Order


class CreateEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Make an entry of the directory: a `DirectoryEntry`.

    `parent` and `template` have to exist where they are not empty; `login`, `role` and `password` are a user's.
    """

    kind: EntryKind
    name: str = ""
    parent: str = ""
    template: str = ""
    login: str = ""
    role: Role | None = None
    password: Secret | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)


class ListEntries(msgspec.Struct, frozen=True, kw_only=True):
    """A `CountedPage` of entries of a kind; the tenant's own organisation, which nobody made, is the first of its kind.

    All filters match exactly, `ids` and `parents` any of theirs, 100 at most; None matches everything.
    """

    kind: EntryKind
    ids: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None
    template: str | None = None
    name: str | None = None
    descending: bool = False
    offset: int = 0
    limit: int = 100


class ShowEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a kind, by id: a `DirectoryEntry`."""

    kind: EntryKind
    id: str


class ChangeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of an entry as it was seen: a `DirectoryEntry`.

    `version` None is whatever it is now. Members of `attributes` are set one by one; the others stay.
    """

    kind: EntryKind
    id: str
    version: int | None = None
    name: str | None = None
    parent: str | None = None
    login: str | None = None
    role: Role | None = None
    password: Secret | None = None
    attributes: dict[str, Any] | None = None


class DeleteEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Remove an entry as it was seen, and return what it was; an organisation that has devices or users stays."""

    kind: EntryKind
    id: str
    version: int | None = None


class CreateTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """Make a profile whose devices operators make one by one: a `TemplateView`. It lets nobody in by itself."""

    name: str
    credential_kind: CredentialKind
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)


class ListTemplates(msgspec.Struct, frozen=True, kw_only=True):
    """A `CountedPage` of `TemplateView`s: all profiles of the tenant."""

    name: str | None = None
    descending: bool = False
    offset: int = 0
    limit: int = 100


class ShowTemplate(msgspec.Struct, frozen=True):
    """One profile, by id: a `TemplateView`."""

    id: str


class ChangeTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a profile as it was seen: a `TemplateView`. `attributes` as in `ChangeEntry`."""

    id: str
    version: int | None = None
    name: str | None = None
    attributes: dict[str, Any] | None = None


class RegisterDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Make a device from a profile, without a credential: a `DeviceView`.

    Its serial need not be unique; its name is the serial where that is free and may be a name, otherwise its id. `owner` is an
    organisation, empty: the tenant's own. Fields of the profile that `attributes` leaves out get their default; where a
    required one has none, the detail of the refusal (`device.field_missing`) begins with the field's name and a colon.
    """

    template: str
    serial: str
    owner: str = ""
    label: str = ""
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)


class SearchDevices(msgspec.Struct, frozen=True, kw_only=True):
    """A `CountedPage` of `DeviceView`s: all devices of the tenant, whatever dialect they came in through."""

    template: str | None = None
    owner: str | None = None
    states: tuple[DeviceState, ...] | None = None
    serial: str | None = None
    label: str | None = None
    order: Order = Order.CREATED
    descending: bool = False
    offset: int = 0
    limit: int = 100


class ViewDevice(msgspec.Struct, frozen=True):
    """One device, by id: a `DeviceView`."""

    id: str


class EditDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a device as it was seen: a `DeviceView`. `attributes` as in `ChangeEntry`.

    Every change that is accepted makes the next version, even one that finds everything so already. A required field is not
    set to None; other refusals are as in `RegisterDevice`.
    """

    id: str
    version: int | None = None
    serial: str | None = None
    owner: str | None = None
    label: str | None = None
    attributes: dict[str, Any] | None = None


class RemoveDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a device as it was seen, and return what it was: a `DeviceView`."""

    id: str
    version: int | None = None


class IssueSecret(msgspec.Struct, frozen=True):
    """Give a device a new secret, shown this once: an `IssuedSecret`. All its credentials till then are dead at once.

    UNPROCESSABLE where its profile wants another kind (`credential.kind`), or it is disabled or discarded.
    """

    device: str


class RegisterCertificate(msgspec.Struct, frozen=True):
    """Let a device log in with a certificate (PEM, one) in place of all it has: an `IssuedCertificate`.

    UNPROCESSABLE as in `IssueSecret`, and where it is not valid now (`certificate.expired`); CONFLICT (`credential_lookup`)
    where another device has it. From its end on the credential is worthless.
    """

    device: str
    pem: str


class IssueUserSecret(msgspec.Struct, frozen=True, kw_only=True):
    """Give a user of the directory a new MQTT secret, shown this once: an `IssuedUserSecret`.

    An admin may give any user one, an operator any end user, and every user may give itself one.
    """

    kind: EntryKind
    id: str


class TemplateView(msgspec.Struct, frozen=True):
    """A profile with what it says of its devices: their fields, and their channels."""

    profile: Profile
    fields: tuple[DirectoryEntry, ...]
    channels: tuple[DirectoryEntry, ...]


class DeviceView(msgspec.Struct, frozen=True):
    """A device with its template, and whether it is connected at this moment."""

    device: Device
    template: TemplateView
    connected: bool


class IssuedSecret(msgspec.Struct, frozen=True):
    """A device's new secret."""

    device: Device
    credential: Credential
    secret: Secret


class IssuedCertificate(msgspec.Struct, frozen=True):
    """A device's registered certificate; `fingerprint` is its SHA-256 in lower-case hex."""

    device: Device
    credential: Credential
    pem: str
    fingerprint: str


class IssuedUserSecret(msgspec.Struct, frozen=True):
    """A user's new MQTT secret."""

    entry: DirectoryEntry
    secret: Secret


class LogIn(msgspec.Struct, frozen=True):
    """A user of the directory proves a password, to be given a bearer token for a while (`LoggedIn`).

    `tenant` is the id of the tenant whose user it is. It is a message of its own: there is no bearer yet.
    """

    tenant: str
    login: str
    password: Secret


class LoggedIn(msgspec.Struct, frozen=True):
    """The bearer token, and when it ends, in seconds since the Unix epoch."""

    token: Secret
    expires_at: int


DirectingCommand = (
    CreateEntry
    | ListEntries
    | ShowEntry
    | ChangeEntry
    | DeleteEntry
    | CreateTemplate
    | ListTemplates
    | ShowTemplate
    | ChangeTemplate
    | RegisterDevice
    | SearchDevices
    | ViewDevice
    | EditDevice
    | RemoveDevice
    | IssueSecret
    | RegisterCertificate
    | IssueUserSecret
)
