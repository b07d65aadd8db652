"""A device that proves its external key without sending it, against a gateway that runs and against one that lies."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from core.crypto.challenges import ExchangeKeys, Parties
from core.model import Secret
from tests.commands.served import Gateway

Run = Callable[..., Any]
ID, KEY = "pump-17", "factory-key-0001"
OFFER, PROVE = "/v1/bootstrap/challenge", "/v1/bootstrap"
CHALLENGE, NONCE = bytes(88), bytes(range(32))
DOCUMENT = b'{"id":"d","secret":"s"}'
CARRIERS = pytest.mark.parametrize("carrier", ["http", "coap", "mqtt"])


def fetch(run: Run, port: str, *more: str, carrier: str = "http", external_id: str = ID, key: str = KEY) -> Any:
    argv = ["bootstrap", external_id, "--challenge", "--over", carrier, "--port", port, "--key", key, *more]
    return run(*argv, FIRSTLIGHT_TOKEN="")


@CARRIERS
def test_a_device_fetches_its_configuration(carrier: str, served: Gateway, run: Run, operate: Run) -> None:
    name, content = f"pump-{carrier}", "x" * 100_000
    made = operate("config", "create", name, "--key-stdin", "--json", "--content", content, stdin=KEY.encode()).json()
    result = fetch(run, served.port(carrier), carrier=carrier, external_id=name)
    assert (result.status, result.err) == (0, "")
    assert (result.json()["id"], result.json()["secret"]) == (made["id"], made["secret"])
    assert result.json()["content"] == content
    refused = fetch(run, served.port(carrier), carrier=carrier, external_id=name, key="wrong")
    assert (refused.status, refused.out) == (1, "")
    assert "the external key is not right" in refused.err
    why = refused.err.rpartition("the operator sees why: firstlight ")[2].split()
    explained = operate(*why)
    assert explained.status == 0
    assert "challenge.proof" in explained.out or carrier != "http"


def offering(gateway: Any, *, version: int = 1, kind: str = "application/json", bit: int = 0, key: str = KEY) -> None:
    """Have the gateway of the script answer as one that has this key, with something altered."""

    def prove(asked: Any) -> Any:
        sent = {name: base64.b64decode(text) for name, text in asked.json().items() if name != "external_id"}
        keys = ExchangeKeys(Secret(key), Parties(asked.json()["external_id"], sent["nonce"], NONCE))
        assert (sent["challenge"], sent["proof"] == keys.prove(CHALLENGE)) == (CHALLENGE, key == KEY)
        sealed = bytearray(keys.seal(DOCUMENT, 1, "application/json", bytes(12)))
        sealed[20] ^= bit
        answer = {"version": version, "content_type": kind, "sealed": base64.b64encode(sealed).decode()}
        return 200, json.dumps(answer).encode(), {}

    offered = {name: base64.b64encode(content).decode() for name, content in (("challenge", CHALLENGE), ("nonce", NONCE))}
    gateway.json("POST", OFFER, offered | {"expires_in": 60})
    gateway.on("POST", PROVE, prove)


def port(gateway: Any) -> str:
    return str(gateway.url.rpartition(":")[2])


def test_the_key_does_not_travel(gateway: Any, run: Run) -> None:
    offering(gateway)
    result = fetch(run, port(gateway))
    assert (result.status, result.out) == (0, DOCUMENT.decode() + "\n")
    assert not any(KEY.encode() in asked.body for asked in gateway.asked)
    assert [asked.headers.get("Authorization") for asked in gateway.asked] == [None, None]


@pytest.mark.parametrize("altered", [{"version": 2}, {"version": -1}, {"kind": "x"}, {"bit": 1}, {"key": "not the device's"}])
def test_a_lie_is_noticed(gateway: Any, run: Run, altered: dict[str, Any]) -> None:
    offering(gateway, **altered)
    result = fetch(run, port(gateway))
    assert (result.status, result.out) == (1, "")
    assert "the answer was altered on the way, or comes from somebody else" in result.err


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"challenge":"!","nonce":""}', b'{"challenge":7}', b"{}"])
def test_what_cannot_be_read_is_told(gateway: Any, run: Run, body: bytes) -> None:
    gateway.on("POST", OFFER, lambda asked: (200, body, {}))
    result = fetch(run, port(gateway))
    assert (result.status, result.out) == (1, "")
    assert "the answer cannot be read HTTP 200 OK" in result.err


def test_a_refusal_is_told_in_the_gateways_words(gateway: Any, run: Run) -> None:
    gateway.refuse("POST", OFFER, 503, headers={"X-Request-ID": "r-1"}, detail="the gateway is busy, try again")
    result = fetch(run, port(gateway))
    assert result.status == 1
    assert "the gateway is busy, try again (HTTP 503 Service Unavailable)" in result.err
    assert "firstlight explain r-1" in result.err


@pytest.mark.parametrize("more", [["--secure"], ["--watch"], ["--flavour", "mf-raw"]])
def test_it_is_a_form_of_its_own(gateway: Any, run: Run, more: list[str]) -> None:
    result = fetch(run, port(gateway), *more)
    assert (result.status, gateway.asked) == (2, [])
    assert "--challenge is a form of its own" in result.err
