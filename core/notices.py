"""What a commit concerns, as names: those who wait for one of them ask the registry again."""

from core.model import BootstrapConfig, Channel, Credential, Device, DeviceId, DirectoryEntry, Profile
from core.permit import ANY_DEVICE, owner_part
from core.ports import Changes, Entity

EVENTS = "events"
"""The name that stands for events that were committed, whatever they tell."""

ANY_CHANNEL = "any channel"
"""The name that stands for every channel."""

EVERYTHING = "\n"
"""The name of all that there is: nobody knows what changed. No watch has it in its key: it is the end of a line."""

_SESSION = "session "
_BOTH, _SESSION_ALONE, _PLAIN = "*", "~", "."


def session_key(device: DeviceId) -> str:
    """Return the key of those whom only the device and its credentials concern, and not its channels."""
    return _SESSION + device


def names_of(changes: Changes) -> frozenset[str]:
    """Return the names of what committed changes may concern. A new channel is in no configuration yet."""
    names = {EVENTS} if changes.events else set()
    for entity in (*changes.insert, *changes.replace, *(deletion.entity for deletion in changes.delete)):
        names.update(_names(entity))
    return frozenset(names)


def write(names: frozenset[str]) -> str:
    """Return names as one text, a line each; a session and its device share one."""
    sessions = {name.removeprefix(_SESSION) for name in names if name.startswith(_SESSION)}
    lines = [_PLAIN + name for name in names if not name.startswith(_SESSION) and name not in sessions]
    lines += [(_BOTH if device in names else _SESSION_ALONE) + device for device in sessions]
    return "\n".join(sorted(lines))


def read(text: str) -> frozenset[str]:
    """Return the names of a text that `write` made; what a newer version may have meant besides is left out."""
    names: set[str] = set()
    for line in text.split("\n") if text else ():
        how, name = line[:1], line[1:]
        if how in (_BOTH, _PLAIN):
            names.add(name)
        if how in (_BOTH, _SESSION_ALONE):
            names.add(_SESSION + name)
    return frozenset(names)


def _names(entity: Entity) -> tuple[str, ...]:
    match entity:
        case BootstrapConfig():
            return entity.id, session_key(entity.id)
        case Device():
            return entity.id, session_key(entity.id), owner_part(entity.owner), ANY_DEVICE
        case Credential():
            return entity.device, session_key(entity.device)
        case Channel():
            return entity.id, ANY_CHANNEL
        case Profile():
            return (entity.id,)  # its devices are told of what it says of them all
        case DirectoryEntry():
            return entity.id, session_key(DeviceId(entity.id))  # users have sessions as devices have them
        case _:
            return ()
