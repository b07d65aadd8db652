"""How a new credential takes the place of older ones: it is on trial until somebody logs in with it."""

import msgspec

from core import lifecycle
from core.audit import Audit
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.messages import Context
from core.model import Credential, CredentialId, EventKind
from core.ports import Changes, Delete, Repository
from core.queries import DeviceQuery, DeviceSnapshot, LoginSnapshot

MOST = 8
"""Credentials of one device: enough to replace one after the other, and what one look-up has to read."""

ATTEMPTS = 5


def begin(new: Credential, held: tuple[Credential, ...], now: int, used: CredentialId | None = None) -> Changes:
    """Return what gives a device a new credential beside those that it has, which stay good until it logs in with the new one.

    Others that are on trial stay too, as the device may have the one and not the next: of several the oldest gives way where
    there is no room. One with the same lookup gives way in any case: two cannot have that. The one that was `used` is in the
    device's hands: were it on trial, its trial is over. Where nothing else is left there is nothing to try.
    Raises `Refusal` CONFLICT where the device has all that it may have.
    """
    proved = next((each for each in held if each.id == used and each.trial), None)
    kept = [each for each in held if _stays(each, proved) and not each.is_over(now) and each.lookup != new.lookup]
    trials = sorted((each for each in kept if each.trial and each is not proved), key=lambda each: (each.created_at, each.id))
    given_up = trials[: max(len(kept) + 1 - MOST, 0)]
    kept = [each for each in kept if each not in given_up]
    if len(kept) >= MOST:
        detail = f"the device has {MOST} credentials that are good at once"
        raise Refusal(Reason.CONFLICT, detail, check="credential.count")
    gone = tuple(Delete(each) for each in held if each not in kept)
    settled = tuple(_settled(each) for each in kept if each is proved)
    return Changes(insert=(msgspec.structs.replace(new, trial=bool(kept)),), replace=settled, delete=gone)


def _stays(credential: Credential, proved: Credential | None) -> bool:
    return proved is None or credential is proved or not _is_older(credential, proved)


def _is_older(credential: Credential, than: Credential) -> bool:
    """Tell whether a credential was there before another; ids say nothing of two that were made in one millisecond."""
    return credential.id != than.id and credential.created_at <= than.created_at


def _settled(credential: Credential) -> Credential:
    return msgspec.structs.replace(credential, trial=False, version=credential.version + 1)


class Trials(msgspec.Struct, frozen=True):
    """Ends them."""

    repository: Repository
    issuer: Issuer
    audit: Audit

    async def adopt(self, found: LoginSnapshot, context: Context) -> None:
        """Let the credential on trial that a device logged in with take the place of all older ones, and mark a first login.

        A conflict with what happens at the same time is decided anew. Raises `Refusal` UNAUTHENTICATED where another one took
        its own place meanwhile, UNAVAILABLE.
        """
        for _ in range(ATTEMPTS):
            known = await self.repository.read(DeviceQuery(found.device.tenant, found.device.id))
            used = _current(known, found.credential.id)
            if known is None or used is None:
                raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="credential.superseded")
            if not used.trial:
                return
            try:
                await self.repository.commit(self._adoption(known, used, context))
                return
            except Conflict:
                continue
        raise registry_busy()

    def _adoption(self, known: DeviceSnapshot, used: Credential, context: Context) -> Changes:
        now = self.issuer.clock.now()
        older = tuple(Delete(each) for each in known.credentials if _is_older(each, used))
        first = lifecycle.at_first_login(known.device, known.profile, now)
        device = first or lifecycle.renew(known.device, now)
        kinds = (EventKind.CREDENTIAL_ADOPTED, *((EventKind.DEVICE_CONNECTED,) if first else ()))
        events = tuple(self.audit.device_event(kind, context, device, _told(kind, used)) for kind in kinds)
        return Changes(replace=(device, _settled(used)), delete=older, events=events)


def _told(kind: EventKind, used: Credential) -> str:
    return used.kind.value if kind is EventKind.CREDENTIAL_ADOPTED else ""


def _current(known: DeviceSnapshot | None, credential: CredentialId) -> Credential | None:
    return next((each for each in known.credentials if each.id == credential), None) if known is not None else None
