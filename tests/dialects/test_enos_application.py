"""The application API of EnOS, as a gateway serves it over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from adapters.app import Running
from core.model import DEFAULT_TENANT, DeviceState, Reallocation, Role, Tenant, TenantId
from core.operate.serials import CHUNK
from core.ports import Changes
from core.queries import DeviceSearch, TenantQuery
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.serials import add_group, alter, is_known, known, triples

GROUP, OTHER = "QK7M2A", "OTHER1"
FIELDS = {
    "sn",
    "groupId",
    "regionId",
    "orgId",
    "productKey",
    "batchOrder",
    "batchTag",
    "deviceData",
    "desc",
    "status",
    "reprovisioning",
    "allocateErrorMsg",
    "createBy",
    "createTime",
    "updateBy",
    "updateTime",
    "manufacturerOrgId",
    "connectStatus",
    "allocateStatus",
}


class Reply(NamedTuple):
    """A response: its status, its headers, and what is in its envelope."""

    status: int
    headers: dict[str, str]
    envelope: dict[str, Any]

    @property
    def data(self) -> Any:
        """Return the data of a granted request."""
        assert (self.status, self.envelope["code"], self.envelope["msg"]) == (200, 0, "OK"), self.envelope
        return self.envelope["data"]

    @property
    def refused(self) -> tuple[int, int, str]:
        """Return status, code and message of a refused request."""
        assert (self.envelope["data"], set(self.envelope)) == (None, {"code", "msg", "requestId", "data"})
        assert self.envelope["requestId"] == self.headers["x-request-id"]
        return self.status, self.envelope["code"], self.envelope["msg"]


class Application:
    """An application with a bearer token."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.url = f"http://{running.listening.http[0]}"
        self.session = session

    async def ask(
        self,
        action: str | None,
        body: Any = None,
        method: str = "POST",
        version: str = "v2.5",
        token: str = ADMIN_TOKEN,
        **query: str,
    ) -> Reply:
        """Send a request; an empty query parameter is left out."""
        asked = {"action": action or "", "orgId": "default"} | query
        async with self.session.request(
            method,
            f"{self.url}/dps-service/{version}/pvs/device",
            params={name: value for name, value in asked.items() if value},
            data=body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, headers, json.loads(await response.read()))

    async def make(self, serial: str, group: str = GROUP, **fields: Any) -> str:
        """Make one device and return its name."""
        body = {"groupId": group, "count": 1, "deviceData": {"deviceSn": serial} | fields.pop("deviceData", {})} | fields
        (name,) = (await self.ask("create", body)).data
        made: str = name
        return made

    async def show(self, name: str) -> dict[str, Any]:
        """Return the record of a device."""
        shown: dict[str, Any] = (await self.ask("get", method="GET", sn=name)).data
        return shown

    async def found(self, expression: str, **pagination: Any) -> list[str]:
        """Return the names that a search finds."""
        body = {"expression": expression, "pagination": pagination}
        return [record["sn"] for record in (await self.ask("search", body)).data]

    async def set_state(self, name: str, state: DeviceState, **times: int) -> None:
        """Put a device into a state."""
        found = await known(self.running.repository, name)
        await alter(self.running.repository, found.device, state=state, **times)

    async def token(self, role: Role) -> str:
        """Make a bearer token."""
        async with Operator(self.running.listening.http[0], ADMIN_TOKEN) as operator:
            made = await operator.post("/v1/tokens", {"name": role.value, "role": role.value})
            text: str = made["token"]
            return text


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    """An application at a gateway with two groups and a profile of another kind."""
    async with opened(tmp_path, DIALECTS="enos,thingsboard") as running, aiohttp.ClientSession() as session:
        for key in (GROUP, OTHER):
            await add_group(running.repository, running.issuer, key)
        async with Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/profiles", {"name": "meters", "provision_key": "plain-key"})
            await operator.post("/v1/devices", {"name": "meter-1", "profile": "meters"})
        yield Application(running, session)


