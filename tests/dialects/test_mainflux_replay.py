"""Recorded conversations with Mainflux and Magistrala, flavour by flavour, replayed over HTTP against a whole gateway."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from adapters.dialects.mainflux import FLAVOURS
from adapters.settings import Address
from core.crypto.cfb import decrypt
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

FOLDER = Path(__file__).parent / "vectors" / "mainflux"
DIALECTS = {flavour: name for name, flavours in FLAVOURS.items() for flavour in flavours}
SHARED_KEY = "12345678910111213141516171819202"
"""The key that the services have by default; early ones read it as hex, later ones take its bytes."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request and its answer. `take` keeps parts of the answer, by regular expression, for `$name` in what follows.

    An answer's header that is null is not there; `*` is there, whatever it is. `plaintext` is what an encrypted body holds.
    """

    name: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    status: int
    answer: str | None = None
    plaintext: str | None = None
    answer_headers: dict[str, str | None] = {}
    take: dict[str, tuple[str, str]] = {}


class Conversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps that follow each other over one registry, and where the vendor says so."""

    name: str
    source: str
    steps: list[Step]


def recorded(flavour: str) -> list[Conversation]:
    return msgspec.json.decode((FOLDER / f"{flavour}.json").read_bytes(), type=list[Conversation])


CONVERSATIONS = [
    pytest.param(flavour, conversation, id=f"{flavour}: {conversation.name}")
    for flavour in sorted(DIALECTS)
    for conversation in recorded(flavour)
]


class Replay:
    """Speaks with one gateway and remembers what was taken from its answers."""

    def __init__(self, url: str, key: bytes, session: aiohttp.ClientSession, variables: dict[str, str]) -> None:
        self._url = url
        self._key = key
        self._session = session
        self._variables = variables

    async def play(self, step: Step) -> None:
        """Send a request and check the answer."""
        request = self._session.request(
            step.method,
            URL(self._url + self._filled(step.path), encoded=True),
            headers={name: self._filled(value) for name, value in step.headers.items()},
            data=None if step.body is None else self._filled(step.body).encode(),
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
        )
        async with request as response:
            body = await response.read()
            headers = {name.lower(): value for name, value in response.headers.items()}
            status = response.status
        self._check(step, status, headers, body)

    def _check(self, step: Step, status: int, headers: dict[str, str], body: bytes) -> None:
        text = body.decode() if step.plaintext is None else decrypt(self._key, body).decode()
        for name, (place, pattern) in step.take.items():
            found = re.search(pattern, text if place == "body" else headers[place])
            assert found, f"{step.name}: {status} {text}"
            self._variables[name] = found[1]
        expected = step.answer if step.plaintext is None else step.plaintext
        assert (status, text) == (step.status, self._filled(expected or "")), step.name
        for name, value in step.answer_headers.items():
            if value == "*":
                assert headers.get(name), step.name
            else:
                assert headers.get(name) == (value and self._filled(value)), f"{step.name}: {name}"

    def _filled(self, text: str) -> str:
        return re.sub(r"\$(\w+)", lambda found: self._variables[found[1]], text)


@pytest.fixture
async def replay(flavour: str, tmp_path: Path) -> AsyncIterator[Replay]:
    """A gateway that speaks one flavour, with two channels and some devices in it, and another tenant."""
    early = flavour.startswith("mf-")
    settings = {
        "HTTP": f"127.0.0.1:0={DIALECTS[flavour]}:{flavour},127.0.0.1:0=operator",
        "COAP": "",
        "MQTT": "",
        "DATABASE": "memory:",
        "BOOTSTRAP_ENCRYPT_KEY": SHARED_KEY,
        "BOOTSTRAP_KEY_FORMAT": "hex" if early else "raw",
    }
    key = bytes.fromhex(SHARED_KEY) if early else SHARED_KEY.encode()
    async with (
        opened(tmp_path, **settings) as running,
        Operator(bare(running.listening.http[1]), ADMIN_TOKEN) as operator,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://{bare(running.listening.http[0])}"
        await stock(url, flavour, session)
        yield Replay(url, key, session, {"token": ADMIN_TOKEN, "other": await other_token(operator)})


def bare(address: Address) -> Address:
    """Return an address without what is spoken there."""
    return Address(address.host, address.port)


async def stock(url: str, flavour: str, session: aiohttp.ClientSession) -> None:
    """Make the channels and devices that the conversations are about."""
    token = ADMIN_TOKEN if flavour == "mf-raw" else f"Bearer {ADMIN_TOKEN}"
    domain = "/default" if DIALECTS[flavour] == "magistrala" else ""
    devices = "clients" if "client" in flavour else "things"
    secrets = {"th-1": "k-1", "dev-0": "secret-0", "dev-1": "secret-1", "dev-2": "secret-2"}
    lists: dict[str, list[dict[str, Any]]] = {
        "channels": [{"id": "ch-1", "name": "telemetry", "metadata": {"type": "data"}}, {"id": "ch-2"}],
        devices: [{"id": name, "key": secret, "credentials": {"secret": secret}} for name, secret in secrets.items()],
    }
    for collection, entities in lists.items():
        headers = {"Authorization": token}
        async with session.post(f"{url}{domain}/{collection}/bulk", json=entities, headers=headers) as response:
            assert response.status == (201 if flavour.startswith("mf-") else 200), await response.text()


async def other_token(operator: Operator) -> str:
    """Return the bearer token of an operator of another tenant."""
    await operator.post("/v1/tenants", {"name": "Other", "id": "other"})
    made = await operator.post("/v1/tokens?tenant=other", {"name": "theirs", "role": "operator"})
    return next(value for name, value in made.items() if name == "token" and isinstance(value, str))


@pytest.mark.parametrize(("flavour", "conversation"), CONVERSATIONS)
async def test_a_recorded_conversation(replay: Replay, flavour: str, conversation: Conversation) -> None:
    for step in conversation.steps:
        await replay.play(step)


@pytest.mark.parametrize("flavour", sorted(DIALECTS))
def test_every_flavour_has_the_same_conversations_each_step_with_a_name_of_its_own(flavour: str) -> None:
    names = [conversation.name for conversation in recorded(flavour)]
    assert names == [conversation.name for conversation in recorded("mf-thing")]
    for conversation in recorded(flavour):
        assert conversation.source.startswith("https://github.com/absmach/")
        steps = [step.name for step in conversation.steps]
        assert len(set(steps)) == len(steps)
