"""Whether a device that asks for its identity again proves that it has a credential or key of its own still."""

import msgspec

from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.logins import Logins, UserLogin
from core.messages import CredentialValue, Identity, MqttBasic, MqttLogin, ProvenLogin, ProvisionRequest, TokenLogin
from core.model import Credential, CredentialId, CredentialKind, Device
from core.ports import Repository
from core.queries import LoginSnapshot

_SECRET = frozenset({CredentialKind.ACCESS_TOKEN, CredentialKind.MQTT_BASIC, CredentialKind.CLIENT_SECRET})
"""The kinds that prove something where they are merely named: a certificate is no secret."""


class Proof(msgspec.Struct, frozen=True):
    """What a device proved to have: one of its credentials, or its external key (None).

    `proposed` is there where it did so by proposing that very credential.
    """

    credential: CredentialId | None
    proposed: CredentialValue | None = None


class Proofs(msgspec.Struct, frozen=True):
    """Looks for a proof: in the credential that a device proposes, then in what it presented, then in its connection."""

    repository: Repository
    issuer: Issuer

    async def find(self, request: ProvisionRequest, device: Device, held: tuple[Credential, ...]) -> Proof | None:
        """Return what proves that somebody is the device that holds these credentials, None where nothing does.

        Raises `Refusal` UNAVAILABLE.
        """
        if request.credential is not None:
            own = await self._proposed(request.credential, held)
            if own is not None:
                return Proof(own.id, request.credential)
        return await self._presented(request.proof, device) if request.proof is not None else None

    async def _proposed(self, value: CredentialValue, held: tuple[Credential, ...]) -> Credential | None:
        lookup, now = self.issuer.lookup(value), self.issuer.clock.now()
        for credential in held:
            if credential.lookup == lookup and credential.kind in _SECRET and not credential.is_over(now):
                return credential if await self._is_right(value, credential) else None
        return None

    async def _is_right(self, value: CredentialValue, credential: Credential) -> bool:
        """Tell whether a proposed value is the stored one in all its parts, the lookup's own being right already."""
        if not isinstance(value, MqttBasic):
            return credential.kind is not CredentialKind.MQTT_BASIC
        return credential.kind is CredentialKind.MQTT_BASIC and await self.issuer.matches(
            credential, MqttLogin(value.client_id, value.username, value.password)
        )

    async def _presented(self, presented: TokenLogin | MqttLogin | Identity, device: Device) -> Proof | None:
        login = ProvenLogin(presented) if isinstance(presented, Identity) else presented
        try:
            found = await Logins(self.repository, self.issuer).find(login)
        except Refusal as refusal:
            if refusal.reason is Reason.UNAVAILABLE:
                raise
            return None
        if isinstance(found, UserLogin) or found.device.id != device.id:
            return None
        return Proof(found.credential.id if isinstance(found, LoginSnapshot) else None)
