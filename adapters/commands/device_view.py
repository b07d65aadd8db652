"""How devices and their credentials look."""

from collections.abc import Mapping, Sequence

import msgspec

from adapters.commands import api
from adapters.commands.show import Screen

_TRIAL = "not used yet; at its first login the older ones end, until then they are good"


def present(body: bytes, screen: Screen) -> None:
    """Print a device as the gateway answered it."""
    if screen.json:
        screen.document(body)
    else:
        show_device(api.decode(body, api.Device), screen)


def show_devices(devices: Sequence[api.Device], profiles: Mapping[str, str], screen: Screen) -> None:
    """Print a table of devices; `profiles` are the names of profile ids."""
    screen.table(
        ("NAME", "STATE", "ENABLED", "PROFILE", "CREATED", "ID"),
        [
            (each.name, each.state, _yes(each.enabled), profiles.get(each.profile, each.profile), each.created_at, each.id)
            for each in devices
        ],
    )


def show_device(device: api.Device, screen: Screen) -> None:
    """Print the fields of one device."""
    screen.fields(
        [
            ("name", device.name),
            *([("label", device.label)] if device.label else []),
            ("state", device.state),
            ("enabled", _yes(device.enabled)),
            ("profile", device.profile),
            *_where_known(device),
            ("metadata", msgspec.json.encode(device.metadata).decode() if device.metadata else ""),
            ("created", device.created_at),
            ("updated", device.updated_at),
            ("id", device.id),
        ]
    )


def show_credentials(credentials: Sequence[api.Credential], screen: Screen) -> None:
    """Print credentials, each with the values that are known."""
    if not credentials:
        screen.line("no credentials")
    for credential in credentials:
        values = [
            ("token", credential.token),
            ("client id", credential.client_id),
            ("user name", credential.username),
            ("password", credential.password),
            ("certificate", credential.certificate),
            ("endpoint", credential.endpoint),
            ("product key", credential.product_key),
            ("device key", credential.device_key),
            ("device's id", credential.device_id),
            ("server's id", credential.server_id),
            ("secret", credential.secret),
            ("salt", credential.salt),
            ("ID Context", credential.id_context),
            ("ends", _end(credential)),
            ("on trial", _TRIAL if credential.trial else None),
            ("id", credential.id),
        ]
        screen.fields([("credential", credential.type), *((name, value) for name, value in values if value is not None)])


def present_credentials(body: bytes, screen: Screen) -> None:
    """Print credentials as the gateway answered them."""
    if screen.json:
        screen.document(body)
    else:
        show_credentials(api.decode(body, api.Page[api.Credential]).items, screen)


def join(device: bytes, credentials: bytes) -> bytes:
    """Return the JSON of a device with its credentials in it, as it has when it is defined."""
    document = api.decode(device, dict[str, msgspec.Raw])
    items = api.decode(credentials, api.Page[msgspec.Raw]).items
    return msgspec.json.encode({**document, "credentials": items})


def _where_known(device: api.Device) -> list[tuple[str, str]]:
    firmware = f"{device.firmware.version} from {device.firmware.url}" if device.firmware else ""
    pairs = [("serial", device.serial), ("owner", device.owner), ("firmware", firmware), ("runs", device.runs)]
    return [(name, value) for name, value in pairs if value]


def _end(credential: api.Credential) -> str | None:
    return f"{credential.expires_at} (is over)" if credential.expired else credential.expires_at


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
