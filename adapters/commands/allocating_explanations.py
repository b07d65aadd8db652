"""What the checks of serials, their groups and their allocation mean for the operator, and what mends it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_APPLICATION: Final = "Correct what the application sends."
_TWO_SERIALS: Final = "Search for the serial: it is another device's. Change that one, or give this one its own serial."

ALLOCATING: Final = MappingProxyType(
    {
        "organization.missing": Explanation(
            "The application did not say whose devices it means.", "Put the tenant's id into the query, as orgId."
        ),
        "application.action": Explanation("The application asked for an action that there is not.", _APPLICATION),
        "group.unsigned": Explanation(
            "The device belongs to a profile whose devices do not sign, so that there is no allocation for it.",
            "Give it its credentials (firstlight device rotate NAME), or make it in a group with the strategy signed.",
        ),
        "group.reallocation": Explanation(
            "The group does not let its devices be allocated anew.",
            "If that is not meant, change the group's reallocation; or remove the device and let it register again.",
        ),
        "serial.count": Explanation(
            "More devices were asked for at once than there may be, or none.", "Ask for 1 to 1,000,000."
        ),
        "serial.shared": Explanation(
            "Several devices were asked for with one serial.", "Leave the serial out, or ask for one device."
        ),
        "serial.length": Explanation(
            "A serial, a name or the tag of a batch is empty or too long.", "Shorten what the detail names."
        ),
        "serial.characters": Explanation("A serial holds control characters.", _APPLICATION),
        "serial.names": Explanation("No devices were named, or more than a thousand at once.", "Name 1 to 1,000 at once."),
        "serial.itself": Explanation("A device was to be replaced by itself.", _APPLICATION),
        "serial.other_group": Explanation(
            "A device was to be replaced by one of another group.", "Make the replacement in the group of the device first."
        ),
        "serial.allocated": Explanation(
            "The device that was to replace another has its own credentials already.",
            "Take one that has none, or reset its allocation first.",
        ),
        "search.values": Explanation(
            "A search names more groups, names or serials than are looked up at once.", "Split it into several."
        ),
        "search.depth": Explanation(
            "The serials of a search have more devices than are looked at.", "Name fewer serials, or their group."
        ),
        "search.scans": Explanation(
            "As many searches by master data, tag or description as may be are under way.",
            "Send it again in a moment, or search by group, state, name or serial.",
        ),
        "search.scan": Explanation(
            "A search by master data, tag or description would look at more devices than it may.",
            "Narrow it by group, state, name or serial.",
        ),
    }
)
"""What they mean in every dialect."""

ALLOCATING_COMMANDS: Final = MappingProxyType(
    {"device_serial": Explanation("A device of this serial exists in the group already.", _TWO_SERIALS)}
)
"""The guards that a commit of such a command can fail."""
