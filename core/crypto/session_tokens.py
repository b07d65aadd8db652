"""Tokens that stand for a login for a while: JSON Web Tokens (RFC 7519), signed with HS256 and kept nowhere."""

import enum
from typing import Any

import jwt
import msgspec

from core.crypto.vault import Vault
from core.model import Secret, TenantId

_ALGORITHM = "HS256"
# The clock is a port of the core's, so the library does not look at its own.
_NO_TYPE: Any = {"typ": None}  # it need not be there (RFC 7519, section 5.1), and it is long
_OPTIONS: Any = {"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}


class Audience(enum.Enum):
    """What a token is good for: one kind is never taken for the other."""

    OPERATOR = "operator"
    DEVICE = "dev"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who logged in. `mark` ties the session to the credential or password behind it; `expires_at` is in seconds."""

    subject: str
    tenant: TenantId
    mark: str
    expires_at: int


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    acc: str
    mark: str
    exp: int


def sign(session: Session, audience: Audience, vault: Vault) -> Secret:
    """Return the token of a session.

    A device's is short enough to be `auth=...` in one option of CoAP (255 bytes, RFC 7252, section 5.10) whatever its tenant is
    called. An operator's says twice whose it is: published clients of Xively (SDKs for iOS and Android) read `userId` and
    `accountId`.
    """
    claims: dict[str, Any] = {
        "sub": session.subject,
        "acc": session.tenant,
        "mark": session.mark,
        "exp": session.expires_at,
        "aud": audience.value,
    }
    if audience is Audience.OPERATOR:
        claims |= {"userId": session.subject, "accountId": session.tenant}
    return Secret(jwt.encode(claims, vault.session_key, algorithm=_ALGORITHM, headers=_NO_TYPE))


def looks_like_one(text: str) -> bool:
    """Tell whether a bearer token may be one of these: three parts with dots between them."""
    return text.count(".") == 2


def read(token: Secret, audience: Audience, vault: Vault, now: int) -> Session | None:
    """Return the session of a token, None where it is not ours, for something else, or over; `now` in milliseconds."""
    found = (_claims(token, audience, key) for key in vault.session_keys)
    claims = next((each for each in found if each is not None), None)
    if claims is None or claims.exp * 1000 <= now:
        return None
    return Session(subject=claims.sub, tenant=TenantId(claims.acc), mark=claims.mark, expires_at=claims.exp)


def _claims(token: Secret, audience: Audience, key: bytes) -> _Claims | None:
    """Return what a token says where this key signed it."""
    try:
        payload = jwt.decode(token.reveal(), key, algorithms=[_ALGORITHM], audience=audience.value, options=_OPTIONS)
        return msgspec.convert(payload, _Claims)
    except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeEncodeError):
        return None
