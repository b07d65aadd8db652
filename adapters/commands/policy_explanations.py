"""What the checks mean by which a profile's policies refuse: who comes again, and how far a claim key reaches."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_TOLD: Final = "The device was told no more than a device that is refused for good; it may try again."
_CLOSED: Final = "Without an answer nobody is let in; the device was told to come again."

POLICY: Final = MappingProxyType(
    {
        "reprovision.unproved": Explanation(
            "A device of this name has its credentials, and the profile gives others only to who proves to have the old ones.",
            "If it is the same device without its credential: firstlight device delete NAME lets it start over (device reset"
            " NAME with pre_provisioned). Firmware proves itself by its old token or its connection. If it is another one,"
            " someone tries a name that is taken.",
        ),
        "approval.waiting": Explanation(
            f"The profile has devices wait for an operator, and this one does. {_TOLD}",
            "firstlight approval list shows it; firstlight approval grant NAME lets it in at its next try, or refuse NAME.",
        ),
        "approval.refused": Explanation(
            f"An operator refused to approve the device. {_TOLD}",
            "If that was not meant: firstlight approval grant NAME. After seven days it may ask anew.",
        ),
        "approval.full": Explanation(
            "So many devices wait for approval, of the same source or in all, that no other one can be entered.",
            "Answer those who wait (firstlight approval list, grant, refuse); if they are not yours, the claim key has leaked:"
            " firstlight profile rotate P.",
        ),
        "lockout.identity": Explanation(
            "Wrong secrets came for one identity more often than one address may send them (FIRSTLIGHT_LIMIT_FAILURES_PAIR, ten"
            " times over). Its owner is not kept out; those who never got in have a tenth of the tries for an hour.",
            "firstlight event list shows where they come from. Block these addresses, and give the identity another secret if"
            " it has a weak one.",
        ),
        "request.repeat_key": Explanation(
            "The request carries an idempotency key that its sender used for another request before, or one that is no text or"
            " very long.",
            "Have the firmware draw a new key for each new request, a UUID for example, and send one again unchanged alone.",
        ),
        "credential.superseded": Explanation(
            "The device logged in with a new credential at the very moment when another new one took its place.",
            "Let it ask for its credentials again; if that happens often, two devices share a name.",
        ),
        "credential.count": Explanation(
            "The device has as many credentials that are good at once as it may have, so that no new one can be put on trial.",
            "firstlight device credential list NAME shows them; revoke one.",
        ),
        "hook.refused": Explanation(
            "The profile's hook, which the detail names, said that the device may not come in; behind it stands its reason. The"
            " device was told that it may not be let in, and nothing of the reason.",
            "Ask whoever runs the hook. Without it: firstlight profile change P --no-hook.",
        ),
        "hook.unreachable": Explanation(
            f"The profile's hook, which the detail names, could not be reached, or its certificate is not trusted. {_CLOSED}",
            "Try its address from the gateway's machine (curl -v URL). https is needed, or http on this machine.",
        ),
        "hook.slow": Explanation(
            f"The profile's hook, which the detail names, did not answer in time. {_CLOSED}",
            "Make it quicker, or give it longer: firstlight profile change P --hook-seconds N (10 at most).",
        ),
        "hook.status": Explanation(
            f"The profile's hook, which the detail names, answered with another status than 2xx. {_CLOSED}",
            "Look into its log. No redirect is followed: --hook has to be its final address. A no comes with status 200, too.",
        ),
        "hook.unreadable": Explanation(
            f"The profile's hook, which the detail names, answered what is no answer: the detail says why. {_CLOSED}",
            "It has to answer JSON with allow true or false, and no members but reason, name, profile, channels, metadata.",
        ),
        "hook.too_large": Explanation(
            f"The profile's hook, which the detail names, answered more than 64 KiB. {_CLOSED}", "Have it answer less."
        ),
        "hook.busy": Explanation(
            f"So many questions to hooks are under way that no other can be put. {_CLOSED}",
            "Make the hook quicker; a hook that hangs holds its questions for the whole of --hook-seconds.",
        ),
        "hook.name": Explanation(
            f"The profile's hook gave the device a name that it cannot have. {_CLOSED}",
            "A name has 1 to 255 characters, without control characters and markup. The detail says what is wrong.",
        ),
        "hook.name_taken": Explanation(
            f"The profile's hook gave a new device a name that another device of the tenant has. {_CLOSED}",
            "Let it give a free name, or delete the other device. The serial of this one is its own in any case.",
        ),
        "hook.profile": Explanation(
            f"The profile's hook put the device into a profile where it cannot go. {_CLOSED}",
            "It has to be the id or name of a profile of the same tenant and strategy; devices that sign stay in their group.",
        ),
        "hook.channels": Explanation(
            f"The profile's hook gave the device channels that there are not, or more than 1,000. {_CLOSED}",
            "It has to name channels of the same tenant by id: firstlight channel list.",
        ),
        "hook.metadata": Explanation(
            f"With what the profile's hook said, the device's metadata would be too large or too deep. {_CLOSED}",
            "Metadata has 16 KiB and 16 levels at most, together with what the device brought.",
        ),
        "hook.unsteady": Explanation(
            f"The profile's hook gave the device another place, and again another when it was asked about that. {_CLOSED}",
            "Have it give a device one name and one profile, whatever the decision that it is asked about.",
        ),
    }
)

POLICY_COMMANDS: Final = MappingProxyType(
    {
        "approval.unknown": Explanation(
            "Nobody of this id or name waits for approval; what waited may have ended, or been let in.",
            "firstlight approval list shows who waits.",
        ),
        "approval.ambiguous": Explanation(
            "Devices of several profiles wait under this name.", "Say which is meant: --profile P, or the id."
        ),
        "approval.verdict": Explanation("Devices that wait are granted or refused, nothing else.", "Give one of the two."),
        "approval.decisions": Explanation("There are no answers, or more than may be given at once.", "Give 1 to 1,000."),
        "approval_name": Explanation("The device was entered by another request at the same moment.", "Try again."),
        "profile.hook": Explanation(
            "The address of the hook cannot be one: the detail says why.",
            "Give --hook https://HOST/PATH; http is for a service on the gateway's own machine.",
        ),
        "approval_room": Explanation("Too many devices wait for approval.", "Answer those who wait."),
    }
)
