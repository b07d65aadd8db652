"""What applications send, read as strictly as it is kept: bodies, master data and pages.

A member that is null counts as one that is missing; unknown members are ignored.
"""

import re
from typing import Any, Final, TypeVar

import msgspec

from adapters.dialects.enos.errors import InvalidArgument, missing
from adapters.dialects.enos.members import checked_text
from adapters.dialects.enos.values import read_string_i18n, read_timezone
from core.operate.allocating import MasterData
from core.operate.groups import SERIAL_CHARACTERS
from core.queries import Order

B = TypeVar("B", bound=msgspec.Struct)

DESC: Final = "desc"
BATCH_TAG: Final = "batchTag"
DEVICE_NAME: Final = "deviceName"
DEVICE_SN: Final = "deviceSn"
TIMEZONE: Final = "timezone"
DEFAULT: Final = "defaultValue"
BESIDE: Final = (DESC, BATCH_TAG)
"""What stands beside the master data on the wire, and among it in a device's metadata."""

COUNT: Final = 1_000_000
PAGE_SIZE: Final = 10
LARGEST_PAGE: Final = 1_000
LAST_PAGE: Final = 2**31 - 1
_DESC_CHARACTERS: Final = 512
_PLACE = re.compile(r"(?P<fault>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
_SORTED: Final = {
    "createTime": Order.CREATED,
    "updateTime": Order.UPDATED,
    "sn": Order.NAME,
    "deviceData.deviceSn": Order.SERIAL,
}


class Create(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `create`."""

    group_id: str | None = None
    count: int | None = None
    desc: str | None = None
    batch_tag: Any = None
    device_data: dict[str, Any] | None = None


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `allocate` and `update`."""

    sn: str | None = None
    desc: str | None = None
    batch_tag: Any = None
    device_data: dict[str, Any] | None = None


class Named(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `get`, `delete`, `resetAllocationStatus` and `replace`: devices by their `sn`."""

    group_id: str | None = None
    sn: str | None = None
    sns: list[str] | None = None
    sn_list: list[str] | None = None
    replacement_sn: str | None = None


class Sorter(msgspec.Struct, frozen=True):
    """By what a list is sorted, `ASC` or `DESC`."""

    field: str | None = None
    order: str | None = None


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    """Which page is wanted."""

    page_no: int | None = None
    page_size: int | None = None
    sorters: list[Sorter] | None = None


class Search(msgspec.Struct, frozen=True):
    """The body of `search`."""

    expression: str | None = None
    pagination: Pagination | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page in its bounds; the newest device comes first where nothing else is asked for."""

    number: int = 1
    size: int = PAGE_SIZE
    order: Order = Order.CREATED
    descending: bool = True
    field: str = "createTime"


def read_body(body: bytes, kind: type[B]) -> B:
    """Read a body. Raises `InvalidArgument`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        match = _PLACE.fullmatch(str(error))
        fault, place = (match["fault"], match["place"]) if match else (str(error), None)
        raise InvalidArgument(place or "body", fault.replace("`", "")) from error
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument("body", "it is not JSON", check="body.json") from error


def needed(value: str | None, field: str) -> str:
    """Return a text that has to be there. Raises `InvalidArgument`."""
    if not value:
        raise missing(field)
    return value


def read_data(data: dict[str, Any] | None, desc: str | None, batch_tag: Any) -> MasterData:
    """Return what a request says of a device. Raises `InvalidArgument`."""
    members = dict(data or {})
    for name in BESIDE:
        if name in members:
            raise InvalidArgument(f"deviceData.{name}", f"{name} stands beside deviceData")
    serial = members.pop(DEVICE_SN, None)
    if serial is not None:
        serial = checked_text(serial, f"deviceData.{DEVICE_SN}", SERIAL_CHARACTERS)
    label = None
    if members.get(DEVICE_NAME) is not None:
        called = read_string_i18n(members[DEVICE_NAME], f"deviceData.{DEVICE_NAME}")
        label, members[DEVICE_NAME] = called.default_value, called.plain()
    if members.get(TIMEZONE) is not None:
        members[TIMEZONE] = read_timezone(members[TIMEZONE], f"deviceData.{TIMEZONE}")
    if desc is not None:
        if len(desc) > _DESC_CHARACTERS:
            raise InvalidArgument(DESC, f"more than {_DESC_CHARACTERS} characters")
        members[DESC] = desc
    if batch_tag is not None:
        members[BATCH_TAG] = read_string_i18n(batch_tag, BATCH_TAG).plain()
    return MasterData(serial=serial, label=label, metadata=members)


def read_page(pagination: Pagination | None) -> Page:
    """Return the page that is wanted. Raises `InvalidArgument`."""
    asked = pagination or Pagination()
    number = 1 if asked.page_no is None else asked.page_no
    size = PAGE_SIZE if asked.page_size is None else asked.page_size
    if not 1 <= number <= LAST_PAGE:
        raise InvalidArgument("pagination.pageNo", f"1 to {LAST_PAGE}")
    if not 1 <= size <= LARGEST_PAGE:
        raise InvalidArgument("pagination.pageSize", f"1 to {LARGEST_PAGE}")
    if not asked.sorters:
        return Page(number=number, size=size)
    sorter, *more = asked.sorters
    if more or sorter.field not in _SORTED:
        raise InvalidArgument("pagination.sorters", f"one of {', '.join(_SORTED)}")
    order = (sorter.order or "ASC").upper()
    if order not in ("ASC", "DESC"):
        raise InvalidArgument("pagination.sorters", "the order is ASC or DESC")
    return Page(number=number, size=size, order=_SORTED[sorter.field], descending=order == "DESC", field=sorter.field)
