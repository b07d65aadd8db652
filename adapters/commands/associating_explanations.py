"""What the checks of associations and firmware mean for the operator, and what mends it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_RECEIVED: Final = "The device was told only that its announcement was received."
_SEE_DEVICE: Final = "firstlight device show NAME shows its state and its owner."
_FIRMWARE: Final = "Compare what the firmware sends with the vendor's documents."
_CORRECT: Final = "Correct what the detail names."
_OFFER: Final = "firstlight device offer NAME draws another code."

ASSOCIATING: Final = MappingProxyType(
    {
        "announcement.owned": Explanation(
            f"The device announced that it may be claimed, and it has its owner already. {_RECEIVED}",
            "If it is to pass to somebody else: firstlight device give-up NAME, and let it announce itself again.",
        ),
        "announcement.not_allowed": Explanation(
            f"The device announced that it may be claimed, and its profile does not allow that. {_RECEIVED}",
            "Set claimingAllowed to true in the device's metadata, or take thingsboard-claiming-off from its profile.",
        ),
        "announcement.not_gateway": Explanation(
            f"A device announced others that may be claimed, and it is no gateway. {_RECEIVED}",
            "If it is one, set gateway to true in its metadata.",
        ),
        "announcement.device": Explanation(
            f"A gateway announced a device that does not exist, is shut out, or is not behind this gateway. {_RECEIVED}",
            "Define the device, and set gateway_id in its metadata to the gateway's id where their profiles differ.",
        ),
        "announcement.count": Explanation(
            "A gateway announced more devices at once than one message may.", "Have the gateway send them in parts."
        ),
        "announcement.length": Explanation(
            "A device announced a secret that is longer than the registry takes.",
            "Shorten it to 255 characters in the firmware.",
        ),
        "association.state": Explanation(
            "The device has not come yet with its credentials, or it is shut out, so it cannot be given to anybody.",
            f"Let it connect once, then try the same code again. {_SEE_DEVICE}",
        ),
        "device.not_associated": Explanation("The device was to be given up, and it is nobody's.", _SEE_DEVICE),
        "identity.gone": Explanation(
            "The device was removed after its connection proved who it is.", "Nothing, unless it was removed by mistake."
        ),
        "device.credential_missing": Explanation(
            "The device asked without a credential, with one in another form than Bearer or Basic, or with a certificate over"
            " HTTPS that was refused when its connection was made.",
            "Have the firmware send what it was issued: Authorization over HTTP, auth in the query over CoAP, or a certificate;"
            " why that was refused is told by the event before (login.refused, firstlight event list).",
        ),
        "firmware.version": Explanation(
            "The device said that it runs a version that is empty, too long or not printable.", _FIRMWARE
        ),
    }
)
"""What they mean to whoever sent the request."""

ASSOCIATING_COMMANDS: Final = MappingProxyType(
    {
        "association.code": Explanation(
            "There is no device with this code: it is mistyped, used, over, withdrawn, replaced or of another tenant.",
            f"Compare it with what was given out. {_OFFER}",
        ),
        "association.device": Explanation(
            "There is no device of this name, it is shut out, or it is not for whoever asked to say whose it is.",
            "firstlight device list shows which there are, and device show whose they are.",
        ),
        "association.secret": Explanation(
            "The device did not announce that it may be claimed with this secret, or its announcement is over; after a wrong"
            " secret it counts no more.",
            "Let the device announce itself again, and type the secret that it says.",
        ),
        "association.owned": Explanation(
            "The device has its owner already.", f"Its owner has to give it up first (firstlight device give-up). {_SEE_DEVICE}"
        ),
        "association.seconds": Explanation("The code was to be good for a time that is not possible.", _CORRECT),
        "association.target": Explanation(
            "Both an organisation and a user were named, and only one can be the owner.", "Leave one of them away."
        ),
        "limit.association": Explanation(
            "This source address or this account tried wrong codes or secrets too often (FIRSTLIGHT_LIMIT_FAILURES).",
            "Wait as long as the answer says. Many of these may be someone guessing: look at firstlight event list.",
        ),
        "firmware.length": Explanation("The firmware's version is empty or longer than the registry takes.", _CORRECT),
        "firmware.characters": Explanation("The firmware's version holds control characters.", _CORRECT),
        "firmware.url": Explanation("The address of the image is none that devices can be sent to.", _CORRECT),
        "firmware.size": Explanation("The size of the image is no number of bytes that is possible.", _CORRECT),
        "firmware.sha256": Explanation(
            "The digest of the image is not 64 hex digits.", "sha256sum FILE prints it; --file FILE computes it."
        ),
        "claim_lookup": Explanation("Another device waits for its owner by the same code.", "Try again."),
        "claim_device": Explanation("The device waits for its owner already; nothing was written.", "Try again."),
    }
)
"""What they mean to who gave a command."""
