import pytest

from core.credentials import (
    KIND,
    basic_id,
    certificate,
    credential_id,
    from_seal_text,
    has_control_characters,
    require_valid,
    seal_text,
)
from core.errors import Reason, Refusal
from core.messages import AccessToken, Certificate, CredentialValue, Lwm2m, MqttBasic
from core.model import CredentialKind, Secret

METER = "efab5e91adb809ea2b7163837cec241723a96548a58ea306dc302573e24a145c"
METER_FIELD = "4e3f42ba0eea15ac15287525879ab6b9fb14c286ac38c521513c3a1108cb828b"

VALUES: list[CredentialValue] = [
    AccessToken(Secret("Zk3vQ0pR7uWnT1xYb2Lc")),
    MqttBasic("meter-0042", "field", Secret("pw-0042")),
    MqttBasic(username="field"),
    Certificate("MIIBszCCAVmgAwIBAgIU"),
    Lwm2m("urn:imei:490154203237518"),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AccessToken(Secret("Zk3vQ0pR7uWnT1xYb2Lc")), "Zk3vQ0pR7uWnT1xYb2Lc"),
        (MqttBasic("meter-0042", "field", Secret("pw")), METER_FIELD),
        (MqttBasic("meter-0042", "field"), METER_FIELD),
        (MqttBasic("", "field", Secret("pw")), "field"),
        (MqttBasic("meter-0042"), METER),
        (Certificate("meter-0042"), METER),
        (Lwm2m("meter-0042"), "meter-0042"),
    ],
)
def test_a_credential_is_known_by_the_reference_rules_id(value: CredentialValue, expected: str) -> None:
    assert credential_id(value) == expected


def test_no_parts_have_an_id_that_no_credential_has() -> None:
    assert basic_id("", "") == ""


def test_a_character_that_utf_8_has_no_bytes_for_still_has_an_id() -> None:
    assert len(basic_id("\ud800", "")) == 64


PEM = f"-----BEGIN CERTIFICATE-----\n{'MIIB' * 16}\nAQ==\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\r\n"), PEM.replace("\n", ""), "MIIB" * 16 + "AQ=="])
def test_a_certificate_has_one_form_however_it_was_sent(text: str) -> None:
    assert certificate(text) == Certificate("MIIB" * 16 + "AQ==")


def test_a_certificate_is_not_checked_to_be_one() -> None:
    assert certificate("testHash") == Certificate("testHash")


@pytest.mark.parametrize("value", [*VALUES, Certificate("testHash"), MqttBasic("meter-0042"), MqttBasic("c", "u")])
def test_values_that_can_become_credentials(value: CredentialValue) -> None:
    require_valid(value)


@pytest.mark.parametrize(
    ("value", "check"),
    [
        (AccessToken(Secret("")), "credential.empty"),
        (Certificate(""), "credential.empty"),
        (Lwm2m(""), "credential.empty"),
        (AccessToken(Secret("a\nb")), "credential.characters"),
        (Certificate("a\x00b"), "credential.characters"),
        (Lwm2m("a\x7fb"), "credential.characters"),
        (MqttBasic(), "credential.mqtt_basic"),
        (MqttBasic(password=Secret("pw")), "credential.mqtt_basic"),
        (MqttBasic("meter-0042", "", Secret("pw")), "credential.mqtt_basic"),
        (MqttBasic("a\tb", "u"), "credential.characters"),
        (MqttBasic("c", "a\x1bb"), "credential.characters"),
        (MqttBasic("c", "u", Secret("a\x85b")), "credential.characters"),
    ],
)
def test_values_that_cannot(value: CredentialValue, check: str) -> None:
    with pytest.raises(Refusal) as refused:
        require_valid(value)
    assert (refused.value.reason, refused.value.check) == (Reason.FORBIDDEN, check)


def test_no_refusal_repeats_the_value() -> None:
    with pytest.raises(Refusal) as refused:
        require_valid(AccessToken(Secret("hidden\n")))
    assert "hidden" not in refused.value.detail


@pytest.mark.parametrize("character", ["\x00", "\x1f", "\x7f", "\x80", "\x9f"])
def test_control_characters(character: str) -> None:
    assert has_control_characters(f"a{character}b")


@pytest.mark.parametrize("text", ["", " ", "meter", "Zähler", "\xa0", "計器"])
def test_texts_without_control_characters(text: str) -> None:
    assert not has_control_characters(text)


@pytest.mark.parametrize("value", VALUES)
def test_a_sealed_text_is_read_again_as_the_value_it_was(value: CredentialValue) -> None:
    assert from_seal_text(KIND[type(value)], seal_text(value)) == value


def test_every_kind_has_a_value() -> None:
    assert set(KIND.values()) == set(CredentialKind)
