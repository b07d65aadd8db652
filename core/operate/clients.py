"""What operators do with clients: devices that name themselves by their id and have a client secret."""

from collections.abc import Sequence
from functools import partial

import msgspec

from core import departures, lifecycle, strategy
from core.attestation import secret_row
from core.configuration import client_secret
from core.crypto.tokens import new_id
from core.errors import Guard, Reason, Refusal
from core.messages import ClientSecret
from core.model import (
    Credential,
    CredentialKind,
    Departure,
    Device,
    DeviceId,
    EventKind,
    Profile,
    ProfileId,
    Secret,
    Strategy,
)
from core.operate import values
from core.operate.configuring import (
    ChangeClient,
    CountedPage,
    CreateClients,
    DeleteClient,
    ListClients,
    NewClient,
    ShowClient,
    ShownClient,
)
from core.operate.registry import HEALED, Registry, Scope
from core.operate.results import Done
from core.ports import Changes, Delete, Entity
from core.queries import DeviceNamesQuery, DeviceQuery, DeviceSnapshot, LabelledPage, ProfileQuery

PROFILE = "clients"
"""The profile that clients belong to. It lets nobody in by itself; it is made with the first of them."""

AT_ONCE = 1_000
NAME_HEALED = HEALED | {Guard.DEVICE_NAME, Guard.PROFILE_NAME}


class Made(msgspec.Struct, frozen=True):
    """A client that is not written yet, with its secret."""

    device: Device
    credential: Credential
    secret: Secret

    @property
    def shown(self) -> ShownClient:
        """Return it as an operator sees it."""
        return ShownClient(self.device, self.secret)


