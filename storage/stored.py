"""What an SQLite file holds at the moment of a commit, as the guards ask for it."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

import msgspec

from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Credential,
    Device,
    DeviceId,
    DirectoryEntry,
    Event,
    IssuedCertificate,
    Lookup,
    OperatorToken,
    OscoreState,
    PendingClaim,
    Profile,
    ProfileId,
    Tenant,
    TenantId,
    Tombstone,
)
from core.ports import Changes, Entity
from storage import approval_rows, approvals, directory_rows, profile_rows, rows, tombstone_rows, trust_rows
from storage.answers import credentials_by_device, lookups_taken, names_taken, stored_tenant
from storage.configurations import stored_config
from storage.enrolment import serials_taken
from storage.guards import IN_ORGANIZATIONS, Allowance, Held, Key, Kind, made_balance
from storage.rows import Row
from storage.statements import Grouped
from storage.steps import carry_out
from storage.uniques import Unique

ENTITY: dict[Kind, tuple[str, Callable[[Row], Entity]]] = {
    Tenant: (f"SELECT {rows.TENANT} FROM tenant WHERE id = ?", rows.tenant),
    Profile: (f"SELECT {profile_rows.PROFILE} FROM profile WHERE id = ?", profile_rows.profile),
    Device: (f"SELECT {rows.DEVICE} FROM device WHERE id = ?", rows.device),
    Credential: (f"SELECT {rows.CREDENTIAL} FROM credential WHERE id = ?", rows.credential),
    OscoreState: (f"SELECT {trust_rows.OSCORE} FROM oscore_state WHERE id = ?", trust_rows.oscore),
    IssuedCertificate: (f"SELECT {trust_rows.ISSUED} FROM issued WHERE id = ?", trust_rows.issued),
    PendingClaim: (f"SELECT {directory_rows.CLAIM} FROM pending_claim WHERE id = ?", directory_rows.claim),
    Approval: (f"SELECT {approval_rows.APPROVAL} FROM approval WHERE id = ?", approval_rows.approval),
    Tombstone: (f"SELECT {tombstone_rows.TOMBSTONE} FROM tombstone WHERE id = ?", tombstone_rows.tombstone),
    Channel: (f"SELECT {rows.CHANNEL} FROM channel WHERE id = ?", rows.channel),
    DirectoryEntry: (f"SELECT {directory_rows.ENTRY} FROM entry WHERE id = ?", directory_rows.entry),
    OperatorToken: (f"SELECT {rows.TOKEN} FROM token WHERE id = ?", rows.token),
}
HOLDER = {
    "device_name": "SELECT id FROM device WHERE tenant = ? AND name = ?",
    "device_serial": "SELECT id FROM device WHERE profile = ? AND serial = ? AND unique_serial IS NOT NULL",
    "credential_lookup": "SELECT id FROM credential WHERE lookup = ?",
    "oscore_credential": "SELECT id FROM oscore_state WHERE id = ?",
    "certificate_serial": "SELECT id FROM issued WHERE id = ?",
    "claim_device": "SELECT id FROM pending_claim WHERE id = ?",
    "claim_lookup": "SELECT id FROM pending_claim WHERE lookup = ?",
    "entry_login": "SELECT id FROM entry WHERE tenant = ? AND login = ? AND login <> ''",
    "entry_name": """SELECT id FROM entry INDEXED BY entry_own_name WHERE tenant = ? AND kind = ? AND parent = ? AND name = ?
        AND kind IN ('device_field', 'channel_template')""",
    "entry_lookup": "SELECT id FROM entry WHERE lookup = ?",
    "profile_name": "SELECT id FROM profile WHERE tenant = ? AND name = ?",
    "profile_key": "SELECT id FROM profile WHERE provision_key = ?",
    "approval_name": "SELECT id FROM approval WHERE profile = ? AND name = ?",
    "token_name": "SELECT id FROM token WHERE tenant = ? AND name = ?",
    "token_lookup": "SELECT id FROM token WHERE lookup = ?",
    "tenant_id": "SELECT id FROM tenant WHERE id = ?",
    "config_device": "SELECT id FROM config WHERE id = ?",
    "config_external_id": "SELECT id FROM config WHERE external_id = ?",
    "config_name": "SELECT id FROM config WHERE tenant = ? AND name = ? AND unique_name = 1 AND name <> ''",
}
_IN_ORGANIZATIONS = ", ".join(f"'{kind.value}'" for kind in IN_ORGANIZATIONS)
DEPENDANTS: dict[Kind, tuple[tuple[Kind, str], ...]] = {
    Profile: (
        (
            Device,
            """SELECT device.id FROM profile CROSS JOIN device ON device.tenant = profile.tenant AND device.profile = profile.id
            WHERE profile.id = ? LIMIT ?""",
        ),
    ),
    DirectoryEntry: (
        (
            Device,
            """SELECT device.id FROM entry CROSS JOIN device INDEXED BY device_owner
            ON device.tenant = entry.tenant AND device.owner = entry.id WHERE entry.id = ? LIMIT ?""",
        ),
        (
            DirectoryEntry,
            f"""SELECT below.id FROM entry CROSS JOIN entry AS below INDEXED BY entry_parent
            ON below.tenant = entry.tenant AND below.kind IN ({_IN_ORGANIZATIONS}) AND below.parent = entry.id
            WHERE entry.id = ? LIMIT ?""",
        ),
    ),
    Tenant: (
        (Profile, "SELECT id FROM profile INDEXED BY profile_tenant WHERE tenant = ? LIMIT ?"),
        (Device, "SELECT id FROM device INDEXED BY device_state WHERE tenant = ? LIMIT ?"),
        (Channel, "SELECT id FROM channel INDEXED BY channel_tenant WHERE tenant = ? LIMIT ?"),
        (BootstrapConfig, "SELECT id FROM config INDEXED BY config_tenant WHERE tenant = ? LIMIT ?"),
        (DirectoryEntry, "SELECT id FROM entry INDEXED BY entry_kind WHERE tenant = ? LIMIT ?"),
        (OperatorToken, "SELECT id FROM token INDEXED BY token_tenant WHERE tenant = ? LIMIT ?"),
    ),
}
ALLOWANCE = "SELECT made, budget FROM profile WHERE id = ?"
EVENT = "SELECT 1 FROM event INDEXED BY event_tenant WHERE tenant = ? AND id = ?"
DEVICES_PRESENT = Grouped(
    "WITH asked (id) AS (VALUES {rows}) SELECT device.id FROM asked CROSS JOIN device ON device.id = asked.id", width=1
)
TENANTS_OF_PROFILES = Grouped(
    f"""WITH asked (id) AS (VALUES {{rows}}) SELECT profile.id, profile.made, profile.budget, {rows.TENANT} FROM asked
    CROSS JOIN profile ON profile.id = asked.id CROSS JOIN tenant ON tenant.id = profile.tenant""",
    width=1,
)


class RowStored:
    """Asks row by row, within a transaction. Satisfies `storage.guards.Stored`; good for one `examine`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._entities: dict[Key, Entity | None] = {}

    def entity(self, key: Key) -> Entity | None:
        """Return an entity as it is stored."""
        if key not in self._entities:
            self._entities[key] = self._read(key)
        return self._entities[key]

    def _read(self, key: Key) -> Entity | None:
        if key[0] is BootstrapConfig:
            return carry_out(self._connection, stored_config(DeviceId(key[1])))
        statement, entity = ENTITY[key[0]]
        row = self._first(statement, key[1])
        return None if row is None else entity(row)

    def has(self, key: Key) -> bool:
        """Tell whether an entity is stored."""
        return self.entity(key) is not None

    def has_event(self, event: Event) -> bool:
        """Tell whether an event of this id is stored."""
        return self._first(EVENT, event.tenant, event.id) is not None

    def holder(self, unique: Unique) -> str | None:
        """Return the id of the entity that holds a unique value."""
        value = unique.value if isinstance(unique.value, tuple) else (unique.value,)
        row = self._first(HOLDER[unique.trait], *value)
        return None if row is None else cast("str", row[0])

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """Return a tenant with its number of devices."""
        return carry_out(self._connection, stored_tenant(tenant))

    def allowance(self, profile: ProfileId) -> Allowance | None:
        """Return what the claim key of a stored profile has made and may make, None where nobody counts."""
        row = self._first(ALLOWANCE, profile)
        return None if row is None else _allowance(*row)

    def tenant_of(self, key: Key) -> str | None:
        """Return the tenant of a stored profile, device, channel or entry."""
        stored = self.entity(key)
        return stored.tenant if isinstance(stored, Profile | Device | Channel | DirectoryEntry) else None

    def credentials(self, device: DeviceId) -> Iterable[Credential]:
        """Return the credentials of a device."""
        return carry_out(self._connection, credentials_by_device([device]))[device]

    def approvals(self, tenant: TenantId, stranger: str) -> tuple[int, int]:
        """Return how many approvals a source has asked for and a tenant has."""
        return carry_out(self._connection, approvals.counts(tenant, stranger))

    def dependants(self, key: Key, limit: int) -> Iterable[Key]:
        """Yield at most `limit` of each kind of the entities that point at a profile or organisation, or those of a tenant."""
        for kind, statement in DEPENDANTS[key[0]]:
            for row in self._connection.execute(statement, (key[1], limit)).fetchall():
                yield kind, row[0]

    def _first(self, statement: str, *parameters: str | bytes) -> Any:
        return self._connection.execute(statement, parameters).fetchone()


