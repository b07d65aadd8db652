"""Authenticate: who is this? A device presents what it was issued."""

import msgspec

from core import lifecycle
from core.audit import Audit
from core.certificate_logins import CertificateLogins
from core.configuration import is_let_in
from core.errors import Conflict, Reason, Refusal
from core.issuer import Issuer
from core.limits import require
from core.lockout import Lockout
from core.logins import Found, Logins, UserLogin, secret_proof, unknown
from core.messages import CertificateLogin, Context, Identity, Login, Standing
from core.model import CredentialId, CredentialKind, Device, DeviceId, DeviceState, EntryId, EventKind, Plain
from core.named import Named, named
from core.plain import require_protected, require_wire
from core.ports import Changes, Repository
from core.provision import Provision
from core.queries import ConfigQuery, DeviceQuery, EntryQuery, KeySnapshot, LoginSnapshot, ProfileQuery
from core.trials import Trials

_COUNTED = frozenset({Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.MALFORMED})


_INACTIVE = "config.inactive"
_NO_GUESS = frozenset({_INACTIVE, "plain.refused"})
"""Refusals of those who have the right secret: they guess nothing."""


class Authenticate(msgspec.Struct, frozen=True):
    """The use case. Refused logins count as `Lockout` says, so many devices behind one address do no harm.

    A client secret is good as long as the device's configuration, where it has one, is active (Mainflux and Magistrala: state
    1). Other credentials do not ask for it. One that is on trial takes the place of all older ones. Certificates are looked at
    where there is `provision`, by which devices get in that come with a chain of them. `plain` is what is done on unprotected
    wires at all.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Lockout
    provision: Provision | None = None
    plain: Plain = Plain.EVERYTHING

    async def __call__(self, login: Login, context: Context) -> Identity:
        """Return whose credential this is, after marking the device's first login.

        Raises `Refusal`, recorded as an event: UNAUTHENTICATED (as `WrongSecret` where it may be told that only the secret is
        wrong), MALFORMED and FORBIDDEN for logins that no device here makes, TOO_MANY after too many from one
        source, UNAVAILABLE.
        """
        found: Found | None = None
        who = named(login)
        try:
            self._require_patience(who, context)
            found = await self._find(login, context)
            self._require_patience(who, context)  # again: guesses made side by side get no further than one by one
            if not isinstance(found, UserLogin):
                self._require_usable(found.device)
            await self._require_wire(found, context)
            if isinstance(found, LoginSnapshot) and await self._is_inactive(found.device, found.credential.kind):
                raise unknown("config.inactive")
            identity = await self._identity(found, context)
        except Refusal as refusal:
            if refusal.reason in _COUNTED and refusal.check not in _NO_GUESS:
                await self._count(who, context)
            device = found.device if found and not isinstance(found, UserLogin) else None
            await self.audit.refused(EventKind.LOGIN_REFUSED, context, refusal, device=device)
            raise
        self.failures.right(context.stranger, who.known)
        return identity

    async def holds(self, identity: Identity) -> Standing:
        """Tell whether what a connection proved once is true still, and until when. Raises `Refusal` UNAVAILABLE."""
        if identity.user:
            return Standing(await self._user_holds(identity))
        found = await self.repository.read(DeviceQuery(identity.tenant, identity.device))
        if found is None or not is_let_in(found.device):
            return Standing(False)
        if identity.credential is None:
            return Standing(await self.repository.read(ConfigQuery(identity.tenant, identity.device)) is not None)
        for credential in found.credentials:
            if credential.id == identity.credential:
                valid = self._logins.is_valid(credential) and not await self._is_inactive(found.device, credential.kind)
                return Standing(valid, credential.expires_at)
        return Standing(False)

    async def _find(self, login: Login, context: Context) -> Found:
        if not isinstance(login, CertificateLogin):
            return await self._logins.find(login)
        if self.provision is None:
            raise unknown("certificate.unknown")
        return await CertificateLogins(self._logins, self.provision).find(login, context)

    async def _require_wire(self, found: Found, context: Context) -> None:
        """Keep off an unprotected wire what the gateway or the device's profile keeps off it. Raises `Refusal` FORBIDDEN."""
        if context.secure:
            return
        require_protected(self.plain)
        if isinstance(found, LoginSnapshot):
            require_wire(found.profile, context)
        elif isinstance(found, KeySnapshot):
            profile = await self.repository.read(ProfileQuery(found.device.tenant, found.device.profile))
            require_protected(profile.plain if profile is not None else None)

    def _require_patience(self, who: Named, context: Context) -> None:
        require(self.failures.wait(context.stranger, who.known, self.issuer.clock.monotonic()), "limit.login")

    async def _count(self, who: Named, context: Context) -> None:
        if self.failures.wrong(context.stranger, who.guessed, self.issuer.clock.monotonic()):
            await self.audit.guessed(context, who.shown)

    @property
    def _logins(self) -> Logins:
        return Logins(self.repository, self.issuer)

    async def _is_inactive(self, device: Device, kind: CredentialKind) -> bool:
        """Tell whether a device is kept out by its configuration."""
        if kind is not CredentialKind.CLIENT_SECRET:
            return False
        found = await self.repository.read(ConfigQuery(device.tenant, device.id))
        return found is not None and not found.config.active

    async def _user_holds(self, identity: Identity) -> bool:
        entry = await self.repository.read(EntryQuery(identity.tenant, EntryId(identity.device)))
        if entry is None:
            return False
        secret = secret_proof(entry.lookup) if entry.lookup is not None else ""
        return identity.credential in (secret, self._logins.password_mark(entry))

    async def _identity(self, found: Found, context: Context) -> Identity:
        if isinstance(found, UserLogin):
            entry = found.entry
            shown = entry.login or entry.name
            return Identity(entry.tenant, DeviceId(entry.id), shown, CredentialId(found.proof), user=True)
        device = found.device
        if isinstance(found, KeySnapshot):
            return Identity(device.tenant, device.id, device.name, None)
        await self._connected(found, context)
        return Identity(device.tenant, device.id, device.name, found.credential.id, until=found.credential.expires_at)

    def _require_usable(self, device: Device) -> None:
        if not device.enabled:
            raise unknown("device.disabled")
        if device.state is DeviceState.DISCARDED:
            raise unknown("device.discarded")

    async def _connected(self, found: LoginSnapshot, context: Context) -> None:
        if found.credential.trial:
            await Trials(self.repository, self.issuer, self.audit).adopt(found, context)
            return
        device = lifecycle.at_first_login(found.device, found.profile, self.issuer.clock.now())
        if device is None:
            return
        event = self.audit.device_event(EventKind.DEVICE_CONNECTED, context, device)
        try:
            await self.repository.commit(Changes(replace=(device,), events=(event,)))
        except Conflict:
            return  # the same device logged in elsewhere at this moment, or an operator changed it: nothing is lost
