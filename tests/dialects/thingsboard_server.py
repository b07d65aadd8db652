"""ThingsBoard's dialect over the core and a registry in memory, and the answers its contract promises."""

import re
from typing import Any

import msgspec

from adapters.answering import Answering, AnsweringConfig, Identities
from adapters.dialects import thingsboard
from adapters.exchange import Carrier, Closing, Inbound, Outbound, Peer, Success
from adapters.watching import Watches
from core.errors import Reason
from core.messages import CredentialValue, Identity, ProvisionRequest, Report
from core.model import Event, Reprovision, Strategy
from core.permit import Permit
from core.report import TakeReport
from tests.core.registry import KEY, SECRET, SOURCE, Registry
from tests.exchange.stand_in import RememberingMeter

NAME = "meter-0042"
TOKEN = "0wnT0kenOfTheDevice0"
TEXT = "MIIBszCCAVmgAwIBAgIU"
PEM = f"-----BEGIN CERTIFICATE-----\n{TEXT[:10]}\n{TEXT[10:]}\n-----END CERTIFICATE-----\n"
GENERATED = re.compile(rb'\{"credentialsValue":"([A-Za-z0-9]{20})","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"\}')
TOPIC = "/provision/response"
NOT_FOUND = b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'
FAILURE = b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}'
_PATHS = {Carrier.HTTP: "/api/v1/provision", Carrier.COAP: "/api/v1/provision", Carrier.MQTT: "/provision/request"}
_MEDIA_TYPES = {Carrier.HTTP: "application/json", Carrier.COAP: "text/plain", Carrier.MQTT: None}


def body(name: str | None = NAME, **fields: Any) -> bytes:
    """Return a request's body; a field that is None is left out."""
    given = {"deviceName": name, "provisionDeviceKey": KEY, "provisionDeviceSecret": SECRET} | fields
    return msgspec.json.encode({field: value for field, value in given.items() if value is not None})


def request(carrier: Carrier, content: bytes, *, path: str = "", method: str = "", form: str = "", version: int = 0) -> Inbound:
    """Return a provisioning request as the carrier's protocol makes it."""
    over_mqtt = carrier is Carrier.MQTT
    return Inbound(
        carrier=carrier,
        method=method or ("PUBLISH" if over_mqtt else "POST"),
        path=path or _PATHS[carrier],
        peer=Peer(SOURCE, 4711),
        body=content,
        guest="thingsboard" if over_mqtt else "",
        form=form,
        version=version,
    )


def granted(carrier: Carrier, content: bytes, form: str = "json") -> Outbound:
    """Return the answer of a granted request."""
    return _reply(Success.CREATED if carrier is Carrier.COAP else Success.OK, carrier, content, form)


def failed(carrier: Carrier, content: bytes = FAILURE, form: str = "json") -> Outbound:
    """Return the answer of a request that is refused in words the device reads."""
    return _reply(Reason.MALFORMED if carrier is Carrier.COAP else Success.OK, carrier, content, form)


def _reply(outcome: Success | Reason, carrier: Carrier, content: bytes, form: str) -> Outbound:
    media_type = _MEDIA_TYPES[carrier] if form == "json" else None
    return Outbound(outcome=outcome, body=content, content_type=media_type, topic=TOPIC, form=form)


def http_error(registry: Registry, reason: Reason, status: int, message: str, code: int) -> Outbound:
    """Return the answer with the error object."""
    error = {"status": status, "message": message, "errorCode": code, "timestamp": registry.clock.now()}
    return Outbound(outcome=reason, body=msgspec.json.encode(error), content_type="application/json")


def closes(reason: Reason, form: str = "") -> Outbound:
    """Return the answer that ends an MQTT connection."""
    return Outbound(outcome=reason, closing=Closing.YES, form=form)


class Server:
    """What answers the devices."""

    def __init__(self, registry: Registry | None = None, config: AnsweringConfig | None = None) -> None:
        self.registry = registry or Registry()
        self.meter = RememberingMeter()
        permit = Permit(self.registry.repository, self.registry.issuer)
        self.answering = Answering(
            [thingsboard],
            {ProvisionRequest: self.registry.provision, Report: TakeReport(self.registry.authenticate)},
            Identities(self.registry.authenticate, self.registry.authenticate.holds, permit, self.registry.handshakes),
            self.registry.audit,
            self.registry.clock,
            self.registry.entropy,
            self.meter,
            Watches(),
            config or AnsweringConfig(),
        )

    async def answer(self, inbound: Inbound) -> Outbound:
        """Answer a request; the correlation, another one each time, is taken off."""
        self.registry.clock.advance(0.001)
        return msgspec.structs.replace(await self.answering.handle(inbound), correlation="")

    async def ask(self, carrier: Carrier, content: bytes, form: str = "") -> Outbound:
        """Answer a provisioning request."""
        return await self.answer(request(carrier, content, form=form))

    async def checks(self) -> list[str]:
        """Return the checks of the refused requests, in order."""
        return [event.check for event in await self.registry.events() if event.check]

    async def events(self) -> tuple[Event, ...]:
        """Return all events."""
        return await self.registry.events()

    async def identity(self, name: str) -> Identity:
        """Return the identity of a device that has one credential."""
        found = await self.registry.known(name)
        return Identity(found.device.tenant, found.device.id, found.device.name, found.credentials[0].id)


async def serving(strategy: Strategy = Strategy.CREATE_NEW, reprovision: Reprovision = Reprovision.DENY) -> Server:
    """Return a server with one profile."""
    server = Server()
    await server.registry.profile(strategy, reprovision)
    return server


async def expecting(value: CredentialValue | None, reprovision: Reprovision = Reprovision.DENY) -> Server:
    """Return a server that expects one device, with the credential it is to get."""
    server = Server()
    await server.registry.device(await server.registry.profile(Strategy.PRE_PROVISIONED, reprovision), NAME, value)
    return server


def token_reply(token: str) -> bytes:
    """Return the reply that gives a token."""
    return f'{{"credentialsValue":"{token}","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}}'.encode()


def basic_reply(client_id: str, username: str, password: str) -> bytes:
    """Return the reply that gives MQTT credentials."""
    value = f'{{"clientId":"{client_id}","userName":"{username}","password":"{password}"}}'
    return f'{{"credentialsValue":{value},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}}'.encode()


def certificate_reply(text: str) -> bytes:
    """Return the reply that gives a certificate."""
    return f'{{"credentialsValue":"{text}","credentialsType":"X509_CERTIFICATE","status":"SUCCESS"}}'.encode()


async def token_of(server: Server, carrier: Carrier, content: bytes) -> str:
    """Provision, check the whole answer and return the token that was made."""
    answer = await server.ask(carrier, content)
    found = GENERATED.fullmatch(answer.body)
    assert found, answer.body
    assert answer == granted(carrier, found[0])
    return found[1].decode()
