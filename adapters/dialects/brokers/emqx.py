"""EMQX 5: HTTP authenticator and HTTP authorizer, whose bodies are what its configuration says (`deploy/brokers/emqx.conf`).

Sources: https://docs.emqx.com/en/emqx/latest/access-control/authn/http.html and .../authz/http.html. A status of 4xx or 5xx
means that somebody else is to decide, so no is said with 200.
"""

from typing import Final, Literal

import msgspec

from adapters.dialects.brokers.answering import document
from adapters.dialects.brokers.options import DialectOptions
from adapters.dialects.brokers.reading import Host, Text
from adapters.dialects.brokers.reading import read as read_fields
from adapters.exchange import Carrier, Inbound, Outbound, Route
from core.broker_questions import Admitted, AskLogin, AskTopics, Permitted
from core.errors import Refusal
from core.messages import Identity, MqttLogin
from core.model import Secret
from core.mqtt_names import MqttNames
from core.topic_spaces import Action

_AUTHN, _AUTHZ = "emqx_authn", "emqx_authz"
ROUTES: Final = tuple(
    Route(carrier=Carrier.HTTP, method="POST", path=f"/v1/broker/emqx/{name}", operation=operation)
    for name, operation in (("authn", _AUTHN), ("authz", _AUTHZ))
)
_LATEST_SECONDS = 253_402_300_799  # the end of the year 9999: EMQX refuses what looks like milliseconds


class Authn(msgspec.Struct, frozen=True):
    """Somebody connects; `peerhost` is its address. What a client did not send is empty, or null."""

    clientid: Text | None = None
    username: Text | None = None
    password: Text | None = None
    peerhost: Host | None = None


class Authz(msgspec.Struct, frozen=True):
    """Somebody publishes or subscribes."""

    topic: Text
    action: Literal["publish", "subscribe"]
    clientid: Text | None = None
    username: Text | None = None


class Attributes(msgspec.Struct, frozen=True):
    """What EMQX keeps with the connection, for templates and rules."""

    device: str
    tenant: str


class Allowed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Yes. From `expire_at` on, in seconds since the Unix epoch, EMQX ends the connection."""

    result: str
    is_superuser: bool
    client_attrs: Attributes
    expire_at: int | None = None


class Decided(msgspec.Struct, frozen=True):
    """What an authorizer answers, and how an authenticator says no."""

    result: str


def read(inbound: Inbound, options: DialectOptions) -> AskLogin | AskTopics:
    """Read a question. Raises `Refusal` MALFORMED."""
    if inbound.operation == _AUTHN:
        asked = read_fields(inbound, Authn)
        login = MqttLogin(asked.clientid or "", asked.username or "", Secret(asked.password or ""))
        return AskLogin(login, asked.peerhost or "")
    wanted = read_fields(inbound, Authz)
    return AskTopics(MqttNames(wanted.username or "", wanted.clientid or ""), Action(wanted.action), (wanted.topic,))


def write(result: Admitted | Permitted, inbound: Inbound) -> Outbound:
    """Write yes."""
    return document(_allowed(result.identity) if isinstance(result, Admitted) else Decided("allow"))


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write no, whatever the reason."""
    return document(Decided("deny"))


def _allowed(identity: Identity) -> Allowed:
    ends = None if identity.until is None else min(identity.until // 1_000, _LATEST_SECONDS)
    return Allowed("allow", False, Attributes(identity.device, identity.tenant), ends)
