"""What the tests of MQTT pushes stand on: an exchange with documents that change, and a guest who may read all of them."""

import asyncio
import hashlib
import threading
from collections.abc import Callable

from adapters.exchange import Guest, Inbound, Outbound, Peer, Success
from core.errors import Reason
from core.messages import Identity
from core.topic_spaces import NOTHING, Grants
from tests.protocols.mqtt_peer import Rules

VISITOR = "visitor"
KEY = b"key"
STATE = "/state"


def asked(name: str) -> str:
    return f"docs/{name}/request"


def answered(name: str) -> str:
    return f"docs/{name}/response"


class Documents(Rules):
    """Answers requests by name, knows who has what already, and tells who watches.

    A guest needs the key in the body, a device nothing. `refusals` are by name, for as long as they are there; requests for a
    name in `held_up`, and evaluations for one in `slow`, wait until `release` is set; `keys` says what else than its name is
    watched ("": nothing).
    """

    def __init__(self, linger_seconds: float | None = None) -> None:
        super().__init__()
        patterns = ("docs/+/response", "notes/response")
        self.guest_rule = Guest(name=VISITOR, login=VISITOR, subscriptions=patterns, linger_seconds=linger_seconds)
        self.texts: dict[str, bytes] = {"a": b"first"}
        self.refusals: dict[str, Outbound] = {}
        self.keys: dict[str, str] = {}
        self.held_up: set[str] = set()
        self.slow: set[str] = set()
        self.untagged: set[str] = set()
        self.changing: dict[str, bytes] = {}
        self.broken = threading.Event()
        self.watchers: dict[int, tuple[str, Callable[[], None]]] = {}
        self._watched = 0

    async def handle(self, inbound: Inbound) -> Outbound:
        self.handled.append(inbound)
        name = inbound.path.removeprefix("docs/").removesuffix("/request").removesuffix(STATE)
        out = self.read(name, inbound)
        if name in self.changing:  # between what is read and what is answered
            self.change(name, self.changing.pop(name))
        waits = name in self.held_up or (name in self.slow and bool(inbound.held))
        while waits and not self.release.is_set():  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.005)
        if self.broken.is_set() and inbound.held:
            raise RuntimeError("an exchange that breaks its promise")
        self.finished.append(inbound)
        return out

    def read(self, name: str, inbound: Inbound) -> Outbound:
        if name in self.refusals:
            return self.refusals[name]
        if name not in self.texts:
            return Outbound(outcome=Reason.NOT_FOUND)
        if inbound.identity is None and not inbound.body.startswith(KEY):
            return Outbound(outcome=Reason.FORBIDDEN)
        text = self.texts[name]
        etag = "" if name in self.untagged else hashlib.sha256(text).hexdigest()[:16]
        key = self.keys.get(name, name)
        if etag in inbound.held or "*" in inbound.held:
            return Outbound(outcome=Success.UNCHANGED, etag=etag, watch=key, form=inbound.form)
        topic = inbound.path if inbound.path.endswith(STATE) else answered(name)
        content_type = "application/octet-stream"
        form = text.decode("latin-1")
        return Outbound(outcome=Success.OK, body=text, content_type=content_type, topic=topic, etag=etag, watch=key, form=form)

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        self._watched += 1
        number = self._watched
        self.watchers[number] = (key, changed)

        def end() -> None:
            self.watchers.pop(number, None)

        return end

    def change(self, name: str, text: bytes) -> None:
        """Make a document another one, and tell who watches it."""
        self.texts[name] = text
        self.tell(name)

    def tell(self, key: str) -> None:
        """Tell who watches that something changed, true or not."""
        for watched, changed in tuple(self.watchers.values()):
            if watched == key:
                changed()

    def guest(self, username: str, client_id: str) -> Guest | None:
        return self.guest_rule if username == VISITOR else None

    def keeps(self, inbound: Inbound) -> bool:
        return True

    async def permit(self, identity: Identity) -> Grants:
        return NOTHING

    def understands(self, inbound: Inbound) -> bool:
        """Subscribing to `docs/<name>/state` asks for the document of that name."""
        return inbound.method == "PUBLISH" or inbound.path.endswith(STATE)

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        return topic_filter.startswith(("docs/", "notes/")) or topic_filter == "#"