async def test_a_new_device_is_shown_with_every_field(app: Application) -> None:
    name = {"defaultValue": " Pump 1 ", "i18nValue": {"zh-CN": "泵"}}
    data = {"deviceName": name, "timezone": "+08:00", "assetId": "a-1", "scale": 1.5, "nothing": None}
    assert await app.make("SN /1:传", desc="d", batchTag="spring", deviceData=data) == "SN /1:传"
    record = await app.show("SN /1:传")
    assert set(record) == FIELDS
    assert record["deviceData"] == {
        "deviceSn": "SN /1:传",
        "deviceName": {"defaultValue": "Pump 1", "i18nValue": {"zh_CN": "泵"}},
        "timezone": "+08:00",
        "assetId": "a-1",
        "scale": 1.5,
    }
    assert (record["groupId"], record["orgId"], record["manufacturerOrgId"]) == (GROUP, "default", "default")
    assert (record["productKey"], record["desc"], record["reprovisioning"]) == ("pk000001", "d", False)
    assert record["batchTag"] == {"defaultValue": "spring", "i18nValue": {}}
    assert (record["connectStatus"], record["allocateStatus"]) == ("init", "init")
    times = dict.fromkeys(("connectedTime", "allocatedTime", "finishedTime", "discardedTime"))
    assert record["status"] == {"currentStatus": "init"} | times
    assert record["createTime"] == record["updateTime"] > 1_700_000_000_000
    assert {record[name] for name in ("regionId", "batchOrder", "allocateErrorMsg", "createBy", "updateBy")} == {None}


async def test_the_name_is_the_serial_where_that_is_free(app: Application) -> None:
    assert await app.make("SN-1") == "SN-1"
    assert await app.make("SN-1", OTHER) == f"{OTHER}_SN-1"
    refused = await app.ask("create", {"groupId": GROUP, "count": 1, "deviceData": {"deviceSn": "SN-1"}})
    assert refused.refused == (409, 35601, "Illegal deviceSn, deviceSn duplicated")


async def test_several_devices_are_made_with_drawn_serials(app: Application) -> None:
    names = (await app.ask("create", {"groupId": GROUP, "count": CHUNK, "batchTag": {"defaultValue": "b"}})).data
    assert len(set(names)) == CHUNK
    record = await app.show(names[-1])
    assert record["deviceData"] == {"deviceSn": names[-1]}


async def test_twenty_thousand_devices_come_while_they_are_made(app: Application) -> None:
    reply = await app.ask("create", {"groupId": GROUP, "count": 20_000, "batchTag": "spring"})
    assert "content-length" not in reply.headers
    assert reply.envelope["requestId"] == reply.headers["x-request-id"]
    assert len(set(reply.data)) == 20_000
    page = await app.ask("search", {"expression": "batchTag = 'spring'", "pagination": {"pageSize": 1}})
    assert page.envelope["pagination"]["totalSize"] == 20_000


async def devices(app: Application) -> int:
    """Return how many devices there are."""
    return (await app.running.repository.read(DeviceSearch(tenant=DEFAULT_TENANT, limit=0))).total


async def until_made(app: Application, count: int) -> None:
    """Wait until there are so many devices."""
    async with asyncio.timeout(30):
        while await devices(app) < count:  # noqa: ASYNC110 - a registry announces nothing
            await asyncio.sleep(0.001)


async def until_ended(app: Application) -> str:
    """Wait until a making has ended, and return what its event tells."""
    async with Operator(app.running.listening.http[0], ADMIN_TOKEN) as operator, asyncio.timeout(30):
        while not (detail := (await operator.newest_event())["detail"]).endswith("devices made"):  # noqa: ASYNC110 - nor does it here
            await asyncio.sleep(0.01)
    told: str = detail
    return told


