"""The endpoints of things, as Mainflux calls them, or clients, as Magistrala does: make, list, show, change, remove.

Statuses, bodies and `Location` are those of the generation.
"""

from adapters.dialects.mainflux import operations as op
from adapters.dialects.mainflux.bodies import Entity, NewKey
from adapters.dialects.mainflux.endpoint import Asked, Endpoint, bare, malformed, no_body, removed, require_json, shown
from adapters.dialects.mainflux.entities import look_of, page
from adapters.dialects.mainflux.flavours import Flavour, Generation
from adapters.dialects.mainflux.go_reading import read_object, read_objects
from adapters.dialects.mainflux.listing import created_one, created_several, read_page, require_page, require_some
from adapters.dialects.mainflux.query import Page, Query
from adapters.exchange import Outbound
from core.model import Secret
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


def endpoints(flavour: Flavour) -> tuple[Endpoint, ...]:
    """Return the rows of a flavour."""
    path, look = flavour.operator_prefix, look_of(flavour)
    return (
        Endpoint(
            operation=op.CREATE_CLIENT,
            method="POST",
            path=path,
            read=_read_client,
            command=_create_client,
            write=_created_client,
            collection=True,
        ),
        Endpoint(
            operation=op.CREATE_CLIENTS,
            method="POST",
            path=f"{path}/bulk",
            read=_read_clients,
            command=_create_clients,
            write=_created_clients,
        ),
        Endpoint(
            operation=op.LIST_CLIENTS,
            method="GET",
            path=path,
            read=read_page,
            command=_list_clients,
            write=_listed_clients,
            collection=True,
        ),
        Endpoint(
            operation=op.SHOW_CLIENT,
            method="GET",
            path=f"{path}/{{id}}",
            read=no_body,
            command=_show_client,
            write=_shown_client,
        ),
        Endpoint(
            operation=op.CHANGE_CLIENT,
            method=look.client_method,
            path=f"{path}/{{id}}",
            read=_read_client,
            command=_change_client,
            write=_changed_client,
        ),
        Endpoint(
            operation=op.CHANGE_SECRET,
            method="PATCH",
            path=f"{path}/{{id}}/{look.secret_path}",
            read=_read_secret,
            command=_change_secret,
            write=_changed_client,
        ),
        Endpoint(
            operation=op.DELETE_CLIENT,
            method="DELETE",
            path=f"{path}/{{id}}",
            read=no_body,
            command=_delete_client,
            write=removed,
        ),
    )


def _read_client(asked: Asked) -> Entity:
    return read_object(require_json(asked), Entity, "clients.Client")


def _read_clients(asked: Asked) -> tuple[Entity, ...]:
    return read_objects(require_json(asked), Entity, "clients.Client")


def _new_client(sent: Entity, asked: Asked) -> NewClient:
    is_thing = asked.flavour.generation is Generation.MAINFLUX
    secret = sent.key if is_thing else sent.credentials.secret
    return NewClient(id=sent.id or None, label=sent.name, secret=_given(secret), metadata=sent.metadata or {})


def _create_client(sent: Entity, asked: Asked) -> CreateClients:
    return CreateClients((_new_client(sent, asked),))


def _create_clients(sent: tuple[Entity, ...], asked: Asked) -> CreateClients:
    require_some(sent)
    return CreateClients(tuple(_new_client(each, asked) for each in sent))


def _created_client(result: tuple[ShownClient, ...], asked: Asked) -> Outbound:
    (client,) = result
    return created_one(look_of(asked.flavour).client(client), f"/{asked.flavour.entity}/{client.device.id}", asked)


def _created_clients(result: tuple[ShownClient, ...], asked: Asked) -> Outbound:
    return created_several(asked.flavour.entity, tuple(map(look_of(asked.flavour).client, result)), asked)


def _list_clients(sent: tuple[Query, Page], _asked: Asked) -> ListClients:
    query, page_asked = require_page(sent)
    return ListClients(label=query.first("name") or None, offset=page_asked.offset, limit=page_asked.limit)


def _listed_clients(result: CountedPage[ShownClient], asked: Asked) -> Outbound:
    items = tuple(map(look_of(asked.flavour).client, result.items))
    return shown(page(asked.flavour, asked.flavour.entity, result, items))


def _show_client(_sent: None, asked: Asked) -> ShowClient:
    return ShowClient(asked.id)


def _shown_client(result: ShownClient, asked: Asked) -> Outbound:
    return shown(look_of(asked.flavour).client(result))


def _change_client(sent: Entity, asked: Asked) -> ChangeClient:
    if look_of(asked.flavour).replaces:
        return ChangeClient(id=asked.id, label=sent.name, metadata=sent.metadata or {})
    return ChangeClient(id=asked.id, label=sent.name or None, metadata=sent.metadata)


def _read_secret(asked: Asked) -> NewKey:
    return read_object(require_json(asked), NewKey, "http.updateClientCredentialsReq")


def _change_secret(sent: NewKey, asked: Asked) -> ChangeClient:
    is_thing = asked.flavour.generation is Generation.MAINFLUX
    secret = _given(sent.key if is_thing else sent.secret)
    if secret is None:
        raise malformed("the secret is missing", "secret.missing")
    return ChangeClient(id=asked.id, secret=secret)


def _changed_client(result: ShownClient, asked: Asked) -> Outbound:
    return _shown_client(result, asked) if look_of(asked.flavour).answers else bare(result, asked)


def _delete_client(_sent: None, asked: Asked) -> DeleteClient:
    return DeleteClient(id=asked.id, missing_ok=look_of(asked.flavour).missing_ok)


def _given(secret: Secret) -> Secret | None:
    return secret if secret.reveal() else None
