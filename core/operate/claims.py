"""What operators and users do about who a device belongs to: offer it, associate it, give it up."""

from functools import partial

import msgspec

from core import lifecycle
from core.associate import (
    DEFAULT_SECONDS,
    LEAST_SECONDS,
    MOST_SECONDS,
    ClaimingTerms,
    announced_lookup,
    associate,
    code_lookup,
    draw_code,
    is_owned,
    not_associable,
    removal,
    waiting,
    without,
    written,
)
from core.configuration import is_let_in
from core.errors import Guard, Reason, Refusal
from core.limits import Buckets, require
from core.model import Device, EntryId, EntryKind, EventKind, PendingClaim, Role, Secret
from core.operate import values
from core.operate.associating import AssociateByCode, Associated, ClaimDevice, GiveUpDevice, OfferDevice, Offered, WithdrawOffer
from core.operate.entry_places import Places
from core.operate.registry import HEALED, Registry, Scope
from core.operate.results import Done
from core.ports import Changes, Delete
from core.queries import DeviceClaimQuery, EntryQuery, PendingClaimQuery

REPEATED = HEALED | {Guard.CLAIM_DEVICE, Guard.CLAIM_LOOKUP}
"""The guards that hold once a claim is read again, or a code is drawn again."""

GUESSED = frozenset({"association.code", "association.secret", "association.device"})
"""The checks by which a guess is told from a request that went wrong."""

_USERS = (EntryKind.END_USER, EntryKind.ACCOUNT_USER)


