"""From the core's tenants, channels and configurations to what operators get: one function each."""

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator import configuring_objects as objects
from adapters.dialects.operator.writing import firmware
from core.model import Channel, Tenant
from core.operate.configuring import CountedPage, ShownConfig
from core.operate.results import Page


def tenant(result: Tenant) -> objects.Tenant:
    """Show a tenant."""
    return objects.Tenant(
        id=result.id,
        name=result.name,
        devices=result.devices,
        device_limit=result.device_limit,
        secure_bootstrap=result.secure_bootstrap,
        created_at=rfc3339(result.created_at),
        version=result.version,
    )


def tenant_page(result: Page[Tenant]) -> objects.TenantPage:
    """Show tenants."""
    return objects.TenantPage(tuple(map(tenant, result.items)), result.next)


def channel(result: Channel) -> objects.Channel:
    """Show a channel."""
    return objects.Channel(
        id=result.id,
        name=result.name,
        metadata=result.metadata,
        created_at=rfc3339(result.created_at),
        updated_at=rfc3339(result.updated_at),
        version=result.version,
    )


def first_channel(result: tuple[Channel, ...]) -> objects.Channel:
    """Show the one channel that was made."""
    return channel(result[0])


def channels(result: tuple[Channel, ...]) -> objects.Channels:
    """Show channels."""
    return objects.Channels(tuple(map(channel, result)))


def channel_page(result: CountedPage[Channel]) -> objects.ChannelPage:
    """Show a page of channels."""
    items = tuple(map(channel, result.items))
    return objects.ChannelPage(items, items[-1].id if _is_followed(result) else None)


def config(result: ShownConfig) -> objects.Config:
    """Show a configuration without its secrets."""
    return objects.Config(
        id=result.config.id,
        device=result.device.name,
        external_id=result.config.external_id,
        name=result.config.name,
        channels=tuple(objects.ConfigChannel(id=each.id, name=each.name, metadata=each.metadata) for each in result.channels),
        active=result.config.active,
        firmware=firmware(result.config.firmware),
        created_at=rfc3339(result.config.created_at),
        updated_at=rfc3339(result.config.updated_at),
        version=result.config.version,
    )


def open_config(result: ShownConfig) -> objects.OpenConfig:
    """Show a configuration with its secrets."""
    shown = config(result)
    return objects.OpenConfig(
        **{field: getattr(shown, field) for field in shown.__struct_fields__},
        external_key=result.external_key,
        secret=result.secret,
        content=result.content,
        client_cert=result.certificates.client_cert,
        client_key=result.certificates.client_key,
        ca_cert=result.certificates.ca_cert,
    )


def config_page(result: CountedPage[ShownConfig]) -> objects.ConfigPage:
    """Show a page of configurations."""
    items = tuple(map(config, result.items))
    return objects.ConfigPage(items, items[-1].id if _is_followed(result) else None)


def external_ids(result: tuple[str, ...]) -> objects.ExternalIds:
    """Show external ids."""
    return objects.ExternalIds(result)


def _is_followed(page: CountedPage[Channel] | CountedPage[ShownConfig]) -> bool:
    """Tell whether more entries may follow: the count knows nothing of the cursor, so a last page that is full says yes."""
    return 0 < page.limit <= len(page.items) < page.total
