"""Whose login is this: the credential, external key or user behind what was presented, once it is proved."""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from core.configuration import Seals
from core.credentials import secret_id, triple_id
from core.crypto import session_tokens, signatures
from core.crypto.session_tokens import Audience, Session
from core.errors import Reason, Refusal, WrongSecret
from core.issuer import Issuer
from core.messages import Certificate, Identity, MqttLogin, ProvenLogin, TokenLogin, Triple, TripleLogin
from core.model import Credential, CredentialId, CredentialKind, DeviceId, DirectoryEntry, EntryId, Lookup, Secret
from core.mqtt_names import SESSION_USER, MqttNames, Place, is_drawn_id
from core.ports import Repository
from core.queries import (
    ConfigQuery,
    DeviceQuery,
    EntryQuery,
    EntrySecretQuery,
    ExternalKeyQuery,
    KeySnapshot,
    LoginQuery,
    LoginSnapshot,
)
from core.triples import require_signed

_MARK_BYTES = 8
_MARK_CHARACTERS = 8


class UserLogin(msgspec.Struct, frozen=True):
    """A user of the directory; `proof` tells which of its secrets was presented."""

    entry: DirectoryEntry
    proof: str


Presented = TokenLogin | MqttLogin | TripleLogin | ProvenLogin
Found = LoginSnapshot | KeySnapshot | UserLogin


