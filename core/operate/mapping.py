"""What the provision service of Mainflux and Magistrala does: everything a layout says for one device, in one commit."""

from functools import partial
from itertools import repeat
from typing import Any

import msgspec

from core.certifying import Certified, Certifier, no_authority
from core.configuration import Seals
from core.crypto.bundles import write_pem
from core.messages import ClientCertificates
from core.model import BootstrapConfig, Channel, Device, Event, EventKind, Sealed, Secret
from core.operate import values
from core.operate.channels import make_channel
from core.operate.clients import NAME_HEALED, Clients, Made, require_client
from core.operate.configs import require_config
from core.operate.configuring import (
    CreateConfig,
    CreateMapping,
    Layout,
    LayoutCertificates,
    LayoutPart,
    Mapping,
    NewChannel,
    NewClient,
    ShowMapping,
)
from core.operate.registry import Registry, Scope
from core.ports import Changes, Entity

EXTERNAL_ID = "external_id"
"""The member of a client's metadata that asks for a configuration, and is given the external id."""

_CHANNEL_MEMBERS = (("control", "ctrl_channel_id"), ("data", "data_channel_id"), ("export", "export_channel_id"))


class _Equipped(msgspec.Struct, frozen=True):
    """What certificates add to clients: what is written of them, what is told, and how their configurations have it."""

    entities: tuple[Entity, ...] = ()
    events: tuple[Event, ...] = ()
    shown: tuple[ClientCertificates, ...] = ()


