"""What a login is counted by before it has proved anything, and what of it is shown."""

import pytest

from core.messages import CertificateLogin, Identity, Login, MqttLogin, ProvenLogin, TokenLogin, TripleLogin
from core.model import DEFAULT_TENANT, DeviceId, Secret
from core.named import Named, named

TOKEN = "a-token-of-20-letters"
PROVEN = Identity(DEFAULT_TENANT, DeviceId("d-1"), "meter-1", None)


@pytest.mark.parametrize(
    ("login", "found"),
    [
        (TokenLogin(Secret(TOKEN)), Named(known=f"token {TOKEN}")),
        (TokenLogin(Secret("A1_TEST_TOKEN")), Named()),
        (MqttLogin("c", TOKEN), Named(known=f"client c\0{TOKEN}")),
        (MqttLogin("c" * 16), Named(known=f"client {'c' * 16}\0")),
        (MqttLogin("c", "short"), Named()),
        (MqttLogin(), Named()),
        (MqttLogin("c", "u", Secret("p")), Named("client c\0u", "client c\0u", "u")),
        (MqttLogin("c", TOKEN, Secret("p")), Named(f"client c\0{TOKEN}", f"client c\0{TOKEN}", "a-tok...")),
        (MqttLogin("c", "", Secret("p")), Named("client c\0", "client c\0", "c")),
        (TripleLogin("pk", "dk", "1", "digest"), Named("triple pk dk", "triple pk dk", "dk")),
        (ProvenLogin(PROVEN), Named("device d-1", "device d-1", "meter-1")),
        (CertificateLogin((b"\x01\x02", b"\x03")), Named(known="certificate 0102")),
        (CertificateLogin(()), Named()),
    ],
)
def test_whom_a_login_names(login: Login, found: Named) -> None:
    assert named(login) == found
