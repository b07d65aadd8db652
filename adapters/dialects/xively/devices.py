"""The endpoints of devices, and what a device looks like."""

from typing import Any, Final

from adapters.dialects.moments import rfc3339
from adapters.dialects.xively import paging
from adapters.dialects.xively.endpoint import Asked, Endpoint, Shown
from adapters.dialects.xively.objects import COMMON, Document, derived_id, history
from adapters.dialects.xively.reading import Members, optional_text, text
from adapters.dialects.xively.states import WORDS, states_of
from core.model import Device, TenantId
from core.operate.configuring import CountedPage
from core.operate.directing import DeviceView, EditDevice, RegisterDevice, RemoveDevice, SearchDevices, ViewDevice
from core.operate.directory import own_organization

PATH: Final = "/api/v1/devices"

RESERVED: Final = COMMON | {
    "deviceTemplateId",
    "organizationId",
    "serialNumber",
    "provisioningState",
    "connected",
    "lastConnected",
    "channels",
    "name",
    "entityId",
    "entityType",
}
"""Members that are no fields: a custom field of such a name would never be seen."""

ADDRESS: Final = "externalIp"
FIRMWARE: Final = "firmwareVersion"
DEFAULT_FIELDS: Final = ("location", "deviceVersion", "purchaseDate")
PLACE_FIELDS: Final = ("latitude", "longitude")
DEFAULT_CHANNELS: Final = (
    ("_log", "timeSeries"),
    ("_set/fields", "simple"),
    ("_rejected", "simple"),
    ("_updates/fields", "simple"),
)


def endpoints() -> tuple[Endpoint, ...]:
    """Return the rows of devices."""
    one = f"{PATH}/{{id}}"
    return (
        Endpoint(operation="create_device", method="POST", path=PATH, command=_create, write=_show, needs_account=True),
        Endpoint(operation="list_devices", method="GET", path=PATH, command=_list, write=_listed, needs_account=True),
        Endpoint(operation="show_device", method="GET", path=one, command=_view, write=_show),
        Endpoint(operation="change_device", method="PUT", path=one, command=_change, write=_show),
        Endpoint(operation="delete_device", method="DELETE", path=one, command=_remove, write=_show),
    )


def device(view: DeviceView) -> Document:
    """Return a device as clients see it; where a field has the name of a fixed member, the member wins."""
    found = view.device
    fixed = {
        "id": found.id,
        "accountId": found.tenant,
        "deviceTemplateId": found.profile,
        "organizationId": found.owner or own_organization(found.tenant),
        "serialNumber": found.serial,
        "provisioningState": WORDS[found.state],
        "connected": view.connected,
        **history(found, found.tenant),
        "name": found.label or None,
        **{name: found.metadata.get(name) for name in DEFAULT_FIELDS},
        "lastConnected": None if found.connected_at is None else rfc3339(found.connected_at),
        ADDRESS: found.metadata.get(ADDRESS),
        FIRMWARE: found.runs or found.metadata.get(FIRMWARE),
        **{name: found.metadata.get(name) for name in PLACE_FIELDS},
    }
    fields = {field.name: None for field in view.template.fields} | found.metadata
    return {**fixed, **{name: value for name, value in fields.items() if name not in fixed}, "channels": _channels(view)}


def _create(asked: Asked) -> RegisterDevice:
    return RegisterDevice(
        template=text(asked.members, "deviceTemplateId"),
        serial=text(asked.members, "serialNumber"),
        owner=optional_text(asked.members, "organizationId") or "",
        label=optional_text(asked.members, "name") or "",
        attributes=_fields(asked.members),
    )


def _view(asked: Asked) -> ViewDevice:
    return ViewDevice(asked.id)


def _list(asked: Asked) -> SearchDevices:
    page = paging.read_paging(asked.query, of_devices=True)
    state = asked.query.get("provisioningState")
    return SearchDevices(
        template=asked.query.get("deviceTemplateId"),
        owner=asked.query.get("organizationId"),
        states=None if state is None else states_of(state),
        serial=asked.query.get("serialNumber"),
        label=asked.query.get("name"),
        order=page.order,
        descending=page.descending,
        offset=page.offset,
        limit=page.limit,
    )


def _change(asked: Asked) -> EditDevice:
    return EditDevice(
        id=asked.id,
        version=asked.version,
        serial=optional_text(asked.members, "serialNumber"),
        owner=optional_text(asked.members, "organizationId") or None,
        label=(optional_text(asked.members, "name") or "") if "name" in asked.members else None,
        attributes=_fields(asked.members) or None,
    )


def _remove(asked: Asked) -> RemoveDevice:
    return RemoveDevice(id=asked.id, version=asked.version)


def _show(result: DeviceView, _asked: Asked) -> Shown:
    return Shown({"device": device(result)}, result.device.version)


def _listed(result: CountedPage[DeviceView], asked: Asked) -> Shown:
    page = paging.read_paging(asked.query, of_devices=True)
    return Shown({"devices": paging.write_page(page, result, [device(view) for view in result.items])})


def _fields(members: Members) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in RESERVED}


def _channels(view: DeviceView) -> list[Document]:
    """Return the channels that every device has, and those of its template."""
    found, templates = view.device, view.template
    return [
        *(_channel(found, _default_channel_id(found.tenant, name), name, kind) for name, kind in DEFAULT_CHANNELS),
        *(_channel(found, entry.id, entry.name, entry.attributes.get("persistenceType")) for entry in templates.channels),
    ]


def _channel(found: Device, identity: str, name: str, persistence: Any) -> Document:
    return {
        "channelTemplateId": identity,
        "channelTemplateName": name,
        "persistenceType": persistence,
        "channel": f"xi/blue/v1/{found.tenant}/d/{found.id}/{name}",
    }


def _default_channel_id(tenant: TenantId, name: str) -> str:
    return derived_id(tenant, "channel", name)
