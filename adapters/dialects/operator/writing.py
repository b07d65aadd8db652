"""From the core's results to what operators get: one function each, and the bytes of it."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from adapters.dialects.operator import objects
from core.messages import AccessToken, Certificate, ClientSecret, Lwm2m, MqttBasic
from core.model import CredentialKind, Device, Event, OperatorToken, Profile, Secret
from core.operate import results

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = ("name", "id", "profile", "state", "enabled", "created_at")


def time(milliseconds: int) -> str:
    """Write a time as RFC 3339 in UTC, with milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
        lines.writerow((each.name, each.id, each.profile, each.state.value, enabled, time(each.created_at)))
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
        options=result.options,
        created_at=time(result.created_at),
        updated_at=time(result.updated_at),
        version=result.version,
    )


def secret_profile(result: results.SecretProfile) -> objects.ProfileWithSecret:
    """Show a profile with its secret."""
    shown = profile(result.profile)
    return objects.ProfileWithSecret(**msgspec.structs.asdict(shown), provision_secret=result.secret)


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
        created_at=time(result.created_at),
        updated_at=time(result.updated_at),
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
    identity, made = result.credential.id, time(result.credential.created_at)
    match result.value:
        case AccessToken(token=token):
            return objects.AccessToken(id=identity, created_at=made, token=token)
        case MqttBasic(client_id=client_id, username=username, password=password):
            return objects.MqttBasic(id=identity, created_at=made, client_id=client_id, username=username, password=password)
        case Certificate(text=text):
            return objects.Certificate(id=identity, created_at=made, certificate=text)
        case Lwm2m(endpoint=endpoint):
            return objects.Lwm2m(id=identity, created_at=made, endpoint=endpoint)
        case ClientSecret(secret=secret):
            return objects.ClientSecret(id=identity, created_at=made, secret=secret)
        case _:
            return _BARE[result.credential.kind](id=identity, created_at=made)


def imported(result: results.Imported) -> objects.Imported:
    """Show what became of an import."""
    errors = tuple(objects.RowError(error.line, error.name, error.reason) for error in result.errors)
    return objects.Imported(result.created, result.unchanged, errors)


def token(result: OperatorToken) -> objects.Token:
    """Show a bearer token without its text."""
    return objects.Token(id=result.id, name=result.name, role=result.role.value, created_at=time(result.created_at))


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
        at=time(result.at),
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


_BARE: dict[CredentialKind, type[objects.Credential]] = {
    CredentialKind.ACCESS_TOKEN: objects.AccessToken,
    CredentialKind.MQTT_BASIC: objects.MqttBasic,
    CredentialKind.X509_CERTIFICATE: objects.Certificate,
    CredentialKind.LWM2M: objects.Lwm2m,
    CredentialKind.CLIENT_SECRET: objects.ClientSecret,
}


def _reveal(value: Any) -> str:
    """Write a secret out: an answer that holds one is meant to."""
    assert isinstance(value, Secret)  # noqa: S101 - the answers hold nothing else that JSON does not know
    return value.reveal()
