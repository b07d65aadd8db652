"""What the answer of a profile's hook makes of a decision. Pure."""

import msgspec

from core import lifecycle
from core.addresses import host_of
from core.errors import Reason, Refusal
from core.metadata import METADATA_BYTES, METADATA_LEVELS, is_shallow, is_small
from core.model import Device, Hook
from core.ports import Changes, Entity, HookAnswer
from core.strategy import require_name, require_writable

AGAIN_SECONDS = 10.0
"""When a device should come again whose hook could not say whether it may."""

CHANNELS = 1_000
REASON_CHARACTERS = 255


def require_consent(answer: HookAnswer, hook: Hook) -> None:
    """Check that a hook agrees. Raises `Refusal` FORBIDDEN, the hook's reason being for operators alone."""
    if not answer.allow:
        aside = aside_of(hook, answer.reason or "it gave no reason")
        raise Refusal(Reason.FORBIDDEN, "the device may not be let in", check="hook.refused", aside=aside)


def require_usable(answer: HookAnswer, hook: Hook) -> HookAnswer:
    """Return an answer with its name trimmed and its channels each once. Raises `Refusal` UNAVAILABLE where they cannot be."""
    if answer.metadata is not None and not is_shallow(answer.metadata):
        raise unusable(hook, f"metadata of more than {METADATA_LEVELS} levels", check="hook.metadata")
    channels = None if answer.channels is None else tuple(dict.fromkeys(answer.channels))
    if channels is not None and len(channels) > CHANNELS:
        raise unusable(hook, f"more than {CHANNELS} channels", check="hook.channels")
    return msgspec.structs.replace(answer, name=_name(answer, hook), channels=channels)


def unusable(hook: Hook, fault: str, *, check: str) -> Refusal:
    """Make the refusal of a device about which a hook said what cannot be done: nobody is let in by half an answer."""
    return no_answer(aside_of(hook, fault), check=check)


def no_answer(aside: str, *, check: str, retry_after: float = AGAIN_SECONDS) -> Refusal:
    """Make the refusal of a device about which a hook said nothing that counts."""
    detail = "whether the device may be let in cannot be told now, try again"
    return Refusal(Reason.UNAVAILABLE, detail, check=check, retry_after=retry_after, aside=aside)


def aside_of(hook: Hook, text: str) -> str:
    """Return what operators are told of a hook: where it is, without what else its address may hold, and what it said."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return f"{host_of(hook.url)}: {printable[:REASON_CHARACTERS]}"


def told(answer: HookAnswer, hook: Hook) -> str:
    """Return, for the event of a device that was let in, which hook agreed and what it had a say in."""
    said = [field for field in ("name", "profile", "channels", "metadata") if getattr(answer, field) is not None]
    return " ".join(filter(None, (f"hook {host_of(hook.url)}", ", ".join(said))))


def describe(device: Device, answer: HookAnswer, hook: Hook) -> Device:
    """Return a device with what a hook said of it laid over its metadata. Raises `Refusal` UNAVAILABLE where it is too much."""
    metadata = device.metadata | (answer.metadata or {})
    if answer.metadata and not is_small(metadata):
        raise unusable(hook, f"metadata of more than {METADATA_BYTES} bytes", check="hook.metadata")
    return msgspec.structs.replace(device, metadata=metadata)


def is_new(device: Device, changes: Changes) -> bool:
    """Tell whether a device is made by these changes."""
    return any(isinstance(each, Device) and each.id == device.id for each in changes.insert)


def current(device: Device, changes: Changes) -> Device:
    """Return a device as these changes leave it."""
    written = (each for each in (*changes.insert, *changes.replace) if isinstance(each, Device) and each.id == device.id)
    return next(written, device)


def put(device: Device, changes: Changes, now: int) -> tuple[Changes, Device]:
    """Return changes that leave a device as it is here, in the place of what they made of it, and that device."""
    insert, replace = _put(device, changes.insert), _put(device, changes.replace)
    if (insert, replace) == (changes.insert, changes.replace):
        device = lifecycle.renew(device, now)
        replace = (*replace, device)
    return msgspec.structs.replace(changes, insert=insert, replace=replace), device


def _put(device: Device, entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    return tuple(device if isinstance(each, Device) and each.id == device.id else each for each in entities)


def _name(answer: HookAnswer, hook: Hook) -> str | None:
    if answer.name is None:
        return None
    try:
        name = require_name(answer.name)
        require_writable(name)
    except Refusal as refusal:
        raise unusable(hook, f"a name that cannot be: {refusal.detail}", check="hook.name") from refusal
    if not name:
        raise unusable(hook, "an empty name", check="hook.name")
    return name
