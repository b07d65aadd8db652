"""Every outcome has its reason code, and each code is one that its packet may carry."""

import itertools

import pytest

from adapters.exchange import Success
from adapters.mqtt import connack, encode
from adapters.mqtt.config import MqttConfig
from adapters.mqtt.packets import ReasonCode
from adapters.mqtt.translate import STATUS, connack_code
from core.errors import Reason, Refusal, WrongSecret

# OASIS MQTT 5.0, tables 3-4 and 3-10, and table 3-1.
PUBACK = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
DISCONNECT = {0x00, 0x04, *range(0x80, 0x84), 0x87, 0x89, 0x8B, *range(0x8D, 0x91), *range(0x93, 0xA3)}
CONNACK = {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}


def test_every_outcome_has_a_code_for_puback_and_disconnect() -> None:
    assert set(STATUS) == {*Success, *Reason}
    assert set(STATUS.values()) <= PUBACK & DISCONNECT


def test_success_is_success_and_no_refusal_is() -> None:
    assert all(STATUS[success] == 0 for success in Success)
    assert all(STATUS[reason] >= 0x80 for reason in Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_refused_login_has_a_code(reason: Reason) -> None:
    for version, with_credentials in itertools.product((3, 4, 5), (True, False)):
        refusal = Refusal(reason, "", check="login")
        code = connack_code(refusal, version, with_credentials=with_credentials)
        assert code in CONNACK - {0} if version == 5 else code in (2, 3, 5)


@pytest.mark.parametrize(
    ("reason", "version", "with_credentials", "code"),
    [
        (Reason.UNAUTHENTICATED, 4, True, 5),
        (Reason.UNAUTHENTICATED, 3, False, 2),
        (Reason.UNAUTHENTICATED, 5, True, 0x86),
        (Reason.UNAUTHENTICATED, 5, False, 0x85),
        (Reason.MALFORMED, 4, True, 2),
        (Reason.MALFORMED, 5, True, 0x85),
        (Reason.FORBIDDEN, 4, True, 5),
        (Reason.FORBIDDEN, 5, True, 0x87),
        (Reason.UNAVAILABLE, 4, True, 3),
        (Reason.UNAVAILABLE, 5, True, 0x88),
        (Reason.TOO_MANY, 4, True, 3),
        (Reason.TOO_MANY, 5, True, 0x9F),
    ],
)
def test_what_a_refused_login_says(reason: Reason, version: int, with_credentials: bool, code: int) -> None:
    assert connack_code(Refusal(reason, "", check="login"), version, with_credentials=with_credentials) == code


@pytest.mark.parametrize(("version", "code"), [(3, 4), (4, 4), (5, 0x86)])
def test_a_secret_that_alone_is_wrong_is_called_so_where_the_vendor_does(version: int, code: int) -> None:
    assert connack_code(WrongSecret("", check="login.password"), version, with_credentials=True) == code


def test_a_broken_connect_is_answered_where_its_version_has_words() -> None:
    assert connack.broken(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, 0) == encode.UNKNOWN_VERSION
    assert connack.broken(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, 4) == b"\x20\x02\x00\x02"
    assert connack.broken(ReasonCode.MALFORMED_PACKET, 4) == b""
    assert connack.broken(ReasonCode.MALFORMED_PACKET, 0) == b""
    assert connack.broken(ReasonCode.MALFORMED_PACKET, 5) == b"\x20\x03\x00\x81\x00"


@pytest.mark.parametrize(
    "name", ["max_packet_bytes", "receive_maximum", "turn_packets", "write_buffer_bytes", "backlog", "pushes", "watches"]
)
def test_a_bound_that_cannot_work_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be from"):
        MqttConfig(**{name: -1 if name == "watches" else 0})  # no watches at all is possible
