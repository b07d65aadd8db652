"""Organisations and users, their login, and the association of devices with them, over HTTP and the real core."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.limits import Rate
from core.model import EventKind, Role
from tests.dialects.xively_server import ACCOUNT, Answer, Line, other_account, serving

NOBODY = "3b0a6c0e-0c1e-4a39-9a7e-5b7c7e1f2a10"
MAIL, PASSWORD = "Ada@example.org", "a long password"
LOGIN = "/auth/login-user"


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with serving() as line:
        yield line


async def log_in(line: Line, **changed: Any) -> Answer:
    body = {"accountId": ACCOUNT, "emailAddress": MAIL, "password": PASSWORD} | changed
    return await line.ask("POST", LOGIN, body, AccessToken="app-token", Authorization="")


async def user(line: Line, **members: Any) -> Any:
    return await line.create("/account-users", name="Ada", emailAddress=MAIL, password=PASSWORD, **members)


KINDS = {
    "/organizations": ("organization", {"name": "Home-1", "city": "Graz", "industry": "x"}),
    "/organizations/templates": ("organizationTemplate", {"name": "Home"}),
    "/end-users": ("endUser", {"name": "Ada", "emailAddress": "ada@example.org", "phoneNumber": "1"}),
    "/end-users/templates": ("endUserTemplate", {"name": "Home User"}),
    "/account-users": ("accountUser", {"name": "Eve", "emailAddress": "eve@example.org"}),
}


@pytest.mark.parametrize("path", KINDS)
async def test_every_kind_is_made_shown_listed_changed_and_deleted(line: Line, path: str) -> None:
    one, members = KINDS[path]
    made = (await line.done("POST", path, {"accountId": ACCOUNT} | members))[one]
    for member, value in members.items():
        assert made[member] == value
    assert made["accountId"] == ACCOUNT
    assert made["createdById"] == f"xi/jwt/{ACCOUNT}"
    place = f"{path}/{made['id']}"
    answer = await line.ask("GET", place)
    assert answer.body == {one: made}
    assert answer.headers["etag"] == f'"{made["version"]}"'
    assert made["id"] in [each["id"] for each in (await line.list(path))["results"]]
    assert (await line.list(path, f"&name={members['name']}"))["meta"]["count"] == 1
    assert (await line.ask("PUT", place, {"name": "x"})).error() == (400, "11", "etag")
    changed = (await line.done("PUT", place, {**made, "name": "New"}, etag=made["version"]))[one]
    assert {name for name in made if made[name] != changed[name]} <= {"name", "version", "lastModified"}
    assert changed["name"] == "New"
    assert (await line.ask("DELETE", place, etag=made["version"])).error() == (412, "12", "No target")
    assert (await line.done("DELETE", place, etag=changed["version"]))[one] == changed
    assert (await line.ask("GET", place)).error() == (404, "22", "No target")
    assert (await line.ask("PUT", place, {}, etag="*")).error() == (404, "22", "No target")


@pytest.mark.parametrize("path", ["/organizations", "/organizations/templates", "/end-users/templates"])
async def test_what_is_no_person_needs_a_name(line: Line, path: str) -> None:
    assert (await line.ask("POST", path, {"accountId": ACCOUNT})).error() == (400, "10", "name")
    assert (await line.ask("POST", path, {"name": "x"})).error() == (400, "10", "accountId")


async def test_organisations_are_within_each_other(line: Line) -> None:
    template = await line.create("/organizations/templates", name="Home")
    outer = await line.create("/organizations", name="outer", organizationTemplateId=template["id"])
    inner = await line.create("/organizations", name="inner", parentId=outer["id"])
    own = (await line.list("/organizations"))["results"][0]
    assert (outer["organizationTemplateId"], outer["parentId"]) == (template["id"], own["id"])
    assert (inner["organizationTemplateId"], inner["parentId"]) == (None, outer["id"])
    assert [each["name"] for each in (await line.list("/organizations", f"&parentId={outer['id']}"))["results"]] == ["inner"]
    body = {"accountId": ACCOUNT, "name": "x", "parentId": NOBODY}
    assert (await line.ask("POST", "/organizations", body)).error() == (404, "22", "No target")
    in_use = await line.ask("DELETE", f"/organizations/{outer['id']}", etag=outer["version"])
    assert in_use.error() == (409, "33", "No target")
    stays = await line.ask("DELETE", f"/organizations/{own['id']}", etag=own["version"])
    assert stays.error() == (422, "34", "No target")


async def test_users_belong_to_organisations(line: Line) -> None:
    organization = await line.create("/organizations", name="Home-1")
    template = await line.create("/end-users/templates", name="Home User")
    made = await line.create(
        "/end-users",
        name="Ada",
        organizationId=organization["id"],
        organizationTemplateId="not looked at",
        endUserTemplateId=template["id"],
    )
    assert (made["organizationId"], made["endUserTemplateId"]) == (organization["id"], template["id"])
    assert (made["userId"], made["emailAddress"], made["role"]) == (made["id"], None, "customer")
    found = await line.list("/end-users", f"&organizationId={organization['id']}")
    assert [each["id"] for each in found["results"]] == [made["id"]]


async def test_a_user_is_found_by_user_id(line: Line) -> None:
    made = [await line.create("/end-users", name=str(place)) for place in range(12)]
    found = await line.list("/end-users", f"&userId={made[11]['userId']}&sortOrder=asc")
    assert [each["id"] for each in found["results"]] == [made[11]["id"]]
    assert found["meta"] == {"count": 1, "page": 1, "pageSize": 10, "sortOrder": "asc"}
    nobody = await line.list("/account-users", f"&userId={made[11]['userId']}")
    assert (nobody["results"], nobody["meta"]["count"]) == ([], 0)
    paths = [f"/api/v1/{path}?accountId={ACCOUNT}&userId={NOBODY}" for path in ("end-users", "account-users")]
    batch = await line.ask("POST", "/batch", {"requests": [{"method": "GET", "path": path} for path in paths]})
    assert [each[name]["results"] for each, name in zip(batch.body, ("endUsers", "accountUsers"), strict=True)] == [[], []]
    second = await line.list("/end-users", f"&userId={made[11]['userId']}&page=2")
    assert (second["results"], second["meta"]["count"]) == ([], 1)
    assert (await line.list("/end-users", f"&userId={made[11]['userId']}&results=false"))["meta"]["count"] == 1
    assert (await line.list("/end-users", "&userId="))["meta"]["count"] == 12
    assert (await line.list("/organizations", f"&userId={NOBODY}"))["meta"]["count"] == 1
    assert await line.desk.events(EventKind.REQUEST_REFUSED) == ()


async def test_entries_are_listed_by_template(line: Line) -> None:
    template = await line.create("/organizations/templates", name="Home")
    made = await line.create("/organizations", name="Home-1", organizationTemplateId=template["id"])
    await line.create("/organizations", name="Home-2")
    found = await line.list("/organizations", f"&organizationTemplateId={template['id']}")
    assert ([each["id"] for each in found["results"]], found["meta"]["count"]) == ([made["id"]], 1)
    assert (await line.list("/organizations", f"&organizationTemplateId={NOBODY}"))["meta"]["count"] == 0
    people = await line.create("/end-users/templates", name="Home User")
    ada = await line.create("/end-users", name="Ada", endUserTemplateId=people["id"])
    await line.create("/end-users", name="Eve")
    found = await line.list("/end-users", f"&endUserTemplateId={people['id']}")
    assert [each["id"] for each in found["results"]] == [ada["id"]]
    assert (await line.list("/account-users", f"&endUserTemplateId={people['id']}&=x"))["meta"]["count"] == 0


async def test_a_mail_address_is_one_users(line: Line) -> None:
    await user(line)
    body = {"accountId": ACCOUNT, "emailAddress": MAIL.upper()}
    assert (await line.ask("POST", "/end-users", body)).error() == (409, "33", "No target")


@pytest.mark.parametrize(
    ("members", "target"),
    [
        ({"password": "short", "emailAddress": "a@b.c"}, "password"),
        ({"password": PASSWORD}, "emailAddress"),
        ({"role": "king"}, "role"),
        ({"role": "customer"}, "role"),
        ({"emailAddress": 7}, "emailAddress"),
        ({"password": ["x"]}, "password"),
        ({"emailAddress": "a\u0007b"}, "emailAddress"),
    ],
)
async def test_a_user_that_could_not_log_in_is_refused(line: Line, members: dict[str, Any], target: str) -> None:
    answer = await line.ask("POST", "/account-users", {"accountId": ACCOUNT} | members)
    assert answer.error() == (400, "10", target)
    assert PASSWORD not in json.dumps(answer.body)


async def test_a_user_logs_in_and_works(line: Line) -> None:
    made = await user(line)
    assert made["role"] == "operator"
    assert "password" not in made
    answer = await log_in(line)
    assert answer.status == 200
    assert list(answer.body) == ["jwt"]
    assert answer.body["jwt"].count(".") == 2
    assert answer.headers["cache-control"] == "no-store"
    line.bearer = answer.body["jwt"]
    assert (await line.list("/devices"))["meta"]["count"] == 0
    assert (await line.template())["name"] == "meters"
    line.desk.clock.advance(24 * 3600)
    over = await line.ask("GET", f"/devices?accountId={ACCOUNT}")
    assert over.error() == (401, "20", "No target")
    assert over.headers["www-authenticate"] == "Bearer"


async def test_a_users_role_is_what_it_may_do(line: Line) -> None:
    made = await user(line, role="auditor")
    line.bearer, admin = (await log_in(line)).body["jwt"], line.bearer
    assert (await line.ask("POST", "/devices/templates", {"accountId": ACCOUNT, "name": "x"})).error()[:2] == (403, "21")
    line.bearer = admin
    place = f"/account-users/{made['id']}"
    changed = await line.done("PUT", place, {"role": "operator", "password": "another password"}, etag=made["version"])
    assert changed["accountUser"]["role"] == "operator"
    assert (await log_in(line)).status == 401
    assert (await log_in(line, password="another password")).status == 200


@pytest.mark.parametrize(
    "changed", [{"password": "wrong"}, {"emailAddress": "eve@example.org"}, {"accountId": "nowhere"}], ids=str
)
async def test_a_wrong_login_is_told_in_its_own_form(line: Line, changed: dict[str, str]) -> None:
    await user(line)
    answer = await log_in(line, **changed)
    assert answer.status == 401
    assert list(answer.body) == ["message", "error"]
    assert answer.body["error"] == "Unauthorized"
    assert answer.body["message"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("member", ["accountId", "emailAddress", "password"])
async def test_a_login_needs_three_members(line: Line, member: str) -> None:
    values: tuple[Any, ...] = (None, "", 7, [], "x" * 256)
    for bad in values:
        answer = await log_in(line, **{member: bad})
        assert answer.error() == (400, "10", member)


async def test_the_login_takes_post_alone(line: Line) -> None:
    answer = await line.ask("GET", LOGIN)
    assert answer.error() == (405, "13", "No target")
    assert answer.headers["allow"] == "POST"


async def test_too_many_wrong_logins_are_told_when_to_come_again() -> None:
    async with serving(failures=Rate(0.1, 2.0)) as line:
        for _ in range(2):
            assert (await log_in(line)).status == 401
        answer = await log_in(line)
        assert answer.error() == (429, "40", "No target")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("bearer", ["", "nonsense", "a.b.c", "x" * 5_000])
async def test_a_bad_token_is_refused_before_anything_is_read(line: Line, bearer: str) -> None:
    line.bearer = bearer
    for method, path, body in (
        ("GET", f"/devices?accountId={ACCOUNT}", None),
        ("GET", "/devices", None),
        ("POST", "/devices", {}),
        ("PUT", f"/devices/{NOBODY}", {}),
        ("POST", "/access/mqtt-credentials", []),
        ("POST", "/association/start-association-with-code", {}),
        ("POST", "/batch", {"requests": "x"}),
        ("POST", "/batch", {"requests": [{"method": "GET", "path": "/api/v1/devices/7"}] * 3}),
    ):
        answer = await line.ask(method, path, body)
        assert answer.error() == (401, "20", "No target")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_is_bearer_in_any_case(line: Line) -> None:
    for scheme, status in (("bearer", 200), ("BEARER", 200), ("Basic", 401), ("", 401)):
        answer = await line.ask("GET", f"/devices?accountId={ACCOUNT}", authorization=f"{scheme} {line.bearer}".strip())
        assert answer.status == status


async def test_too_many_wrong_tokens_are_told_when_to_come_again() -> None:
    async with serving(failures=Rate(0.1, 2.0)) as line:
        line.bearer = "nonsense"
        answers = [await line.ask("GET", f"/devices/{NOBODY}") for _ in range(3)]
        assert [answer.error()[:2] for answer in answers] == [(401, "20"), (401, "20"), (429, "40")]
        assert int(answers[2].headers["retry-after"]) > 0
        batch = {"requests": [{"method": "GET", "path": "/api/v1/devices/7"}]}
        assert (await line.ask("POST", "/batch", batch)).error()[:2] == (429, "40")


async def test_a_batch_with_a_wrong_token_counts_once() -> None:
    async with serving(failures=Rate(0.1, 2.0)) as line:
        line.bearer = "nonsense"
        batch = {"requests": [{"method": "GET", "path": "/api/v1/devices/7"}] * 100}
        answers = [await line.ask("POST", "/batch", batch) for _ in range(3)]
        assert [answer.error()[:2] for answer in answers] == [(401, "20"), (401, "20"), (429, "40")]
        assert len(await line.desk.events(EventKind.REQUEST_REFUSED)) == 3


async def test_users_have_mqtt_secrets(line: Line) -> None:
    for path, kind in (("/end-users", "endUser"), ("/account-users", "accountUser")):
        made = await line.create(path, name="Ada")
        first, second = [await line.create("/access/mqtt-credentials", entityId=made["id"], entityType=kind) for _ in range(2)]
        assert (first["entityId"], first["entityType"]) == (made["id"], kind)
        assert first["id"] == second["id"]
        assert first["secret"] != second["secret"]
        assert first["version"] != second["version"]


async def test_an_operator_gives_end_users_their_secrets(line: Line) -> None:
    ada, eve = await line.create("/end-users", name="Ada"), await line.create("/account-users", name="Eve")
    await line.token(Role.OPERATOR)
    assert (await line.create("/access/mqtt-credentials", entityId=ada["id"], entityType="endUser"))["secret"]
    body = {"accountId": ACCOUNT, "entityId": eve["id"], "entityType": "accountUser"}
    assert (await line.ask("POST", "/access/mqtt-credentials", body)).error() == (403, "21", "No target")


# End users


def claims_of(token: str) -> Any:
    """Read what a token says, as a client does that has no key."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def test_an_end_user_works_as_a_telephone_does(line: Line) -> None:
    home, neighbours = [await line.create("/organizations", name=name) for name in ("Home-1", "Home-2")]
    ada, eve = [
        await line.create("/end-users", name=mail, emailAddress=mail, password=PASSWORD, organizationId=organization["id"])
        for mail, organization in ((MAIL, home), ("eve@example.org", neighbours))
    ]
    template = await line.template()
    mine, foreign, theirs = [await line.device(template, serial) for serial in ("1", "2", "3")]
    for device in (mine, foreign, theirs):
        await line.arm(device)
    codes = [await line.code(device) for device in (mine, foreign, theirs)]
    assert (await line.associate(codes[1], endUserId=eve["id"])).status == 200

    line.bearer, admin = (await log_in(line)).body["jwt"], line.bearer
    claims = claims_of(line.bearer)
    assert (claims["userId"], claims["accountId"]) == (ada["id"], ACCOUNT)
    assert (await line.list("/end-users", f"&userId={claims['userId']}"))["results"] == [ada]
    assert (await line.done("GET", f"/end-users/{ada['id']}"))["endUser"] == ada
    assert (await line.list("/organizations"))["results"] == [home]
    assert (await line.list("/devices"))["results"] == []
    assert (await line.associate(codes[0], endUserId=claims["userId"])).status == 200
    assert [each["id"] for each in (await line.list("/devices"))["results"]] == [mine["id"]]
    assert (await line.list("/devices", "&provisioningState=associated"))["meta"]["count"] == 1
    assert (await line.list("/devices", f"&organizationId={neighbours['id']}"))["meta"]["count"] == 0
    assert (await line.read(mine))["organizationId"] == home["id"]
    made = await line.create("/access/mqtt-credentials", entityId=claims["userId"], entityType="endUser")
    assert await line.log_in_device(ada["id"], made["secret"]) == ada["id"]

    for path in (f"/devices/{foreign['id']}", f"/devices/{theirs['id']}", f"/organizations/{neighbours['id']}"):
        assert (await line.ask("GET", path)).error() == (404, "22", "No target")
    assert (await line.ask("GET", f"/end-users/{eve['id']}")).error() == (404, "22", "No target")
    body = {"accountId": ACCOUNT, "entityId": eve["id"], "entityType": "endUser"}
    assert (await line.ask("POST", "/access/mqtt-credentials", body)).error() == (404, "22", "No target")
    assert (await line.list("/end-users", f"&userId={eve['id']}"))["results"] == []
    assert (await line.list("/account-users"))["results"] == []
    for method, path in (("PUT", f"/end-users/{ada['id']}"), ("DELETE", f"/devices/{mine['id']}")):
        assert (await line.ask(method, path, {}, etag="*")).error() == (403, "21", "No target")
    line.bearer = admin
    assert (await line.list("/end-users"))["meta"]["count"] == 2


