"""The endpoints of configurations for operators: make, list, show, change, remove, and list who asked in vain."""

from typing import Any

from adapters.dialects.mainflux import documents
from adapters.dialects.mainflux import operations as op
from adapters.dialects.mainflux.bodies import Certificates, ConfigText, Connections, NewConfig, State
from adapters.dialects.mainflux.endpoint import (
    Asked,
    Endpoint,
    bare,
    created,
    malformed,
    no_body,
    removed,
    require_json,
    shown,
)
from adapters.dialects.mainflux.flavours import Flavour
from adapters.dialects.mainflux.go_reading import read_object
from adapters.dialects.mainflux.go_writing import record
from adapters.dialects.mainflux.query import Page, Query, read_query, read_state, require_limit
from adapters.exchange import Outbound
from core.messages import ClientCertificates
from core.model import Secret
from core.operate.configuring import (
    ChangeConfig,
    CountedPage,
    CreateConfig,
    DeleteConfig,
    ListConfigs,
    ListUnknown,
    ShowConfig,
    ShownConfig,
)


def endpoints(flavour: Flavour) -> tuple[Endpoint, ...]:
    """Return the rows of a flavour."""
    prefix = flavour.operator_prefix
    configs, one = f"{prefix}/configs", f"{prefix}/configs/{{id}}"
    certificates, connections = f"{prefix}/configs/certs/{{id}}", f"{prefix}/configs/connections/{{id}}"
    return (
        Endpoint(
            operation=op.CREATE_CONFIG,
            method="POST",
            path=configs,
            read=_read_new,
            command=_create,
            write=_created,
            collection=True,
        ),
        Endpoint(
            operation=op.LIST_CONFIGS,
            method="GET",
            path=configs,
            read=_read_list,
            command=_list,
            write=_listed,
            collection=True,
        ),
        Endpoint(operation=op.SHOW_CONFIG, method="GET", path=one, read=no_body, command=_show, write=_shown),
        Endpoint(operation=op.CHANGE_CONFIG, method="PUT", path=one, read=_read_text, command=_change, write=bare),
        Endpoint(operation=op.DELETE_CONFIG, method="DELETE", path=one, read=no_body, command=_delete, write=removed),
        Endpoint(
            operation=op.CHANGE_CERTIFICATES,
            method="PATCH",
            path=certificates,
            read=_read_certificates,
            command=_certify,
            write=_certified,
        ),
        Endpoint(
            operation=op.CHANGE_CONNECTIONS,
            method="PUT",
            path=connections,
            read=_read_connections,
            command=_connect,
            write=bare,
        ),
        Endpoint(
            operation=op.CHANGE_STATE,
            method="PUT",
            path=f"{prefix}/state/{{id}}",
            read=_read_state,
            command=_activate,
            write=bare,
        ),
        *(_unknown(prefix) if flavour.unknown_listed else ()),
    )


def _unknown(prefix: str) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            operation=op.LIST_UNKNOWN,
            method="GET",
            path=f"{prefix}/unknown/configs",
            read=_read_list,
            command=_list_unknown,
            write=_listed_unknown,
        ),
    )


def _read_new(asked: Asked) -> NewConfig:
    return read_object(require_json(asked), NewConfig, "api.addReq")


def _create(sent: NewConfig, asked: Asked) -> CreateConfig:
    if not sent.external_id:
        raise malformed("external_id is missing", "external_id.missing")
    if not sent.external_key.reveal():
        raise malformed("external_key is missing", "external_key.missing")
    if asked.flavour.channels_required:
        _require_channels(sent.channels)
    return CreateConfig(
        external_id=sent.external_id,
        external_key=sent.external_key,
        client=(sent.client_id if asked.flavour.id_member == "client_id" else sent.thing_id) or None,
        label=asked.flavour.label,
        name=sent.name,
        unique_name=asked.flavour.unique_name,
        content=sent.content,
        certificates=ClientCertificates(sent.client_cert, sent.client_key, sent.ca_cert),
        channels=sent.channels,
    )


