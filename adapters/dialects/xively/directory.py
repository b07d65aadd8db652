"""The endpoints of organisations, end users and account users, and of the templates of these: one set of five for each."""

from typing import Any, Final

import msgspec

from adapters.dialects.xively import paging
from adapters.dialects.xively.endpoint import Asked, Endpoint, Shown
from adapters.dialects.xively.faults import unfit
from adapters.dialects.xively.objects import COMMON, Document, history
from adapters.dialects.xively.reading import Members, optional_text, text
from core.model import DirectoryEntry, EntryKind, Role, Secret
from core.operate.configuring import CountedPage
from core.operate.directing import ChangeEntry, CreateEntry, DeleteEntry, ListEntries, ShowEntry
from core.operate.directory import own_organization

PASSWORD_CHARACTERS: Final = 255
USER_ROLES: Final = {role.value: role for role in Role if role is not Role.CUSTOMER}
"""What an account user may be; the words are this registry's own."""

_EMAIL, _PASSWORD, _ROLE, _USER_ID = "emailAddress", "password", "role", "userId"
_USER_MEMBERS: Final = frozenset({_EMAIL, _PASSWORD, _ROLE, _USER_ID})


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of entry: its path, what one and several are called, and the members that name its parent and its template."""

    kind: EntryKind
    path: str
    one: str
    several: str
    parent: str = ""
    template: str = ""
    is_user: bool = False

    @property
    def reserved(self) -> frozenset[str]:
        """Return the members that are no attributes."""
        return COMMON | {"name", self.parent, self.template} | (_USER_MEMBERS if self.is_user else frozenset())


KINDS: Final = (
    Kind(
        kind=EntryKind.ORGANIZATION_TEMPLATE,
        path="organizations/templates",
        one="organizationTemplate",
        several="organizationTemplates",
    ),
    Kind(
        kind=EntryKind.ORGANIZATION,
        path="organizations",
        one="organization",
        several="organizations",
        parent="parentId",
        template="organizationTemplateId",
    ),
    Kind(kind=EntryKind.END_USER_TEMPLATE, path="end-users/templates", one="endUserTemplate", several="endUserTemplates"),
    Kind(
        kind=EntryKind.END_USER,
        path="end-users",
        one="endUser",
        several="endUsers",
        parent="organizationId",
        template="endUserTemplateId",
        is_user=True,
    ),
    Kind(
        kind=EntryKind.ACCOUNT_USER,
        path="account-users",
        one="accountUser",
        several="accountUsers",
        parent="organizationId",
        is_user=True,
    ),
)


def endpoints() -> tuple[Endpoint, ...]:
    """Return the rows of all kinds."""
    return tuple(endpoint for kind in KINDS for endpoint in _Entries(kind).endpoints())


class _Entries:
    """The endpoints of one kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the rows."""
        name, path = self._kind.kind.value, f"/api/v1/{self._kind.path}"
        one = f"{path}/{{id}}"
        return (
            Endpoint(
                operation=f"create_{name}",
                method="POST",
                path=path,
                command=self._create,
                write=self._show,
                needs_account=True,
            ),
            Endpoint(
                operation=f"list_{name}s",
                method="GET",
                path=path,
                command=self._list,
                write=self._listed,
                needs_account=True,
            ),
            Endpoint(operation=f"show_{name}", method="GET", path=one, command=self._view, write=self._show),
            Endpoint(operation=f"change_{name}", method="PUT", path=one, command=self._change, write=self._show),
            Endpoint(operation=f"delete_{name}", method="DELETE", path=one, command=self._delete, write=self._show),
        )

    def _create(self, asked: Asked) -> CreateEntry:
        kind, members = self._kind, asked.members
        return CreateEntry(
            kind=kind.kind,
            name=(optional_text(members, "name") or "") if kind.is_user else text(members, "name"),
            parent=self._reference(members, kind.parent) or "",
            template=self._reference(members, kind.template) or "",
            login=(optional_text(members, _EMAIL) or "") if kind.is_user else "",
            role=self._role(members) or self._first_role(members),
            password=self._password(members),
            attributes=self._attributes(members),
        )

    def _list(self, asked: Asked) -> ListEntries:
        kind, query = self._kind, asked.query
        page = paging.read_paging(query)
        user = query.get(_USER_ID) if kind.is_user else None
        parent = query.get(kind.parent) if kind.parent else None
        return ListEntries(
            kind=kind.kind,
            ids=(user,) if user else None,
            parents=None if parent is None else (parent,),
            template=query.get(kind.template) if kind.template else None,
            name=query.get("name"),
            descending=page.descending,
            offset=page.offset,
            limit=page.limit,
        )

    def _view(self, asked: Asked) -> ShowEntry:
        return ShowEntry(kind=self._kind.kind, id=asked.id)

    def _change(self, asked: Asked) -> ChangeEntry:
        kind, members = self._kind, asked.members
        return ChangeEntry(
            kind=kind.kind,
            id=asked.id,
            version=asked.version,
            name=optional_text(members, "name") or None,
            parent=self._reference(members, kind.parent),
            login=optional_text(members, _EMAIL) if kind.is_user else None,
            role=self._role(members),
            password=self._password(members),
            attributes=self._attributes(members) or None,
        )

    def _delete(self, asked: Asked) -> DeleteEntry:
        return DeleteEntry(kind=self._kind.kind, id=asked.id, version=asked.version)

    def _show(self, result: DirectoryEntry, _asked: Asked) -> Shown:
        return Shown({self._kind.one: self._entry(result)}, result.version)

    def _listed(self, result: CountedPage[DirectoryEntry], asked: Asked) -> Shown:
        page = paging.read_paging(asked.query)
        items = [self._entry(entry) for entry in result.items]
        return Shown({self._kind.several: paging.write_page(page, result, items)})

    def _entry(self, entry: DirectoryEntry) -> Document:
        kind = self._kind
        fixed: Document = {"id": entry.id, "accountId": entry.tenant}
        if kind.template:
            fixed[kind.template] = entry.template or None
        if kind.parent:
            fixed[kind.parent] = _parent(entry)
        fixed["name"] = entry.name or None
        if kind.is_user:
            fixed |= {_USER_ID: entry.id, _EMAIL: entry.login or None, _ROLE: entry.role and entry.role.value}
        fixed |= history(entry, entry.tenant)
        return {**fixed, **{name: value for name, value in entry.attributes.items() if name not in fixed}}

    def _attributes(self, members: Members) -> dict[str, Any]:
        reserved = self._kind.reserved
        return {name: value for name, value in members.items() if name not in reserved}

    def _role(self, members: Members) -> Role | None:
        word = optional_text(members, _ROLE) if self._kind.kind is EntryKind.ACCOUNT_USER else None
        if word is not None and word not in USER_ROLES:
            raise unfit(_ROLE, f"one of {', '.join(USER_ROLES)}")
        return None if word is None else USER_ROLES[word]

    def _first_role(self, members: Members) -> Role | None:
        """Return the role of a new user for whom none is named: an account user who can log in is an operator."""
        logs_in = self._kind.kind is EntryKind.ACCOUNT_USER and members.get(_PASSWORD)
        return Role.OPERATOR if logs_in else None

    def _password(self, members: Members) -> Secret | None:
        password = optional_text(members, _PASSWORD, PASSWORD_CHARACTERS) if self._kind.is_user else None
        return Secret(password) if password else None

    def _reference(self, members: Members, member: str) -> str | None:
        """Return the id that a member names, None where there is none."""
        return (optional_text(members, member) or None) if member else None


def _parent(entry: DirectoryEntry) -> str | None:
    """Return what an entry belongs to: where nothing is said the account's own organisation, which belongs to nothing."""
    own = own_organization(entry.tenant)
    return None if entry.id == own else entry.parent or own
