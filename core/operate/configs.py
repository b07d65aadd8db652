"""What operators do with configurations: what their devices fetch, and whether they may use their channels."""

from collections.abc import Iterable
from functools import partial

import msgspec

from core.configuration import Seals, client_key_lookup, client_secret, usable_channels
from core.errors import Reason, Refusal
from core.messages import ClientCertificates, ClientSecret
from core.model import (
    BootstrapConfig,
    Channel,
    ChannelId,
    Credential,
    Device,
    DeviceId,
    EventKind,
    Sealed,
    Secret,
)
from core.operate import values
from core.operate.clients import NAME_HEALED, Clients
from core.operate.configuring import (
    ChangeConfig,
    CountedPage,
    CreateConfig,
    DeleteConfig,
    ListConfigs,
    ListPermitted,
    ListUnknown,
    NewClient,
    ShowConfig,
    ShownConfig,
)
from core.operate.registry import WRITERS, Registry, Scope
from core.operate.results import Done
from core.ports import Changes, Delete, Entity
from core.queries import BootstrapSnapshot, ChannelsQuery, ConfigPage, ConfigQuery, DeviceQuery, UnknownPage

TEXT_CHARACTERS = 1_024
CONTENT_CHARACTERS = 1_048_576
CERTIFICATE_CHARACTERS = 65_536
CHANNELS = 1_000


