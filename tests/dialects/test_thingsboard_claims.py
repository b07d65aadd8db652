"""Claiming as ThingsBoard's devices, gateways and users know it, over each protocol of a whole gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiocoap
import aiomqtt
import pytest

from adapters.app import Running
from core.model import PendingClaim
from core.operate.directory import own_organization
from tests.dialects.claiming_parties import (
    Answer,
    customer,
    device,
    known,
    next_message,
    over_coap,
    over_http,
    over_mqtt,
    publish,
    waiting,
)
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

DAY = 24 * 3_600_000
TOKEN = "token-of-meter-1"
SECRET = b'{"secretKey":"abc","durationMs":60000}'
USER = {"secretKey": "abc"}


@pytest.fixture(params=["memory", "sqlite"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway over either store."""
    async with opened(tmp_path, DATABASE="memory:" if request.param == "memory" else None) as gateway:
        yield gateway


@pytest.fixture
async def operator(running: Running) -> AsyncIterator[Operator]:
    """The administrator of `running`, with a profile of meters and one whose devices may not be claimed by default."""
    async with Operator(running.listening.http[0], ADMIN_TOKEN) as client:
        await client.post("/v1/profiles", {"name": "meters"})
        await client.post("/v1/profiles", {"name": "closed", "options": ["thingsboard-claiming-off"]})
        yield client


async def announce(running: Running, carrier: str, body: bytes = SECRET, token: str = TOKEN) -> None:
    """Announce over a carrier, and see that it was received."""
    match carrier:
        case "http":
            answer = await over_http(running, "POST", f"/api/v1/{token}/claim", body or None)
            assert (answer.status, answer.body) == ("200", b"")
        case "coap":
            answer = await over_coap(running, aiocoap.POST, f"/api/v1/{token}/claim", body)
            assert (answer.status, answer.body) == ("2.01", b"")
        case _:
            await publish(running, token, "v1/devices/me/claim", body)


async def ask(
    running: Running, name: str = "meter-1", body: Any = USER, method: str = "POST", bearer: str = ADMIN_TOKEN
) -> Answer:
    """Claim as a user, or with another method give up."""
    content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/api/customer/device/{quote(name, safe='')}/claim"
    return await over_http(running, method, path, content, X_Authorization=f"Bearer {bearer}")


async def cut_off(running: Running, token: str, topic: str, body: bytes) -> None:
    """Publish what ends the connection."""
    async with over_mqtt(running, token) as client:
        await client.publish(topic, body, qos=1)
        await next_message(client)


async def refusals(operator: Operator) -> list[str]:
    """Return the checks by which announcements did not count."""
    return [event["check"] for event in await operator.all("/v1/events?kind=association.refused")]


async def lasts(running: Running, name: str = "meter-1") -> int:
    claim = await waiting(running, name)
    assert isinstance(claim, PendingClaim)
    assert claim.announced
    return claim.expires_at - claim.created_at


@pytest.mark.parametrize("carrier", ["http", "coap", "mqtt"])
async def test_a_device_announces_itself_and_a_user_claims_it(running: Running, operator: Operator, carrier: str) -> None:
    made = await device(operator)
    bearer = await customer(running)
    await announce(running, carrier)
    assert await lasts(running) == 60_000
    answer = await ask(running, bearer=bearer)
    assert (answer.status, answer.headers["content-type"]) == ("200", "application/json")
    document = answer.document
    assert (list(document), document["response"]) == (["device", "response"], "SUCCESS")
    claimed = document["device"]
    assert claimed["id"] == {"entityType": "DEVICE", "id": made["id"]}
    assert claimed["customerId"] == {"entityType": "CUSTOMER", "id": "organization-north"}
    assert (claimed["name"], claimed["type"], claimed["label"]) == ("meter-1", made["profile"], "")
    assert claimed["deviceProfileId"] == {"entityType": "DEVICE_PROFILE", "id": made["profile"]}
    assert claimed["tenantId"] == {"entityType": "TENANT", "id": "default"}
    assert isinstance(claimed["createdTime"], int)
    assert claimed["additionalInfo"] == {}
    shown = await operator.get("/v1/devices/meter-1")
    assert (shown["state"], shown["owner"]) == ("associated", "organization-north")
    assert await waiting(running) is None