def _require_channels(channels: tuple[str, ...]) -> None:
    if not channels:
        raise malformed("channels are missing", "channels.missing")
    if "" in channels:
        raise malformed("a channel's id is empty", "channels.empty_id")


def _created(result: ShownConfig, asked: Asked) -> Outbound:
    """Say where the configuration is; the domain is never part of that, since clients cut the rest off to get the id."""
    return created(f"/{asked.flavour.entity}/configs/{result.config.id}")


def _show(_sent: None, asked: Asked) -> ShowConfig:
    return ShowConfig(asked.id)


def _shown(result: ShownConfig, asked: Asked) -> Outbound:
    return shown(documents.config(asked.flavour, result))


def _read_list(asked: Asked) -> tuple[Query, Page]:
    query = read_query(asked.inbound.raw_query)
    return query, asked.flavour.page(query)


def _list(sent: tuple[Query, Page], asked: Asked) -> ListConfigs:
    query, page = sent
    require_limit(page.limit)
    state = query.first("state")
    active = None if state is None else read_state(state)
    if state is not None and active is None:
        return ListConfigs(limit=0)
    return ListConfigs(
        external_id=query.first("external_id"),
        name=query.first("name") or None,
        active=active,
        id=_among(query, asked.flavour.id_filter),
        secret=_secret(_among(query, asked.flavour.secret_filter)),
        client_key=_secret(query.first("client_key")) if asked.flavour.client_key_filter else None,
        offset=page.offset,
        limit=page.limit,
    )


def _listed(result: CountedPage[ShownConfig], asked: Asked) -> Outbound:
    state = read_query(asked.inbound.raw_query).first("state")
    if state is not None and read_state(state) is None:
        return shown(documents.EMPTY_PAGE)
    return shown(documents.config_page(asked.flavour, result))


def _among(query: Query, names: tuple[str, ...]) -> str | None:
    return next((value for value in map(query.first, names) if value is not None), None)


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def _read_text(asked: Asked) -> ConfigText:
    return read_object(require_json(asked), ConfigText, "api.updateReq")


def _change(sent: ConfigText, asked: Asked) -> ChangeConfig:
    return ChangeConfig(id=asked.id, name=sent.name, unique_name=asked.flavour.unique_name, content=sent.content)


def _read_certificates(asked: Asked) -> Certificates:
    return read_object(require_json(asked), Certificates, "api.updateCertReq")


def _certify(sent: Certificates, asked: Asked) -> ChangeConfig:
    return ChangeConfig(id=asked.id, certificates=ClientCertificates(sent.client_cert, sent.client_key, sent.ca_cert))


def _certified(result: ShownConfig, asked: Asked) -> Outbound:
    if not asked.flavour.certificates_answered:
        return bare(result, asked)
    return shown(documents.certificates(asked.flavour, result))


def _read_connections(asked: Asked) -> Connections:
    return read_object(require_json(asked), Connections, "api.updateConnReq")


def _connect(sent: Connections, asked: Asked) -> ChangeConfig:
    return ChangeConfig(id=asked.id, channels=sent.channels, keep_channels_when_empty=True)


def _delete(_sent: None, asked: Asked) -> DeleteConfig:
    return DeleteConfig(id=asked.id, missing_ok=True)


def _read_state(asked: Asked) -> State:
    return read_object(require_json(asked), State, "api.changeStateReq")


def _activate(sent: State, asked: Asked) -> ChangeConfig:
    if sent.state not in (0, 1):
        raise malformed("the state is neither 0 nor 1", "state.value")
    return ChangeConfig(id=asked.id, active=bool(sent.state))


def _list_unknown(sent: tuple[Query, Page], _asked: Asked) -> ListUnknown:
    _, page = sent
    return ListUnknown(offset=page.offset, limit=page.limit)


def _listed_unknown(result: tuple[str, ...], _asked: Asked) -> Outbound:
    """List the external ids; the keys that were presented with them are not kept."""
    found: Any = tuple(record(("external_id", external_id)) for external_id in result)
    return shown(record(("configs", found or None)))
