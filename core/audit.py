"""Records attempts and changes as events, refused ones included, without letting strangers fill the disk."""

import contextlib
from collections.abc import Callable

from core.crypto.tokens import new_id
from core.errors import Conflict, Reason, Refusal
from core.limits import Buckets, Rate
from core.lockout import CHECK
from core.messages import Context
from core.model import DEFAULT_TENANT, Device, DeviceId, Event, EventId, EventKind, Profile, ProfileId, TenantId
from core.ports import Changes, Clock, Entropy, Repository

_NAME_CHARACTERS = 255
_SHARE = 100


class Audit:
    """Makes events; those of refused requests are written at once, up to `refusals` a second over all sources.

    Requests that were refused because there were too many are a hundredth of that for each source: what a flood is told must
    not keep out what others are told, nor push it out of what is kept. `count` is told the names of alarms.
    """

    def __init__(
        self,
        repository: Repository,
        clock: Clock,
        entropy: Entropy,
        refusals: Rate,
        count: Callable[[str], None] | None = None,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._entropy = entropy
        self._refusals = Buckets(refusals, entries=1)
        self._count = count
        self._turned_away = Buckets(Rate(refusals.per_second / _SHARE, max(refusals.burst / _SHARE, 1.0)))

    def event(
        self,
        kind: EventKind,
        context: Context,
        *,
        tenant: TenantId = DEFAULT_TENANT,
        profile: ProfileId | None = None,
        device: DeviceId | None = None,
        device_name: str = "",
        check: str = "",
        detail: str = "",
    ) -> Event:
        """Make an event of this request, to be committed with what it tells of."""
        now = self._clock.now()
        return Event(
            id=EventId(new_id(now, self._entropy)),
            tenant=tenant,
            at=now,
            kind=kind,
            correlation=context.correlation,
            protocol=context.protocol,
            dialect=context.dialect,
            source=context.source,
            actor=context.actor,
            profile=profile,
            device=device,
            device_name=device_name[:_NAME_CHARACTERS],
            check=check,
            detail=detail,
        )

    def device_event(self, kind: EventKind, context: Context, device: Device, detail: str = "") -> Event:
        """Make an event that tells of a device, to be committed with that."""
        return self.event(
            kind,
            context,
            tenant=device.tenant,
            profile=device.profile,
            device=device.id,
            device_name=device.name,
            detail=detail,
        )

    async def refused(
        self,
        kind: EventKind,
        context: Context,
        refusal: Refusal,
        *,
        profile: Profile | None = None,
        device: Device | None = None,
        device_name: str = "",
    ) -> None:
        """Record a refused request. A registry that cannot take the event does not change the answer.

        What the registry itself failed at is not recorded: it would fail again, and the device would wait for both.
        """
        of_the_registry = refusal.reason is Reason.UNAVAILABLE and refusal.check.startswith("storage.")
        if of_the_registry or self._is_beyond(refusal, context.stranger):
            return
        owner = profile or device
        event = self.event(
            kind,
            context,
            tenant=owner.tenant if owner else DEFAULT_TENANT,
            profile=profile.id if profile else device.profile if device else None,
            device=device.id if device else None,
            device_name=device_name or (device.name if device else ""),
            check=refusal.check,
            detail=refusal.aside or refusal.detail,
        )
        with contextlib.suppress(Refusal, Conflict):
            await self._repository.commit(Changes(events=(event,)))

    def alarm(self) -> None:
        """Count an alarm of `core.lockout`."""
        if self._count is not None:
            self._count(CHECK)

    async def guessed(self, context: Context, shown: str, tenant: TenantId = DEFAULT_TENANT) -> None:
        """Count and record that somebody guesses at an identity, by the name under which it may be shown."""
        self.alarm()
        if self._refusals.take("", self._clock.monotonic()):
            return
        detail = "more wrong secrets came than one address may send"
        event = self.event(EventKind.IDENTITY_GUESSED, context, tenant=tenant, device_name=shown, check=CHECK, detail=detail)
        with contextlib.suppress(Refusal, Conflict):
            await self._repository.commit(Changes(events=(event,)))

    def _is_beyond(self, refusal: Refusal, source: str) -> bool:
        now = self._clock.monotonic()
        floods = refusal.reason is Reason.TOO_MANY and self._turned_away.take(source, now) > 0
        return floods or self._refusals.take("", now) > 0
