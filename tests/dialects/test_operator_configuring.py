"""Tenants, channels and configurations as operators get them."""

import json
from typing import Any

from adapters.exchange import Success
from core.errors import Reason
from core.model import EventKind, Role
from core.operate.configuring import ChangeClient
from tests.dialects.operator_desk import Api

CONFIG = {
    "external_id": "24:0a",
    "external_key": "factory-key-17",
    "name": "Pump 17",
    "content": '{"log":"debug"}',
    "channels": ["c-2", "c-1"],
    "client_cert": "CERT",
    "client_key": "KEY",
    "ca_cert": "CA",
}
SECRETS = {"external_key", "secret", "content", "client_cert", "client_key", "ca_cert"}


async def open_desk() -> Api:
    """Return an API whose registry has two channels."""
    api = Api()
    for body in ({"id": "c-1", "name": "up", "metadata": {"type": "data"}}, {"id": "c-2"}):
        assert (await api.ask("create_channel", body=body)).outcome is Success.CREATED
    return api


def open_parts(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in SECRETS}


async def test_a_tenant_has_the_agreed_fields() -> None:
    api = Api()
    answer = await api.ask("create_tenant", body={"name": "Acme", "id": "acme"})
    assert answer.outcome is Success.CREATED
    made = json.loads(answer.body)
    created = "2026-11-21T02:33:58.124Z"
    counted = {"devices": 0, "device_limit": None, "secure_bootstrap": False}
    assert made == {"id": "acme", "name": "Acme", "created_at": created, "version": 1, **counted}
    page = await api.get("list_tenants", query={"limit": "1"})
    assert (page["items"], page["next"]) == ([made], "acme")
    page = await api.get("list_tenants", query={"after": "acme"})
    assert ([each["id"] for each in page["items"]], page["next"]) == (["default"], None)
    drawn = await api.get("create_tenant", body={"name": "Drawn"})
    assert len(drawn["id"]) == 36
    assert (await api.ask("create_tenant", body={"name": "Again", "id": "acme"})).outcome is Reason.CONFLICT


async def test_tenants_are_for_admins() -> None:
    api = Api()
    bearer = await api.desk.token(Role.OPERATOR)
    for operation, body in (("create_tenant", {"name": "Acme"}), ("list_tenants", None)):
        assert (await api.ask(operation, body=body, bearer=bearer)).outcome is Reason.FORBIDDEN


async def test_a_tenant_has_channels_of_its_own() -> None:
    api = await open_desk()
    await api.ask("create_tenant", body={"name": "Acme", "id": "acme"})
    await api.ask("create_channel", body={"id": "c-9"}, query={"tenant": "acme"})
    for tenant, ids in (("acme", ["c-9"]), ("default", ["c-1", "c-2"])):
        assert [each["id"] for each in (await api.get("list_channels", query={"tenant": tenant}))["items"]] == ids


async def test_a_channel_has_the_agreed_fields() -> None:
    api = await open_desk()
    made = await api.get("show_channel", "c-1")
    assert made == {
        "id": "c-1",
        "name": "up",
        "metadata": {"type": "data"},
        "created_at": "2026-11-21T02:33:58.124Z",
        "updated_at": "2026-11-21T02:33:58.124Z",
        "version": 1,
    }
    changed = await api.get("change_channel", "c-1", {"name": "uplink"})
    assert changed == {**made, "name": "uplink", "version": 2, "updated_at": changed["updated_at"]}
    assert (await api.get("change_channel", "c-1", {"metadata": {}}))["metadata"] == {}
    deleted = await api.ask("delete_channel", "c-1")
    assert (deleted.outcome, deleted.body) == (Success.DELETED, b"")
    for operation in ("show_channel", "delete_channel"):
        refused = await api.ask(operation, "c-1")
        assert (refused.outcome, json.loads(refused.body)["check"]) == (Reason.NOT_FOUND, "channel.unknown")


