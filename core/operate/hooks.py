"""The rules for the hook of a profile: where it is, what its questions are signed with, and how long it may take."""

import msgspec
from msgspec import UNSET

from core.addresses import is_hook_address
from core.admission import hook_row
from core.crypto.tokens import random_text
from core.issuer import Issuer
from core.model import Hook, ProfileId, Sealed, Secret
from core.operate import values
from core.operate.hook_rules import HookRules

URL_CHARACTERS = 2_048
MOST_SECONDS = 10
SECRET_CHARACTERS = 43
SECRET_CHARACTERS_AT_LEAST = 16


class RevisedHook(msgspec.Struct, frozen=True):
    """A hook, and its secret where that is a new one."""

    hook: Hook | None
    secret: Secret | None = None


def revised(before: Hook | None, rules: HookRules | None, profile: ProfileId, issuer: Issuer) -> RevisedHook:
    """Return a profile's hook with what the rules say of it, None for no rules. Raises `Refusal` MALFORMED.

    The secret of a new one is drawn where none is given: 43 letters and digits (256 bits).
    """
    if rules is None:
        return RevisedHook(None)
    secret = None if rules.secret is UNSET else rules.secret
    if secret is not None:
        values.require_text(secret.reveal(), "hook.secret", SECRET_CHARACTERS_AT_LEAST)
    elif before is None:
        secret = Secret(random_text(SECRET_CHARACTERS, issuer.entropy))
    known = before or Hook(url="", secret=Sealed(b""))
    after = Hook(
        url=known.url if rules.url is UNSET else rules.url,
        secret=known.secret if secret is None else issuer.vault.seal(secret, hook_row(profile)),
        seconds=known.seconds if rules.seconds is UNSET else rules.seconds,
    )
    _require_url(after.url)
    values.require_seconds(after.seconds, "hook.seconds", 1, MOST_SECONDS)
    return RevisedHook(after, secret)


def _require_url(url: str) -> None:
    if len(url) > URL_CHARACTERS:
        raise values.malformed(f"hook.url: more than {URL_CHARACTERS} characters", "profile.hook")
    if not is_hook_address(url):
        detail = "hook.url: https://HOST/PATH is needed, or http for this machine alone, without user and fragment"
        raise values.malformed(detail, "profile.hook")
