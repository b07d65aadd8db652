"""The hook of a profile over the operator API."""

import pytest

from tests.dialects.operator_desk import Api

HOOK = {"url": "https://hooks.example.net/ask"}


async def test_a_hook_is_said_shown_changed_and_taken_back() -> None:
    api = Api()
    made = await api.get("create_profile", body={"name": "meters", "hook": HOOK})
    secret = made["hook"].pop("secret")
    assert len(secret) == 43
    assert made["hook"] == {**HOOK, "seconds": 5}
    shown = await api.get("show_profile", "meters")
    assert shown["hook"] == {**HOOK, "seconds": 5}
    changed = await api.get("change_profile", "meters", {"hook": {"seconds": 10}})
    assert changed["hook"] == {**HOOK, "seconds": 10}
    changed = await api.get("change_profile", "meters", {"hook": {"secret": "sixteen letters!"}})
    assert changed["hook"] == {**HOOK, "seconds": 10, "secret": "sixteen letters!"}
    rotated = await api.get("rotate_profile", "meters")
    assert rotated["hook"] == {**HOOK, "seconds": 10}
    assert (await api.get("change_profile", "meters", {}))["hook"] == {**HOOK, "seconds": 10}
    assert (await api.get("change_profile", "meters", {"hook": None}))["hook"] is None
    assert len((await api.get("change_profile", "meters", {"hook": HOOK}))["hook"]["secret"]) == 43


@pytest.mark.parametrize("hook", [{"url": 1}, {"uri": "https://a/"}, {"seconds": "5"}, "https://a/", {"secret": None}])
async def test_a_misspelt_hook_is_told(hook: object) -> None:
    api = Api()
    answer = await api.ask("create_profile", body={"name": "meters", "hook": hook})
    assert b"hook" in answer.body
    assert answer.outcome.value == "malformed"
