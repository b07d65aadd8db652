"""The gateway's side for whoever attends to a broker's connections: who may come in, what they may use, and what changed."""

from collections.abc import Callable

from adapters.attending import Attendance
from adapters.exchange import Peer
from adapters.watching import Watches
from core.errors import Reason, Refusal
from core.messages import Identity, Standing
from core.model import CredentialId, DeviceId, TenantId
from core.notices import session_key
from core.topic_spaces import BOTH, Grant, Grants


def identity(name: str) -> Identity:
    """Return who a device is that goes by its name everywhere."""
    return Identity(TenantId("default"), DeviceId(name), name, CredentialId(f"c-{name}"))


class Desk:
    """Knows everybody whose login it was given. Stands for `adapters.brokers.admissions.Attention`."""

    def __init__(self) -> None:
        self.watches = Watches()
        self.known: set[str] = set()
        self.topics: dict[str, tuple[str, ...]] = {}
        self.is_away = False

    async def whose(self, username: str, client_id: str) -> Identity:
        """Return who logs in so."""
        self._require()
        if (username or client_id) not in self.known:
            raise Refusal(Reason.FORBIDDEN, "nobody", check="broker.name")
        return identity(username or client_id)

    async def permit(self, asking: Identity) -> Grants:
        """Return what somebody may use."""
        self._require()
        topics = self.topics.get(asking.device, ())
        return Grants((Grant(topic, topic, BOTH) for topic in topics), (asking.device, *topics))

    def attend(self, attended: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended` when the login holds no longer."""
        return Attendance(attended, peer, self._holds, ended, self.watches).leave

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` at a change."""
        return self.watches.watch(key, changed)

    def revoke(self, name: str) -> None:
        """Make a login worthless, and tell."""
        self.known.discard(name)
        self.tell(name)

    def tell(self, name: str) -> None:
        """Tell that something about a device changed."""
        self.watches.tell(frozenset({name, session_key(DeviceId(name))}))

    async def _holds(self, asking: Identity) -> Standing:
        self._require()
        return Standing(asking.device in self.known)

    def _require(self) -> None:
        if self.is_away:
            raise Refusal(Reason.UNAVAILABLE, "the store is away", check="storage.away")