class Clients(msgspec.Struct, frozen=True):
    """Makes, lists, shows, changes and removes clients."""

    registry: Registry

    async def create(self, command: CreateClients, scope: Scope) -> tuple[ShownClient, ...]:
        """Make clients, all or none. Raises `Refusal` MALFORMED, or CONFLICT where an id or secret is taken."""
        if len(command.clients) > AT_ONCE:
            raise values.malformed(f"more than {AT_ONCE} clients at once", "client.count")
        for new in command.clients:
            require_client(new)
        return await self.registry.settle(partial(self._create, command, scope), healed=NAME_HEALED)

    async def list(self, command: ListClients, scope: Scope) -> CountedPage[ShownClient]:
        """Return a page of all devices, as clients."""
        found = await self.registry.repository.read(
            LabelledPage(tenant=scope.tenant, label=command.label, offset=command.offset, limit=command.limit)
        )
        items = tuple(self._shown(each, scope) for each in found.items)
        return CountedPage(items, found.total, command.offset, command.limit)

    async def show(self, command: ShowClient, scope: Scope) -> ShownClient:
        """Return one device as a client. Raises `Refusal` NOT_FOUND."""
        return self._shown(await self._find(command.id, scope), scope)

    async def change(self, command: ChangeClient, scope: Scope) -> ShownClient:
        """Change a client. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        require_client(NewClient(label=command.label or "", secret=command.secret, metadata=command.metadata or {}))
        return await self.registry.settle(partial(self._change, command, scope))

    async def delete(self, command: DeleteClient, scope: Scope) -> Done:
        """Remove a client. Raises `Refusal` NOT_FOUND or CONFLICT."""
        attempt = partial(self._delete, command, scope)
        return await self.registry.remove(attempt, "client.unknown", missing_ok=command.missing_ok)

    async def make(
        self, clients: Sequence[NewClient], names: Sequence[str], scope: Scope
    ) -> tuple[tuple[Made, ...], tuple[Profile, ...]]:
        """Return clients ready to be written, with the profile where that has to be made too.

        Each is named by the name proposed for it where that is free and may be a device's name, otherwise by its id.
        """
        profile, fresh = await self._profile(scope)
        names = [name.strip() for name in names]
        proposed = set(filter(_is_name, names))
        known = await self.registry.repository.read(DeviceNamesQuery(scope.tenant, tuple(proposed)))
        free = proposed - {found.device.name for found in known if found is not None}
        made = []
        for new, name in zip(clients, names, strict=True):
            made.append(await self._make(new, name if name in free else "", profile))
            free.discard(name)
        return tuple(made), fresh

    async def _make(self, new: NewClient, name: str, profile: Profile) -> Made:
        issuer = self.registry.issuer
        now = issuer.clock.now()
        identity = DeviceId(new.id or new_id(now, issuer.entropy))
        device = Device(
            id=identity,
            tenant=profile.tenant,
            profile=profile.id,
            name=name or identity,
            label=new.label.replace("{id}", identity),
            metadata=new.metadata,
            created_at=now,
            updated_at=now,
        )
        value = issuer.new_secret() if new.secret is None else ClientSecret(new.secret)
        return Made(device, await issuer.issue(value, identity, keep=True), value.secret)

    async def _create(self, command: CreateClients, scope: Scope) -> tuple[ShownClient, ...]:
        for new in command.clients:
            if new.id and await self.registry.repository.read(DeviceQuery(scope.tenant, DeviceId(new.id))) is not None:
                raise Refusal(Reason.CONFLICT, "a client of this id exists already", check="client.id_taken")
        made, profile = await self.make(command.clients, [new.label for new in command.clients], scope)
        entities: list[Entity] = [*profile]
        for each in made:
            entities += (each.device, each.credential)
        events = tuple(self.registry.device_event(EventKind.DEVICE_DEFINED, each.device, scope) for each in made)
        await self.registry.repository.commit(Changes(insert=tuple(entities), events=events))
        return tuple(each.shown for each in made)

    async def _change(self, command: ChangeClient, scope: Scope) -> ShownClient:
        found = await self._find(command.id, scope)
        before = found.device
        device = msgspec.structs.replace(
            lifecycle.renew(before, self.registry.issuer.clock.now()),
            label=before.label if command.label is None else command.label,
            metadata=before.metadata if command.metadata is None else command.metadata,
        )
        changes, kind = Changes(replace=(device,)), EventKind.DEVICE_CHANGED
        if command.secret is not None:
            credential = await self.registry.issuer.issue(ClientSecret(command.secret), device.id, keep=True)
            old = tuple(Delete(each) for each in found.credentials if each.kind is CredentialKind.CLIENT_SECRET)
            changes = Changes(replace=(device,), insert=(credential,), delete=old)
            kind = EventKind.CREDENTIAL_ROTATED
        await self.registry.commit(self.registry.device_event(kind, device, scope), changes)
        return await self.show(ShowClient(device.id), scope)

    async def _delete(self, command: DeleteClient, scope: Scope) -> Done:
        found = await self._find(command.id, scope)
        event = self.registry.device_event(EventKind.DEVICE_DELETED, found.device, scope)
        marks = departures.marks(found.device, found.profile, Departure.DELETED, self.registry.issuer)
        await self.registry.commit(event, Changes(insert=marks, delete=(Delete(found.device),)))
        return Done()

    async def _find(self, identity: str, scope: Scope) -> DeviceSnapshot:
        found = await self.registry.repository.read(DeviceQuery(scope.tenant, DeviceId(identity)))
        if found is None:
            raise Refusal(Reason.NOT_FOUND, "there is no client of this id", check="client.unknown")
        return found

    def _shown(self, found: DeviceSnapshot, scope: Scope) -> ShownClient:
        return ShownClient(found.device, client_secret(found.credentials, self.registry.issuer) if scope.reveals else None)

    async def _profile(self, scope: Scope) -> tuple[Profile, tuple[Profile, ...]]:
        found = await self.registry.repository.read(ProfileQuery(scope.tenant, PROFILE))
        if found is not None:
            return found, ()
        issuer = self.registry.issuer
        now = issuer.clock.now()
        identity = ProfileId(new_id(now, issuer.entropy))
        secret = Secret(values.draw_claim_text(issuer.entropy))
        made = Profile(
            id=identity,
            tenant=scope.tenant,
            name=PROFILE,
            strategy=Strategy.DISABLED,
            provision_key=values.draw_claim_text(issuer.entropy),
            provision_secret=issuer.vault.seal(secret, secret_row(identity)),
            created_at=now,
            updated_at=now,
        )
        return made, (made,)


def require_client(new: NewClient) -> None:
    """Check what an operator says about a client. Raises `Refusal` MALFORMED."""
    if new.id:
        values.require_text(new.id, "id", of="client")
    if new.secret is not None:
        values.require_text(new.secret.reveal(), "secret", of="client")
    values.require_size(new.label, "name", values.LABEL_CHARACTERS, of="client")
    values.require_metadata(new.metadata)


def _is_name(text: str) -> bool:
    try:
        strategy.require_writable(strategy.require_name(text))
    except Refusal:
        return False
    return bool(text)
