"""An exchange for TLS tests, which knows devices by the names in their certificates."""

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from adapters.exchange import Carrier, Guest, Inbound, Outbound, Peer, Success
from core.errors import Reason, Refusal
from core.messages import CertificateLogin, Identity, MqttLogin
from core.model import CredentialId, DeviceId, TenantId
from core.topic_spaces import NOTHING, Grants
from tests.protocols.keyless import Keyless

GUEST = Guest(name="join", login="provision", subscriptions=("join/response",))


class Doorman(Keyless):
    """Knows `pump-...` and the user `dev1`; refuses a certificate named like a reason with that, and others as unknown."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.peers: list[Peer] = []
        self.handled: list[Inbound] = []
        self.refused: list[Refusal] = []
        self.ends: list[Callable[[], None]] = []
        self.left = 0
        self.answer: Outbound | None = None

    async def handle(self, inbound: Inbound) -> Outbound:
        self.handled.append(inbound)
        if self.answer is not None:
            return self.answer
        if inbound.carrier is Carrier.MQTT:
            return Outbound(outcome=Success.OK, body=b"for " + inbound.body, topic="join/response")
        return Outbound(outcome=Success.OK, body=inbound.body or self.name_of(inbound).encode(), content_type="text/plain")

    @staticmethod
    def name_of(inbound: Inbound) -> str:
        return inbound.identity.device_name if inbound.identity is not None else "nobody"

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Outbound:
        self.refused.append(refusal)
        return Outbound(outcome=refusal.reason, body=refusal.detail.encode(), content_type="text/plain")

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        self.asked.append(login)
        self.peers.append(peer)
        name = _name(login)
        if name in {reason.value for reason in Reason}:
            raise Refusal(Reason(name), "not today", check="test")
        if not name.startswith(("pump-", "dev1")):
            raise Refusal(Reason.UNAUTHENTICATED, "who is this", check="test")
        return Identity(TenantId("t"), DeviceId("d"), name, CredentialId("c"))

    def guest(self, username: str, client_id: str) -> Guest | None:
        return GUEST if username == GUEST.login else None

    def keeps(self, inbound: Inbound) -> bool:
        return True

    def understands(self, inbound: Inbound) -> bool:
        return inbound.method != "SUBSCRIBE"

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        return True

    async def permit(self, identity: Identity) -> Grants:
        return NOTHING

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        self.ends.append(ended)

        def leave() -> None:
            self.left += 1

        return leave

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        raise AssertionError("nothing here changes")


def _name(login: CertificateLogin | MqttLogin) -> str:
    if isinstance(login, MqttLogin):
        return login.username
    subject = x509.load_der_x509_certificate(login.chain[0]).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
