"""The rules for entries of the directory: what each kind belongs to and may hold, and who may write it."""

from typing import Any

from core.errors import Reason, Refusal
from core.model import DirectoryEntry, EntryKind, Role, Secret
from core.operate import values
from core.operate.access import ADMIN_NAME, Actor

USERS = frozenset({EntryKind.ACCOUNT_USER, EntryKind.END_USER})
OF_ORGANIZATIONS = USERS | {EntryKind.ORGANIZATION}
OF_PROFILES = frozenset({EntryKind.DEVICE_FIELD, EntryKind.CHANNEL_TEMPLATE})
TEMPLATES = {
    EntryKind.ORGANIZATION: EntryKind.ORGANIZATION_TEMPLATE,
    EntryKind.END_USER: EntryKind.END_USER_TEMPLATE,
}
"""The kind of what entries of a kind are made from."""

PASSWORD_CHARACTERS_AT_LEAST = 8
_WILDCARDS = frozenset("+#")


def fold_login(text: str) -> str:
    """Return a login in the form in which logins are kept and compared: without white space around it, its case ignored."""
    return text.strip().casefold()


def require_name(kind: EntryKind, text: str) -> str:
    """Return an entry's name without the white space around it. Raises `Refusal` MALFORMED.

    Only a user may have none; a channel's stands in topics, where `+` and `#` mean something else (MQTT 5.0, section 4.7.1).
    """
    name = text.strip()
    values.require_text(name, "name", 0 if kind in USERS else 1, of="entry")
    if kind is EntryKind.CHANNEL_TEMPLATE and not _WILDCARDS.isdisjoint(name):
        raise values.malformed("name: + and # cannot stand in topics", "entry.characters")
    return name


def require_login(kind: EntryKind, text: str) -> str:
    """Return a login as it is kept; empty is none. Raises `Refusal` MALFORMED."""
    login = fold_login(text)
    if login:
        _require_user(kind)
        values.require_text(login, "login", of="entry")
    if login == ADMIN_NAME:
        raise values.malformed(f"login: {ADMIN_NAME} is the bearer of the admin token", "entry.login")
    return login


def require_role(kind: EntryKind, role: Role | None) -> Role | None:
    """Return the role of a user: an end user is a customer, and nothing else. Raises `Refusal` MALFORMED."""
    if kind is EntryKind.END_USER:
        if role not in (None, Role.CUSTOMER):
            raise values.malformed("role: an end user has no other than customer", "entry.role")
        return Role.CUSTOMER
    if role is not None:
        _require_user(kind)
    return role


def require_password(kind: EntryKind, password: Secret) -> None:
    """Check a user's password. Raises `Refusal` MALFORMED, without repeating it."""
    _require_user(kind)
    values.require_text(password.reveal(), "password", PASSWORD_CHARACTERS_AT_LEAST)


def require_attributes(attributes: dict[str, Any]) -> None:
    """Check depth and size of what else an entry holds. Raises `Refusal` MALFORMED."""
    values.require_metadata(attributes)


def require_whole(entry: DirectoryEntry) -> None:
    """Check that a password belongs to a login. Raises `Refusal` MALFORMED."""
    if entry.verifier and not entry.login:
        raise values.malformed("login: a user with a password needs one", "entry.login")


def require_writer(actor: Actor, *entries: DirectoryEntry, password: bool = False) -> None:
    """Let an admin alone write passwords and those users who may give commands. Raises `Refusal` FORBIDDEN."""
    commands = any(each.kind is EntryKind.ACCOUNT_USER and each.role is not None for each in entries)
    if (commands or password) and actor.role is not Role.ADMIN:
        raise Refusal(Reason.FORBIDDEN, "only an admin may do this to users", check="role.users")


def _require_user(kind: EntryKind) -> None:
    if kind not in USERS:
        raise values.malformed("only users have logins, roles and passwords", "entry.user")
