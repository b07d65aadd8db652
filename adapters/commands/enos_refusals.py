"""What a refusal of EnOS's bootstrap means, and who can mend it.

Codes: EnOS Device Provisioning Service, "Bootstrap Device" and the common error codes of its application API.
"""

import shlex
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from adapters.commands.carriers import Reply
from adapters.commands.enos_device import Answer

_STATE, _PROOF, _BUSY = 10000, 35601, 35429
_NOTICED_SECONDS = 60
_MEANINGS = MappingProxyType(
    {
        _PROOF: "group, serial and password do not go together, or the clock is too far off; a device is not told which",
        35603: "the group is disabled, or does not expect this serial, or its tenant has all the devices it may have",
        35404: "there is nothing at this path: is the service called otherwise, is enos among FIRSTLIGHT_DIALECTS?",
        35500: "the gateway is busy or has a fault of its own; try again",
        99400: "the gateway does not take the request as it is: the message names the member at fault",
    }
)
_FOREIGN = "this is no answer of EnOS: is enos among FIRSTLIGHT_DIALECTS, and served at this address?"


def meaning(answer: Answer, reply: Reply, serial: str) -> str:
    """Say what a refusal means and what to do about it."""
    if answer.code == _STATE:
        return _state(answer.msg, serial)
    if answer.code == _BUSY:
        seconds = f"{reply.retry_after} s" if reply.retry_after.isascii() and reply.retry_after.isdigit() else "a while"
        return f"there were too many attempts from this address or for this group; try again in {seconds}"
    return _MEANINGS.get(answer.code, _FOREIGN)


def clock_difference(answer: Answer, reply: Reply, now: datetime) -> str:
    """Say how far this clock is from that of a server that takes no proof, empty where that is no reason or not known."""
    if answer.code != _PROOF:
        return ""
    try:
        seconds = round((now - parsedate_to_datetime(reply.date)).total_seconds())
    except (TypeError, ValueError, OverflowError):  # no date, one without a zone, or one that no calendar has
        return ""
    if abs(seconds) <= _NOTICED_SECONDS:
        return ""
    way = "ahead of" if seconds > 0 else "behind"
    return (
        f"this machine's clock is {abs(seconds):,} s {way} the gateway's: set it, or let the group tolerate that"
        " (firstlight profile change PROFILE --timestamp-tolerance S)"
    )


def _state(message: str, serial: str) -> str:
    """Tell the two states apart that have one code: only the message does."""
    name = shlex.quote(serial)
    if message.endswith(" discarded"):
        return f"the device is out of service, disabled or discarded: firstlight device show {name}"
    if message.endswith(" not allocated"):
        return (
            "the gateway knows the device, and an operator has to allocate it: give it its triple"
            f" (firstlight device credential add {name}), or have the group give one to every device"
            " (firstlight profile change PROFILE --auto-activation); then enroll again"
        )
    return "something else was done to the device at the same time; try again"
