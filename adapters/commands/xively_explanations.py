"""What the checks of the Xively dialect mean for the operator, and what mends it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_CLIENT: Final = "Correct what the client of the Blueprint API sends."

XIVELY: Final = MappingProxyType(
    {
        "etag.missing": Explanation(
            "The client asked to change or delete something and did not say which version of it it has seen.",
            "Have it send the `version` it read in the header `etag`; requests in a batch cannot, so send them one by one.",
        ),
        "body.size": Explanation(
            "The body is larger than any request of this dialect needs.", "Split the request; a batch may be sent in parts."
        ),
        "batch.size": Explanation("A batch needs at least one request and may have 100.", "Split the batch."),
        "batch.nested": Explanation("A batch has another batch in it, or a login.", _CLIENT),
        "topic.other": Explanation(
            "The device published to a topic of another device or account, or asked for its fields.",
            "Compare the topics in the firmware with xi/blue/v1/ACCOUNT/d/DEVICE/CHANNEL, with its own account and id.",
        ),
        "device.field": Explanation(
            "The device tried to set a field that its template does not have, or that is not the device's own to set.",
            "Add the field to the template if devices are to set it; organisation, serial and state are the operators'.",
        ),
    }
)