async def limit(app: Application, most: int) -> None:
    """Let the tenant have so many devices."""
    tenant = await app.running.repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    limited = msgspec.structs.replace(tenant, device_limit=most, version=tenant.version + 1)
    await app.running.repository.commit(Changes(replace=(limited,)))


async def test_an_answer_that_breaks_off_does_not_look_whole(app: Application) -> None:
    """The tenant's room is taken by somebody else while the devices are made."""
    asking = asyncio.create_task(app.ask("create", {"groupId": GROUP, "count": 1_000_000}))
    await until_made(app, 2 * CHUNK)
    await limit(app, 1)
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        await asking
    made = await devices(app)
    names = await app.found(f"groupId = '{GROUP}'", pageSize=1_000)
    assert len(names) == min(made - 1, 1_000)
    assert (made - 1) % CHUNK == 0


async def test_an_application_that_hangs_up_stops_the_making(app: Application) -> None:
    asking = asyncio.create_task(app.ask("create", {"groupId": GROUP, "count": 1_000_000}))
    await until_made(app, 2 * CHUNK)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    detail = await until_ended(app)
    made = await devices(app) - 1
    assert 2 * CHUNK <= made < 1_000_000
    assert detail in (f"{made} of 1000000 devices made", f"{made - CHUNK} to {made} of 1000000 devices made")


async def test_a_tenant_that_has_no_room_for_all_gets_none(app: Application) -> None:
    await limit(app, 1_000)
    status, code, msg = (await app.ask("create", {"groupId": GROUP, "count": 1_000})).refused
    assert (status, code, msg) == (409, 10000, "the tenant has all the devices it may have")
    assert await devices(app) == 1


@pytest.mark.parametrize(("version", "action"), [("v2.5", "allocate"), ("v4.0", "activate"), ("v4.0", "allocate")])
async def test_an_allocated_device_has_its_triple(app: Application, version: str, action: str) -> None:
    await app.make("SN-1", deviceData={"timezone": "+08:00", "scale": 1})
    body = {"sn": "SN-1", "deviceData": {"scale": None, "deviceName": "Pump"}}
    record = (await app.ask(action, body, version=version)).data
    assert record == await app.show("SN-1")
    assert record["deviceData"]["deviceName"] == {"defaultValue": "Pump", "i18nValue": {}}
    assert "scale" not in record["deviceData"]
    assert (record["status"]["currentStatus"], record["allocateStatus"]) == ("allocated", "allocated")
    assert record["status"]["allocatedTime"] == record["updateTime"]
    found = await known(app.running.repository, "SN-1")
    (triple,) = triples(app.running.issuer, found)
    assert triple.secret.reveal() not in json.dumps(record)
    assert (await app.ask(action, {"sn": "SN-1"}, version=version)).data == record


@pytest.mark.parametrize(("version", "action"), [("v2.5", "resetAllocationStatus"), ("v4.0", "reprovision")])
async def test_a_reset_device_has_no_triple(app: Application, version: str, action: str) -> None:
    for serial in ("SN-1", "SN-2"):
        await app.make(serial, deviceData={"timezone": "+08:00"})
        await app.ask("allocate", {"sn": serial})
    names = (await app.ask(action, {"groupId": GROUP, "sns": ["SN-2", "SN-1"]}, version=version)).data
    assert names == ["SN-2", "SN-1"]
    record = await app.show("SN-1")
    assert (record["status"]["currentStatus"], record["status"]["allocatedTime"]) == ("init", None)
    assert record["deviceData"] == {"deviceSn": "SN-1", "timezone": "+08:00"}
    assert (await known(app.running.repository, "SN-1")).credentials == ()


async def test_a_group_may_forbid_it(app: Application) -> None:
    await add_group(app.running.repository, app.running.issuer, "NEVER1", reallocation=Reallocation.NONE)
    await app.make("SN-1", "NEVER1")
    refused = await app.ask("resetAllocationStatus", {"groupId": "NEVER1", "sns": ["SN-1"]})
    assert refused.refused == (403, 35603, "Unauthorized to access the resource")


