"""How devices look to applications: the record `PvsDevice`.

Source: EnOS Device Provisioning Service API, "Get DPS Device" (V2.5). `regionId`, `batchOrder`, `allocateErrorMsg`, `createBy`
and `updateBy` are null: there are no regions and batches here, and who did something stands in the events.
"""

# The members are named as they are on the wire.
# ruff: noqa: N815

from typing import Any

import msgspec

from adapters.dialects.enos.application_bodies import BATCH_TAG, BESIDE, DEFAULT, DESC, DEVICE_NAME, DEVICE_SN
from adapters.dialects.enos.words import ALLOCATED, CONNECTED, CURRENT, word
from core.model import Device, DeviceState, Profile
from core.operate.allocating import SerialView

_ALLOCATED = ALLOCATED["allocated"]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device is in its life, and when it got where, in milliseconds since the Unix epoch."""

    currentStatus: str
    connectedTime: int | None
    allocatedTime: int | None
    finishedTime: int | None
    discardedTime: int | None


class PvsDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device."""

    sn: str
    groupId: str
    regionId: None = None
    orgId: str
    productKey: str | None
    batchOrder: None = None
    batchTag: Any
    deviceData: dict[str, Any]
    desc: Any
    status: Status
    reprovisioning: bool = False
    allocateErrorMsg: None = None
    createBy: None = None
    createTime: int
    updateBy: None = None
    updateTime: int
    manufacturerOrgId: str
    connectStatus: str
    allocateStatus: str


def record(view: SerialView) -> PvsDevice:
    """Return a device as its record."""
    device, profile = view.device, view.profile
    return PvsDevice(
        sn=device.name,
        groupId=profile.provision_key,
        orgId=device.tenant,
        productKey=_product_key(profile),
        batchTag=device.metadata.get(BATCH_TAG),
        deviceData=_data(device),
        desc=device.metadata.get(DESC),
        status=_status(device),
        createTime=device.created_at,
        updateTime=device.updated_at,
        manufacturerOrgId=device.tenant,
        connectStatus=word(CONNECTED, device.state),
        allocateStatus=word(ALLOCATED, device.state),
    )


def _product_key(profile: Profile) -> str | None:
    return None if profile.signed is None else profile.signed.product_key


def _data(device: Device) -> dict[str, Any]:
    """Return the master data; a device that came in through another dialect has its name for a serial."""
    members = {name: value for name, value in device.metadata.items() if name not in BESIDE}
    called = members.get(DEVICE_NAME)
    if device.label and not (isinstance(called, dict) and called.get(DEFAULT) == device.label):
        members[DEVICE_NAME] = {DEFAULT: device.label, "i18nValue": {}}
    return members | {DEVICE_SN: device.serial or device.name}


def _status(device: Device) -> Status:
    """Return the status; a device that was made allocated was so from its beginning."""
    allocated = device.provisioned_at
    if allocated is None and device.state in _ALLOCATED and device.state is not DeviceState.DEFINED:
        allocated = device.created_at
    return Status(
        currentStatus=CURRENT[device.state],
        connectedTime=device.connected_at,
        allocatedTime=allocated,
        finishedTime=device.associated_at,
        discardedTime=device.discarded_at,
    )