class Logins(msgspec.Struct, frozen=True):
    """Finds and proves. A credential whose time is over is found no more."""

    repository: Repository
    issuer: Issuer

    async def find(self, login: Presented) -> Found:
        """Return what a login proves. Raises `Refusal`, mostly UNAUTHENTICATED; where one is refused all are told the same."""
        match login:
            case TokenLogin(token=token):
                return await self._find_token(token)
            case TripleLogin():
                return await self._find_session(login)
            case MqttLogin():
                return await self._find_mqtt(login)
            case ProvenLogin(proven=proven):
                return await self._find_proven(proven)
            case _:
                assert_never(login)

    async def _find_token(self, token: Secret) -> LoginSnapshot:
        """Look for an access token, or else for the session that a device opened."""
        (found,) = await self._read(self.issuer.lookup_id(token.reveal()))
        if found is not None and found.credential.kind is CredentialKind.ACCESS_TOKEN:
            return found
        if not session_tokens.looks_like_one(token.reveal()):
            raise unknown("login.token")
        session = session_tokens.read(token, Audience.DEVICE, self.issuer.vault, self.issuer.clock.now())
        if session is None:
            raise unknown("login.session")
        return await self._opened_with(session)

    async def _opened_with(self, session: Session) -> LoginSnapshot:
        """Return the credential that a device opened a session with, if it is good still."""
        found = await self.repository.read(DeviceQuery(session.tenant, DeviceId(session.subject)))
        if found is None:
            raise unknown("login.session")
        for credential in found.credentials:
            if session_mark(credential.id) == session.mark and self.is_valid(credential):
                return LoginSnapshot(credential=credential, device=found.device, profile=found.profile)
        raise unknown("login.session")

    async def _find_session(self, login: TripleLogin) -> LoginSnapshot:
        (found,) = await self._read(self.issuer.lookup_id(triple_id(login.product_key, login.device_key)))
        triple = self._triple(found)
        if found is None or triple is None:
            raise unknown("login.user")
        expected = signatures.http_session(triple.device_key, triple.product_key, login.lifetime, triple.secret)
        if not signatures.equal(expected, login.digest):
            raise WrongSecret("the signature is not right", check="login.password")
        return found

    async def _find_proven(self, proven: Identity) -> LoginSnapshot | KeySnapshot:
        """Look again for the credential or external key of a device that has proved it to its transport."""
        if proven.credential is None:
            config = await self.repository.read(ConfigQuery(proven.tenant, proven.device))
            if config is None:
                raise unknown("login.proven")
            return KeySnapshot(config.device, config.config.external_key)
        found = await self.repository.read(DeviceQuery(proven.tenant, proven.device))
        if found is not None:
            for credential in found.credentials:
                if credential.id == proven.credential and self.is_valid(credential):
                    return LoginSnapshot(credential=credential, device=found.device, profile=found.profile)
        raise unknown("login.proven")

    async def _find_mqtt(self, login: MqttLogin) -> Found:
        """Look for a session, the id of a device with its secret, what `MqttNames` says, and a user with its secret.

        An external id with its key comes last.
        """
        if login.username == SESSION_USER:
            return await self._find_user_session(login.password)
        names = MqttNames(login.username, login.client_id)
        places = names.places()
        ids = [secret_id(login.password.reveal()), *(place.id for place in places)]
        by_secret, *placed = await self._read(*map(self.issuer.lookup_id, ids))
        if by_secret is not None and by_secret.device.id == names.name:
            _require_one_id(login)
            return by_secret
        for found in _fitting(places, placed):
            await self._require_match(found, login)
            return found
        return await self._find_user(names.name, login) or await self._nobody(login)

    async def _require_match(self, found: LoginSnapshot, login: MqttLogin) -> None:
        """Check the password of a device whose credential is known. Raises `Refusal`."""
        triple = self._triple(found)
        if triple is not None:
            require_signed(login, triple, found.profile)
        elif found.credential.kind is CredentialKind.DEVICE_SECRET or not await self.issuer.matches(found.credential, login):
            raise unknown("login.password")

    async def _find_user(self, name: str, login: MqttLogin) -> UserLogin | None:
        """Return the user whose id and MQTT secret these are."""
        if not is_drawn_id(name) or not login.password.reveal():
            return None
        lookup = self.issuer.lookup_id(secret_id(login.password.reveal()))
        entry = await self.repository.read(EntrySecretQuery(lookup))
        return UserLogin(entry, secret_proof(lookup)) if entry is not None and entry.id == name else None

    async def _find_user_session(self, token: Secret) -> UserLogin:
        session = session_tokens.read(token, Audience.OPERATOR, self.issuer.vault, self.issuer.clock.now())
        if session is None:
            raise _wrong_session()
        entry = await self.repository.read(EntryQuery(session.tenant, EntryId(session.subject)))
        if entry is None or entry.role is None or self.password_mark(entry) != session.mark:
            raise _wrong_session()
        return UserLogin(entry, session.mark)

    async def _nobody(self, login: MqttLogin) -> KeySnapshot:
        """Look for the configuration whose external id and key these are. Raises `Refusal` UNAUTHENTICATED."""
        config = await self._find_config(login)
        if config is not None:
            return config
        await self.issuer.match_nothing(login)
        if is_drawn_id(login.username or login.client_id) and login.password.reveal():
            raise WrongSecret("the credentials are not known", check="login.user")
        raise unknown("login.user")

    async def _find_config(self, login: MqttLogin) -> KeySnapshot | None:
        if not login.username or not login.password.reveal():
            return None
        found = await self.repository.read(ExternalKeyQuery(login.username))
        vault = self.issuer.vault
        expected = Seals(vault).external_key(found.device.id, found.external_key) if found else vault.open_decoy()
        return found if expected == login.password else None

    async def named(self, names: MqttNames) -> list[LoginSnapshot]:
        """Return the credentials that these names find, in the order in which a login takes them."""
        places = names.places()
        return _fitting(places, await self._read(*(self.issuer.lookup_id(place.id) for place in places)))

    async def of_certificates(self, texts: Sequence[str]) -> list[LoginSnapshot | None]:
        """Return which device has each of these certificates, as `core.messages.Certificate` has them, for a credential."""
        found = await self._read(*(self.issuer.lookup(Certificate(text)) for text in texts))
        return [each if each and each.credential.kind is CredentialKind.X509_CERTIFICATE else None for each in found]

    def is_valid(self, credential: Credential) -> bool:
        """Tell whether a credential's time is not over."""
        return not credential.is_over(self.issuer.clock.now())

    def password_mark(self, entry: DirectoryEntry) -> str:
        """Return what ties a session to the password that it was opened with."""
        return self.issuer.vault.digest("password mark", entry.verifier)[:_MARK_BYTES].hex()

    async def _read(self, *lookups: Lookup) -> list[LoginSnapshot | None]:
        found = await self.repository.read(LoginQuery(lookups))
        return [each if each is not None and self.is_valid(each.credential) else None for each in found]

    def _triple(self, found: LoginSnapshot | None) -> Triple | None:
        if found is None or found.credential.kind is not CredentialKind.DEVICE_SECRET:
            return None
        value = self.issuer.reveal(found.credential)
        return value if isinstance(value, Triple) else None


def _fitting(places: Sequence[Place], found: Sequence[LoginSnapshot | None]) -> list[LoginSnapshot]:
    pairs = zip(places, found, strict=True)
    return [each for place, each in pairs if each is not None and each.credential.kind in place.kinds]


def session_mark(credential: CredentialId) -> str:
    """Return what ties a device's session to one of its credentials: the random end of the id."""
    return credential[-_MARK_CHARACTERS:]


def secret_proof(lookup: Lookup) -> str:
    """Return what tells one MQTT secret of a user from the next."""
    return lookup[:_MARK_BYTES].hex()


def _require_one_id(login: MqttLogin) -> None:
    """Refuse a device that names itself twice and differently; a client id that nobody here drew is no name."""
    if login.username and login.client_id != login.username and is_drawn_id(login.client_id):
        raise Refusal(Reason.MALFORMED, "client id and user name name different devices", check="login.two_devices")


def _wrong_session() -> WrongSecret:
    """Make the refusal of a user's session: whoever names none but `SESSION_USER` can be wrong in the password alone."""
    return WrongSecret("the credentials are not known", check="login.session")


def unknown(check: str) -> Refusal:
    """Make the refusal that tells nothing but that the credentials are not known."""
    return Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check=check)
