"""What a fleet that has outgrown one machine stands before: several gateways, the PostgreSQL they share, and a mosquitto."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from adapters.settings import Address
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST, free_ports
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import Served, Unmeasured
from tests.postgres_server import PostgresServer, postgres_server

PROFILE = {
    "name": "storm",
    "strategy": "create_new",
    "reprovision": "same",
    "provision_key": "storm-key-00000000000",
    "provision_secret": "storm-secret-00000000",
}
_BROKER = "allow_anonymous true\nmax_queued_messages 0"
_UNLIMITED = {"MQTT_CONNECTS_PER_SECOND": "0"}


class Ports(NamedTuple):
    """Where a gateway listens, in all of its lives."""

    http: int
    coap: int
    mqtt: int


class Cluster:
    """The gateways with their neighbours. Each may be ended and started again at the same address."""

    def __init__(self, folder: Path, postgres: PostgresServer, database: str, broker: Mosquitto, gateways: int) -> None:
        free = free_ports(3 * gateways)
        self.ports = [Ports(*free[3 * number : 3 * number + 3]) for number in range(gateways)]
        self.postgres = postgres
        self.database = database
        self.broker = broker
        self.gateways = [self._gateway(folder / f"gateway-{number}", ports) for number, ports in enumerate(self.ports)]

    def _gateway(self, folder: Path, ports: Ports) -> Served:
        addresses = {name.upper(): f"{HOST}:{port}" for name, port in ports._asdict().items()}
        broker = {"BROKER": f"mqtt://{HOST}:{self.broker.port}", "BROKER_FOR": "events,requests"}
        database = self.postgres.url(self.database)
        return Unmeasured(folder, **addresses, **broker, **_UNLIMITED, DATABASE=database, DRAIN_SECONDS="3", LOG_LINES="1000")

    async def operator(self, number: int = 0) -> Operator:
        """Return a client of a gateway's operator API, to be entered."""
        return Operator(Address(HOST, self.ports[number].http), ADMIN_TOKEN)

    def count(self, table: str, where: str = "TRUE") -> int:
        """Return how many rows a table has, as PostgreSQL's own client counts them."""
        return int(self.postgres.sql(self.database, f"SELECT count(*) FROM {table} WHERE {where}"))


@contextlib.asynccontextmanager
async def cluster(folder: Path, gateways: int = 3, *, durable: bool = True) -> AsyncIterator[Cluster]:
    """Run a cluster with a profile that lets devices in; the database forgets nothing when it is `durable`."""
    (folder / "broker").mkdir(parents=True)
    with postgres_server(durable=durable) as postgres:
        async with mosquitto(folder / "broker", _BROKER) as broker, contextlib.AsyncExitStack() as stack:
            made = Cluster(folder, postgres, postgres.make_database(), broker, gateways)
            await asyncio.gather(*(stack.enter_async_context(gateway) for gateway in made.gateways))
            async with await made.operator() as operator:
                await operator.post("/v1/profiles", PROFILE)
            yield made