async def test_channels_come_in_pages() -> None:
    api = Api()
    for number in range(5):
        await api.ask("create_channel", body={"id": f"c-{number}", "name": f"Line {number % 2}"})
    seen, after = [], ""
    while after is not None:
        page = await api.get("list_channels", query={"limit": "2", "after": after})
        seen += [each["id"] for each in page["items"]]
        after = page["next"]
    assert seen == [f"c-{number}" for number in range(5)]
    found = await api.get("list_channels", query={"name": "LINE 1"})
    assert ([each["id"] for each in found["items"]], found["next"]) == (["c-1", "c-3"], None)
    assert await api.get("list_channels", query={"limit": "2", "name": "none such"}) == {"items": [], "next": None}
    exactly = await api.get("list_channels", query={"limit": "5"})
    assert (len(exactly["items"]), exactly["next"]) == (5, None)


async def test_a_configuration_has_the_agreed_fields() -> None:
    api = await open_desk()
    answer = await api.ask("create_config", body=CONFIG)
    assert answer.outcome is Success.CREATED
    made = json.loads(answer.body)
    device = await api.get("show_device", made["id"])
    (credential,) = (await api.get("read_credentials", made["id"]))["items"]
    assert credential["type"] == "client_secret"
    assert made == {
        **CONFIG,
        "id": device["id"],
        "device": device["name"],
        "secret": credential["secret"],
        "channels": [{"id": "c-2", "name": "", "metadata": {}}, {"id": "c-1", "name": "up", "metadata": {"type": "data"}}],
        "active": False,
        "firmware": None,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "version": 1,
    }
    assert await api.get("show_config", made["id"]) == made
    event = await api.desk.last_event(EventKind.CREDENTIAL_READ)
    assert (event.device, event.actor) == (made["id"], "admin")
    item = {name: value for name, value in made.items() if name not in SECRETS}
    assert await api.get("list_configs") == {"items": [item], "next": None}


async def test_a_configuration_of_a_device_that_is_there() -> None:
    api = await open_desk()
    await api.get("create_profile", body={"name": "meters"})
    device = await api.get("define_device", body={"name": "meter-1", "profile": "meters"})
    made = await api.get("create_config", body={"external_id": "e", "external_key": "k", "device": device["id"]})
    assert (made["id"], made["device"], made["channels"]) == (device["id"], "meter-1", [])
    refused = await api.ask("create_config", body={"external_id": "f", "external_key": "k", "device": device["id"]})
    assert (refused.outcome, json.loads(refused.body)["check"]) == (Reason.CONFLICT, "config_device")
    gone = await api.ask("create_config", body={"external_id": "f", "external_key": "k", "device": "gone"})
    assert (gone.outcome, json.loads(gone.body)["check"]) == (Reason.NOT_FOUND, "config.client_unknown")


async def test_the_names_of_configurations_are_unique() -> None:
    api = await open_desk()
    first = await api.get("create_config", body={"external_id": "e-1", "external_key": "k", "name": "pump"})
    refused = await api.ask("create_config", body={"external_id": "e-2", "external_key": "k", "name": "pump"})
    assert (refused.outcome, json.loads(refused.body)["check"]) == (Reason.CONFLICT, "config_name")
    second = await api.get("create_config", body={"external_id": "e-2", "external_key": "k"})
    refused = await api.ask("change_config", second["id"], {"name": "pump"})
    assert json.loads(refused.body)["check"] == "config_name"
    assert (await api.get("change_config", first["id"], {"name": ""}))["name"] == ""
    assert (await api.get("change_config", second["id"], {"name": "pump"}))["name"] == "pump"


async def test_a_change_answers_without_secrets_and_changes_what_was_given() -> None:
    api = await open_desk()
    made = await api.get("create_config", body=CONFIG)
    changed = await api.get("change_config", made["id"], {"content": "new", "channels": ["c-1"], "active": True})
    assert not SECRETS & set(changed)
    assert (changed["active"], [each["id"] for each in changed["channels"]], changed["version"]) == (True, ["c-1"], 2)
    assert open_parts(await api.get("show_config", made["id"])) == open_parts(made) | {"content": "new"}
    await api.get("change_config", made["id"], {"client_cert": "C2"})
    certificates = {"client_cert": "C2", "client_key": "", "ca_cert": ""}
    assert open_parts(await api.get("show_config", made["id"])) == open_parts(made) | {"content": "new"} | certificates
    refused = await api.ask("change_config", made["id"], {"channels": ["c-1", "gone"], "content": "never"})
    assert (refused.outcome, json.loads(refused.body)["check"]) == (Reason.MALFORMED, "config.channel_unknown")
    assert (await api.get("show_config", made["id"]))["content"] == "new"


