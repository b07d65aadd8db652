"""Whether a device that signs knows its group's secret (RFC 9334: appraisal of evidence), and how often it may be wrong."""

from collections.abc import Sequence

import msgspec

from core.attestation import valid_secrets
from core.claim_policy import SUSPICION, why_shut
from core.crypto import signatures
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import Buckets, require, too_many
from core.messages import Context, SignedSerial
from core.model import Profile, SignedPolicy, Strategy
from core.plain import require_wire

_KEY_CHARACTERS = 255  # no group's id is longer, so no two of them share a bucket
_OPEN = (Strategy.SIGNED, Strategy.DISABLED)


class Appraisal(msgspec.Struct, frozen=True):
    """Verifies, and counts the proofs that are wrong; those that are right count nowhere, so a fleet may share an address.

    A wrong proof counts against its source and its group together, beyond which nobody from there is appraised; against its
    group, beyond which only those are whose source was not wrong about it lately; and against its source, beyond which what is
    wrong is answered TOO_MANY. An unknown group counts as a wrong proof does, and costs the same work, so that nobody can tell
    them apart.
    """

    issuer: Issuer
    sources: Buckets
    groups: Buckets

    def verify(
        self, profile: Profile | None, group: str, proof: SignedSerial, context: Context
    ) -> tuple[Profile, SignedPolicy]:
        """Return the profile whose secret a device signed with, and its policy; `group` is what the device knows it by.

        Raises `Refusal` UNAUTHENTICATED, the same to the device whatever is wrong; FORBIDDEN for a right proof of a group that
        is switched off, or that may not be answered without TLS; TOO_MANY.
        """
        return self.verify_any((profile,), (group,), proof, context)

    def verify_any(
        self, profiles: Sequence[Profile | None], groups: Sequence[str], proof: SignedSerial, context: Context
    ) -> tuple[Profile, SignedPolicy]:
        """Do what `verify` does for a device that may be of several groups: the first that it signed for.

        A wrong proof counts against all of them; those that are used up are not looked at. There is one at least.
        """
        patient = [each for each in zip(profiles, groups, strict=True) if not self._wait(each[1], context)]
        if not patient:
            self._require_patience(groups[0], context)
        right = [profile for profile, _ in patient if self._is_signed(profile, proof) and profile is not None]
        if right:
            require_wire(right[0], context)
            return right[0], self._policy(right[0], proof)
        check = "group.unknown" if patient[0][0] is None else "signature.wrong"
        raise self._wrong(check, [group for _, group in patient], context)

    def _wait(self, group: str, context: Context) -> float:
        pair, whole = self._keys(group, context)
        now = self.issuer.clock.monotonic()
        return max(self.sources.wait(pair, now), self._wait_of_group(pair, whole, now))

    def _wait_of_group(self, pair: str, whole: str, now: float) -> float:
        return 0.0 if self.sources.is_full(_doubt(pair), now, SUSPICION) else self.groups.wait(whole, now)

    def _require_patience(self, group: str, context: Context) -> None:
        pair, whole = self._keys(group, context)
        now = self.issuer.clock.monotonic()
        require(self.sources.wait(pair, now), "limit.source")
        require(self._wait_of_group(pair, whole, now), "limit.claim_key")

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
        if check := why_shut(profile, self.issuer.clock.now()):
            raise _unknown(check)
        return policy

    def _wrong(self, check: str, groups: Sequence[str], context: Context) -> Refusal:
        now = self.issuer.clock.monotonic()
        for group in groups:
            pair, whole = self._keys(group, context)
            self.sources.take(pair, now)
            self.sources.take(_doubt(pair), now, SUSPICION)
            self.groups.take(whole, now)
        wait = self.sources.take(context.stranger, now)
        return too_many(wait, "limit.source") if wait else _unknown(check)

    def _keys(self, group: str, context: Context) -> tuple[str, str]:
        shortened = group[:_KEY_CHARACTERS]
        return f"{context.stranger} {shortened}", shortened


def _doubt(pair: str) -> str:
    return f"? {pair}"


def _unknown(check: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the group and the signature are not known together", check=check)
