"""Good requests to the operator API about credentials, batches and devices that sign, and the commands that they mean."""

from collections.abc import Mapping

from adapters.exchange import NOTHING
from core.model import CredentialKind, Reallocation, Secret, Strategy
from core.operate import issuing, messages
from core.operate.certifying import CertifyDevice

_CREDENTIALS = "/v1/devices/m/credentials"
_ISSUE = "/v1/devices:issue"
_RULES = {
    "auto_activation": False,
    "self_registration": False,
    "timestamp_tolerance_s": None,
    "reallocation": "none",
    "product_key": "pk1",
    "mqtt_url": "tcp://h:1",
    "http_url": "http://h",
}
_SIGNED = messages.SignedRules(
    auto_activation=False,
    self_registration=False,
    timestamp_tolerance_s=None,
    reallocation=Reallocation.NONE,
    product_key="pk1",
    mqtt_url="tcp://h:1",
    http_url="http://h",
)


def _batch(*serials: str, profile: str = "p", kind: CredentialKind | None = None) -> issuing.IssueBatch:
    rows = tuple(issuing.SerialRow(line=line, serial=serial) for line, serial in enumerate(serials, 1))
    return issuing.IssueBatch(profile=profile, rows=rows, kind=kind)


ISSUING: list[tuple[str, str, object, Mapping[str, str], object]] = [
    ("POST", "/v1/devices/m/certificates", {"csr": "a request"}, NOTHING, CertifyDevice(ref="m", request="a request")),
    (
        "POST",
        "/v1/profiles",
        {"name": "pumps", "strategy": "signed", "signed": _RULES, "credential_kind": "device_secret", "metadata": {"a": 1}},
        NOTHING,
        messages.CreateProfile(
            name="pumps",
            strategy=Strategy.SIGNED,
            signed=_SIGNED,
            credential_kind=CredentialKind.DEVICE_SECRET,
            metadata={"a": 1},
        ),
    ),
    (
        "PATCH",
        "/v1/profiles/pumps",
        {"signed": {"timestamp_tolerance_s": 60}, "metadata": {}},
        NOTHING,
        messages.ChangeProfile(ref="pumps", signed=messages.SignedRules(timestamp_tolerance_s=60), metadata={}),
    ),
    (
        "POST",
        "/v1/profiles/pumps/rotate",
        {"overlap_seconds": 60},
        NOTHING,
        messages.RotateProfile("pumps", overlap_seconds=60),
    ),
    ("POST", _CREDENTIALS, {"type": "device_secret"}, NOTHING, messages.RotateCredentials("m", messages.ProposedTriple())),
    ("POST", _CREDENTIALS, b"", {"overlap_seconds": "60"}, messages.RotateCredentials("m", None, 60)),
    ("POST", f"{_CREDENTIALS}:add", b"", NOTHING, messages.AddCredential(ref="m")),
    (
        "POST",
        f"{_CREDENTIALS}:add",
        {"type": "access_token", "token": "T"},
        {"expires_in_seconds": "60"},
        messages.AddCredential(ref="m", credential=messages.ProposedToken(Secret("T")), expires_in_seconds=60),
    ),
    ("DELETE", f"{_CREDENTIALS}/c-1", b"", NOTHING, messages.RevokeCredential("m", "c-1")),
    ("POST", _ISSUE, {"profile": "p", "serials": ["a", "b"]}, NOTHING, _batch("a", "b")),
    ("POST", _ISSUE, {"serials": ["a"]}, {"profile": "p", "kind": "mqtt_basic"}, _batch("a", kind=CredentialKind.MQTT_BASIC)),
    (
        "POST",
        _ISSUE,
        {"profile": "q", "kind": "access_token", "serials": []},
        {"profile": "p", "format": "csv"},
        _batch(profile="q", kind=CredentialKind.ACCESS_TOKEN),
    ),
    (
        "POST",
        _ISSUE,
        {"profile": "p", "devices": [{"serial": "a", "label": "A", "metadata": {"b": [1]}}, {"serial": "c"}]},
        NOTHING,
        issuing.IssueBatch(
            profile="p",
            rows=(
                issuing.SerialRow(line=1, serial="a", label="A", metadata={"b": [1]}),
                issuing.SerialRow(line=2, serial="c"),
            ),
        ),
    ),
]
