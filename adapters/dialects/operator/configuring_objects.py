"""What operators get about tenants, channels and configurations: the JSON objects of the answers, as they are on the wire."""

from typing import Any

import msgspec

from adapters.dialects.operator.objects import Firmware, Next, Time
from core.model import Secret


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Whose devices they are; `device_limit` null: as many as there may be. `secure_bootstrap`: it has that of Mainflux."""

    id: str
    name: str
    devices: int
    device_limit: int | None
    secure_bootstrap: bool
    created_at: Time
    version: int


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A way for messages between devices."""

    id: str
    name: str
    metadata: dict[str, Any]
    created_at: Time
    updated_at: Time
    version: int


class ConfigChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as a configuration has it."""

    id: str
    name: str
    metadata: dict[str, Any]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration without its secrets: `id` is its device's, `device` its device's name."""

    id: str
    device: str
    external_id: str
    name: str
    channels: tuple[ConfigChannel, ...]
    active: bool
    firmware: Firmware | None
    created_at: Time
    updated_at: Time
    version: int


class OpenConfig(Config, frozen=True, kw_only=True):
    """A configuration with everything that its device gets; `secret` is the device's, null where it has none."""

    external_key: Secret
    secret: Secret | None
    content: str
    client_cert: str
    client_key: Secret
    ca_cert: str


class TenantPage(msgspec.Struct, frozen=True):
    """Some tenants."""

    items: tuple[Tenant, ...]
    next: Next = None


class ChannelPage(msgspec.Struct, frozen=True):
    """Some channels."""

    items: tuple[Channel, ...]
    next: Next = None


class ConfigPage(msgspec.Struct, frozen=True):
    """Some configurations."""

    items: tuple[Config, ...]
    next: Next = None


class Channels(msgspec.Struct, frozen=True):
    """All channels that there are."""

    items: tuple[Channel, ...]


class ExternalIds(msgspec.Struct, frozen=True):
    """Some external ids."""

    items: tuple[str, ...]
