"""Entities for the storage tests: each a plain valid one, told apart by its number."""

from typing import Any

from core.model import (
    DEFAULT_TENANT,
    Credential,
    CredentialId,
    CredentialKind,
    Device,
    DeviceId,
    Event,
    EventId,
    EventKind,
    Lookup,
    OperatorToken,
    Profile,
    ProfileId,
    Role,
    Sealed,
    Strategy,
    Tenant,
    TenantId,
    TokenId,
)


def a_tenant(number: int = 1, **fields: Any) -> Tenant:
    plain: dict[str, Any] = {"id": TenantId(f"tenant-{number:04}"), "name": f"tenant {number}", "created_at": number}
    return Tenant(**plain | fields)


def a_profile(number: int = 1, **fields: Any) -> Profile:
    plain: dict[str, Any] = {
        "id": ProfileId(f"profile-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "name": f"profile {number}",
        "strategy": Strategy.CREATE_NEW,
        "provision_key": f"key-{number}",
        "provision_secret": Sealed(f"sealed {number}".encode()),
        "options": ("one", "two"),
        "created_at": number,
        "updated_at": number,
    }
    return Profile(**plain | fields)


def a_device(number: int = 1, **fields: Any) -> Device:
    plain: dict[str, Any] = {
        "id": DeviceId(f"device-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "profile": ProfileId("profile-0001"),
        "name": f"sensor-{number:04}",
        "metadata": {"floor": number, "tags": ["a", "ü"]} if number % 2 else {},
        "created_at": number,
        "updated_at": number,
    }
    return Device(**plain | fields)


def a_lookup(number: int) -> Lookup:
    return Lookup(number.to_bytes(32, "big"))


def a_credential(number: int = 1, **fields: Any) -> Credential:
    plain: dict[str, Any] = {
        "id": CredentialId(f"credential-{number:04}"),
        "device": DeviceId(f"device-{number:04}"),
        "kind": CredentialKind.ACCESS_TOKEN,
        "lookup": a_lookup(number),
        "sealed": Sealed(b"\x00sealed") if number % 2 else None,
        "created_at": number,
    }
    return Credential(**plain | fields)


def a_token(number: int = 1, **fields: Any) -> OperatorToken:
    plain: dict[str, Any] = {
        "id": TokenId(f"token-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "name": f"operator {number}",
        "role": Role.OPERATOR,
        "lookup": a_lookup(1000 + number),
        "created_at": number,
    }
    return OperatorToken(**plain | fields)


def an_event(number: int = 1, **fields: Any) -> Event:
    plain: dict[str, Any] = {
        "id": EventId(f"event-{number:04}"),
        "tenant": DEFAULT_TENANT,
        "at": number,
        "kind": EventKind.PROVISION_SUCCEEDED,
        "correlation": f"request-{number}",
        "protocol": "coap",
        "dialect": "thingsboard",
        "source": "192.0.2.7",
        "actor": "",
        "device_name": f"sensor-{number:04}",
        "check": "",
        "detail": "größer",
    }
    return Event(**plain | fields)
