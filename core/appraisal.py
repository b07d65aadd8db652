"""Whether a device that signs knows its group's secret (RFC 9334: appraisal of evidence), and how often it may be wrong."""

import msgspec

from core.attestation import valid_secrets
from core.crypto import signatures
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import Buckets, require, too_many
from core.messages import Context, SignedSerial
from core.model import Profile, SignedPolicy, Strategy

_KEY_CHARACTERS = 255  # no group's id is longer, so no two of them share a bucket
_OPEN = (Strategy.SIGNED, Strategy.DISABLED)


class Appraisal(msgspec.Struct, frozen=True):
    """Verifies, and counts the proofs that are wrong; those that are right count nowhere, so a fleet may share an address.

    A wrong proof counts against its source and its group together and against its group, beyond which nobody is appraised
    there, and against its source, beyond which what is wrong is answered TOO_MANY. An unknown group counts as a wrong proof
    does, and costs the same work, so that nobody can tell them apart.
    """

    issuer: Issuer
    sources: Buckets
    groups: Buckets

    def verify(
        self, profile: Profile | None, group: str, proof: SignedSerial, context: Context
    ) -> tuple[Profile, SignedPolicy]:
        """Return the profile whose secret a device signed with, and its policy; `group` is what the device knows it by.

        Raises `Refusal` UNAUTHENTICATED, the same to the device whatever is wrong; FORBIDDEN for a right proof of a group that
        is switched off; TOO_MANY.
        """
        pair, whole = self._keys(group, context)
        now = self.issuer.clock.monotonic()
        require(self.sources.wait(pair, now), "limit.source")
        require(self.groups.wait(whole, now), "limit.claim_key")
        signed = self._is_signed(profile, proof)
        if profile is None:
            raise self._wrong("group.unknown", group, context)
        if not signed:
            raise self._wrong("signature.wrong", group, context)
        return profile, self._policy(profile, proof)

    def _is_signed(self, profile: Profile | None, proof: SignedSerial) -> bool:
        """Compare with both of the secrets that a group may have, whether there are any or not."""
        right = [
            signatures.equal(signatures.enrolment(proof.serial, proof.timestamp, secret), proof.digest)
            for secret in valid_secrets(profile, self.issuer.vault, self.issuer.clock.now())
        ]
        return any(right)

    def _policy(self, profile: Profile, proof: SignedSerial) -> SignedPolicy:
        policy = profile.signed
        if policy is None or profile.strategy not in _OPEN:
            raise _unknown("group.not_signed")
        tolerance = policy.timestamp_tolerance_s
        if tolerance is not None and abs(int(proof.timestamp) - self.issuer.clock.now()) > tolerance * 1000:
            raise _unknown("signature.time")
        if profile.strategy is Strategy.DISABLED:
            raise Refusal(Reason.FORBIDDEN, "the group lets nobody in", check="group.disabled")
        return policy

    def _wrong(self, check: str, group: str, context: Context) -> Refusal:
        now = self.issuer.clock.monotonic()
        for buckets, key in zip((self.sources, self.groups), self._keys(group, context), strict=True):
            buckets.take(key, now)
        wait = self.sources.take(context.stranger, now)
        return too_many(wait, "limit.source") if wait else _unknown(check)

    def _keys(self, group: str, context: Context) -> tuple[str, str]:
        shortened = group[:_KEY_CHARACTERS]
        return f"{context.stranger} {shortened}", shortened


def _unknown(check: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the group and the signature are not known together", check=check)
