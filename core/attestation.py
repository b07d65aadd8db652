"""Whether the evidence a device brings is right (RFC 9334: appraisal of evidence)."""

from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.messages import SharedSecret
from core.model import Profile, ProfileId, Strategy


def verify(profile: Profile | None, evidence: SharedSecret, vault: Vault) -> Profile:
    """Return the profile whose secret the device knows.

    Raises `Refusal` UNAUTHENTICATED, the same to the device whether the key is unknown, the secret wrong or the profile
    disabled; only `check` tells them apart. All of them do the same work: one opened secret, one comparison.
    """
    expected = vault.open(profile.provision_secret, secret_row(profile.id)) if profile else vault.open_decoy()
    right = expected == evidence.secret
    if not evidence.key or not evidence.secret.reveal():
        raise _unknown("claim.empty")
    if profile is None:
        raise _unknown("claim.key")
    if not right:
        raise _unknown("claim.secret")
    if profile.strategy is Strategy.DISABLED:
        raise _unknown("profile.disabled")
    return profile


def secret_row(profile: ProfileId) -> bytes:
    """Return what a profile's sealed secret is bound to."""
    return b"profile:" + profile.encode()


def _unknown(check: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the claim key and its secret are not known", check=check)
