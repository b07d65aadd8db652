"""What may be asked of the registry, and what it answers: one query type each, whose parameter is the answer's type.

A query is a value, so a store may gather those of many requests into one statement.
"""

import enum
from typing import Generic, TypeVar

import msgspec

from core.model import (
    Approval,
    ApprovalId,
    BootstrapConfig,
    Channel,
    ChannelId,
    Credential,
    CredentialId,
    Device,
    DeviceId,
    DeviceState,
    DirectoryEntry,
    EntryId,
    EntryKind,
    Event,
    EventId,
    EventKind,
    IssuedCertificate,
    Lookup,
    OperatorToken,
    OscoreState,
    PendingClaim,
    Profile,
    ProfileId,
    Sealed,
    Tenant,
    TenantId,
    TokenId,
    Tombstone,
    TombstoneId,
    Verdict,
)

S = TypeVar("S")


class Query(msgspec.Struct, Generic[S], frozen=True):
    """What a reader wants to know; `S` is the answer's type."""


class ClaimSnapshot(msgspec.Struct, frozen=True):
    """What is known about a claim: all `None` and empty where the key selects nothing.

    `device` is the tenant's device of the asked name, whatever its profile; `credentials` are that device's, oldest first.
    `tombstone` is that of the name.
    """

    tenant: Tenant | None = None
    profile: Profile | None = None
    device: Device | None = None
    credentials: tuple[Credential, ...] = ()
    lookup_taken: bool = False
    tombstone: Tombstone | None = None


class ClaimQuery(Query[ClaimSnapshot], frozen=True):
    """The profile of a provision key, the device of a name in its tenant, and whether a lookup is taken by any device.

    An empty `device_name` finds no device; `lookup` None is never taken.
    """

    provision_key: str
    device_name: str
    lookup: Lookup | None = None


class LoginSnapshot(msgspec.Struct, frozen=True):
    """A credential with the device and profile it belongs to."""

    credential: Credential
    device: Device
    profile: Profile


class LoginQuery(Query[tuple[LoginSnapshot | None, ...]], frozen=True):
    """Whose credentials these lookups are: one answer each, in order."""

    lookups: tuple[Lookup, ...]


class AnchorsQuery(Query[tuple[tuple[Profile, ...], ...]], frozen=True):
    """The profiles whose chains have to come to these certificates, of all tenants, oldest first: one answer each, in order.

    Behind them come the profiles whose certificates have these `names`, as `ChainPolicy.anchor_name` does, one answer each as
    well. At most 64 profiles are answered for each.
    """

    anchors: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class OscoreQuery(Query[OscoreState | None], frozen=True):
    """How far the OSCORE context of a credential has come; None: it was never used."""

    id: CredentialId


class IssuedSnapshot(msgspec.Struct, frozen=True):
    """A certificate that was made here, and whether a credential has its lookup still."""

    certificate: IssuedCertificate
    live: bool


class IssuedPage(Query[tuple[IssuedSnapshot, ...]], frozen=True, kw_only=True):
    """Certificates of all tenants whose time ends after `until`, in the order of their ids.

    `revoked` leaves out those that live.
    """

    until: int
    revoked: bool = False
    after: str | None = None
    limit: int = 1_000


class DeviceSnapshot(msgspec.Struct, frozen=True):
    """A device with its profile and its credentials, oldest first."""

    device: Device
    profile: Profile
    credentials: tuple[Credential, ...]


class DeviceQuery(Query[DeviceSnapshot | None], frozen=True):
    """One device of a tenant, by id."""

    tenant: TenantId
    id: DeviceId


class AnyDeviceQuery(Query[DeviceSnapshot | None], frozen=True):
    """One device by id, whatever its tenant: ids are unique over the whole system."""

    id: DeviceId


class DeviceNamesQuery(Query[tuple[DeviceSnapshot | None, ...]], frozen=True):
    """Devices of a tenant by name: one answer each, in order."""

    tenant: TenantId
    names: tuple[str, ...]


