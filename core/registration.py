"""How a serial of a group gets its device and its triple, once somebody has proved to be allowed to ask for it."""

from collections.abc import Callable
from typing import Any

import msgspec

from core import lifecycle
from core.audit import Audit
from core.credentials import require_valid
from core.crypto.tokens import new_id, random_text
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.messages import Context, Enrolled, Triple
from core.model import Credential, CredentialKind, Device, DeviceId, DeviceState, EventKind, Profile, SignedPolicy
from core.ports import Changes, Repository
from core.queries import DeviceSnapshot, EnrolQuery, EnrolSnapshot
from core.strategy import NAME_CHARACTERS, require_room, require_writable

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
    """A serial, and what is kept with its device where that is made."""

    serial: str
    label: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


Proof = Callable[[EnrolSnapshot], tuple[Profile, SignedPolicy]]
"""Returns the group that a device was proved to be of, from what is known now. Raises `Refusal`."""


class Registrar(msgspec.Struct, frozen=True):
    """Registers a serial, allocates its triple, or gives the one it has."""

    repository: Repository
    issuer: Issuer
    audit: Audit

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

    async def repeat(self, found: DeviceSnapshot, context: Context) -> Enrolled:
        """Give a device the triple it has. Raises `Withheld`, recorded, where it has none or may not have it."""
        try:
            return await self._repeat(found.device, found.profile, found.credentials, context)
        except Withheld as refusal:
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
        if device is None:
            return await self._register(newcomer, profile, policy, known, context)
        if device.state is not DeviceState.DEFINED:
            return await self._repeat(device, profile, known.credentials, context)
        _require_in_service(device)
        triple = current_triple(known.credentials, self.issuer)
        if triple is None and not policy.auto_activation:
            raise _not_allocated(device)
        return await self._allocate(device, profile, policy, triple, context)

    async def _repeat(
        self, device: Device, profile: Profile, credentials: tuple[Credential, ...], context: Context
    ) -> Enrolled:
        require_allocated(device)
        triple = current_triple(credentials, self.issuer)
        if triple is None:
            detail = "the device's credentials are revoked"
            raise Withheld(Reason.CONFLICT, detail, device.serial, check="credential.revoked")
        return await self._given(device, profile, triple, "repeat", Changes(), context)

    async def _register(
        self, newcomer: Newcomer, profile: Profile, policy: SignedPolicy, known: EnrolSnapshot, context: Context
    ) -> Enrolled:
        """Make a device. One that an operator has to allocate is kept, as defined, before it is refused."""
        if not policy.self_registration:
            raise Refusal(Reason.FORBIDDEN, "the group takes only devices that it expects", check="group.closed")
        require_room(known.tenant)
        device = self._new_device(newcomer, profile, known.names_taken)
        if not policy.auto_activation:
            event = self.audit.device_event(EventKind.DEVICE_DEFINED, context, device, "register")
            await self.repository.commit(Changes(insert=(device,), events=(event,)))
            raise _not_allocated(device)
        triple, credential = await self._issue(device, policy)
        born = msgspec.structs.replace(device, state=DeviceState.PROVISIONED, provisioned_at=device.created_at)
        return await self._given(born, profile, triple, "register", Changes(insert=(born, credential)), context)

    async def _allocate(
        self, device: Device, profile: Profile, policy: SignedPolicy, triple: Triple | None, context: Context
    ) -> Enrolled:
        """Provision a defined device, with the triple that it was given in advance or else a new one."""
        issued: tuple[Credential, ...] = ()
        if triple is None:
            triple, credential = await self._issue(device, policy)
            issued = (credential,)
        advanced = lifecycle.advance(device, DeviceState.PROVISIONED, self.issuer.clock.now())
        return await self._given(advanced, profile, triple, "allocate", Changes(insert=issued, replace=(advanced,)), context)

    async def _given(
        self, device: Device, profile: Profile, triple: Triple, detail: str, changes: Changes, context: Context
    ) -> Enrolled:
        event = self.audit.device_event(EventKind.PROVISION_SUCCEEDED, context, device, detail)
        await self.repository.commit(msgspec.structs.replace(changes, events=(event,)))
        return Enrolled(device=device, profile=profile, triple=triple)

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
