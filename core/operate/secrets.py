"""What a device or user is given once to log in with, in place of all that it had, each time anew."""

from functools import partial

import msgspec

from core import lifecycle
from core.credentials import KIND, certificate, secret_id
from core.crypto.certificates import DeviceCertificate, NotACertificate, read_certificate
from core.errors import Reason, Refusal
from core.messages import Certificate, ClientSecret
from core.model import Credential, Device, DeviceState, DirectoryEntry, EntryKind, EventKind, Lookup, Role
from core.operate import entry_rules, kinds, values
from core.operate.access import Actor, not_allowed
from core.operate.directing import (
    IssuedCertificate,
    IssuedSecret,
    IssuedUserSecret,
    IssueSecret,
    IssueUserSecret,
    RegisterCertificate,
)
from core.operate.registry import WRITERS, Registry, Scope, no_entry
from core.ports import Changes, Delete


class Secrets(msgspec.Struct, frozen=True):
    """Issues secrets and registers certificates. Of several at once the one that is written last is the one that is valid."""

    registry: Registry

    async def issue(self, command: IssueSecret, scope: Scope) -> IssuedSecret:
        """Give a device a secret. Raises `Refusal` NOT_FOUND, FORBIDDEN, UNPROCESSABLE or CONFLICT."""
        value = self.registry.issuer.new_shown_secret()
        attempt = partial(self._issue, command.device, value, scope)
        device, credential = await self.registry.settle(attempt, attempts=WRITERS)
        return IssuedSecret(device, credential, value.secret)

    async def register(self, command: RegisterCertificate, scope: Scope) -> IssuedCertificate:
        """Let a device log in with a certificate. Raises `Refusal` as `issue` does, and MALFORMED.

        A certificate that another device has is a CONFLICT.
        """
        if len(command.pem) > values.CERTIFICATE_CHARACTERS:
            raise values.malformed(f"certificate: more than {values.CERTIFICATE_CHARACTERS} characters", "credential.length")
        try:
            read = read_certificate(command.pem)
        except NotACertificate as error:
            raise values.malformed("certificate: one certificate is needed, as PEM", "credential.certificate") from error
        self._require_time(read)
        attempt = partial(self._issue, command.device, certificate(read.text), scope, expires_at=read.not_after)
        device, credential = await self.registry.settle(attempt, attempts=WRITERS)
        return IssuedCertificate(device, credential, command.pem, read.fingerprint)

    async def issue_to_user(self, command: IssueUserSecret, scope: Scope) -> IssuedUserSecret:
        """Give a user of the directory a secret. Raises `Refusal` NOT_FOUND, FORBIDDEN, UNPROCESSABLE or CONFLICT."""
        _require_giver(command, scope.actor)
        if command.kind not in entry_rules.USERS:
            raise Refusal(Reason.UNPROCESSABLE, "only users have secrets of their own", check="entry.kind")
        secret = self.registry.issuer.new_shown_secret().secret
        lookup = self.registry.issuer.lookup_id(secret_id(secret.reveal()))
        entry = await self.registry.settle(partial(self._issue_to_user, command, lookup, scope), attempts=WRITERS)
        return IssuedUserSecret(entry, secret)

    async def _issue(
        self, identity: str, value: ClientSecret | Certificate, scope: Scope, expires_at: int | None = None
    ) -> tuple[Device, Credential]:
        found = await self.registry.device_of_id(identity, scope)
        _require_new(found.device, scope)
        _require_usable(found.device)
        kinds.require_kind(found.profile, KIND[type(value)])
        credential = await self.registry.issuer.issue(value, found.device.id, keep=False, expires_at=expires_at)
        now = self.registry.issuer.clock.now()
        defined = found.device.state is DeviceState.DEFINED
        device = (
            lifecycle.advance(found.device, DeviceState.PROVISIONED, now) if defined else lifecycle.renew(found.device, now)
        )
        kind = EventKind.CREDENTIAL_ROTATED if found.credentials else EventKind.CREDENTIAL_ISSUED
        event = self.registry.device_event(kind, device, scope, credential.kind.value)
        changes = Changes(insert=(credential,), replace=(device,), delete=tuple(map(Delete, found.credentials)))
        await self.registry.commit(event, changes)
        return device, credential

    async def _issue_to_user(self, command: IssueUserSecret, lookup: Lookup, scope: Scope) -> DirectoryEntry:
        before = await self.registry.entry(command.kind, command.id, scope)
        now = self.registry.issuer.clock.now()
        entry = msgspec.structs.replace(before, lookup=lookup, updated_at=now, version=before.version + 1)
        event = self.registry.entry_event(EventKind.ENTRY_CHANGED, entry, scope, "secret")
        await self.registry.commit(event, Changes(replace=(entry,)))
        return entry

    def _require_time(self, read: DeviceCertificate) -> None:
        if not read.not_before <= self.registry.issuer.clock.now() < read.not_after:
            raise Refusal(Reason.UNPROCESSABLE, "the certificate is not valid at this time", check="certificate.expired")


def _require_giver(command: IssueUserSecret, actor: Actor) -> None:
    """Let a user give itself a secret, an operator any end user, an admin everybody; to a customer others are not there."""
    is_itself = actor.user is not None and (actor.user.kind, actor.user.id) == (command.kind, command.id)
    if is_itself or actor.role is Role.ADMIN:
        return
    if actor.role is Role.CUSTOMER:
        raise no_entry(command.kind)
    if actor.role is not Role.OPERATOR or command.kind is EntryKind.ACCOUNT_USER:
        raise not_allowed(actor.role)


def _require_new(device: Device, scope: Scope) -> None:
    """Let a factory arm only devices that never connected: what is in the field is not its business any more."""
    is_new = device.connected_at is None and device.state in (DeviceState.DEFINED, DeviceState.PROVISIONED)
    if scope.actor.role is Role.FACTORY and not is_new:
        raise Refusal(Reason.FORBIDDEN, "the device has left the factory", check="role.factory")


def _require_usable(device: Device) -> None:
    if not device.enabled:
        raise Refusal(Reason.UNPROCESSABLE, "the device is disabled", check="device.disabled")
    if device.state is DeviceState.DISCARDED:
        raise Refusal(Reason.UNPROCESSABLE, "the device is discarded", check="device.discarded")
