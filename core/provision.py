"""Provision: a device asks for its identity and gets it, durably, or is refused."""

from functools import partial
from typing import assert_never

import msgspec

from core import attestation, departures, lifecycle, strategy, trials
from core.admission import Admission, Decided, Place
from core.approvals import Approvals
from core.audit import Audit
from core.claim_policy import KEY_CHARACTERS, SUSPICION, Passage, require_budget, require_name
from core.credentials import KIND, require_valid
from core.crypto.certificates import beginning
from core.crypto.tokens import new_id, random_text
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.limits import Buckets, require
from core.messages import Certificate, Context, CredentialValue, Identity, MqttBasic, ProvenChain, Provisioned, ProvisionRequest
from core.model import (
    Approval,
    Credential,
    CredentialKind,
    Device,
    DeviceId,
    DeviceState,
    Event,
    EventKind,
    Profile,
    Reprovision,
    Strategy,
)
from core.plain import require_wire
from core.ports import Changes, Delete, Hooks, Repository
from core.proofs import Proof, Proofs
from core.queries import ClaimQuery, ClaimSnapshot
from core.strategy import Activate, Await, Create, Renew, Repeat, Rotate

ATTEMPTS = 3
GENERATED_NAME_CHARACTERS = 20


class Provision(msgspec.Struct, frozen=True):
    """The use case: reads what it needs, asks the policies, writes what they decided, and only then answers.

    A claim key has `claim_keys` twice: for the devices that are right, and for the guesses that are not, beyond which only a
    source is listened to that was not wrong lately. So guesses from many sources end, and the owner comes in from elsewhere.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    sources: Buckets
    claim_keys: Buckets
    hooks: Hooks | None = None

    async def __call__(self, request: ProvisionRequest, context: Context) -> Provisioned:
        """Give a device its identity. Raises `Refusal`, after recording it as an event.

        A conflict with a request that ran at the same time is decided anew, three times at most.
        """
        known = ClaimSnapshot()
        try:
            name = strategy.require_name(request.device_name)
            self._admit(request, context)
            query, passage = self._query(request, name), Passage(self.claim_keys, context, limited=True)
            admission = Admission(self.hooks, self.repository, self.issuer, self.audit)
            for _ in range(ATTEMPTS):
                known = await self.repository.read(query)
                try:
                    return await self._attempt(request, query, known, passage, admission, context)
                except Conflict:
                    continue
            raise registry_busy()
        except Refusal as refusal:
            await self.audit.refused(
                EventKind.PROVISION_REFUSED,
                context,
                refusal,
                profile=known.profile,
                device=known.device,
                device_name=(request.device_name or "").strip(),
            )
            raise

    def _admit(self, request: ProvisionRequest, context: Context) -> None:
        now = self.issuer.clock.monotonic()
        require(self.sources.take(context.stranger, now), "limit.source")
        key, pair = _buckets(request, context)
        if not self.sources.is_full(pair, now, SUSPICION):
            require(self.claim_keys.wait(key, now), "limit.claim_key")

    def _verify(self, request: ProvisionRequest, known: ClaimSnapshot, passage: Passage, context: Context) -> Profile:
        """Return the profile that the evidence is for, and count it, right or wrong. Raises `Refusal`."""
        now = self.issuer.clock.monotonic()
        try:
            profile = attestation.verify(known.profile, request.evidence, self.issuer.vault, self.issuer.clock.now())
        except Refusal:
            key, pair = _buckets(request, context)
            self.sources.take(pair, now, SUSPICION)
            self.claim_keys.take(key, now)
            raise
        require_wire(profile, context)
        passage.require(profile, now)
        return profile

    def _query(self, request: ProvisionRequest, name: str) -> ClaimQuery:
        value = request.credential
        return ClaimQuery(request.evidence.key, name, self.issuer.lookup(value) if value else None)

    async def _attempt(
        self,
        request: ProvisionRequest,
        query: ClaimQuery,
        known: ClaimSnapshot,
        passage: Passage,
        admission: Admission,
        context: Context,
    ) -> Provisioned:
        profile = self._verify(request, known, passage, context)
        require_name(profile, query.device_name)
        place, claimed = Place(query, known, profile), profile
        decided = await admission.decide(place, partial(self._decide, request, context), request.metadata, context)
        query, known, profile = decided.place.query, decided.place.known, decided.place.profile
        decision, proof = decided.decision, decided.proof
        leave = departures.has_leave(known.tombstone, self.issuer.clock.now())
        grants: tuple[Approval, ...] = ()
        if Create in (type(decision), type(decision.then) if isinstance(decision, Await) else None):
            require_budget(claimed)
        if isinstance(decision, Await):
            grants, decision = await self._approved(query.device_name, profile, known, context), decision.then
        match decision:
            case Create():
                changes, result = await self._create(request, query.device_name, profile)
                changes = msgspec.structs.replace(changes, made_by=claimed.id)
            case Rotate(device=device):
                changes, result = await self._rotate(request, device, profile, known.credentials, proof)
            case Activate(device=device):
                result = self._repeat(device, profile, known.credentials)
                changes = Changes(replace=(lifecycle.advance(device, DeviceState.PROVISIONED, self.issuer.clock.now()),))
            case Repeat(device=device):
                result, changes = self._repeat(device, profile, known.credentials), Changes()
            case Renew(device=device):
                return await self._renew(request, device, profile, known.credentials, admission, context)
            case _:
                assert_never(decision)
        is_back = isinstance(decision, Create) or (leave and not known.credentials)
        stones = departures.used(place.known.tombstone, known.tombstone) if is_back else ()
        word = type(decision).__name__.lower()
        event = self._succeeded(result, admission.told(f"{word}, by leave" if stones and leave else word), context)
        used = (*map(Delete, grants), *stones)
        changes = msgspec.structs.replace(changes, delete=(*changes.delete, *used), events=(event,))
        changes, device = await admission.settle(changes, result.device, context)
        await self.repository.commit(changes)
        return msgspec.structs.replace(result, device=device)

    async def _decide(self, request: ProvisionRequest, context: Context, place: Place) -> Decided:
        """Decide by what is known in a place. Raises `Refusal`."""
        query, known = place.query, place.known
        require_wire(place.profile, context)
        proof = await self._proof(request, place.profile, known)
        taken = known.lookup_taken and all(credential.lookup != query.lookup for credential in known.credentials)
        leave = departures.has_leave(known.tombstone, self.issuer.clock.now())
        decision = strategy.decide(query.device_name, taken, place.profile, known, proved=proof is not None, leave=leave)
        return Decided(place, decision, proof)

    async def _approved(self, name: str, profile: Profile, known: ClaimSnapshot, context: Context) -> tuple[Approval, ...]:
        """Return the grant that lets a device through, to be used up. Raises `Refusal` FORBIDDEN where there is none."""
        approvals = Approvals(self.repository, self.issuer, self.audit)
        return (await approvals.require(profile, name, known.device, context),)

    async def _proof(self, request: ProvisionRequest, profile: Profile, known: ClaimSnapshot) -> Proof | None:
        """Return what the device proved, where that matters; its connection tells, too, which credential it uses."""
        if known.device is None:
            return None
        if profile.reprovision is Reprovision.PROVE:
            return await Proofs(self.repository, self.issuer).find(request, known.device, known.credentials)
        proven = request.proof
        return Proof(proven.credential) if isinstance(proven, Identity) and proven.device == known.device.id else None

    async def _create(self, request: ProvisionRequest, name: str, profile: Profile) -> tuple[Changes, Provisioned]:
        now, entropy = self.issuer.clock.now(), self.issuer.entropy
        device = Device(
            id=DeviceId(new_id(now, entropy)),
            tenant=profile.tenant,
            profile=profile.id,
            name=name or random_text(GENERATED_NAME_CHARACTERS, entropy),
            state=DeviceState.PROVISIONED,
            metadata=request.metadata,
            created_at=now,
            updated_at=now,
        )
        value, credential = await self._issue(request, device, profile)
        return Changes(insert=(device, credential)), Provisioned(device=device, profile=profile, credential=value)

    async def _rotate(
        self, request: ProvisionRequest, device: Device, profile: Profile, held: tuple[Credential, ...], proof: Proof | None
    ) -> tuple[Changes, Provisioned]:
        """Give a device a new credential, on trial beside those that it has.

        A token that proves itself is not what the device proposes: another one is drawn. MQTT credentials that do are kept, as
        devices make those up themselves.
        """
        now = self.issuer.clock.now()
        if proof is not None and proof.proposed is not None and not isinstance(proof.proposed, MqttBasic):
            request = msgspec.structs.replace(request, credential=None)
        renewed = lifecycle.renew(device, now)
        value, credential = await self._issue(request, renewed, profile)
        begun = trials.begin(credential, held, now, used=proof.credential if proof is not None else None)
        changes = msgspec.structs.replace(begun, replace=(renewed, *begun.replace))
        return changes, Provisioned(device=renewed, profile=profile, credential=value)

    async def _renew(
        self,
        request: ProvisionRequest,
        device: Device,
        profile: Profile,
        held: tuple[Credential, ...],
        admission: Admission,
        context: Context,
    ) -> Provisioned:
        """Replace a device's certificates; another connection of the same device may have done it a moment ago."""
        renewed = lifecycle.renew(device, self.issuer.clock.now())
        value, new = await self._issue(request, renewed, profile)
        if any(each.lookup == new.lookup and not each.is_over(new.created_at) for each in held):
            return Provisioned(device=device, profile=profile, credential=value)
        self._require_newest(request, held)
        event = self.audit.device_event(EventKind.CREDENTIAL_ROTATED, context, renewed, admission.told(new.kind.value))
        old = tuple(map(Delete, _certificates(held)))
        changes = Changes(insert=(new,), replace=(renewed,), delete=old, events=(event,))
        changes, renewed = await admission.settle(changes, renewed, context)
        await self.repository.commit(changes)
        return Provisioned(device=renewed, profile=profile, credential=value)

    def _require_newest(self, request: ProvisionRequest, held: tuple[Credential, ...]) -> None:
        """Refuse a certificate that a later one has taken the place of: it may have been revoked, or its key be stolen."""
        since = request.evidence.since if isinstance(request.evidence, ProvenChain) else None
        # Certificates know whole seconds.
        if since is not None and any(self._begins(each) // 1000 > since // 1000 for each in _certificates(held)):
            raise Refusal(Reason.FORBIDDEN, "the device has a newer certificate", check="chain.superseded")

    def _begins(self, credential: Credential) -> int:
        """Return when the time of a certificate begins; of one that was not kept, when it was registered."""
        value = self.issuer.reveal(credential)
        begins = beginning(value.text) if isinstance(value, Certificate) else None
        return credential.created_at if begins is None else begins

    async def _issue(self, request: ProvisionRequest, device: Device, profile: Profile) -> tuple[CredentialValue, Credential]:
        own = None if profile.strategy is Strategy.PRE_PROVISIONED else request.credential
        value = own or self._drawn(profile)
        require_valid(value)
        _require_kind(KIND[type(value)], profile)
        keep = strategy.keeps_credentials(profile)
        return value, await self.issuer.issue(value, device.id, keep=keep, expires_at=_until(request))

    def _drawn(self, profile: Profile) -> CredentialValue:
        """Draw what a device of this profile has that brings nothing of its own: an access token where it may be anything."""
        return self.issuer.new_secret() if profile.credential_kind is CredentialKind.CLIENT_SECRET else self.issuer.new_token()

    def _repeat(self, device: Device, profile: Profile, credentials: tuple[Credential, ...]) -> Provisioned:
        now = self.issuer.clock.now()
        valid = [credential for credential in credentials if not credential.is_over(now)]
        # A certificate that was made here later is beside what the device was given first, not in its place.
        valid.sort(key=lambda each: each.kind is not CredentialKind.X509_CERTIFICATE)
        value = self.issuer.reveal(valid[-1]) if valid else None
        if value is None:
            raise Refusal(Reason.CONFLICT, "the device's credential was given once and not kept", check="credential.not_kept")
        return Provisioned(device=device, profile=profile, credential=value)

    def _succeeded(self, result: Provisioned, decision: str, context: Context) -> Event:
        return self.audit.event(
            EventKind.PROVISION_SUCCEEDED,
            context,
            tenant=result.profile.tenant,
            profile=result.profile.id,
            device=result.device.id,
            device_name=result.device.name,
            detail=decision,
        )


def _buckets(request: ProvisionRequest, context: Context) -> tuple[str, str]:
    """Return what guesses at a claim key are counted by: the key, and who made them."""
    key = request.evidence.key[:KEY_CHARACTERS]
    return key, f"{context.stranger} {key}"


def _until(request: ProvisionRequest) -> int | None:
    return request.evidence.until if isinstance(request.evidence, ProvenChain) else None


def _certificates(credentials: tuple[Credential, ...]) -> tuple[Credential, ...]:
    return tuple(each for each in credentials if each.kind is CredentialKind.X509_CERTIFICATE)


def _require_kind(kind: CredentialKind, profile: Profile) -> None:
    """Check that devices of a profile may have this kind of credential. Raises `Refusal` FORBIDDEN."""
    if profile.credential_kind not in (None, kind):
        raise Refusal(Reason.FORBIDDEN, "devices of this profile have another kind of credential", check="credential.kind")
