"""The Xively dialect over a real HTTP socket, the real core and a registry in memory, and the client that asks it."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import msgspec

from adapters.answering import Answering, AnsweringConfig, Identities
from adapters.dialects import xively
from adapters.exchange import Dialect
from adapters.http.config import HttpConfig
from adapters.http.server import HttpServer
from adapters.watching import Watches
from core.limits import Buckets, Rate
from core.lockout import Lockout
from core.login import OperatorLogin
from core.messages import MqttLogin, ProvisionRequest, Report
from core.model import DeviceId, Role, Secret, TenantId
from core.operate import Operation
from core.operate.configuring import CreateTenant
from core.operate.directing import LogIn
from core.operate.messages import Operations
from core.ports import Changes
from core.provision import Provision
from core.queries import DeviceQuery
from core.report import TakeReport
from tests.exchange.stand_in import RememberingMeter
from tests.fakes import SeededEntropy
from tests.operating import ADMIN, DEVICE_CONTEXT, Desk

ACCOUNT = "default"
API = "/api/v1"


class Answer(NamedTuple):
    """A response, its body read as JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    def error(self) -> tuple[int, str, str]:
        """Return status, code and target of an error, after looking at all that clients read."""
        error = self.body["error"]
        (detail,) = error["details"]
        assert list(error) == ["code", "message", "innerError", "details"]
        assert list(detail) == ["code", "message", "target"]
        assert error["innerError"] is None
        assert error["code"] == str(detail["code"])
        assert error["message"] == detail["message"]
        assert "\n" not in error["message"]
        return self.status, error["code"], detail["target"]


class Line:
    """A manufacturing line, a web client or a telephone: asks over HTTP and keeps the bearer token."""

    def __init__(self, url: str, session: aiohttp.ClientSession, desk: Desk) -> None:
        self.url = url
        self.session = session
        self.desk = desk
        self.bearer = ADMIN.reveal()

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send JSON and return the answer, whatever it is."""
        content = None if body is None else json.dumps(body).encode()
        return await self.send(method, path, content, **{"Content-Type": "application/json"} | headers)

    async def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a body as it is and return the answer, whatever it is."""
        self.desk.clock.advance(0.001)
        given = {"Authorization": f"Bearer {self.bearer}"} | headers
        async with self.session.request(method, self.url + API + path, data=body, headers=given) as response:
            text = await response.read()
            received = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, received, json.loads(text) if text else None)

    async def done(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send JSON; whatever is granted is granted with 200, and has no `error`."""
        answer = await self.ask(method, path, body, **headers)
        assert answer.status == 200, answer
        assert "error" not in answer.body
        return answer.body

    async def create(self, path: str, **members: Any) -> Any:
        """Make something and return the one object in the answer."""
        (made,) = (await self.done("POST", path, {"accountId": ACCOUNT} | members)).values()
        return made

    async def template(self, name: str = "meters", **members: Any) -> Any:
        return await self.create("/devices/templates", name=name, **members)

    async def device(self, template: Any, serial: str = "LINE3-000481", **members: Any) -> Any:
        return await self.create("/devices", deviceTemplateId=template["id"], serialNumber=serial, **members)

    async def arm(self, device: Any, **members: Any) -> Any:
        """Give a device its credential."""
        return await self.create("/access/mqtt-credentials", entityId=device["id"], entityType="device", **members)

    async def code(self, device: Any) -> str:
        """Draw an association code."""
        code: str = (await self.done("POST", "/association/create-association-code", {"deviceId": device["id"]}))[
            "associationCode"
        ]
        return code

    async def associate(self, code: str, **target: str) -> Answer:
        return await self.ask("POST", "/association/start-association-with-code", {"associationCode": code, **target})

    async def read(self, device: Any) -> Any:
        """Return a device as it is now."""
        return (await self.done("GET", f"/devices/{device['id']}"))["device"]

    async def list(self, path: str, query: str = "") -> Any:
        (page,) = (await self.done("GET", f"{path}?accountId={ACCOUNT}{query}")).values()
        return page

    async def log_in_device(self, username: str, password: str, client_id: str = "") -> str:
        """Log in over MQTT as a device and return its id. Raises `Refusal`."""
        return (await self.desk.authenticate(MqttLogin(client_id, username, Secret(password)), DEVICE_CONTEXT)).device

    async def token(self, role: Role) -> None:
        """Be someone of this role from now on."""
        self.bearer = (await self.desk.token(role)).reveal()

    async def alter(self, device: Any, **fields: Any) -> None:
        """Change a device behind the API's back."""
        found = await self.desk.repository.read(DeviceQuery(TenantId(ACCOUNT), DeviceId(device["id"])))
        assert found is not None
        changed = msgspec.structs.replace(found.device, version=found.device.version + 1, **fields)
        await self.desk.repository.commit(Changes(replace=(changed,)))


async def other_account(desk: Desk, name: str = "elsewhere") -> str:
    """Make another tenant and return its id."""
    return str((await desk(CreateTenant(name=name, id=name))).id)


@contextlib.asynccontextmanager
async def serving(*dialects: Dialect, failures: Rate | None = None) -> AsyncIterator[Line]:
    """Serve these dialects, or this one alone, on a free port."""
    desk = Desk(failures)
    wrong = Lockout(failures or Rate(0, 0))
    login = OperatorLogin(desk.repository, desk.issuer, desk.audit, wrong)
    provision = Provision(desk.repository, desk.issuer, desk.audit, Buckets(Rate(0, 0)), Buckets(Rate(0, 0)))
    answering = Answering(
        dialects or (xively,),
        {
            Operation: desk.operate,
            Operations: desk.operate.each,
            LogIn: login,
            ProvisionRequest: provision,
            Report: TakeReport(desk.authenticate),
        },
        Identities(desk.authenticate, desk.authenticate.holds, desk.permit, desk.handshakes),
        desk.audit,
        desk.clock,
        SeededEntropy(7),
        RememberingMeter(),
        Watches(),
        AnsweringConfig(),
    )
    server = HttpServer(answering, RememberingMeter(), HttpConfig(), {})
    host, port = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
            yield Line(f"http://{host}:{port}", session, desk)
    finally:
        await server.close(1.0)
