"""What an admin does with bearer tokens."""

import pytest

from core.errors import Conflict, Guard, Reason
from core.model import EventKind, Role
from core.operate.messages import CreateToken, DeleteToken, ListProfiles, ListTokens
from tests.operating import Desk


async def test_a_token_is_shown_once_and_works() -> None:
    desk = Desk()
    made = await desk(CreateToken(" line-3 ", Role.FACTORY))
    assert (made.token.name, made.token.role) == ("line-3", Role.FACTORY)
    assert len(made.text.reveal()) == 40
    assert made.text.reveal().encode() not in made.token.lookup
    refusal = await desk.refused(ListProfiles(), made.text)
    assert refusal.reason is Reason.FORBIDDEN
    assert (await desk.last_event(EventKind.TOKEN_CREATED)).detail == "line-3 (factory)"


async def test_tokens_are_listed_in_pages() -> None:
    desk = Desk()
    for number in range(3):
        await desk.token(Role.AUDITOR, f"auditor-{number}")
    first = await desk(ListTokens(limit=2))
    rest = await desk(ListTokens(limit=2, after=first.next))
    assert [token.name for page in (first, rest) for token in page.items] == ["auditor-0", "auditor-1", "auditor-2"]
    assert rest.next is None


async def test_names_are_unique_and_admin_is_taken() -> None:
    desk = Desk()
    await desk.token(Role.AUDITOR, "line-3")
    refusal = await desk.refused(CreateToken("line-3", Role.FACTORY))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "token_name")
    refusal = await desk.refused(CreateToken("admin", Role.FACTORY))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "token.name_reserved")
    refusal = await desk.refused(CreateToken("\x00", Role.FACTORY))
    assert refusal.reason is Reason.MALFORMED


async def test_a_token_goes_by_id_or_name_and_an_id_wins() -> None:
    desk = Desk()
    first = (await desk(CreateToken("first", Role.AUDITOR))).token
    await desk(CreateToken(first.id, Role.AUDITOR))
    await desk(DeleteToken(first.id))
    assert [token.name for token in (await desk(ListTokens())).items] == [first.id]
    await desk(DeleteToken(first.id))
    assert not (await desk(ListTokens())).items
    assert (await desk.refused(DeleteToken("first"))).check == "token.unknown"
    assert (await desk.last_event(EventKind.TOKEN_REVOKED)).detail == f"{first.id} (auditor)"


async def test_a_token_is_found_behind_the_first_thousand() -> None:
    desk = Desk()
    for number in range(1_001):
        await desk.token(Role.AUDITOR, f"auditor-{number}")
    await desk(DeleteToken("auditor-1000"))
    await desk(DeleteToken("auditor-0"))
    assert (await desk.refused(DeleteToken("auditor-1001"))).reason is Reason.NOT_FOUND


@pytest.mark.parametrize("guard", [Guard.VERSION, Guard.REFERENCE])
async def test_what_stays_in_the_way_is_told(guard: Guard) -> None:
    desk = Desk()
    await desk.token(Role.AUDITOR, "line-3")
    desk.repository.failures = [Conflict(guard) for _ in range(3)]
    refusal = await desk.refused(DeleteToken("line-3"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, guard.value)
