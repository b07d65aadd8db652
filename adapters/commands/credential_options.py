"""The options by which an operator gives a device its credential."""

import argparse

from adapters.commands.api import Credential
from adapters.commands.failure import UsageError
from adapters.commands.secret_input import add_secret, read_secret, read_text
from core.model import CredentialKind

CREDENTIAL_EPILOG = """\
Without any of the credential's options the gateway draws one of the kind that the device has, or its profile wants.
"""


def add_credential_options(parser: argparse.ArgumentParser) -> None:
    """Declare them: a token, MQTT names and password, a certificate, an LwM2M endpoint, a client secret, an OSCORE context."""
    add_secret(parser, "token", "the device's access token")
    parser.add_argument("--client-id", metavar="ID", help="the device's MQTT client id")
    parser.add_argument("--username", metavar="NAME", help="the device's MQTT user name")
    add_secret(parser, "password", "the device's MQTT password")
    parser.add_argument("--certificate-file", metavar="FILE", help="the device's certificate (PEM)")
    parser.add_argument("--endpoint", metavar="NAME", help="the device's LwM2M endpoint name")
    add_secret(parser, "client-secret", "the secret of a device that names itself by its id")
    group = parser.add_argument_group("an OSCORE context (RFC 8613), in hex")
    group.add_argument("--oscore", action="store_true", help="draw what of it is not given")
    group.add_argument("--oscore-device-id", metavar="HEX", help="the device's Sender ID (default: drawn)")
    group.add_argument("--oscore-server-id", metavar="HEX", help="the server's Sender ID (default: empty)")
    add_secret(group, "oscore-secret", "the Master Secret (default: drawn)")
    group.add_argument("--oscore-salt", metavar="HEX", help="the Master Salt (default: empty)")
    group.add_argument("--oscore-id-context", metavar="HEX", help="the ID Context (default: empty)")


def credential_from(args: argparse.Namespace) -> Credential | None:
    """Return the credential that was given, None for none. Raises `UsageError`, also where two kinds are mixed."""
    return choose_credential(
        token=read_secret(args, "token"),
        client_id=args.client_id,
        username=args.username,
        password=read_secret(args, "password"),
        certificate=read_text(args.certificate_file, "--certificate-file") if args.certificate_file else None,
        endpoint=args.endpoint,
        client_secret=read_secret(args, "client-secret"),
        oscore_device_id=args.oscore_device_id,
        oscore_server_id=args.oscore_server_id,
        oscore_secret=read_secret(args, "oscore-secret"),
        oscore_salt=args.oscore_salt,
        oscore_id_context=args.oscore_id_context,
        oscore=args.oscore,
    )


def choose_credential(
    *,
    token: str | None = None,
    client_id: str | None = None,
    username: str | None = None,
    password: str | None = None,
    certificate: str | None = None,
    endpoint: str | None = None,
    client_secret: str | None = None,
    oscore_device_id: str | None = None,
    oscore_server_id: str | None = None,
    oscore_secret: str | None = None,
    oscore_salt: str | None = None,
    oscore_id_context: str | None = None,
    oscore: bool = False,
) -> Credential | None:
    """Return the credential of the one kind whose values there are. Raises `UsageError` where there are more kinds."""
    offered = []
    if token:
        offered.append(Credential(type=CredentialKind.ACCESS_TOKEN.value, token=token))
    if client_id or username or password:
        kind = CredentialKind.MQTT_BASIC.value
        offered.append(Credential(type=kind, client_id=client_id or None, username=username or None, password=password or None))
    if certificate:
        offered.append(Credential(type=CredentialKind.X509_CERTIFICATE.value, certificate=certificate))
    if endpoint:
        offered.append(Credential(type=CredentialKind.LWM2M.value, endpoint=endpoint))
    if client_secret:
        offered.append(Credential(type=CredentialKind.CLIENT_SECRET.value, secret=client_secret))
    context = Credential(
        type=CredentialKind.OSCORE.value,
        device_id=oscore_device_id,
        server_id=oscore_server_id,
        secret=oscore_secret,
        salt=oscore_salt,
        id_context=oscore_id_context,
    )
    if oscore or context != Credential(type=context.type):
        offered.append(context)
    if len(offered) > 1:
        raise UsageError(f"{' and '.join(each.type for each in offered)}: a device has one kind of credential")
    return offered[0] if offered else None