# Association


async def armed(line: Line) -> Any:
    device = await line.device(await line.template())
    await line.arm(device)
    return device


async def test_a_code_associates_once(line: Line) -> None:
    device = await armed(line)
    organization = await line.create("/organizations", name="Home-1")
    customer = await line.create("/end-users", name="Ada", organizationId=organization["id"])
    code = await line.code(device)
    answer = await line.associate(code, endUserId=customer["id"])
    assert (answer.status, answer.body) == (200, {"deviceId": device["id"]})
    now = await line.read(device)
    assert (now["provisioningState"], now["organizationId"]) == ("associated", organization["id"])
    assert (await line.associate(code, endUserId=customer["id"])).error() == (404, "22", "No target")


async def test_a_device_is_associated_again_with_another_code(line: Line) -> None:
    device = await armed(line)
    first, second = [await line.create("/organizations", name=name) for name in ("Home-1", "Home-2")]
    for organization in (first, second):
        assert (await line.associate(await line.code(device), organizationId=organization["id"])).status == 200
        now = await line.read(device)
        assert (now["provisioningState"], now["organizationId"]) == ("associated", organization["id"])
    await line.arm(device)
    assert (await line.read(device))["provisioningState"] == "associated"
    assert (await line.associate(await line.code(device), organizationId=device["organizationId"])).status == 200
    assert (await line.read(device))["organizationId"] == device["organizationId"]


