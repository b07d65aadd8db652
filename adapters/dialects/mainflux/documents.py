"""What configurations look like, to operators and to devices: the members, their order, and which of them vanish when empty."""

from collections.abc import Sequence

from adapters.dialects.mainflux.flavours import Flavour
from adapters.dialects.mainflux.go_writing import Record, filled, record
from core.messages import Bootstrapped, ClientCertificates
from core.model import Channel, Secret
from core.operate.configuring import CountedPage, ShownConfig


def config(flavour: Flavour, shown: ShownConfig, *, with_channels: bool = True) -> Record:
    """Return a configuration as it is shown; in a list it is without its channels."""
    channels = _channels(shown.channels) if with_channels else None
    return record(
        *filled(
            (flavour.id_member, shown.config.id),
            (flavour.secret_member, _revealed(shown.secret)),
            (flavour.channels_member, channels),
        ),
        ("external_id", shown.config.external_id),
        *filled(
            ("external_key", shown.external_key.reveal()),
            ("content", shown.content),
            ("name", shown.config.name),
        ),
        ("state", int(shown.config.active)),
    )


def config_page(flavour: Flavour, page: CountedPage[ShownConfig]) -> Record:
    """Return a page of configurations."""
    items = tuple(config(flavour, shown, with_channels=False) for shown in page.items)
    return record(("total", page.total), ("offset", page.offset), ("limit", page.limit), ("configs", items))


EMPTY_PAGE = record(("total", 0), ("offset", 0), ("limit", 0), ("configs", ()))
"""What a filter that cannot be understood finds."""


def certificates(flavour: Flavour, shown: ShownConfig) -> Record:
    """Return the certificates as a change of them is confirmed: the only answer to an operator with the private key in it."""
    held = shown.certificates
    return record(
        *filled(
            (flavour.id_member, shown.config.id),
            ("ca_cert", held.ca_cert),
            ("client_cert", held.client_cert),
            ("client_key", held.client_key.reveal()),
        )
    )


def bootstrap(flavour: Flavour, result: Bootstrapped) -> Record:
    """Return what a device gets; without a channel the list is null."""
    return record(
        (flavour.id_member, result.config.id),
        (flavour.secret_member, result.secret.reveal()),
        (flavour.channels_member, _channels(result.channels)),
        *filled(("content", result.content), *_certificates(result.certificates)),
    )


def version(result: Bootstrapped) -> Record:
    """Return which version a device would get, in under 64 bytes."""
    return record(("version", result.config.version), ("etag", result.etag))


def _certificates(held: ClientCertificates) -> tuple[tuple[str, str], ...]:
    return (
        ("client_cert", held.client_cert),
        ("client_key", held.client_key.reveal()),
        ("ca_cert", held.ca_cert),
    )


def _channels(channels: Sequence[Channel]) -> tuple[Record, ...] | None:
    shown = (
        record(("id", channel.id), *filled(("name", channel.name), ("metadata", channel.metadata))) for channel in channels
    )
    return tuple(shown) or None


def _revealed(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()