class Configs(msgspec.Struct, frozen=True):
    """Makes, lists, shows, changes and removes configurations. `clients` makes the clients that a new one asks for."""

    registry: Registry
    clients: Clients

    async def create(self, command: CreateConfig, scope: Scope) -> ShownConfig:
        """Make a configuration. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        require_config(command)
        return await self.registry.settle(partial(self._create, command, scope), healed=NAME_HEALED, attempts=WRITERS)

    async def list(self, command: ListConfigs, scope: Scope) -> CountedPage[ShownConfig]:
        """Return a page of configurations; with their secrets only once it is recorded that these were read."""
        issuer = self.registry.issuer
        found = await self.registry.repository.read(
            ConfigPage(
                tenant=scope.tenant,
                external_id=command.external_id,
                name=command.name,
                active=command.active,
                id=None if command.id is None else DeviceId(command.id),
                secret=None if command.secret is None else issuer.lookup(ClientSecret(command.secret)),
                client_key=None if command.client_key is None else client_key_lookup(command.client_key, issuer.vault),
                after=None if command.after is None else DeviceId(command.after),
                offset=command.offset,
                limit=command.limit,
            )
        )
        scope = msgspec.structs.replace(scope, reveals=scope.reveals and command.opened)
        shown = tuple(self._shown(each, scope) for each in found.items)
        if shown and scope.reveals:
            event = self.registry.audit.event(
                EventKind.CREDENTIAL_READ, scope.context, tenant=scope.tenant, detail=f"{len(shown)} configurations"
            )
            await self.registry.commit(event, Changes())
        return CountedPage(shown, found.total, command.offset, command.limit)

    async def show(self, command: ShowConfig, scope: Scope) -> ShownConfig:
        """Return one configuration once it is recorded that it was read. Raises `Refusal` NOT_FOUND."""
        found = await self._find(command.id, scope)
        if scope.reveals:
            event = self.registry.config_event(EventKind.CREDENTIAL_READ, found.config, found.device, scope)
            await self.registry.commit(event, Changes())
        return self._shown(found, scope)

    async def change(self, command: ChangeConfig, scope: Scope) -> ShownConfig:
        """Change a configuration in one step. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        require_change(command)
        return await self.registry.settle(partial(self._change, command, scope), attempts=WRITERS)

    async def delete(self, command: DeleteConfig, scope: Scope) -> Done:
        """Remove a configuration. Raises `Refusal` NOT_FOUND or CONFLICT."""
        attempt = partial(self._delete, command, scope)
        return await self.registry.remove(attempt, "config.unknown", missing_ok=command.missing_ok)

    async def unknown(self, command: ListUnknown, scope: Scope) -> tuple[str, ...]:
        """Return a page of the external ids that devices asked for in vain."""
        return await self.registry.repository.read(UnknownPage(scope.tenant, command.offset, command.limit))

    async def permitted(self, command: ListPermitted, scope: Scope) -> tuple[Channel, ...]:
        """Return the channels that a device may use now. Raises `Refusal` NOT_FOUND for a device that does not exist."""
        device = (await self.registry.device(command.id, scope)).device
        found = await self.registry.repository.read(ConfigQuery(scope.tenant, device.id))
        return () if found is None else usable_channels(found)

    async def _create(self, command: CreateConfig, scope: Scope) -> ShownConfig:
        channels = await self._channels(command.channels, scope)
        device, secret, insert = await self._client(command, scope)
        now = self.registry.issuer.clock.now()
        config = BootstrapConfig(
            id=device.id,
            tenant=scope.tenant,
            external_id=command.external_id,
            external_key=Sealed(b""),
            name=command.name,
            unique_name=command.unique_name,
            channels=tuple(channel.id for channel in channels),
            created_at=now,
            updated_at=now,
        )
        seals = Seals(self.registry.issuer.vault)
        config = seals.with_external_key(config, command.external_key)
        config = seals.with_certificates(seals.with_content(config, command.content), command.certificates)
        event = self.registry.config_event(EventKind.CONFIG_CREATED, config, device, scope)
        await self.registry.commit(event, Changes(insert=(*insert, config)))
        return ShownConfig(
            config=config,
            device=device,
            secret=secret,
            external_key=command.external_key,
            content=command.content,
            certificates=command.certificates,
            channels=channels,
        )

    async def _client(self, command: CreateConfig, scope: Scope) -> tuple[Device, Secret, tuple[Entity, ...]]:
        """Return the client of a new configuration, its secret, and what has to be made of them."""
        if command.client is None:
            (made,), profile = await self.clients.make((NewClient(label=command.label),), (command.external_id,), scope)
            return made.device, made.secret, (*profile, made.device, made.credential)
        found = await self.registry.repository.read(DeviceQuery(scope.tenant, DeviceId(command.client)))
        if found is None:
            raise Refusal(Reason.NOT_FOUND, "there is no device of this id", check="config.client_unknown")
        secret = client_secret(found.credentials, self.registry.issuer)
        if secret is not None:
            return found.device, secret, ()
        value = self.registry.issuer.new_secret()
        credential: Credential = await self.registry.issuer.issue(value, found.device.id, keep=True)
        return found.device, value.secret, (credential,)

    async def _channels(self, ids: Iterable[str], scope: Scope) -> tuple[Channel, ...]:
        """Return channels by id, each once. Raises `Refusal` MALFORMED where one does not exist."""
        asked = tuple(map(ChannelId, dict.fromkeys(ids)))
        found = await self.registry.repository.read(ChannelsQuery(scope.tenant, asked))
        channels = tuple(channel for channel in found if channel is not None)
        if len(channels) != len(asked):
            missing = next(identity for identity, channel in zip(asked, found, strict=True) if channel is None)
            shown = missing[: values.TEXT_CHARACTERS]
            raise values.malformed(f"channels: there is none of the id {shown!r}", "config.channel_unknown")
        return channels

    async def _change(self, command: ChangeConfig, scope: Scope) -> ShownConfig:
        found = await self._find(command.id, scope)
        channels = found.channels
        if command.channels is not None and (command.channels or not command.keep_channels_when_empty):
            channels = await self._channels(command.channels, scope)
        config, fields = self._changed(found, command, channels)
        if not fields:
            return self._shown(found, scope)
        now = self.registry.issuer.clock.now()
        config = msgspec.structs.replace(config, updated_at=now, version=found.config.version + 1)
        event = self.registry.config_event(EventKind.CONFIG_CHANGED, config, found.device, scope, ", ".join(fields))
        await self.registry.commit(event, Changes(replace=(config,)))
        return self._shown(msgspec.structs.replace(found, config=config, channels=channels), scope)

    def _changed(
        self, found: BootstrapSnapshot, command: ChangeConfig, channels: tuple[Channel, ...]
    ) -> tuple[BootstrapConfig, tuple[str, ...]]:
        """Return the configuration as the command wants it, and what is different then."""
        config, fields = found.config, []
        seals = Seals(self.registry.issuer.vault)
        if command.name is not None and command.name != config.name:
            config = msgspec.structs.replace(config, name=command.name, unique_name=command.unique_name)
            fields.append("name")
        if command.content is not None and command.content != seals.content(config):
            config = seals.with_content(config, command.content)
            fields.append("content")
        if command.certificates is not None and command.certificates != seals.certificates(config):
            config = seals.with_certificates(config, command.certificates)
            fields.append("certificates")
        ids = tuple(channel.id for channel in channels)
        if ids != config.channels:
            config = msgspec.structs.replace(config, channels=ids)
            fields.append("channels")
        if command.active is not None and command.active != config.active:
            config = msgspec.structs.replace(config, active=command.active)
            fields.append("active" if command.active else "inactive")
        return config, tuple(fields)

    async def _delete(self, command: DeleteConfig, scope: Scope) -> Done:
        found = await self._find(command.id, scope)
        event = self.registry.config_event(EventKind.CONFIG_DELETED, found.config, found.device, scope)
        await self.registry.commit(event, Changes(delete=(Delete(found.config),)))
        return Done()

    async def _find(self, identity: str, scope: Scope) -> BootstrapSnapshot:
        found = await self.registry.repository.read(ConfigQuery(scope.tenant, DeviceId(identity)))
        if found is None:
            raise Refusal(Reason.NOT_FOUND, "there is no configuration of this id", check="config.unknown")
        return found

    def _shown(self, found: BootstrapSnapshot, scope: Scope) -> ShownConfig:
        seals = Seals(self.registry.issuer.vault)
        reveals = scope.reveals
        return ShownConfig(
            config=found.config,
            device=found.device,
            secret=client_secret(found.credentials, self.registry.issuer) if reveals else None,
            external_key=seals.external_key(found.config.id, found.config.external_key) if reveals else Secret(""),
            content=seals.content(found.config) if reveals else "",
            certificates=seals.certificates(found.config) if reveals else ClientCertificates(),
            channels=found.channels,
        )