async def test_a_defined_device_cannot_be_associated(line: Line) -> None:
    device = await line.device(await line.template())
    organization = await line.create("/organizations", name="Home-1")
    code = await line.code(device)
    refused = await line.associate(code, organizationId=organization["id"])
    assert refused.error() == (422, "30", "No target")
    assert (await line.read(device))["provisioningState"] == "defined"
    await line.arm(device)
    assert (await line.associate(code, organizationId=organization["id"])).status == 200


async def test_a_new_code_replaces_the_old_one(line: Line) -> None:
    device = await armed(line)
    organization = await line.create("/organizations", name="Home-1")
    first, second = [await line.code(device) for _ in range(2)]
    assert first != second
    assert (await line.associate(first, organizationId=organization["id"])).error() == (404, "22", "No target")
    line.desk.clock.advance(25 * 3600)
    assert (await line.associate(second, organizationId=organization["id"])).error() == (404, "22", "No target")


async def test_what_an_association_needs(line: Line) -> None:
    path = "/association/start-association-with-code"
    code = {"associationCode": "ABCDEFGHJKMN"}
    bad_codes: tuple[Any, ...] = (None, "", 7, "x" * 300, "x", "ABCDEFGHJKM", "ABCDEFGHJKMNP", "ABCDEF/HJKMN", "ABCDEFGHJKMÑ")
    for each in bad_codes:
        answer = await line.ask("POST", path, {"associationCode": each, "endUserId": "u"})
        assert answer.error() == (400, "10", "associationCode")
    bad_targets: tuple[Any, ...] = (
        {},
        {"endUserId": "u", "organizationId": "o"},
        {"endUserId": "", "organizationId": None},
        {"endUserId": [7]},
    )
    for each in bad_targets:
        assert (await line.ask("POST", path, code | each)).error() == (400, "10", "endUserId")
    for target in ("endUserId", "organizationId"):
        assert (await line.ask("POST", path, code | {target: NOBODY})).error() == (404, "22", "No target")
    bodies: tuple[Any, ...] = ([], "x", None, 7)
    for each in bodies:
        assert (await line.ask("POST", path, each)).error() == (400, "10", "No target")
    offer = "/association/create-association-code"
    assert (await line.ask("POST", offer, {})).error() == (400, "10", "deviceId")
    assert (await line.ask("POST", offer, {"deviceId": NOBODY})).error() == (404, "22", "No target")


async def test_of_many_with_one_code_one_gets_the_device(line: Line) -> None:
    device = await armed(line)
    organization = await line.create("/organizations", name="Home-1")
    code = await line.code(device)
    answers = await asyncio.gather(*(line.associate(code, organizationId=organization["id"]) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [404] * 19


async def test_another_account_neither_sees_nor_associates(line: Line) -> None:
    device = await armed(line)
    code = await line.code(device)
    other = await other_account(line.desk)
    body = {"accountId": other, "name": "Elsewhere-1"}
    organization = (await line.done("POST", "/organizations", body))["organization"]
    assert (await line.associate(code, organizationId=organization["id"])).error() == (404, "22", "No target")
    assert (await line.list("/organizations", "&name=Elsewhere-1"))["results"] == []
    assert (await line.read(device))["provisioningState"] == "activated"


async def test_an_auditor_associates_nothing(line: Line) -> None:
    device = await armed(line)
    code = await line.code(device)
    await line.token(Role.AUDITOR)
    assert (await line.associate(code, organizationId=device["organizationId"])).error() == (403, "21", "No target")
    refused = await line.ask("POST", "/association/create-association-code", {"deviceId": device["id"]})
    assert refused.error() == (403, "21", "No target")
