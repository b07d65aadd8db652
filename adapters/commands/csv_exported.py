"""What `firstlight device export` writes, so that its file can be read again by the commands that take CSV."""

from typing import Final

EXPORTED: Final = frozenset(
    {
        "id",
        "profile",
        "state",
        "enabled",
        "created_at",
        "serial",
        "label",
        "owner",
        "firmware",
        "runs",
        "provisioned_at",
        "connected_at",
        "associated_at",
        "discarded_at",
    }
)
"""The columns beside `name`, of this version and of earlier ones."""

_MARK: Final = frozenset({"id", "state", "enabled", "created_at"})


def passed_over(columns: list[str], known: frozenset[str]) -> frozenset[str]:
    """Return the columns that are no metadata, though they are not among the `known`.

    In an exported file these are what the registry itself says of a device; in any other there are none.
    """
    return EXPORTED - known if set(columns) >= _MARK else frozenset()


def remark(columns: list[str], passed: frozenset[str]) -> str:
    """Return what to tell of them, empty where nothing is passed over."""
    left_out = [column for column in columns if column in passed]
    return f"an exported file: these columns are not taken: {', '.join(left_out)}" if left_out else ""
