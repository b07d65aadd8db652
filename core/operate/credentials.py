"""What operators do with the credentials of a device."""

from collections.abc import Sequence
from functools import partial

import msgspec

from core import departures, lifecycle, trials
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.messages import CredentialValue, Oscore
from core.model import Credential, Departure, Device, EventKind, Role, Secret
from core.operate import kinds, values
from core.operate.access import has_connected
from core.operate.messages import (
    AddCredential,
    ProposedCredential,
    ReadCredentials,
    RevokeCredential,
    RevokeCredentials,
    RotateCredentials,
)
from core.operate.registry import Registry, Scope
from core.operate.results import Done, Page, ShownCredential
from core.ports import Changes, Delete
from core.queries import DeviceSnapshot

MOST = trials.MOST

DAY_SECONDS = 86_400
LONGEST_OVERLAP_SECONDS = 366 * DAY_SECONDS
LONGEST_LIFE_SECONDS = 3_660 * DAY_SECONDS


class Credentials(msgspec.Struct, frozen=True):
    """Reads, adds, rotates and revokes. Each change makes the device's next version, so a device that asks meanwhile asks anew.

    Whatever adds a credential clears away those that have expired.
    """

    registry: Registry

    async def read(self, command: ReadCredentials, scope: Scope) -> Page[ShownCredential]:
        """Return a device's credentials once it is recorded that they were read.

        Raises `Refusal` NOT_FOUND, and FORBIDDEN where a factory asks for those of a device that has connected.
        """
        found = await self.registry.device(command.ref, scope)
        if scope.actor.role is Role.FACTORY and has_connected(found.device):
            detail = "a factory reads the credentials of devices that have not connected yet"
            raise Refusal(Reason.FORBIDDEN, detail, check="role.factory")
        shown = tuple(_shown(each, self.registry.issuer) for each in found.credentials)
        await self.registry.commit(
            self.registry.device_event(EventKind.CREDENTIAL_READ, found.device, scope),
            Changes(),
        )
        return Page(shown)

    async def add(self, command: AddCredential, scope: Scope) -> Page[ShownCredential]:
        """Give a device one more credential. Raises `Refusal` MALFORMED, NOT_FOUND, UNPROCESSABLE or CONFLICT."""
        if command.expires_in_seconds is not None:
            values.require_seconds(command.expires_in_seconds, "expires_in_seconds", 1, LONGEST_LIFE_SECONDS)
        return await self.registry.settle(partial(self._add, command, scope))

    async def rotate(self, command: RotateCredentials, scope: Scope) -> Page[ShownCredential]:
        """Give a device a new credential, which outlives all it has. Raises `Refusal` as `add` does."""
        values.require_seconds(command.overlap_seconds, "overlap_seconds", 0, LONGEST_OVERLAP_SECONDS)
        return await self.registry.settle(partial(self._rotate, command, scope))

    async def revoke_one(self, command: RevokeCredential, scope: Scope) -> Done:
        """Take one credential from a device. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._revoke_one, command, scope))

    async def revoke(self, command: RevokeCredentials, scope: Scope) -> Done:
        """Take all credentials from a device. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._revoke, command, scope))

    async def _add(self, command: AddCredential, scope: Scope) -> Page[ShownCredential]:
        found, now = await self.registry.device(command.ref, scope), self.registry.issuer.clock.now()
        kept = [each for each in found.credentials if not each.is_over(now)]
        _require_room(kept)
        value = self._value(command.credential, found)
        ends = None if command.expires_in_seconds is None else now + command.expires_in_seconds * 1000
        credential = await self.registry.issuer.issue(value, found.device.id, keep=True, expires_at=ends)
        changes = Changes(insert=(credential,), delete=_those_not_in(kept, found.credentials))
        return await self._give(EventKind.CREDENTIAL_ISSUED, credential, value, found.device, changes, scope)

    async def _rotate(self, command: RotateCredentials, scope: Scope) -> Page[ShownCredential]:
        found, now = await self.registry.device(command.ref, scope), self.registry.issuer.clock.now()
        until = now + command.overlap_seconds * 1000
        kept = [each for each in found.credentials if not each.is_over(now)] if command.overlap_seconds else []
        _require_room(kept)
        value = self._value(command.credential, found)
        credential = await self.registry.issuer.issue(value, found.device.id, keep=True)
        shortened = tuple(_until(each, until) for each in kept if each.expires_at is None or each.expires_at > until)
        changes = Changes(insert=(credential,), replace=shortened, delete=_those_not_in(kept, found.credentials))
        return await self._give(EventKind.CREDENTIAL_ROTATED, credential, value, found.device, changes, scope)

    def _value(self, proposal: ProposedCredential | None, found: DeviceSnapshot) -> CredentialValue:
        usual = kinds.usual(found.profile, found.credentials)
        value = values.complete(proposal or kinds.drawn(usual), found.profile, self.registry.issuer)
        if isinstance(value, Oscore):
            _require_new_keys(value, [self.registry.issuer.reveal(each) for each in found.credentials])
        return value

    async def _give(
        self, kind: EventKind, credential: Credential, value: CredentialValue, device: Device, changes: Changes, scope: Scope
    ) -> Page[ShownCredential]:
        device = lifecycle.renew(device, self.registry.issuer.clock.now())
        event = self.registry.device_event(kind, device, scope, credential.kind.value)
        await self.registry.commit(event, msgspec.structs.replace(changes, replace=(device, *changes.replace)))
        return Page((ShownCredential(credential, value),))

    async def _revoke_one(self, command: RevokeCredential, scope: Scope) -> Done:
        found = await self.registry.device(command.ref, scope)
        gone = [each for each in found.credentials if each.id == command.credential]
        if not gone:
            raise Refusal(Reason.NOT_FOUND, "the device has no credential of this id", check="credential.unknown")
        await self._take(gone, found, scope, f"{gone[0].kind.value} {gone[0].id}")
        return Done()

    async def _revoke(self, command: RevokeCredentials, scope: Scope) -> Done:
        found = await self.registry.device(command.ref, scope)
        if found.credentials:
            await self._take(found.credentials, found, scope)
        return Done()

    async def _take(self, credentials: Sequence[Credential], found: DeviceSnapshot, scope: Scope, detail: str = "") -> None:
        """Take credentials from a device, which with the last of them is not to come back by its claim key."""
        issuer, all_of_them = self.registry.issuer, len(credentials) == len(found.credentials)
        marks = departures.marks(found.device, found.profile, Departure.REVOKED, issuer) if all_of_them else ()
        device = lifecycle.renew(found.device, issuer.clock.now())
        event = self.registry.device_event(EventKind.DEVICE_REVOKED, device, scope, detail)
        await self.registry.commit(event, Changes(insert=marks, replace=(device,), delete=tuple(map(Delete, credentials))))