@pytest.mark.parametrize("carrier", ["http", "mqtt"])
async def test_a_body_may_be_empty_and_so_may_the_secret(running: Running, operator: Operator, carrier: str) -> None:
    await device(operator)
    await announce(running, carrier, b"")
    assert await lasts(running) == DAY
    assert (await ask(running, body=None)).document["response"] == "SUCCESS"


async def test_over_coap_a_body_may_not_be_empty(running: Running, operator: Operator) -> None:
    await device(operator)
    assert (await over_coap(running, aiocoap.POST, f"/api/v1/{TOKEN}/claim")).status == "4.00"
    await announce(running, "coap", b"{}")
    assert (await ask(running, body={"secretKey": ""})).document["response"] == "SUCCESS"


@pytest.mark.parametrize(
    ("body", "kept_ms"),
    [
        (b"{}", DAY),
        (b'{"durationMs":0}', DAY),
        (b'{"durationMs":-5}', DAY),
        (b'{"durationMs":null,"secretKey":null}', DAY),
        (b'{"durationMs":"60000"}', 60_000),
        (b'{"durationMs":1500.9}', 1_500),
        (b'{"durationMs":8.64e+07}', DAY),
        (b'{"durationMs":"6E4"}', 60_000),
        (b'{"durationMs":1e99}', 30 * DAY),
        (b'{"durationMs":6e-2}', DAY),
        (b'{"durationMs":999999999999999999999}', 30 * DAY),
    ],
)
async def test_a_duration_has_a_default_and_a_bound(running: Running, operator: Operator, body: bytes, kept_ms: int) -> None:
    await device(operator)
    await announce(running, "http", body)
    assert await lasts(running) == kept_ms


async def test_a_number_is_taken_as_its_text(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http", b'{"secretKey":17}')
    assert (await ask(running, body={"secretKey": "17"})).status == "200"


async def test_an_unknown_token_announces_nothing(running: Running, operator: Operator) -> None:
    await device(operator)
    answer = await over_http(running, "POST", "/api/v1/nobody/claim", SECRET)
    assert answer.status == "401"
    assert (await over_coap(running, aiocoap.POST, "/api/v1/nobody/claim", SECRET)).status == "4.01"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"{",
        b"\xff",
        b'{"secretKey":{}}',
        b'{"durationMs":"soon"}',
        b'{"durationMs":1e400}',
        b'{"durationMs":[1]}',
        b"[" * 5_000,
    ],
)
async def test_what_cannot_be_read_is_refused(running: Running, operator: Operator, body: bytes) -> None:
    await device(operator)
    answer = await over_http(running, "POST", f"/api/v1/{TOKEN}/claim", body)
    assert (answer.status, answer.document["errorCode"]) == ("400", 31)
    assert (await over_coap(running, aiocoap.POST, f"/api/v1/{TOKEN}/claim", body)).status == "4.00"
    with pytest.raises(aiomqtt.MqttError):
        await cut_off(running, TOKEN, "v1/devices/me/claim", body)
    assert await waiting(running) is None


async def test_a_second_announcement_changes_nothing(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "mqtt")
    first = await waiting(running)
    await announce(running, "coap", b'{"secretKey":"another"}')
    assert await waiting(running) == first
    assert (await ask(running)).document["response"] == "SUCCESS"


