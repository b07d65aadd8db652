"""The endpoints of device templates, of the custom fields of devices, and of the channels of templates."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from adapters.dialects.xively import devices, paging
from adapters.dialects.xively.endpoint import Asked, Endpoint, Shown
from adapters.dialects.xively.faults import malformed, unfit
from adapters.dialects.xively.objects import COMMON, Document, history
from adapters.dialects.xively.reading import Members, optional_flag, optional_text, text
from core.model import CredentialKind, DirectoryEntry, EntryKind
from core.operate.configuring import CountedPage
from core.operate.directing import ChangeTemplate, CreateEntry, CreateTemplate, ListTemplates, ShowTemplate, TemplateView

METHODS: Final[Mapping[str, CredentialKind]] = MappingProxyType(
    {"password": CredentialKind.CLIENT_SECRET, "certificate": CredentialKind.X509_CERTIFICATE}
)
"""How devices prove themselves, which a template fixes when it is made."""

PERSISTENCE: Final = ("simple", "timeSeries")
ENTITY_TYPE: Final = "deviceTemplate"

_METHOD: Final = "authenticationMethod"
_RESERVED: Final = COMMON | {"name", _METHOD, "customFields", "channelTemplates"}
_WORD_CHARACTERS: Final = 32


def endpoints() -> tuple[Endpoint, ...]:
    """Return the rows of templates."""
    path, one = f"{devices.PATH}/templates", f"{devices.PATH}/templates/{{id}}"
    return (
        Endpoint(operation="create_template", method="POST", path=path, command=_create, write=_show, needs_account=True),
        Endpoint(operation="list_templates", method="GET", path=path, command=_list, write=_listed, needs_account=True),
        Endpoint(operation="show_template", method="GET", path=one, command=_view, write=_show),
        Endpoint(operation="change_template", method="PUT", path=one, command=_change, write=_show),
        _creation("create_field", f"{path}/custom-fields", _create_field, _show_field),
        _creation("create_field", f"{devices.PATH}/custom-fields", _create_field, _show_field),
        _creation("create_channel_template", "/api/v1/channels/templates", _create_channel, _show_channel),
    )


def _creation(operation: str, path: str, command: Any, write: Any) -> Endpoint:
    return Endpoint(operation=operation, method="POST", path=path, command=command, write=write, needs_account=True)


def _create(asked: Asked) -> CreateTemplate:
    method = optional_text(asked.members, _METHOD) or "password"
    if method not in METHODS:
        raise unfit(_METHOD, " or ".join(METHODS))
    return CreateTemplate(
        name=text(asked.members, "name"), credential_kind=METHODS[method], attributes=_attributes(asked.members)
    )


def _list(asked: Asked) -> ListTemplates:
    page = paging.read_paging(asked.query)
    return ListTemplates(name=asked.query.get("name"), descending=page.descending, offset=page.offset, limit=page.limit)


def _view(asked: Asked) -> ShowTemplate:
    return ShowTemplate(asked.id)


def _change(asked: Asked) -> ChangeTemplate:
    return ChangeTemplate(
        id=asked.id,
        version=asked.version,
        name=optional_text(asked.members, "name") or None,
        attributes=_attributes(asked.members) or None,
    )


def _attributes(members: Members) -> dict[str, Any]:
    default = optional_flag(members, "default")
    others = {name: value for name, value in members.items() if name not in _RESERVED and name != "default"}
    return others if default is None else others | {"default": default}


def _show(result: TemplateView, _asked: Asked) -> Shown:
    return Shown({"deviceTemplate": _template(result)}, result.profile.version)


def _listed(result: CountedPage[TemplateView], asked: Asked) -> Shown:
    page = paging.read_paging(asked.query)
    return Shown({"deviceTemplates": paging.write_page(page, result, [_template(view) for view in result.items])})


def _template(view: TemplateView) -> Document:
    profile = view.profile
    is_certificate = profile.credential_kind is CredentialKind.X509_CERTIFICATE
    fixed = {
        "id": profile.id,
        "accountId": profile.tenant,
        "name": profile.name,
        "default": profile.metadata.get("default", False),
        _METHOD: "certificate" if is_certificate else "password",
        **history(profile, profile.tenant),
        "customFields": [_field(entry) for entry in view.fields],
        "channelTemplates": [_channel(entry) for entry in view.channels],
    }
    return {**fixed, **{name: value for name, value in profile.metadata.items() if name not in fixed}}


# Custom fields


def _create_field(asked: Asked) -> CreateEntry:
    name = text(asked.members, "name")
    if name in devices.RESERVED:
        raise malformed(f"{name} is a member that every device has", "body.field", "name")
    kind = text(asked.members, "fieldType")
    if len(kind) > _WORD_CHARACTERS or not kind.isalnum():
        raise unfit("fieldType", "a word such as string, text or datetime")
    return CreateEntry(
        kind=EntryKind.DEVICE_FIELD,
        name=name,
        parent=optional_text(asked.members, "deviceTemplateId") or "",
        attributes={
            "fieldType": kind,
            "required": optional_flag(asked.members, "required") or False,
            "default": asked.members.get("default"),
        },
    )


def _show_field(result: DirectoryEntry, _asked: Asked) -> Shown:
    return Shown({"deviceField": _field(result)}, result.version)


def _field(entry: DirectoryEntry) -> Document:
    return {
        "id": entry.id,
        "accountId": entry.tenant,
        "deviceTemplateId": entry.parent or None,
        "name": entry.name,
        "fieldType": entry.attributes.get("fieldType"),
        "required": entry.attributes.get("required", False),
        "default": entry.attributes.get("default"),
        **history(entry, entry.tenant),
    }


# Channel templates


def _create_channel(asked: Asked) -> CreateEntry:
    persistence = text(asked.members, "persistenceType")
    if persistence not in PERSISTENCE:
        raise unfit("persistenceType", " or ".join(PERSISTENCE))
    if text(asked.members, "entityType") != ENTITY_TYPE:
        raise unfit("entityType", ENTITY_TYPE)
    name = text(asked.members, "name")
    if name in dict(devices.DEFAULT_CHANNELS):
        raise malformed(f"{name} is a channel that every device has", "body.field", "name")
    return CreateEntry(
        kind=EntryKind.CHANNEL_TEMPLATE,
        name=name,
        parent=text(asked.members, "entityId"),
        attributes={"persistenceType": persistence},
    )


def _show_channel(result: DirectoryEntry, _asked: Asked) -> Shown:
    return Shown({"channelTemplate": _channel(result)}, result.version)


def _channel(entry: DirectoryEntry) -> Document:
    return {
        "id": entry.id,
        "accountId": entry.tenant,
        "name": entry.name,
        "persistenceType": entry.attributes.get("persistenceType"),
        "entityId": entry.parent,
        "entityType": ENTITY_TYPE,
        **history(entry, entry.tenant),
    }
