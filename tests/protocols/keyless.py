"""What an exchange without handshakes says when it is asked for keys."""

from adapters.exchange import Peer
from core.errors import Reason, Refusal
from core.messages import Identity, OscoreKnown, OscoreQuestion, Preshared


class Keyless:
    """Knows no keys. The stand-ins for exchanges whose protocols never ask for one are made on top of it."""

    async def preshared(self, identity: str, peer: Peer) -> Preshared:
        raise Refusal(Reason.UNAUTHENTICATED, "there are no keys here", check="login.user")

    async def security_context(self, question: OscoreQuestion, peer: Peer) -> OscoreKnown | None:
        return None

    def mistrust(self, peer: Peer, identity: Identity | None = None) -> None:
        raise AssertionError("nobody was trusted")
