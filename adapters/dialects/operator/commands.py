"""From what operators sent to the core's commands: one function each, of the path's reference, the query and the body."""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from adapters.dialects.operator import bodies, claim_bodies, hook_bodies, trust_bodies
from adapters.dialects.operator.reading import choice, decoder, read_json
from core.errors import Refusal
from core.messages import Lwm2m
from core.model import CredentialKind, DeviceState, EventKind, Plain, Reallocation, Reprovision, Role, Strategy
from core.operate import messages
from core.operate.devices import SETTABLE
from core.operate.hook_rules import HookRules
from core.operate.trust_rules import ChainRules, IssuingRules

T = TypeVar("T")

_ROW = decoder(bodies.ImportedDevice)
_ANY = decoder(Any)


def create_profile(_ref: str, _query: bodies.Scoped, body: bodies.NewProfile) -> messages.CreateProfile:
    """POST /v1/profiles."""
    return messages.CreateProfile(
        name=body.name,
        strategy=choice("strategy", body.strategy, Strategy),
        reprovision=choice("reprovision", body.reprovision, Reprovision),
        provision_key=body.provision_key,
        provision_secret=body.provision_secret,
        options=tuple(body.options),
        signed=None if body.signed is None else _rules(body.signed),
        chain=None if body.chain is None else ChainRules(**msgspec.structs.asdict(body.chain)),
        issuing=_issuing(body.issuing),
        plain=_plain(body.plain),
        claims=claim_bodies.rules(body.claims),
        hook=_hook(body.hook),
        credential_kind=None if body.credential_kind is None else choice("kind", body.credential_kind, CredentialKind),
        metadata=body.metadata,
    )


def list_profiles(_ref: str, query: bodies.Paged, _body: None) -> messages.ListProfiles:
    """GET /v1/profiles."""
    return messages.ListProfiles(after=query.after or None, limit=query.limit)


def show_profile(ref: str, _query: bodies.Scoped, _body: None) -> messages.ShowProfile:
    """GET /v1/profiles/{id}."""
    return messages.ShowProfile(ref)


def change_profile(ref: str, _query: bodies.Scoped, body: bodies.ProfileChange) -> messages.ChangeProfile:
    """PATCH /v1/profiles/{id}."""
    strategy, reprovision, options = given(body.strategy), given(body.reprovision), given(body.options)
    return messages.ChangeProfile(
        ref=ref,
        name=given(body.name),
        strategy=None if strategy is None else choice("strategy", strategy, Strategy),
        reprovision=None if reprovision is None else choice("reprovision", reprovision, Reprovision),
        options=None if options is None else tuple(options),
        signed=None if isinstance(body.signed, UnsetType) else _rules(body.signed),
        chain=None if isinstance(body.chain, UnsetType) else ChainRules(**msgspec.structs.asdict(body.chain)),
        issuing=UNSET if isinstance(body.issuing, UnsetType) else _issuing(body.issuing),
        plain=UNSET if isinstance(body.plain, UnsetType) else _plain(body.plain),
        claims=UNSET if isinstance(body.claims, UnsetType) else claim_bodies.rules(body.claims),
        hook=UNSET if isinstance(body.hook, UnsetType) else _hook(body.hook),
        metadata=given(body.metadata),
    )


def rotate_profile(ref: str, _query: bodies.Scoped, body: bodies.ProfileRotation | None) -> messages.RotateProfile:
    """POST /v1/profiles/{id}/rotate."""
    return messages.RotateProfile(ref, body.provision_secret, body.overlap_seconds) if body else messages.RotateProfile(ref)


def delete_profile(ref: str, _query: bodies.Scoped, _body: None) -> messages.DeleteProfile:
    """DELETE /v1/profiles/{id}."""
    return messages.DeleteProfile(ref)


def define_device(_ref: str, _query: bodies.Scoped, body: bodies.NewDevice) -> messages.DefineDevice:
    """POST /v1/devices."""
    return messages.DefineDevice(
        name=body.name, profile=body.profile, credential=proposal(body.credential), metadata=body.metadata
    )


def list_devices(_ref: str, query: bodies.DeviceFilter, _body: None) -> messages.ListDevices:
    """GET /v1/devices."""
    return _filtered(query)


def export_devices(_ref: str, query: bodies.DeviceFilter, _body: None) -> messages.ExportDevices:
    """GET /v1/devices:export."""
    return messages.ExportDevices(**msgspec.structs.asdict(_filtered(query)))


def show_device(ref: str, _query: bodies.Scoped, _body: None) -> messages.ShowDevice:
    """GET /v1/devices/{id}."""
    return messages.ShowDevice(ref)


def change_device(ref: str, _query: bodies.Scoped, body: bodies.DeviceChange) -> messages.ChangeDevice:
    """PATCH /v1/devices/{id}."""
    state = given(body.state)
    return messages.ChangeDevice(
        ref=ref,
        enabled=given(body.enabled),
        state=None if state is None else choice("state", state, DeviceState, SETTABLE),
        metadata=given(body.metadata),
    )