def require_config(command: CreateConfig) -> None:
    """Check what an operator says about a new configuration. Raises `Refusal` MALFORMED."""
    values.require_text(command.external_id, "external_id", of="config")
    _require_key(command.external_key)
    values.require_size(command.label, "label", values.LABEL_CHARACTERS, of="config")
    _require_parts(command.name, command.content, command.certificates, command.channels)


def require_change(command: ChangeConfig) -> None:
    """Check what an operator wants a configuration to be. Raises `Refusal` MALFORMED."""
    certificates = command.certificates or ClientCertificates()
    _require_parts(command.name or "", command.content or "", certificates, command.channels or ())


def _require_key(key: Secret) -> None:
    if not key.reveal():
        raise values.malformed("external_key: it is empty", "config.length")
    values.require_size(key.reveal(), "external_key", TEXT_CHARACTERS, of="config")


def _require_parts(name: str, content: str, certificates: ClientCertificates, channels: tuple[str, ...]) -> None:
    values.require_size(name, "name", TEXT_CHARACTERS, of="config")
    values.require_size(content, "content", CONTENT_CHARACTERS, of="config")
    for text in (certificates.client_cert, certificates.client_key.reveal(), certificates.ca_cert):
        values.require_size(text, "certificates", CERTIFICATE_CHARACTERS, of="config")
    if len(channels) > CHANNELS:
        raise values.malformed(f"channels: more than {CHANNELS}", "config.length")