class DevicePage(Query[tuple[Device, ...]], frozen=True):
    """Devices of a tenant in the order of their ids, which is the order of their making.

    `name` matches where the device's name begins with it (case-sensitive); `after` is the last id of the page before.
    """

    tenant: TenantId
    name: str | None = None
    profile: ProfileId | None = None
    state: DeviceState | None = None
    after: DeviceId | None = None
    limit: int = 100


class BootstrapSnapshot(msgspec.Struct, frozen=True):
    """A configuration with its device, the credentials of that, oldest first, and its channels in their order there."""

    config: BootstrapConfig
    device: Device
    credentials: tuple[Credential, ...]
    channels: tuple[Channel, ...]


class BootstrapQuery(Query[BootstrapSnapshot | None], frozen=True):
    """The configuration of an external id, whatever its tenant."""

    external_id: str


class KeySnapshot(msgspec.Struct, frozen=True):
    """The device of a configuration and its external key, and nothing of what the configuration holds."""

    device: Device
    external_key: Sealed


class ExternalKeyQuery(Query[KeySnapshot | None], frozen=True):
    """The external key of an external id, whatever its tenant: what it takes to tell a stranger from the device."""

    external_id: str


class ConfigQuery(Query[BootstrapSnapshot | None], frozen=True):
    """The configuration of a tenant's device, by the device's id."""

    tenant: TenantId
    id: DeviceId


class Counted(msgspec.Struct, Generic[S], frozen=True):
    """Some entries, and how many there are on all pages together."""

    items: tuple[S, ...]
    total: int


class ConfigPage(Query[Counted[BootstrapSnapshot]], frozen=True):
    """Configurations of a tenant in the order of their ids, with everything a `BootstrapSnapshot` has.

    `name` matches any part of the configuration's name, both folded by `str.casefold`; the other filters match exactly:
    `secret` is the lookup of any of the device's credentials. Of what matches, `offset` entries are skipped, or those up to and
    including the id `after`. `total` is what matches without `offset`, `after` and `limit`. A `limit` of 0 gives no items.
    """

    tenant: TenantId
    external_id: str | None = None
    name: str | None = None
    active: bool | None = None
    id: DeviceId | None = None
    secret: Lookup | None = None
    client_key: Lookup | None = None
    after: DeviceId | None = None
    offset: int = 0
    limit: int = 100


class ChannelsQuery(Query[tuple[Channel | None, ...]], frozen=True):
    """Channels of a tenant by id: one answer each, in order."""

    tenant: TenantId
    ids: tuple[ChannelId, ...]


class ChannelPage(Query[Counted[Channel]], frozen=True):
    """Channels of a tenant in the order of their ids; `name`, `after`, `offset`, `limit` and `total` as in `ConfigPage`."""

    tenant: TenantId
    name: str | None = None
    after: ChannelId | None = None
    offset: int = 0
    limit: int = 100


class LabelledPage(Query[Counted[DeviceSnapshot]], frozen=True):
    """Devices of a tenant with profile and credentials, in the order of their ids.

    `label` matches any part of the device's label, or of its name where it has no label, both folded by `str.casefold`;
    `offset`, `limit` and `total` as in `ConfigPage`.
    """

    tenant: TenantId
    label: str | None = None
    offset: int = 0
    limit: int = 100


class UnknownPage(Query[tuple[str, ...]], frozen=True):
    """External ids that devices asked for and no configuration has, in their own order, each once.

    They are read from the newest 10,000 of the tenant's events of kind `BOOTSTRAP_REFUSED`, those with the check
    `bootstrap.unknown`: their `device_name` is the external id.
    """

    tenant: TenantId
    offset: int = 0
    limit: int = 100


class TenantPage(Query[tuple[Tenant, ...]], frozen=True):
    """Tenants in the order of their ids."""

    after: TenantId | None = None
    limit: int = 100


