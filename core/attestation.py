"""Whether the evidence a device brings is right (RFC 9334: appraisal of evidence)."""

from typing import assert_never

from core.claim_policy import why_shut
from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.messages import ProvenChain, ProvenClaim, SharedSecret
from core.model import Profile, ProfileId, Secret, Strategy

_WITHOUT_CLAIMS = {
    Strategy.DISABLED: "profile.disabled",
    Strategy.SIGNED: "profile.signed",
    Strategy.CERTIFICATE_CHAIN: "profile.chain",
}


def verify(profile: Profile | None, evidence: SharedSecret | ProvenClaim | ProvenChain, vault: Vault, now: int) -> Profile:
    """Return the profile that the evidence is for, at a time in milliseconds.

    Raises `Refusal` UNAUTHENTICATED, the same to the device whether the key is unknown, the secret wrong, the profile disabled
    or the key burned or outside its time; only `check` tells them apart. Where a secret is shown all of them do the same work:
    two opened secrets, two comparisons.
    """
    match evidence:
        case SharedSecret():
            return _verify_secret(profile, evidence, vault, now)
        case ProvenClaim():
            return _require_claimable(profile, now)
        case ProvenChain():
            return _require_chain(profile, now)
        case _:
            assert_never(evidence)


def takes_claims(profile: Profile, now: int) -> bool:
    """Tell whether devices get in by the profile's key and secret, at a time in milliseconds."""
    return not _why_without_claims(profile, now)


def _why_without_claims(profile: Profile, now: int) -> str:
    return _WITHOUT_CLAIMS.get(profile.strategy, "") or why_shut(profile, now)


def _verify_secret(profile: Profile | None, evidence: SharedSecret, vault: Vault, now: int) -> Profile:
    own, previous = valid_secrets(profile, vault, now)
    right = own == evidence.secret, previous == evidence.secret  # both are compared, whatever the first one says
    if not evidence.key or not evidence.secret.reveal():
        raise _unknown("claim.empty")
    if profile is not None and not any(right):
        raise _unknown("claim.secret")
    return _require_claimable(profile, now)


def _require_claimable(profile: Profile | None, now: int) -> Profile:
    if profile is None:
        raise _unknown("claim.key")
    if check := _why_without_claims(profile, now):
        raise _unknown(check)
    return profile


def _require_chain(profile: Profile | None, now: int) -> Profile:
    """Return the profile while it lets devices in by a chain: it may have been changed since that was checked."""
    if profile is None or profile.strategy is not Strategy.CERTIFICATE_CHAIN:
        raise _unknown("profile.no_chain")
    if check := why_shut(profile, now):
        raise _unknown(check)
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
