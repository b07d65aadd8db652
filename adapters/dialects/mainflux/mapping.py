"""The provision service of Mainflux and Magistrala: one request makes everything that a layout says for a device.

Where the layout asks for certificates (`x509_provision`), `client_cert` and `client_key` are by the ids of the clients, and
`ca_cert` is what they are checked by. What was begun is never left behind: all of it is made, or nothing.
"""

from typing import Any

import msgspec

from adapters.dialects.mainflux import operations as op
from adapters.dialects.mainflux.bodies import NewMapping
from adapters.dialects.mainflux.endpoint import Asked, Endpoint, malformed, shown
from adapters.dialects.mainflux.entities import mainflux_channel, provisioned_client, thing
from adapters.dialects.mainflux.flavours import JSON, Flavour, Generation
from adapters.dialects.mainflux.go_reading import read_object
from adapters.dialects.mainflux.go_writing import filled, record
from adapters.exchange import Outbound, Success
from core.errors import Reason, Refusal
from core.operate.configuring import CreateMapping, Layout, Mapping, ShowMapping


def endpoints(flavour: Flavour) -> tuple[Endpoint, ...]:
    """Return the rows of a flavour."""
    path = f"{flavour.domain}/mapping"
    return (
        Endpoint(
            operation=op.CREATE_MAPPING,
            method="POST",
            path=path,
            read=_read_new,
            command=_create,
            write=_created,
            optional_token=True,
        ),
        Endpoint(operation=op.SHOW_MAPPING, method="GET", path=path, read=_require_exactly_json, command=_show, write=_shown),
    )


def _require_exactly_json(asked: Asked) -> bytes:
    """Return the body. Raises `Refusal` UNSUPPORTED unless the content type is `application/json` and nothing else."""
    if asked.inbound.content_type != JSON:
        raise Refusal(Reason.UNSUPPORTED, f"the content type is not {JSON}", check="content.type")
    return asked.inbound.body


def _read_new(asked: Asked) -> NewMapping:
    return read_object(_require_exactly_json(asked), NewMapping, "api.provisionReq")


def _create(sent: NewMapping, asked: Asked) -> CreateMapping:
    if not sent.external_id:
        raise malformed("external_id is missing", "external_id.missing")
    if not sent.external_key.reveal():
        raise malformed("external_key is missing", "external_key.missing")
    magistrala = asked.flavour.generation is not Generation.MAINFLUX
    if asked.flavour.domain and not sent.name:
        raise malformed("name is missing", "name.missing")
    return CreateMapping(
        external_id=sent.external_id,
        external_key=sent.external_key,
        layout=asked.options.layout,
        name=sent.name,
        prefixed=magistrala,
    )


def _created(result: Mapping, asked: Asked) -> Outbound:
    client = thing if asked.flavour.generation is Generation.MAINFLUX else provisioned_client
    return shown(
        record(
            (asked.flavour.entity, tuple(map(client, result.clients))),
            ("channels", tuple(map(mainflux_channel, result.channels))),
            *filled(*_certificates(result)),
            *filled(("whitelisted", dict.fromkeys(result.active, True))),
        ),
        Success.CREATED,
    )


def _certificates(result: Mapping) -> tuple[tuple[str, Any], ...]:
    if not result.certificates:
        return ()
    held = {each.device.id: found for each, found in zip(result.clients, result.certificates, strict=True)}
    return (
        ("client_cert", {name: found.client_cert for name, found in held.items()}),
        ("client_key", {name: found.client_key.reveal() for name, found in held.items()}),
        ("ca_cert", result.certificates[0].ca_cert),
    )


def _show(_sent: bytes, asked: Asked) -> ShowMapping:
    return ShowMapping(asked.options.layout)


def _shown(result: Layout, _asked: Asked) -> Outbound:
    """Show the content of the layout, unpacked where it is JSON; without content it is null."""
    return shown(_unpacked(result.content))


def _unpacked(content: str) -> Any:
    if not content:
        return None
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content