async def test_a_device_is_changed(app: Application) -> None:
    await app.make("SN-1", desc="before", deviceData={"timezone": "+08:00"})
    body = {
        "sn": "SN-1",
        "desc": "after",
        "batchTag": {"defaultValue": "t"},
        "deviceData": {"deviceSn": "SN-9", "timezone": None},
    }
    assert (await app.ask("update", body)).data == "SN-1"
    record = await app.show("SN-1")
    assert (record["desc"], record["batchTag"]["defaultValue"], record["deviceData"]) == ("after", "t", {"deviceSn": "SN-9"})
    await app.make("SN-2")
    refused = await app.ask("update", {"sn": "SN-1", "deviceData": {"deviceSn": "SN-2"}})
    assert refused.refused == (409, 35601, "Illegal deviceSn, deviceSn duplicated")


async def test_a_device_is_replaced(app: Application) -> None:
    await app.make("SN-1", desc="d", batchTag="t", deviceData={"deviceName": "Pump 1", "timezone": "+08:00"})
    await app.make("SN-2", deviceData={"assetId": "a"})
    record = (await app.ask("replace", {"sn": "SN-1", "replacementSn": "SN-2"})).data
    assert (record["sn"], record["desc"], record["batchTag"]["defaultValue"]) == ("SN-2", "d", "t")
    assert record["deviceData"]["deviceName"]["defaultValue"] == "Pump 1"
    assert (record["deviceData"]["deviceSn"], record["deviceData"]["timezone"]) == ("SN-2", "+08:00")
    assert record == await app.show("SN-2")
    assert not await is_known(app.running.repository, "SN-1")


async def test_a_device_is_replaced_by_a_free_one_of_its_group(app: Application) -> None:
    for serial, group in (("SN-1", GROUP), ("SN-2", GROUP), ("SN-3", OTHER)):
        await app.make(serial, group)
    await app.ask("allocate", {"sn": "SN-2"})
    taken = await app.ask("replace", {"sn": "SN-1", "replacementSn": "SN-2"})
    assert taken.refused == (403, 35603, "Replacement device is allocated")
    far = await app.ask("replace", {"sn": "SN-1", "replacementSn": "SN-3"})
    assert far.refused == (400, 35400, "Target device and replacement device should belong to the same group")
    itself = await app.ask("replace", {"sn": "SN-1", "replacementSn": "SN-1"})
    assert itself.refused[:2] == (400, 99400)


async def test_devices_are_removed(app: Application) -> None:
    await app.make("SN-1")
    await app.make("SN-2", OTHER)
    assert (await app.ask("delete", {"groupId": GROUP, "snList": ["SN-2"]})).refused == (404, 35404, "sn not found")
    assert (await app.ask("delete", {"groupId": GROUP, "snList": ["SN-1", "gone"]})).data == ["SN-1", "gone"]
    assert (await app.ask("get", method="GET", sn="SN-1")).refused == (404, 35404, "sn not found")


async def test_a_device_is_found_by_query_or_body(app: Application) -> None:
    await app.make("SN-1")
    record = await app.show("SN-1")
    assert (await app.ask("get", sn="SN-1")).data == record
    assert (await app.ask("get", {"sn": "SN-1"}, version="v4.0")).data == record


