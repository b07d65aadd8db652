"""What operators and devices send, each as the wire has it; what is missing or null is empty."""

from typing import Any

import msgspec

from core.model import Secret

Metadata = dict[str, Any] | None
_NO_SECRET = Secret("")


class NewConfig(msgspec.Struct, frozen=True):
    """A configuration to make; with neither `thing_id` nor `client_id` its device is made too."""

    thing_id: str = ""
    client_id: str = ""
    external_id: str = ""
    external_key: Secret = _NO_SECRET
    channels: tuple[str, ...] = ()
    name: str = ""
    content: str = ""
    client_cert: str = ""
    client_key: Secret = _NO_SECRET
    ca_cert: str = ""


class ConfigText(msgspec.Struct, frozen=True):
    """The name and content that a configuration is to have."""

    name: str = ""
    content: str = ""


class Certificates(msgspec.Struct, frozen=True):
    """The certificates that a configuration is to have."""

    client_cert: str = ""
    client_key: Secret = _NO_SECRET
    ca_cert: str = ""


class Connections(msgspec.Struct, frozen=True):
    """The channels that a configuration is to have."""

    channels: tuple[str, ...] = ()


class State(msgspec.Struct, frozen=True):
    """The state that a configuration is to have; clients leave a zero out."""

    state: int = 0


class Credentials(msgspec.Struct, frozen=True):
    """The credentials of a Magistrala client."""

    secret: Secret = _NO_SECRET


class Entity(msgspec.Struct, frozen=True):
    """A thing, client or channel, to make or to change."""

    id: str = ""
    name: str = ""
    key: Secret = _NO_SECRET
    credentials: Credentials = Credentials()
    metadata: Metadata = None


class NewKey(msgspec.Struct, frozen=True):
    """A new key of a Mainflux thing, or secret of a Magistrala client."""

    key: Secret = _NO_SECRET
    secret: Secret = _NO_SECRET


class NewMapping(msgspec.Struct, frozen=True):
    """What the provision service is to make."""

    external_id: str = ""
    external_key: Secret = _NO_SECRET
    name: str = ""


class DeviceNote(msgspec.Struct, frozen=True):
    """What a device publishes to ask for its configuration."""

    authorization: Secret = _NO_SECRET