def _shown(credential: Credential, issuer: Issuer) -> ShownCredential:
    return ShownCredential(credential, issuer.reveal(credential), credential.is_over(issuer.clock.now()))


def _require_room(kept: Sequence[Credential]) -> None:
    if len(kept) >= MOST:
        detail = f"a device has at most {MOST} credentials that are good at once: revoke one"
        raise Refusal(Reason.CONFLICT, detail, check="credential.count")


def _require_new_keys(value: Oscore, held: Sequence[CredentialValue | None]) -> None:
    """Keep keys from being used anew with their numbers from zero (RFC 8613, section 7.5: nonces must not come again)."""
    keys = _keys(value)
    if any(isinstance(each, Oscore) and _keys(each) == keys for each in held):
        detail = "an OSCORE context is not begun anew with the same keys: give it another secret, salt or ID Context"
        raise Refusal(Reason.CONFLICT, detail, check="credential.oscore_used")


def _keys(value: Oscore) -> tuple[str, Secret, str, str]:
    return value.server_id, value.secret, value.salt, value.id_context


def _those_not_in(kept: Sequence[Credential], all_of_them: Sequence[Credential]) -> tuple[Delete, ...]:
    return tuple(Delete(each) for each in all_of_them if each not in kept)


def _until(credential: Credential, end: int) -> Credential:
    """Return the credential in its next version, good until then."""
    return msgspec.structs.replace(credential, expires_at=end, version=credential.version + 1)
