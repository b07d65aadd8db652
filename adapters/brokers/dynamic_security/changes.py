"""The changes that make of what a device has at the broker what it should have there. Pure."""

import msgspec

from adapters.brokers.dynamic_security.inventory import Inventory, KeptClient, describe
from adapters.brokers.dynamic_security.wanted import Account, Wanted, role_name
from adapters.brokers.dynamic_security.wire import (
    Acl,
    Change,
    CreateClient,
    CreateRole,
    DeleteClient,
    DeleteRole,
    DisableClient,
    EnableClient,
    ModifyClient,
    ModifyRole,
    RoleName,
)


class Plan(msgspec.Struct, frozen=True):
    """Changes in their order, and how many of the wanted clients cannot be had because their names are others'."""

    changes: tuple[Change, ...] = ()
    taken: int = 0


def plan(wanted: Wanted, inventory: Inventory) -> Plan:
    """Return what is to be done for one device: what takes something away comes first."""
    role = role_name(wanted.device)
    if role in inventory.foreign_roles:
        return Plan(taken=len(wanted.accounts))
    free = [account for account in wanted.accounts if _may_have(wanted, account, inventory)]
    # Who may not log in needs no client, but one that is there is kept for the day it may again.
    accounts = [account for account in free if account.enabled or account.username in inventory.names(wanted.device)]
    gone = sorted(inventory.names(wanted.device) - {account.username for account in accounts})
    changes: list[Change] = [DeleteClient(username=username) for username in gone]
    if accounts:
        changes += _for_role(role, wanted, accounts, inventory)
    for account in accounts:
        changes += _for_client(wanted, account, inventory)
    if not accounts and role in inventory.roles:
        changes.append(DeleteRole(rolename=role))
    return Plan(tuple(changes), len(wanted.accounts) - len(free))


def _may_have(wanted: Wanted, account: Account, inventory: Inventory) -> bool:
    """Tell whether a user name is free or the device's; its own id is a device's even where another one chose it."""
    holder = inventory.clients.get(account.username)
    if account.username in inventory.foreign_clients:
        return False
    return holder is None or holder.device == wanted.device or account.username == wanted.device


def _for_role(role: str, wanted: Wanted, accounts: list[Account], inventory: Inventory) -> list[Change]:
    acls = tuple(sorted(wanted.acls, key=_order))
    there = inventory.roles.get(role)
    if there is None:
        return [CreateRole(rolename=role, textname=inventory.mark, acls=acls)]
    # While nobody may log in with it, what it allows is of no account.
    if there != wanted.acls and any(account.enabled for account in accounts):
        return [ModifyRole(rolename=role, acls=acls)]
    return []


def _order(acl: Acl) -> tuple[str, str]:
    return acl.acltype, acl.topic


def _for_client(wanted: Wanted, account: Account, inventory: Inventory) -> list[Change]:
    there = inventory.clients.get(account.username)
    roles = (RoleName(role_name(wanted.device)),)
    description = describe(wanted.device, account.stamp)
    if there is None:
        return [
            CreateClient(
                username=account.username,
                password=account.password.reveal(),
                clientid=account.client_id,
                textname=inventory.mark,
                textdescription=description,
                roles=roles,
            )
        ]
    # Out before anything else, in after everything else.
    changes: list[Change] = []
    if there.enabled and not account.enabled:
        changes.append(DisableClient(username=account.username))
    if there != KeptClient(wanted.device, account.stamp, account.client_id, roles, there.enabled):
        changes.append(
            ModifyClient(
                username=account.username,
                password=account.password.reveal(),
                clientid=account.client_id,
                textdescription=description,
                roles=roles,
            )
        )
    if account.enabled and not there.enabled:
        changes.append(EnableClient(username=account.username))
    return changes
