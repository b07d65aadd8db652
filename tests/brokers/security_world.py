"""A registry, a real mosquitto with its dynamic security plug-in, and what keeps the one in step with the other."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt

from adapters.brokers.dynamic_security.keeper import DynamicSecurity, Terms
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.link import Link, Patience, lost
from adapters.dialects import thingsboard
from adapters.dialects.mainflux import device as mainflux
from adapters.watching import WatchedRepository, Watches
from core.configuration import client_secret
from core.crypto.vault import Vault
from core.errors import registry_busy
from core.issuer import Issuer
from core.model import DEFAULT_TENANT, DeviceId, Secret
from core.operate.configuring import ChangeConfig
from core.queries import DeviceQuery, Query, S
from tests.brokers.logged import Logged
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST
from tests.brokers.waiting import beside, until, until_so
from tests.fakes import SeededEntropy
from tests.operating import ContendedRepository, Desk

ADMIN = "admin"
ADMIN_PASSWORD = "the admin's password"
CONSUMER = "consumer"
CONSUMER_PASSWORD = "the consumer's password"
PLUGIN = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
QUICK = Patience(0.02, 0.1, 0.2)
SPACES = (*mainflux.TOPICS, *thingsboard.TOPICS)
CONTROL = "$CONTROL/dynamic-security/v1"


class FailingRepository(ContendedRepository):
    """A registry that refuses to answer so many times."""

    refusals = 0

    async def read(self, query: Query[S]) -> S:
        """Answer, or refuse."""
        if self.refusals:
            self.refusals -= 1
            raise registry_busy()
        return await super().read(query)


class World:
    """One of everything."""

    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker
        self.watches = Watches()
        self.stored = FailingRepository()
        repository: Any = WatchedRepository(self.stored, self.watches)
        self.desk = Desk(repository=repository)
        self.log: Any = Logged()

    def keeper(
        self, password: str = ADMIN_PASSWORD, *, user: str = ADMIN, master_key: bytes | None = None, **terms: Any
    ) -> DynamicSecurity:
        """Return what a gateway with these terms runs; another master key makes it another gateway."""
        issuer = self.desk.issuer
        if master_key is not None:
            issuer = Issuer(Vault(master_key, SeededEntropy()), self.desk.clock, SeededEntropy(), self.desk.keys)
        reader = Reader(self.desk.repository, issuer, self.desk.permit, SPACES)
        link = Link(self.broker.address(user), Secret(password), "dynamic-security", self.log, patience=QUICK)
        return DynamicSecurity(link, reader, self.watches, self.log, Terms(**({"retry_seconds": 0.1} | terms)))

    @contextlib.asynccontextmanager
    async def in_step(self, **terms: Any) -> AsyncIterator[DynamicSecurity]:
        """Run a gateway; when the block is entered all was looked at once."""
        before = len(self.log.said("is in step"))
        keeper = self.keeper(**terms)
        async with beside(keeper.run()):
            await until(lambda: len(self.log.said("is in step")) > before)
            yield keeper

    async def secret(self, device: str) -> str:
        """Return the newest client secret of a device."""
        found = await self.desk.repository.read(DeviceQuery(DEFAULT_TENANT, DeviceId(device)))
        assert found is not None
        secret = client_secret(found.credentials, self.desk.issuer)
        assert secret is not None
        return secret.reveal()

    async def thing(self, external_id: str = "aa:bb", channels: tuple[str, ...] = (), active: bool = True) -> tuple[str, str]:
        """Make a client with a configuration, and return its id and secret, which are its user name and password."""
        made = await self.desk.config(external_id, channels=channels)
        if active:
            await self.desk(ChangeConfig(id=made.config.id, active=True))
        return made.config.id, await self.secret(made.config.id)

    async def lets_in(self, username: str, password: str, client_id: str | None = None) -> bool:
        """Tell whether the broker does."""
        try:
            async with aiomqtt.Client(HOST, self.broker.port, username=username, password=password, identifier=client_id):
                return True
        except aiomqtt.MqttError:
            return False

    async def admitted(self, username: str, password: str) -> None:
        """Wait until the broker lets somebody in."""
        await until_so(lambda: self.lets_in(username, password))

    async def refused(self, username: str, password: str) -> None:
        """Wait until the broker lets somebody in no more."""

        async def is_refused() -> bool:
            return not await self.lets_in(username, password)

        await until_so(is_refused)

    def device(self, username: str, password: str, client_id: str | None = None) -> aiomqtt.Client:
        """Return a device of the broker, to be entered."""
        return aiomqtt.Client(
            HOST,
            self.broker.port,
            username=username,
            password=password,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
        )

    async def administer(self, **command: Any) -> dict[str, Any]:
        """Give the plug-in a command as its administrator and return the answer."""
        async with asyncio.timeout(20), self.device(ADMIN, ADMIN_PASSWORD) as admin:
            await admin.subscribe(f"{CONTROL}/response")
            mark = secrets.token_hex(4)
            await admin.publish(CONTROL, json.dumps({"commands": [command | {"correlationData": mark}]}))
            async for message in admin.messages:
                answer: dict[str, Any] = json.loads(bytes(message.payload))["responses"][0]
                if answer.get("correlationData") == mark:
                    return answer
        raise AssertionError("unreachable")

    async def make_consumer(self) -> None:
        """Make a client of the operator's own that may do everything, with a role of its own."""
        kinds = ("publishClientSend", "subscribePattern", "publishClientReceive")
        acls = [{"acltype": kind, "topic": "#", "allow": True} for kind in kinds]
        await self.administer(command="createRole", rolename="firstlight-consumers", acls=acls)
        role = {"rolename": "firstlight-consumers"}
        await self.administer(command="createClient", username=CONSUMER, password=CONSUMER_PASSWORD, roles=[role])

    async def clients(self) -> dict[str, dict[str, Any]]:
        """Return what the broker has for clients, by name."""
        listed = (await self.administer(command="listClients", verbose=True))["data"]["clients"]
        return {client["username"]: client for client in listed}

    async def roles(self) -> dict[str, dict[str, Any]]:
        """Return what the broker has for roles, by name."""
        listed = (await self.administer(command="listRoles", verbose=True))["data"]["roles"]
        return {role["rolename"]: role for role in listed}


@contextlib.asynccontextmanager
async def security(folder: Path) -> AsyncIterator[World]:
    """Run a broker whose plug-in was set up as its manual says, beside an empty registry."""
    file = folder / "dynamic-security.json"
    setup = await asyncio.create_subprocess_exec(
        "mosquitto_ctrl",
        *("dynsec", "init", str(file), ADMIN, ADMIN_PASSWORD),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await setup.wait() == 0
    config = f"allow_anonymous false\nplugin {PLUGIN}\nplugin_opt_config_file {file}"
    async with mosquitto(folder, config) as broker:
        yield World(broker)


async def may_subscribe(client: aiomqtt.Client, topic_filter: str) -> bool:
    """Tell whether the broker grants a subscription."""
    (code,) = await client.subscribe(topic_filter, qos=1)
    return (code if isinstance(code, int) else code.value) < 0x80


async def is_cut(client: aiomqtt.Client) -> bool:
    """Wait until a connection is cut by the broker."""
    try:
        async with asyncio.timeout(20):
            await lost(client)
    except aiomqtt.MqttError:
        return True
    return False


async def next_payload(client: aiomqtt.Client) -> bytes:
    """Return the next thing a device is told."""
    async with asyncio.timeout(20):
        return bytes((await anext(client.messages)).payload)
