"""Authenticate: who is this? A device presents what it was issued."""

import msgspec

from core import lifecycle
from core.audit import Audit
from core.configuration import Seals, is_let_in
from core.credentials import basic_id, secret_id
from core.errors import Conflict, Reason, Refusal
from core.issuer import Issuer
from core.limits import Buckets, require
from core.messages import Context, Identity, Login, MqttLogin, TokenLogin
from core.model import CredentialKind, Device, DeviceState, EventKind
from core.ports import Changes, Repository
from core.queries import ConfigQuery, DeviceQuery, ExternalKeyQuery, KeySnapshot, LoginQuery, LoginSnapshot


class Authenticate(msgspec.Struct, frozen=True):
    """The use case. Only refused logins count against a source, so many devices behind one address do no harm."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Buckets

    async def __call__(self, login: Login, context: Context) -> Identity:
        """Return whose credential this is, after marking the device's first login.

        Raises `Refusal` UNAUTHENTICATED, recorded as an event; TOO_MANY after too many refused logins from one source.
        """
        found: LoginSnapshot | KeySnapshot | None = None
        try:
            require(self.failures.wait(context.stranger, self.issuer.clock.monotonic()), "limit.login")
            found = await self._find(login)
            self._require_usable(found.device)
        except Refusal as refusal:
            if refusal.reason is Reason.UNAUTHENTICATED:
                self.failures.take(context.stranger, self.issuer.clock.monotonic())
            await self.audit.refused(
                EventKind.LOGIN_REFUSED,
                context,
                refusal,
                device=found.device if found else None,
            )
            raise
        device = found.device
        if isinstance(found, KeySnapshot):
            return Identity(device.tenant, device.id, device.name, None)
        await self._connected(found, context)
        return Identity(device.tenant, device.id, device.name, found.credential.id)

    async def holds(self, identity: Identity) -> bool:
        """Tell whether what a connection proved once is true still. Raises `Refusal` UNAVAILABLE."""
        found = await self.repository.read(DeviceQuery(identity.tenant, identity.device))
        if found is None or not is_let_in(found.device):
            return False
        if identity.credential is None:
            return await self.repository.read(ConfigQuery(identity.tenant, identity.device)) is not None
        return any(credential.id == identity.credential for credential in found.credentials)

    async def _find(self, login: Login) -> LoginSnapshot | KeySnapshot:
        if isinstance(login, TokenLogin):
            (found,) = await self.repository.read(LoginQuery((self.issuer.lookup_id(login.token.reveal()),)))
            if found is None or found.credential.kind is not CredentialKind.ACCESS_TOKEN:
                raise _unknown("login.token")
            return found
        return await self._find_mqtt(login)

    async def _find_mqtt(self, login: MqttLogin) -> LoginSnapshot | KeySnapshot:
        """Look for the device id and its secret, for client id and user name together, and for the user name alone.

        The last two in ThingsBoard's order; then for an external id and its key.
        """
        ids = [secret_id(login.password.reveal()), basic_id(login.client_id, login.username)]
        if login.client_id and login.username:
            ids.append(login.username)
        by_secret, *candidates = await self.repository.read(LoginQuery(tuple(map(self.issuer.lookup_id, ids))))
        if by_secret is not None and by_secret.device.id == login.username:
            return by_secret
        for place, found in enumerate(candidates):
            kinds = (CredentialKind.MQTT_BASIC,) if _is_joint(login, place) else _BY_NAME
            if found is not None and found.credential.kind in kinds:
                if await self.issuer.matches(found.credential, login):
                    return found
                raise _unknown("login.password")
        config = await self._find_config(login)
        if config is not None:
            return config
        await self.issuer.match_nothing(login)
        raise _unknown("login.user")

    async def _find_config(self, login: MqttLogin) -> KeySnapshot | None:
        """Return the configuration whose external id and key are user name and password."""
        if not login.username or not login.password.reveal():
            return None
        found = await self.repository.read(ExternalKeyQuery(login.username))
        vault = self.issuer.vault
        expected = Seals(vault).external_key(found.device.id, found.external_key) if found else vault.open_decoy()
        return found if expected == login.password else None

    def _require_usable(self, device: Device) -> None:
        if not device.enabled:
            raise _unknown("device.disabled")
        if device.state is DeviceState.DISCARDED:
            raise _unknown("device.discarded")

    async def _connected(self, found: LoginSnapshot, context: Context) -> None:
        if found.device.state is not DeviceState.PROVISIONED:
            return
        device = lifecycle.advance(found.device, DeviceState.CONNECTED, self.issuer.clock.now())
        event = self.audit.device_event(EventKind.DEVICE_CONNECTED, context, device)
        try:
            await self.repository.commit(Changes(replace=(device,), events=(event,)))
        except Conflict:
            return  # the same device logged in elsewhere at this moment, or an operator changed it: nothing is lost


_BY_NAME = (CredentialKind.ACCESS_TOKEN, CredentialKind.MQTT_BASIC)


def _is_joint(login: MqttLogin, place: int) -> bool:
    """Tell whether a candidate was found by more than a user name, where a token cannot stand."""
    return place == 0 and bool(login.client_id)


def _unknown(check: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check=check)
