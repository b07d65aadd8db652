"""Provision: a device asks for its identity and gets it, durably, or is refused."""

from typing import assert_never

import msgspec

from core import attestation, lifecycle, strategy
from core.audit import Audit
from core.credentials import KIND, require_valid
from core.crypto.tokens import new_id, random_text
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.limits import Buckets, require
from core.messages import Context, CredentialValue, ProvenChain, Provisioned, ProvisionRequest
from core.model import Credential, CredentialKind, Device, DeviceId, DeviceState, Event, EventKind, Profile, Strategy
from core.plain import require_wire
from core.ports import Changes, Delete, Repository
from core.queries import ClaimQuery, ClaimSnapshot
from core.strategy import Activate, Create, Renew, Repeat, Rotate

ATTEMPTS = 3
GENERATED_NAME_CHARACTERS = 20
KEY_CHARACTERS = 255  # no profile's key is longer, so no two of them share a bucket


class Provision(msgspec.Struct, frozen=True):
    """The use case: reads what it needs, asks the policies, writes what they decided, and only then answers."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    sources: Buckets
    claim_keys: Buckets

    async def __call__(self, request: ProvisionRequest, context: Context) -> Provisioned:
        """Give a device its identity. Raises `Refusal`, after recording it as an event.

        A conflict with a request that ran at the same time is decided anew, three times at most.
        """
        known = ClaimSnapshot()
        try:
            name = strategy.require_name(request.device_name)
            self._admit(request, context)
            query = self._query(request, name)
            for _ in range(ATTEMPTS):
                known = await self.repository.read(query)
                try:
                    return await self._attempt(request, query, known, context)
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
        require(self.claim_keys.take(request.evidence.key[:KEY_CHARACTERS], now), "limit.claim_key")

    def _query(self, request: ProvisionRequest, name: str) -> ClaimQuery:
        value = request.credential
        return ClaimQuery(request.evidence.key, name, self.issuer.lookup(value) if value else None)

    async def _attempt(
        self, request: ProvisionRequest, query: ClaimQuery, known: ClaimSnapshot, context: Context
    ) -> Provisioned:
        profile = attestation.verify(known.profile, request.evidence, self.issuer.vault, self.issuer.clock.now())
        require_wire(profile, context)
        taken = known.lookup_taken and all(credential.lookup != query.lookup for credential in known.credentials)
        decision = strategy.decide(query.device_name, taken, profile, known)
        match decision:
            case Create():
                changes, result = await self._create(request, query.device_name, profile)
            case Rotate(device=device):
                changes, result = await self._rotate(request, device, profile, known.credentials)
            case Activate(device=device):
                result = self._repeat(device, profile, known.credentials)
                changes = Changes(replace=(lifecycle.advance(device, DeviceState.PROVISIONED, self.issuer.clock.now()),))
            case Repeat(device=device):
                result, changes = self._repeat(device, profile, known.credentials), Changes()
            case Renew(device=device):
                return await self._renew(request, device, profile, known.credentials, context)
            case _:
                assert_never(decision)
        event = self._succeeded(result, type(decision).__name__.lower(), context)
        await self.repository.commit(msgspec.structs.replace(changes, events=(event,)))
        return result

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
        self, request: ProvisionRequest, device: Device, profile: Profile, old: tuple[Credential, ...]
    ) -> tuple[Changes, Provisioned]:
        renewed = lifecycle.renew(device, self.issuer.clock.now())
        value, credential = await self._issue(request, renewed, profile)
        changes = Changes(insert=(credential,), replace=(renewed,), delete=tuple(map(Delete, old)))
        return changes, Provisioned(device=renewed, profile=profile, credential=value)

    async def _renew(
        self, request: ProvisionRequest, device: Device, profile: Profile, held: tuple[Credential, ...], context: Context
    ) -> Provisioned:
        """Replace a device's certificates; another connection of the same device may have done it a moment ago."""
        changes, renewed = await self._rotate(request, device, profile, _certificates(held))
        (new,) = (each for each in changes.insert if isinstance(each, Credential))
        if any(each.lookup == new.lookup and not each.is_over(new.created_at) for each in held):
            return msgspec.structs.replace(renewed, device=device)
        event = self.audit.device_event(EventKind.CREDENTIAL_ROTATED, context, renewed.device, new.kind.value)
        await self.repository.commit(msgspec.structs.replace(changes, events=(event,)))
        return renewed

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


def _until(request: ProvisionRequest) -> int | None:
    return request.evidence.until if isinstance(request.evidence, ProvenChain) else None


def _certificates(credentials: tuple[Credential, ...]) -> tuple[Credential, ...]:
    return tuple(each for each in credentials if each.kind is CredentialKind.X509_CERTIFICATE)


def _require_kind(kind: CredentialKind, profile: Profile) -> None:
    """Check that devices of a profile may have this kind of credential. Raises `Refusal` FORBIDDEN."""
    if profile.credential_kind not in (None, kind):
        raise Refusal(Reason.FORBIDDEN, "devices of this profile have another kind of credential", check="credential.kind")
