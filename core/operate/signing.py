"""The rules for a profile whose devices sign: its id, its product key, and where its devices go."""

import re

import msgspec
from msgspec import UNSET

from core.addresses import is_http_address, is_mqtt_address
from core.crypto.tokens import UPPER_AND_DIGITS, random_text
from core.errors import Reason, Refusal
from core.model import CredentialKind, Profile, SignedPolicy, Strategy
from core.operate import values
from core.operate.messages import SignedRules
from core.ports import Entropy

GROUP_CHARACTERS = 6
PRODUCT_KEY_CHARACTERS = 8
LONGEST_TOLERANCE_SECONDS = 366 * 86_400

_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PRODUCT_KEY = re.compile(r"[A-Za-z0-9]{1,64}")


def draw_group(entropy: Entropy) -> str:
    """Draw the id of a group: 6 upper-case letters and digits (31 bits), as EnOS makes them. It is no secret."""
    return UPPER_AND_DIGITS.draw(GROUP_CHARACTERS, entropy)


def require_group(key: str) -> None:
    """Check the id of a group. Raises `Refusal` MALFORMED."""
    if not _GROUP.fullmatch(key):
        detail = "provision_key: with this strategy it is 1 to 64 letters, digits, hyphens and underscores"
        raise values.malformed(detail, "provision_key.group")


def policy(strategy: Strategy, rules: SignedRules | None, entropy: Entropy) -> SignedPolicy | None:
    """Return the policy of a new profile, None where its devices do not sign. Raises `Refusal` MALFORMED."""
    if strategy is not Strategy.SIGNED:
        if rules is not None:
            raise values.malformed("signed: it goes with the strategy signed alone", "profile.signed")
        return None
    drawn = SignedPolicy(product_key=random_text(PRODUCT_KEY_CHARACTERS, entropy))
    return revised(drawn, rules or SignedRules())


def revised(before: SignedPolicy, rules: SignedRules) -> SignedPolicy:
    """Return a policy with what the rules say of it. Raises `Refusal` MALFORMED."""
    said = {field: value for field, value in msgspec.structs.asdict(rules).items() if value is not UNSET}
    after = msgspec.structs.replace(before, **said)
    if not _PRODUCT_KEY.fullmatch(after.product_key):
        raise values.malformed("signed.product_key: 1 to 64 letters and digits are needed", "profile.product_key")
    if after.timestamp_tolerance_s is not None:
        values.require_seconds(after.timestamp_tolerance_s, "signed.timestamp_tolerance_s", 0, LONGEST_TOLERANCE_SECONDS)
    _require_urls(after)
    return after


def require_kind_fits(kind: CredentialKind | None, signs: bool) -> None:
    """Check the one kind of credential of a profile: triples are for devices that sign, and nothing else is.

    Raises `Refusal` MALFORMED.
    """
    if kind is not None and (kind is CredentialKind.DEVICE_SECRET) is not signs:
        needed = "have device_secret" if signs else "sign to have device_secret"
        raise values.malformed(f"credential_kind: the profile's devices have to {needed}", "profile.credential_kind")


def require_steady(profile: Profile, strategy: Strategy | None, rules: SignedRules | None) -> None:
    """Check a change: what signs may be disabled and come back, and nothing else becomes what signs.

    Raises `Refusal` UNPROCESSABLE.
    """
    signs = profile.signed is not None
    fitting = (Strategy.SIGNED, Strategy.DISABLED) if signs else tuple(each for each in Strategy if each is not Strategy.SIGNED)
    if strategy is not None and strategy not in fitting:
        detail = "a profile whose devices sign stays one, or is disabled; no other becomes one: make a new profile"
        raise Refusal(Reason.UNPROCESSABLE, detail, check="profile.strategy")
    if rules is not None and not signs:
        raise Refusal(Reason.UNPROCESSABLE, "signed: the profile's devices do not sign", check="profile.not_signed")


def _require_urls(policy: SignedPolicy) -> None:
    """Check where devices are sent: their clients take the addresses apart at every colon and know no path."""
    if policy.mqtt_url and not is_mqtt_address(policy.mqtt_url):
        raise values.malformed("signed.mqtt_url: tcp://HOST:PORT or ssl://HOST:PORT is needed", "profile.mqtt_url")
    if policy.http_url and not is_http_address(policy.http_url):
        detail = "signed.http_url: http://HOST or https://HOST is needed, with :PORT where it has one and no path"
        raise values.malformed(detail, "profile.http_url")