async def test_a_device_that_has_its_owner_is_refused_silently(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    assert (await ask(running)).status == "200"
    for carrier in ("http", "coap", "mqtt"):
        await announce(running, carrier)
    assert await waiting(running) is None
    assert await refusals(operator) == ["announcement.owned"] * 3


async def test_a_gateway_announces_several_devices_at_once(running: Running, operator: Operator) -> None:
    gate = await device(operator, "gate", metadata={"gateway": True})
    await device(operator, "meter-1")
    await device(operator, "far", "closed", metadata={"gateway_id": gate["id"], "claimingAllowed": True})
    await device(operator, "theirs", metadata={"gateway_id": "another"})
    await device(operator, "strange", "closed")
    body = dict.fromkeys(("meter-1", "far", "theirs", "strange", "missing"), USER) | {"gate": {}}
    await publish(running, "token-of-gate", "v1/gateway/claim", json.dumps(body).encode())
    for name in ("meter-1", "far"):
        assert (await ask(running, name)).document["response"] == "SUCCESS"
    assert (await ask(running, "gate", {})).document["response"] == "SUCCESS"
    for name in ("theirs", "strange"):
        assert (await ask(running, name)).body == b'"FAILURE"'
    assert await operator.device("missing") is None


async def test_what_is_no_gateway_announces_nobody_else(running: Running, operator: Operator) -> None:
    await device(operator)
    await device(operator, "meter-2")
    await publish(running, TOKEN, "v1/gateway/claim", b'{"meter-2":{"secretKey":"abc"}}')
    assert await waiting(running, "meter-2") is None
    assert await refusals(operator) == ["announcement.not_gateway"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"meter-1":1}', b'{"meter-1":null}'])
async def test_what_a_gateway_sends_has_to_be_objects(running: Running, operator: Operator, body: bytes) -> None:
    await device(operator, "gate", metadata={"gateway": True})
    await device(operator)
    with pytest.raises(aiomqtt.MqttError):
        await cut_off(running, "token-of-gate", "v1/gateway/claim", body)
    assert await waiting(running) is None


async def test_an_operator_can_write_the_announcement_as_an_attribute(running: Running, operator: Operator) -> None:
    until = running.issuer.clock.now() + 60_000
    data = {"secretKey": "abc", "expirationTime": until}
    await device(operator, metadata={"claimingData": data, "claimingAllowed": True, "kept": 1})
    claimed = (await ask(running)).document["device"]
    assert claimed["additionalInfo"] == {"kept": 1}
    await device(operator, "late", metadata={"claimingData": {**data, "expirationTime": until - 120_000}})
    assert (await ask(running, "late")).body == b'"FAILURE"'


async def test_where_claiming_is_not_allowed_by_default_the_attribute_allows_it(running: Running, operator: Operator) -> None:
    await device(operator, "closed", "closed")
    await announce(running, "http", token="token-of-closed")
    assert await waiting(running, "closed") is None
    assert await refusals(operator) == ["announcement.not_allowed"]
    await operator.patch("/v1/devices/closed", {"metadata": {"claimingAllowed": True}})
    await announce(running, "http", token="token-of-closed")
    claimed = (await ask(running, "closed")).document["device"]
    assert claimed["additionalInfo"] == {}


async def test_a_wrong_secret_fails_and_drops_the_announcement(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    answer = await ask(running, body={"secretKey": "no"})
    assert (answer.status, answer.body, answer.headers["content-type"]) == ("400", b'"FAILURE"', "application/json")
    assert await waiting(running) is None
    assert (await ask(running)).body == b'"FAILURE"'
    await announce(running, "http")
    assert (await ask(running)).status == "200"


async def test_an_announcement_that_is_over_fails(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http", b'{"secretKey":"abc","durationMs":1}')
    await asyncio.sleep(0.05)
    assert (await ask(running)).body == b'"FAILURE"'
    assert await waiting(running) is None


async def test_a_device_that_is_owned_is_claimed_already(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    await ask(running, bearer=await customer(running))
    for bearer in (ADMIN_TOKEN, await customer(running, "bob", "south")):
        answer = await ask(running, bearer=bearer)
        assert (answer.status, answer.body) == ("400", b'"CLAIMED"')


async def test_its_owner_gives_a_device_up(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    mine, theirs = await customer(running), await customer(running, "bob", "south")
    await ask(running, bearer=mine)
    assert (await ask(running, method="DELETE", body=None, bearer=theirs)).status == "404"
    answer = await ask(running, method="DELETE", body=None, bearer=mine)
    assert (answer.status, answer.body) == ("200", b"")
    found = await known(running)
    assert (found.owner, found.state.value) == ("", "connected")
    assert (await ask(running, method="DELETE", body=None)).status == "200"
    await announce(running, "http")
    assert (await ask(running, bearer=theirs)).status == "200"


async def test_a_token_that_is_no_users_claims_for_the_tenant(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    claimed = (await ask(running)).document["device"]
    assert claimed["customerId"]["id"] == own_organization(claimed["tenantId"]["id"])


async def test_either_header_has_the_token(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    path = "/api/customer/device/meter-1/claim"
    without = await over_http(running, "POST", path, b"{}")
    assert (without.status, without.document["errorCode"]) == ("401", 10)
    wrong = await over_http(running, "POST", path, b"{}", X_Authorization="Bearer nobody")
    assert wrong.status == "401"
    right = await over_http(running, "POST", path, SECRET, Authorization=f"bearer {ADMIN_TOKEN}")
    assert right.status == "200"


async def test_what_a_user_may_not_do_has_an_error_object(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    made = await operator.post("/v1/tokens", {"name": "factory", "role": "factory"})
    for answer, status, code in (
        (await ask(running, "nobody"), "404", 32),
        (await ask(running, body=b"["), "400", 31),
        (await ask(running, body={"secretKey": []}), "400", 31),
        (await ask(running, bearer=made["token"]), "403", 20),
        (await ask(running, method="PUT"), "405", 2),
    ):
        assert (answer.status, answer.document["status"], answer.document["errorCode"]) == (status, int(status), code)
    assert (await ask(running)).status == "200"


async def test_a_name_may_hold_anything(running: Running, operator: Operator) -> None:
    name = "Pumpe 7/a ü"
    await device(operator, name)
    token = quote(f"token-of-{name}", safe="")
    answer = await over_http(running, "POST", f"/api/v1/{token}/claim", SECRET)
    assert answer.status == "200"
    assert (await ask(running, name)).document["device"]["name"] == name


async def test_of_twenty_users_one_gets_the_device(running: Running, operator: Operator) -> None:
    await device(operator)
    await announce(running, "http")
    bearers = [await customer(running, f"user-{number}", f"org-{number}") for number in range(20)]
    answers = await asyncio.gather(*(ask(running, bearer=bearer) for bearer in bearers))
    assert sorted(answer.status for answer in answers) == ["200", *["400"] * 19]
    assert {answer.body for answer in answers if answer.status == "400"} <= {b'"CLAIMED"', b'"FAILURE"'}


async def test_of_twenty_users_with_one_code_one_gets_the_device(running: Running, operator: Operator) -> None:
    await device(operator)
    await over_http(running, "POST", f"/api/v1/{TOKEN}/telemetry", b"{}")
    code = (await operator.post("/v1/devices/meter-1/association-code", {}))["code"]
    bearers = [await customer(running, f"user-{number}", f"org-{number}") for number in range(20)]
    body = json.dumps({"code": code}).encode()
    answers = await asyncio.gather(
        *(over_http(running, "POST", "/v1/associations", body, Authorization=f"Bearer {bearer}") for bearer in bearers)
    )
    granted = [answer.document["owner"] for answer in answers if answer.status == "200"]
    assert len(granted) == 1
    assert {answer.document["check"] for answer in answers if answer.status != "200"} <= {"association.code", "version"}
    assert (await known(running)).owner == granted[0]
    assert len(await operator.all("/v1/events?kind=device.associated")) == 1
