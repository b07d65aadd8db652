"""The gateway's work at the operator's broker: what of it the settings switch on, and its tasks."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec
import structlog

from adapters import spoken
from adapters.answering import Answering
from adapters.brokers.address import client_context
from adapters.brokers.admissions import Attention, Elsewhere
from adapters.brokers.dynamic_security.keeper import DynamicSecurity, Terms
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.event_feed import Hindsight
from adapters.brokers.lifecycle_events import LifecycleEvents
from adapters.brokers.link import PACKET_BYTES, Link
from adapters.brokers.rabbitmq import RabbitMq
from adapters.brokers.rabbitmq_api import ManagementApi
from adapters.brokers.request_topics import RequestTopics, group_name
from adapters.brokers.requests import RequestBounds, Requests
from adapters.config import Config
from adapters.dialects.operator import writing
from adapters.exchange import Meter
from adapters.mqtt.front.config import ClientIds, Upstream
from adapters.own_addresses import OwnAddresses
from adapters.settings import Address
from adapters.use_cases import Bound, Ports
from core.messages import Identity
from core.model import Event
from core.replicas import Leadership

EVENTS, REQUESTS, DYNAMIC_SECURITY = "events", "requests", "dynamic-security"
_ALONE: Final = frozenset({EVENTS, DYNAMIC_SECURITY})  # requests the broker itself shares among replicas
_ALL_SPOKEN: Final = Address("", 0)
_PROPERTIES_BYTES: Final = 65_536

log = structlog.get_logger("firstlight")


class _Runs(Protocol):
    async def run(self) -> None: ...


def rabbitmq_of(
    config: Config, meter: Meter, work: Callable[[], "BrokerWork"], elsewhere: Elsewhere | None = None
) -> RabbitMq | None:
    """Return what closes connections at RabbitMQ, None where it is not switched on.

    Use cases stand on it, and it stands on them: so `work` is called for the rest of it, not before somebody is let in.
    """
    if not config.rabbitmq_api or config.broker_secret is None:
        return None

    async def whose(username: str, client_id: str) -> Identity:
        return await work().bound.acquaintances.named(username, client_id)

    api = ManagementApi(config.rabbitmq_api, config.rabbitmq_password)
    return RabbitMq(api, lambda: work().attention, whose, meter, elsewhere=elsewhere)


class BrokerWork:
    """Runs in tasks of its own from `start` to `stop`. With RabbitMQ, `attention` is what that asks about who it let in.

    Of several replicas the one that has the `leadership` publishes events and keeps a broker's dynamic security. All of them
    have RabbitMQ close connections, each those that it let in, and those of replicas that are no more: the broker lists them.
    """

    def __init__(
        self,
        config: Config,
        ports: Ports,
        bound: Bound,
        answering: Answering,
        own: OwnAddresses,
        meter: Meter,
        rabbitmq: RabbitMq | None,
        leadership: Leadership | None = None,
    ) -> None:
        self.bound = bound
        if rabbitmq is not None:
            self.attention: Attention = answering.facing(spoken.at("HTTP", _ALL_SPOKEN, config, own))
        self._config = config
        self._ports = ports
        self._answering = answering
        self._own = own
        self._meter = meter
        self._rabbitmq = rabbitmq
        self._leadership = leadership
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin what is switched on; none of it keeps the gateway from its start."""
        for work in self._works():
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _works(self) -> list[Coroutine[Any, Any, None]]:
        works: list[Coroutine[Any, Any, None]] = []
        if self._rabbitmq is not None:
            works.append(self._rabbitmq.run())
        if self._config.broker is not None:
            made: dict[str, Callable[[], _Runs]] = {
                EVENTS: self._events,
                REQUESTS: self._requests,
                DYNAMIC_SECURITY: self._dynamic_security,
            }
            works += [self._led(use, made[use]) for use in self._config.broker_for]
        return works

    async def _led(self, use: str, made: Callable[[], _Runs]) -> None:
        """Do a work; where all replicas doing it would do it twice, as long as this one leads, and from its beginning then."""
        if self._leadership is None or use not in _ALONE:
            await made().run()
        else:
            await self._leadership.lead(f"broker {use}", lambda: made().run())

    def _events(self) -> LifecycleEvents:
        ports = self._ports
        return LifecycleEvents(
            self._link(EVENTS),
            ports.repository,
            ports.watches,
            ports.issuer.clock,
            _written,
            self._config.broker_prefix,
            hindsight=None if self._leadership is None else Hindsight(),
        )

    def _requests(self) -> Requests:
        config, most = self._config, self._config.mqtt_bounds
        dialects = [spoken.named(name, config, self._own) for name in config.dialects]
        group = group_name(self._ports.issuer.vault, config.broker_prefix)
        topics = RequestTopics(config.broker_prefix, group, [route for dialect in dialects for route in dialect.ROUTES])
        bounds = RequestBounds(
            packet_bytes=most.max_packet_bytes, topic_bytes=most.max_topic_bytes, user_properties=most.user_properties
        )
        exchange = self._answering.facing(spoken.at("BROKER", _ALL_SPOKEN, config, self._own))
        # Beside topic and payload a packet has its properties, which count there alone.
        link = self._link(REQUESTS, packet_bytes=most.max_packet_bytes + _PROPERTIES_BYTES)
        return Requests(link, exchange, topics, self._meter, bounds, log)

    def _dynamic_security(self) -> DynamicSecurity:
        ports, config = self._ports, self._config
        reader = Reader(ports.repository, ports.issuer, self.bound.permit, spoken.topic_spaces(config))
        terms = Terms(devices=config.broker_devices)
        return DynamicSecurity(self._link(DYNAMIC_SECURITY), reader, ports.watches, log, terms)

    def _link(self, name: str, packet_bytes: int = PACKET_BYTES) -> Link:
        broker = self._config.broker
        if broker is None:
            raise ValueError("there is no broker")
        tls = client_context(broker, self._config.broker_ca)
        return Link(broker, self._config.broker_password, name, log, meter=self._meter, packet_bytes=packet_bytes, tls=tls)


def upstream_of(config: Config) -> Upstream | None:
    """Return the broker that devices go on to."""
    broker = config.mqtt_upstream
    if broker is None:
        return None
    return Upstream(
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=config.mqtt_upstream_password,
        tls=client_context(broker, config.mqtt_upstream_ca),
        client_ids=ClientIds(config.mqtt_upstream_client_id),
        seconds=config.mqtt_bounds.upstream_seconds,
        packet_bytes=config.mqtt_bounds.upstream_packet_bytes,
    )


def _written(event: Event) -> bytes:
    return msgspec.json.encode(writing.event(event))
