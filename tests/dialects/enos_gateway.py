"""A whole gateway that speaks EnOS, and what devices, applications and operators do with it from outside."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from adapters.app import Running
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.protocols.scenario_clients import Login

GROUP = "QK7M2A"
PASSWORD = "Pa55word"
SERIAL = "SN-0001"
TIME = 1_700_000_000_000
GRANTED = {"murl", "hurl", "pk", "dk", "ds"}
VECTORS = Path(__file__).parent / "vectors" / "enos"


class Reply(NamedTuple):
    """What came back over HTTP."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str]

    @property
    def refused(self) -> tuple[int, int, str]:
        """Return status, code and message."""
        return self.status, self.document["code"], self.document["msg"]


class Enos:
    """The gateway at work, its operator, and a client of devices and applications."""

    def __init__(self, running: Running, operator: Operator, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.operator = operator
        self._session = session
        self.url = f"http://{running.listening.http[0]}"

    async def send(self, method: str, path: str, body: bytes | str, content_type: str = "application/json") -> Reply:
        """Send a request as it is."""
        headers = {"Content-Type": content_type} if content_type else {}
        skipped = () if content_type else ("Content-Type",)
        async with self._session.request(
            method, self.url + path, data=body, headers=headers, skip_auto_headers=skipped
        ) as response:
            raw = await response.read()
            named = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, json.loads(raw), named)

    async def post(self, path: str, document: Any) -> Reply:
        """Send a document."""
        return await self.send("POST", path, json.dumps(document))

    async def bootstrap(self, serial: str = SERIAL, **fields: Any) -> Reply:
        """Ask as a device that has nothing yet."""
        return await self.post("/dev/bootstrap", bootstrap(serial, **fields))

    async def given(self, serial: str = SERIAL, **fields: Any) -> dict[str, Any]:
        """Ask, and get a triple."""
        reply = await self.bootstrap(serial, **fields)
        assert reply.status == 200, reply
        assert set(reply.document) == GRANTED
        return reply.document

    async def application(self, action: str, document: Any = None, **query: str) -> Any:
        """Call the application API, and return the data of its answer."""
        given = {"action": action, "orgId": "default"} | query
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        method = "GET" if document is None else "POST"
        url = f"{self.url}/dps-service/v2.5/pvs/device"
        async with self._session.request(method, url, params=given, json=document, headers=headers) as response:
            answer = await response.json()
            assert (response.status, answer["code"]) == (200, 0), answer
            return answer["data"]

    async def group(self, key: str = GROUP, password: str = PASSWORD, **signed: Any) -> dict[str, Any]:
        """Make a registration group; unless told otherwise it looks at no clock."""
        policy = {"timestamp_tolerance_s": None} | signed
        body = {"name": key, "strategy": "signed", "provision_key": key, "provision_secret": password, "signed": policy}
        made: dict[str, Any] = await self.operator.post("/v1/profiles", body)
        return made

    async def checks(self) -> list[str]:
        """Return the checks that refused, in order."""
        return [event["check"] for event in await self.operator.all("/v1/events") if event["check"]]


@contextlib.asynccontextmanager
async def serving(folder: Path, **settings: str) -> AsyncIterator[Enos]:
    """Run a gateway over a registry in memory."""
    async with (
        opened(folder, **({"DATABASE": "memory:"} | settings)) as running,
        Operator(running.listening.http[0], ADMIN_TOKEN) as operator,
        aiohttp.ClientSession() as session,
    ):
        yield Enos(running, operator, session)


def signature(serial: str, timestamp: int | str = TIME, password: str = PASSWORD) -> str:
    """Sign as firmware does."""
    return _sha256(f"sn{serial}timestamp{timestamp}{password}")


def bootstrap(serial: str = SERIAL, *, time: int | str = TIME, password: str = PASSWORD, **fields: Any) -> dict[str, Any]:
    """Return a request for a triple; a field that is None is left out."""
    document = {
        "dpsSignMethod": "sha256",
        "dpsSignTimestamp": time,
        "dpsSign": signature(serial, time, password),
        "groupId": GROUP,
        "deviceSn": serial,
        "deviceName": {"defaultValue": "Pump 1", "i18nValue": {"en_US": "Pump 1"}},
        "timezone": "+08:00",
    } | fields
    return {name: value for name, value in document.items() if value is not None}


def own(serial: str = SERIAL, password: str = PASSWORD) -> dict[str, Any]:
    """Return how a device names itself to get its triple again."""
    return {"sn": serial, "timestamp": TIME, "sign": signature(serial, TIME, password)}


def login(triple: dict[str, Any], timestamp: str = str(TIME)) -> Login:
    """Return how a device logs in over MQTT with its triple."""
    dk, pk = triple["dk"], triple["pk"]
    signed = f"clientId{dk}deviceKey{dk}productKey{pk}timestamp{timestamp}{triple['ds']}"
    return Login(
        client_id=f"{dk}|securemode=2,signmethod=sha256,timestamp={timestamp}|",
        username=f"{dk}&{pk}",
        password=_sha256(signed).upper(),
    )


def session_request(triple: dict[str, Any], lifetime: int | str = 300_000) -> dict[str, Any]:
    """Return how a device opens a session over HTTP."""
    signed = f"deviceKey{triple['dk']}lifetime{lifetime}productKey{triple['pk']}signMethodsha256{triple['ds']}"
    return {"signMethod": "sha256", "sign": _sha256(signed), "lifetime": lifetime}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
