"""The rows of the operator API's table about claim keys and devices that do not come back by them, with what crosses it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator import bodies, objects, writing
from adapters.dialects.operator.body import Body
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.objects import Next, Time
from core import model
from core.errors import Reason
from core.model import Departure
from core.operate.claim_rules import LEAVE_SECONDS, BurnProfile, GiveLeave, ListTombstones
from core.operate.leaves import LONGEST_SECONDS
from core.operate.results import Page

DepartureWord = Annotated[
    str, Meta(description="How it left.", extra_json_schema={"enum": [member.value for member in Departure]})
]


class Leave(Body, frozen=True):
    """For how long a device may come back."""

    seconds: Annotated[int, Meta(description=f"1 to {LONGEST_SECONDS}.")] = LEAVE_SECONDS


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """A device that does not come back by a claim key, unless before `leave_until`, once. `profile` and `device` are ids."""

    id: str
    name: str
    serial: str
    profile: str
    device: str
    departure: DepartureWord
    left_at: Time
    leave_until: Time | None


class TombstonePage(msgspec.Struct, frozen=True):
    """Some of them."""

    items: tuple[Tombstone, ...]
    next: Next = None


def burn_profile(ref: str, _query: bodies.Scoped, _body: None) -> BurnProfile:
    """POST /v1/profiles/{id}/burn."""
    return BurnProfile(ref)


def list_tombstones(_ref: str, query: bodies.Paged, _body: None) -> ListTombstones:
    """GET /v1/tombstones."""
    return ListTombstones(after=query.after or None, limit=query.limit)


def give_leave(ref: str, _query: bodies.Scoped, body: Leave | None) -> GiveLeave:
    """POST /v1/tombstones/{id}/leave."""
    return GiveLeave(ref, body.seconds) if body else GiveLeave(ref)


def tombstone(result: model.Tombstone) -> Tombstone:
    """Show a tombstone."""
    return Tombstone(
        id=result.id,
        name=result.name,
        serial=result.serial,
        profile=result.profile,
        device=result.device,
        departure=result.departure.value,
        left_at=rfc3339(result.created_at),
        leave_until=writing.moment(result.leave_until),
    )


def tombstone_page(result: Page[model.Tombstone]) -> TombstonePage:
    """Show tombstones."""
    return TombstonePage(tuple(map(tombstone, result.items)), result.next)


CLAIM_KEYS = (
    Endpoint(
        method="POST",
        path="/v1/profiles/{id}/burn",
        operation="burn_profile",
        summary="Make a profile's claim key worthless, for good; the devices that it let in go on as they are.",
        read=burn_profile,
        write=writing.profile,
        answer=objects.Profile,
    ),
    Endpoint(
        method="GET",
        path="/v1/tombstones",
        operation="list_tombstones",
        summary="List devices that were deleted or revoked and do not come back by a claim key.",
        read=list_tombstones,
        query=bodies.Paged,
        write=tombstone_page,
        answer=TombstonePage,
    ),
    Endpoint(
        method="POST",
        path="/v1/tombstones/{id}/leave",
        operation="give_leave",
        summary="Let such a device come back by its claim key, once, by the name that it had or its tombstone's id.",
        read=give_leave,
        body=Leave,
        may_omit_body=True,
        write=tombstone,
        answer=Tombstone,
        refusals=(Reason.UNPROCESSABLE,),
    ),
)
