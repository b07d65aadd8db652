"""The place of an answer whose time was over before whoever held it was done: it is the next one's."""

import asyncio
from typing import Any

import pytest

from core.replicas import Shelved
from storage.postgres.connections import Connection
from tests.replicas.gateways import comes_true
from tests.replicas.parts import commons, hand, pair

MINE, THEIRS = Shelved(name=b"n", print=b"p"), Shelved(name=b"m", print=b"q")
_RENEWED = "UPDATE kept_answer SET name = 'm', print = 'q', answer = NULL, until = now() + interval '1 minute'"
_OVER = "INSERT INTO kept_answer VALUES ('s', 'n', 'p', 'old', now() - interval '1 second')"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.mark.parametrize("is_answered", [True, False], ids=["answered", "given up"])
async def test_who_was_too_slow_leaves_the_place_of_the_next_one_alone(emptied: str, is_answered: bool) -> None:
    async with pair(emptied) as (one, other):
        slow, quick = one.replicas.answers, other.replicas.answers
        assert await slow.begin(b"s", MINE, 0.0) is None
        assert await quick.begin(b"s", THEIRS, 60.0) is None
        await (slow.keep(b"s", b"of the slow one", 60.0) if is_answered else slow.drop(b"s"))
        assert await slow.begin(b"s", MINE, 60.0) == THEIRS
        await quick.keep(b"s", b"answer", 60.0)
        assert await slow.begin(b"s", MINE, 60.0) == Shelved(name=b"m", print=b"q", answer=b"answer")


async def test_an_answer_whose_time_is_over_is_not_given_while_another_takes_its_place(emptied: str) -> None:
    async with commons(emptied) as one, hand(emptied) as first, hand(emptied) as eye:
        await first.execute(_OVER)
        begun = await _while_it_is_renewed(first, eye, one.replicas.answers.begin(b"s", MINE, 60.0))
        assert begun == THEIRS


async def test_a_place_that_is_taken_anew_is_not_pruned(emptied: str) -> None:
    async with commons(emptied) as one, hand(emptied) as first, hand(emptied) as eye, hand(emptied) as pruning:
        await first.execute(_OVER)
        await _while_it_is_renewed(first, eye, one.replicas.answers.prune(pruning))  # type: ignore[attr-defined] # not the port's
        assert await one.replicas.answers.begin(b"s", MINE, 60.0) == THEIRS


async def _while_it_is_renewed(first: Connection, eye: Connection, work: Any) -> Any:
    """Return what comes of work that has to wait until somebody else took the place."""

    async def is_waiting() -> bool:
        return bool(await eye.fetchval(_WAITING))

    async with first.transaction():
        await first.execute(_RENEWED)
        task = asyncio.ensure_future(work)
        await comes_true(is_waiting)
    return await task
