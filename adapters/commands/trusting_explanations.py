"""What the checks mean by which operators say whom to trust: chains of certificates, and OSCORE contexts."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_OSCORE: Final = Explanation(
    "The parts of an OSCORE context are hex; its two ids differ and have at most 7 bytes, and its secret has 16 at least.",
    "Correct the part that the detail names, or leave ids and secret out to have them drawn.",
)
_SHOW: Final = "firstlight profile show NAME"

TRUSTING: Final = MappingProxyType({"credential.oscore": _OSCORE})

TRUSTING_COMMANDS: Final = MappingProxyType(
    {
        "credential.oscore": _OSCORE,
        "credential.oscore_used": Explanation(
            "The device has an OSCORE context with these keys already; begun anew, its message numbers would come again, and"
            " with them everything that was protected could be read.",
            "Give another secret or salt, or leave them out to have a context drawn (--oscore).",
        ),
        "oscore_context": Explanation("The OSCORE context was begun by another request at the same moment.", "Try again."),
        "certificate_serial": Explanation("A certificate of this serial number was made before.", "Try again."),
        "profile.chain": Explanation(
            "Only the strategy certificate_chain lets devices in by a chain of certificates.",
            "Choose that strategy, or leave out what was said of a chain.",
        ),
        "profile.not_chain": Explanation(
            "The profile's devices do not come with a chain of certificates.",
            "Change the strategy, too: --strategy certificate_chain --certificate FILE.",
        ),
        "profile.chain_certificate": Explanation(
            "Chains have to come to a certificate, and what was given is none in PEM, or nothing was given.",
            "Give the factory's certificate, perhaps with those behind it (--certificate FILE); no private key belongs there.",
        ),
        "profile.chain_authority": Explanation(
            "No chain that comes to this certificate could be right: the detail says why.",
            "Give the certificate of an authority that is in its time; where devices have to get in by another one as they do"
            " with ThingsBoard, --lax takes it.",
        ),
        "profile.chain_pattern": Explanation(
            "The pattern cannot find a device's name: it is no regular expression, has no group, or could take long.",
            "Put the name into parentheses, repeat single characters alone and begin with ^, as in ^(.*)\\.example\\.com$.",
        ),
        "profile.issuing_lifetime": Explanation(
            "A certificate is good for a day at least and ten years at most.", f"Give days in that range ({_SHOW})."
        ),
    }
)
