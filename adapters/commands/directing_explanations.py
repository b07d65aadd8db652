"""What the checks of the directory, of users, templates and their devices mean for the operator, and what mends it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_CLIENT: Final = "Correct what the client of the API sends; the detail says what."
_SHORTEN: Final = "Shorten what the detail names."
_READ_AGAIN: Final = "Read it again and repeat the change if it is still wanted."

DIRECTING_COMMANDS: Final = MappingProxyType(
    {
        "bearer.expired": Explanation(
            "The token of a user's login is over.", "Nothing to do where the client logs in again, as clients should."
        ),
        "role.user": Explanation(
            "A user of the directory, whatever its role, asked for something that reaches beyond its tenant.",
            "Use the admin token, or an operator token of the role admin.",
        ),
        "role.users": Explanation(
            "Passwords, and users who may give commands, are written by an admin alone.",
            "Use a token of the role admin (firstlight token create NAME --role admin).",
        ),
        "role.factory": Explanation(
            "A factory's token asked for the credentials of a device that has left the factory: it has connected already.",
            "Use a token of the role operator if the device is to get other credentials.",
        ),
        "version.mismatch": Explanation(
            "Somebody changed the entry, template or device since the client read it; nothing was written.", _READ_AGAIN
        ),
        "device.field_missing": Explanation(
            "The template of the device has a field that needs a value, and none was given.",
            "Give the value of the field that the detail names, or give the field a default.",
        ),
        "device.length": Explanation("Serial or name of the device is empty or longer than the registry takes.", _SHORTEN),
        "device.characters": Explanation("The serial of the device holds control characters.", _CLIENT),
        "certificate.expired": Explanation(
            "The certificate is not valid at this time: its end has passed, or its beginning is still to come.",
            "Issue the device a certificate that is valid now, and compare the clocks of who issued it and of the gateway.",
        ),
        "password.length": Explanation("The password is too short, or longer than the registry takes.", _CLIENT),
        "password.characters": Explanation("The password holds a control character.", _CLIENT),
        "entry.unknown": Explanation(
            "The directory has no organisation, user or template of this id and kind.", "List the entries of that kind."
        ),
        "entry.length": Explanation("A name or login is empty or longer than the registry takes.", _CLIENT),
        "entry.characters": Explanation(
            "A name or login holds characters that it cannot: control characters, or + and # in the name of a channel.", _CLIENT
        ),
        "entry.user": Explanation("Only users have logins, roles and passwords.", _CLIENT),
        "entry.login": Explanation(
            "The user has a password and no login, or the login is the name that events give to the admin token.", _CLIENT
        ),
        "entry.role": Explanation("An end user has no other role than customer.", _CLIENT),
        "entry.filters": Explanation(
            "A list was asked for by more ids or parents than one request may name.", "Ask for them in parts."
        ),
        "entry.kind": Explanation("Only users of the directory have secrets of their own.", _CLIENT),
        "entry.parent": Explanation("An entry of this kind belongs to no other.", _CLIENT),
        "entry.template": Explanation("An entry of this kind is made from no template.", _CLIENT),
        "entry.own": Explanation(
            "The tenant's own organisation, which everything belongs to that belongs to no other, stays as it is.",
            "Make an organisation of your own and use that.",
        ),
        "entry.in_use": Explanation(
            "The organisation still has devices, users or organisations; nothing was removed.",
            "Give them to another organisation, or remove them first.",
        ),
        "entry.name_taken": Explanation(
            "The template has a field or channel of this name already.", "Choose another name, or change the one there is."
        ),
        "entry.count": Explanation(
            "The template has as many fields or channels as one may have.", "Remove those that nobody uses."
        ),
        "entry.circle": Explanation(
            "The organisation would be within itself, or within too many others.", "Choose another parent for it."
        ),
        "entry_name": Explanation(
            "The template has a field or channel of this name already.", "Choose another name, or change the one there is."
        ),
        "entry_login": Explanation(
            "The tenant has a user who logs in with this already.", "Choose another login; their case does not count."
        ),
    }
)
