"""What the checks of credentials, batches and profiles whose devices sign mean for the operator, and what mends it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_CLIENT: Final = "Correct what the client of the API sends."
_SEE: Final = "firstlight device credential list NAME shows what it has."

ISSUING_COMMANDS: Final = MappingProxyType(
    {
        "role.factory": Explanation(
            "A factory asked about a device that has left it: it has connected, or its secrets are an operator's.",
            "Let an operator do it; a factory issues credentials and reads those of devices that never connected.",
        ),
        "credential.kind": Explanation(
            "Devices of this profile cannot have a credential of this kind, or one of this kind cannot be drawn.",
            "Give one of the kind that firstlight profile show names, or use another profile.",
        ),
        "credential.count": Explanation(
            "The device has as many credentials that are good at once as it may have.",
            f"Revoke one first: firstlight device credential revoke NAME ID. {_SEE}",
        ),
        "credential.unknown": Explanation("The device has no credential of this id (any more).", _SEE),
        "expires_in_seconds.bounds": Explanation("The credential would end too late, or at once.", "Give 1 s to 3,660 days."),
        "overlap_seconds.bounds": Explanation("The old one would be good for too long.", "Give at most 366 days."),
        "batch.rows": Explanation(
            "The batch is empty or has too many serials.",
            "Send at most 100,000 at once, or 1,000 where each gets a password; firstlight device issue divides a file.",
        ),
        "batch.serial": Explanation("A serial stands in the batch twice.", "Take one of them out."),
        "issue.profile": Explanation("The batch names no profile.", "Name it in the body or in the query."),
        "issue.rows": Explanation("The body has both serials and devices, or neither.", _CLIENT),
        "body.csv": Explanation(
            "The body is no CSV that can be read: its first line has to name the columns, 256 at most, one of them serial;"
            " and it is UTF-8.",
            _CLIENT,
        ),
        "format.value": Explanation("The form of the answer is neither ndjson nor csv.", _CLIENT),
        "profile.signed": Explanation(
            "Rules for devices that sign were given for a profile with another strategy.",
            "Make the profile with --strategy signed, or leave these options out.",
        ),
        "profile.not_signed": Explanation(
            "Rules for devices that sign were given for a profile whose devices do not sign.",
            "Leave these options out, or make a new profile with --strategy signed.",
        ),
        "profile.strategy": Explanation(
            "A profile whose devices sign can be disabled and come back, and nothing else; no other profile becomes one.",
            "Make a new profile: firstlight profile create NAME --strategy signed.",
        ),
        "profile.product_key": Explanation("The product key is not of letters and digits.", "Give 1 to 64 of them."),
        "profile.credential_kind": Explanation(
            "Devices that sign have device_secret, and nothing else has; those with a chain have x509_certificate.",
            "Choose another kind, or the strategy that goes with it.",
        ),
        "profile.mqtt_url": Explanation(
            "Devices take the MQTT address apart at its colons, and this one would not survive that.",
            "Write it as tcp://HOST:PORT or ssl://HOST:PORT, with a name or an IPv4 address and nothing behind it.",
        ),
        "profile.http_url": Explanation(
            "Devices put paths behind the HTTP address, and this one would not survive that.",
            "Write it as http://HOST or https://HOST, with :PORT where it has one and nothing behind it.",
        ),
        "signed.timestamp_tolerance_s.bounds": Explanation(
            "The time that a signature may be off is not possible.", "Give 0 to 31,622,400 seconds, or none."
        ),
        "provision_key.group": Explanation(
            "The key of a profile whose devices sign is the id of their group, and devices could not send this one.",
            "Give 1 to 64 letters, digits, hyphens and underscores, or leave it out.",
        ),
    }
)
"""What they mean to those who operate."""
