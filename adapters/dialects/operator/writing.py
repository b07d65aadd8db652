"""From the core's results to what operators get: one function each, and the bytes of it."""

import base64
import csv
import io
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator import objects
from adapters.dialects.operator.claim_bodies import policy as claim_policy
from core.crypto.bundles import write_pem
from core.messages import Certificate, CredentialValue
from core.model import (
    ChainPolicy,
    CredentialKind,
    Device,
    Event,
    Firmware,
    Hook,
    IssuingPolicy,
    OperatorToken,
    Profile,
    Secret,
    SignedPolicy,
)
from core.operate import results
from core.operate.chaining import DAY_SECONDS

_REACHED = ("provisioned_at", "connected_at", "associated_at", "discarded_at")
_PROPERTIES = ("serial", "label", "owner", "firmware", "runs")
_COLUMNS = ("name", "id", "profile", "state", "enabled", "created_at", *_PROPERTIES, *_REACHED)


def moment(milliseconds: int | None) -> str | None:
    """Write a time that may not have come."""
    return None if milliseconds is None else rfc3339(milliseconds)


def json(answer: Any) -> bytes:
    """Write an answer as JSON."""
    return msgspec.json.encode(answer, enc_hook=_reveal)


def csv_of(page: results.Page[Device]) -> bytes:
    """Write devices as CSV (RFC 4180) with a header line. Names stand as they are, so that an import finds them again."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(_COLUMNS)
    for each in page.items:
        enabled = "true" if each.enabled else "false"
        firmware = each.firmware.version if each.firmware else ""
        made = (each.name, each.id, each.profile, each.state.value, enabled, rfc3339(each.created_at))
        reached = (moment(getattr(each, column)) for column in _REACHED)
        lines.writerow((*made, each.serial, each.label, each.owner, firmware, each.runs, *reached))
    return text.getvalue().encode()


def nothing(_result: Any) -> None:
    """Show nothing: what was to go is gone, or is not JSON."""


def profile(result: Profile) -> objects.Profile:
    """Show a profile."""
    return objects.Profile(
        id=result.id,
        name=result.name,
        strategy=result.strategy.value,
        reprovision=result.reprovision.value,
        provision_key=result.provision_key,
        previous_secret_until=moment(result.previous_until),
        options=result.options,
        signed=None if result.signed is None else _signed(result.signed),
        chain=None if result.chain is None else _chain(result.chain),
        issuing=None if result.issuing is None else _issuing(result.issuing),
        plain=None if result.plain is None else result.plain.value,
        claims=claim_policy(result),
        hook=None if result.hook is None else _hook(result.hook),
        credential_kind=None if result.credential_kind is None else result.credential_kind.value,
        metadata=result.metadata,
        firmware=firmware(result.firmware),
        created_at=rfc3339(result.created_at),
        updated_at=rfc3339(result.updated_at),
        version=result.version,
    )


def firmware(result: Firmware | None) -> objects.Firmware | None:
    """Show which firmware is to run."""
    if result is None:
        return None
    return objects.Firmware(version=result.version, url=result.url, size=result.size, sha256=result.sha256)


def _signed(policy: SignedPolicy) -> objects.SignedPolicy:
    return objects.SignedPolicy(**{**msgspec.structs.asdict(policy), "reallocation": policy.reallocation.value})


def _chain(policy: ChainPolicy) -> objects.ChainPolicy:
    return objects.ChainPolicy(
        certificate=write_pem(map(base64.b64decode, policy.authorities)),
        anchor=policy.anchor,
        pattern=policy.pattern,
        create=policy.create,
        lax=policy.lax,
    )


def _hook(hook: Hook, secret: Secret | UnsetType = UNSET) -> objects.Hook:
    return objects.Hook(url=hook.url, seconds=hook.seconds, secret=secret)


def _issuing(policy: IssuingPolicy) -> objects.IssuingPolicy:
    return objects.IssuingPolicy(lifetime_days=policy.lifetime_s // DAY_SECONDS, key_pairs=policy.key_pairs)


def secret_profile(result: results.SecretProfile) -> objects.ProfileWithSecret:
    """Show a profile with its secret."""
    shown = _with_hook_secret(result.profile, result.hook_secret)
    return objects.ProfileWithSecret(**msgspec.structs.asdict(shown), provision_secret=result.secret)


def changed_profile(result: Profile | results.HookedProfile) -> objects.Profile:
    """Show a profile, with the secret of its hook where that is new."""
    if isinstance(result, results.HookedProfile):
        return _with_hook_secret(result.profile, result.hook_secret)
    return profile(result)


def _with_hook_secret(result: Profile, secret: Secret | None) -> objects.Profile:
    shown = profile(result)
    if result.hook is None or secret is None:
        return shown
    return msgspec.structs.replace(shown, hook=_hook(result.hook, secret))


def profile_page(result: results.Page[Profile]) -> objects.ProfilePage:
    """Show profiles."""
    return objects.ProfilePage(tuple(map(profile, result.items)), result.next)


def device(result: Device) -> objects.Device:
    """Show a device."""
    return objects.Device(
        id=result.id,
        name=result.name,
        label=result.label,
        profile=result.profile,
        state=result.state.value,
        enabled=result.enabled,
        metadata=result.metadata,
        serial=result.serial,
        owner=result.owner,
        firmware=firmware(result.firmware),
        runs=result.runs,
        provisioned_at=moment(result.provisioned_at),
        connected_at=moment(result.connected_at),
        associated_at=moment(result.associated_at),
        discarded_at=moment(result.discarded_at),
        created_at=rfc3339(result.created_at),
        updated_at=rfc3339(result.updated_at),
        version=result.version,
    )


def defined_device(result: results.DefinedDevice) -> objects.DeviceWithCredentials:
    """Show a new device with its credentials."""
    shown = device(result.device)
    return objects.DeviceWithCredentials(
        **msgspec.structs.asdict(shown), credentials=tuple(map(credential, result.credentials))
    )


def device_page(result: results.Page[Device]) -> objects.DevicePage:
    """Show devices."""
    return objects.DevicePage(tuple(map(device, result.items)), result.next)


def credentials(result: results.Page[results.ShownCredential]) -> objects.Credentials:
    """Show the credentials of a device."""
    return objects.Credentials(tuple(map(credential, result.items)))


def credential(result: results.ShownCredential) -> objects.Credential:
    """Show a credential, with its value where that was kept."""
    shown = partial(
        SHOWN[result.credential.kind],
        id=result.credential.id,
        created_at=rfc3339(result.credential.created_at),
        expires_at=moment(result.credential.expires_at),
        expired=result.expired,
        trial=result.credential.trial,
    )
    return shown(**parts(result.value))


def parts(value: CredentialValue | None) -> dict[str, Any]:
    """Return the members that a credential's value has, none where it was not kept."""
    match value:
        case None:
            return {}
        case Certificate(text=text):
            return {"certificate": text}
        case _:
            return msgspec.structs.asdict(value)


