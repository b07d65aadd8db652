"""By what devices are sorted where no store does it."""

from typing import Any

from core.model import Device
from core.queries import Order


def sort_key(device: Device, order: Order) -> Any:
    """Return what a device is sorted by; those that are alike in it follow in the order of their ids."""
    match order:
        case Order.UPDATED:
            return device.updated_at
        case Order.SERIAL:
            return device.serial
        case Order.NAME:
            return device.name
        case Order.LABEL:
            return device.label or device.name
        case Order.STATE:
            return device.state.value
        case _:
            return device.id
