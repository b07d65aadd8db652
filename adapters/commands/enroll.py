"""`firstlight enroll`: acts as a device, to try a gateway out."""

from typing import TYPE_CHECKING

from adapters.commands import enroll_enos, enroll_thingsboard
from adapters.commands.parsing import add_group

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands


def add(commands: "Commands") -> None:
    """Declare a command for each dialect."""
    group = add_group(commands, "enroll", "act as a device, in the dialect that its firmware speaks")
    enroll_thingsboard.add(group)
    enroll_enos.add(group)
