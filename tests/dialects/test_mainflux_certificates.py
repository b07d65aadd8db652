"""Certificates of the provision service, as each generation answers them."""

import json

import pytest

from adapters.exchange import Carrier, Success
from core.errors import Reason, Refusal
from core.messages import ClientCertificates
from core.model import Device, DeviceId, ProfileId, Secret, TenantId
from core.operate.configuring import Mapping, ShownClient
from tests.dialects.mainflux_asking import NAMES, dialect, entity, request
from tests.fakes import START

BODY = b'{"external_id":"e-1","external_key":"k","name":"n"}'
GENERATION = [name for name in NAMES if "mf" in name]


def device(identity: str) -> Device:
    return Device(
        id=DeviceId(identity),
        tenant=TenantId("default"),
        profile=ProfileId("p"),
        name=identity,
        created_at=START,
        updated_at=START,
    )


@pytest.mark.parametrize("flavour", NAMES)
def test_they_stand_in_the_answer_by_the_ids_of_their_clients(flavour: str) -> None:
    spoken = dialect(flavour)
    path = "/d-1/mapping" if any(route.path == "/{domain}/mapping" for route in spoken.ROUTES) else "/mapping"
    match, inbound = request(spoken, Carrier.HTTP, "POST", path, body=BODY, content_type="application/json")
    held = tuple(ClientCertificates(f"cert {name}", Secret(f"key {name}"), "ca") for name in ("c-1", "c-2"))
    clients = tuple(ShownClient(device(name), Secret("s")) for name in ("c-1", "c-2"))
    answer = spoken.encode(Mapping(clients=clients, channels=(), active=("c-1",), certificates=held), "", inbound)
    document = json.loads(answer.body)
    assert list(document) == [entity(flavour), "channels", "client_cert", "client_key", "ca_cert", "whitelisted"]
    assert document["client_cert"] == {"c-1": "cert c-1", "c-2": "cert c-2"}
    assert document["client_key"] == {"c-1": "key c-1", "c-2": "key c-2"}
    assert document["ca_cert"] == "ca"
    bare = spoken.encode(Mapping(clients=clients, channels=(), active=()), "", inbound)
    assert list(json.loads(bare.body)) == [entity(flavour), "channels"]
    assert match.route.operation == inbound.operation


@pytest.mark.parametrize("flavour", NAMES)
def test_where_none_can_be_made_the_vendors_own_words_say_so(flavour: str) -> None:
    spoken = dialect(flavour)
    path = "/d-1/mapping" if any(route.path == "/{domain}/mapping" for route in spoken.ROUTES) else "/mapping"
    _, inbound = request(spoken, Carrier.HTTP, "POST", path, body=BODY, content_type="application/json")
    refusal = Refusal(Reason.FORBIDDEN, "this gateway issues no certificates", check="issuing.no_authority")
    answer = spoken.refuse(refusal, "", inbound)
    assert b"failed to create certificates" in answer.body
    if flavour in GENERATION:
        expected = {"things": None, "channels": None, "error": "failed to create certificates"}
        assert (answer.outcome, json.loads(answer.body)) == (Success.CREATED, expected)
    else:
        assert answer.outcome is Reason.UNPROCESSABLE
