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
    """Declare them: an access token, MQTT user name and password, a certificate, an LwM2M endpoint or a client secret."""
    add_secret(parser, "token", "the device's access token")
    parser.add_argument("--client-id", metavar="ID", help="the device's MQTT client id")
    parser.add_argument("--username", metavar="NAME", help="the device's MQTT user name")
    add_secret(parser, "password", "the device's MQTT password")
    parser.add_argument("--certificate-file", metavar="FILE", help="the device's certificate (PEM)")
    parser.add_argument("--endpoint", metavar="NAME", help="the device's LwM2M endpoint name")
    add_secret(parser, "client-secret", "the secret of a device that names itself by its id")


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
    if len(offered) > 1:
        raise UsageError(f"{' and '.join(each.type for each in offered)}: a device has one kind of credential")
    return offered[0] if offered else None