async def test_every_state_has_its_words_and_times(app: Application) -> None:
    for serial in ("SN-1", "SN-2", "SN-3", "SN-4", "SN-5"):
        await app.make(serial)
    await app.set_state("SN-2", DeviceState.PROVISIONED)
    await app.set_state("SN-3", DeviceState.CONNECTED, provisioned_at=1, connected_at=2)
    await app.set_state("SN-4", DeviceState.ASSOCIATED, provisioned_at=1, connected_at=2, associated_at=3)
    await app.set_state("SN-5", DeviceState.DISCARDED, discarded_at=4)
    expected = {
        "SN-1": ("init", "init", "init", None, None, None, None),
        "SN-2": ("allocated", "init", "allocated", "created", None, None, None),
        "SN-3": ("connected", "connected", "allocated", 1, 2, None, None),
        "SN-4": ("finished", "connected", "allocated", 1, 2, 3, None),
        "SN-5": ("discarded", "init", "init", None, None, None, 4),
    }
    for name, (current, connect, allocate, *times) in expected.items():
        record = await app.show(name)
        status = record["status"]
        assert (status["currentStatus"], record["connectStatus"], record["allocateStatus"]) == (current, connect, allocate)
        shown = [status[f"{what}Time"] for what in ("allocated", "connected", "finished", "discarded")]
        assert shown == [record["createTime"] if time == "created" else time for time in times]
        assert name in await app.found(f"status.currentStatus = '{current}' and connectStatus = '{connect}'")
        assert name in await app.found(f"allocateStatus in ('{allocate}')")
    assert await app.found("connectStatus = 'failed'") == []
    for action, body in (
        ("allocate", {"sn": "SN-5"}),
        ("resetAllocationStatus", {"groupId": GROUP, "sns": ["SN-5"]}),
    ):
        assert (await app.ask(action, body)).refused == (403, 10000, "[SN-5] discarded")


async def test_devices_of_other_dialects_are_seen(app: Application) -> None:
    record = await app.show("meter-1")
    assert (record["groupId"], record["productKey"], record["deviceData"]) == ("plain-key", None, {"deviceSn": "meter-1"})
    assert await app.found("deviceData.deviceSn = 'meter-1'") == ["meter-1"]
    assert await app.found("groupId = 'plain-key'") == ["meter-1"]
    refused = await app.ask("allocate", {"sn": "meter-1"})
    assert refused.refused == (403, 35603, "Unauthorized to access the resource")
    await app.ask("update", {"sn": "meter-1", "deviceData": {"deviceName": "Meter"}})
    found = await known(app.running.repository, "meter-1")
    await alter(app.running.repository, found.device, label="Called otherwise")
    assert (await app.show("meter-1"))["deviceData"]["deviceName"]["defaultValue"] == "Called otherwise"


@pytest.fixture
async def stocked(app: Application) -> Application:
    """An application with some devices to find."""
    await app.make("SN-1", desc="first", batchTag="spring", deviceData={"deviceName": "Pump", "scale": 2})
    await app.make("SN-1", OTHER, batchTag={"defaultValue": "spring", "i18nValue": {}})
    await app.make("it's", deviceData={"scale": "2"})
    return app


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", ["it's", f"{OTHER}_SN-1", "SN-1", "meter-1"]),
        (f"groupId = '{GROUP}'", ["it's", "SN-1"]),
        (f" groupId='{GROUP}'  AND sn IN ('SN-1' , \"it's\",'SN-1') ", ["it's", "SN-1"]),
        (f"groupId in ('{GROUP}','{OTHER}') and groupId in ('{OTHER}', 'nobody')", [f"{OTHER}_SN-1"]),
        ("groupId = 'nobody'", []),
        ("sn = 'SN-1' and sn = 'SN-2'", []),
        ("deviceSn = 'it''s'", ["it's"]),
        ("deviceData.deviceSn in ('SN-1')", [f"{OTHER}_SN-1", "SN-1"]),
        (f"deviceSn = 'SN-1' and groupId = '{GROUP}'", ["SN-1"]),
        ("status = 'init' and status.currentStatus in ('init', 'allocated')", ["it's", f"{OTHER}_SN-1", "SN-1", "meter-1"]),
        ("status = 'init' and status = 'finished'", []),
        ("batchTag = 'spring'", [f"{OTHER}_SN-1", "SN-1"]),
        ("batchTag = 'spring' and desc = 'first'", ["SN-1"]),
        ("deviceData.scale = '2'", ["it's", "SN-1"]),
        ("deviceData.deviceName = 'Pump'", ["SN-1"]),
    ],
)
async def test_expressions_find_what_they_say(stocked: Application, expression: str, expected: list[str]) -> None:
    assert await stocked.found(expression) == expected


