"""What each check that can refuse a device's login or session means for the operator, and what to do about it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_SIGN: Final = (
    "Have the firmware send the client id that EnOS's SDKs send: ID|securemode=2,signmethod=sha256,timestamp=MILLISECONDS|."
)

LOGINS: Final = MappingProxyType(
    {
        "login.two_devices": Explanation(
            "The MQTT client id and the user name are ids of two different devices.",
            "Have the firmware send its own id as both, or leave one of them empty.",
        ),
        "login.client_id": Explanation(
            "The device has a triple, and its MQTT client id does not say how the password is signed.", _SIGN
        ),
        "login.secure_mode": Explanation(
            "The device wants to log in with another secret than its own: a secure mode other than 2.", _SIGN
        ),
        "login.sign_method": Explanation(
            "The device signs its password in a way that is not taken, or is taken only where its profile says so.",
            f"{_SIGN} Where that cannot be, look at the options of its profile for older ways of signing.",
        ),
        "login.session": Explanation(
            "The token of a session is over or none of this gateway, or the password or credential behind it is gone.",
            "Nothing to do where the client logs in again, as clients should.",
        ),
        "session.lifetime": Explanation(
            "The device asked for a session whose lifetime is no number of milliseconds.",
            "Correct what the firmware sends; without a lifetime of its own it may ask for 300000.",
        ),
        "identity.user": Explanation(
            "A user of the directory is connected, and asked for something that only devices do.",
            "Give what publishes as a device a device of its own, and the credential of that.",
        ),
        "profile.signed": Explanation(
            "Key and secret are right, but devices of this profile sign with the secret, and this one presented it.",
            "Give the firmware the key and secret of a profile with another strategy (firstlight profile list).",
        ),
    }
)
