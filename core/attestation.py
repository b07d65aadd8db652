"""Whether the evidence a device brings is right (RFC 9334: appraisal of evidence)."""

from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.messages import SharedSecret
from core.model import Profile, ProfileId, Secret, Strategy


def verify(profile: Profile | None, evidence: SharedSecret, vault: Vault, now: int) -> Profile:
    """Return the profile whose secret the device knows, at a time in milliseconds.

    Raises `Refusal` UNAUTHENTICATED, the same to the device whether the key is unknown, the secret wrong or the profile
    disabled; only `check` tells them apart. All of them do the same work: two opened secrets, two comparisons.
    """
    right = [expected == evidence.secret for expected in valid_secrets(profile, vault, now)]
    if not evidence.key or not evidence.secret.reveal():
        raise _unknown("claim.empty")
    if profile is None:
        raise _unknown("claim.key")
    if not any(right):
        raise _unknown("claim.secret")
    if profile.strategy in (Strategy.DISABLED, Strategy.SIGNED):
        raise _unknown("profile.disabled" if profile.strategy is Strategy.DISABLED else "profile.signed")
    return profile


def valid_secrets(profile: Profile | None, vault: Vault, now: int) -> tuple[Secret, Secret]:
    """Return the secrets that a profile takes now: its own, and the one before where that is good still.

    What there is not has one in its place that nobody knows, so that it costs the same.
    """
    if profile is None:
        return vault.open_decoy(), vault.open_decoy()
    row = secret_row(profile.id)
    overlaps = profile.previous_secret is not None and (profile.previous_until or 0) > now
    previous = vault.open(profile.previous_secret, row) if overlaps and profile.previous_secret else vault.open_decoy()
    return vault.open(profile.provision_secret, row), previous


def secret_row(profile: ProfileId) -> bytes:
    """Return what a profile's sealed secret is bound to."""
    return b"profile:" + profile.encode()


def _unknown(check: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the claim key and its secret are not known", check=check)
