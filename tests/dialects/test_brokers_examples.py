"""The examples in deploy/brokers ask where something is answered, and what is understood."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.dialects import brokers
from adapters.dialects.brokers import emqx
from core.model import Secret
from tests.dialects.brokers_server import Broker, serving

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "brokers"
ROUTES = {(route.method, route.path): route for route in brokers.open_dialect(brokers.DialectOptions(Secret("x"))).ROUTES}
SECRET = "replace-with-the-broker-secret"


def asked(name: str) -> list[tuple[str, str]]:
    """Return path and query of everything that an example asks at the gateway."""
    found = re.findall(r"(/v1/broker/[^\s\"]*)", (FOLDER / name).read_text("utf-8"))
    return [(urlsplit(text).path, urlsplit(text).query) for text in found]


@pytest.mark.parametrize(
    ("name", "questions"), [("emqx.conf", 2), ("vernemq.conf", 1), ("mosquitto-go-auth.conf", 3), ("rabbitmq.conf", 4)]
)
def test_an_example_asks_where_something_is_answered_and_gives_the_secret(name: str, questions: int) -> None:
    found = asked(name)
    assert len({path for path, _ in found}) == questions
    assert all(("POST", path) in ROUTES for path, _ in found)
    text = (FOLDER / name).read_text("utf-8")
    assert f"FIRSTLIGHT_BROKER_SECRET={SECRET}" in text
    in_header = text.count(f'authorization = "Bearer {SECRET}"')
    assert in_header == len(found) if in_header else all(query == f"secret={SECRET}" for _, query in found)


def test_emqx_sends_what_is_read() -> None:
    bodies = re.findall(r"body \{(.*?)\n\s*\}", (FOLDER / "emqx.conf").read_text("utf-8"), re.DOTALL)
    sent = [set(re.findall(r"(\w+) = \"\$\{\1\}\"", body)) for body in bodies]
    assert sent == [set(emqx.Authn.__struct_fields__), set(emqx.Authz.__struct_fields__)]


async def test_every_hook_of_vernemq_is_known_in_both_forms() -> None:
    hooks = re.findall(r"\.hook = (\w+)", (FOLDER / "vernemq.conf").read_text("utf-8"))
    assert {f"{hook}_m5" for hook in hooks if not hook.endswith("_m5")} == {hook for hook in hooks if hook.endswith("_m5")}
    async with serving() as broker:
        assert [await reason(broker, hook) for hook in hooks] == ["misses a field"] * len(hooks)
        assert await reason(broker, "on_client_gone") == "no such hook"


async def reason(broker: Broker, hook: str) -> str:
    """Return why a hook without a payload is not answered."""
    before = {event.id for event in await broker.fleet.registry.events()}
    await broker.json("vernemq", {}, vernemq_hook=hook)
    (event,) = [event for event in await broker.fleet.registry.events() if event.id not in before]
    return "misses a field" if "missing required field" in event.detail else "no such hook"
