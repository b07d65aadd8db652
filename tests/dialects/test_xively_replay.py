"""Recorded conversations of Xively's published clients, replayed over HTTP against the real core."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.dialects import xively
from adapters.exchange import Carrier
from tests.dialects.xively_server import Line, serving

FILE = Path(__file__).parent / "vectors" / "xively" / "conversations.json"
UNKNOWN = {
    "<id>": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "<moment>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<version>": r"[0-9A-Za-z]{2,12}",
    "<secret>": r"[A-Za-z0-9+/]{43}=",
    "<jwt>": r"[\w-]+\.[\w-]+\.[\w-]+",
    "<code>": r"[A-Z0-9]{12}",
    "<sentence>": r"[^\"]+",
}
"""What is different each time."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request and its answer. `take` keeps parts of the answer, by regular expression, for `$name` in what follows."""

    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    status: int
    answer: str
    answer_headers: dict[str, str] = {}
    take: dict[str, str] = {}


class Conversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps that follow each other over one registry, and where the vendor or its clients say so."""

    name: str
    source: str
    steps: list[Step]


CONVERSATIONS = msgspec.json.decode(FILE.read_bytes(), type=list[Conversation])


def filled(text: str, known: dict[str, str]) -> str:
    """Return a text with what is known in place of `$name`."""
    return re.sub(r"\$(\w+)", lambda match: known[match[1]], text)


def pattern(answer: str, known: dict[str, str]) -> str:
    """Return what an answer has to match."""
    parts = re.split(f"({'|'.join(UNKNOWN)})", filled(answer, known))
    return "".join(UNKNOWN.get(part) or re.escape(part) for part in parts)


async def take(line: Line, step: Step, known: dict[str, str]) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer $bearer"} | step.headers
    sent = {name: filled(value, known) for name, value in headers.items()}
    body = None if step.body is None else filled(step.body, known).encode()
    line.desk.clock.advance(0.001)
    url = line.url + filled(step.path, known)
    async with line.session.request(step.method, url, data=body, headers=sent) as response:
        text = await response.text()
        assert (step.method, step.path, response.status) == (step.method, step.path, step.status), text
        assert re.fullmatch(pattern(step.answer, known), text), f"{step.path}\n{text}\n{filled(step.answer, known)}"
        for name, value in step.answer_headers.items():
            assert re.fullmatch(pattern(value, known), response.headers[name])
    for name, part in step.take.items():
        found = re.search(part, text)
        assert found is not None
        known[name] = found[1]


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=[each.name for each in CONVERSATIONS])
async def test_a_conversation_goes_as_recorded(conversation: Conversation) -> None:
    async with serving() as line:
        known = {"admin": line.bearer, "bearer": line.bearer}
        for step in conversation.steps:
            await take(line, step, known)


def test_every_conversation_names_its_source() -> None:
    assert all(conversation.source.startswith("https://") for conversation in CONVERSATIONS)
    assert len({conversation.name for conversation in CONVERSATIONS}) == len(CONVERSATIONS)


def test_every_path_is_asked_for() -> None:
    asked = {(step.method, path_of(step)) for conversation in CONVERSATIONS for step in conversation.steps}
    paths = {(route.method, route.path) for route in xively.ROUTES if route.carrier is Carrier.HTTP}
    assert {each for each in paths if each[0] == "POST"} <= asked


def path_of(step: Step) -> Any:
    return step.path.partition("?")[0]