class GroupStored:
    """Knows what a run of sets of changes that only add devices and credentials asks for, read by one statement of each kind.

    Satisfies `storage.guards.Present` for such changes; `accept` lets the later ones of the run see the earlier. `grown` is by
    how many devices those alter each tenant's, `made` how many they make by each claim key of which somebody counts that.
    """

    def __init__(self, connection: sqlite3.Connection, run: Sequence[Changes]) -> None:
        names: set[tuple[TenantId, str]] = set()
        serials: set[tuple[ProfileId, str]] = set()
        profiles: set[ProfileId] = set()
        lookups: set[Lookup] = set()
        devices: set[DeviceId] = set()
        for changes in run:
            if changes.made_by is not None:
                profiles.add(changes.made_by)
            added: set[DeviceId] = set()
            pointed_at: set[DeviceId] = set()
            for entity in changes.insert:
                if isinstance(entity, Device):
                    added.add(entity.id)
                    names.add((entity.tenant, entity.name))
                    profiles.add(entity.profile)
                    if entity.unique_serial and entity.serial:
                        serials.add((entity.profile, entity.serial))
                elif isinstance(entity, Credential):
                    lookups.add(entity.lookup)
                    pointed_at.add(entity.device)
            devices |= pointed_at - added
        self._holders: Held = dict(_holders(connection, names, serials, lookups))
        self._devices = {row[0] for row in DEVICES_PRESENT.run(connection, [(device,) for device in devices])}
        found = TENANTS_OF_PROFILES.run(connection, [(profile,) for profile in profiles])
        of_profiles = [(row[0], rows.tenant(row[3:])) for row in found]
        self._tenant_of: dict[str, TenantId] = {profile: tenant.id for profile, tenant in of_profiles}
        self._tenants = {tenant.id: tenant for _, tenant in of_profiles}
        self._allowances: dict[ProfileId, Allowance | None] = {row[0]: _allowance(row[1], row[2]) for row in found}
        self.grown: dict[TenantId, int] = {}
        self.made: dict[ProfileId, int] = {}

    def accept(self, changes: Changes, held: Held) -> None:
        """Count changes as stored from now on, which hold these unique values."""
        self._holders |= held
        for entity in changes.insert:
            if type(entity) is Device:
                self._devices.add(entity.id)
                self.grown[entity.tenant] = self.grown.get(entity.tenant, 0) + 1
        if changes.made_by is not None and self._allowances.get(changes.made_by) is not None:
            for profile, made in made_balance(changes).items():
                self.made[profile] = self.made.get(profile, 0) + made

    def holder(self, unique: Unique) -> str | None:
        """Return the id of the entity that holds a unique value."""
        return self._holders.get(unique)

    def has(self, key: Key) -> bool:
        """Tell whether a device that a credential points at is stored; of others the database itself will tell."""
        return key[0] is Device and key[1] in self._devices

    def has_event(self, event: Event) -> bool:
        """Leave it to the database: ids are drawn, so asking each time would be for nothing."""
        return False

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """Return a tenant, with its number of devices where it has a limit: only then does a guard look at it."""
        found = self._tenants.get(tenant)
        if found is None or found.device_limit is None:
            return found
        return msgspec.structs.replace(found, devices=found.devices + self.grown.get(tenant, 0))

    def allowance(self, profile: ProfileId) -> Allowance | None:
        """Return what the claim key of a stored profile has made and may make, None where nobody counts."""
        found = self._allowances.get(profile)
        return None if found is None else found._replace(made=found.made + self.made.get(profile, 0))

    def tenant_of(self, key: Key) -> str | None:
        """Return the tenant of a stored profile, the only kind that a device points at."""
        return self._tenant_of.get(key[1])


def _allowance(made: int | None, budget: int | None) -> Allowance | None:
    return None if made is None else Allowance(made, budget)


def _holders(
    connection: sqlite3.Connection,
    names: Collection[tuple[TenantId, str]],
    serials: Collection[tuple[ProfileId, str]],
    lookups: Iterable[Lookup],
) -> dict[Unique, str]:
    taken: tuple[tuple[str, Iterable[tuple[Any, str]]], ...] = (
        ("device_name", carry_out(connection, names_taken(names)).items()),
        ("device_serial", carry_out(connection, serials_taken(serials)).items()),
        ("credential_lookup", carry_out(connection, lookups_taken(lookups)).items()),
    )
    return {Unique(trait, value): holder for trait, found in taken for value, holder in found}
