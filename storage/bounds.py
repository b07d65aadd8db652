"""How much a store does for one caller at most, and how long it keeps what is over."""

PAGE = 10_000
"""Rows of one page."""

PRUNED_AT_ONCE = 2_000
"""Events forgotten by one call: more would keep the commits behind it waiting."""

GROUP = 256
"""Requests served by one transaction."""

QUEUE = 10_000
"""Requests that may wait for their turn, readers and writers each."""

UNKNOWN_AMONG = 10_000
"""Newest refused bootstraps among which unknown external ids are looked for."""

ALIKE = 16
"""Devices of one name or one serial that are answered, those of all tenants together."""

ANCHORED = 64
"""Profiles of one certificate that are answered, those of all tenants together."""

ALIKE_APPROVALS = 100
"""Devices of one name that wait for approval and are answered, those of all profiles of a tenant together."""

EXPIRED_KEPT_MS = 7 * 86_400_000
"""How long a certificate that was made here is kept beyond its time: one that is revoked stands in one more list then."""

TOMBSTONE_KEPT_MS = 5 * 366 * 86_400_000
"""How long a device that left is kept out: about as long as it runs, or is found in a drawer, and no longer than it has to."""

_MOST = 2**63 - 1


def page_size(limit: int) -> int:
    """Return the rows to read for a page of `limit`: not less than none, not more than `PAGE`."""
    return min(max(limit, 0), PAGE)


def page_start(offset: int) -> int:
    """Return the rows to skip for a page from `offset` on: not less than none, not more than a database can count."""
    return min(max(offset, 0), _MOST)
