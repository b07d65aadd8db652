"""What operators are answered about associations and firmware."""

import csv
import json
from typing import Any

import msgspec
import pytest

from adapters.exchange import Success
from core import lifecycle
from core.errors import Reason
from core.model import DEFAULT_TENANT, DeviceState
from core.ports import Changes
from core.queries import DeviceNamesQuery
from tests.dialects.associating_requests import IMAGE
from tests.dialects.operator_desk import Api

SHOWN = {**IMAGE, "sha256": "0f" * 32}


async def woken() -> Api:
    """Return a desk with a device that came once, and says that it runs 1.2.0."""
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    await api.get("define_device", body={"name": "meter-1", "profile": "meters"})
    (found,) = await api.desk.repository.read(DeviceNamesQuery(DEFAULT_TENANT, ("meter-1",)))
    assert found is not None
    changed = lifecycle.advance(found.device, DeviceState.CONNECTED, api.desk.clock.now())
    await api.desk.repository.commit(Changes(replace=(msgspec.structs.replace(changed, runs="1.2.0", serial="sn-1"),)))
    return api


async def refused(api: Api, operation: str, ref: str = "", body: object = None) -> tuple[object, str]:
    answer = await api.ask(operation, ref, body)
    problem: dict[str, Any] = json.loads(answer.body)
    return answer.outcome, problem["check"]


async def test_a_code_is_drawn_and_used_and_the_device_given_up() -> None:
    api = await woken()
    answer = await api.ask("offer_device", "meter-1", {"seconds": 60})
    assert answer.outcome is Success.CREATED
    assert ("Cache-Control", "no-store") in answer.headers
    offer = json.loads(answer.body)
    device = await api.get("show_device", "meter-1")
    assert offer == {
        "device": device["id"],
        "name": "meter-1",
        "code": offer["code"],
        "expires_at": "2026-11-21T02:34:58.126Z",
    }
    associated = await api.ask("associate_device", body={"code": offer["code"].lower()})
    assert associated.outcome is Success.OK
    shown = json.loads(associated.body)
    assert (shown["state"], shown["owner"], shown["associated_at"]) == ("associated", "", "2026-11-21T02:33:58.128Z")
    assert shown == await api.get("show_device", "meter-1")
    given_up = await api.get("give_up_device", "meter-1")
    assert (given_up["state"], given_up["associated_at"]) == ("connected", None)


async def test_a_withdrawn_code_is_unknown() -> None:
    api = await woken()
    offer = await api.get("offer_device", "meter-1")
    withdrawn = await api.ask("withdraw_offer", "meter-1")
    assert (withdrawn.outcome, withdrawn.body) == (Success.DELETED, b"")
    assert await refused(api, "associate_device", body={"code": offer["code"]}) == (Reason.NOT_FOUND, "association.code")


@pytest.mark.parametrize(
    ("operation", "ref", "body", "reason", "check"),
    [
        ("offer_device", "nothing", None, Reason.NOT_FOUND, "device.unknown"),
        ("offer_device", "meter-1", {"seconds": 1}, Reason.MALFORMED, "association.seconds"),
        ("offer_device", "meter-1", {"hours": 1}, Reason.MALFORMED, "body.field"),
        ("associate_device", "", {"code": "x", "organization": "nobody"}, Reason.NOT_FOUND, "entry.unknown"),
        ("associate_device", "", {"code": "x", "organization": "o", "user": "u"}, Reason.MALFORMED, "association.target"),
        ("associate_device", "", {}, Reason.MALFORMED, "body.field"),
        ("give_up_device", "meter-1", None, Reason.CONFLICT, "device.not_associated"),
        ("set_device_firmware", "nothing", IMAGE, Reason.NOT_FOUND, "device.unknown"),
        ("set_config_firmware", "meter-1", IMAGE, Reason.NOT_FOUND, "config.unknown"),
        ("set_profile_firmware", "nothing", IMAGE, Reason.NOT_FOUND, "profile.unknown"),
        ("set_device_firmware", "meter-1", {**IMAGE, "url": "x"}, Reason.MALFORMED, "firmware.url"),
        ("set_device_firmware", "meter-1", {**IMAGE, "size": "81920"}, Reason.MALFORMED, "body.field"),
        ("set_device_firmware", "meter-1", {**IMAGE, "size": 2**70}, Reason.MALFORMED, "firmware.size"),
    ],
)
async def test_what_is_wrong_is_told(operation: str, ref: str, body: object, reason: Reason, check: str) -> None:
    assert await refused(await woken(), operation, ref, body) == (reason, check)


async def test_a_device_that_has_not_come_cannot_be_associated() -> None:
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    await api.get("define_device", body={"name": "meter-1", "profile": "meters"})
    offer = await api.get("offer_device", "meter-1")
    assert await refused(api, "associate_device", body={"code": offer["code"]}) == (
        Reason.UNPROCESSABLE,
        "association.state",
    )


async def test_firmware_is_said_shown_and_cleared() -> None:
    api = await woken()
    device = await api.get("show_device", "meter-1")
    await api.get("create_config", body={"external_id": "e", "external_key": "k", "device": device["id"]})
    for noun, ref, show in (
        ("device", "meter-1", "show_device"),
        ("config", device["id"], "show_config"),
        ("profile", "meters", "show_profile"),
    ):
        answer = await api.ask(f"set_{noun}_firmware", ref, IMAGE)
        assert (answer.outcome, json.loads(answer.body)) == (Success.OK, SHOWN)
        assert (await api.get(show, ref))["firmware"] == SHOWN
        cleared = await api.ask(f"clear_{noun}_firmware", ref)
        assert (cleared.outcome, cleared.body) == (Success.DELETED, b"")
        assert (await api.get(show, ref))["firmware"] is None


async def test_who_runs_what_is_listed() -> None:
    api = await woken()
    profile = await api.get("show_profile", "meters")
    line = {"profile": profile["id"], "profile_name": "meters", "version": "1.2.0", "devices": 1}
    assert await api.get("list_firmware") == {"items": [line], "complete": True}
    assert await api.get("list_firmware", query={"profile": "meters"}) == {"items": [line], "complete": True}


async def test_an_export_tells_what_is_known_of_a_device() -> None:
    api = await woken()
    await api.get("set_device_firmware", "meter-1", IMAGE)
    (row,) = csv.DictReader((await api.ask("export_devices")).body.decode().splitlines())
    assert (row["serial"], row["owner"], row["firmware"], row["runs"]) == ("sn-1", "", "1.3.0", "1.2.0")
    assert (row["provisioned_at"], row["connected_at"]) == ("", "2026-11-21T02:33:58.125Z")


async def test_the_description_tells_of_their_own_refusals() -> None:
    paths = (await Api().get("describe_api"))["paths"]
    assert {"404", "409", "422"} < set(paths["/v1/associations"]["post"]["responses"])
    assert {"404", "422"} < set(paths["/v1/devices/{id}/association-code"]["post"]["responses"])
    assert "404" in paths["/v1/firmware"]["get"]["responses"]
    assert set(paths["/v1/devices/{id}/firmware"]) == {"put", "delete"}
