"""What each check that can refuse a device that signs means for the operator, and what to do about it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_ALIKE: Final = "The device was told only that group and signature do not go together, so that nobody can probe for groups."
_SHOW: Final = "firstlight profile show GROUP"

SIGNED: Final = MappingProxyType(
    {
        "group.unknown": Explanation(
            f"No group has the id that the device sent. {_ALIKE}",
            "Compare the firmware's group id with firstlight profile list; a deleted group's id is gone for good.",
        ),
        "signature.wrong": Explanation(
            f"The signature was not made with the group's secret, or is of another serial or time. {_ALIKE}",
            "Give the firmware the right group secret; what it signs is sn, its serial, timestamp, the time in milliseconds"
            " and the secret, all joined. After a rotation the secret before is good only until the end of its overlap."
            " Many of these from one source may be someone guessing.",
        ),
        "signature.time": Explanation(
            "The signature is right, but its time is further from the gateway's than the group tolerates.",
            "Set the device's clock; for devices without one, let the group tolerate any time"
            " (firstlight profile change GROUP --timestamp-tolerance none).",
        ),
        "group.not_signed": Explanation(
            "The device signed with the secret of a profile whose devices do not sign but present it.",
            "Give the firmware the id and secret of a profile with the strategy signed (firstlight profile list).",
        ),
        "group.disabled": Explanation(
            "The signature is right, but the group is disabled and lets nobody in.",
            "If that is not meant: firstlight profile change GROUP --strategy signed.",
        ),
        "group.closed": Explanation(
            "The signature is right, but no device of this serial is expected, and the group takes no other.",
            "Define the device in its group, or let serials register themselves"
            " (firstlight profile change GROUP --self-registration).",
        ),
        "device.not_allocated": Explanation(
            "The device is registered, but it was not given its credentials, and its group does not do that by itself.",
            f"Allocate it, or switch auto activation of its group on ({_SHOW}); the device comes again by itself.",
        ),
        "sub.not_gateway": Explanation(
            "A device asked for the credentials of another, and it is no gateway.",
            "If it is one, set the member gateway of its metadata, or of its group's, to true.",
        ),
        "credential.triple": Explanation(
            "A product key, device key or device secret holds something other than letters and digits.",
            f"Give the group another product key ({_SHOW}).",
        ),
        "body.bytes": Explanation(
            "The body is larger than any request of this kind has to be.", "Look at what the firmware sends."
        ),
    }
)
