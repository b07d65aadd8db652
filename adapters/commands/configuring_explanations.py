"""What the checks of bootstrap, tenants, channels, clients and configurations mean for the operator, and what mends it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_KEY: Final = "The device was told only that its external key is not right."
_SEE_CONFIGS: Final = "firstlight config list shows which there are."
_SHORTEN: Final = "Shorten what the detail names."
_CLIENT: Final = "Correct what the client of the API sends."

CONFIGURING: Final = MappingProxyType(
    {
        "bootstrap.unknown": Explanation(
            "No configuration has the external id that the device asked for.",
            "If the device is yours: firstlight config create EXTERNAL_ID. firstlight config unknown lists all such ids;"
            " compare the spelling too.",
        ),
        "bootstrap.key": Explanation(
            f"The external key is not the one of this configuration, or was encrypted under another key. {_KEY}",
            "Compare it with firstlight config show; with secure bootstrap, compare the encryption key and its format"
            " (FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY, FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT) with the firmware's.",
        ),
        "bootstrap.hex": Explanation(
            "Secure bootstrap takes the encrypted external key as hex, and this is none; it may be the plain key.",
            "Have the firmware encrypt the key, or fetch from the path without `secure`.",
        ),
        "bootstrap.short": Explanation(
            "The encrypted external key is too short to hold its initialisation vector of 16 bytes.",
            "Have the firmware send vector and ciphertext together, both as hex.",
        ),
        "bootstrap.device_disabled": Explanation(
            f"Id and key are right, but the device is disabled. {_KEY}", "If that is not meant: firstlight device enable NAME."
        ),
        "bootstrap.device_discarded": Explanation(
            f"Id and key are right, but the device was discarded. {_KEY}",
            "If it is to come back: firstlight device reset NAME.",
        ),
        "bootstrap.device_revoked": Explanation(
            f"Id and key are right, but the device has no client secret any more. {_KEY}",
            "If it is to come back: firstlight device rotate NAME --client-secret-file FILE gives it a new one.",
        ),
        "bootstrap.secure_tenant": Explanation(
            "The device asked for an encrypted configuration, and its tenant has no secure bootstrap: it was made without.",
            "Have the firmware bootstrap over TLS, DTLS or by challenge; or make the tenant with --secure-bootstrap.",
        ),
        "bootstrap.secure_off": Explanation(
            "The device asked for an encrypted configuration, and the gateway has no encryption key.",
            "Set FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY to the key that the firmware has, and restart the gateway.",
        ),
        "limit.bootstrap": Explanation(
            "This source address sent wrong keys for this external id more often than FIRSTLIGHT_LIMIT_FAILURES_PAIR allows, or"
            " ids that are not known more often than FIRSTLIGHT_LIMIT_FAILURES does.",
            "Look at the refusals before this one (firstlight event list --kind bootstrap.refused) and mend what they name.",
        ),
        "identity.other": Explanation(
            "The connection proved to be one device and asked for the configuration of another.",
            "Have the firmware ask for its own external id; if it does, two devices share credentials.",
        ),
        "identity.bootstrap_only": Explanation(
            "The connection was let in by an external key, which is good for fetching the configuration and nothing else.",
            "Have the firmware connect again with the id and the secret from its configuration.",
        ),
        "config.inactive": Explanation(
            "Id and secret are right, but the device's configuration is not active, so that the device may only fetch it.",
            "If the device is to go on: firstlight config state external:ID active.",
        ),
        "device.key_missing": Explanation(
            "The device sent no external key, or not in the form that this flavour of the dialect has.",
            "Compare the Authorization header with the flavour: bare, `Thing KEY` or `Client KEY`"
            " (FIRSTLIGHT_MAINFLUX_FLAVOUR, FIRSTLIGHT_MAGISTRALA_FLAVOUR).",
        ),
        "device.id_missing": Explanation(
            "The device asked for a configuration without saying whose.",
            "Have the firmware put its external id at the end of the path.",
        ),
        "request.slash": Explanation(
            "The path ends in a slash too much; the answer names the right one.", "Leave the slash away."
        ),
        "name.missing": Explanation("The request has no name where one is needed.", _CLIENT),
        "config.unknown": Explanation("There is no configuration of this id.", _SEE_CONFIGS),
        "config.client_unknown": Explanation(
            "The configuration was to be for a device that does not exist.",
            "firstlight device list shows which there are; without one named, a device is made.",
        ),
        "config.channel_unknown": Explanation(
            "The configuration names a channel that does not exist.",
            "firstlight channel list shows which there are; firstlight channel create makes one.",
        ),
        "config.length": Explanation("A part of the configuration is longer than the registry takes, or empty.", _SHORTEN),
        "config.characters": Explanation("The external id holds control characters.", _CLIENT),
        "channel.unknown": Explanation("There is no channel of this id.", "firstlight channel list shows which there are."),
        "channel.id_taken": Explanation(
            "A channel of this id exists already.", "Choose another id, or leave it out to have one drawn."
        ),
        "channel.length": Explanation("A part of the channel is longer than the registry takes.", _SHORTEN),
        "channel.characters": Explanation("The channel's id holds control characters.", _CLIENT),
        "channel.count": Explanation("More channels were to be made at once than one request may.", "Send them in parts."),
        "client.unknown": Explanation("There is no client of this id.", "firstlight device list shows which there are."),
        "client.id_taken": Explanation(
            "A client of this id exists already.", "Choose another id, or leave it out to have one drawn."
        ),
        "client.length": Explanation("A part of the client is longer than the registry takes.", _SHORTEN),
        "client.characters": Explanation("The client's id or secret holds control characters.", _CLIENT),
        "client.count": Explanation("More clients were to be made at once than one request may.", "Send them in parts."),
        "tenant.id": Explanation(
            "The tenant's id is not made of 1 to 36 letters, digits, - and _.", "Choose another id, or leave it out."
        ),
        "tenant.id_reserved": Explanation(
            "The tenant's id is the beginning of a path of the gateway's own, behind which the tenant would be hidden.",
            "Choose another id, or leave it out to have one drawn.",
        ),
        "mapping.layout": Explanation(
            "The layout of the provision service cannot be carried out; the detail says why.",
            "Correct FIRSTLIGHT_PROVISION_LAYOUT and restart the gateway.",
        ),
        "metadata.depth": Explanation("The metadata is nested too deep.", _CLIENT),
        "metadata.size": Explanation("The metadata is larger than the registry takes.", "Put less into it."),
        "content.type": Explanation(
            "The request did not say that its body is JSON.", "Send the header Content-Type: application/json."
        ),
        "query.escape": Explanation("The query holds a % without two hex digits behind it.", _CLIENT),
        "query.limit": Explanation("More entries of a page were asked for than there may be.", "Ask for 100 at most."),
        "query.number": Explanation("A parameter of the query is not the number that it should be.", _CLIENT),
        "external_id.missing": Explanation("A configuration was to be made without an external id.", _CLIENT),
        "external_key.missing": Explanation("A configuration was to be made without an external key.", _CLIENT),
        "channels.missing": Explanation(
            "A configuration was to be made without channels, and this generation of the API needs one.", _CLIENT
        ),
        "channels.empty_id": Explanation("The id of a channel is empty.", _CLIENT),
        "state.value": Explanation("The state is neither 0 nor 1.", _CLIENT),
        "secret.missing": Explanation("A client was to get a new secret, and there is none in the request.", _CLIENT),
        "list.empty": Explanation("The list in the request is empty.", _CLIENT),
    }
)
"""What they mean in every dialect."""

CONFIGURING_COMMANDS: Final = MappingProxyType(
    {
        "external_id": Explanation(
            "A configuration of this external id exists already; it may be another tenant's.",
            f"Choose another external id, or remove the configuration that has it. {_SEE_CONFIGS}",
        ),
        "config_device": Explanation(
            "The device has a configuration already, and it can have no second one.",
            "Change the one it has (firstlight config update, certs, channels), or remove it first.",
        ),
        "config_name": Explanation("The tenant has a configuration of this name already.", "Choose another name."),
        "tenant_id": Explanation("There is a tenant of this id already.", "Choose another id, or leave it out."),
    }
)
"""The guards that a commit of such a command can fail."""
