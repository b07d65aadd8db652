"""How channels and configurations look."""

from collections.abc import Sequence

import msgspec

from adapters.commands import api
from adapters.commands.configuring_api import Channel, Config
from adapters.commands.show import Screen

_LONGEST = 1000
"""Characters of a text that is shown among the fields."""


def present_channel(body: bytes, screen: Screen) -> None:
    """Print a channel as the gateway answered it."""
    if screen.json:
        screen.document(body)
        return
    channel = api.decode(body, Channel)
    screen.fields(
        [
            ("name", channel.name),
            ("metadata", _metadata(channel)),
            ("created", channel.created_at),
            ("updated", channel.updated_at),
            ("id", channel.id),
        ]
    )


def show_channels(channels: Sequence[Channel], screen: Screen) -> None:
    """Print a table of channels."""
    screen.table(
        ("NAME", "METADATA", "CREATED", "ID"), [(each.name, _metadata(each), each.created_at, each.id) for each in channels]
    )


def present_config(body: bytes, screen: Screen) -> None:
    """Print a configuration as the gateway answered it, with what is told of its secrets."""
    if screen.json:
        screen.document(body)
        return
    config = api.decode(body, Config)
    secrets = [
        ("external key", config.external_key),
        ("device's secret", config.secret),
        ("content", _shortened(config.content)),
        ("client cert", _size(config.client_cert)),
        ("client key", _size(config.client_key)),
        ("ca cert", _size(config.ca_cert)),
    ]
    channels = [("channel", " ".join(filter(None, (each.id, each.name)))) for each in config.channels]
    screen.fields(
        [
            ("name", config.name),
            ("external id", config.external_id),
            ("device", config.device),
            ("active", _yes(config.active)),
            *(channels or [("channel", "")]),
            *((name, value) for name, value in secrets if value),
            ("version", str(config.version)),
            ("created", config.created_at),
            ("updated", config.updated_at),
            ("id", config.id),
        ]
    )


def show_configs(configs: Sequence[Config], screen: Screen) -> None:
    """Print a table of configurations."""
    screen.table(
        ("NAME", "EXTERNAL ID", "DEVICE", "ACTIVE", "CHANNELS", "UPDATED", "ID"),
        [
            (
                each.name,
                each.external_id,
                each.device,
                _yes(each.active),
                str(len(each.channels)),
                each.updated_at,
                each.id,
            )
            for each in configs
        ],
    )


def _shortened(text: str | None) -> str:
    if text is None or len(text) <= _LONGEST:
        return text or ""
    return f"{len(text):,} characters, which `config show --content` prints"


def _size(text: str | None) -> str:
    return f"{len(text):,} characters" if text else ""


def _metadata(channel: Channel) -> str:
    return msgspec.json.encode(channel.metadata).decode() if channel.metadata else ""


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