class TenantQuery(Query[Tenant | None], frozen=True):
    """One tenant, by id."""

    id: TenantId


class ProfileQuery(Query[Profile | None], frozen=True):
    """One profile of a tenant, by id or by name (an id wins)."""

    tenant: TenantId
    id_or_name: str


class ProfilePage(Query[tuple[Profile, ...]], frozen=True):
    """Profiles of a tenant in the order of their ids."""

    tenant: TenantId
    after: ProfileId | None = None
    limit: int = 100


class TokenQuery(Query[OperatorToken | None], frozen=True):
    """The operator token of a lookup."""

    lookup: Lookup


class TokenPage(Query[tuple[OperatorToken, ...]], frozen=True):
    """Operator tokens of a tenant in the order of their ids."""

    tenant: TenantId
    after: TokenId | None = None
    limit: int = 100


class EventPage(Query[tuple[Event, ...]], frozen=True):
    """Events of a tenant in the order of their ids, which is the order of time; `newest` turns that order round.

    With `newest`, `after` is the oldest id already seen and older ones follow.
    """

    tenant: TenantId
    correlation: str | None = None
    device: DeviceId | None = None
    profile: ProfileId | None = None
    kind: EventKind | None = None
    after: EventId | None = None
    newest: bool = False
    limit: int = 100


class EnrolSnapshot(msgspec.Struct, frozen=True):
    """What is known about a device that signs: all `None` and empty where the group's id selects nothing.

    `device` is the profile's device of the serial with `unique_serial`; `credentials` are that device's, oldest first.
    `names_taken` are those of the asked names that a device of the tenant has. `tombstone` is that of the serial.
    """

    tenant: Tenant | None = None
    profile: Profile | None = None
    device: Device | None = None
    credentials: tuple[Credential, ...] = ()
    names_taken: frozenset[str] = frozenset()
    tombstone: Tombstone | None = None


class EnrolQuery(Query[EnrolSnapshot], frozen=True):
    """The profile of a provision key, its device of a serial, and which names are taken in its tenant."""

    provision_key: str
    serial: str
    names: tuple[str, ...]


class SignedDevicesQuery(Query[tuple[DeviceSnapshot, ...]], frozen=True):
    """The devices with `unique_serial`, whatever their tenant, whose name or serial is this: those of the name first.

    At most sixteen of either are answered: one of each tenant is meant, and few tenants have a serial in common.
    """

    serial: str


class SerialsQuery(Query[tuple[DeviceSnapshot | None, ...]], frozen=True):
    """A profile's devices with `unique_serial`, by serial: one answer each, in order."""

    profile: ProfileId
    serials: tuple[str, ...]


class PendingClaimSnapshot(msgspec.Struct, frozen=True):
    """A pending claim with its device."""

    claim: PendingClaim
    device: Device


class PendingClaimQuery(Query[PendingClaimSnapshot | None], frozen=True):
    """The pending claim of a lookup, whatever its tenant; it may have expired."""

    lookup: Lookup


class DeviceClaimQuery(Query[PendingClaim | None], frozen=True):
    """The pending claim of a tenant's device; it may have expired."""

    tenant: TenantId
    device: DeviceId


class ApprovalQuery(Query[Approval | None], frozen=True):
    """What a device of a profile waits for that calls itself so; its time may be over."""

    profile: ProfileId
    name: str


class ApprovalsQuery(Query[tuple[Approval | None, ...]], frozen=True):
    """Entries of a tenant's queue, by id: one answer each, in order."""

    tenant: TenantId
    ids: tuple[ApprovalId, ...]


class NamedApprovalsQuery(Query[tuple[Approval, ...]], frozen=True):
    """The entries of a tenant's queue that have a name, whatever their profile, in the order of their ids; 100 at most."""

    tenant: TenantId
    name: str


