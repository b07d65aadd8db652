"""What all forms of bootstrap share: who proved itself gets its configuration, which is recorded; who did not is counted."""

import msgspec

from core import lifecycle
from core.approvals import CHECKS, Approvals
from core.audit import Audit
from core.configuration import Seals, client_secret
from core.errors import Conflict, Reason, Refusal
from core.issuer import Issuer
from core.limits import require, too_many
from core.lockout import Lockout
from core.messages import Bootstrapped, Context
from core.model import DEFAULT_TENANT, Device, DeviceState, EventKind, Reprovision
from core.plain import require_protected
from core.ports import Changes, Delete, Repository
from core.queries import BootstrapQuery, BootstrapSnapshot, ExternalKeyQuery, KeySnapshot, ProfileQuery

ATTEMPTS = 3
_NO_GUESS = CHECKS | {"plain.refused"}
_ID_CHARACTERS = 255  # no external id is longer, so no two of them are counted as one

_AS_UNKNOWN = frozenset({"bootstrap.unknown", "bootstrap.secure_tenant"})


class Fetching(msgspec.Struct, frozen=True):
    """The steps of a bootstrap beside its proof.

    A wrong proof counts against its source and external id together.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Lockout

    def require_patience(self, external_id: str, context: Context) -> None:
        """Turn away who was wrong too often. Raises `Refusal` TOO_MANY."""
        wait = self.failures.wait_pair(context.stranger, _name(external_id), self.issuer.clock.monotonic())
        require(wait, "limit.bootstrap")

    async def know(self, external_id: str) -> KeySnapshot | None:
        """Return what it takes to check a proof, and nothing of what the configuration holds. Raises `Refusal` UNAVAILABLE."""
        return await self.repository.read(ExternalKeyQuery(external_id))

    async def find(self, external_id: str, proved: KeySnapshot) -> BootstrapSnapshot | None:
        """Return the configuration; None: it was removed, or made anew, since the proof was checked."""
        found = await self.repository.read(BootstrapQuery(external_id))
        return None if found is None or found.config.external_key != proved.external_key else found

    async def require_wire(self, device: Device, context: Context, *, sealed: bool) -> None:
        """Keep what the device's profile keeps off unprotected wires. Raises `Refusal` FORBIDDEN."""
        profile = None if context.secure else await self.repository.read(ProfileQuery(device.tenant, device.profile))
        if profile is not None:
            require_protected(profile.plain, sealed=sealed)

    async def _granted(self, device: Device, context: Context) -> tuple[Delete, ...]:
        """Return the use of the grant that a device needs to be given again what it has, none where it needs none.

        Raises `Refusal` FORBIDDEN where it has to wait for an operator, `Conflict` where that changed meanwhile.
        """
        if device.state is DeviceState.DEFINED:
            return ()
        profile = await self.repository.read(ProfileQuery(device.tenant, device.profile))
        if profile is None or profile.reprovision is not Reprovision.APPROVE:
            return ()
        approvals = Approvals(self.repository, self.issuer, self.audit)
        return (Delete(await approvals.require(profile, device.name, device, context)),)

    def open(self, found: BootstrapSnapshot) -> Bootstrapped:
        """Return what a device that proved itself may have. Raises `Refusal` FORBIDDEN where it is shut out."""
        _require_let_in(found.device)
        secret = client_secret(found.credentials, self.issuer)
        if secret is None:
            raise forbidden("bootstrap.device_revoked")
        seals = Seals(self.issuer.vault)
        content, certificates = seals.content(found.config), seals.certificates(found.config)
        return Bootstrapped(
            config=found.config,
            device=found.device,
            secret=secret,
            channels=found.channels,
            content=content,
            certificates=certificates,
            etag=seals.etag(found.config, secret, found.channels, content, certificates),
        )

    async def record(self, result: Bootstrapped, context: Context, *, by_key: bool = True) -> bool:
        """Record that a device got its configuration, and its first time; False: something changed meanwhile, read again.

        One that comes again `by_key`, and not by a credential that it was given, may have to wait for an operator: `Refusal`
        FORBIDDEN.
        """
        device = result.device
        told = f"version {result.config.version}"
        event = self.audit.device_event(EventKind.BOOTSTRAP_SUCCEEDED, context, device, told)
        first: tuple[Device, ...] = ()
        if device.state is DeviceState.DEFINED:
            first = (lifecycle.advance(device, DeviceState.PROVISIONED, self.issuer.clock.now()),)
        try:
            used = await self._granted(device, context) if by_key else ()
            await self.repository.commit(Changes(replace=first, delete=used, events=(event,)))
        except Conflict:
            return False
        self.failures.right(context.stranger, _name(result.config.external_id))
        return True

    async def refuse(
        self, refusal: Refusal, external_id: str, known: KeySnapshot | None, context: Context, *, alike: bool = False
    ) -> Refusal:
        """Count and record a refusal; returns what the device is told, which after too many is to go on so no longer.

        An unknown external id counts against its source, and that limits unknown ones alone: a device that is refused for ever
        does not keep others behind the same address out. Where an unknown id and a wrong proof are to look `alike`, that limits
        both of them.
        """
        counted, alarmed = self._counted(refusal, external_id, context, alike=alike)
        if alarmed:
            await self.audit.guessed(context, _name(external_id), known.device.tenant if known else DEFAULT_TENANT)
        await self.audit.refused(
            EventKind.BOOTSTRAP_REFUSED,
            context,
            counted,
            device=known.device if known else None,
            device_name="" if known else external_id,
        )
        return counted

    def _counted(self, refusal: Refusal, external_id: str, context: Context, *, alike: bool) -> tuple[Refusal, bool]:
        """Return what the device is told, and whether this raises the alarm."""
        now = self.issuer.clock.monotonic()
        # Who is refused for the wire alone, or waits for an operator, has the right key: that was no guess.
        is_guess = refusal.reason is Reason.FORBIDDEN and refusal.check not in _NO_GUESS
        alarmed = is_guess and self.failures.wrong_pair(context.stranger, _name(external_id), now)
        of_source = is_guess if alike else refusal.check in _AS_UNKNOWN
        wait = self.failures.sources.take(context.stranger, now) if of_source else 0.0
        return too_many(wait, "limit.bootstrap") if wait else refusal, alarmed


def forbidden(check: str) -> Refusal:
    """Make the refusal of a proof, or of a device that is shut out: a device cannot tell one from the other."""
    return Refusal(Reason.FORBIDDEN, "the external key is not right", check=check)


def _name(external_id: str) -> str:
    """Return what an external id is counted and shown by."""
    return external_id[:_ID_CHARACTERS]


def _require_let_in(device: Device) -> None:
    if not device.enabled:
        raise forbidden("bootstrap.device_disabled")
    if device.state is DeviceState.DISCARDED:
        raise forbidden("bootstrap.device_discarded")
