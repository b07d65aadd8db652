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
    }
)
