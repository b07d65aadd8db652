"""What each kind of event says, in words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.model import EventKind

EVENT_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        kind.value: words
        for kind, words in (
            (EventKind.PROVISION_SUCCEEDED, "a device was let in and given its credential"),
            (EventKind.PROVISION_REFUSED, "a device asked to be let in and was refused"),
            (EventKind.BOOTSTRAP_SUCCEEDED, "a device fetched its configuration"),
            (EventKind.BOOTSTRAP_REFUSED, "a device asked for its configuration and was refused"),
            (EventKind.LOGIN_REFUSED, "a device presented credentials that are not right"),
            (EventKind.REQUEST_REFUSED, "a request was refused"),
            (EventKind.DEVICE_CONNECTED, "a device came with its credentials for the first time"),
            (EventKind.DEVICE_DEFINED, "a device was defined"),
            (EventKind.DEVICE_CHANGED, "a device was changed"),
            (EventKind.DEVICE_REVOKED, "a device lost its credentials"),
            (EventKind.DEVICE_DELETED, "a device was deleted"),
            (EventKind.CREDENTIAL_ROTATED, "a device was given another credential"),
            (EventKind.CREDENTIAL_READ, "secrets were shown to an operator"),
            (EventKind.CONFIG_CREATED, "a configuration was made"),
            (EventKind.CONFIG_CHANGED, "a configuration was changed"),
            (EventKind.CONFIG_DELETED, "a configuration was removed"),
            (EventKind.CHANNEL_CREATED, "a channel was made"),
            (EventKind.CHANNEL_CHANGED, "a channel was changed"),
            (EventKind.CHANNEL_DELETED, "a channel was removed"),
            (EventKind.TENANT_CREATED, "a tenant was made"),
            (EventKind.PROFILE_CREATED, "a profile was made"),
            (EventKind.PROFILE_CHANGED, "a profile was changed"),
            (EventKind.PROFILE_DELETED, "a profile was deleted"),
            (EventKind.TOKEN_CREATED, "an operator token was made"),
            (EventKind.TOKEN_REVOKED, "an operator token was revoked"),
        )
    }
)
"""By the kind's own word; a gateway of tomorrow may know more kinds."""
