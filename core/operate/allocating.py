"""What operators may ask for about devices that are known by their serials, and what they get: commands and results.

A group is a profile named by its claim key, a device is named by its name; both in the tenant of who asks. What is done to a
serial's credentials needs a group whose devices sign (`Strategy.SIGNED`).
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from core.model import Device, DeviceState, Profile
from core.queries import Order


class CreateSerials(msgspec.Struct, frozen=True, kw_only=True):
    """Define devices of a group: a `SerialBatch`.

    `serial` is the maker's and of one device alone; None: one is drawn for each. `batch` is what events call them.
    """

    group: str
    count: int = 1
    serial: str | None = None
    batch: str = ""
    label: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class ShowSerial(msgspec.Struct, frozen=True):
    """One device, by name: a `SerialView`."""

    name: str


class Member(msgspec.Struct, frozen=True):
    """A member of a device's metadata, by the names that lead to it, and what it may be: numbers and truth as JSON has them."""

    path: tuple[str, ...]
    values: frozenset[str]


class SearchSerials(msgspec.Struct, frozen=True, kw_only=True):
    """A `CountedPage` of `SerialView`s: all devices of the tenant, whatever dialect they came in through.

    All filters match exactly and any of theirs; None matches everything. The serial of a device that has none is its name. With
    `members`, a device has all of them.
    """

    groups: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    serials: tuple[str, ...] | None = None
    states: tuple[DeviceState, ...] | None = None
    members: tuple[Member, ...] = ()
    order: Order = Order.CREATED
    descending: bool = False
    offset: int = 0
    limit: int = 100


class MasterData(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a device: what is not None. Members of `metadata` are set one by one; None removes one."""

    serial: str | None = None
    label: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class UpdateSerial(msgspec.Struct, frozen=True):
    """Change a device, by name: a `SerialView`. The name stays what it is."""

    name: str
    data: MasterData


class AllocateSerial(msgspec.Struct, frozen=True):
    """Give a device its credentials before it asks for them, and change it: a `SerialView`.

    A device that has credentials keeps them; where they were revoked it is given new ones.
    """

    name: str
    data: MasterData = MasterData()


class ResetAllocations(msgspec.Struct, frozen=True):
    """Take credentials and state from devices of a group, all or none: the devices, in order of their names here.

    Group, secret, serial and name stay; what becomes of the master data is the group's policy.
    """

    group: str
    names: tuple[str, ...]


class ReplaceSerial(msgspec.Struct, frozen=True):
    """Let a device that has no credentials yet take over the master data of another of its group, which is removed.

    Answered with the replacement, a `SerialView`.
    """

    name: str
    replacement: str


class DeleteSerials(msgspec.Struct, frozen=True):
    """Remove devices, all or none: their names, each once, as `tuple[str, ...]`.

    One that is not there is no error; one of another group than `group` is.
    """

    group: str | None
    names: tuple[str, ...]


class SerialView(msgspec.Struct, frozen=True):
    """A device with its group."""

    device: Device
    profile: Profile


class SerialBatch(msgspec.Struct, frozen=True):
    """New devices: few of them are `made` already, many are made as `rest` is asked for them, and `made` is empty.

    `rest` raises `Refusal` where the making stops before its end, and is closed (`aclose`) to stop it. What was made stays.
    """

    made: tuple[Device, ...] = ()
    rest: AsyncGenerator[tuple[Device, ...], None] | None = None


AllocatingCommand = (
    CreateSerials
    | ShowSerial
    | SearchSerials
    | UpdateSerial
    | AllocateSerial
    | ResetAllocations
    | ReplaceSerial
    | DeleteSerials
)