async def test_a_device_may_use_the_channels_of_an_active_configuration() -> None:
    api = await open_desk()
    made = await api.get("create_config", body=CONFIG)
    assert await api.get("list_permitted", made["id"]) == {"items": []}
    await api.get("change_config", made["id"], {"active": True})
    permitted = await api.get("list_permitted", made["device"])
    assert permitted["items"] == [await api.get("show_channel", each) for each in ("c-2", "c-1")]
    assert (await api.ask("list_permitted", "gone")).outcome is Reason.NOT_FOUND
    assert (await api.ask("delete_config", made["id"])).outcome is Success.DELETED
    assert await api.get("list_permitted", made["id"]) == {"items": []}
    assert (await api.ask("show_config", made["id"])).outcome is Reason.NOT_FOUND


async def test_configurations_are_found_by_their_filters() -> None:
    api = await open_desk()
    ids = {}
    for number in range(3):
        body = {"external_id": f"e-{number}", "external_key": "k", "name": f"Pump {number}"}
        ids[number] = (await api.get("create_config", body=body))["id"]
    await api.get("change_config", ids[1], {"active": True})
    for query, found in (
        ({"external_id": "e-2"}, [2]),
        ({"external_id": "e-"}, []),
        ({"name": "pUMP"}, [0, 1, 2]),
        ({"active": "true"}, [1]),
        ({"active": "false", "name": "2"}, [2]),
        ({"after": ids[0]}, [1, 2]),
    ):
        page = await api.get("list_configs", query=query)
        assert ([each["id"] for each in page["items"]], page["next"]) == ([ids[number] for number in found], None)
    page = await api.get("list_configs", query={"limit": "2"})
    assert (len(page["items"]), page["next"]) == (2, ids[1])


async def test_an_auditor_sees_no_secret() -> None:
    api = await open_desk()
    made = await api.get("create_config", body=CONFIG)
    bearer = await api.desk.token(Role.AUDITOR)
    shown = json.loads((await api.ask("show_config", made["id"], bearer=bearer)).body)
    assert open_parts(shown) == dict.fromkeys(SECRETS, "") | {"secret": None}
    assert (await api.ask("change_config", made["id"], {}, bearer=bearer)).outcome is Reason.FORBIDDEN


async def test_external_ids_that_were_asked_for_in_vain() -> None:
    api = Api()
    assert await api.get("list_unknown", query={"offset": "0", "limit": "5"}) == {"items": []}


async def test_a_content_of_a_megabyte_comes_back() -> None:
    api = await open_desk()
    content = "x\n" * 500_000
    made = await api.get("create_config", body={"external_id": "e", "external_key": "k", "content": content})
    assert (await api.get("show_config", made["id"]))["content"] == content


async def test_a_client_secret_is_rotated_into_another() -> None:
    api = await open_desk()
    made = await api.get("create_config", body=CONFIG)
    (drawn,) = (await api.get("rotate_credentials", made["id"]))["items"]
    assert drawn["type"] == "client_secret"
    assert drawn["secret"] != made["secret"]
    (chosen,) = (await api.get("rotate_credentials", made["id"], {"type": "client_secret", "secret": "chosen-1"}))["items"]
    assert chosen["secret"] == "chosen-1"
    assert (await api.get("show_config", made["id"]))["secret"] == "chosen-1"


async def test_the_label_of_a_client_is_shown() -> None:
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    device = await api.get("define_device", body={"name": "meter-1", "profile": "meters"})
    await api.desk(ChangeClient(id=device["id"], label="Pump 17"))
    assert (device["label"], (await api.get("show_device", "meter-1"))["label"]) == ("", "Pump 17")
