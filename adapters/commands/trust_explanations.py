"""What the checks mean that have to do with protection on the wire: TLS, certificates, pre-shared keys and OSCORE."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

TRUST: Final = MappingProxyType(
    {
        "plain.refused": Explanation(
            "The request came without TLS, DTLS or OSCORE, where FIRSTLIGHT_PLAIN or the device's profile does not allow that.",
            "Have the firmware use the protected port, or allow it: FIRSTLIGHT_PLAIN, firstlight profile change --plain.",
        ),
        "challenge.foreign": Explanation(
            "The challenge that the device brought was altered, or made by another gateway or before the last start.",
            "At a restart nothing: the device asks for another. Behind a balancer, keep a device at one replica.",
        ),
        "challenge.swapped": Explanation(
            "The challenge was made for another external id or another nonce than the device sent with it.",
            "A device has to send the same external id and nonce in both requests. Or else somebody tries what was overheard.",
        ),
        "challenge.expired": Explanation(
            "The device brought its challenge later than the minute that it was good for.",
            "Nothing: the device asks for another. Look for slow networks, where it happens often.",
        ),
        "challenge.spent": Explanation(
            "The challenge was used once already, with the right proof: a request was repeated, or overheard.",
            "Nothing: a device that lost its answer asks for another challenge, and overhearing gives nobody the answer.",
        ),
        "challenge.proof": Explanation(
            "The proof is not what the external key of this configuration gives.",
            "Compare the key of the device with the configuration's, and its arithmetic with the vectors beside challenge.md.",
        ),
        "challenge.room": Explanation(
            "More devices proved themselves within a minute than the gateway can remember the challenges of.",
            "The devices come again by themselves. Where so many are expected, raise FIRSTLIGHT_CHALLENGES.",
        ),
    }
)
