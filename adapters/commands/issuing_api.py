"""What crosses the operator API for batches and windows, as far as the command line reads or writes it."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class NewSerial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device to issue a credential for."""

    serial: str
    label: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class IssueBatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Serials to issue credentials for."""

    profile: str
    devices: tuple[NewSerial, ...]
    kind: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the answer: what became of a serial, or, where `done`, the end of it all."""

    done: bool = False
    line: int = 0
    serial: str = ""
    status: str = ""
    device_id: str = ""
    device_name: str = ""
    credential: dict[str, Any] = msgspec.field(default_factory=dict)
    reason: str = ""


class SignedRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How devices are let in that sign their requests; what is left out the gateway chooses, or leaves as it is."""

    auto_activation: bool | UnsetType = UNSET
    self_registration: bool | UnsetType = UNSET
    timestamp_tolerance_s: int | UnsetType | None = UNSET
    reallocation: str | UnsetType = UNSET
    product_key: str | UnsetType = UNSET
    mqtt_url: str | UnsetType = UNSET
    http_url: str | UnsetType = UNSET


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """How devices of a profile are let in that sign."""

    auto_activation: bool
    self_registration: bool
    timestamp_tolerance_s: int | None
    reallocation: str
    product_key: str
    mqtt_url: str = ""
    http_url: str = ""
