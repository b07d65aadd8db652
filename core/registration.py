"""How a serial of a group gets its device and its triple, once somebody has proved to be allowed to ask for it."""

from collections.abc import Callable
from typing import Any

import msgspec

from core import departures, lifecycle
from core.admission import ACTIVATE, CREATE, DEFINE, REPEAT, Admission, Applicant
from core.approvals import Approvals
from core.audit import Audit
from core.claim_policy import require_budget
from core.credentials import require_valid
from core.crypto.tokens import new_id, random_text
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.messages import Context, Enrolled, Identity, Triple
from core.model import (
    Credential,
    CredentialKind,
    Device,
    DeviceId,
    DeviceState,
    EventKind,
    Profile,
    Reprovision,
    SignedPolicy,
)
from core.ports import Changes, Delete, Repository
from core.queries import DeviceSnapshot, EnrolQuery, EnrolSnapshot
from core.strategy import APPROVE_NEW, NAME_CHARACTERS, require_room, require_writable

ATTEMPTS = 5
"""Each of a serial's names may be taken meanwhile, the last of them drawn, and then the serial itself, by the same device."""

_DRAWN_CHARACTERS = 20
_LONGEST_STEM = NAME_CHARACTERS - _DRAWN_CHARACTERS - len("_")


class Withheld(Refusal):
    """A device that proved itself is not given its triple; `serial` is its own, for the words it is told so in."""

    def __init__(self, reason: Reason, detail: str, serial: str, *, check: str) -> None:
        super().__init__(reason, detail, check=check)
        self.serial = serial


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """A serial, and what is kept with its device where that is made; `connection` is what that proved by itself."""

    serial: str
    connection: Identity | None = None
    label: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


Proof = Callable[[EnrolSnapshot], tuple[Profile, SignedPolicy]]
"""Returns the group that a device was proved to be of, from what is known now. Raises `Refusal`."""


