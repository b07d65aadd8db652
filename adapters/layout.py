"""Reads the layout of the provision service: TOML, as Mainflux and Magistrala have it."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from core.errors import Refusal
from core.operate.configuring import Layout, LayoutPart
from core.operate.mapping import require_layout


class _Part(msgspec.Struct, frozen=True):
    name: str = ""
    metadata: dict[str, Any] = {}


class _Bootstrap(msgspec.Struct, frozen=True):
    provision: bool = True
    autowhite_list: bool = True
    x509_provision: bool = False
    content: dict[str, Any] = {}


class _File(msgspec.Struct, frozen=True):
    """The tables that count; a file of the original service has others, which say where its other services are."""

    things: list[_Part] = []
    clients: list[_Part] = []
    channels: list[_Part] = []
    bootstrap: _Bootstrap = _Bootstrap()


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
    if file.bootstrap.x509_provision:
        raise ValueError("asks for certificates (x509_provision), which this version does not issue; set it to false")
    layout = Layout(
        clients=tuple(LayoutPart(name=part.name, metadata=part.metadata) for part in (*file.things, *file.clients)),
        channels=tuple(LayoutPart(name=part.name, metadata=part.metadata) for part in file.channels),
        content=msgspec.json.encode(file.bootstrap.content, order="sorted").decode() if file.bootstrap.content else "",
        provision=file.bootstrap.provision,
        activate=file.bootstrap.autowhite_list,
    )
    try:
        require_layout(layout)
    except Refusal as refusal:
        raise ValueError(f"is no layout: {refusal.detail}") from refusal
    return layout
