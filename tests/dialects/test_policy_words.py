"""What devices are told, in the words of each dialect, where the policy of a profile keeps them out or has them wait."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from adapters.dialects import device_api, enos, thingsboard, xively
from adapters.dialects.mainflux import FLAVOURS, DialectOptions, open_dialect
from adapters.exchange import Carrier, Dialect, Inbound, Outbound, Outcome, Peer, Success
from core.approvals import FULL, not_yet
from core.errors import Reason, Refusal
from core.limits import APPROVALS_OF_SOURCE
from core.messages import AccessToken, Identity, MqttBasic, MqttLogin, TokenLogin
from core.model import DEFAULT_TENANT, Reprovision, Secret, Strategy, Verdict
from core.ports import Changes
from core.queries import ApprovalPage
from core.registration import Withheld
from core.strategy import APPROVE_NEW
from tests.core.approving import an_approval
from tests.core.registry import CONTEXT, SOURCE
from tests.dialects.enos_gateway import Enos, own
from tests.dialects.enos_gateway import serving as serving_enos
from tests.dialects.thingsboard_server import FAILURE, GENERATED, NAME, TOKEN, Server, body, expecting, failed, request, serving

over_all = pytest.mark.parametrize("carrier", Carrier)
BASIC = {"credentialsType": "MQTT_BASIC", "clientId": NAME, "username": "field", "password": "pw-0042"}


async def answer(server: Server, verdict: Verdict = Verdict.GRANTED) -> None:
    """Answer the only device that waits, as an operator."""
    repository = server.registry.repository
    (entry,) = await repository.read(ApprovalPage(tenant=DEFAULT_TENANT))
    await repository.commit(Changes(replace=(msgspec.structs.replace(entry, verdict=verdict, version=entry.version + 1),)))


def token_in(told: Outbound) -> str:
    """Return the token of an answer."""
    found = GENERATED.fullmatch(told.body)
    assert found, told.body
    return found[1].decode()


# ThingsBoard


@over_all
@pytest.mark.parametrize("strategy", [Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED])
@pytest.mark.parametrize("policy", [Reprovision.DENY, Reprovision.APPROVE, Reprovision.PROVE])
async def test_a_thingsboard_device_that_is_kept_out_is_told_failure(
    carrier: Carrier, strategy: Strategy, policy: Reprovision
) -> None:
    new = strategy is Strategy.CREATE_NEW
    server = await (serving(strategy, policy) if new else expecting(AccessToken(Secret(TOKEN)), policy))
    await server.ask(carrier, body())
    assert [await server.ask(carrier, body()) for _ in range(2)] == [failed(carrier, FAILURE)] * 2


@over_all
async def test_a_thingsboard_device_that_waits_gets_its_credentials_at_its_first_try_after_the_grant(carrier: Carrier) -> None:
    server = await serving(reprovision=Reprovision.APPROVE)
    old = token_in(await server.ask(carrier, body()))
    assert await server.ask(carrier, body()) == failed(carrier)
    await answer(server)
    assert token_in(await server.ask(carrier, body())) != old
    assert await server.ask(carrier, body()) == failed(carrier)
    assert await server.checks() == ["approval.waiting"] * 2


async def test_a_thingsboard_device_that_was_refused_is_told_the_same() -> None:
    server = await serving(reprovision=Reprovision.APPROVE)
    await server.ask(Carrier.HTTP, body())
    waiting = await server.ask(Carrier.HTTP, body())
    await answer(server, Verdict.REFUSED)
    assert await server.ask(Carrier.HTTP, body()) == waiting == failed(Carrier.HTTP)
    assert await server.checks() == ["approval.waiting", "approval.refused"]


@over_all
async def test_a_thingsboard_device_proves_itself_by_the_token_it_sends(carrier: Carrier) -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    await server.ask(carrier, body(token=TOKEN))
    given = token_in(await server.ask(carrier, body(token=TOKEN)))
    assert given != TOKEN
    await server.registry.authenticate(TokenLogin(Secret(TOKEN)), CONTEXT)
    await server.registry.authenticate(TokenLogin(Secret(given)), CONTEXT)
    assert await server.ask(carrier, body(token="0wnT0kenOfTheDevice1")) == failed(carrier)


@over_all
async def test_a_thingsboard_device_proves_itself_by_its_mqtt_credentials_and_keeps_them(carrier: Carrier) -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    first = await server.ask(carrier, body(**BASIC))
    assert await server.ask(carrier, body(**BASIC)) == first
    assert await server.ask(carrier, body(**BASIC | {"password": "pw-0043"})) == failed(carrier)


@over_all
async def test_the_text_of_a_certificate_is_no_proof(carrier: Carrier) -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    sent = body(credentialsType="X509_CERTIFICATE", hash="MIIBszCCAVmgAwIBAgIU")
    await server.ask(carrier, sent)
    assert await server.ask(carrier, sent) == failed(carrier)


def presenting(carrier: Carrier, sent: bytes, authorization: str) -> Inbound:
    asked = request(carrier, sent)
    if carrier is Carrier.COAP:
        return msgspec.structs.replace(asked, query={"auth": authorization})
    return msgspec.structs.replace(asked, headers={"authorization": authorization})


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_a_thingsboard_device_presents_its_old_token_beside_its_request(carrier: Carrier) -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    await server.ask(carrier, body(token=TOKEN))
    asked = presenting(carrier, body(), f"Bearer {TOKEN}")
    assert token_in(await server.answer(asked)) != TOKEN
    assert await server.answer(presenting(carrier, body(), "Bearer another")) == failed(carrier)


@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
async def test_a_thingsboard_device_may_change_its_mqtt_password_so(carrier: Carrier) -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    await server.ask(carrier, body(**BASIC | {"clientId": ""}))
    old = base64.b64encode(b"field:pw-0042").decode()
    changed = body(**BASIC | {"clientId": "", "password": "pw-0043"})
    assert b"pw-0043" in (await server.answer(presenting(carrier, changed, f"Basic {old}"))).body
    await server.registry.authenticate(MqttLogin("", "field", Secret("pw-0043")), CONTEXT)


@pytest.mark.parametrize("nonsense", ["", "Bearer", "Basic !", "Digest x", "Basic eA=="])
async def test_what_cannot_be_read_proves_nothing_and_disturbs_nobody(nonsense: str) -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    assert token_in(await server.answer(presenting(Carrier.HTTP, body(), nonsense)))
    assert await server.answer(presenting(Carrier.HTTP, body(), nonsense)) == failed(Carrier.HTTP)


async def test_what_a_connection_proved_is_a_proof() -> None:
    server = await serving(reprovision=Reprovision.PROVE)
    await server.ask(Carrier.COAP, body(token=TOKEN))
    proven = msgspec.structs.replace(request(Carrier.COAP, body()), identity=await server.identity(NAME))
    assert token_in(await server.answer(proven)) != TOKEN
    other = Identity(DEFAULT_TENANT, (await server.identity(NAME)).device, NAME, None)
    strange = msgspec.structs.replace(proven, identity=other)  # an external key that there is none of
    assert await server.answer(strange) == failed(Carrier.COAP)


# EnOS


@contextlib.asynccontextmanager
async def group(folder: Path, **fields: object) -> AsyncIterator[Enos]:
    async with serving_enos(folder) as gateway:
        await gateway.group()
        await gateway.operator.patch("/v1/profiles/QK7M2A", fields)
        yield gateway


async def test_an_enos_device_that_waits_is_told_10000_and_gets_its_triple_after_the_grant(tmp_path: Path) -> None:
    async with group(tmp_path, reprovision="approve") as gateway:
        first = await gateway.given()
        waits = (409, 10000, "[SN-0001] not allocated")
        assert [(await gateway.bootstrap()).refused for _ in range(2)] == [waits] * 2
        (entry,) = (await gateway.operator.get("/v1/approvals"))["items"]
        assert (entry["name"], entry["verdict"], entry["dialect"]) == ("SN-0001", "waiting", "enos")
        await gateway.operator.post(f"/v1/approvals/{entry['id']}/grant", {})
        assert await gateway.given() == first
        assert (await gateway.bootstrap()).refused == waits
        assert await gateway.checks() == ["approval.waiting"] * 3


async def test_an_enos_device_that_asks_for_its_connection_waits_the_same_way(tmp_path: Path) -> None:
    async with group(tmp_path, reprovision="approve") as gateway:
        first = await gateway.given()
        asked = {"self": own()}
        assert (await gateway.post("/dev/get/conn", asked)).refused == (409, 10000, "[SN-0001] not allocated")
        await gateway.operator.post("/v1/approvals/SN-0001/grant", {})
        given = await gateway.post("/dev/get/conn", asked)
        assert (given.status, given.document) == (200, first)
        assert (await gateway.post("/dev/get/conn", asked)).status == 409


async def test_a_new_enos_device_waits_where_its_group_says_so(tmp_path: Path) -> None:
    async with group(tmp_path, options=["approve-new"]) as gateway:
        assert (await gateway.bootstrap()).refused == (409, 10000, "[SN-0001] not allocated")
        assert (await gateway.operator.get("/v1/devices"))["items"] == []
        decisions = {"decisions": [{"ref": "SN-0001", "verdict": "granted"}, {"ref": "SN-0002", "verdict": "granted"}]}
        taken = await gateway.operator.post("/v1/approvals:decide", decisions)
        assert [item["verdict"] for item in taken["items"]] == ["granted"]
        assert [error["ref"] for error in taken["errors"]] == ["SN-0002"]
        assert await gateway.given() == await gateway.given()


async def test_an_enos_device_that_does_not_prove_itself_is_told_10000(tmp_path: Path) -> None:
    async with group(tmp_path, reprovision="prove") as gateway:
        await gateway.given()
        assert (await gateway.bootstrap()).refused == (409, 10000, "[SN-0001] not allocated")
        assert await gateway.checks() == ["reprovision.unproved"]


# All of them

MAINFLUX = [open_dialect(flavour, DialectOptions()) for flavours in FLAVOURS.values() for flavour in flavours]
WITHHELD = Withheld(Reason.CONFLICT, "the device has to be approved first", "SN-0001", check="approval.waiting")
ENOS = enos.open_dialect(enos.DialectOptions())
TOLD: list[tuple[Dialect, str, Refusal, Outcome, object]] = [
    (thingsboard, "provision", not_yet("approval.waiting"), Success.OK, "FAILURE"),
    *((each, "bootstrap", not_yet("approval.waiting"), Reason.FORBIDDEN, None) for each in MAINFLUX),
    (ENOS, "bootstrap", WITHHELD, Reason.CONFLICT, 10000),
    (xively, "associate", not_yet("approval.waiting"), Reason.FORBIDDEN, "21"),
    (device_api, "firmware", not_yet("approval.waiting"), Reason.FORBIDDEN, None),
]


@pytest.mark.parametrize("check", ["approval.waiting", "approval.refused", FULL])
@pytest.mark.parametrize(("dialect", "operation", "refusal", "outcome", "word"), TOLD)
def test_whoever_waits_is_told_so_in_the_words_of_its_dialect_and_never_why(
    dialect: Dialect, operation: str, refusal: Refusal, outcome: Outcome, word: object, check: str
) -> None:
    asked = Inbound(carrier=Carrier.HTTP, method="POST", path="/", peer=Peer("192.0.2.7"), operation=operation)
    refusal.check = check
    told = dialect.refuse(refusal, "", asked)
    assert told.outcome is outcome
    assert check.encode() not in told.body
    if word is not None:
        document = json.loads(told.body)
        assert word in (document.get("status"), document.get("code"), document.get("error", {}).get("code"))


@over_all
async def test_whoever_finds_no_room_to_wait_is_told_the_same_and_it_is_counted(carrier: Carrier) -> None:
    server = Server()
    profile = await server.registry.profile(options=(APPROVE_NEW,))
    others = [an_approval(profile, f"waiting {place}", stranger=SOURCE) for place in range(APPROVALS_OF_SOURCE)]
    await server.registry.repository.commit(Changes(insert=tuple(others)))
    assert await server.ask(carrier, body()) == failed(carrier)
    assert await server.checks() == [FULL]
    assert server.meter.bounds == ["approvals.waiting"]


def test_what_is_proposed_is_not_what_is_presented() -> None:
    """Say once more what stands in the dialect: the body proposes, the header presents."""
    decoded = thingsboard.decode(thingsboard.ROUTES[0], presenting(Carrier.HTTP, body(**BASIC), f"Bearer {TOKEN}"))
    assert decoded.message.credential == MqttBasic(NAME, "field", Secret("pw-0042"))
    assert decoded.message.proof == TokenLogin(Secret(TOKEN))
