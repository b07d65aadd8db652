"""The table of the operator API: every path with what it takes, what it does and what it answers."""

from adapters.dialects.operator import bodies, commands, objects, writing
from adapters.dialects.operator.approving_endpoints import APPROVING
from adapters.dialects.operator.associating_endpoints import ASSOCIATING
from adapters.dialects.operator.certifying_endpoints import CERTIFYING
from adapters.dialects.operator.claim_key_endpoints import CLAIM_KEYS
from adapters.dialects.operator.configuring_endpoints import CONFIGURING
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.issuing_endpoints import ISSUING
from adapters.exchange import Carrier, Route, Success

EXPORT, DESCRIBE = "export_devices", "describe_api"

_PROFILES, _PROFILE = "/v1/profiles", "/v1/profiles/{id}"
_DEVICES, _DEVICE = "/v1/devices", "/v1/devices/{id}"
_CREDENTIALS = "/v1/devices/{id}/credentials"
_TOKENS, _TOKEN = "/v1/tokens", "/v1/tokens/{id}"

ENDPOINTS = (
    Endpoint(
        method="POST",
        path=_PROFILES,
        operation="create_profile",
        summary="Make a profile; its secret is shown this once.",
        read=commands.create_profile,
        body=bodies.NewProfile,
        write=writing.secret_profile,
        answer=objects.ProfileWithSecret,
        success=Success.CREATED,
    ),
    Endpoint(
        method="GET",
        path=_PROFILES,
        operation="list_profiles",
        summary="List profiles in the order of their making.",
        read=commands.list_profiles,
        query=bodies.Paged,
        write=writing.profile_page,
        answer=objects.ProfilePage,
    ),
    Endpoint(
        method="GET",
        path=_PROFILE,
        operation="show_profile",
        summary="Show a profile, by id or name.",
        read=commands.show_profile,
        write=writing.profile,
        answer=objects.Profile,
    ),
    Endpoint(
        method="PATCH",
        path=_PROFILE,
        operation="change_profile",
        summary="Change what is given of a profile.",
        read=commands.change_profile,
        body=bodies.ProfileChange,
        write=writing.changed_profile,
        answer=objects.Profile,
    ),
    Endpoint(
        method="DELETE",
        path=_PROFILE,
        operation="delete_profile",
        summary="Remove a profile that has no devices.",
        read=commands.delete_profile,
        success=Success.DELETED,
    ),
    Endpoint(
        method="POST",
        path="/v1/profiles/{id}/rotate",
        operation="rotate_profile",
        summary="Give a profile another secret, shown this once; the old one may be good for a while still.",
        read=commands.rotate_profile,
        body=bodies.ProfileRotation,
        may_omit_body=True,
        write=writing.secret_profile,
        answer=objects.ProfileWithSecret,
    ),
    Endpoint(
        method="POST",
        path=_DEVICES,
        operation="define_device",
        summary="Make a device before it speaks, with a credential that can be fetched again.",
        read=commands.define_device,
        body=bodies.NewDevice,
        write=writing.defined_device,
        answer=objects.DeviceWithCredentials,
        success=Success.CREATED,
    ),
    Endpoint(
        method="GET",
        path=_DEVICES,
        operation="list_devices",
        summary="List devices in the order of their making.",
        read=commands.list_devices,
        query=bodies.DeviceFilter,
        write=writing.device_page,
        answer=objects.DevicePage,
    ),
    Endpoint(
        method="POST",
        path="/v1/devices:import",
        operation="import_devices",
        summary="Define many devices; safe to repeat, and good rows are kept whatever the bad ones are.",
        read=commands.import_devices,
        body=bodies.Import,
        write=writing.imported,
        answer=objects.Imported,
    ),
    Endpoint(
        method="GET",
        path="/v1/devices:export",
        operation=EXPORT,
        summary="List devices as CSV; the header `X-Next` is the `after` of the next page.",
        read=commands.export_devices,
        query=bodies.DeviceFilter,
    ),
    Endpoint(
        method="GET",
        path=_DEVICE,
        operation="show_device",
        summary="Show a device, by id, name, or `name:` and its name.",
        read=commands.show_device,
        write=writing.device,
        answer=objects.Device,
    ),
    Endpoint(
        method="PATCH",
        path=_DEVICE,
        operation="change_device",
        summary="Enable or disable a device, let it provision again, discard it, replace its metadata.",
        read=commands.change_device,
        body=bodies.DeviceChange,
        write=writing.device,
        answer=objects.Device,
    ),
    Endpoint(
        method="DELETE",
        path=_DEVICE,
        operation="delete_device",
        summary="Remove a device and its credentials.",
        read=commands.delete_device,
        success=Success.DELETED,
    ),
    Endpoint(
        method="GET",
        path=_CREDENTIALS,
        operation="read_credentials",
        summary="Show all credentials of a device, with the values that were kept; this is recorded.",
        read=commands.read_credentials,
        write=writing.credentials,
        answer=objects.Credentials,
    ),
    Endpoint(
        method="DELETE",
        path=_CREDENTIALS,
        operation="revoke_credentials",
        summary="Take all credentials from a device.",
        read=commands.revoke_credentials,
        success=Success.DELETED,
    ),
    Endpoint(
        method="GET",
        path="/v1/events",
        operation="list_events",
        summary="List what happened, the oldest first.",
        read=commands.list_events,
        query=bodies.EventFilter,
        write=writing.event_page,
        answer=objects.EventPage,
    ),
    Endpoint(
        method="POST",
        path=_TOKENS,
        operation="create_token",
        summary="Make a bearer token; its text is shown this once.",
        read=commands.create_token,
        body=bodies.NewToken,
        write=writing.secret_token,
        answer=objects.TokenWithText,
        success=Success.CREATED,
    ),
    Endpoint(
        method="GET",
        path=_TOKENS,
        operation="list_tokens",
        summary="List bearer tokens, without their texts.",
        read=commands.list_tokens,
        query=bodies.Paged,
        write=writing.token_page,
        answer=objects.TokenPage,
    ),
    Endpoint(
        method="DELETE",
        path=_TOKEN,
        operation="delete_token",
        summary="Make a bearer token worthless, by id or name.",
        read=commands.delete_token,
        success=Success.DELETED,
    ),
    *ISSUING,
    *CERTIFYING,
    *CLAIM_KEYS,
    *CONFIGURING,
    *ASSOCIATING,
    *APPROVING,
)

DESCRIPTION_ROUTE = Route(carrier=Carrier.HTTP, method="GET", path="/openapi.json", operation=DESCRIBE)
ROUTES = (
    *(
        Route(carrier=Carrier.HTTP, method=endpoint.method, path=endpoint.path, operation=endpoint.operation)
        for endpoint in ENDPOINTS
    ),
    DESCRIPTION_ROUTE,
)
BY_OPERATION = {endpoint.operation: endpoint for endpoint in ENDPOINTS}