async def test_pages_tell_how_much_there_is(stocked: Application) -> None:
    first = await stocked.ask("search", {"pagination": {"pageSize": 3}})
    assert [record["sn"] for record in first.data] == ["it's", f"{OTHER}_SN-1", "SN-1"]
    assert set(first.data[0]) == FIELDS
    sorted_by = [{"field": "createTime", "order": "DESC"}]
    assert first.envelope["pagination"] == {"sortedBy": sorted_by, "pageNo": 1, "pageSize": 3, "totalSize": 4}
    assert await stocked.found("", pageNo=2, pageSize=3) == ["meter-1"]
    assert await stocked.found("", pageNo=3, pageSize=3) == []
    names = sorted(["it's", f"{OTHER}_SN-1", "SN-1", "meter-1"])
    assert await stocked.found("", sorters=[{"field": "sn"}]) == names
    assert await stocked.found("", sorters=[{"field": "sn", "order": "desc"}]) == names[::-1]


@pytest.mark.parametrize(
    "expression",
    [
        "groupId",
        "groupId =",
        "groupId = G",
        "groupId = 'G",
        "groupId like 'G'",
        "groupId in 'G'",
        "groupId in = 'G'",
        "groupId in ('G' =",
        "groupId in ('G'",
        "groupId in ('G' 'H')",
        "groupId in ()",
        "groupId in ('G',)",
        "groupId ( 'G')",
        "groupId = 'G' or sn = 'x'",
        "groupId = 'G' and",
        "groupId = 'G' sn = 'x'",
        "= 'G'",
        "regionId = 'r'",
        "deviceData. = 'r'",
        "deviceData.desc = 'r'",
        "status.currentStatus = 'running'",
        "connectStatus = 'finished'",
        "sn = 'x'; drop",
        " and ".join(["sn = 'x'"] * 33),
        "x" * 65_537,
    ],
)
async def test_an_expression_that_cannot_be_read_is_refused(app: Application, expression: str) -> None:
    status, code, msg = (await app.ask("search", {"expression": expression})).refused
    assert (status, code) == (400, 99400)
    assert msg.startswith("Invalid Argument expression:")


async def test_a_field_that_is_not_known_is_told_the_known_ones(app: Application) -> None:
    msg = (await app.ask("search", {"expression": "regionId = 'r'"})).refused[2]
    assert "groupId, sn, deviceSn, deviceData.deviceSn, status.currentStatus" in msg


CREATE = {"groupId": GROUP, "count": 1}
MISSING = "Invalid Argument {0}:{0} is missing"


