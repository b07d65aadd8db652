"""Admission: a profile's hook is asked before a device is let in, and has its say in what becomes of it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from core import hooking
from core.addresses import host_of
from core.audit import Audit
from core.configuration import Seals
from core.errors import Conflict, Guard, Refusal
from core.issuer import Issuer
from core.messages import Context
from core.model import BootstrapConfig, ChannelId, Device, DeviceId, EventKind, Hook, Profile, ProfileId, Sealed, Secret
from core.plain import require_wire
from core.ports import Changes, HookAnswer, HookQuestion, Hooks, Repository
from core.proofs import Proof
from core.queries import ChannelsQuery, ClaimQuery, ClaimSnapshot, ConfigQuery, DeviceNamesQuery, ProfileQuery
from core.strategy import Await, Decision

CREATE: Final = "create"
DEFINE: Final = "define"  # it is kept, for an operator to allocate
ACTIVATE: Final = "activate"
REPEAT: Final = "repeat"
MOVE: Final = "move"  # it belongs to another profile: the claim is good only where the hook says so
"""What hooks are asked about, beside the other decisions of `core.strategy`, which go by their own names."""

_SEAL_BYTES = 32
_OTHER_PROFILE = "device.other_profile"


class Place(msgspec.Struct, frozen=True):
    """Under which name and profile a request is decided, and what is known there."""

    query: ClaimQuery
    known: ClaimSnapshot
    profile: Profile


class Decided(msgspec.Struct, frozen=True):
    """What was decided in a place, what the device proved for it, and whether an operator lets it come back."""

    place: Place
    decision: Decision
    proof: Proof | None = None
    leave: bool = False


class Applicant(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to be let in, as hooks are told."""

    name: str = ""
    serial: str = ""
    device: DeviceId | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


Decide = Callable[[Place], Awaitable[Decided]]
"""Decides as if no hook were there. Raises `Refusal`."""


