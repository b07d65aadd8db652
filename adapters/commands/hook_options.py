"""The options by which an operator says who is asked before a profile's devices are let in."""

import argparse

from msgspec import UNSET, UnsetType

from adapters.commands.failure import UsageError
from adapters.commands.hook_api import Hook, HookRules
from adapters.commands.secret_input import add_secret, read_secret


def add_hook_options(parser: argparse.ArgumentParser, changing: bool = False) -> None:
    """Declare them, as a group of their own in the help; a hook may go where it is `changing`."""
    group = parser.add_argument_group("who is asked before a device is let in")
    group.add_argument("--hook", metavar="URL", help="a service that says whether a device may come in (https)")
    group.add_argument("--hook-seconds", type=int, metavar="N", help="how long its answer may take, 1 to 10 (when made: 5)")
    add_secret(group, "hook-secret", "what questions to the hook are signed with (when made: generated)")
    if changing:
        group.add_argument("--no-hook", action="store_true", help="nobody is asked any more")


def hook_from(args: argparse.Namespace) -> HookRules | UnsetType | None:
    """Return what was said of the hook, None for none any more. Raises `UsageError`."""
    secret = read_secret(args, "hook-secret")
    rules = HookRules(
        url=UNSET if args.hook is None else args.hook,
        secret=UNSET if secret is None else secret,
        seconds=UNSET if args.hook_seconds is None else args.hook_seconds,
    )
    if not getattr(args, "no_hook", False):
        return UNSET if rules == HookRules() else rules
    if rules != HookRules():
        raise UsageError("--no-hook: it goes with no other option of the hook")
    return None


def hook_fields(hook: Hook | None) -> list[tuple[str, str]]:
    """Return what a profile shows of its hook."""
    if hook is None:
        return []
    shown = [("hook", hook.url), ("hook answers within", f"{hook.seconds} s")]
    return shown if hook.secret is None else [*shown, ("hook secret", hook.secret)]
