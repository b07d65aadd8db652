"""What operators do with profiles."""

from functools import partial

import msgspec
from msgspec import UNSET

from core.attestation import secret_row
from core.crypto.tokens import new_id
from core.errors import Guard
from core.model import EventKind, Profile, ProfileId, Sealed, Secret, Strategy
from core.operate import chaining, claim_keys, hooks, signing, values
from core.operate.credentials import LONGEST_OVERLAP_SECONDS
from core.operate.messages import ChangeProfile, CreateProfile, DeleteProfile, ListProfiles, RotateProfile, ShowProfile
from core.operate.registry import HEALED, Registry, Scope, paged
from core.operate.results import Done, HookedProfile, Page, SecretProfile
from core.ports import Changes, Delete
from core.queries import ClaimQuery, ProfilePage


class Profiles(msgspec.Struct, frozen=True):
    """Makes, shows, changes and removes profiles; `options` are the names that a profile may switch on."""

    registry: Registry
    options: frozenset[str]

    async def create(self, command: CreateProfile, scope: Scope) -> SecretProfile:
        """Make a profile. Raises `Refusal` MALFORMED, or CONFLICT where its name or a key that was given is taken."""
        secret = self._secret(command.provision_secret)
        profile = self._new(command, secret, scope)
        hooked = hooks.revised(None, command.hook, profile.id, self.registry.issuer)
        profile = msgspec.structs.replace(profile, hook=hooked.hook)
        drawn_anew = HEALED | {Guard.PROVISION_KEY} if command.provision_key is None else HEALED
        made = await self.registry.settle(partial(self._create, profile, command, secret, scope), healed=drawn_anew)
        return msgspec.structs.replace(made, hook_secret=hooked.secret)

    async def list(self, command: ListProfiles, scope: Scope) -> Page[Profile]:
        """Return a page of profiles."""
        after = None if command.after is None else ProfileId(command.after)
        found = await self.registry.repository.read(ProfilePage(scope.tenant, after, command.limit + 1))
        return paged(found, command.limit)

    async def show(self, command: ShowProfile, scope: Scope) -> Profile:
        """Return one profile. Raises `Refusal` NOT_FOUND."""
        return await self.registry.profile(command.ref, scope)

    async def change(self, command: ChangeProfile, scope: Scope) -> Profile | HookedProfile:
        """Change a profile, and return it, with the secret of its hook where that is new.

        Raises `Refusal` MALFORMED, NOT_FOUND, UNPROCESSABLE or CONFLICT.
        """
        if command.metadata is not None:
            values.require_metadata(command.metadata)
        name = None if command.name is None else values.require_label(command.name, "name")
        options = None if command.options is None else values.require_options(command.options, self.options)
        return await self.registry.settle(
            partial(self._change, msgspec.structs.replace(command, name=name, options=options), scope)
        )

    async def rotate(self, command: RotateProfile, scope: Scope) -> SecretProfile:
        """Give a profile another secret. Raises `Refusal` MALFORMED, NOT_FOUND, UNPROCESSABLE or CONFLICT."""
        values.require_seconds(command.overlap_seconds, "overlap_seconds", 0, LONGEST_OVERLAP_SECONDS)
        secret = self._secret(command.provision_secret)
        profile = await self.registry.settle(partial(self._rotate, command, secret, scope))
        return SecretProfile(profile, secret)

    async def delete(self, command: DeleteProfile, scope: Scope) -> Done:
        """Remove a profile. Raises `Refusal` NOT_FOUND, or CONFLICT while it has devices."""
        return await self.registry.settle(partial(self._delete, command, scope), in_use="the profile still has devices")

    def _new(self, command: CreateProfile, secret: Secret, scope: Scope) -> Profile:
        now, entropy = self.registry.issuer.clock.now(), self.registry.issuer.entropy
        identity = ProfileId(new_id(now, entropy))
        signed = signing.policy(command.strategy, command.signed, entropy)
        chain = chaining.policy(command.strategy, command.chain, now)
        signing.require_kind_fits(command.credential_kind, signed is not None)
        chaining.require_kind_fits(command.credential_kind, chain)
        values.require_metadata(command.metadata)
        return Profile(
            id=identity,
            tenant=scope.tenant,
            name=values.require_label(command.name, "name"),
            strategy=command.strategy,
            reprovision=command.reprovision,
            provision_key=self._key(command),
            provision_secret=self._seal(secret, identity),
            options=values.require_options(command.options, self.options),
            signed=signed,
            chain=chain,
            issuing=chaining.issuing(None, command.issuing),
            plain=command.plain,
            claims=claim_keys.revised(None, command.claims),
            made=None if command.claims is None else 0,
            credential_kind=command.credential_kind,
            metadata=command.metadata,
            created_at=now,
            updated_at=now,
        )

    async def _create(self, profile: Profile, command: CreateProfile, secret: Secret, scope: Scope) -> SecretProfile:
        """Write a new profile; a key that was drawn is drawn again at every attempt."""
        profile = msgspec.structs.replace(
            profile, provision_key=await self._free_anchor(profile, command) or self._key(command)
        )
        event = self.registry.profile_event(EventKind.PROFILE_CREATED, profile, scope, profile.name)
        await self.registry.commit(event, Changes(insert=(profile,)))
        return SecretProfile(profile, secret)

    async def _free_anchor(self, profile: Profile, command: CreateProfile) -> str:
        """Return what ThingsBoard makes the key of a chain, empty where another profile has it or a key was given."""
        if profile.chain is None or command.provision_key is not None:
            return ""
        taken = await self.registry.repository.read(ClaimQuery(profile.chain.anchor, ""))
        return profile.chain.anchor if taken.profile is None else ""

    def _key(self, command: CreateProfile) -> str:
        entropy, signs = self.registry.issuer.entropy, command.strategy is Strategy.SIGNED
        key = command.provision_key
        if key is None:
            key = signing.draw_group(entropy) if signs else values.draw_claim_text(entropy)
        values.require_text(key, "provision_key")
        if signs:
            signing.require_group(key)
        return key

    async def _change(self, command: ChangeProfile, scope: Scope) -> Profile | HookedProfile:
        profile = await self.registry.profile(command.ref, scope)
        signing.require_steady(profile, command.strategy, command.signed)
        fields = ("name", "strategy", "reprovision", "options", "metadata")
        wanted = {field: getattr(command, field) for field in fields if getattr(command, field) is not None}
        if command.signed is not None and profile.signed is not None:
            wanted["signed"] = signing.revised(profile.signed, command.signed)
        wanted["chain"] = chaining.changed(profile, command.strategy, command.chain, self.registry.issuer.clock.now())
        if command.issuing is not UNSET:
            wanted["issuing"] = chaining.issuing(profile.issuing, command.issuing)
        if command.plain is not UNSET:
            wanted["plain"] = command.plain
        if command.claims is not UNSET:
            wanted["claims"] = claim_keys.revised(profile.claims, command.claims)
        hooked = hooks.RevisedHook(profile.hook)
        if command.hook is not UNSET:
            hooked = hooks.revised(profile.hook, command.hook, profile.id, self.registry.issuer)
        wanted["hook"] = hooked.hook
        changed = {field: value for field, value in wanted.items() if value != getattr(profile, field)}
        if not changed:
            return profile
        profile = msgspec.structs.replace(self._next(profile), **changed)
        event = self.registry.profile_event(EventKind.PROFILE_CHANGED, profile, scope, ", ".join(changed))
        await self.registry.commit(event, Changes(replace=(profile,)))
        # What its key has made is counted by the registry, which begins with the first limit.
        shown = await self.registry.profile(profile.id, scope) if "claims" in changed else profile
        return shown if hooked.secret is None else HookedProfile(shown, hooked.secret)

    async def _rotate(self, command: RotateProfile, secret: Secret, scope: Scope) -> Profile:
        before = await self.registry.profile(command.ref, scope)
        claim_keys.require_unburned(before)
        profile = self._next(before)
        overlaps = command.overlap_seconds > 0
        profile = msgspec.structs.replace(
            profile,
            provision_secret=self._seal(secret, profile.id),
            previous_secret=before.provision_secret if overlaps else None,
            previous_until=profile.updated_at + command.overlap_seconds * 1000 if overlaps else None,
        )
        event = self.registry.profile_event(EventKind.PROFILE_CHANGED, profile, scope, "provision_secret")
        await self.registry.commit(event, Changes(replace=(profile,)))
        return profile

    async def _delete(self, command: DeleteProfile, scope: Scope) -> Done:
        profile = await self.registry.profile(command.ref, scope)
        event = self.registry.profile_event(EventKind.PROFILE_DELETED, profile, scope, profile.name)
        await self.registry.commit(event, Changes(delete=(Delete(profile),)))
        return Done()

    def _next(self, profile: Profile) -> Profile:
        now = self.registry.issuer.clock.now()
        return msgspec.structs.replace(profile, updated_at=now, version=profile.version + 1)

    def _secret(self, given: Secret | None) -> Secret:
        if given is None:
            return Secret(values.draw_claim_text(self.registry.issuer.entropy))
        values.require_secret(given)
        return given

    def _seal(self, secret: Secret, profile: ProfileId) -> Sealed:
        return self.registry.issuer.vault.seal(secret, secret_row(profile))
