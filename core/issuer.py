"""Issues credentials and tells whether what is presented matches one."""

import base64
import hmac

import msgspec

from core import credentials
from core.crypto.tokens import new_id, random_text, random_uuid
from core.crypto.vault import Vault
from core.messages import AccessToken, ClientSecret, CredentialValue, MqttBasic, MqttLogin, Triple
from core.model import Credential, CredentialId, DeviceId, Lookup, Secret
from core.ports import Clock, Entropy, KeyMaker

TOKEN_CHARACTERS = 20
DEVICE_KEY_CHARACTERS = 10
DEVICE_SECRET_CHARACTERS = 32
SECRET_BYTES = 32
_PURPOSE = "credential"
_SALT_BYTES = 16
_CLIENT_ID, _USERNAME, _PASSWORD = 1, 2, 4


class Issuer(msgspec.Struct, frozen=True):
    """Makes credentials from values: looked up by keyed digest, compared by scrypt, sealed where they must be given again."""

    vault: Vault
    clock: Clock
    entropy: Entropy
    keys: KeyMaker

    def new_token(self) -> AccessToken:
        """Draw an access token of 20 characters (119 bits)."""
        return AccessToken(Secret(random_text(TOKEN_CHARACTERS, self.entropy)))

    def new_secret(self) -> ClientSecret:
        """Draw a client secret: a UUID of version 4 (RFC 9562, section 5.4; 122 bits), as Mainflux makes them."""
        return ClientSecret(Secret(random_uuid(self.entropy)))

    def new_shown_secret(self) -> ClientSecret:
        """Draw a client secret of 32 bytes in base64 (RFC 4648, section 4): 44 characters, as Xively makes them."""
        return ClientSecret(Secret(base64.b64encode(self.entropy.draw(SECRET_BYTES)).decode("ascii")))

    def new_triple(self, product_key: str) -> Triple:
        """Draw device key (60 bits) and device secret (190 bits) for a product key, as EnOS has them."""
        key = random_text(DEVICE_KEY_CHARACTERS, self.entropy)
        return Triple(product_key, key, Secret(random_text(DEVICE_SECRET_CHARACTERS, self.entropy)))

    def lookup(self, value: CredentialValue) -> Lookup:
        """Return where the credential of this value is found."""
        return self.lookup_id(credentials.credential_id(value))

    def lookup_id(self, credential_id: str) -> Lookup:
        """Return where the credential of this id is found."""
        return self.vault.lookup(_PURPOSE, credential_id)

    async def issue(self, value: CredentialValue, device: DeviceId, *, keep: bool, expires_at: int | None = None) -> Credential:
        """Make a device's credential; with `keep` its value is sealed so that it can be revealed.

        Raises `Refusal` UNAVAILABLE when too many passwords are being stretched.
        """
        now = self.clock.now()
        identity = CredentialId(new_id(now, self.entropy))
        return Credential(
            id=identity,
            device=device,
            kind=credentials.KIND[type(value)],
            lookup=self.lookup(value),
            verifier=await self._verifier(value) if isinstance(value, MqttBasic) else b"",
            sealed=self.vault.seal(credentials.seal_text(value), credential_row(identity)) if keep else None,
            expires_at=expires_at,
            created_at=now,
        )

    def reveal(self, credential: Credential) -> CredentialValue | None:
        """Return the value of a credential that was kept, otherwise None. Raises `SealBroken`."""
        if credential.sealed is None:
            return None
        return credentials.from_seal_text(credential.kind, self.vault.open(credential.sealed, credential_row(credential.id)))

    async def matches(self, credential: Credential, login: MqttLogin) -> bool:
        """Tell whether every stored part of an MQTT credential equals what was presented."""
        if not credential.verifier:
            return True
        parts, expected = credential.verifier[0], credential.verifier[1:]
        content = _content(parts, login.client_id, login.username, login.password)
        if not parts & _PASSWORD:
            return hmac.compare_digest(expected, self.vault.digest("verifier", content))
        if not login.password.reveal():
            return False  # at once, as for a user who is not known: what takes long tells that there is a password
        salt, expected = expected[:_SALT_BYTES], expected[_SALT_BYTES:]
        return hmac.compare_digest(expected, await self.keys.stretch(content, salt))

    async def match_nothing(self, login: MqttLogin) -> None:
        """Do the work of `matches` for a login whose user is not known, so that both take the same time."""
        if login.password.reveal():
            await self.keys.stretch(login.password.reveal().encode("utf-8", "surrogatepass"), bytes(_SALT_BYTES))

    async def password_verifier(self, password: Secret) -> bytes:
        """Return what a person's password is compared with: a salt and its scrypt. Raises `Refusal` UNAVAILABLE."""
        salt = self.entropy.draw(_SALT_BYTES)
        return salt + await self.keys.stretch(_password(password), salt)

    async def password_matches(self, verifier: bytes, password: Secret) -> bool:
        """Tell whether a password is the one of a verifier; an empty verifier matches none, in the same time."""
        salt = verifier[:_SALT_BYTES] or bytes(_SALT_BYTES)
        return hmac.compare_digest(verifier[_SALT_BYTES:], await self.keys.stretch(_password(password), salt))

    async def _verifier(self, value: MqttBasic) -> bytes:
        parts = (
            (_CLIENT_ID if value.client_id else 0)
            | (_USERNAME if value.username else 0)
            | (_PASSWORD if value.password.reveal() else 0)
        )
        content = _content(parts, value.client_id, value.username, value.password)
        if not parts & _PASSWORD:
            return bytes([parts]) + self.vault.digest("verifier", content)
        salt = self.entropy.draw(_SALT_BYTES)
        return bytes([parts]) + salt + await self.keys.stretch(content, salt)


def _password(password: Secret) -> bytes:
    return password.reveal().encode("utf-8", "surrogatepass")


def credential_row(identity: CredentialId) -> bytes:
    """Return what a credential's sealed value is bound to."""
    return b"credential:" + identity.encode()


def _content(parts: int, client_id: str, username: str, password: Secret) -> bytes:
    """Join the stored parts, each with its length, so that no two sets of parts read the same."""
    stored = (
        text.encode("utf-8", "surrogatepass")
        for flag, text in ((_CLIENT_ID, client_id), (_USERNAME, username), (_PASSWORD, password.reveal()))
        if parts & flag
    )
    return b"".join(len(part).to_bytes(4, "big") + part for part in stored)
