"""Whose names are these: the device or user that a broker let in once, when it has no password to show any more."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from core.errors import Reason, Refusal
from core.logins import Logins, secret_proof
from core.messages import Identity, Standing
from core.model import Credential, CredentialId, CredentialKind, Device, DeviceId, DirectoryEntry, EntryId
from core.mqtt_names import SESSION_USER, MqttNames, is_drawn_id
from core.queries import AnyDeviceQuery, AnyEntryQuery, DeviceSnapshot

_AT_BROKERS = frozenset(
    {
        CredentialKind.ACCESS_TOKEN,
        CredentialKind.MQTT_BASIC,
        CredentialKind.CLIENT_SECRET,
        CredentialKind.DEVICE_SECRET,
    }
)


class GivenId(msgspec.Struct, frozen=True):
    """The id of a device or user that the answer to its login gave to the connection for a name."""

    id: str


class Acquaintances(msgspec.Struct, frozen=True):
    """Finds who has a name, by the same rules as the login. `holds` tells whether its credential is good still.

    Names are proof only where nobody else can have them. A name that is somebody's id is nobody else's, whatever others may
    have chosen for a user name; and where two devices could be meant, neither is. Users of a session all have one name, so
    they are told apart by a given id alone.
    """

    logins: Logins
    holds: Callable[[Identity], Coroutine[Any, Any, Standing]]

    async def named(self, username: str, client_id: str) -> Identity:
        """Return who logs in with these names, whatever the secret. Raises `Refusal` FORBIDDEN, UNAVAILABLE."""
        return await self.find(MqttNames(username, client_id))

    async def find(self, who: MqttNames | GivenId) -> Identity:
        """Return who this is, with a credential that is good now. Raises `Refusal` FORBIDDEN, UNAVAILABLE."""
        candidates = await self._of_id(who.id) if isinstance(who, GivenId) else await self._of_names(who)
        for candidate in candidates:
            if (await self.holds(candidate)).holds:
                return candidate
        raise Refusal(Reason.FORBIDDEN, "nobody who may come in has this name", check="broker.name")

    async def _of_id(self, identity: str) -> tuple[Identity, ...]:
        device = await self.logins.repository.read(AnyDeviceQuery(DeviceId(identity)))
        if device is not None:
            return _with(device, _AT_BROKERS)
        entry = await self._entry(identity)
        return () if entry is None else tuple(_as_user(entry, proof) for proof in self._proofs(entry))

    async def _of_names(self, names: MqttNames) -> tuple[Identity, ...]:
        if names.username == SESSION_USER or not names.name:
            return ()
        owner = await self.logins.repository.read(AnyDeviceQuery(DeviceId(names.name)))
        chosen = await self.logins.named(names)
        if owner is not None:
            own = tuple(_identity(found.device, found.credential) for found in chosen if found.device.id == names.name)
            return (*_with(owner, frozenset({CredentialKind.CLIENT_SECRET})), *own)
        entry = await self._entry(names.name)
        if entry is not None:
            return (_as_user(entry, secret_proof(entry.lookup)),) if entry.lookup is not None else ()
        if len({found.device.id for found in chosen}) > 1:
            return ()
        return tuple(_identity(found.device, found.credential) for found in chosen)

    async def _entry(self, name: str) -> DirectoryEntry | None:
        return await self.logins.repository.read(AnyEntryQuery(EntryId(name))) if is_drawn_id(name) else None

    def _proofs(self, entry: DirectoryEntry) -> tuple[str, ...]:
        """Return what a user may have logged in with: its MQTT secret, or a session of its password."""
        secret = (secret_proof(entry.lookup),) if entry.lookup is not None else ()
        return (*secret, self.logins.password_mark(entry)) if entry.role is not None else secret


def _with(found: DeviceSnapshot, kinds: frozenset[CredentialKind]) -> tuple[Identity, ...]:
    """Return a device with each of its credentials of some kinds, the newest first."""
    return tuple(_identity(found.device, credential) for credential in reversed(found.credentials) if credential.kind in kinds)


def _identity(device: Device, credential: Credential) -> Identity:
    return Identity(device.tenant, device.id, device.name, credential.id, until=credential.expires_at)


def _as_user(entry: DirectoryEntry, proof: str) -> Identity:
    return Identity(entry.tenant, DeviceId(entry.id), entry.login or entry.name, CredentialId(proof), user=True)