class ApprovalPage(Query[tuple[Approval, ...]], frozen=True, kw_only=True):
    """Entries of a tenant's queue in the order of their ids, which is the order of their making.

    Those whose time was over `now` are left out.
    """

    tenant: TenantId
    profile: ProfileId | None = None
    verdict: Verdict | None = None
    now: int = 0
    after: ApprovalId | None = None
    limit: int = 100


class TombstoneQuery(Query[Tombstone | None], frozen=True):
    """One tombstone of a tenant, by its id or by the name of its device (an id wins)."""

    tenant: TenantId
    id_or_name: str


class TombstonePage(Query[tuple[Tombstone, ...]], frozen=True):
    """Tombstones of a tenant in the order of their ids, which is the order of their making.

    Left out are those of names that a device with credentials has now.
    """

    tenant: TenantId
    after: TombstoneId | None = None
    limit: int = 100


class Order(enum.Enum):
    """By what a list is sorted; entries that are alike in it follow in the order of their ids."""

    CREATED = "created"  # the same as by id
    UPDATED = "updated"
    SERIAL = "serial"
    NAME = "name"
    LABEL = "label"
    STATE = "state"


class DeviceSearch(Query[Counted[DeviceSnapshot]], frozen=True, kw_only=True):
    """Devices of a tenant, sorted, with profile and credentials; all filters match exactly, None matches everything.

    `states` and `profiles` match any of theirs, `owners` likewise: the empty one is the tenant's own. `runs` is the firmware
    version that a device said it runs. `total` is what matches without `offset` and `limit`; a `limit` of 0 gives no items.
    """

    tenant: TenantId
    profiles: tuple[ProfileId, ...] | None = None
    owners: tuple[str, ...] | None = None
    states: tuple[DeviceState, ...] | None = None
    name: str | None = None
    serial: str | None = None
    label: str | None = None
    runs: str | None = None
    order: Order = Order.CREATED
    descending: bool = False
    offset: int = 0
    limit: int = 100


class ProfileSearch(Query[Counted[Profile]], frozen=True, kw_only=True):
    """Profiles of a tenant in the order of their ids or the reverse, with how many there are; `name` matches exactly."""

    tenant: TenantId
    name: str | None = None
    descending: bool = False
    offset: int = 0
    limit: int = 100


class EntryQuery(Query[DirectoryEntry | None], frozen=True):
    """One entry of a tenant's directory, by id."""

    tenant: TenantId
    id: EntryId


class AnyEntryQuery(Query[DirectoryEntry | None], frozen=True):
    """One entry by id, whatever its tenant."""

    id: EntryId


class EntryLoginQuery(Query[DirectoryEntry | None], frozen=True):
    """The user of a tenant who logs in with this."""

    tenant: TenantId
    login: str


class EntrySecretQuery(Query[DirectoryEntry | None], frozen=True):
    """The user of an MQTT secret, whatever its tenant."""

    lookup: Lookup


class EntryPage(Query[Counted[DirectoryEntry]], frozen=True, kw_only=True):
    """Entries of a kind in a tenant's directory, in the order of their ids or the reverse.

    `name` and `template` match exactly, `parents` any of theirs. `offset`, `limit` and `total` as in `DeviceSearch`.
    """

    tenant: TenantId
    kind: EntryKind
    parents: tuple[str, ...] | None = None
    template: str | None = None
    name: str | None = None
    descending: bool = False
    offset: int = 0
    limit: int = 100


class FirmwareCount(msgspec.Struct, frozen=True):
    """How many devices of a profile said that they run a version; empty: they never said anything."""

    profile: ProfileId
    version: str
    devices: int


class FirmwareCountsQuery(Query[tuple[FirmwareCount, ...]], frozen=True):
    """Who runs what in a tenant, in the order of profile and version; discarded devices are not counted."""

    tenant: TenantId
    profile: ProfileId | None = None
