from core.messages import AccessToken, MqttBasic, MqttLogin, ProvisionRequest, SharedSecret, TokenLogin
from core.model import Secret

HIDDEN = "jpmwdn8ptlswmf4m29bw"


def test_a_secret_shows_its_text_only_when_asked() -> None:
    secret = Secret(HIDDEN)
    assert secret.reveal() == HIDDEN
    assert HIDDEN not in f"{secret!r} {secret} {[secret]}"


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret(HIDDEN) == Secret(HIDDEN)
    assert Secret(HIDDEN) != Secret(HIDDEN + "x")
    assert Secret("") != Secret(HIDDEN)
    assert hash(Secret(HIDDEN)) == hash(Secret(HIDDEN))


def test_a_secret_is_never_equal_to_a_text() -> None:
    assert Secret(HIDDEN) != HIDDEN


def test_half_a_surrogate_pair_is_compared_and_not_refused() -> None:
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("\udfff")


def test_no_request_shows_a_secret() -> None:
    hidden = Secret(HIDDEN)
    messages = (
        ProvisionRequest(evidence=SharedSecret("key", hidden), credential=AccessToken(hidden)),
        ProvisionRequest(evidence=SharedSecret("key", hidden), credential=MqttBasic("c", "u", hidden)),
        TokenLogin(hidden),
        MqttLogin("c", "u", hidden),
    )
    assert HIDDEN not in repr(messages)