class Claims(msgspec.Struct, frozen=True):
    """Offers devices by codes, associates them by code or by what they announced, and gives them up.

    Wrong codes and secrets count against their source and against who sends them, and against nobody else. `terms` is None
    where no dialect has announcements.
    """

    registry: Registry
    guesses: Buckets
    terms: ClaimingTerms | None = None

    async def offer(self, command: OfferDevice, scope: Scope) -> Offered:
        """Draw a code for a device. Raises `Refusal` MALFORMED, NOT_FOUND, UNPROCESSABLE or CONFLICT."""
        seconds = DEFAULT_SECONDS if command.seconds is None else command.seconds
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise values.malformed(f"seconds: {LEAST_SECONDS} to {MOST_SECONDS} are possible", "association.seconds")
        return await self.registry.settle(partial(self._offer, command.ref, seconds, scope), healed=REPEATED)

    async def withdraw(self, command: WithdrawOffer, scope: Scope) -> Done:
        """Make what a device waits for worthless, if it waits at all. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._withdraw, command.ref, scope))

    async def associate(self, command: AssociateByCode, scope: Scope) -> Associated:
        """Associate the device of a code, which is worthless from then on.

        Raises `Refusal` MALFORMED, NOT_FOUND for a code or an owner that is not known, UNPROCESSABLE for a device that has not
        come yet, TOO_MANY after too many wrong codes.
        """
        if command.organization and command.user:
            raise values.malformed("organization or user: only one of them is the owner", "association.target")
        self._require_room(scope)
        try:
            return await self.registry.settle(partial(self._associate, command, scope))
        except Refusal as refusal:
            self._count(refusal, scope)
            raise

    async def claim(self, command: ClaimDevice, scope: Scope) -> Associated:
        """Associate a device by the secret that it announced; an announcement that is over or met by another secret is dropped.

        Raises `Refusal` NOT_FOUND, FORBIDDEN where the secret is not right, CONFLICT where the device has its owner, TOO_MANY.
        """
        self._require_room(scope)
        try:
            return await self.registry.settle(partial(self._claim, command, scope))
        except Refusal as refusal:
            self._count(refusal, scope)
            raise

    async def give_up(self, command: GiveUpDevice, scope: Scope) -> Device:
        """Make a device the tenant's own again. Raises `Refusal` NOT_FOUND, or CONFLICT where it is nobody's."""
        return await self.registry.settle(partial(self._give_up, command.ref, scope))

    async def _offer(self, ref: str, seconds: int, scope: Scope) -> Offered:
        issuer = self.registry.issuer
        device = (await self.registry.device(ref, scope)).device
        if not is_let_in(device):
            raise not_associable()
        before = await self._waiting(device)
        code, now = draw_code(issuer.entropy), issuer.clock.now()
        claim = PendingClaim(
            id=device.id,
            tenant=device.tenant,
            lookup=code_lookup(code, issuer.vault),
            expires_at=now + seconds * 1_000,
            created_at=now,
        )
        event = self.registry.device_event(EventKind.ASSOCIATION_OFFERED, device, scope, f"for {seconds} seconds")
        await self.registry.commit(event, waiting(claim, before))
        return Offered(device, code, claim.expires_at)

    async def _withdraw(self, ref: str, scope: Scope) -> Done:
        device = (await self.registry.device(ref, scope)).device
        claim = await self._waiting(device)
        if claim is not None:
            event = self.registry.device_event(EventKind.DEVICE_CHANGED, device, scope, "association withdrawn")
            await self.registry.commit(event, Changes(delete=(Delete(claim),)))
        return Done()

    async def _associate(self, command: AssociateByCode, scope: Scope) -> Associated:
        owner = await self._owner(command, scope)
        found = await self.registry.repository.read(PendingClaimQuery(code_lookup(command.code, self.registry.issuer.vault)))
        now = self.registry.issuer.clock.now()
        if found is None or found.claim.tenant != scope.tenant or found.claim.expires_at <= now or not is_let_in(found.device):
            raise Refusal(Reason.NOT_FOUND, "there is no device with this code", check="association.code")
        device = associate(found.device, owner, now)
        await self._record(device, found.claim, scope)
        return Associated(device)

    async def _claim(self, command: ClaimDevice, scope: Scope) -> Associated:
        device = await self._device(f"name:{command.name}", scope)
        if not is_let_in(device):
            raise _unknown_device()
        claim = await self._waiting(device)
        announced = claim if claim is not None and claim.announced else None
        if not self._proves(command.secret, device, announced):
            await self._drop(announced, device, scope)
            # Read again: whoever was a moment faster took the announcement away as well.
            raise _owned() if announced is None and is_owned(await self._device(device.id, scope)) else _wrong_secret()
        if is_owned(device):
            raise _owned()
        device = associate(device, _own(scope), self.registry.issuer.clock.now(), announced=True)
        if self.terms is not None:
            device = without(device, (self.terms.allowed, self.terms.announced))
        await self._record(device, claim, scope)
        return Associated(device)

    async def _give_up(self, ref: str, scope: Scope) -> Device:
        before = await self._device(ref, scope)
        if scope.actor.role is Role.CUSTOMER and not (is_owned(before) and before.owner == _own(scope)):
            raise _unknown_device()
        device = lifecycle.give_up(before, self.registry.issuer.clock.now())
        event = self.registry.device_event(EventKind.DEVICE_GIVEN_UP, device, scope, before.owner)
        await self.registry.commit(event, Changes(replace=(device,)))
        return device

    async def _device(self, ref: str, scope: Scope) -> Device:
        found = await self.registry.find_device(ref, scope)
        if found is None:
            raise _unknown_device()
        return found.device

    async def _waiting(self, device: Device) -> PendingClaim | None:
        return await self.registry.repository.read(DeviceClaimQuery(device.tenant, device.id))

    def _proves(self, secret: Secret, device: Device, announced: PendingClaim | None) -> bool:
        """Tell whether a secret is the announced one, in time; what the device says itself counts before its metadata."""
        now = self.registry.issuer.clock.now()
        if announced is not None:
            return announced.expires_at > now and announced.lookup == announced_lookup(
                device.id, secret, self.registry.issuer.vault
            )
        by_hand = None if self.terms is None else written(device, self.terms)
        return by_hand is not None and by_hand.expires_at > now and by_hand.secret == secret

    async def _drop(self, announced: PendingClaim | None, device: Device, scope: Scope) -> None:
        if announced is not None:
            event = self.registry.device_event(EventKind.ASSOCIATION_REFUSED, device, scope, "the announcement is dropped")
            await self.registry.commit(event, Changes(delete=(Delete(announced),)))

    async def _record(self, device: Device, claim: PendingClaim | None, scope: Scope) -> None:
        """Write a device with its owner; what it waited for goes in the same step, so that no two can use it."""
        event = self.registry.device_event(EventKind.DEVICE_ASSOCIATED, device, scope, device.owner)
        await self.registry.commit(event, Changes(replace=(device,), delete=removal(claim)))

    async def _owner(self, command: AssociateByCode, scope: Scope) -> str:
        """Return the organisation that is to own a device. Users may name themselves and their own organisation alone."""
        if command.organization:
            owner = await Places(self.registry).organization(command.organization, scope)
            permitted = owner == _own(scope)
        elif command.user:
            owner = await self._organization_of(command.user, scope)
            permitted = scope.actor.user is not None and scope.actor.user.id == command.user
        else:
            return _own(scope)
        if scope.actor.role is Role.CUSTOMER and not permitted:
            raise _unknown_entry()
        return owner

    async def _organization_of(self, user: str, scope: Scope) -> str:
        found = await self.registry.repository.read(EntryQuery(scope.tenant, EntryId(user)))
        if found is None or found.kind not in _USERS:
            raise _unknown_entry()
        return found.parent

    def _require_room(self, scope: Scope) -> None:
        now = self.registry.issuer.clock.monotonic()
        require(max(self.guesses.wait(key, now) for key in _keys(scope)), "limit.association")

    def _count(self, refusal: Refusal, scope: Scope) -> None:
        if refusal.check in GUESSED:
            now = self.registry.issuer.clock.monotonic()
            for key in _keys(scope):
                self.guesses.take(key, now)


def _own(scope: Scope) -> str:
    """Return the organisation of who asks: that of a user, otherwise the tenant's own."""
    return scope.actor.user.parent if scope.actor.user else ""


def _keys(scope: Scope) -> tuple[str, str]:
    """Return what guesses are counted by: the source, and the actor."""
    who = scope.actor.user.id if scope.actor.user else scope.actor.name
    return f"guess from {scope.context.stranger}", f"guess by {scope.actor.tenant} {who}"


def _unknown_device() -> Refusal:
    return Refusal(Reason.NOT_FOUND, "there is no device of this id or name", check="association.device")


def _unknown_entry() -> Refusal:
    return Refusal(Reason.NOT_FOUND, "there is no organization or user of this id", check="entry.unknown")


def _wrong_secret() -> Refusal:
    return Refusal(Reason.FORBIDDEN, "the device did not announce this secret, or that is over", check="association.secret")


def _owned() -> Refusal:
    return Refusal(Reason.CONFLICT, "the device has its owner already", check="association.owned")
