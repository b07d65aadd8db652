"""What an application is answered, for each kind of result."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from adapters.dialects.enos import application_bodies as bodies
from adapters.dialects.enos import errors
from adapters.dialects.enos.application_records import PvsDevice, record
from adapters.dialects.enos.representation import JSON, answer
from adapters.exchange import Inbound, Outbound, Success
from core.model import Device
from core.operate.allocating import SerialBatch, SerialView
from core.operate.configuring import CountedPage

_END: Final = b"]}"


class Pages(msgspec.Struct, frozen=True, rename="camel"):
    """Which page a list is, and how many devices are on all of them together."""

    sorted_by: list[dict[str, str]]
    page_no: int
    page_size: int
    total_size: int


class PagedEnvelope(msgspec.Struct, frozen=True):
    """The envelope of a page."""

    code: int
    msg: str
    requestId: str  # noqa: N815 - the member's name on the wire
    data: list[PvsDevice]
    pagination: Pages


def made(result: SerialBatch, inbound: Inbound) -> Outbound:
    """Write the names of new devices: in one piece, or as they are made."""
    if result.rest is None:
        return errors.granted([device.name for device in result.made], inbound)
    envelope = msgspec.json.encode(errors.Envelope(errors.SUCCEEDED, "OK", inbound.correlation, []))
    return Outbound(
        outcome=Success.OK,
        body=envelope.removesuffix(_END),
        content_type=JSON,
        stream=_growing(result.rest),
    )


async def _growing(rest: AsyncGenerator[tuple[Device, ...], None]) -> AsyncGenerator[bytes, None]:
    """Write the list that a body ended before, and its end; where the making fails, so does this."""
    separator = b""
    async with contextlib.aclosing(rest):
        async for devices in rest:
            yield separator + msgspec.json.encode([device.name for device in devices])[1:-1]
            separator = b","
    yield _END


def shown(result: SerialView, inbound: Inbound) -> Outbound:
    """Write a device as its record."""
    return errors.granted(record(result), inbound)


def named(result: SerialView, inbound: Inbound) -> Outbound:
    """Write the name of a device."""
    return errors.granted(result.device.name, inbound)


def all_named(result: tuple[Device, ...], inbound: Inbound) -> Outbound:
    """Write the names of devices."""
    return errors.granted([device.name for device in result], inbound)


def gone(result: tuple[str, ...], inbound: Inbound) -> Outbound:
    """Write names that no device has now."""
    return errors.granted(result, inbound)


def found(result: CountedPage[SerialView], inbound: Inbound) -> Outbound:
    """Write a page; what it is sorted by is not in the result, but in the request."""
    page = bodies.read_page(bodies.read_body(inbound.body, bodies.Search).pagination)
    sorted_by = [{"field": page.field, "order": "DESC" if page.descending else "ASC"}]
    pages = Pages(sorted_by, page.number, page.size, result.total)
    items = [record(view) for view in result.items]
    return answer(Success.OK, PagedEnvelope(errors.SUCCEEDED, "OK", inbound.correlation, items, pages), inbound)
