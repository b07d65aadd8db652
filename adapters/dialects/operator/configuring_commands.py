"""From what operators sent about tenants, channels and configurations to the core's commands: one function each."""

from msgspec import UnsetType

from adapters.dialects.operator import bodies
from adapters.dialects.operator import configuring_bodies as sent
from adapters.dialects.operator.commands import given
from adapters.dialects.operator.reading import choice
from core.messages import ClientCertificates
from core.model import Secret
from core.operate import configuring

_NOTHING = Secret("")


def create_tenant(_ref: str, _query: bodies.Scoped, body: sent.NewTenant) -> configuring.CreateTenant:
    """POST /v1/tenants."""
    return configuring.CreateTenant(name=body.name, id=body.id, secure_bootstrap=body.secure_bootstrap)


def list_tenants(_ref: str, query: bodies.Paged, _body: None) -> configuring.ListTenants:
    """GET /v1/tenants."""
    return configuring.ListTenants(after=query.after or None, limit=query.limit)


def create_channel(_ref: str, _query: bodies.Scoped, body: sent.NewChannel) -> configuring.CreateChannels:
    """POST /v1/channels."""
    return configuring.CreateChannels((configuring.NewChannel(id=body.id, name=body.name, metadata=body.metadata),))


def list_channels(_ref: str, query: sent.ChannelFilter, _body: None) -> configuring.ListChannels:
    """GET /v1/channels."""
    return configuring.ListChannels(name=query.name or None, after=query.after or None, limit=query.limit)


def show_channel(ref: str, _query: bodies.Scoped, _body: None) -> configuring.ShowChannel:
    """GET /v1/channels/{id}."""
    return configuring.ShowChannel(ref)


def change_channel(ref: str, _query: bodies.Scoped, body: sent.ChannelChange) -> configuring.ChangeChannel:
    """PATCH /v1/channels/{id}."""
    return configuring.ChangeChannel(id=ref, name=given(body.name), metadata=given(body.metadata))


def delete_channel(ref: str, _query: bodies.Scoped, _body: None) -> configuring.DeleteChannel:
    """DELETE /v1/channels/{id}."""
    return configuring.DeleteChannel(id=ref)


def create_config(_ref: str, _query: bodies.Scoped, body: sent.NewConfig) -> configuring.CreateConfig:
    """POST /v1/configs."""
    return configuring.CreateConfig(
        external_id=body.external_id,
        external_key=body.external_key,
        client=body.device,
        name=body.name,
        unique_name=True,
        content=body.content,
        certificates=ClientCertificates(body.client_cert, body.client_key or _NOTHING, body.ca_cert),
        channels=tuple(body.channels),
    )


def list_configs(_ref: str, query: sent.ConfigFilter, _body: None) -> configuring.ListConfigs:
    """GET /v1/configs."""
    return configuring.ListConfigs(
        external_id=None if isinstance(query.external_id, UnsetType) else query.external_id,
        name=query.name or None,
        active=choice("active", query.active, sent.Truth) is sent.Truth.YES if query.active else None,
        after=query.after or None,
        limit=query.limit,
        opened=False,
    )


def show_config(ref: str, _query: bodies.Scoped, _body: None) -> configuring.ShowConfig:
    """GET /v1/configs/{id}."""
    return configuring.ShowConfig(ref)


def change_config(ref: str, _query: bodies.Scoped, body: sent.ConfigChange) -> configuring.ChangeConfig:
    """PATCH /v1/configs/{id}."""
    channels = given(body.channels)
    return configuring.ChangeConfig(
        id=ref,
        name=given(body.name),
        unique_name=True,
        content=given(body.content),
        certificates=_certificates(body),
        channels=None if channels is None else tuple(channels),
        active=given(body.active),
    )


def delete_config(ref: str, _query: bodies.Scoped, _body: None) -> configuring.DeleteConfig:
    """DELETE /v1/configs/{id}."""
    return configuring.DeleteConfig(id=ref)


def list_unknown(_ref: str, query: sent.Offset, _body: None) -> configuring.ListUnknown:
    """GET /v1/configs:unknown."""
    return configuring.ListUnknown(offset=query.offset, limit=query.limit)


def list_permitted(ref: str, _query: bodies.Scoped, _body: None) -> configuring.ListPermitted:
    """GET /v1/devices/{id}/channels."""
    return configuring.ListPermitted(ref)


def _certificates(body: sent.ConfigChange) -> ClientCertificates | None:
    cert, key, ca = given(body.client_cert), given(body.client_key), given(body.ca_cert)
    if cert is None and key is None and ca is None:
        return None
    return ClientCertificates(cert or "", key or _NOTHING, ca or "")
