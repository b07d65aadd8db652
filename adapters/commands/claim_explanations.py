"""What the checks mean by which a claim key refuses: how far it reaches, and who does not come back by it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_AS_WRONG: Final = "The device was told what it is told of a wrong key."
_CHANGE: Final = "If the device is yours: firstlight profile change P"

CLAIM_KEYS: Final = MappingProxyType(
    {
        "claim.burned": Explanation(
            f"The profile's claim key was burned: it is worthless for good. {_AS_WRONG}",
            "Devices that it let in go on. Give the others the key of a new profile: firstlight profile create.",
        ),
        "claim.early": Explanation(
            f"The claim key is not good yet. {_AS_WRONG}", f"{_CHANGE} --opens TIME, or --opens none. Look at its clock, too."
        ),
        "claim.over": Explanation(
            f"The time of the claim key is over. {_AS_WRONG}",
            f"{_CHANGE} --closes TIME, or --closes none. If nobody should come any more: firstlight profile burn P.",
        ),
        "claim.name": Explanation(
            "The claim key was right, and it is not for a device of this name (or serial), or the device gave no name.",
            f"{_CHANGE} --names NAME (all that it is for) or --names-pattern. If not, the key has leaked: firstlight profile"
            " rotate or burn P.",
        ),
        "claim.budget": Explanation(
            "The claim key has made as many devices as it may make, counting those that were deleted since.",
            f"{_CHANGE} --budget N. If more came than you built, the key has leaked: firstlight profile burn P.",
        ),
        "claim.rate": Explanation(
            "The claim key lets in no more devices at a time; the device was told when to come again.",
            "Nothing: it comes again. Else: firstlight profile change P --rate N:BURST.",
        ),
        "claim.source_rate": Explanation(
            "The claim key lets in no more devices at a time from one address; the device was told when to come again.",
            "Nothing: it comes again. For many devices behind one address: firstlight profile change P --source-rate N:BURST.",
        ),
        "device.tombstone": Explanation(
            "A device of this name or serial was deleted, and does not come back by its claim key alone.",
            "firstlight device leave NAME lets it come back once, firstlight device define NAME makes it anew. Where they are"
            " deleted so that they come back: firstlight profile change P --no-tombstones.",
        ),
    }
)

CLAIM_KEY_COMMANDS: Final = MappingProxyType(
    {
        "profile.burned": Explanation(
            "The profile's claim key is burned for good, and gets no other secret.", "Make another profile."
        ),
        "profile.claim_names": Explanation(
            "The names that the claim key is for are too many, or too long together.",
            "Write ranges such as meter-0001..meter-5000, or a pattern.",
        ),
        "profile.claim_pattern": Explanation(
            "The pattern of names is no regular expression, or could take long.", "The detail says what is wrong with it."
        ),
        "profile.claim_budget": Explanation("The budget is no possible number of devices.", "Give a number from 0 on."),
        "profile.claim_window": Explanation(
            "The claim key would end before it begins, or at no possible time.", "Give --opens before --closes."
        ),
        "profile.claim_rate": Explanation("The rate is no possible one.", "Give devices a minute, and how many at once."),
        "leave.present": Explanation(
            "The device is there and has credentials, so nothing keeps it from coming.",
            "firstlight device show NAME. For another credential: firstlight device rotate NAME.",
        ),
        "leave.pre_provisioned": Explanation(
            "The device is gone, and its profile lets in only devices that were defined before.",
            "firstlight device define NAME --profile P.",
        ),
        "device_budget": Explanation("The profile's claim key has made all it may make.", "Raise its budget."),
    }
)