@pytest.mark.parametrize(
    ("action", "body", "msg"),
    [
        ("create", {"count": 1}, MISSING.format("groupId")),
        ("create", {"groupId": "", "count": 1}, MISSING.format("groupId")),
        ("create", {"groupId": GROUP}, MISSING.format("count")),
        ("create", {"groupId": GROUP, "count": 0}, "count of PvsDeviceCreateInfo must between 1 to 1000000"),
        ("create", {"groupId": GROUP, "count": 1_000_001}, "count of PvsDeviceCreateInfo must between 1 to 1000000"),
        ("create", {"groupId": GROUP, "count": "1"}, "Invalid Argument count:"),
        ("create", {"groupId": GROUP, "count": True}, "Invalid Argument count:"),
        ("create", {"groupId": GROUP, "count": 2, "deviceData": {"deviceSn": "x"}}, "Invalid Argument deviceData.deviceSn:"),
        ("create", CREATE | {"deviceData": []}, "Invalid Argument deviceData:"),
        ("create", CREATE | {"deviceData": {"deviceSn": ""}}, "Invalid Argument deviceData.deviceSn:"),
        ("create", CREATE | {"deviceData": {"deviceSn": 5}}, "Invalid Argument deviceData.deviceSn:"),
        ("create", CREATE | {"deviceData": {"deviceSn": "a" * 129}}, "Invalid Argument deviceData.deviceSn:"),
        ("create", CREATE | {"deviceData": {"deviceSn": "a\nb"}}, "Invalid Argument deviceData.deviceSn:"),
        ("create", CREATE | {"deviceData": {"deviceName": 5}}, "Invalid Argument deviceData.deviceName:"),
        ("create", CREATE | {"deviceData": {"timezone": "UTC+8"}}, "Invalid Argument deviceData.timezone:"),
        ("create", CREATE | {"deviceData": {"desc": "d"}}, "Invalid Argument deviceData.desc:"),
        ("create", CREATE | {"deviceData": {"a": "x" * 20_000}}, "Invalid Argument request:metadata"),
        ("create", CREATE | {"desc": "d" * 513}, "Invalid Argument desc:"),
        ("create", CREATE | {"batchTag": {"i18nValue": {}}}, "Invalid Argument batchTag.defaultValue:"),
        ("search", {"pagination": {"pageNo": 0}}, "Invalid Argument pagination.pageNo:"),
        ("search", {"pagination": {"pageNo": 2**31}}, "Invalid Argument pagination.pageNo:"),
        ("search", {"pagination": {"pageSize": 0}}, "Invalid Argument pagination.pageSize:"),
        ("search", {"pagination": {"pageSize": 1_001}}, "Invalid Argument pagination.pageSize:"),
        ("search", {"pagination": {"sorters": [{"field": "desc"}]}}, "Invalid Argument pagination.sorters:"),
        ("search", {"pagination": {"sorters": [{"field": "sn"}] * 2}}, "Invalid Argument pagination.sorters:"),
        ("search", {"pagination": {"sorters": [{"field": "sn", "order": "UP"}]}}, "Invalid Argument pagination.sorters:"),
        ("allocate", {}, MISSING.format("sn")),
        ("update", {"sn": None}, MISSING.format("sn")),
        ("replace", {"sn": "SN-1"}, MISSING.format("replacementSn")),
        ("resetAllocationStatus", {"sns": ["SN-1"]}, MISSING.format("groupId")),
        ("resetAllocationStatus", {"groupId": GROUP}, MISSING.format("sns")),
        ("resetAllocationStatus", {"groupId": GROUP, "sns": ["x"] * 1_001}, "Invalid Argument request:names"),
        ("delete", {"groupId": GROUP, "snList": []}, MISSING.format("snList")),
        ("get", None, MISSING.format("sn")),
        ("create", None, "Invalid Argument body:"),
        ("create", [], "Invalid Argument body:"),
        ("create", b"{", "Invalid Argument body:"),
        ("create", b'{"groupId":"\xff"}', "Invalid Argument body:"),
        ("create", b'{"deviceData":{"a":' + b"[" * 100_000, "Invalid Argument body:"),
        ("", {}, MISSING.format("action")),
        ("explode", {}, "Invalid Argument action:it is one of create, get, search,"),
    ],
)
async def test_what_cannot_be_read_is_named(app: Application, action: str, body: Any, msg: str) -> None:
    refused = (await app.ask(action, body)).refused
    assert refused[:2] == (400, 99400)
    assert refused[2].startswith(msg)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("create", CREATE),
        ("create", {"groupId": GROUP, "count": 1_000_000}),
        ("resetAllocationStatus", {"groupId": GROUP, "sns": ["SN-1"]}),
        ("delete", {"groupId": GROUP, "snList": ["SN-1"]}),
        ("allocate", {"sn": "SN-1"}),
        ("update", {"sn": "SN-1"}),
        ("replace", {"sn": "SN-1", "replacementSn": "SN-2"}),
        ("get", {"sn": "SN-1"}),
    ],
)
async def test_another_tenants_groups_and_devices_are_not_found(app: Application, action: str, body: dict[str, Any]) -> None:
    await app.make("SN-1")
    await app.make("SN-2")
    tenant = Tenant(id=TenantId("elsewhere"), name="Elsewhere", created_at=0)
    await app.running.repository.commit(Changes(insert=(tenant,)))
    msg = "Group not found" if "groupId" in body else "sn not found"
    assert (await app.ask(action, body, orgId="elsewhere")).refused == (404, 35404, msg)
    assert (await app.ask("search", {}, orgId="elsewhere")).data == []
    assert (await app.ask(action, body, orgId="nobody")).refused[:2] == (404, 35404)
    assert await is_known(app.running.repository, "SN-1")


