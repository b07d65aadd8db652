"""Who a device belongs to, on the command line."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-11-21T02:33:58.123Z"
OFFER = {"device": "d-1", "name": "meter-1", "code": "7KQXMW3T9ZRD", "expires_at": AT}
DEVICE = {
    "id": "d-1",
    "name": "meter-1",
    "label": "",
    "profile": "p-1",
    "state": "associated",
    "enabled": True,
    "metadata": {},
    "serial": "sn-1",
    "owner": "north",
    "firmware": {"version": "1.3.0", "url": "https://images.example/1", "size": 3, "sha256": "00"},
    "runs": "1.2.0",
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}


def test_a_code_is_drawn(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/devices/meter-1/association-code", OFFER, status=201)
    assert run("device", "offer", "meter-1").out.splitlines() == [
        "device      meter-1",
        "code        7KQXMW3T9ZRD",
        f"good until  {AT}",
    ]
    assert run("device", "offer", "meter-1", "--seconds", "60", "--json").json() == OFFER
    assert gateway.bodies("POST", "/v1/devices/meter-1/association-code") == [{}, {"seconds": 60}]


def test_a_code_is_withdrawn(gateway: Any, run: Run) -> None:
    gateway.on("DELETE", "/v1/devices/meter-1/association-code", lambda asked: (204, b"", {}))
    assert run("device", "withdraw", "meter-1").out == "device meter-1 withdrawn\n"


@pytest.mark.parametrize(
    ("argv", "more"), [([], {}), (["--organization", "north"], {"organization": "north"}), (["--user", "ann"], {"user": "ann"})]
)
def test_a_code_is_used(gateway: Any, run: Run, argv: list[str], more: dict[str, str]) -> None:
    gateway.json("POST", "/v1/associations", DEVICE)
    result = run("device", "associate", "7kqx-mw3t-9zrd", *argv)
    assert result.status == 0
    lines = dict(line.split(maxsplit=1) for line in result.out.splitlines() if len(line.split()) > 1)
    assert (lines["serial"], lines["owner"], lines["runs"]) == ("sn-1", "north", "1.2.0")
    assert lines["firmware"] == "1.3.0 from https://images.example/1"
    assert gateway.bodies("POST", "/v1/associations") == [{"code": "7kqx-mw3t-9zrd", **more}]


def test_only_one_can_own_a_device(gateway: Any, run: Run) -> None:
    assert run("device", "associate", "C", "--organization", "o", "--user", "u").status == 2
    assert gateway.asked == []


def test_a_device_is_given_up(gateway: Any, run: Run) -> None:
    gateway.json("DELETE", "/v1/devices/meter-1/association", {**DEVICE, "state": "connected"})
    assert run("device", "give-up", "meter-1", "--json").json()["state"] == "connected"


def test_codes_work_against_a_gateway_that_runs(operate: Run) -> None:
    assert operate("profile", "create", "owned").status == 0
    assert operate("device", "define", "owned-1", "--profile", "owned").status == 0
    code = operate("device", "offer", "owned-1", "--json").json()["code"]
    early = operate("device", "associate", code)
    assert early.status == 1
    assert "check association.state" in early.err
    assert operate("device", "withdraw", "owned-1").status == 0
    assert "check association.code" in operate("device", "associate", code).err
    assert "check device.not_associated" in operate("device", "give-up", "owned-1").err
