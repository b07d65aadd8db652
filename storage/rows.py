"""Entities as rows of a database and back."""

from typing import Any

import msgspec

from core.model import (
    BootstrapConfig,
    Channel,
    ChannelId,
    Credential,
    CredentialKind,
    Device,
    DeviceState,
    Firmware,
    OperatorToken,
    Role,
    Tenant,
)

Row = tuple[Any, ...]
"""What a driver takes and gives: texts, bytes, whole numbers and None."""

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
# `_WRITTEN` are those with a folded name behind, which is there to be searched and not to be read.
TENANT = (
    "tenant.id, tenant.name, tenant.device_limit, tenant.devices, tenant.created_at, tenant.version, tenant.secure_bootstrap"
)
DEVICE_BARE = (
    "device.id, device.tenant, device.profile, device.name, device.state, device.enabled, "
    "device.created_at, device.updated_at, device.version"
)
DEVICE_PLAIN = (
    "device.id, device.tenant, device.profile, device.name, device.state, device.enabled, device.metadata, "
    "device.created_at, device.updated_at, device.version"
)
_DEVICE_REACHED = (
    "device.firmware, device.provisioned_at, device.connected_at, device.associated_at, device.discarded_at, "
    "device.serial, device.unique_serial, device.owner, device.runs"
)
DEVICE = f"{DEVICE_PLAIN}, device.label, {_DEVICE_REACHED}"
DEVICE_LABELLED = f"{DEVICE_PLAIN}, device.label, device.folded"
DEVICE_WRITTEN = f"{DEVICE_LABELLED}, {_DEVICE_REACHED}"
CREDENTIAL = (
    "credential.id, credential.device, credential.kind, credential.lookup, credential.verifier, credential.sealed, "
    "credential.created_at, credential.version, credential.expires_at, credential.trial"
)
DIGEST = "credential.id, credential.device, credential.kind, credential.lookup, credential.created_at, credential.version"
CHANNEL = "channel.id, channel.tenant, channel.name, channel.metadata, channel.created_at, channel.updated_at, channel.version"
CHANNEL_WRITTEN = f"{CHANNEL}, channel.folded"
_CONFIG = (
    "config.id, config.tenant, config.external_id, config.external_key, config.name, config.unique_name, config.client_key, "
    "config.active, config.created_at, config.updated_at, config.version, config.firmware"
)
CONFIG = f"{_CONFIG}, config_document.content, config_document.certificates"
CONFIG_WRITTEN = f"{_CONFIG}, config.folded"
DOCUMENT = "config_document.config, config_document.content, config_document.certificates"
LISTED = "config_channel.config, config_channel.place, config_channel.channel"
TOKEN = "token.id, token.tenant, token.name, token.role, token.lookup, token.created_at, token.version"  # noqa: S105 - columns


def tenant_row(tenant: Tenant) -> Row:
    """Return a tenant's row; the store counts its devices itself, from 0."""
    inherited = 1 if tenant.secure_bootstrap else None
    return tenant.id, tenant.name, tenant.device_limit, 0, tenant.created_at, tenant.version, inherited


def tenant(row: Row) -> Tenant:
    """Return the tenant of a row."""
    return Tenant(
        id=row[0],
        name=row[1],
        device_limit=row[2],
        devices=row[3],
        created_at=row[4],
        version=row[5],
        secure_bootstrap=row[6] is not None,
    )


def device_row(device: Device) -> Row:
    """Return a device's row, without what most devices have not."""
    *who, created_at, updated_at, version = bare_device_row(device)
    return (*who, json_text(device.metadata), created_at, updated_at, version)


def bare_device_row(device: Device) -> Row:
    """Return the row of a device that has no metadata either."""
    return (
        device.id,
        device.tenant,
        device.profile,
        device.name,
        device.state.value,
        int(device.enabled),
        device.created_at,
        device.updated_at,
        device.version,
    )


def label_row(device: Device) -> Row:
    """Return what follows in a device's row: its label, and that or else its name folded."""
    return device.label or None, folded(device.label or device.name)


def has_reached(device: Device) -> bool:
    """Tell whether there is anything in what `reached_row` gives."""
    return (
        device.firmware is not None
        or device.unique_serial
        or not device.provisioned_at is device.connected_at is device.associated_at is device.discarded_at is None
        or bool(device.serial or device.owner or device.runs)
    )


def reached_row(device: Device) -> Row:
    """Return the end of a device's row: what it should run, how far it got, and then what `known_row` gives."""
    return (
        json_text(device.firmware),
        device.provisioned_at,
        device.connected_at,
        device.associated_at,
        device.discarded_at,
        *known_row(device),
    )


def known_row(device: Device) -> Row:
    """Return what ends a device's row: its serial, whether that is unique, its owner, and what it runs."""
    return device.serial or None, 1 if device.unique_serial else None, device.owner or None, device.runs or None


