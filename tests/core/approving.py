"""Devices that wait for an operator's approval."""

from typing import Any

from core.approvals import WAITING_MS
from core.model import Approval, ApprovalId, Profile
from tests.fakes import START


def an_approval(profile: Profile, name: str, **fields: Any) -> Approval:
    """Return the entry of a new device in the queue."""
    plain: dict[str, Any] = {
        "id": ApprovalId(f"approval of {name}"),
        "tenant": profile.tenant,
        "profile": profile.id,
        "name": name,
        "source": "192.0.2.7",
        "stranger": "192.0.2.7",
        "protocol": "http",
        "dialect": "thingsboard",
        "expires_at": START + WAITING_MS,
        "created_at": START,
        "updated_at": START,
    }
    return Approval(**plain | fields)
