"""What all objects have: their version, who made and changed them, and when.

Who that was stands in the events; clients take these ids for opaque, and all that the registry can say of any object is whose
account it belongs to.
"""

from typing import Any, Final, Protocol
from uuid import UUID, uuid5

from adapters.dialects.moments import rfc3339
from adapters.dialects.xively.versions import opaque
from core.model import TenantId

Document = dict[str, Any]

COMMON: Final = frozenset(
    {"id", "accountId", "version", "created", "createdById", "lastModified", "lastModifiedById", "ownedById"}
)
"""The members that a client may send back as it read them, and that no client sets."""

_OWN_IDS: Final = UUID("5f3c0f5e-3f6b-5b0e-9d37-0a6f0f6b7f11")


class Kept(Protocol):
    """An entity with its history."""

    @property
    def version(self) -> int:
        """Return its version."""
        ...

    @property
    def created_at(self) -> int:
        """Return when it was made, in milliseconds since the Unix epoch."""
        ...

    @property
    def updated_at(self) -> int:
        """Return when it was changed last, likewise."""
        ...


def history(entity: Kept, tenant: TenantId) -> Document:
    """Return the members that tell of an object's past."""
    author = author_of(tenant)
    return {
        "version": opaque(entity.version),
        "created": rfc3339(entity.created_at),
        "lastModified": rfc3339(entity.updated_at),
        "createdById": author,
        "lastModifiedById": author,
    }


def author_of(tenant: TenantId) -> str:
    """Return what stands for whoever it was."""
    return f"xi/jwt/{tenant}"


def derived_id(*names: str) -> str:
    """Return the id of what is not kept by itself: the same for the same names (RFC 9562, section 5.5)."""
    return str(uuid5(_OWN_IDS, "/".join(names)))