class Mappings(msgspec.Struct, frozen=True):
    """Makes what layouts say. `clients` makes the clients, `certifier` their certificates; None: nobody does."""

    registry: Registry
    clients: Clients
    certifier: Certifier | None = None

    async def create(self, command: CreateMapping, scope: Scope) -> Mapping:
        """Make everything or nothing. Raises `Refusal` MALFORMED or CONFLICT, and what `Certifier` does."""
        require_layout(command.layout)
        if command.layout.certificates is not None and self.certifier is None:
            raise no_authority()
        require_config(
            CreateConfig(external_id=command.external_id, external_key=command.external_key, content=command.layout.content)
        )
        return await self.registry.settle(partial(self._create, command, scope), healed=NAME_HEALED)

    async def show(self, command: ShowMapping, _scope: Scope) -> Layout:
        """Return the layout."""
        return command.layout

    async def _create(self, command: CreateMapping, scope: Scope) -> Mapping:
        parts = [_client(part, command) for part in command.layout.clients]
        names = [command.external_id if _wants_config(part) else part.label for part in parts]
        for part in parts:
            require_client(part)
        made, profile = await self.clients.make(parts, names, scope)
        channels = tuple(self._channel(part, command, scope) for part in command.layout.channels)
        made = tuple(self._described(each, channels, command) for each in made)
        equipped = await self._equip(made, command.layout.certificates, scope)
        configs = self._configs(made, channels, command, scope, equipped.shown)
        entities: list[Entity] = [*profile, *channels]
        for each in made:
            entities += (each.device, each.credential)
        events = (*self._events(made, channels, configs, scope), *equipped.events)
        await self.registry.repository.commit(Changes(insert=(*entities, *configs, *equipped.entities), events=events))
        return Mapping(
            clients=tuple(each.shown for each in made),
            channels=channels,
            active=tuple(config.id for config in configs if config.active),
            certificates=equipped.shown,
        )

    async def _equip(self, made: tuple[Made, ...], wanted: LayoutCertificates | None, scope: Scope) -> _Equipped:
        """Have a certificate made for each client, with its key pair."""
        if wanted is None or self.certifier is None:
            return _Equipped()
        entities: list[Entity] = []
        events, shown = [], []
        for each in made:
            certified = await self.certifier.certify_new_key(wanted.key_algorithm, each.device, wanted.lifetime_s)
            credential, record = await self.certifier.entities(certified, each.device)
            entities += (credential, record)
            events.append(self.registry.device_event(EventKind.CERTIFICATE_ISSUED, each.device, scope, record.id))
            shown.append(_shown(certified))
        return _Equipped(tuple(entities), tuple(events), tuple(shown))

    def _channel(self, part: LayoutPart, command: CreateMapping, scope: Scope) -> Channel:
        first = command.name or command.layout.clients[0].name
        name = f"{first}_{part.name}" if command.prefixed else part.name
        return make_channel(NewChannel(name=name, metadata=part.metadata), scope.tenant, self.registry.issuer)

    def _described(self, made: Made, channels: tuple[Channel, ...], command: CreateMapping) -> Made:
        """Tell a gateway in its own metadata which channel is which; its external key stays where it is sealed."""
        if not command.layout.provision or EXTERNAL_ID not in made.device.metadata:
            return made
        by_type = {channel.metadata.get("type"): channel.id for channel in channels}
        metadata: dict[str, Any] = dict(made.device.metadata)
        metadata |= {member: by_type[kind] for kind, member in _CHANNEL_MEMBERS if kind in by_type}
        metadata |= {EXTERNAL_ID: command.external_id, "cfg_id": made.device.id, "type": "gateway"}
        return msgspec.structs.replace(made, device=msgspec.structs.replace(made.device, metadata=metadata))

    def _configs(
        self,
        made: tuple[Made, ...],
        channels: tuple[Channel, ...],
        command: CreateMapping,
        scope: Scope,
        certificates: tuple[ClientCertificates, ...],
    ) -> tuple[BootstrapConfig, ...]:
        if not command.layout.provision:
            return ()
        seals = Seals(self.registry.issuer.vault)
        configs = []
        for each, held in zip(made, certificates or repeat(ClientCertificates()), strict=False):
            if EXTERNAL_ID not in each.device.metadata:
                continue
            bare = BootstrapConfig(
                id=each.device.id,
                tenant=scope.tenant,
                external_id=command.external_id,
                external_key=Sealed(b""),
                channels=tuple(channel.id for channel in channels),
                active=command.layout.activate,
                created_at=each.device.created_at,
                updated_at=each.device.created_at,
            )
            config = seals.with_content(seals.with_external_key(bare, command.external_key), command.layout.content)
            configs.append(seals.with_certificates(config, held))
        return tuple(configs)

    def _events(
        self,
        made: tuple[Made, ...],
        channels: tuple[Channel, ...],
        configs: tuple[BootstrapConfig, ...],
        scope: Scope,
    ) -> tuple[Event, ...]:
        devices: dict[str, Device] = {each.device.id: each.device for each in made}
        events = [self.registry.device_event(EventKind.DEVICE_DEFINED, device, scope) for device in devices.values()]
        events += [self.registry.channel_event(EventKind.CHANNEL_CREATED, channel, scope) for channel in channels]
        events += [
            self.registry.config_event(EventKind.CONFIG_CREATED, config, devices[config.id], scope) for config in configs
        ]
        return tuple(events)


def require_layout(layout: Layout) -> None:
    """Check a layout by itself. Raises `Refusal` MALFORMED with a sentence for whoever wrote it."""
    if not layout.clients or not layout.channels:
        raise values.malformed("the layout has no clients or no channels", "mapping.layout")
    if sum(EXTERNAL_ID in part.metadata for part in layout.clients) > 1:
        raise values.malformed(f"more than one client of the layout has {EXTERNAL_ID} in its metadata", "mapping.layout")


def _client(part: LayoutPart, command: CreateMapping) -> NewClient:
    metadata = dict(part.metadata)
    if EXTERNAL_ID in metadata:
        metadata[EXTERNAL_ID] = command.external_id
    return NewClient(label=command.name or part.name, metadata=metadata)


def _shown(certified: Certified) -> ClientCertificates:
    """Return a certificate as a configuration carries it: with those between it and the authority."""
    key = certified.private_key or Secret("")
    return ClientCertificates(write_pem(certified.chain), key, write_pem(certified.authorities))


def _wants_config(new: NewClient) -> bool:
    return EXTERNAL_ID in new.metadata
