"""What is at the broker, as far as it is ours, and the names that others have there."""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from adapters.brokers.dynamic_security.wanted import ROLE_PREFIX, role_name
from adapters.brokers.dynamic_security.wire import (
    Acl,
    Change,
    CreateClient,
    CreateRole,
    DeleteClient,
    DeleteRole,
    DisableClient,
    EnableClient,
    ListedClient,
    ListedRole,
    ModifyClient,
    ModifyRole,
    RoleName,
)
from core.model import DeviceId


class KeptClient(msgspec.Struct, frozen=True):
    """A client that is ours: whose it is, and what is known of it."""

    device: DeviceId
    stamp: str
    client_id: str
    roles: tuple[RoleName, ...]
    enabled: bool = True


class Inventory:
    """Our clients and roles at the broker by name; `foreign` are the names of all others."""

    def __init__(self, mark: str, clients: Iterable[ListedClient] = (), roles: Iterable[ListedRole] = ()) -> None:
        self.mark = mark
        self.clients: dict[str, KeptClient] = {}
        self.roles: dict[str, frozenset[Acl]] = {}
        self.foreign_clients: set[str] = set()
        self.foreign_roles: set[str] = set()
        self._names: dict[DeviceId, set[str]] = {}
        for client in clients:
            self._take_client(client)
        for role in roles:
            if role.textname == mark:
                self.roles[role.rolename] = frozenset(role.acls)
            else:
                self.foreign_roles.add(role.rolename)

    def devices(self) -> set[DeviceId]:
        """Return the devices that something of ours is for."""
        of_roles = {DeviceId(name.removeprefix(ROLE_PREFIX)) for name in self.roles}
        return of_roles | {client.device for client in self.clients.values()}

    def has(self, device: DeviceId) -> bool:
        """Tell whether something of ours is for a device."""
        return device in self._names or role_name(device) in self.roles

    def names(self, device: DeviceId) -> frozenset[str]:
        """Return the user names of a device."""
        return frozenset(self._names.get(device, ()))

    def apply(self, change: Change) -> None:
        """Note that the broker carried out a change."""
        match change:
            case CreateRole() | ModifyRole():
                self.roles[change.rolename] = frozenset(change.acls)
            case DeleteRole():
                self.roles.pop(change.rolename, None)
            case CreateClient() | ModifyClient():
                before = self.clients.get(change.username)
                self._put(change.username, _described(change, enabled=before is None or before.enabled))
            case EnableClient() | DisableClient():
                enabled = isinstance(change, EnableClient)
                self._put(change.username, msgspec.structs.replace(self.clients[change.username], enabled=enabled))
            case DeleteClient():
                self._forget(change.username)
            case _:
                assert_never(change)

    def missing_from(self, other: "Inventory") -> int:
        """Return how many clients and roles of this one another one lacks."""
        return len(self.clients.keys() - other.clients.keys()) + len(self.roles.keys() - other.roles.keys())

    def _take_client(self, client: ListedClient) -> None:
        if client.textname == self.mark:
            self._put(client.username, _described(client, enabled=not client.disabled))
        else:
            self.foreign_clients.add(client.username)

    def _put(self, username: str, client: KeptClient) -> None:
        self._forget(username)
        self.clients[username] = client
        self._names.setdefault(client.device, set()).add(username)

    def _forget(self, username: str) -> None:
        client = self.clients.pop(username, None)
        if client is None:
            return
        names = self._names[client.device]
        names.discard(username)
        if not names:
            del self._names[client.device]


def describe(device: DeviceId, stamp: str) -> str:
    """Return the text description that a client has."""
    return f"{device} {stamp}"


def _described(client: ListedClient | CreateClient | ModifyClient, *, enabled: bool) -> KeptClient:
    device, _, stamp = client.textdescription.rpartition(" ")
    return KeptClient(DeviceId(device), stamp, client.clientid, client.roles, enabled)
