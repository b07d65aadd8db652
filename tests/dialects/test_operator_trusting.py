"""Chains, certificates from here, unprotected wires and OSCORE contexts over the operator API."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.core.authorities import authority
from tests.dialects.operator_desk import Api

ROOT = authority("root")
ANCHOR = authority("factory", ROOT)
PEM = "".join(each.certificate.public_bytes(Encoding.PEM).decode() for each in (ANCHOR, ROOT))
SECRET = "0102030405060708090a0b0c0d0e0f10"


async def test_a_profile_of_chains_is_made_shown_and_changed() -> None:
    api = Api()
    chain = {"certificate": PEM, "pattern": "^(.*)$", "create": False, "lax": True}
    made = await api.get("create_profile", body={"name": "pumps", "strategy": "certificate_chain", "chain": chain})
    assert (made["strategy"], made["provision_key"]) == ("certificate_chain", ANCHOR.id)
    assert made["chain"] == {"anchor": ANCHOR.id, **chain}
    changed = await api.get("change_profile", "pumps", {"chain": {"create": True}})
    assert changed["chain"] == {**made["chain"], "create": True}
    again = {"name": "valves", "strategy": "certificate_chain", "chain": {"certificate": changed["chain"]["certificate"]}}
    assert (await api.get("create_profile", body=again))["chain"]["anchor"] == ANCHOR.id


async def test_certificates_from_here_and_unprotected_wires_are_said_shown_and_taken_back() -> None:
    api = Api()
    made = await api.get("create_profile", body={"name": "meters", "issuing": {"lifetime_days": 90}, "plain": "challenge"})
    assert (made["chain"], made["issuing"], made["plain"]) == (None, {"lifetime_days": 90, "key_pairs": False}, "challenge")
    changed = await api.get("change_profile", "meters", {"issuing": {"key_pairs": True}, "plain": "nothing"})
    assert (changed["issuing"], changed["plain"]) == ({"lifetime_days": 90, "key_pairs": True}, "nothing")
    same = await api.get("change_profile", "meters", {})
    assert same == changed
    changed = await api.get("change_profile", "meters", {"issuing": None, "plain": None})
    assert (changed["issuing"], changed["plain"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "status", "check"),
    [
        ({"strategy": "certificate_chain"}, 400, "profile.chain_certificate"),
        ({"chain": {"certificate": PEM}}, 400, "profile.chain"),
        ({"strategy": "certificate_chain", "chain": {"certificate": PEM, "pattern": "(a+)+"}}, 400, "profile.chain_pattern"),
        ({"strategy": "certificate_chain", "chain": {"certificate": 5}}, 400, "body.field"),
        ({"issuing": {"lifetime_days": 0}}, 400, "profile.issuing_lifetime"),
        ({"plain": "all"}, 400, "plain.value"),
    ],
)
async def test_what_is_wrong_is_told(body: dict[str, Any], status: int, check: str) -> None:
    answer = json.loads((await Api().ask("create_profile", body={"name": "pumps", **body})).body)
    assert (answer["status"], answer["check"]) == (status, check)


async def test_an_oscore_context_is_given_and_shown() -> None:
    api = Api()
    await api.desk.profile()
    context = {"type": "oscore", "device_id": "01", "server_id": "", "secret": SECRET, "salt": "9e7c", "id_context": "37cb"}
    made = await api.get("define_device", body={"name": "meter-1", "profile": "meters", "credential": context})
    (shown,) = made["credentials"]
    assert {name: shown[name] for name in context} == context
    (shown,) = (await api.get("read_credentials", "meter-1"))["items"]
    assert {name: shown[name] for name in context} == context
    (drawn,) = (await api.get("rotate_credentials", "meter-1", {"type": "oscore"}))["items"]
    assert (len(drawn["device_id"]), len(drawn["secret"])) == (8, 32)
    row = {"name": "meter-2", "profile": "meters", "credential": {**context, "id_context": ""}}
    assert (await api.get("import_devices", body={"devices": [row]}))["created"] == 1


async def test_the_description_knows_them() -> None:
    described = (await Api().ask("describe_api")).body
    schemas = json.loads(described)["components"]["schemas"]
    assert {"chain", "issuing", "plain"} <= schemas["NewProfile"]["properties"].keys()
    assert {"chain", "issuing", "plain"} <= schemas["ProfileChange"]["properties"].keys()
    assert {"chain", "issuing", "plain"} <= schemas["Profile"]["properties"].keys()
    assert schemas["NewOscore"]["properties"]["type"] == {"enum": ["oscore"]}
    assert schemas["NewProfile"]["properties"]["strategy"]["enum"][3] == "certificate_chain"
