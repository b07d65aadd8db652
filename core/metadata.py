"""How large and how deep the metadata of devices and profiles may be."""

from typing import Any

import msgspec

METADATA_BYTES = 16_384
METADATA_LEVELS = 16


def is_shallow(metadata: dict[str, Any]) -> bool:
    """Tell whether metadata has no more levels than it may."""
    return _within(metadata, METADATA_LEVELS)


def is_small(metadata: dict[str, Any]) -> bool:
    """Tell whether metadata has no more bytes, as JSON, than it may."""
    return len(msgspec.json.encode(metadata)) <= METADATA_BYTES


def _within(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, list) or (levels > 0 and all(_within(each, levels - 1) for each in value))
