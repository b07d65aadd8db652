"""Entities for the storage tests: each a plain valid one, told apart by its number."""

from typing import Any

from core.model import (
    DEFAULT_TENANT,
    Approval,
    ApprovalId,
    BootstrapConfig,
    ChainPolicy,
    Channel,
    ChannelId,
    Credential,
    CredentialId,
    CredentialKind,
    Departure,
    Device,
    DeviceId,
    DirectoryEntry,
    EntryId,
    EntryKind,
    Event,
    EventId,
    EventKind,
    Firmware,
    IssuedCertificate,
    Lookup,
    OperatorToken,
    OscoreState,
    PendingClaim,
    Profile,
    ProfileId,
    Role,
    Sealed,
    Strategy,
    Tenant,
    TenantId,
    TokenId,
    Tombstone,
    TombstoneId,
)


def a_tenant(number: int = 1, **fields: Any) -> Tenant:
    plain: dict[str, Any] = {"id": TenantId(f"tenant-{number:04}"), "name": f"tenant {number}", "created_at": number}
    return Tenant(**plain | fields)


def a_tombstone(number: int = 1, **fields: Any) -> Tombstone:
    plain: dict[str, Any] = {
        "id": TombstoneId(f"tombstone-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "profile": ProfileId("profile-0001"),
        "device": DeviceId(f"device-{number:04}"),
        "name": f"meter-{number}",
        "departure": Departure.DELETED,
        "created_at": number,
    }
    return Tombstone(**plain | fields)


def a_profile(number: int = 1, **fields: Any) -> Profile:
    plain: dict[str, Any] = {
        "id": ProfileId(f"profile-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "name": f"profile {number}",
        "strategy": Strategy.CREATE_NEW,
        "provision_key": f"key-{number}",
        "provision_secret": Sealed(f"sealed {number}".encode()),
        "options": ("one", "two"),
        "created_at": number,
        "updated_at": number,
    }
    return Profile(**plain | fields)


def a_device(number: int = 1, **fields: Any) -> Device:
    plain: dict[str, Any] = {
        "id": DeviceId(f"device-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "profile": ProfileId("profile-0001"),
        "name": f"sensor-{number:04}",
        "metadata": {"floor": number, "tags": ["a", "ü"]} if number % 2 else {},
        "created_at": number,
        "updated_at": number,
    }
    return Device(**plain | fields)


def a_lookup(number: int) -> Lookup:
    return Lookup(number.to_bytes(32, "big"))


def a_credential(number: int = 1, **fields: Any) -> Credential:
    plain: dict[str, Any] = {
        "id": CredentialId(f"credential-{number:04}"),
        "device": DeviceId(f"device-{number:04}"),
        "kind": CredentialKind.ACCESS_TOKEN,
        "lookup": a_lookup(number),
        "sealed": Sealed(b"\x00sealed") if number % 2 else None,
        "created_at": number,
    }
    return Credential(**plain | fields)


def a_channel(number: int = 1, **fields: Any) -> Channel:
    plain: dict[str, Any] = {
        "id": ChannelId(f"channel-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "name": f"Channel {number}" if number % 2 else f"channel {number}",
        "metadata": {"floor": number, "tags": ["a", "ü"]} if number % 2 else {},
        "created_at": number,
        "updated_at": number,
    }
    return Channel(**plain | fields)


def a_config(number: int = 1, *channels: int, **fields: Any) -> BootstrapConfig:
    """Return the configuration of the device of this number, with the channels of these numbers."""
    plain: dict[str, Any] = {
        "id": DeviceId(f"device-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "external_id": f"external-{number:04}",
        "external_key": Sealed(f"sealed key {number}".encode()),
        "name": f"Config {number}" if number % 2 else f"config {number}",
        "content": Sealed(b"\x00content") if number % 2 else None,
        "certificates": Sealed(b"certificates\xff") if number % 3 else None,
        "client_key": a_lookup(2000 + number) if number % 3 else None,
        "channels": tuple(ChannelId(f"channel-{channel:04}") for channel in channels),
        "active": not number % 2,
        "created_at": number,
        "updated_at": number,
    }
    return BootstrapConfig(**plain | fields)


def a_signed(number: int = 1, **fields: Any) -> Device:
    """Return a device that signed with the secret of its group, its serial its own within it."""
    return a_device(number, **{"serial": f"serial-{number:04}", "unique_serial": True} | fields)


def some_firmware(number: int = 1) -> Firmware:
    return Firmware(version=f"{number}.0", url=f"https://192.0.2.1/{number}", size=number, sha256=f"{number:064x}")


def a_chain(number: int = 1, **fields: Any) -> ChainPolicy:
    """Return the policy of chains that come to the authority of this number."""
    plain = {"anchor": f"anchor-{number}", "anchor_name": f"name-{number}", "authorities": (f"leading {number}", "on")}
    return ChainPolicy(**plain | fields)


def an_oscore_state(number: int = 1, **fields: Any) -> OscoreState:
    """Return how far the context has come whose keys are in the credential of this number."""
    plain: dict[str, Any] = {"id": CredentialId(f"credential-{number:04}"), "sequence": number}
    return OscoreState(**plain | fields)


def an_issued(number: int = 1, **fields: Any) -> IssuedCertificate:
    """Return a certificate with the lookup of the credential of this number."""
    plain: dict[str, Any] = {
        "id": f"{number:040x}",
        "tenant": DEFAULT_TENANT,
        "device": DeviceId(f"device-{number:04}"),
        "name": f"sensor-{number:04}",
        "lookup": a_lookup(number),
        "not_after": 10_000_000_000_000 + number,
        "created_at": number,
    }
    return IssuedCertificate(**plain | fields)


def a_claim(number: int = 1, **fields: Any) -> PendingClaim:
    """Return the pending claim of the device of this number."""
    plain: dict[str, Any] = {
        "id": DeviceId(f"device-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "lookup": a_lookup(3000 + number),
        "announced": bool(number % 2),
        "expires_at": 100 + number,
        "created_at": number,
    }
    return PendingClaim(**plain | fields)


def an_approval(number: int = 1, **fields: Any) -> Approval:
    """Return what a device of the first profile waits for that is called as this number's."""
    plain: dict[str, Any] = {
        "id": ApprovalId(f"approval-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "profile": ProfileId("profile-0001"),
        "name": f"sensor-{number:04}",
        "device": DeviceId(f"device-{number:04}") if number % 2 else None,
        "source": "192.0.2.7",
        "stranger": "192.0.2.7",
        "protocol": "coap",
        "dialect": "thingsboard",
        "expires_at": 10_000_000_000_000 + number,
        "created_at": number,
        "updated_at": number,
    }
    return Approval(**plain | fields)


def an_entry(number: int = 1, **fields: Any) -> DirectoryEntry:
    plain: dict[str, Any] = {
        "id": EntryId(f"entry-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "kind": EntryKind.END_USER,
        "name": f"entry {number}",
        "created_at": number,
        "updated_at": number,
    }
    return DirectoryEntry(**plain | fields)


def an_organization(identity: str = "organization", **fields: Any) -> DirectoryEntry:
    """Return the organisation of an id, by default that of every user here."""
    return an_entry(1, **{"id": EntryId(identity), "kind": EntryKind.ORGANIZATION, "name": identity} | fields)


def a_user(number: int = 1, **fields: Any) -> DirectoryEntry:
    """Return an entry that has everything an entry may have."""
    plain: dict[str, Any] = {
        "parent": "organization",
        "template": "template",
        "login": f"user-{number}@example.org",
        "role": Role.CUSTOMER,
        "verifier": b"\x00verifier\xff",
        "lookup": a_lookup(4000 + number),
        "attributes": {"größe": number, "tags": ["a", None]},
    }
    return an_entry(number, **plain | fields)


def a_token(number: int = 1, **fields: Any) -> OperatorToken:
    plain: dict[str, Any] = {
        "id": TokenId(f"token-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "name": f"operator {number}",
        "role": Role.OPERATOR,
        "lookup": a_lookup(1000 + number),
        "created_at": number,
    }
    return OperatorToken(**plain | fields)


def an_event(number: int = 1, **fields: Any) -> Event:
    plain: dict[str, Any] = {
        "id": EventId(f"event-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "at": number,
        "kind": EventKind.PROVISION_SUCCEEDED,
        "correlation": f"request-{number}",
        "protocol": "coap",
        "dialect": "thingsboard",
        "source": "192.0.2.7",
        "actor": "",
        "device_name": f"sensor-{number:04}",
        "check": "",
        "detail": "größer",
    }
    return Event(**plain | fields)
