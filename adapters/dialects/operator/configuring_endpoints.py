"""The rows of the operator API's table for tenants, channels and configurations."""

from adapters.dialects.operator import bodies
from adapters.dialects.operator import configuring_bodies as sent
from adapters.dialects.operator import configuring_commands as commands
from adapters.dialects.operator import configuring_objects as objects
from adapters.dialects.operator import configuring_writing as writing
from adapters.dialects.operator.endpoint import Endpoint
from adapters.exchange import Success

_TENANTS = "/v1/tenants"
_CHANNELS, _CHANNEL = "/v1/channels", "/v1/channels/{id}"
_CONFIGS, _CONFIG = "/v1/configs", "/v1/configs/{id}"

CONFIGURING = (
    Endpoint(
        method="POST",
        path=_TENANTS,
        operation="create_tenant",
        summary="Make a tenant; admins only.",
        read=commands.create_tenant,
        body=sent.NewTenant,
        write=writing.tenant,
        answer=objects.Tenant,
        success=Success.CREATED,
    ),
    Endpoint(
        method="GET",
        path=_TENANTS,
        operation="list_tenants",
        summary="List tenants in the order of their ids; admins only.",
        read=commands.list_tenants,
        query=bodies.Paged,
        write=writing.tenant_page,
        answer=objects.TenantPage,
    ),
    Endpoint(
        method="POST",
        path=_CHANNELS,
        operation="create_channel",
        summary="Make a channel.",
        read=commands.create_channel,
        body=sent.NewChannel,
        write=writing.first_channel,
        answer=objects.Channel,
        success=Success.CREATED,
    ),
    Endpoint(
        method="GET",
        path=_CHANNELS,
        operation="list_channels",
        summary="List channels in the order of their ids.",
        read=commands.list_channels,
        query=sent.ChannelFilter,
        write=writing.channel_page,
        answer=objects.ChannelPage,
    ),
    Endpoint(
        method="GET",
        path=_CHANNEL,
        operation="show_channel",
        summary="Show a channel, by id.",
        read=commands.show_channel,
        write=writing.channel,
        answer=objects.Channel,
    ),
    Endpoint(
        method="PATCH",
        path=_CHANNEL,
        operation="change_channel",
        summary="Change what is given of a channel, by id.",
        read=commands.change_channel,
        body=sent.ChannelChange,
        write=writing.channel,
        answer=objects.Channel,
    ),
    Endpoint(
        method="DELETE",
        path=_CHANNEL,
        operation="delete_channel",
        summary="Remove a channel, by id; it vanishes from every configuration.",
        read=commands.delete_channel,
        success=Success.DELETED,
    ),
    Endpoint(
        method="POST",
        path=_CONFIGS,
        operation="create_config",
        summary="Make the configuration of a device, which is made too where none is named.",
        read=commands.create_config,
        body=sent.NewConfig,
        write=writing.open_config,
        answer=objects.OpenConfig,
        success=Success.CREATED,
    ),
    Endpoint(
        method="GET",
        path=_CONFIGS,
        operation="list_configs",
        summary="List configurations in the order of their ids, without their secrets.",
        read=commands.list_configs,
        query=sent.ConfigFilter,
        write=writing.config_page,
        answer=objects.ConfigPage,
    ),
    Endpoint(
        method="GET",
        path="/v1/configs:unknown",
        operation="list_unknown",
        summary="List external ids that devices asked for and no configuration has.",
        read=commands.list_unknown,
        query=sent.Offset,
        write=writing.external_ids,
        answer=objects.ExternalIds,
    ),
    Endpoint(
        method="GET",
        path=_CONFIG,
        operation="show_config",
        summary="Show a configuration with its secrets, by its device's id; this is recorded.",
        read=commands.show_config,
        write=writing.open_config,
        answer=objects.OpenConfig,
    ),
    Endpoint(
        method="PATCH",
        path=_CONFIG,
        operation="change_config",
        summary="Change what is given of a configuration, all of it or nothing, by its device's id.",
        read=commands.change_config,
        body=sent.ConfigChange,
        write=writing.config,
        answer=objects.Config,
    ),
    Endpoint(
        method="DELETE",
        path=_CONFIG,
        operation="delete_config",
        summary="Remove a configuration, by its device's id; the device stays and may use no channel.",
        read=commands.delete_config,
        success=Success.DELETED,
    ),
    Endpoint(
        method="GET",
        path="/v1/devices/{id}/channels",
        operation="list_permitted",
        summary="List the channels that a device may publish to and subscribe to now.",
        read=commands.list_permitted,
        write=writing.channels,
        answer=objects.Channels,
    ),
)