def delete_device(ref: str, _query: bodies.Scoped, _body: None) -> messages.DeleteDevice:
    """DELETE /v1/devices/{id}."""
    return messages.DeleteDevice(ref)


def read_credentials(ref: str, _query: bodies.Scoped, _body: None) -> messages.ReadCredentials:
    """GET /v1/devices/{id}/credentials."""
    return messages.ReadCredentials(ref)


def revoke_credentials(ref: str, _query: bodies.Scoped, _body: None) -> messages.RevokeCredentials:
    """DELETE /v1/devices/{id}/credentials."""
    return messages.RevokeCredentials(ref)


def import_devices(_ref: str, _query: bodies.Scoped, body: bodies.Import) -> messages.ImportDevices:
    """POST /v1/devices:import."""
    rows = tuple(_row(place, raw) for place, raw in enumerate(body.devices, 1))
    return messages.ImportDevices(rows, body.profile)


def list_events(_ref: str, query: bodies.EventFilter, _body: None) -> messages.ListEvents:
    """GET /v1/events."""
    return messages.ListEvents(
        correlation=query.correlation or None,
        device=query.device or None,
        profile=query.profile or None,
        kind=choice("kind", query.kind, EventKind) if query.kind else None,
        after=query.after or None,
        newest=query.newest,
        limit=query.limit,
    )


def create_token(_ref: str, _query: bodies.Scoped, body: bodies.NewToken) -> messages.CreateToken:
    """POST /v1/tokens."""
    return messages.CreateToken(body.name, choice("role", body.role, Role))


def list_tokens(_ref: str, query: bodies.Paged, _body: None) -> messages.ListTokens:
    """GET /v1/tokens."""
    return messages.ListTokens(after=query.after or None, limit=query.limit)


def delete_token(ref: str, _query: bodies.Scoped, _body: None) -> messages.DeleteToken:
    """DELETE /v1/tokens/{id}."""
    return messages.DeleteToken(ref)


def _filtered(query: bodies.DeviceFilter) -> messages.ListDevices:
    return messages.ListDevices(
        name=query.name or None,
        profile=query.profile or None,
        state=choice("state", query.state, DeviceState) if query.state else None,
        after=query.after or None,
        limit=query.limit,
    )


def given(value: T | UnsetType) -> T | None:
    """Return what was given of a change, None for nothing."""
    return None if isinstance(value, UnsetType) else value


def _rules(body: bodies.SignedRules) -> messages.SignedRules:
    said = msgspec.structs.asdict(body)
    if not isinstance(body.reallocation, UnsetType):
        said["reallocation"] = choice("reallocation", body.reallocation, Reallocation)
    return messages.SignedRules(**said)


def _issuing(body: trust_bodies.IssuingRules | None) -> IssuingRules | None:
    return None if body is None else IssuingRules(**msgspec.structs.asdict(body))


def _hook(body: hook_bodies.HookRules | None) -> HookRules | None:
    return None if body is None else HookRules(**msgspec.structs.asdict(body))


def _plain(word: str | None) -> Plain | None:
    return None if word is None else choice("plain", word, Plain)


def proposal(body: bodies.NewCredential | None) -> messages.ProposedCredential | None:
    """Return the credential that a body proposes."""
    match body:
        case None:
            return None
        case bodies.NewAccessToken(token=token):
            return messages.ProposedToken(token)
        case bodies.NewMqttBasic(client_id=client_id, username=username, password=password):
            return messages.ProposedBasic(client_id, username, password)
        case bodies.NewCertificate(certificate=text):
            return messages.ProposedCertificate(text)
        case bodies.NewClientSecret(secret=secret):
            return messages.ProposedSecret(secret)
        case bodies.NewDeviceSecret():
            return messages.ProposedTriple()
        case trust_bodies.NewOscore():
            return messages.ProposedOscore(**msgspec.structs.asdict(body))
        case _:
            return Lwm2m(body.endpoint)


def _row(place: int, raw: msgspec.Raw) -> messages.ImportRow | messages.BadRow:
    try:
        row: bodies.ImportedDevice = read_json(_ROW, raw)
    except Refusal as refusal:
        return _bad_row(place, raw, refusal)
    return messages.ImportRow(
        line=place if row.line is None else row.line,
        name=row.name,
        profile=row.profile,
        credential=proposal(row.credential),
        metadata=row.metadata,
    )


def _bad_row(place: int, raw: msgspec.Raw, refusal: Refusal) -> messages.BadRow:
    """Keep what can be read of a bad row, so that its file's line is told."""
    try:
        row = read_json(_ANY, raw)
    except Refusal:
        row = None
    fields = row if isinstance(row, dict) else {}
    line, name = fields.get("line"), fields.get("name")
    return messages.BadRow(line if type(line) is int else place, name if isinstance(name, str) else "", refusal.detail)
