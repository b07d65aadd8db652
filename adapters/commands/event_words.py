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
            (EventKind.IDENTITY_GUESSED, "somebody guesses at the secret of one identity, maybe from many addresses"),
            (EventKind.REQUEST_REFUSED, "a request was refused"),
            (EventKind.CERTIFICATE_ISSUED, "a device was given a certificate"),
            (EventKind.CERTIFICATE_REFUSED, "a device asked for a certificate and was refused"),
            (EventKind.DEVICE_CONNECTED, "a device came with its credentials for the first time"),
            (EventKind.DEVICE_DEFINED, "a device was defined"),
            (EventKind.DEVICE_CHANGED, "a device was changed"),
            (EventKind.DEVICE_REVOKED, "a device lost its credentials"),
            (EventKind.DEVICE_DELETED, "a device was deleted"),
            (EventKind.DEVICE_ALLOCATED, "a device was given its credentials by an operator"),
            (EventKind.DEVICE_RESET, "a device lost its allocation"),
            (EventKind.DEVICE_ASSOCIATED, "a device was given its owner"),
            (EventKind.DEVICE_GIVEN_UP, "a device was given up by its owner"),
            (EventKind.ASSOCIATION_OFFERED, "a device waits for its owner"),
            (EventKind.ASSOCIATION_REFUSED, "an announcement that a device may be claimed did not count"),
            (EventKind.FIRMWARE_REPORTED, "a device said which firmware it runs"),
            (EventKind.APPROVAL_REQUESTED, "a device waits for an operator's approval"),
            (EventKind.APPROVAL_DECIDED, "an operator answered a device that waits"),
            (EventKind.CREDENTIAL_ISSUED, "a device was issued a credential"),
            (EventKind.CREDENTIAL_ROTATED, "a device was given another credential"),
            (EventKind.CREDENTIAL_ADOPTED, "a device first used its new credential, and its older ones ended"),
            (EventKind.CREDENTIAL_READ, "secrets were shown to an operator"),
            (EventKind.CONFIG_CREATED, "a configuration was made"),
            (EventKind.CONFIG_CHANGED, "a configuration was changed"),
            (EventKind.CONFIG_DELETED, "a configuration was removed"),
            (EventKind.CHANNEL_CREATED, "a channel was made"),
            (EventKind.CHANNEL_CHANGED, "a channel was changed"),
            (EventKind.CHANNEL_DELETED, "a channel was removed"),
            (EventKind.ENTRY_CREATED, "an entry of the directory was made"),
            (EventKind.ENTRY_CHANGED, "an entry of the directory was changed"),
            (EventKind.ENTRY_DELETED, "an entry of the directory was removed"),
            (EventKind.OPERATOR_LOGGED_IN, "a user of the directory logged in"),
            (EventKind.TENANT_CREATED, "a tenant was made"),
            (EventKind.PROFILE_CREATED, "a profile was made"),
            (EventKind.PROFILE_CHANGED, "a profile was changed"),
            (EventKind.PROFILE_DELETED, "a profile was deleted"),
            (EventKind.PROFILE_BURNED, "a profile's claim key was burned"),
            (EventKind.LEAVE_GRANTED, "a device that was removed or revoked may come back"),
            (EventKind.TOKEN_CREATED, "an operator token was made"),
            (EventKind.TOKEN_REVOKED, "an operator token was revoked"),
            (EventKind.KEYS_ROTATED, "all secrets were sealed under another master key"),
            (EventKind.REGISTRY_RESTORED, "the registry was put back from a backup: what came after it never was"),
        )
    }
)
"""By the kind's own word; a gateway of tomorrow may know more kinds."""