class Registrar(msgspec.Struct, frozen=True):
    """Registers a serial, allocates its triple, or gives the one it has."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    admission: Admission

    async def enrol(self, group: str, newcomer: Newcomer, prove: Proof, context: Context) -> Enrolled:
        """Give a serial of a group its triple, the one it has or a new one. Raises `Refusal`, after recording it as an event.

        A conflict with a request that ran at the same time is decided anew, some times at most.
        """
        known = EnrolSnapshot()
        query = EnrolQuery(group, newcomer.serial, serial_names(group, newcomer.serial))
        try:
            for _ in range(ATTEMPTS):
                known = await self.repository.read(query)
                profile, policy = prove(known)
                try:
                    return await self._admit(newcomer, profile, policy, known, context)
                except Conflict:
                    continue
            raise registry_busy()
        except Refusal as refusal:
            await self.refused(refusal, known.profile, known.device, newcomer.serial, context)
            raise

    async def repeat(self, found: DeviceSnapshot, connection: Identity | None, context: Context) -> Enrolled:
        """Give a device the triple it has. Raises `Withheld`, recorded, where it has none or may not have it, UNAVAILABLE."""
        try:
            for _ in range(ATTEMPTS):
                try:
                    return await self._repeat(found.device, found.profile, found.credentials, connection, context)
                except Conflict:
                    continue
            raise registry_busy()
        except Refusal as refusal:
            await self.refused(refusal, found.profile, found.device, found.device.serial, context)
            raise

    async def refused(
        self, refusal: Refusal, profile: Profile | None, device: Device | None, serial: str, context: Context
    ) -> None:
        """Record a refusal, under the name of its device or else the serial that was presented."""
        await self.audit.refused(
            EventKind.PROVISION_REFUSED,
            context,
            refusal,
            profile=profile,
            device=device,
            device_name="" if device else serial,
        )

    async def _admit(
        self, newcomer: Newcomer, profile: Profile, policy: SignedPolicy, known: EnrolSnapshot, context: Context
    ) -> Enrolled:
        """Decide by what is known and by the group's policy, and carry it out. Raises `Refusal` and `Conflict`."""
        device = known.device
        leave = departures.has_leave(known.tombstone, self.issuer.clock.now())
        if device is None:
            if not leave:
                departures.require_welcome(known.tombstone, profile)
            return await self._register(newcomer, profile, policy, known, context)
        if leave and not known.credentials:
            _require_in_service(device)
            return await self._allocate(device, profile, policy, None, context, departures.used(known.tombstone))
        if device.state is not DeviceState.DEFINED:
            return await self._repeat(device, profile, known.credentials, newcomer.connection, context)
        _require_in_service(device)
        triple = current_triple(known.credentials, self.issuer)
        if triple is None and not policy.auto_activation:
            raise _not_allocated(device)
        if triple is None and known.tombstone is not None and known.tombstone.device == device.id:
            raise _revoked(device)
        return await self._allocate(device, profile, policy, triple, context)

    async def _repeat(
        self,
        device: Device,
        profile: Profile,
        credentials: tuple[Credential, ...],
        connection: Identity | None,
        context: Context,
    ) -> Enrolled:
        """Give a device the triple it has; of what a profile says of those who come again, approval and proof count here."""
        require_allocated(device)
        triple = current_triple(credentials, self.issuer)
        if triple is None:
            raise _revoked(device)
        if profile.reprovision is Reprovision.PROVE and not _has_proved(connection, device, credentials):
            raise Withheld(Reason.CONFLICT, "the device is allocated", device.serial, check="reprovision.unproved")
        await self._consent(REPEAT, device, profile, context)
        used: tuple[Delete, ...] = ()
        if profile.reprovision is Reprovision.APPROVE:
            used = await self._granted(profile, device.serial, device, context)
        return await self._given(device, profile, triple, "repeat", Changes(delete=used), context)

    async def _granted(self, profile: Profile, serial: str, device: Device | None, context: Context) -> tuple[Delete, ...]:
        """Return the use of an operator's grant. Raises `Withheld` where there is none."""
        try:
            approvals = Approvals(self.repository, self.issuer, self.audit)
            return (Delete(await approvals.require(profile, serial, device, context)),)
        except Refusal as refusal:
            if refusal.reason is not Reason.FORBIDDEN:
                raise
            raise Withheld(Reason.CONFLICT, refusal.detail, serial, check=refusal.check) from refusal

    async def _register(
        self, newcomer: Newcomer, profile: Profile, policy: SignedPolicy, known: EnrolSnapshot, context: Context
    ) -> Enrolled:
        """Make a device. One that an operator has to allocate is kept, as defined, before it is refused."""
        if not policy.self_registration:
            raise Refusal(Reason.FORBIDDEN, "the group takes only devices that it expects", check="group.closed")
        require_budget(profile)
        require_room(known.tenant)
        back = departures.used(known.tombstone)
        device = self._new_device(newcomer, profile, known.names_taken)
        await self._consent(CREATE if policy.auto_activation else DEFINE, device, profile, context, is_new=True)
        if not policy.auto_activation:
            changes = Changes(insert=(device,), delete=back, made_by=profile.id)
            raise _not_allocated(await self._commit(changes, device, EventKind.DEVICE_DEFINED, "register", context))
        used = await self._granted(profile, newcomer.serial, None, context) if APPROVE_NEW in profile.options else ()
        triple, credential = await self._issue(device, policy)
        born = msgspec.structs.replace(device, state=DeviceState.PROVISIONED, provisioned_at=device.created_at)
        changes = Changes(insert=(born, credential), delete=(*used, *back), made_by=profile.id)
        return await self._given(born, profile, triple, f"register{', by leave' if back else ''}", changes, context)

    async def _allocate(
        self,
        device: Device,
        profile: Profile,
        policy: SignedPolicy,
        triple: Triple | None,
        context: Context,
        back: tuple[Delete, ...] = (),
    ) -> Enrolled:
        """Provision a defined device, or one that comes `back`, with the triple it was given in advance or else a new one."""
        await self._consent(ACTIVATE, device, profile, context)
        issued: tuple[Credential, ...] = ()
        if triple is None:
            triple, credential = await self._issue(device, policy)
            issued = (credential,)
        now, is_defined = self.issuer.clock.now(), device.state is DeviceState.DEFINED
        advanced = lifecycle.advance(device, DeviceState.PROVISIONED, now) if is_defined else lifecycle.renew(device, now)
        changes = Changes(insert=issued, replace=(advanced,), delete=back)
        return await self._given(advanced, profile, triple, f"allocate{', by leave' if back else ''}", changes, context)

    async def _given(
        self, device: Device, profile: Profile, triple: Triple, detail: str, changes: Changes, context: Context
    ) -> Enrolled:
        device = await self._commit(changes, device, EventKind.PROVISION_SUCCEEDED, detail, context)
        return Enrolled(device=device, profile=profile, triple=triple)

    async def _consent(
        self, decision: str, device: Device, profile: Profile, context: Context, *, is_new: bool = False
    ) -> None:
        """Have the profile's hook agree to what is decided, if it has one. Raises `Refusal`."""
        applicant = Applicant(
            name=device.name, serial=device.serial, device=None if is_new else device.id, metadata=device.metadata
        )
        await self.admission.consent(profile, decision, applicant, context)

    async def _commit(self, changes: Changes, device: Device, kind: EventKind, detail: str, context: Context) -> Device:
        """Write changes, with what a hook said of their device, and return that. Raises `Conflict` and `Refusal`."""
        changes, device = await self.admission.settle(changes, device, context)
        event = self.audit.device_event(kind, context, device, self.admission.told(detail))
        await self.repository.commit(msgspec.structs.replace(changes, events=(event, *changes.events)))
        return device

    async def _issue(self, device: Device, policy: SignedPolicy) -> tuple[Triple, Credential]:
        triple = self.issuer.new_triple(policy.product_key)
        require_valid(triple)
        return triple, await self.issuer.issue(triple, device.id, keep=True)

    def _new_device(self, newcomer: Newcomer, profile: Profile, taken: frozenset[str]) -> Device:
        now, entropy = self.issuer.clock.now(), self.issuer.entropy
        names = serial_names(profile.provision_key, newcomer.serial)
        free = [name for name in names if name not in taken]
        stem = f"{names[-1][:_LONGEST_STEM]}_" if names else ""
        drawn = stem + random_text(_DRAWN_CHARACTERS, entropy)
        return Device(
            id=DeviceId(new_id(now, entropy)),
            tenant=profile.tenant,
            profile=profile.id,
            name=free[0] if free else drawn,
            label=newcomer.label,
            serial=newcomer.serial,
            unique_serial=True,
            metadata=newcomer.metadata,
            created_at=now,
            updated_at=now,
        )


