"""What a device should have at the broker: its clients and its role, out of what the registry knows. Pure."""

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from adapters.brokers.dynamic_security.wire import Acl
from core.configuration import is_let_in
from core.crypto.vault import SealBroken, Vault
from core.issuer import Issuer
from core.messages import ClientSecret, MqttBasic
from core.model import BootstrapConfig, Credential, CredentialKind, Device, DeviceId, DeviceState, Secret

ROLE_PREFIX: Final = "firstlight-"
STAMP_BYTES: Final = 8
MARK_BYTES: Final = 6


class Unkept(enum.Enum):
    """Why a credential cannot be had at the broker."""

    SIGNED = "signed anew at each login"
    NO_PASSWORD = "tokens, certificates and logins without a password"  # noqa: S105 - words for a reason, no secret
    NOT_SEALED = "shown once and not kept here"
    SUPERSEDED = "older ones of a user name that has a newer one"
    TAKEN = "user names that another client of the broker has"


class Account(msgspec.Struct, frozen=True):
    """A client of the broker: a user name with its password; an empty client id is any. `stamp` tells one from the next."""

    username: str
    password: Secret
    client_id: str
    stamp: str
    enabled: bool


class Wanted(msgspec.Struct, frozen=True):
    """What one device should have. `until` is when the first of its credentials is over; None: never."""

    device: DeviceId
    accounts: tuple[Account, ...] = ()
    acls: frozenset[Acl] = frozenset()
    unkept: tuple[Unkept, ...] = ()
    until: int | None = None


def want(
    device: Device, credentials: Iterable[Credential], config: BootstrapConfig | None, acls: frozenset[Acl], issuer: Issuer
) -> Wanted:
    """Return what a device should have at the broker; a discarded one has nothing.

    A disabled device keeps its clients, disabled; so does a device whose configuration is inactive with its client secret.
    """
    if device.state is DeviceState.DISCARDED:
        return Wanted(device.id)
    now = issuer.clock.now()
    valid = [credential for credential in credentials if not credential.is_over(now)]
    accounts: dict[str, Account] = {}
    unkept: list[Unkept] = []
    for credential in reversed(valid):
        found = _account(device, credential, config, issuer)
        if isinstance(found, Account) and found.username in accounts:
            unkept.append(Unkept.SUPERSEDED)
        elif isinstance(found, Account):
            accounts[found.username] = found
        elif found is not None:
            unkept.append(found)
    return Wanted(
        device.id,
        tuple(accounts.values()),
        acls,
        tuple(unkept),
        min((credential.expires_at for credential in valid if credential.expires_at is not None), default=None),
    )


def role_name(device: DeviceId) -> str:
    """Return the name of a device's role."""
    return ROLE_PREFIX + device


def ownership(vault: Vault) -> str:
    """Return the text name of all that this registry keeps at a broker: other registries, with other keys, have another."""
    return f"firstlight {vault.digest('dynamic security owner', b'')[:MARK_BYTES].hex()}"


def _account(device: Device, credential: Credential, config: BootstrapConfig | None, issuer: Issuer) -> Account | Unkept | None:
    """Return the client for a credential, or why there is none; None where it is nothing to log in to a broker with."""
    if credential.kind in (CredentialKind.LWM2M, CredentialKind.OSCORE):
        return None
    if credential.kind is CredentialKind.DEVICE_SECRET:
        return Unkept.SIGNED
    if credential.kind not in (CredentialKind.CLIENT_SECRET, CredentialKind.MQTT_BASIC):
        return Unkept.NO_PASSWORD
    try:
        value = issuer.reveal(credential)
    except SealBroken:
        return Unkept.NOT_SEALED
    enabled = is_let_in(device)
    match value:
        case ClientSecret(secret=secret):
            active = config is None or config.active
            return _stamped(credential, device.id, secret, "", enabled and active, issuer.vault)
        case MqttBasic(client_id=client_id, username=username, password=password) if username and password.reveal():
            return _stamped(credential, username, password, client_id, enabled, issuer.vault)
        case None:
            return Unkept.NOT_SEALED
        case _:
            return Unkept.NO_PASSWORD


def _stamped(
    credential: Credential, username: str, password: Secret, client_id: str, enabled: bool, vault: Vault
) -> Account | Unkept:
    parts = (credential.id, username, client_id, password.reveal())
    try:
        content = msgspec.json.encode(parts)
    except UnicodeEncodeError:  # half of a surrogate pair, which MQTT has no way to send (OASIS MQTT 5.0, section 1.5.4)
        return Unkept.NO_PASSWORD
    return Account(username, password, client_id, vault.digest("dynamic security", content)[:STAMP_BYTES].hex(), enabled)