def imported(result: results.Imported) -> objects.Imported:
    """Show what became of an import."""
    errors = tuple(objects.RowError(error.line, error.name, error.reason) for error in result.errors)
    return objects.Imported(result.created, result.unchanged, errors)


def token(result: OperatorToken) -> objects.Token:
    """Show a bearer token without its text."""
    return objects.Token(id=result.id, name=result.name, role=result.role.value, created_at=rfc3339(result.created_at))


def secret_token(result: results.SecretToken) -> objects.TokenWithText:
    """Show a bearer token with its text."""
    return objects.TokenWithText(**msgspec.structs.asdict(token(result.token)), token=result.text)


def token_page(result: results.Page[OperatorToken]) -> objects.TokenPage:
    """Show bearer tokens."""
    return objects.TokenPage(tuple(map(token, result.items)), result.next)


def event_page(result: results.Page[Event]) -> objects.EventPage:
    """Show events."""
    return objects.EventPage(tuple(map(event, result.items)), result.next)


def event(result: Event) -> objects.Event:
    """Show an event."""
    return objects.Event(
        id=result.id,
        at=rfc3339(result.at),
        kind=result.kind.value,
        correlation=result.correlation,
        protocol=result.protocol,
        dialect=result.dialect,
        source=result.source,
        actor=result.actor,
        profile=result.profile,
        device=result.device,
        device_name=result.device_name,
        check=result.check,
        detail=result.detail,
    )


SHOWN: dict[CredentialKind, type[objects.Credential]] = {
    CredentialKind.ACCESS_TOKEN: objects.AccessToken,
    CredentialKind.MQTT_BASIC: objects.MqttBasic,
    CredentialKind.X509_CERTIFICATE: objects.Certificate,
    CredentialKind.LWM2M: objects.Lwm2m,
    CredentialKind.CLIENT_SECRET: objects.ClientSecret,
    CredentialKind.DEVICE_SECRET: objects.DeviceSecret,
    CredentialKind.OSCORE: objects.Oscore,
}


def _reveal(value: Any) -> str:
    """Write a secret out: an answer that holds one is meant to."""
    assert isinstance(value, Secret)  # noqa: S101 - the answers hold nothing else that JSON does not know
    return value.reveal()