def current_triple(credentials: tuple[Credential, ...], issuer: Issuer) -> Triple | None:
    """Return the newest triple among a device's credentials, oldest first, that is good still and was kept."""
    now = issuer.clock.now()
    for credential in reversed(credentials):
        if credential.kind is CredentialKind.DEVICE_SECRET and not credential.is_over(now):
            value = issuer.reveal(credential)
            if isinstance(value, Triple):
                return value
    return None


def _has_proved(connection: Identity | None, device: Device, credentials: tuple[Credential, ...]) -> bool:
    """Tell whether a connection proved that it is the device's, by something that the device has still."""
    if connection is None or connection.device != device.id:
        return False
    return connection.credential is None or any(each.id == connection.credential for each in credentials)


def require_allocated(device: Device) -> None:
    """Raise `Withheld` for a device that an operator has to allocate yet, or has taken out of service."""
    _require_in_service(device)
    if device.state is DeviceState.DEFINED:
        raise _not_allocated(device)


def _require_in_service(device: Device) -> None:
    if not device.enabled:
        raise Withheld(Reason.FORBIDDEN, "the device is disabled", device.serial, check="device.disabled")
    if device.state is DeviceState.DISCARDED:
        raise Withheld(Reason.FORBIDDEN, "the device is discarded", device.serial, check="device.discarded")


def _revoked(device: Device) -> Withheld:
    detail = "the device's credentials are revoked"
    return Withheld(Reason.CONFLICT, detail, device.serial, check="credential.revoked")


def _not_allocated(device: Device) -> Withheld:
    return Withheld(Reason.CONFLICT, "the device is not allocated", device.serial, check="device.not_allocated")


def serial_names(group: str, serial: str) -> tuple[str, ...]:
    """Return the names that a serial's device may have, the best first."""
    return tuple(name for name in (serial, f"{group}_{serial}") if _may_be_name(name))


def _may_be_name(name: str) -> bool:
    """Tell whether a device can be called so, and found again by those who take white space off around names."""
    try:
        require_writable(name)
    except Refusal:
        return False
    return bool(name) and name == name.strip()