def device(row: Row) -> Device:
    """Return the device of a row."""
    plain = Device(
        id=row[0],
        tenant=row[1],
        profile=row[2],
        name=row[3],
        state=DeviceState(row[4]),
        enabled=bool(row[5]),
        metadata=json_object(row[6]),
        created_at=row[7],
        updated_at=row[8],
        version=row[9],
        label=row[10] or "",
    )
    if row[11:20] == _NOTHING_REACHED:
        return plain
    return msgspec.structs.replace(
        plain,
        firmware=firmware(row[11]),
        provisioned_at=row[12],
        connected_at=row[13],
        associated_at=row[14],
        discarded_at=row[15],
        serial=row[16] or "",
        unique_serial=row[17] is not None,
        owner=row[18] or "",
        runs=row[19] or "",
    )


_NOTHING_REACHED = (None,) * 9


def credential_row(credential: Credential) -> Row:
    """Return a credential's row."""
    return (
        credential.id,
        credential.device,
        credential.kind.value,
        credential.lookup,
        credential.verifier,
        credential.sealed,
        credential.created_at,
        credential.version,
        credential.expires_at,
        1 if credential.trial else None,
    )


def is_digest(credential: Credential) -> bool:
    """Tell whether a credential is found and checked by its digest alone, for good."""
    return not credential.verifier and credential.sealed is None and credential.expires_at is None and not credential.trial


def digest_row(credential: Credential) -> Row:
    """Return the row of a credential that `is_digest`, for SQLite."""
    return (
        credential.id,
        credential.device,
        credential.kind.value,
        # sqlite3 looks for an adapter of every value but numbers, texts and this: a third of the time to bind bytes.
        bytearray(credential.lookup),
        credential.created_at,
        credential.version,
    )


def credential(row: Row) -> Credential:
    """Return the credential of a row."""
    return Credential(
        id=row[0],
        device=row[1],
        kind=CredentialKind(row[2]),
        lookup=row[3],
        verifier=row[4],
        sealed=row[5],
        created_at=row[6],
        version=row[7],
        expires_at=row[8],
        trial=row[9] is not None,
    )


def channel_row(channel: Channel) -> Row:
    """Return a channel's row."""
    return (
        channel.id,
        channel.tenant,
        channel.name,
        json_text(channel.metadata),
        channel.created_at,
        channel.updated_at,
        channel.version,
        folded(channel.name),
    )


def channel(row: Row) -> Channel:
    """Return the channel of a row."""
    return Channel(
        id=row[0],
        tenant=row[1],
        name=row[2],
        metadata=json_object(row[3]),
        created_at=row[4],
        updated_at=row[5],
        version=row[6],
    )


def config_row(config: BootstrapConfig) -> Row:
    """Return a configuration's row, which its document and its channels are no part of."""
    return (
        config.id,
        config.tenant,
        config.external_id,
        config.external_key,
        config.name,
        int(config.unique_name),
        config.client_key,
        int(config.active),
        config.created_at,
        config.updated_at,
        config.version,
        json_text(config.firmware),
        folded(config.name),
    )


def document_row(config: BootstrapConfig) -> Row:
    """Return the row of a configuration's document."""
    return config.id, config.content, config.certificates


def listed_rows(config: BootstrapConfig) -> list[Row]:
    """Return the rows of a configuration's channels."""
    return [(config.id, place, channel) for place, channel in enumerate(config.channels)]


def config(row: Row, channels: tuple[ChannelId, ...]) -> BootstrapConfig:
    """Return the configuration of a row that was joined to its document."""
    return BootstrapConfig(
        id=row[0],
        tenant=row[1],
        external_id=row[2],
        external_key=row[3],
        name=row[4],
        unique_name=bool(row[5]),
        client_key=row[6],
        active=bool(row[7]),
        created_at=row[8],
        updated_at=row[9],
        version=row[10],
        firmware=firmware(row[11]),
        content=row[12],
        certificates=row[13],
        channels=channels,
    )


def json_text(value: msgspec.Struct | dict[str, Any] | None) -> str | None:
    """Return a value as JSON, None where there is nothing in it."""
    return msgspec.json.encode(value).decode() if value else None


def json_object(text: str | None) -> dict[str, Any]:
    """Return the object of a JSON text, an empty one for None."""
    found: dict[str, Any] = msgspec.json.decode(text) if text is not None else {}
    return found


def firmware(text: str | None) -> Firmware | None:
    """Return the firmware of a JSON text, None for None."""
    return None if text is None else msgspec.json.decode(text, type=Firmware)


def folded(text: str) -> str | None:
    """Return a text with its case folded, None where it is so already."""
    found = text.casefold()
    return None if found == text else found


def token_row(token: OperatorToken) -> Row:
    """Return an operator token's row."""
    return token.id, token.tenant, token.name, token.role.value, token.lookup, token.created_at, token.version


def token(row: Row) -> OperatorToken:
    """Return the operator token of a row."""
    return OperatorToken(
        id=row[0], tenant=row[1], name=row[2], role=Role(row[3]), lookup=row[4], created_at=row[5], version=row[6]
    )
