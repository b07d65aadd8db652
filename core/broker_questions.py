"""What a broker asks about those who connect to it: may this one in, and which of these topics may it use.

Every question is answered from committed state: what is revoked is refused the next time that the broker asks. A name alone is
asked about, as the broker has seen the proof before. A refused topic is no event: a device that publishes where it may not does
so a hundred times a second. Refused logins are, within the bounds of `core.audit`.
"""

import msgspec

from core.acquaintance import Acquaintances, GivenId
from core.authenticate import Authenticate
from core.errors import Reason, Refusal
from core.messages import Context, Identity, MqttLogin
from core.model import DeviceId, EventKind
from core.mqtt_names import MqttNames
from core.permit import Permit
from core.ports import BrokerAccess, Repository
from core.queries import AnyDeviceQuery, DeviceQuery
from core.topic_spaces import Action, Grants, TopicSpace

_SOURCE_BYTES = 8


class AskLogin(msgspec.Struct, frozen=True):
    """A connection wants in.

    `source` is the address of the device where the broker tells it, else empty. With `renaming` the connection goes on under
    the id that it is given; otherwise its names must be enough to tell later who it is. `lasting` is what a broker lets in
    without asking again for as long as the connection lasts.
    """

    login: MqttLogin
    source: str = ""
    renaming: bool = False
    lasting: bool = False


class Admitted(msgspec.Struct, frozen=True):
    """It may, and this is who it is."""

    identity: Identity


class AskTopics(msgspec.Struct, frozen=True):
    """A connection that was let in wants to do this with topics or topic filters; without any: whether it is let in still.

    With `rewriting` the broker takes a topic in the place of each, by which no two devices have the same.
    """

    who: MqttNames | GivenId
    action: Action
    topics: tuple[str, ...] = ()
    rewriting: bool = False


class AskDelivery(msgspec.Struct, frozen=True):
    """A rewriting broker has a message for a connection, and wants the name by which that knows its topic."""

    who: GivenId
    topic: str


class Permitted(msgspec.Struct, frozen=True):
    """The topics that the broker is to take, one for each that it asked about; None: not this one."""

    topics: tuple[str | None, ...] = ()


class BrokerQuestions(msgspec.Struct, frozen=True):
    """The use cases. `spaces` are the topics of all that is spoken; `access` is told whom a broker lets in for good."""

    authenticate: Authenticate
    acquaintances: Acquaintances
    permit: Permit
    spaces: tuple[TopicSpace, ...]
    access: BrokerAccess | None = None

    async def login(self, asked: AskLogin, context: Context) -> Admitted:
        """Let a connection in, as `Authenticate` does. Raises `Refusal`, recorded as an event.

        FORBIDDEN besides: an external key alone, names that are not enough to tell who it is, another device's id for a client
        id, under which it would get what waits for that device.
        """
        source = asked.source or self._source(asked.login)
        context = msgspec.structs.replace(context, source=source)
        identity = await self.authenticate(asked.login, context)
        try:
            if identity.credential is None:
                raise _forbidding("an external key opens a configuration and nothing else", check="broker.external_key")
            if not asked.renaming:
                await self._require_names(asked.login, identity)
        except Refusal as refusal:
            found = await self._repository.read(DeviceQuery(identity.tenant, identity.device))
            device = found.device if found is not None else None
            await self.authenticate.audit.refused(EventKind.LOGIN_REFUSED, context, refusal, device=device)
            raise
        if asked.lasting and self.access is not None:
            self.access.let_in(identity, asked.login.username, asked.login.client_id)
        return Admitted(identity)

    async def topics(self, asked: AskTopics, context: Context) -> Permitted:
        """Decide about topics. Raises `Refusal` FORBIDDEN where there is nobody of this name, or none of the topics may be."""
        identity = await self.acquaintances.find(asked.who)
        if not asked.topics:
            return Permitted()
        grants = await self.permit(identity, self.spaces)
        found = tuple(_decide(grants, asked.action, topic, rewriting=asked.rewriting) for topic in asked.topics)
        if not any(found):
            raise _forbidding("this topic may not be used", check="broker.topic")
        return Permitted(found)

    async def delivery(self, asked: AskDelivery, context: Context) -> Permitted:
        """Name a topic as the connection knows it. Raises `Refusal` FORBIDDEN where there is nobody of this name."""
        grants = await self.permit(await self.acquaintances.find(asked.who), self.spaces)
        return Permitted((grants.deliver(asked.topic),))

    async def _require_names(self, login: MqttLogin, identity: Identity) -> None:
        found = await self.acquaintances.named(login.username, login.client_id)
        if (found.tenant, found.device, found.user) != (identity.tenant, identity.device, identity.user):
            raise _forbidding("these names stand for somebody else too", check="broker.name")
        if login.username and login.client_id and login.client_id != identity.device:
            other = await self._repository.read(AnyDeviceQuery(DeviceId(login.client_id)))
            if other is not None:
                raise _forbidding("the client id is another device's", check="broker.client_id")

    def _source(self, login: MqttLogin) -> str:
        """Return what failures are counted by where the broker tells no address: its own would be a whole fleet's.

        It is shown to operators, and a user name may be a token.
        """
        name = (login.username or login.client_id).encode("utf-8", "surrogatepass")
        return f"name:{self.permit.issuer.vault.digest('broker source', name)[:_SOURCE_BYTES].hex()}"

    @property
    def _repository(self) -> Repository:
        return self.permit.repository


def _decide(grants: Grants, action: Action, topic: str, *, rewriting: bool) -> str | None:
    publishes = action is Action.PUBLISH
    if rewriting:
        return grants.publish(topic) if publishes else grants.subscribe(topic)
    permitted = grants.may_publish(topic) if publishes else grants.may_subscribe(topic)
    return topic if permitted else None


def _forbidding(detail: str, *, check: str) -> Refusal:
    return Refusal(Reason.FORBIDDEN, detail, check=check)
