"""Which key a PSK identity (RFC 4279) has, and what whoever has that key proves by it."""

import msgspec

from core.attestation import secret_row, takes_claims
from core.configuration import Seals
from core.credentials import triple_id
from core.crypto.tokens import random_text
from core.issuer import Issuer
from core.messages import ClientSecret, CredentialValue, Identity, Preshared, PresharedQuestion, Triple
from core.model import Credential, CredentialKind, Device, DeviceId, Secret
from core.ports import Repository
from core.queries import AnyDeviceQuery, ClaimQuery, ExternalKeyQuery, LoginQuery
from core.triples import Keys, keys_of

IDENTITY_BYTES = 128  # what every implementation takes at least (RFC 4279, section 5.3)
NOBODYS_CHARACTERS = 32
_NO_KEYS = Keys("", "")


class PresharedKeys(msgspec.Struct, frozen=True):
    """Finds the key of a device or of a claim.

    An identity that more than one could mean is, in this order: the id of a device, the keys of a triple, the external id of a
    configuration, a claim key; what was drawn here comes before what somebody may have chosen. Whether the device may come in
    is not looked at here: that is asked, and recorded, by a `ProvenLogin` once the key was right.
    """

    repository: Repository
    issuer: Issuer

    async def find(self, question: PresharedQuestion) -> Preshared:
        """Return the key; of an identity that is not known one that nobody has, after the same reads and opened seals."""
        identity = question.identity
        nobodys = Preshared(Secret(random_text(NOBODYS_CHARACTERS, self.issuer.entropy)))
        if not _is_identity(identity):
            return nobodys
        candidates = (
            await self._of_device(identity),
            await self._of_triple(identity),
            await self._of_configuration(identity),
            await self._of_claim(identity),
        )
        return next((each for each in candidates if each is not None and each.key.reveal()), nobodys)

    async def _of_device(self, identity: str) -> Preshared | None:
        """Return a client secret that a device has, mostly the newest. One that was shown once and not kept is no key."""
        found, now = await self.repository.read(AnyDeviceQuery(DeviceId(identity))), self.issuer.clock.now()
        secrets = [each for each in found.credentials if _is_client_secret(each, now)] if found is not None else []
        chosen = self._one_of(secrets)
        value = self._reveal(chosen)
        if found is None or chosen is None or not isinstance(value, ClientSecret):
            return None
        return _proving(found.device, chosen, value.secret)

    def _one_of(self, secrets: list[Credential]) -> Credential | None:
        """Return the newest secret; where that is on trial, as often the one before it.

        A handshake can try one key, and nobody knows which of them the device has: with either it gets in after a few.
        """
        if len(secrets) > 1 and secrets[-1].trial and self.issuer.entropy.draw(1)[0] & 1:
            return secrets[-2]
        return secrets[-1] if secrets else None

    async def _of_triple(self, identity: str) -> Preshared | None:
        keys = keys_of(identity) or _NO_KEYS
        lookup = self.issuer.lookup_id(triple_id(keys.product_key, keys.device_key))
        (found,) = await self.repository.read(LoginQuery((lookup,)))
        is_over = found is not None and found.credential.is_over(self.issuer.clock.now())
        value = self._reveal(found.credential if found is not None and not is_over else None)
        if found is None or not isinstance(value, Triple):
            return None
        return _proving(found.device, found.credential, value.secret)

    async def _of_configuration(self, identity: str) -> Preshared | None:
        found = await self.repository.read(ExternalKeyQuery(identity))
        if found is None:
            self._reveal(None)
            return None
        key = Seals(self.issuer.vault).external_key(found.device.id, found.external_key)
        return Preshared(key, Identity(found.device.tenant, found.device.id, found.device.name, None))

    async def _of_claim(self, identity: str) -> Preshared | None:
        """Return the secret that a profile has now: a handshake cannot try the one before."""
        profile = (await self.repository.read(ClaimQuery(identity, ""))).profile
        if profile is None or not takes_claims(profile, self.issuer.clock.now()):
            self._reveal(None)
            return None
        return Preshared(self.issuer.vault.open(profile.provision_secret, secret_row(profile.id)), claim=identity)

    def _reveal(self, credential: Credential | None) -> CredentialValue | None:
        """Return the value of a credential that was kept; where there is none a seal is opened all the same."""
        if credential is None or credential.sealed is None:
            self.issuer.vault.open_decoy()
            return None
        return self.issuer.reveal(credential)


def _is_client_secret(credential: Credential, now: int) -> bool:
    return credential.kind is CredentialKind.CLIENT_SECRET and not credential.is_over(now)


def _proving(device: Device, credential: Credential, key: Secret) -> Preshared:
    return Preshared(key, Identity(device.tenant, device.id, device.name, credential.id, until=credential.expires_at))


def _is_identity(text: str) -> bool:
    """Tell whether a text can be an identity: UTF-8 without NUL, which OpenSSL would cut it off at."""
    try:
        return 0 < len(text.encode()) <= IDENTITY_BYTES and "\0" not in text
    except UnicodeEncodeError:
        return False
