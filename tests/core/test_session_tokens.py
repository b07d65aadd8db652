"""Tokens that stand for a login: what is read back, and what never is."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto.session_tokens import Audience, Session, looks_like_one, read, sign
from core.crypto.vault import Vault
from core.model import Secret, TenantId
from tests.fakes import START, SeededEntropy

VAULT = Vault(bytes(32), SeededEntropy())
SESSION = Session(subject="user-1", tenant=TenantId("acme"), mark="0011223344556677", expires_at=START // 1000 + 900)
CLAIMS: dict[str, Any] = {"sub": "user-1", "acc": "acme", "mark": "m", "exp": START // 1000 + 900, "aud": "operator"}
HEADER = {"alg": "HS256"}


def _part(content: object) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _signed(header: object, claims: object, vault: Vault = VAULT) -> Secret:
    signed = f"{_part(header)}.{_part(claims)}"
    digest = hmac.digest(vault.session_key, signed.encode(), hashlib.sha256)
    return Secret(f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")


@pytest.mark.parametrize("audience", Audience)
def test_a_session_is_read_back(audience: Audience) -> None:
    token = sign(SESSION, audience, VAULT)
    assert looks_like_one(token.reveal())
    assert read(token, audience, VAULT, START) == SESSION


def test_a_token_is_good_until_its_time_is_over() -> None:
    token = sign(SESSION, Audience.OPERATOR, VAULT)
    end = SESSION.expires_at * 1000
    assert read(token, Audience.OPERATOR, VAULT, end - 1) == SESSION
    assert read(token, Audience.OPERATOR, VAULT, end) is None


def test_a_token_is_good_for_one_thing_and_under_one_key() -> None:
    token = sign(SESSION, Audience.OPERATOR, VAULT)
    assert read(token, Audience.DEVICE, VAULT, START) is None
    assert read(token, Audience.OPERATOR, Vault(bytes(31) + b"\x01", SeededEntropy()), START) is None


def test_other_software_reads_it_with_the_key() -> None:
    token = sign(SESSION, Audience.OPERATOR, VAULT).reveal()
    claims = jwt.decode(token, VAULT.session_key, algorithms=["HS256"], audience="operator", options={"verify_exp": False})
    assert (claims["sub"], claims["acc"]) == ("user-1", "acme")
    assert (claims["userId"], claims["accountId"]) == ("user-1", "acme")
    assert jwt.get_unverified_header(token) == HEADER


def test_a_device_s_token_says_no_more_than_it_has_to() -> None:
    text = sign(SESSION, Audience.DEVICE, VAULT).reveal()
    claims = jwt.decode(text, VAULT.session_key, algorithms=["HS256"], audience="dev", options={"verify_exp": False})
    assert claims.keys() == CLAIMS.keys()


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "none"}, CLAIMS),
        ({"alg": "HS512"}, CLAIMS),
        ({"alg": None}, CLAIMS),
        ({}, CLAIMS),
        ([], CLAIMS),
        ("[" * 6_000, CLAIMS),
        ("1" * 6_000, CLAIMS),
        (HEADER, "[" * 6_000),
        (HEADER, []),
        (HEADER, "\x00"),
        (HEADER, {**CLAIMS, "exp": True}),
        (HEADER, {**CLAIMS, "exp": "1e400"}),
        (HEADER, {**CLAIMS, "aud": ["device"]}),
        (HEADER, {**CLAIMS, "aud": {"operator": 1}}),
        (HEADER, {**CLAIMS, "sub": 1}),
        (HEADER, {**CLAIMS, "mark": None}),
        *((HEADER, {name: value for name, value in CLAIMS.items() if name != missing}) for missing in CLAIMS),
    ],
)
def test_what_is_signed_and_still_not_one_of_ours_is_none(header: object, claims: object) -> None:
    assert read(_signed(header, claims), Audience.OPERATOR, VAULT, START) is None


def test_every_character_of_a_token_counts() -> None:
    token = sign(SESSION, Audience.OPERATOR, VAULT).reveal()
    assert read(_signed(HEADER, CLAIMS), Audience.OPERATOR, VAULT, START) is not None
    for place in range(len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        assert read(Secret(token[:place] + other + token[place + 1 :]), Audience.OPERATOR, VAULT, START) is None


@given(st.text())
def test_any_text_is_a_token_or_none(text: str) -> None:
    for guess in (text, f"{text}.{text}.{text}", sign(SESSION, Audience.OPERATOR, VAULT).reveal() + text + "x"):
        assert read(Secret(guess), Audience.OPERATOR, VAULT, START) is None


@pytest.mark.parametrize("text", ["", "..", ".\ud800.", "é.é.é", "a.b", "a.b.c.d"])
def test_texts_that_are_no_tokens_are_none(text: str) -> None:
    assert read(Secret(text), Audience.OPERATOR, VAULT, START) is None
    assert looks_like_one(text) is (text.count(".") == 2)
