"""Reads the layout of the provision service: TOML, as Mainflux and Magistrala have it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from core.crypto.signing_requests import EC_P256, RSA_2048, RSA_3072
from core.errors import Refusal
from core.operate.configuring import Layout, LayoutCertificates, LayoutPart
from core.operate.credentials import LONGEST_LIFE_SECONDS
from core.operate.mapping import require_layout

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+", re.ASCII)
_STEP = re.compile(r"(\d+(?:\.\d+)?)([hms])", re.ASCII)
_SECONDS = {"h": 3_600, "m": 60, "s": 1}
_KEYS = {
    ("rsa", 0): RSA_2048,
    ("rsa", 2_048): RSA_2048,
    ("rsa", 3_072): RSA_3072,
    ("ec", 0): EC_P256,
    ("ec", 256): EC_P256,
}


class _Part(msgspec.Struct, frozen=True):
    name: str = ""
    metadata: dict[str, Any] = {}


class _Bootstrap(msgspec.Struct, frozen=True):
    provision: bool = True
    autowhite_list: bool = True
    x509_provision: bool = False
    content: dict[str, Any] = {}


class _Cert(msgspec.Struct, frozen=True):
    """How long certificates are good, as Go writes durations, and what their keys are made of."""

    ttl: str = ""
    key_type: str = "rsa"
    key_bits: int = 0


class _File(msgspec.Struct, frozen=True):
    """The tables that count; a file of the original service has others, which say where its other services are."""

    things: list[_Part] = []
    clients: list[_Part] = []
    channels: list[_Part] = []
    bootstrap: _Bootstrap = _Bootstrap()
    cert: _Cert = _Cert()


def read(text: str) -> Layout:
    """Read the layout in the file of this path. Raises `ValueError` with the fault and the mend."""
    try:
        file = msgspec.convert(tomllib.loads(Path(text).read_text("utf-8")), _File)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ValueError(f"is no layout: {error}") from error
    layout = Layout(
        clients=tuple(LayoutPart(name=part.name, metadata=part.metadata) for part in (*file.things, *file.clients)),
        channels=tuple(LayoutPart(name=part.name, metadata=part.metadata) for part in file.channels),
        content=msgspec.json.encode(file.bootstrap.content, order="sorted").decode() if file.bootstrap.content else "",
        provision=file.bootstrap.provision,
        activate=file.bootstrap.autowhite_list,
        certificates=_certificates(file.cert) if file.bootstrap.x509_provision else None,
    )
    try:
        require_layout(layout)
    except Refusal as refusal:
        raise ValueError(f"is no layout: {refusal.detail}") from refusal
    return layout


def _certificates(cert: _Cert) -> LayoutCertificates:
    algorithm = _KEYS.get((cert.key_type.lower(), cert.key_bits))
    if algorithm is None:
        raise ValueError("asks for keys of another kind (key_type, key_bits) than rsa with 2048 or 3072 bits, or ec with 256")
    if not cert.ttl:
        return LayoutCertificates(key_algorithm=algorithm)
    return LayoutCertificates(lifetime_s=_lifetime(cert.ttl), key_algorithm=algorithm)


def _lifetime(text: str) -> int:
    """Read a duration as Go writes it, in whole seconds (https://pkg.go.dev/time#ParseDuration)."""
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _STEP.findall(text)) if _DURATION.fullmatch(text) else 0
    if not 1 <= seconds <= LONGEST_LIFE_SECONDS:
        raise ValueError("has a ttl of certificates that is no duration from 1s to 87840h; write 2400h")
    return int(seconds)
