"""Provision: a device asks for its identity and gets it, durably, or is refused."""

from functools import partial
from typing import assert_never

import msgspec

from core import attestation, departures, fulfilment, lifecycle, strategy
from core.admission import Admission, Decided, Place
from core.approvals import Approvals
from core.audit import Audit
from core.claim_policy import KEY_CHARACTERS, SUSPICION, Passage, require_budget, require_name
from core.errors import Conflict, Refusal, registry_busy
from core.issuer import Issuer
from core.limits import Buckets, require
from core.messages import Context, Identity, Provisioned, ProvisionRequest
from core.model import Credential, Device, Event, EventKind, Profile, Reprovision
from core.plain import require_wire
from core.ports import Changes, Delete, Hooks, Repository
from core.proofs import Proof, Proofs
from core.queries import ClaimQuery, ClaimSnapshot
from core.strategy import Activate, Await, Create, Renew, Repeat, Rotate

ATTEMPTS = 3
_NOTHING = ClaimSnapshot()


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
        known = _NOTHING
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
        now, stranger = self.issuer.clock.monotonic(), context.stranger
        require(self.sources.take(stranger, now), "limit.source")
        key = _guessed(request)
        wait = self.claim_keys.wait(key, now)
        if wait and not self.sources.is_full(_pair(stranger, key), now, SUSPICION):
            require(wait, "limit.claim_key")

    def _verify(self, request: ProvisionRequest, known: ClaimSnapshot, passage: Passage, context: Context) -> Profile:
        """Return the profile that the evidence is for, and count it, right or wrong. Raises `Refusal`."""
        clock = self.issuer.clock
        now = clock.monotonic()
        try:
            profile = attestation.verify(known.profile, request.evidence, self.issuer.vault, clock.now())
        except Refusal:
            key = _guessed(request)
            self.sources.take(_pair(context.stranger, key), now, SUSPICION)
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
        claimed = self._verify(request, known, passage, context)
        require_name(claimed, query.device_name)
        place = Place(query, known, claimed)
        if claimed.hook is None:
            decided = await self._decide(request, place)
        else:
            decided = await admission.decide(place, claimed.hook, partial(self._decide, request), request.metadata, context)
        decision, there = decided.decision, decided.place
        then = decision.then if isinstance(decision, Await) else decision
        if isinstance(then, Create):
            require_budget(claimed)
        grants = await self._approved(there, context) if isinstance(decision, Await) else ()
        if isinstance(then, Renew):
            return await self._renew(request, then.device, there, admission, context)
        changes, result = await self._fulfil(request, then, decided, claimed)
        is_back = isinstance(then, Create) or (decided.leave and not there.known.credentials)
        stones = departures.used(known.tombstone, there.known.tombstone) if is_back else ()
        word = type(then).__name__.lower()
        if stones and decided.leave:
            word += ", by leave"
        event = self._succeeded(result, admission.told(word), context)
        deletions = (*changes.delete, *grants, *stones)
        return await self._commit(
            msgspec.structs.replace(changes, delete=deletions, events=(event,)), result, admission, context
        )

    async def _decide(self, request: ProvisionRequest, place: Place) -> Decided:
        """Decide by what is known in a place. Raises `Refusal`."""
        query, known = place.query, place.known
        proof = None if known.device is None else await self._proof(request, place.profile, known.device, known.credentials)
        taken = known.lookup_taken and all(credential.lookup != query.lookup for credential in known.credentials)
        leave = known.tombstone is not None and known.tombstone.gives_leave(self.issuer.clock.now())
        decision = strategy.decide(query.device_name, taken, place.profile, known, proved=proof is not None, leave=leave)
        return Decided(place, decision, proof, leave)

    async def _approved(self, place: Place, context: Context) -> tuple[Delete, ...]:
        """Return what uses up the grant that lets a device through. Raises `Refusal` FORBIDDEN where there is none."""
        approvals = Approvals(self.repository, self.issuer, self.audit)
        return (Delete(await approvals.require(place.profile, place.query.device_name, place.known.device, context)),)

    async def _proof(
        self, request: ProvisionRequest, profile: Profile, device: Device, held: tuple[Credential, ...]
    ) -> Proof | None:
        """Return what the device proved, where that matters; its connection tells, too, which credential it uses."""
        if profile.reprovision is Reprovision.PROVE:
            return await Proofs(self.repository, self.issuer).find(request, device, held)
        proven = request.proof
        return Proof(proven.credential) if isinstance(proven, Identity) and proven.device == device.id else None

    async def _fulfil(
        self, request: ProvisionRequest, decision: Create | Activate | Repeat | Rotate, decided: Decided, claimed: Profile
    ) -> fulfilment.Given:
        place, issuer = decided.place, self.issuer
        profile, held = place.profile, place.known.credentials
        match decision:
            case Create():
                return await fulfilment.create(request, place.query.device_name, profile, claimed.id, issuer)
            case Rotate(device=device):
                return await fulfilment.rotate(request, device, profile, held, decided.proof, issuer)
            case Activate(device=device):
                return fulfilment.activate(device, profile, held, issuer)
            case Repeat(device=device):
                return Changes(), fulfilment.repeat(device, profile, held, issuer)
            case _:
                assert_never(decision)

    async def _renew(
        self, request: ProvisionRequest, device: Device, place: Place, admission: Admission, context: Context
    ) -> Provisioned:
        """Replace a device's certificates; another connection of the same device may have done it a moment ago."""
        profile, held = place.profile, place.known.credentials
        renewed = lifecycle.renew(device, self.issuer.clock.now())
        value, new = await fulfilment.issue(request, renewed, profile, self.issuer)
        if any(each.lookup == new.lookup and not each.is_over(new.created_at) for each in held):
            return Provisioned(device=device, profile=profile, credential=value)
        fulfilment.require_newest(request, held, self.issuer)
        event = self.audit.device_event(EventKind.CREDENTIAL_ROTATED, context, renewed, admission.told(new.kind.value))
        old = tuple(map(Delete, fulfilment.certificates(held)))
        changes = Changes(insert=(new,), replace=(renewed,), delete=old, events=(event,))
        return await self._commit(changes, Provisioned(device=renewed, profile=profile, credential=value), admission, context)

    async def _commit(self, changes: Changes, result: Provisioned, admission: Admission, context: Context) -> Provisioned:
        """Write the changes, with what the profile's hook said of their device, and return what the device is told."""
        changes, device = await admission.settle(changes, result.device, context)
        await self.repository.commit(changes)
        return result if device is result.device else msgspec.structs.replace(result, device=device)

    def _succeeded(self, result: Provisioned, decision: str, context: Context) -> Event:
        device = result.device
        return self.audit.event(
            EventKind.PROVISION_SUCCEEDED,
            context,
            tenant=result.profile.tenant,
            profile=result.profile.id,
            device=device.id,
            device_name=device.name,
            detail=decision,
        )


def _guessed(request: ProvisionRequest) -> str:
    """Return what guesses at a claim key are counted by."""
    return request.evidence.key[:KEY_CHARACTERS]


def _pair(stranger: str, key: str) -> str:
    """Return what the guesses that one source makes at it are counted by."""
    return f"{stranger} {key}"