async def test_whose_devices_are_meant_has_to_be_said(app: Application) -> None:
    for method in ("GET", "POST"):
        assert (await app.ask("get", method=method, sn="SN-1", orgId="")).refused == (400, 35400, "OrgId is required")


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_stranger_learns_nothing(app: Application, token: str) -> None:
    for query in ({"sn": "SN-1"}, {"orgId": ""}, {"orgId": "nobody"}):
        reply = await app.ask("get", method="GET", token=token, **query)
        assert reply.refused == (401, 35601, "Verify not pass")
        assert reply.headers["www-authenticate"] == "Bearer"
    assert (await app.ask("explode", token=token)).refused == (401, 35601, "Verify not pass")


async def test_roles_may_do_what_they_may(app: Application) -> None:
    await app.make("SN-1")
    unauthorized = (403, 35603, "Unauthorized to access the resource")
    operator, auditor, factory = [await app.token(role) for role in (Role.OPERATOR, Role.AUDITOR, Role.FACTORY)]
    assert (await app.ask("create", CREATE, token=operator)).data
    assert (await app.ask("get", method="GET", sn="SN-1", token=auditor)).data
    assert (await app.ask("create", CREATE, token=auditor)).refused == unauthorized
    assert (await app.ask("get", method="GET", sn="SN-1", token=factory)).refused == unauthorized
    assert (await app.ask("create", CREATE, token=factory)).refused == unauthorized
    assert (await app.ask("get", method="GET", sn="SN-1", orgId="nobody", token=operator)).refused == unauthorized


async def test_other_methods_and_media_types_are_told_so(app: Application) -> None:
    reply = await app.ask("search", method="GET")
    assert (reply.refused[:2], reply.headers["allow"]) == ((405, 99400), "POST")
    reply = await app.ask("create", method="PUT")
    assert (reply.refused[:2], reply.headers["allow"]) == ((405, 99400), "GET, POST")
    async with app.session.post(
        f"{app.url}/dps-service/v2.5/pvs/device?action=create&orgId=default",
        data=b"groupId=1",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"bearer {ADMIN_TOKEN}"},
    ) as response:
        assert (response.status, (await response.json())["code"]) == (415, 99400)


async def test_events_tell_what_was_done_and_by_whom(app: Application) -> None:
    await app.make("SN-1", batchTag="spring")
    await app.ask("allocate", {"sn": "SN-1"})
    await app.ask("resetAllocationStatus", {"groupId": GROUP, "sns": ["SN-1"]})
    await app.ask("delete", {"groupId": GROUP, "snList": ["SN-1"]})
    await app.ask("create", {"groupId": "nobody", "count": 1})
    async with Operator(app.running.listening.http[0], ADMIN_TOKEN) as operator:
        events = [event for event in (await operator.get("/v1/events"))["items"] if event["dialect"] == "enos"]
    assert [(event["kind"], event["detail"]) for event in events[:-1]] == [
        ("device.defined", "batch spring"),
        ("device.allocated", ""),
        ("device.reset", "migrate"),
        ("device.deleted", ""),
    ]
    assert (events[-1]["kind"], events[-1]["check"]) == ("request.refused", "profile.unknown")
    assert {event["actor"] for event in events} == {"admin"}