class Admission:
    """One request on its way past the hook of its profile, if that has one. What was decided once is not asked about again.

    A hook is asked about what was decided, before anything is written. Where it has the device called otherwise or puts it
    into another profile, it is decided anew there, and asked again where that comes to something else.
    """

    __slots__ = ("_answers", "_audit", "_hooks", "_issuer", "_repository", "_said")

    def __init__(self, hooks: Hooks | None, repository: Repository, issuer: Issuer, audit: Audit) -> None:
        self._hooks = hooks
        self._repository = repository
        self._issuer = issuer
        self._audit = audit
        self._answers: dict[tuple[str, DeviceId | None], HookAnswer] = {}
        self._said: tuple[Hook, HookAnswer] | None = None

    async def decide(self, place: Place, hook: Hook, decide: Decide, metadata: dict[str, Any], context: Context) -> Decided:
        """Return what is decided with the consent of the hook of a place; `metadata` is what the request came with.

        Raises what `decide` does, and `Refusal` FORBIDDEN where the hook is against it, UNAVAILABLE where it does not say.
        """
        first = await _or_refused(place, decide)
        answer = await self._ask(place.profile, hook, first, place, metadata, context)
        there = await self._there(place, answer, hook, context)
        if there is None:
            if isinstance(first, Refusal):
                raise first
            return first
        decided = await decide(there)
        again = await self._ask(place.profile, hook, decided, there, metadata, context)
        if not _agree(again, there):
            raise hooking.unusable(hook, "another name or profile when it was asked again", check="hook.unsteady")
        return decided

    async def consent(self, profile: Profile, decision: str, applicant: Applicant, context: Context) -> None:
        """Have a device let in that belongs to its profile for good. Raises `Refusal` FORBIDDEN or UNAVAILABLE."""
        hook = profile.hook
        if hook is None:
            return
        answer = await self._answer(profile, hook, decision, applicant, context)
        if answer.profile not in (None, profile.id, profile.name):
            raise hooking.unusable(
                hook, "another profile for a device that signs with its group's secret", check="hook.profile"
            )

    async def settle(self, changes: Changes, device: Device, context: Context) -> tuple[Changes, Device]:
        """Return changes with what the hook said of their device, and that. Raises `Refusal` UNAVAILABLE."""
        if self._said is None:
            return changes, device
        hook, answer = self._said
        device = hooking.current(device, changes)
        described = hooking.describe(device, answer, hook)
        if answer.name is not None and answer.name != device.name and hooking.is_new(device, changes):
            described = msgspec.structs.replace(described, name=await self._free(answer.name, device, hook))
        if described != device:
            changes, device = hooking.put(described, changes, self._issuer.clock.now())
        return await self._configure(changes, device, answer.channels, hook, context), device

    def told(self, decision: str) -> str:
        """Return what the event of a device that was let in says."""
        return decision if self._said is None else f"{decision}; {hooking.told(self._said[1], self._said[0])}"

    async def _ask(
        self, claimed: Profile, hook: Hook, decided: Decided | Refusal, place: Place, metadata: dict[str, Any], context: Context
    ) -> HookAnswer:
        device = place.known.device
        applicant = Applicant(
            name=place.query.device_name,
            serial=device.serial if device is not None else "",
            device=device.id if device is not None else None,
            metadata=metadata if device is None else device.metadata,
        )
        decision = MOVE if isinstance(decided, Refusal) else _word(decided.decision)
        return await self._answer(claimed, hook, decision, applicant, context)

    async def _answer(self, profile: Profile, hook: Hook, decision: str, applicant: Applicant, context: Context) -> HookAnswer:
        key = (decision, applicant.device)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = await self._put(profile, hook, decision, applicant, context)
        hooking.require_consent(answer, hook)
        answer = hooking.require_usable(answer, hook)
        self._said = (hook, answer)
        return answer

    async def _put(self, profile: Profile, hook: Hook, decision: str, applicant: Applicant, context: Context) -> HookAnswer:
        """Put the question. Raises `Refusal` UNAVAILABLE."""
        if self._hooks is None:
            raise hooking.unusable(hook, "hooks are not asked here", check="hook.unreachable")
        question = HookQuestion(
            url=hook.url,
            secret=self._issuer.vault.open(hook.secret, hook_row(profile.id)),
            seconds=hook.seconds,
            correlation=context.correlation,
            at=self._issuer.clock.now(),
            tenant=profile.tenant,
            profile=profile.id,
            profile_name=profile.name,
            dialect=context.dialect,
            protocol=context.protocol,
            source=context.source,
            secure=context.secure,
            decision=decision,
            **msgspec.structs.asdict(applicant),
        )
        return await self._hooks.ask(question)

    async def _there(self, place: Place, answer: HookAnswer, hook: Hook, context: Context) -> Place | None:
        """Return where a hook puts a device, None where that is where it is.

        Raises `Refusal` FORBIDDEN where it came over a wire that is not allowed there.
        """
        if _agree(answer, place):
            return None
        profile = place.profile
        if answer.profile not in (None, profile.id, profile.name):
            profile = await self._profile(answer.profile or "", place.profile, hook)
        name = place.query.device_name if answer.name is None else answer.name
        query = msgspec.structs.replace(place.query, provision_key=profile.provision_key, device_name=name)
        known = await self._repository.read(query)
        if known.profile is None or known.profile.id != profile.id:
            raise Conflict(Guard.REFERENCE)  # it was removed at this moment
        require_wire(known.profile, context)
        return Place(query, known, known.profile)

    async def _profile(self, ref: str, claimed: Profile, hook: Hook) -> Profile:
        found = await self._repository.read(ProfileQuery(claimed.tenant, ref))
        if found is None:
            raise hooking.unusable(hook, "a profile that is not there", check="hook.profile")
        if found.strategy is not claimed.strategy:
            raise hooking.unusable(hook, "a profile of another strategy", check="hook.profile")
        return found

    async def _free(self, name: str, device: Device, hook: Hook) -> str:
        (taken,) = await self._repository.read(DeviceNamesQuery(device.tenant, (name,)))
        if taken is not None:
            raise hooking.unusable(hook, "a name that another device has", check="hook.name_taken")
        return name

    async def _configure(
        self, changes: Changes, device: Device, channels: tuple[str, ...] | None, hook: Hook, context: Context
    ) -> Changes:
        """Have a device's configuration list these channels; one that has none gets one, by its id and a key nobody knows."""
        if channels is None:
            return changes
        wanted = tuple(map(ChannelId, channels))
        if None in await self._repository.read(ChannelsQuery(device.tenant, wanted)):
            raise hooking.unusable(hook, "a channel that is not there", check="hook.channels")
        known = await self._repository.read(ConfigQuery(device.tenant, device.id))
        if wanted == (known.config.channels if known is not None else ()):
            return changes
        kind = EventKind.CONFIG_CREATED if known is None else EventKind.CONFIG_CHANGED
        events = (
            *changes.events,
            self._audit.device_event(kind, context, device, f"{device.id}: channels, {host_of(hook.url)}"),
        )
        if known is None:
            made = self._new_config(device, wanted)
            return msgspec.structs.replace(changes, insert=(*changes.insert, made), events=events)
        now, before = self._issuer.clock.now(), known.config
        changed = msgspec.structs.replace(before, channels=wanted, updated_at=now, version=before.version + 1)
        return msgspec.structs.replace(changes, replace=(*changes.replace, changed), events=events)

    def _new_config(self, device: Device, channels: tuple[ChannelId, ...]) -> BootstrapConfig:
        now = self._issuer.clock.now()
        bare = BootstrapConfig(
            id=device.id,
            tenant=device.tenant,
            external_id=device.id,
            external_key=Sealed(b""),
            channels=channels,
            active=True,
            created_at=now,
            updated_at=now,
        )
        return Seals(self._issuer.vault).with_external_key(bare, Secret(self._issuer.entropy.draw(_SEAL_BYTES).hex()))


def hook_row(profile: ProfileId) -> bytes:
    """Return what the secret of a profile's hook is bound to."""
    return b"hook:" + profile.encode()


async def _or_refused(place: Place, decide: Decide) -> Decided | Refusal:
    """Decide, or return the refusal of a device of another profile, which may be the hook's to say."""
    try:
        return await decide(place)
    except Refusal as refusal:
        if refusal.check != _OTHER_PROFILE:
            raise
        return refusal


def _agree(answer: HookAnswer, place: Place) -> bool:
    """Tell whether an answer leaves a device in its place."""
    stays = answer.profile in (None, place.profile.id, place.profile.name)
    return stays and answer.name in (None, place.query.device_name)


def _word(decision: Decision) -> str:
    return type(decision.then if isinstance(decision, Await) else decision).__name__.lower()
