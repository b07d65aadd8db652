"""Bootstrap by challenge and response: a device proves its external key without sending it, and gets its configuration sealed.

It needs no clock and no protected wire. `core.crypto.challenges` says what is proved and sealed.
"""

import hmac

import msgspec

from core.audit import Audit
from core.configuration import Seals
from core.crypto import challenge_offers
from core.crypto.challenge_offers import NO_OFFER, Offer
from core.crypto.challenges import IV_BYTES, NONCE_BYTES, AnswerSeal, ExchangeKeys, Parties
from core.errors import Refusal, registry_busy
from core.fetching import ATTEMPTS, Fetching, forbidden
from core.issuer import Issuer
from core.lockout import Lockout
from core.messages import AskChallenge, ChallengeOffered, Context, ProvenBootstrap, SealedBootstrap
from core.ports import Repository, SingleUse
from core.queries import KeySnapshot

LIFETIME_SECONDS = 60
_ROUNDING_SECONDS = 1.0  # nothing is forgotten before it is over, however times are rounded


class OfferChallenge(msgspec.Struct, frozen=True):
    """The use case that begins it: everybody is given a challenge, and the registry is not even asked who that is."""

    issuer: Issuer
    single_use: SingleUse
    lifetime_seconds: int = LIFETIME_SECONDS

    async def __call__(self, request: AskChallenge, context: Context) -> ChallengeOffered:
        """Return a challenge that is good for this external id and nonce, once and for a while. Nothing of it is kept."""
        nonce = self.issuer.entropy.draw(NONCE_BYTES)
        parties = Parties(request.external_id, request.nonce, nonce)
        until = _milliseconds(self.single_use) + self.lifetime_seconds * 1000
        challenge = challenge_offers.write(parties, until, self.single_use.epoch, self.issuer.vault)
        return ChallengeOffered(challenge=challenge, nonce=nonce, lifetime_seconds=self.lifetime_seconds)


class _Proved(msgspec.Struct, frozen=True):
    """A device that proved itself, with the keys of its exchange."""

    known: KeySnapshot
    offer: Offer
    keys: ExchangeKeys


class BootstrapByChallenge(msgspec.Struct, frozen=True):
    """The use case that ends it. `failures` are those of `Bootstrap`: a wrong proof counts as a wrong key does.

    An unknown external id is refused as a wrong proof is, in words, work and limits.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Lockout
    single_use: SingleUse

    async def __call__(self, request: ProvenBootstrap, context: Context) -> SealedBootstrap:
        """Return the device's configuration and what seals it, after recording that it was given away.

        Raises `Refusal`, recorded too: FORBIDDEN for whatever is wrong with the challenge, the proof or the device, TOO_MANY
        after too many of these from one source, UNAVAILABLE while more challenges were used than can be remembered.
        """
        fetching = Fetching(self.repository, self.issuer, self.audit, self.failures)
        known: KeySnapshot | None = None
        spent = False
        try:
            fetching.require_patience(request.external_id, context)
            for _ in range(ATTEMPTS):
                known = await fetching.know(request.external_id)
                # Again, with nothing awaited until a wrong proof is counted: guesses made side by side get no further.
                fetching.require_patience(request.external_id, context)
                proved = self._prove(request, known)
                spent = spent or await self._spend(proved.offer)
                await fetching.require_wire(proved.known.device, context, sealed=True)
                found = await fetching.find(request.external_id, proved.known)
                if found is None:
                    continue
                result = fetching.open(found)
                if await fetching.record(result, context):
                    seal = AnswerSeal(proved.keys, result.config.version, self.issuer.entropy.draw(IV_BYTES))
                    return SealedBootstrap(result, seal)
            raise registry_busy()
        except Refusal as refusal:
            told = await fetching.refuse(refusal, request.external_id, known, context, alike=True)
            raise told from refusal.__cause__

    def _prove(self, request: ProvenBootstrap, known: KeySnapshot | None) -> _Proved:
        """Return the device that proved itself. Whatever is wrong, and every unknown id, costs the same work."""
        vault = self.issuer.vault
        offer = challenge_offers.read(request.challenge, self.single_use.epoch, vault)
        key = Seals(vault).external_key(known.device.id, known.external_key) if known else vault.open_decoy()
        keys = ExchangeKeys(key, Parties(request.external_id, request.nonce, offer.server_nonce))
        right = hmac.compare_digest(keys.prove(request.challenge), request.proof)
        fault = self._fault(offer, request) or ("" if right else "challenge.proof")
        if known is None:
            raise forbidden("bootstrap.unknown")
        if fault:
            raise forbidden(fault)
        return _Proved(known, offer, keys)

    def _fault(self, offer: Offer, request: ProvenBootstrap) -> str:
        """Return the check that a challenge fails, whoever brings it."""
        if offer is NO_OFFER:
            return "challenge.foreign"
        if not offer.is_for(request.external_id, request.nonce):
            return "challenge.swapped"
        return "challenge.expired" if offer.until <= _milliseconds(self.single_use) else ""

    async def _spend(self, offer: Offer) -> bool:
        """Use a challenge up. Only a right proof does: strangers can neither use up a device's nor fill what remembers them."""
        if not await self.single_use.spend(offer.server_nonce, offer.until / 1000 + _ROUNDING_SECONDS):
            raise forbidden("challenge.spent")
        return True


def _milliseconds(single_use: SingleUse) -> int:
    """Return the time of what remembers used challenges: that of another clock could make one good again."""
    return int(single_use.now() * 1000)
