"""Whose login is this: the credential, external key or user behind what was presented, once it is proved."""

import re
from typing import assert_never

import msgspec

from core.configuration import Seals
from core.credentials import basic_id, secret_id, triple_id
from core.crypto import session_tokens, signatures
from core.crypto.session_tokens import Audience, Session
from core.errors import Reason, Refusal, WrongSecret
from core.issuer import Issuer
from core.messages import Login, MqttLogin, TokenLogin, Triple, TripleLogin
from core.model import Credential, CredentialId, CredentialKind, DeviceId, DirectoryEntry, EntryId, Lookup, Secret
from core.ports import Repository
from core.queries import (
    DeviceQuery,
    EntryQuery,
    EntrySecretQuery,
    ExternalKeyQuery,
    KeySnapshot,
    LoginQuery,
    LoginSnapshot,
)
from core.triples import keys_of, require_signed

SESSION_USER = "Auth:JWT"
"""The MQTT user name of a user whose password is the bearer token of a session (Xively)."""

# Ids that this registry draws for devices: UUIDv7 (RFC 9562, section 5.7). Random ids, as clients draw them, are others.
_DRAWN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MARK_BYTES = 8
_MARK_CHARACTERS = 8


class UserLogin(msgspec.Struct, frozen=True):
    """A user of the directory; `proof` tells which of its secrets was presented."""

    entry: DirectoryEntry
    proof: str


Found = LoginSnapshot | KeySnapshot | UserLogin


class Logins(msgspec.Struct, frozen=True):
    """Finds and proves. A credential whose time is over is found no more."""

    repository: Repository
    issuer: Issuer

    async def find(self, login: Login) -> Found:
        """Return what a login proves. Raises `Refusal`, mostly UNAUTHENTICATED; where one is refused all are told the same."""
        match login:
            case TokenLogin(token=token):
                return await self._find_token(token)
            case TripleLogin():
                return await self._find_session(login)
            case MqttLogin():
                return await self._find_mqtt(login)
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

    async def _find_mqtt(self, login: MqttLogin) -> Found:
        """Look for a session, a triple, the id of a device or user with its secret, and what an operator or device chose.

        Of the last, client id and user name together come before the user name alone, as ThingsBoard has it, and an external
        id with its key comes last.
        """
        if login.username == SESSION_USER:
            return await self._find_user_session(login.password)
        keys = keys_of(login.username)
        name = login.username or login.client_id
        ids = [
            secret_id(login.password.reveal()),
            triple_id(keys.product_key, keys.device_key) if keys else "",
            basic_id(login.client_id, login.username),
        ]
        if login.client_id and login.username:
            ids.append(login.username)
        by_secret, by_keys, *candidates = await self._read(*map(self.issuer.lookup_id, ids))
        if by_secret is not None and by_secret.device.id == name:
            _require_one_id(login)
            return by_secret
        triple = self._triple(by_keys)
        if by_keys is not None and triple is not None:
            require_signed(login, triple, by_keys.profile)
            return by_keys
        return await self._find_chosen(login, candidates) or await self._find_user(name, login) or await self._nobody(login)

    async def _find_chosen(self, login: MqttLogin, candidates: list[LoginSnapshot | None]) -> LoginSnapshot | None:
        for place, found in enumerate(candidates):
            kinds = (CredentialKind.MQTT_BASIC,) if _is_joint(login, place) else _BY_NAME
            if found is not None and found.credential.kind in kinds:
                if await self.issuer.matches(found.credential, login):
                    return found
                raise unknown("login.password")
        return None

    async def _find_user(self, name: str, login: MqttLogin) -> UserLogin | None:
        """Return the user whose id and MQTT secret these are."""
        if _DRAWN_ID.fullmatch(name) is None or not login.password.reveal():
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
        if _DRAWN_ID.fullmatch(login.username or login.client_id) and login.password.reveal():
            raise WrongSecret("the credentials are not known", check="login.user")
        raise unknown("login.user")

    async def _find_config(self, login: MqttLogin) -> KeySnapshot | None:
        if not login.username or not login.password.reveal():
            return None
        found = await self.repository.read(ExternalKeyQuery(login.username))
        vault = self.issuer.vault
        expected = Seals(vault).external_key(found.device.id, found.external_key) if found else vault.open_decoy()
        return found if expected == login.password else None

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
        value = self.issuer.reveal(found.credential) if found is not None else None
        return value if isinstance(value, Triple) else None


_BY_NAME = (CredentialKind.ACCESS_TOKEN, CredentialKind.MQTT_BASIC)


def session_mark(credential: CredentialId) -> str:
    """Return what ties a device's session to one of its credentials: the random end of the id."""
    return credential[-_MARK_CHARACTERS:]


def secret_proof(lookup: Lookup) -> str:
    """Return what tells one MQTT secret of a user from the next."""
    return lookup[:_MARK_BYTES].hex()


def _is_joint(login: MqttLogin, place: int) -> bool:
    """Tell whether a candidate was found by more than a user name, where a token cannot stand."""
    return place == 0 and bool(login.client_id)


def _require_one_id(login: MqttLogin) -> None:
    """Refuse a device that names itself twice and differently; a client id that nobody here drew is no name."""
    if login.username and login.client_id != login.username and _DRAWN_ID.fullmatch(login.client_id):
        raise Refusal(Reason.MALFORMED, "client id and user name name different devices", check="login.two_devices")


def _wrong_session() -> WrongSecret:
    """Make the refusal of a user's session: whoever names none but `SESSION_USER` can be wrong in the password alone."""
    return WrongSecret("the credentials are not known", check="login.session")


def unknown(check: str) -> Refusal:
    """Make the refusal that tells nothing but that the credentials are not known."""
    return Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check=check)
