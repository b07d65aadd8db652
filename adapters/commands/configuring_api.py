"""What crosses the operator API about tenants, channels and configurations, as far as the command line reads or writes it."""

from typing import Any

import msgspec


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Whose devices they are."""

    id: str
    name: str
    devices: int = 0
    device_limit: int | None = None
    secure_bootstrap: bool = False
    created_at: str


class NewTenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tenant to make; without an id the gateway draws one."""

    name: str
    id: str | None = None
    secure_bootstrap: bool = False


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A way for messages between devices; the times are left out where it stands in a configuration."""

    id: str
    name: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: str = ""
    updated_at: str = ""


class NewChannel(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A channel to make; without an id the gateway draws one."""

    id: str | None = None
    name: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class ChannelChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of a channel; None leaves a field as it is."""

    name: str | None = None
    metadata: dict[str, str] | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a device fetches when it starts; what is None was not told."""

    id: str
    device: str
    external_id: str
    external_key: str | None = None
    secret: str | None = None
    name: str = ""
    content: str | None = None
    channels: tuple[Channel, ...] = ()
    client_cert: str | None = None
    client_key: str | None = None
    ca_cert: str | None = None
    active: bool
    created_at: str
    updated_at: str
    version: int = 1


class NewConfig(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A configuration to make; without a device the gateway makes one."""

    external_id: str
    external_key: str
    device: str | None = None
    name: str = ""
    content: str = ""
    channels: tuple[str, ...] = ()
    client_cert: str = ""
    client_key: str = ""
    ca_cert: str = ""


class ConfigChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What becomes of a configuration; None leaves a field as it is."""

    name: str | None = None
    content: str | None = None
    channels: tuple[str, ...] | None = None
    active: bool | None = None
    client_cert: str | None = None
    client_key: str | None = None
    ca_cert: str | None = None
