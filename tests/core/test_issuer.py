import string

import pytest

from core.crypto.vault import SealBroken
from core.messages import AccessToken, Certificate, CredentialValue, Lwm2m, MqttBasic, MqttLogin
from core.model import CredentialId, CredentialKind, DeviceId, Secret
from tests.core.registry import Registry

DEVICE = DeviceId("01938a4e-0000-7000-8000-00000000000d")
VALUES: list[tuple[CredentialValue, CredentialKind]] = [
    (AccessToken(Secret("Zk3vQ0pR7uWnT1xYb2Lc")), CredentialKind.ACCESS_TOKEN),
    (MqttBasic("meter-0042", "field", Secret("pw-0042")), CredentialKind.MQTT_BASIC),
    (Certificate("MIIBszCCAVmgAwIBAgIU"), CredentialKind.X509_CERTIFICATE),
    (Lwm2m("urn:imei:490154203237518"), CredentialKind.LWM2M),
]


def login(client_id: str = "", username: str = "", password: str = "") -> MqttLogin:
    return MqttLogin(client_id, username, Secret(password))


def test_a_new_token_has_20_letters_and_digits() -> None:
    issuer = Registry().issuer
    token, other = issuer.new_token().token.reveal(), issuer.new_token().token.reveal()
    assert len(token) == 20
    assert set(token) <= set(string.ascii_letters + string.digits)
    assert token != other


@pytest.mark.parametrize(("value", "kind"), VALUES)
async def test_a_credential_that_is_kept_can_be_revealed(value: CredentialValue, kind: CredentialKind) -> None:
    registry = Registry()
    credential = await registry.issuer.issue(value, DEVICE, keep=True)
    assert (credential.kind, credential.device, credential.created_at) == (kind, DEVICE, registry.clock.now())
    assert credential.lookup == registry.issuer.lookup(value)
    assert registry.issuer.reveal(credential) == value


@pytest.mark.parametrize(("value", "kind"), VALUES)
async def test_one_that_is_not_kept_holds_no_value(value: CredentialValue, kind: CredentialKind) -> None:
    issuer = Registry().issuer
    credential = await issuer.issue(value, DEVICE, keep=False)
    assert credential.kind is kind
    assert credential.sealed is None
    assert issuer.reveal(credential) is None


async def test_a_sealed_value_moved_to_another_credential_does_not_open() -> None:
    issuer = Registry().issuer
    credential = await issuer.issue(VALUES[0][0], DEVICE, keep=True)
    moved = type(credential)(
        id=CredentialId("another"),
        device=DEVICE,
        kind=credential.kind,
        lookup=credential.lookup,
        sealed=credential.sealed,
        created_at=1,
    )
    with pytest.raises(SealBroken):
        issuer.reveal(moved)


async def test_no_stored_field_holds_the_password() -> None:
    credential = await Registry().issuer.issue(MqttBasic("c", "field", Secret("pw-0042")), DEVICE, keep=True)
    stored = credential.lookup + credential.verifier + (credential.sealed or b"")
    assert b"pw-0042" not in stored
    assert b"field" not in stored


MATCHES = [
    (MqttBasic("c", "u", Secret("p")), login("c", "u", "p"), True),
    (MqttBasic("c", "u", Secret("p")), login("c", "u", "P"), False),
    (MqttBasic("c", "u", Secret("p")), login("c", "u"), False),
    (MqttBasic("c", "u", Secret("p")), login("C", "u", "p"), False),
    (MqttBasic("c", "u", Secret("p")), login("c", "U", "p"), False),
    (MqttBasic("c", "u"), login("c", "u", "anything"), True),
    (MqttBasic("c", "u"), login("c", "U"), False),
    (MqttBasic("", "u", Secret("p")), login("anything", "u", "p"), True),
    (MqttBasic("", "u", Secret("p")), login("anything", "u", "q"), False),
    (MqttBasic("", "u"), login("anything", "u", "anything"), True),
    (MqttBasic("c"), login("c", "anything", "anything"), True),
    (MqttBasic("c"), login("d"), False),
    (MqttBasic("c", "u", Secret("p")), login("cu", "", "p"), False),
    (MqttBasic("cu", "", Secret("")), login("c", "u"), False),
]


@pytest.mark.parametrize(("value", "presented", "expected"), MATCHES)
async def test_each_stored_part_must_be_equal(value: MqttBasic, presented: MqttLogin, expected: bool) -> None:
    issuer = Registry().issuer
    credential = await issuer.issue(value, DEVICE, keep=False)
    assert await issuer.matches(credential, presented) is expected


async def test_a_token_is_matched_by_its_lookup_alone() -> None:
    issuer = Registry().issuer
    credential = await issuer.issue(AccessToken(Secret("token")), DEVICE, keep=False)
    assert await issuer.matches(credential, login("anything", "token", "anything"))


async def test_the_same_password_is_stretched_with_another_salt_each_time() -> None:
    issuer = Registry().issuer
    value = MqttBasic("", "u", Secret("p"))
    first, second = [await issuer.issue(value, DEVICE, keep=False) for _ in range(2)]
    assert first.verifier != second.verifier


@pytest.mark.parametrize("presented", [login("c", "u", "wrong"), login("c", "u")])
async def test_a_wrong_password_and_an_unknown_user_do_the_same_slow_work(presented: MqttLogin) -> None:
    registry = Registry()
    credential = await registry.issuer.issue(MqttBasic("c", "u", Secret("p")), DEVICE, keep=False)
    before = registry.keys.stretched
    assert not await registry.issuer.matches(credential, presented)
    wrong = registry.keys.stretched - before
    await registry.issuer.match_nothing(presented)
    assert registry.keys.stretched - before == 2 * wrong
