"""What is wrong, or perhaps not meant, among the settings about TLS, and where it is listened on when nothing is said."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.settings import Address
from adapters.tls import material
from adapters.tls.material import MaterialError

DEFAULTS: Final = MappingProxyType(
    {
        "HTTPS": Address("127.0.0.1", 8443),
        "COAPS": Address("127.0.0.1", 5684),
        "MQTTS": Address("127.0.0.1", 8883),
    }
)
"""Where TLS is spoken once there is a certificate."""

_CERTIFIED: Final = ("HTTPS", "MQTTS", "COAPS_TCP")
"""What needs a certificate; CoAP over DTLS also has pre-shared keys."""

_PLAIN: Final = MappingProxyType(
    {"HTTP": "HTTPS", "COAP": "COAPS", "MQTT": "MQTTS", "COAP_TCP": "COAPS_TCP"},
)
_ISSUING: Final = MappingProxyType(
    {"CA_KEY": ("CA_KEY_PASSPHRASE", "CA_CRL_URL"), "CA_URL": ("CA_PASSWORD", "CA_URL_TRUST")},
)
_FILES: Final = MappingProxyType(
    {material.CERTIFICATE: "TLS_CERT", material.KEY: "TLS_KEY", material.CLIENT_AUTHORITIES: "TLS_CLIENT_CA"}
)


def listeners(values: Mapping[str, Any]) -> dict[str, tuple[Address, ...]]:
    """Return where TLS is listened on as nothing was said about it."""
    if not (values.get("tls_cert") and values.get("tls_key")):
        return {}
    return {name.lower(): (address,) for name, address in DEFAULTS.items() if name.lower() not in values}


def fault(values: Mapping[str, Any]) -> str:
    """Return what is wrong, with the variable in front, empty where nothing is. The files are read."""
    certificate, key = values.get("tls_cert"), values.get("tls_key")
    for missing, given, name, other in ((key, certificate, "KEY", "CERT"), (certificate, key, "CERT", "KEY")):
        if given and not missing:
            return f"FIRSTLIGHT_TLS_{name}: not set, and FIRSTLIGHT_TLS_{other} is; set both, to paths of PEM files"
    if certificate and key:
        return _fault_of_files(values)
    needy = next((name for name in _CERTIFIED if values.get(name.lower())), None)
    if needy is None:
        return ""
    mend = f"set FIRSTLIGHT_TLS_CERT and FIRSTLIGHT_TLS_KEY (firstlight tls init makes them), or leave FIRSTLIGHT_{needy} empty"
    return f"FIRSTLIGHT_{needy}: there is no certificate to serve with; {mend}"


def _fault_of_files(values: Mapping[str, Any]) -> str:
    try:
        material.read(values["tls_cert"], values["tls_key"], values.get("tls_client_ca"))
    except MaterialError as error:
        return f"FIRSTLIGHT_{_FILES[error.part]}: {error}"
    return ""


def cautions(values: Mapping[str, Any]) -> list[str]:
    """Return warnings: listeners in the clear beyond this machine, and authorities that nobody asks for."""
    found = [
        f"FIRSTLIGHT_{name}: {address} carries secrets in the clear beyond this machine; {_mend(secure, values)}"
        for name, secure in _PLAIN.items()
        for address in values.get(name.lower(), ())
        if not is_loopback(address.host)
    ]
    if values.get("tls_client_ca") and not values.get("tls_cert"):
        found.append("FIRSTLIGHT_TLS_CLIENT_CA does nothing without FIRSTLIGHT_TLS_CERT and FIRSTLIGHT_TLS_KEY")
    return found + _about_issuing(values)


def _about_issuing(values: Mapping[str, Any]) -> list[str]:
    """Return warnings about who signs certificates: settings that do nothing, and requests that go out in the clear."""
    found = [
        f"FIRSTLIGHT_{name} does nothing without FIRSTLIGHT_{needed}"
        for needed, names in _ISSUING.items()
        for name in names
        if values.get(name.lower()) and not values.get(needed.lower())
    ]
    if values.get("ca_cert") and not any(values.get(name) for name in ("ca_key", "ca_command", "ca_url")):
        mend = "one of FIRSTLIGHT_CA_KEY, FIRSTLIGHT_CA_COMMAND and FIRSTLIGHT_CA_URL"
        found.append(f"FIRSTLIGHT_CA_CERT does nothing without {mend}")
    url = urlsplit(values.get("ca_url") or "")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        found.append("FIRSTLIGHT_CA_URL carries its password in the clear, and anybody may answer; use https://")
    return found


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _mend(secure: str, values: Mapping[str, Any]) -> str:
    if values.get("tls_cert") or secure == "COAPS":
        return f"use FIRSTLIGHT_{secure}"
    return f"set FIRSTLIGHT_TLS_CERT and FIRSTLIGHT_TLS_KEY, and use FIRSTLIGHT_{secure}"
